// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies that answer or rewrite: templates that can be filled in, replies that can be sent.

use super::Findings;
use super::gate::edited_name;
use super::spelling::{host_fault, is_field_value, path_fault};
use crate::model::{MaintenancePolicy, Policy, RedirectPolicy, ReplyPolicy, RewritePolicy};
use crate::parse::place::quoted;
use crate::template::{self, Part, Piece, Variable};
use crate::wire::ProblemCode;

/// Longest body of a reply that is written in the configuration.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Most edits of a query in one policy.
const QUERY_EDITS_MAX: usize = 100;

/// Every template of a policy, by its place behind the kind of the policy.
pub(super) fn templates(policy: &Policy) -> Vec<(String, &str)> {
    match policy {
        Policy::Redirect(found) => vec![("to".to_owned(), found.to.as_str())],
        Policy::Rewrite(found) => {
            let whole = |key: &str, text: &'_ Option<String>| text.as_ref().map(|_| key.to_owned());
            let mut all: Vec<(String, &str)> = Vec::new();
            all.extend(whole("path", &found.path).zip(found.path.as_deref()));
            all.extend(whole("host", &found.host).zip(found.host.as_deref()));
            for (verb, values) in [("set", &found.query.set), ("add", &found.query.add)] {
                all.extend(values.iter().map(|(name, text)| (format!("query.{verb}.{}", quoted(name)), text.as_str())));
            }
            all
        }
        _ => Vec::new(),
    }
}

/// The pieces of a template, or nothing after saying what is wrong with it.
fn read(findings: &mut Findings<'_>, path: &str, text: &str) -> Option<Vec<Piece>> {
    let help = "write names in braces, such as {host}, {path} or a parameter of the route's path";
    template::parse(text).map_err(|fault| findings.bad(path, fault, help)).ok()
}

pub(super) fn redirect(findings: &mut Findings<'_>, path: &str, policy: &RedirectPolicy) {
    if !matches!(policy.status, 301 | 302 | 303 | 307 | 308) {
        let help = "write 301 or 308 for good, 302, 303 or 307 for now";
        findings.bad(format!("{path}.status"), format!("{} is not a redirect", policy.status), help);
    }
    let path = format!("{path}.to");
    let Some(pieces) = read(findings, &path, &policy.to) else { return };
    if let Some(fault) = url_fault(&pieces) {
        findings.bad(path, fault, "write a URL such as \"https://{host}{path}\", or a path such as \"/new/{id}\"");
    }
}

/// What is wrong with a template for a URL.
fn url_fault(pieces: &[Piece]) -> Option<String> {
    let parts = template::parts(pieces);
    let text: String = pieces.iter().map(skeleton).collect();
    let is_url = ["http://", "https://", "{scheme}://"].iter().any(|begin| text.starts_with(begin));
    let is_path = text.starts_with('/') || text.starts_with("{path}");
    if text.starts_with("//") || !(is_url || is_path) {
        return Some("this is neither a URL nor a path".to_owned());
    }
    if is_url && text.split_once("://").is_none_or(|(_, rest)| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return Some("this URL names no host".to_owned());
    }
    if let Some(fault) = literal_fault(pieces) {
        return Some(fault);
    }
    let misplaced = |(piece, part): (&Piece, &Part)| match (piece, part) {
        (Piece::Value(Variable::Host | Variable::Capture(_)), Part::Host) => None,
        (Piece::Value(Variable::Scheme), Part::Scheme) => None,
        (Piece::Value(_), Part::Host | Part::Scheme) => Some(skeleton(piece)),
        _ => None,
    };
    let name = pieces.iter().zip(&parts).find_map(misplaced)?;
    Some(format!("{name} cannot stand before the path; there only {{scheme}}, {{host}} and parts of the path can"))
}

/// A piece with its value left as a name.
fn skeleton(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value(variable) => format!("{{{}}}", variable.name()),
    }
}

/// Text that no URL can hold.
fn literal_fault(pieces: &[Piece]) -> Option<String> {
    let bad = |text: &str| text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '\\' | '"' | '<' | '>'));
    pieces.iter().find_map(|piece| match piece {
        Piece::Text(text) => bad(text).map(|c| format!("'{}' must be percent-encoded here", c.escape_default())),
        Piece::Value(_) => None,
    })
}

pub(super) fn reply(findings: &mut Findings<'_>, path: &str, policy: &ReplyPolicy) {
    findings.within(|| format!("{path}.status"), u64::from(policy.status), 200, 599);
    let body = policy.body.as_ref().or(policy.json.as_ref());
    if policy.body.is_some() && policy.json.is_some() {
        findings.problem(ProblemCode::Conflict, path, "a reply has a body or json, not both", "take one of them out");
    }
    if body.is_some() && matches!(policy.status, 204 | 205 | 304) {
        let message = format!("a reply with status {} has no body", policy.status);
        findings.problem(ProblemCode::Conflict, format!("{path}.status"), message, "use another status, or no body");
    }
    if let Some(text) = &policy.json
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        let help = "write JSON as a text: json = '''{ \"status\": \"ok\" }'''";
        findings.bad(format!("{path}.json"), format!("this is not JSON: {error}"), help);
    }
    body_size(findings, path, body);
    for (name, value) in &policy.headers {
        let path = format!("{path}.headers.{}", quoted(name));
        if !is_field_value(value) {
            let help = "use visible characters, with no line breaks and no space at the ends";
            findings.bad(path.clone(), "this cannot be the value of a field", help);
        }
        edited_name(findings, path, name);
    }
}

