// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is demanded of callers: names and patterns of the model as tests that a request can be held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use weirgate_store::model::{AccessRule, AuthorizePolicy, PathPattern, SetTest};

use super::route::{PATH_HELP, path_pattern};
use crate::config::problems::Problems;
use crate::policy::Policy;
use crate::policy::authorize::{Authorize, ClaimTest, Demand, Names, PathTest, RuleOf, Then};

/// What is written in one place.
struct Written<'m> {
    consumers: Option<&'m SetTest>,
    groups: Option<&'m SetTest>,
    scopes: Option<&'m SetTest>,
    claims: &'m BTreeMap<String, Vec<String>>,
}

pub(super) fn authorize(
    name: Arc<str>,
    policy: &AuthorizePolicy,
    path: &str,
    problems: &mut Problems,
) -> Option<Policy> {
    let AuthorizePolicy { consumers, groups, scopes, claims, rules } = policy;
    let (consumers, groups, scopes) = (consumers.as_ref(), groups.as_ref(), scopes.as_ref());
    let always = demand(&Written { consumers, groups, scopes, claims });
    let compiled: Vec<RuleOf> = (rules.iter().enumerate())
        .filter_map(|(at, written)| rule(written, &format!("{path}.rules[{at}]"), problems))
        .collect();
    let is_whole = compiled.len() == rules.len();
    is_whole.then(|| Policy::Authorize(Authorize { name, always, rules: compiled.into() }.into()))
}

fn rule(written: &AccessRule, path: &str, problems: &mut Problems) -> Option<RuleOf> {
    let AccessRule { methods, paths, deny, consumers, groups, scopes, claims } = written;
    let (consumers, groups, scopes) = (consumers.as_ref(), groups.as_ref(), scopes.as_ref());
    let then = if *deny { Then::Deny } else { Then::Demand(demand(&Written { consumers, groups, scopes, claims })) };
    let tests: Vec<PathTest> = (paths.iter().enumerate())
        .filter_map(|(at, pattern)| test(pattern, &format!("{path}.paths[{at}]"), problems))
        .collect();
    (tests.len() == paths.len()).then(|| RuleOf { methods: boxed(methods), paths: tests.into(), then })
}

fn test(pattern: &PathPattern, path: &str, problems: &mut Problems) -> Option<PathTest> {
    let pattern = problems.keep(path, PATH_HELP, path_pattern(pattern))?;
    Some(PathTest::new(move |path| pattern.matches(path)))
}

fn demand(written: &Written<'_>) -> Demand {
    let names = |test: Option<&SetTest>| {
        test.map(|test| Names { any: boxed(&test.any), all: boxed(&test.all), none: boxed(&test.none) })
    };
    Demand {
        consumers: names(written.consumers),
        groups: names(written.groups),
        scopes: names(written.scopes),
        claims: written.claims.iter().map(|(name, values)| ClaimTest::new(name, values)).collect(),
    }
}

fn boxed(names: &[String]) -> Box<[Box<str>]> {
    names.iter().map(|name| name.as_str().into()).collect()
}
