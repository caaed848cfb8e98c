// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for routes: conditions that can hold, references that lead somewhere, policies that make sense together.

use std::collections::HashMap;

use super::spelling::{host_fault, is_token, path_fault, regex, template_fault};
use super::{Findings, answer, gate, limit, split};
use crate::model::{
    self, GrpcMatch, Kind, LimitKey, Match, Model, Name, PathPattern, Policy, PolicyRef, Route, TimeWindow,
    UpstreamProtocol, ValueMatch,
};
use crate::parse::place::quoted;
use crate::template;
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

/// Whether a route is answered by one of its policies. One that does not exist may have been meant to.
pub(super) fn answers(model: &Model, route: &Route) -> bool {
    route.policies.iter().any(|reference| match reference {
        PolicyRef::Named(name) => model.policies.get(name).is_none_or(Policy::answers),
        PolicyRef::Inline(policy) => policy.answers(),
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
    for (cookie, value) in &matches.cookies {
        let path = at(name, &format!("match.cookies.{}", quoted(cookie)));
        if !is_token(cookie) {
            findings.bad(path.clone(), "this is not the name of a cookie", "write a name such as \"session\"");
        }
        value_regex(findings, &path, value);
    }
    media(findings, name, matches);
    window(findings, name, matches);
    grpc(findings, name, matches);
}

fn media(findings: &mut Findings<'_>, name: &Name, matches: &Match) {
    for (index, pattern) in matches.content_type.iter().enumerate() {
        let path = at(name, &format!("match.content_type[{index}]"));
        let is_media = |(kind, subtype): (&str, &str)| is_token(kind) && kind != "*" && is_token(subtype);
        if !pattern.split_once('/').is_some_and(is_media) || pattern.trim_end_matches("/*").contains('*') {
            let message = format!("\"{}\" is not a media type", pattern.escape_debug());
            findings.bad(path, message, "write \"application/json\" or \"text/*\", without parameters");
        }
    }
}

fn window(findings: &mut Findings<'_>, name: &Name, matches: &Match) {
    let at = |field: &str| at(name, &format!("match.{field}"));
    if let Some(share) = matches.share {
        findings.within(|| at("share"), u64::from(share.0), 0, 100);
    } else if matches.share_by.is_some() {
        let help = "write share = \"10%\", or leave share_by out";
        findings.problem(ProblemCode::MissingField, at("share_by"), "there is no share that this could decide", help);
    }
    let Some(TimeWindow { from, to, offset, .. }) = &matches.window else { return };
    for (key, text) in [("window.from", from), ("window.to", to)] {
        if text.as_deref().is_some_and(|text| model::minutes(text).is_none()) {
            findings.bad(
                at(key),
                "this is not a time of day",
                "write hours and minutes, such as \"08:00\" or \"24:00\"",
            );
        }
    }
    if offset.as_deref().is_some_and(|text| model::offset_s(text).is_none()) {
        let help = "write the distance from UTC, such as \"+01:00\"; there are no names of time zones";
        findings.bad(at("window.offset"), "this is not a distance from UTC", help);
    }
    if from.is_some() && from == to {
        let help = "leave both out for the whole day";
        findings.problem(ProblemCode::Conflict, at("window.to"), "it begins when it ends", help);
    }
}

fn grpc(findings: &mut Findings<'_>, name: &Name, matches: &Match) {
    let Some(GrpcMatch { service, method }) = &matches.grpc else { return };
    let at = |field: &str| at(name, &format!("match.{field}"));
    if matches.path != PathPattern::default() {
        let message = "the path of a gRPC call is made of its service and method";
        findings.problem(ProblemCode::Conflict, at("path"), message, "leave the path out, or grpc");
    }
    if !matches.content_type.is_empty() {
        let message = "a gRPC call has a media type of its own";
        findings.problem(ProblemCode::Conflict, at("content_type"), message, "leave content_type out, or grpc");
    }
    for (key, text, dots) in [("grpc.service", service, true), ("grpc.method", method, false)] {
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (b == b'.' && dots);
        let is_name = |text: &String| !text.is_empty() && text.bytes().all(in_name) && !text.starts_with('.');
        if text.as_ref().is_some_and(|text| !is_name(text)) {
            let help = "write a service such as \"shop.v1.Orders\" and a method such as \"Get\"";
            findings.bad(at(key), "this is not a name of gRPC", help);
        }
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
    captures(findings, name, route, &resolved);
    let answering = resolved.iter().find(|(_, policy)| policy.answers());
    if let Some((index, policy)) = answering.filter(|_| route.upstream.is_some() || !route.split.is_empty()) {
        let message =
            format!("nothing ever goes to the upstream of this route: {} answers every request", policy.kind());
        let help = "leave the upstream out, or the policy";
        findings.warn(ProblemCode::Conflict, at(name, &format!("policies[{index}]")), message, help);
    }
    let keyed = resolved.iter().any(|(_, policy)| policy.authenticates());
    for (index, _) in resolved.iter().filter(|(_, policy)| matches!(policy, Policy::Authorize(_)) && !keyed) {
        let path = at(name, &format!("policies[{index}]"));
        let message = "this asks who calls, and no policy of the route finds that out";
        let help = "add one that does, such as api_key; until then whoever has to be known is refused";
        findings.warn(ProblemCode::Conflict, path, message, help);
    }
    for (index, policy) in resolved {
        let anonymous = limit::counted_by(policy) == Some(&LimitKey::Consumer) && !keyed;
        if anonymous {
            let path = at(name, &format!("policies[{index}]"));
            let message = "this counts by consumer, and no policy of the route finds out which one calls";
            let help = "add a policy that authenticates, such as api_key; until then it counts by client address";
            findings.warn(ProblemCode::Conflict, path, message, help);
        }
    }
}

/// Names in braces must be those of every request or of the path of this route.
fn captures(findings: &mut Findings<'_>, name: &Name, route: &Route, resolved: &[(usize, &Policy)]) {
    let mut names: Option<Vec<String>> = None;
    for (index, policy) in resolved {
        for (field, text) in answer::templates(policy) {
            let pieces = template::parse(text).unwrap_or_default();
            for capture in template::captures(&pieces) {
                let names = names.get_or_insert_with(|| capture_names(&route.matches.path()));
                if names.iter().any(|own| own == capture) {
                    continue;
                }
                let place = match route.policies.get(*index) {
                    Some(PolicyRef::Inline(_)) => format!("policies[{index}].{}.{field}", policy.kind()),
                    Some(PolicyRef::Named(_)) | None => format!("policies[{index}]"),
                };
                let message = format!("no request and no path of this route has \"{{{capture}}}\"");
                findings.bad(at(name, &place), message, template::help(capture, names));
            }
        }
    }
}

/// What the path of a route names: the parameters of a template, or the groups of a regex, by name and by number.
fn capture_names(path: &PathPattern) -> Vec<String> {
    match path {
        PathPattern::Prefix(_) | PathPattern::Exact { .. } => Vec::new(),
        PathPattern::Template { template } => {
            let inner = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
            template.split('/').filter_map(inner).collect()
        }
        PathPattern::Regex { regex: pattern } => {
            let Ok(regex) = regex(pattern) else { return Vec::new() };
            let groups = regex.capture_names().enumerate().skip(1);
            groups.flat_map(|(at, name)| name.map(str::to_owned).into_iter().chain([at.to_string()])).collect()
        }
    }
}

/// The conditions of a route as one text; equal for routes that match the same requests in the same rank.
fn fingerprint(route: &Route) -> String {
    let Match { hosts, path: _, methods, headers, query, cookies, content_type, grpc, window, share, share_by } =
        &route.matches;
    let path = &route.matches.path();
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
    if !headers.is_empty() || !query.is_empty() || !cookies.is_empty() {
        text.push_str(&format!("{headers:?}{query:?}{cookies:?}"));
    }
    if window.is_some() || share.is_some() {
        text.push_str(&format!("{window:?}{share:?}{share_by:?}"));
    }
    if !content_type.is_empty() || grpc.is_some() {
        text.push_str(&format!("{content_type:?}{}", grpc.is_some()));
    }
    text
}