fn body_size(findings: &mut Findings<'_>, path: &str, body: Option<&String>) {
    if body.is_some_and(|body| body.len() > BODY_BYTES_MAX) {
        let message = format!("a body written here has at most {BODY_BYTES_MAX} bytes");
        findings.bad(format!("{path}.body"), message, "serve larger ones from an upstream");
    }
}

pub(super) fn maintenance(findings: &mut Findings<'_>, path: &str, policy: &MaintenancePolicy) {
    if let Some(after) = policy.retry_after {
        findings.within(|| format!("{path}.retry_after in seconds"), after.0.as_secs(), 1, 365 * 24 * 3600);
    }
    body_size(findings, path, policy.body.as_ref());
}

pub(super) fn rewrite(findings: &mut Findings<'_>, path: &str, policy: &RewritePolicy) {
    let RewritePolicy { path: whole, strip_prefix, add_prefix, host, query } = policy;
    if *policy == RewritePolicy::default() {
        let help = "write path, strip_prefix, add_prefix, host or query";
        findings.warn(ProblemCode::MissingField, path, "this policy rewrites nothing", help);
    }
    if whole.is_some() && (strip_prefix.is_some() || add_prefix.is_some()) {
        let message = "a path is given whole or by its prefixes, not both";
        findings.problem(ProblemCode::Conflict, format!("{path}.path"), message, "take one of them out");
    }
    for (key, prefix) in [("strip_prefix", strip_prefix), ("add_prefix", add_prefix)] {
        if let Some(fault) = prefix.as_deref().and_then(prefix_fault) {
            findings.bad(format!("{path}.{key}"), fault, "write whole segments, such as \"/api\"");
        }
    }
    if let Some(text) = whole {
        let path = format!("{path}.path");
        let fault = read(findings, &path, text).and_then(|pieces| path_template_fault(&pieces));
        if let Some(fault) = fault {
            findings.bad(path, fault, "write a path such as \"/orders/{id}\"");
        }
    }
    if let Some(text) = host {
        let path = format!("{path}.host");
        let fault = read(findings, &path, text).and_then(|pieces| host_template_fault(&pieces));
        if let Some(fault) = fault {
            findings.bad(path, fault, "write a host such as \"orders.example.com\" or \"{tenant}.example.com:8080\"");
        }
    }
    let edits = query.remove.len() + query.set.len() + query.add.len();
    if edits > QUERY_EDITS_MAX {
        let help = format!("at most {QUERY_EDITS_MAX} edits in one policy");
        findings.bad(format!("{path}.query"), format!("{edits} edits"), help);
    }
    if query.remove.iter().chain(query.set.keys()).chain(query.add.keys()).any(String::is_empty) {
        findings.bad(format!("{path}.query"), "a parameter without a name", "write a name such as \"page\"");
    }
    for (verb, values) in [("set", &query.set), ("add", &query.add)] {
        for (name, text) in values {
            read(findings, &format!("{path}.query.{verb}.{}", quoted(name)), text);
        }
    }
}

fn prefix_fault(prefix: &str) -> Option<&'static str> {
    path_fault(prefix).or_else(|| (prefix == "/").then_some("this prefix has no segment")).or_else(|| {
        let odd = prefix.contains("//") || prefix.contains(['{', '}', ';', '\\', '%']) || !prefix.is_ascii();
        odd.then_some("a prefix is plain segments")
    })
}

fn path_template_fault(pieces: &[Piece]) -> Option<String> {
    let text: String = pieces.iter().map(skeleton).collect();
    if !text.starts_with('/') && !text.starts_with("{path}") {
        return Some("a path begins with '/'".to_owned());
    }
    if text.contains("//") {
        return Some("an empty segment has no meaning that all endpoints share".to_owned());
    }
    path_fault(text.trim_start_matches("{path}"))
        .filter(|_| text.starts_with('/'))
        .map(str::to_owned)
        .or_else(|| {
            let odd = text.contains(['?', '#', ';']);
            odd.then(|| "a path has no query, no fragment and no parameters; see query".to_owned())
        })
        .or_else(|| literal_fault(pieces))
}

fn host_template_fault(pieces: &[Piece]) -> Option<String> {
    let stand_in = |piece: &Piece| match piece {
        Piece::Text(text) => Ok(text.clone()),
        Piece::Value(Variable::Host | Variable::Capture(_)) => Ok("x".to_owned()),
        Piece::Value(_) => Err(format!("{} cannot stand in a host", skeleton(piece))),
    };
    let text: Result<String, String> = pieces.iter().map(stand_in).collect();
    let text = match text {
        Ok(text) => text,
        Err(fault) => return Some(fault),
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text.as_str(), None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some("this is not a port".to_owned());
    }
    if host.contains('*') {
        return Some("a host that is asked for has no '*'".to_owned());
    }
    host_fault(host).map(str::to_owned)
}
