// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for routes: conditions that can hold, references that lead somewhere, policies that make sense together.

use std::collections::HashMap;

use super::spelling::{host_fault, is_token, path_fault, regex, template_fault};
use super::{Findings, gate, split};
use crate::model::{Kind, LimitKey, Match, Name, PathPattern, Policy, PolicyRef, Route, UpstreamProtocol, ValueMatch};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    let mut seen: HashMap<String, &Name> = HashMap::new();
    for (name, route) in &model.routes {
        split::check(findings, name, route);
        connect(findings, name, route);
        conditions(findings, name, &route.matches);
        policies(findings, name, route);
        if let Some(other) = seen.insert(fingerprint(route), name) {
            let message = format!("routes \"{other}\" and \"{name}\" match the same requests");
            let help = "delete one of them, or make their conditions differ";
            findings.warn(ProblemCode::Duplicate, at(name, "match"), message, help);
        }
    }
}

pub(super) fn at(name: &Name, field: &str) -> String {
    format!("routes.{}.{field}", quoted(name.as_str()))
}

/// The policies of a route that are named in it.
pub(super) fn named_policies(route: &Route) -> impl Iterator<Item = &Name> {
    route.policies.iter().filter_map(|policy| match policy {
        PolicyRef::Named(name) => Some(name),
        PolicyRef::Inline(_) => None,
    })
}

/// A tunnel needs a connection of its own, which HTTP/2 does not give.
fn connect(findings: &mut Findings<'_>, name: &Name, route: &Route) {
    if !route.connect {
        return;
    }
    let all = route.upstream.iter().chain(route.split.iter().map(|side| &side.upstream));
    let model = findings.model;
    let is_http2 = |name: &&Name| {
        let protocol = model.upstreams.get(*name).map(|upstream| upstream.protocol);
        matches!(protocol, Some(UpstreamProtocol::H2 | UpstreamProtocol::H2c))
    };
    for upstream in all.filter(is_http2) {
        let message = format!("upstream \"{upstream}\" speaks HTTP/2, over which CONNECT is not passed on");
        let help = "use an upstream with protocol \"http\" or \"https\", or leave connect out";
        findings.problem(ProblemCode::Conflict, at(name, "connect"), message, help);
    }
}

fn conditions(findings: &mut Findings<'_>, name: &Name, matches: &Match) {
    for (index, host) in matches.hosts.iter().enumerate() {
        if let Some(fault) = host_fault(&host.0) {
            let path = at(name, &format!("match.hosts[{index}]"));
            let message = format!("\"{}\": {fault}", host.0.escape_debug());
            findings.bad(path, message, "write \"api.example.com\", \"*.example.com\" or \"*\"");
        }
    }
    path(findings, at(name, "match.path"), &matches.path);
    methods(findings, &at(name, "match.methods"), &matches.methods);
    for (field, value) in &matches.headers {
        let path = at(name, &format!("match.headers.{}", quoted(field)));
        gate::field_name(findings, path.clone(), field);
        value_regex(findings, &path, value);
    }
    for (parameter, value) in &matches.query {
        value_regex(findings, &at(name, &format!("match.query.{}", quoted(parameter))), value);
    }
}

/// A list of methods, wherever it stands.
pub(super) fn methods(findings: &mut Findings<'_>, at: &str, methods: &[String]) {
    for (index, method) in methods.iter().enumerate() {
        let path = || format!("{at}[{index}]");
        if !is_token(method) {
            let message = format!("\"{}\" is not a method", method.escape_debug());
            findings.bad(path(), message, "write a method such as \"GET\"");
        } else if method.bytes().any(|b| b.is_ascii_lowercase()) {
            let message = format!("methods are case-sensitive, and \"{method}\" is in lower case");
            let help = format!("write \"{}\"", method.to_ascii_uppercase());
            findings.warn(ProblemCode::BadValue, path(), message, help);
        }
    }
}

