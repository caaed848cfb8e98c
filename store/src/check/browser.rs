// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for what browsers are told, and for the ids of requests and traces.

use super::Findings;
use super::gate::{edited_name, field_name};
use super::spelling::{host_fault, is_field_value, is_token};
use crate::model::{CorsPolicy, Hsts, RequestIdPolicy, SecurityHeadersPolicy, TracePolicy};
use crate::suggest;
use crate::wire::ProblemCode;

/// Most origins of one policy: each is compared with that of each request.
const ORIGINS_MAX: usize = 1000;

/// Most methods or fields in one list.
const NAMES_MAX: usize = 100;

/// The year that browsers ask for before they put a host on their list.
const PRELOAD_SECONDS_MIN: u64 = 365 * 24 * 3600;

/// What a page may say of where it links from (Referrer Policy, section 3).
const REFERRERS: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

pub(super) fn cors(findings: &mut Findings<'_>, path: &str, policy: &CorsPolicy) {
    origins(findings, &format!("{path}.origins"), policy);
    for (index, method) in policy.methods.iter().enumerate() {
        if !is_token(method) || method.bytes().any(|b| b.is_ascii_lowercase()) {
            let message = format!("\"{}\" is not a method", method.escape_debug());
            findings.bad(format!("{path}.methods[{index}]"), message, "write a method such as \"PUT\", or \"*\"");
        }
    }
    for (key, names) in [("headers", &policy.headers), ("expose", &policy.expose)] {
        for (index, name) in names.iter().enumerate() {
            field_name(findings, format!("{path}.{key}[{index}]"), name);
        }
        if names.len() > NAMES_MAX {
            findings.bad(format!("{path}.{key}"), format!("{} names", names.len()), format!("at most {NAMES_MAX}"));
        }
    }
    if policy.credentials && policy.expose.iter().any(|name| name == "*") {
        let message = "with credentials a browser takes \"*\" for the name of a field";
        findings.problem(ProblemCode::Conflict, format!("{path}.expose"), message, "name the fields");
    }
}

fn origins(findings: &mut Findings<'_>, path: &str, policy: &CorsPolicy) {
    if policy.origins.is_empty() {
        let help = "write origins = [\"https://app.example.com\"]";
        findings.problem(ProblemCode::MissingField, path, "no origin may call", help);
    }
    if policy.origins.len() > ORIGINS_MAX {
        findings.bad(path, format!("{} origins", policy.origins.len()), format!("at most {ORIGINS_MAX}"));
    }
    for (index, origin) in policy.origins.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if origin == "*" && policy.credentials {
            let message = "every page of the web could call with the cookies of whoever reads it";
            findings.problem(ProblemCode::Conflict, path, message, "name the origins, or leave credentials out");
        } else if let Some(fault) = origin_fault(origin) {
            let help = "write \"https://app.example.com\", \"https://*.example.com\" or \"*\"";
            findings.bad(path, format!("\"{}\": {fault}", origin.escape_debug()), help);
        }
    }
}

/// What is wrong with an origin (RFC 6454 section 6.2).
fn origin_fault(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return None;
    }
    if origin == "null" {
        return Some("any page can make its origin \"null\", so it names nobody");
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return Some("an origin has a scheme");
    };
    if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
    {
        return Some("the scheme of an origin is in lower case");
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some("an origin ends with its host or port; it has no path");
    }
    if matches!((scheme, port), ("http", Some("80")) | ("https", Some("443"))) {
        return Some("browsers leave out the port that is usual for the scheme, so this never matches");
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some("browsers send the host in lower case, so this never matches");
    }
    if name == "*" { Some("a wildcard stands before a domain, as in https://*.example.com") } else { host_fault(name) }
}

pub(super) fn security(findings: &mut Findings<'_>, path: &str, policy: &SecurityHeadersPolicy) {
    if *policy == SecurityHeadersPolicy::default() {
        let help = "write hsts, nosniff, frame, referrer, csp or permissions";
        findings.warn(ProblemCode::MissingField, path, "this policy sets nothing", help);
    }
    if let Some(Hsts { max_age, subdomains, preload: true }) = &policy.hsts
        && (!subdomains || max_age.0.as_secs() < PRELOAD_SECONDS_MIN)
    {
        let message = "browsers put a host on their list only with its subdomains and for at least a year";
        let help = "write subdomains = true and max_age = \"365d\", or leave preload out";
        findings.problem(ProblemCode::Conflict, format!("{path}.hsts.preload"), message, help);
    }
    if let Some(referrer) = &policy.referrer
        && let Some(word) = referrer.split(',').map(str::trim).find(|word| !REFERRERS.contains(word))
    {
        let message = format!("\"{}\" is not a referrer policy", word.escape_debug());
        findings.bad(format!("{path}.referrer"), message, suggest::help(word, "referrer policies", REFERRERS));
    }
    for (key, value) in [("csp", &policy.csp), ("permissions", &policy.permissions)] {
        if value.as_deref().is_some_and(|value| value.is_empty() || !is_field_value(value)) {
            let help = "write it on one line, in visible characters";
            findings.bad(format!("{path}.{key}"), "this cannot be the value of a field", help);
        }
    }
}

pub(super) fn request_id(findings: &mut Findings<'_>, path: &str, policy: &RequestIdPolicy) {
    edited_name(findings, format!("{path}.header"), &policy.header);
}

pub(super) fn trace(findings: &mut Findings<'_>, path: &str, policy: &TracePolicy) {
    findings.within(|| format!("{path}.sample"), u64::from(policy.sample.0), 0, 100);
}
