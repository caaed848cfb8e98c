// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for what is demanded of somebody who is known.

use std::collections::BTreeMap;

use super::{Findings, route};
use crate::model::{AccessRule, AuthorizePolicy, SetTest};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most rules of one policy: each is looked at for each request.
const RULES_MAX: usize = 256;

/// Most names in one list.
const NAMES_MAX: usize = 1_000;

/// Longest name, in bytes.
const NAME_MAX: usize = 256;

/// Most claims that one policy or rule looks at.
const CLAIMS_MAX: usize = 32;

/// Deepest claim.
const CLAIM_STEPS_MAX: usize = 16;

/// What is demanded in one place.
struct Demands<'a> {
    consumers: &'a Option<SetTest>,
    groups: &'a Option<SetTest>,
    scopes: &'a Option<SetTest>,
    claims: &'a BTreeMap<String, Vec<String>>,
}

impl Demands<'_> {
    fn is_empty(&self) -> bool {
        let Self { consumers, groups, scopes, claims } = self;
        consumers.is_none() && groups.is_none() && scopes.is_none() && claims.is_empty()
    }
}

pub(super) fn check(findings: &mut Findings<'_>, path: &str, policy: &AuthorizePolicy) {
    let AuthorizePolicy { consumers, groups, scopes, claims, rules } = policy;
    let all = Demands { consumers, groups, scopes, claims };
    if all.is_empty() && rules.is_empty() {
        let help = "write groups, consumers, scopes, claims or rules";
        findings.problem(ProblemCode::MissingField, path, "this demands nothing", help);
    }
    demands(findings, path, &all);
    if rules.len() > RULES_MAX {
        findings.bad(format!("{path}.rules"), format!("{} rules", rules.len()), format!("at most {RULES_MAX}"));
    }
    for (index, found) in rules.iter().enumerate() {
        rule(findings, &format!("{path}.rules[{index}]"), found);
    }
    let is_for_all = |rule: &AccessRule| rule.methods.is_empty() && rule.paths.is_empty();
    if let Some(last) = rules.iter().position(is_for_all).filter(|at| at + 1 < rules.len()) {
        let message = "this is never reached, because the rule before it decides about every request";
        let help = "move the rule without methods and paths to the end";
        findings.problem(ProblemCode::Conflict, format!("{path}.rules[{}]", last + 1), message, help);
    }
}

fn rule(findings: &mut Findings<'_>, path: &str, rule: &AccessRule) {
    let AccessRule { methods, paths, deny, consumers, groups, scopes, claims } = rule;
    let all = Demands { consumers, groups, scopes, claims };
    if *deny && !all.is_empty() {
        let message = "a rule either denies everybody or says who may";
        findings.problem(ProblemCode::Conflict, format!("{path}.deny"), message, "leave deny out, or the demands");
    }
    demands(findings, path, &all);
    route::methods(findings, &format!("{path}.methods"), methods);
    for (index, pattern) in paths.iter().enumerate() {
        route::path(findings, format!("{path}.paths[{index}]"), pattern);
    }
}

fn demands(findings: &mut Findings<'_>, path: &str, demands: &Demands<'_>) {
    let sets = [("consumers", demands.consumers), ("groups", demands.groups), ("scopes", demands.scopes)];
    for (field, test) in sets.into_iter().filter_map(|(field, test)| Some((field, test.as_ref()?))) {
        set(findings, &format!("{path}.{field}"), test);
    }
    if let Some(test) = demands.consumers {
        consumers(findings, &format!("{path}.consumers"), test);
    }
    if demands.claims.len() > CLAIMS_MAX {
        let help = format!("at most {CLAIMS_MAX}");
        findings.bad(format!("{path}.claims"), format!("{} claims", demands.claims.len()), help);
    }
    for (name, values) in demands.claims {
        claim(findings, &format!("{path}.claims.{}", quoted(name)), name, values);
    }
}

fn set(findings: &mut Findings<'_>, path: &str, test: &SetTest) {
    let lists = [("any", &test.any), ("all", &test.all), ("none", &test.none)];
    if lists.iter().all(|(_, names)| names.is_empty()) {
        let help = "write any = [\"…\"], all = [\"…\"] or none = [\"…\"]";
        findings.problem(ProblemCode::MissingField, path, "this demands nothing", help);
    }
    for (list, names) in lists {
        names_fit(findings, &format!("{path}.{list}"), names);
    }
    let wanted = test.any.iter().chain(&test.all);
    if let Some(name) = wanted.into_iter().find(|name| test.none.contains(name)) {
        let message = format!("\"{}\" is wanted and not wanted", name.escape_debug());
        let help = "take it out of none, or out of the other list";
        findings.problem(ProblemCode::Conflict, format!("{path}.none"), message, help);
    }
}

fn names_fit(findings: &mut Findings<'_>, path: &str, names: &[String]) {
    if names.len() > NAMES_MAX {
        findings.bad(path, format!("{} names", names.len()), format!("at most {NAMES_MAX}"));
    }
    let bad = |name: &String| name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control);
    if let Some(index) = names.iter().position(bad) {
        let help = format!("use 1 to {NAME_MAX} bytes without control characters");
        findings.bad(format!("{path}[{index}]"), "this cannot be a name", help);
    }
}

/// A consumer is one name, so it cannot be two.
fn consumers(findings: &mut Findings<'_>, path: &str, test: &SetTest) {
    if !test.all.is_empty() {
        let message = "a caller is one consumer, so it cannot be all of several";
        findings.problem(ProblemCode::Conflict, format!("{path}.all"), message, "write any = […]");
    }
    for (list, names) in [("any", &test.any), ("none", &test.none)] {
        for (index, name) in names.iter().enumerate() {
            let path = || format!("{path}.{list}[{index}]");
            match name.parse() {
                Ok(name) => findings.refers(path, crate::model::Kind::Consumer, &name),
                Err(fault) => findings.bad(path(), fault, "write the name of a consumer"),
            }
        }
    }
}

fn claim(findings: &mut Findings<'_>, path: &str, name: &str, values: &[String]) {
    let steps = name.split(if name.starts_with('/') { '/' } else { '.' });
    let fits = !name.is_empty() && name.len() <= NAME_MAX && steps.count() <= CLAIM_STEPS_MAX;
    if !fits {
        let help = format!(
            "write \"email\", \"realm_access.roles\" or \"/realm_access/roles\", with at most {CLAIM_STEPS_MAX} steps"
        );
        findings.bad(path, "this cannot be the name of a claim", help);
    }
    if values.is_empty() {
        let help = "write the values that let a caller through, such as [\"admin\"]";
        findings.problem(ProblemCode::MissingField, path, "no value would be right", help);
    }
    if values.len() > NAMES_MAX {
        findings.bad(path, format!("{} values", values.len()), format!("at most {NAMES_MAX}"));
    }
}