/// The pattern of a path, wherever it stands.
pub(super) fn path(findings: &mut Findings<'_>, at: String, pattern: &PathPattern) {
    match pattern {
        PathPattern::Prefix(text) => {
            if let Some(fault) = path_fault(text) {
                findings.bad(at, fault, "write a path such as \"/orders\"");
            }
        }
        PathPattern::Exact { exact } => {
            if let Some(fault) = path_fault(exact) {
                findings.bad(format!("{at}.exact"), fault, "write a path such as \"/orders\"");
            }
        }
        PathPattern::Template { template } => {
            if let Some(fault) = template_fault(template) {
                findings.bad(format!("{at}.template"), fault, "write a template such as \"/orders/{id}\"");
            }
        }
        PathPattern::Regex { regex: pattern } => bad_regex(findings, format!("{at}.regex"), pattern),
    }
}

fn value_regex(findings: &mut Findings<'_>, path: &str, value: &ValueMatch) {
    if let ValueMatch::Regex { regex: pattern } = value {
        bad_regex(findings, format!("{path}.regex"), pattern);
    }
}

fn bad_regex(findings: &mut Findings<'_>, path: String, pattern: &str) {
    if let Err(fault) = regex(pattern) {
        let help = "write a regular expression for the whole value; look-around and back-references are not part of it";
        findings.problem(ProblemCode::Invalid, path, fault, help);
    }
}

fn policies(findings: &mut Findings<'_>, name: &Name, route: &Route) {
    let model = findings.model;
    let mut resolved: Vec<(usize, &Policy)> = Vec::new();
    for (index, reference) in route.policies.iter().enumerate() {
        let path = || at(name, &format!("policies[{index}]"));
        match reference {
            PolicyRef::Named(policy) => {
                findings.refers(path, Kind::Policy, policy);
                resolved.extend(model.policies.get(policy).map(|policy| (index, policy)));
                if named_policies(route).filter(|other| *other == policy).count() > 1 {
                    let message = format!("the policy \"{policy}\" stands here twice");
                    findings.warn(ProblemCode::Duplicate, path(), message, "name it once");
                }
            }
            PolicyRef::Inline(policy) => {
                gate::policy(findings, &path(), policy);
                resolved.push((index, policy));
            }
        }
    }
    let keyed = resolved.iter().any(|(_, policy)| policy.authenticates());
    for (index, _) in resolved.iter().filter(|(_, policy)| matches!(policy, Policy::Authorize(_)) && !keyed) {
        let path = at(name, &format!("policies[{index}]"));
        let message = "this asks who calls, and no policy of the route finds that out";
        let help = "add one that does, such as api_key; until then whoever has to be known is refused";
        findings.warn(ProblemCode::Conflict, path, message, help);
    }
    for (index, policy) in resolved {
        let anonymous = matches!(policy, Policy::RateLimit(limit) if limit.per == LimitKey::Consumer) && !keyed;
        if anonymous {
            let path = at(name, &format!("policies[{index}]"));
            let message = "this counts by consumer, and no policy of the route finds out which one calls";
            let help = "add a policy that authenticates, such as api_key; until then it counts by client address";
            findings.warn(ProblemCode::Conflict, path, message, help);
        }
    }
}

/// The conditions of a route as one text; equal for routes that match the same requests in the same rank.
fn fingerprint(route: &Route) -> String {
    let Match { hosts, path, methods, headers, query } = &route.matches;
    let mut text = String::with_capacity(64);
    let mut sorted = |items: &mut dyn Iterator<Item = String>| {
        let mut items: Vec<String> = items.collect();
        items.sort_unstable();
        for item in items {
            text.push_str(&item);
            text.push('\u{1f}');
        }
        text.push('\u{1e}');
    };
    sorted(&mut hosts.iter().map(|host| host.0.to_ascii_lowercase()));
    sorted(&mut methods.iter().cloned());
    let (tag, pattern, priority) = match path {
        PathPattern::Prefix(prefix) => ('p', prefix, 0),
        PathPattern::Exact { exact } => ('e', exact, 0),
        PathPattern::Template { template } => ('t', template, 0),
        PathPattern::Regex { regex } => ('r', regex, route.priority),
    };
    text.push(tag);
    text.push_str(pattern);
    text.push_str(&format!("\u{1e}{priority}\u{1e}"));
    if !headers.is_empty() || !query.is_empty() {
        text.push_str(&format!("{headers:?}{query:?}"));
    }
    text
}
