// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for asking a service of the operator's, and for remembering what it said.

use super::Findings;
use super::gate::{edited_name, field_name};
use super::spelling::{is_token, path_fault};
use crate::model::{ForwardAuthPolicy, Kind, Model, Name, Policy, PolicyRef, VerdictCache, VerdictKey};
use crate::wire::ProblemCode;

/// The least and the most that an answer may take, in milliseconds.
const TIMEOUT_MS: (u64, u64) = (1, 30_000);

/// Longest path, in bytes.
const PATH_MAX: usize = 1_024;

/// Most fields in one list.
const FIELDS_MAX: usize = 100;

/// Most parts of a key.
const KEY_PARTS_MAX: usize = 8;

/// Longest time that a verdict may count, in milliseconds.
const TTL_MS_MAX: u64 = 86_400_000;

/// Most verdicts of one policy.
const ENTRIES_MAX: u64 = 1_000_000;

/// The upstreams that are asked.
pub(super) fn upstreams(model: &Model) -> impl Iterator<Item = &Name> {
    let in_place = model.routes.values().flat_map(|route| &route.policies).filter_map(|policy| match policy {
        PolicyRef::Inline(policy) => Some(policy),
        PolicyRef::Named(_) => None,
    });
    model.policies.values().chain(in_place).filter_map(|policy| match policy {
        Policy::ForwardAuth(found) => Some(&found.upstream),
        _ => None,
    })
}

pub(super) fn check(findings: &mut Findings<'_>, path: &str, policy: &ForwardAuthPolicy) {
    findings.refers(|| format!("{path}.upstream"), Kind::Upstream, &policy.upstream);
    target(findings, &format!("{path}.path"), &policy.path);
    let timeout_ms = u64::try_from(policy.timeout.0.as_millis()).unwrap_or(u64::MAX);
    findings.within(|| format!("{path}.timeout"), timeout_ms, TIMEOUT_MS.0, TIMEOUT_MS.1);
    for (list, names) in [("request_headers", &policy.request_headers), ("reply_headers", &policy.reply_headers)] {
        if names.len() > FIELDS_MAX {
            let help = format!("at most {FIELDS_MAX}");
            findings.bad(format!("{path}.{list}"), format!("{} fields", names.len()), help);
        }
        for (index, name) in names.iter().enumerate() {
            edited_name(findings, format!("{path}.{list}[{index}]"), name);
        }
    }
    if let Some(written) = &policy.cache {
        cache(findings, &format!("{path}.cache"), written);
    }
}

fn target(findings: &mut Findings<'_>, path: &str, target: &str) {
    let (before, query) = target.split_once('?').unwrap_or((target, ""));
    let graphic = query.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let fault = path_fault(before).or((!graphic).then_some("a query is visible ASCII without '#'"));
    let fault = fault.or((!before.is_ascii()).then_some("what is not ASCII has to be percent-encoded"));
    let fault = fault.or((target.len() > PATH_MAX).then_some("this is longer than 1024 bytes"));
    if let Some(fault) = fault {
        findings.bad(path, fault, "write a path such as \"/verify\" or \"/verify?realm=shop\"");
    }
}

fn cache(findings: &mut Findings<'_>, path: &str, cache: &VerdictCache) {
    let in_ms = |span: crate::model::Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
    findings.within(|| format!("{path}.ttl"), in_ms(cache.ttl), 1, TTL_MS_MAX);
    findings.within(|| format!("{path}.negative_ttl"), in_ms(cache.negative_ttl), 0, TTL_MS_MAX);
    findings.within(|| format!("{path}.entries"), u64::from(cache.entries), 1, ENTRIES_MAX);
    if let Some(name) = &cache.subject {
        field_name(findings, format!("{path}.subject"), name);
    }
    let at = format!("{path}.key");
    if cache.key.is_empty() {
        let help = "write key = [{ header = \"Authorization\" }, \"path\"]";
        findings.problem(ProblemCode::MissingField, at, "every request would get the first verdict", help);
        return;
    }
    if cache.key.len() > KEY_PARTS_MAX {
        findings.bad(&at, format!("{} parts", cache.key.len()), format!("at most {KEY_PARTS_MAX}"));
    }
    for (index, part) in cache.key.iter().enumerate() {
        let at = format!("{at}[{index}]");
        match part {
            VerdictKey::Header(name) => field_name(findings, at, name),
            VerdictKey::Cookie(name) if !is_token(name) => {
                findings.bad(at, "this is not the name of a cookie", "write a name such as \"session\"");
            }
            _ => {}
        }
    }
    let tells_callers_apart = |part: &VerdictKey| match part {
        VerdictKey::Consumer | VerdictKey::SourceIp | VerdictKey::Header(_) | VerdictKey::Cookie(_) => true,
        VerdictKey::Host | VerdictKey::Method | VerdictKey::Path | VerdictKey::Query => false,
    };
    if !cache.key.iter().any(tells_callers_apart) {
        let message = "nothing in the key says who calls, so all callers share a verdict";
        let help = "add \"consumer\", { header = \"Authorization\" } or { cookie = \"session\" }";
        findings.problem(ProblemCode::Conflict, at, message, help);
    }
}
