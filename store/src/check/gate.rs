// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies and consumers: the gate. A policy is checked where it is written, named or in a route, by the
//! same function. No message here repeats a secret.

use std::collections::HashMap;

use super::spelling::{is_field_value, is_framing, is_token};
use super::{Findings, access, answer, authorize, browser, deprecation, forward_auth, identity, token};
use crate::model::{ApiKey, ApiKeyPolicy, FieldEdits, LimitKey, Name, Policy, RateLimitPolicy};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Shortest secret: 16 characters leave no list of likely ones to try.
const SECRET_CHARS_MIN: usize = 16;

/// Longest secret, so that looking one up stays cheap.
const SECRET_BYTES_MAX: usize = 256;

/// Hexadecimal digits of a stored hash.
const HASH_DIGITS: usize = 64;

/// Most requests at once that a limit may allow.
const BURST_MAX: u64 = 1_000_000_000;

/// Most edits of one policy.
const FIELD_EDITS_MAX: usize = 100;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, found) in &model.policies {
        policy(findings, &format!("policies.{}", quoted(name.as_str())), found);
    }
    token::consumers(findings);
    identity::consumers(findings);
    let mut owners: HashMap<&str, &Name> = HashMap::new();
    for (name, consumer) in &model.consumers {
        for (index, key) in consumer.api_keys.iter().enumerate() {
            let path = format!("consumers.{}.api_keys[{index}]", quoted(name.as_str()));
            api_key(findings, &path, key);
            let Some(identity) = key.secret.as_deref().or(key.hash.as_deref()) else { continue };
            if let Some(other) = owners.insert(identity, name) {
                let message = if other == name {
                    "this key stands here twice".to_owned()
                } else {
                    format!("consumer \"{other}\" has the same key")
                };
                findings.problem(ProblemCode::Duplicate, path, message, "give each consumer a key of its own");
            }
        }
    }
}

/// One policy, named or written in a route.
pub(super) fn policy(findings: &mut Findings<'_>, path: &str, policy: &Policy) {
    match policy {
        Policy::ApiKey(found) => places(findings, &format!("{path}.api_key"), found),
        Policy::Jwt(found) => token::jwt(findings, &format!("{path}.jwt"), found),
        Policy::OAuth2(found) => token::oauth2(findings, &format!("{path}.oauth2"), found),
        Policy::Authenticate(found) => identity::authenticate(findings, &format!("{path}.authenticate"), found),
        Policy::Authorize(found) => authorize::check(findings, &format!("{path}.authorize"), found),
        Policy::Basic(found) => identity::realm(findings, &format!("{path}.basic"), &found.realm),
        Policy::Bots(found) => access::bots(findings, &format!("{path}.bots"), found),
        Policy::ForwardAuth(found) => forward_auth::check(findings, &format!("{path}.forward_auth"), found),
        Policy::HttpSignature(found) => identity::http_signature(findings, &format!("{path}.http_signature"), found),
        Policy::Ip(found) => access::ip(findings, &format!("{path}.ip"), found),
        Policy::Methods(found) => access::methods(findings, &format!("{path}.methods"), found),
        Policy::Mtls(found) => identity::mtls(findings, &format!("{path}.mtls"), found),
        Policy::Cors(found) => browser::cors(findings, &format!("{path}.cors"), found),
        Policy::Deprecation(found) => deprecation::deprecation(findings, &format!("{path}.deprecation"), found),
        Policy::Maintenance(found) => answer::maintenance(findings, &format!("{path}.maintenance"), found),
        Policy::RateLimit(found) => limit(findings, &format!("{path}.rate_limit"), found),
        Policy::Quota(found) => super::limit::quota_policy(findings, &format!("{path}.quota"), found),
        Policy::Concurrency(found) => super::limit::concurrency(findings, &format!("{path}.concurrency"), found),
        Policy::RequestHeaders(found) => edits(findings, &format!("{path}.request_headers"), found),
        Policy::ReplyHeaders(found) => edits(findings, &format!("{path}.reply_headers"), found),
        Policy::Redirect(found) => answer::redirect(findings, &format!("{path}.redirect"), found),
        Policy::Reply(found) => answer::reply(findings, &format!("{path}.reply"), found),
        Policy::RequestId(found) => browser::request_id(findings, &format!("{path}.request_id"), found),
        Policy::Rewrite(found) => answer::rewrite(findings, &format!("{path}.rewrite"), found),
        Policy::SecurityHeaders(found) => browser::security(findings, &format!("{path}.security_headers"), found),
        Policy::Trace(found) => browser::trace(findings, &format!("{path}.trace"), found),
    }
}

fn places(findings: &mut Findings<'_>, path: &str, policy: &ApiKeyPolicy) {
    if policy.header.is_none() && policy.query.is_none() && policy.cookie.is_none() {
        let help = "write header = \"X-Api-Key\", query = \"api_key\" or cookie = \"key\"";
        findings.problem(ProblemCode::MissingField, path, "there is no place to look for the key", help);
    }
    if let Some(header) = &policy.header {
        field_name(findings, format!("{path}.header"), header);
    }
    if policy.cookie.as_deref().is_some_and(|name| !is_token(name)) {
        findings.bad(format!("{path}.cookie"), "this is not the name of a cookie", "write a name such as \"key\"");
    }
    let query = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"&=#".contains(&b));
    if policy.query.as_deref().is_some_and(|name| !query(name)) {
        let help = "write a name such as \"api_key\"";
        findings.bad(format!("{path}.query"), "this is not the name of a query parameter", help);
    }
    identity::realm(findings, path, &policy.realm);
}

fn limit(findings: &mut Findings<'_>, path: &str, policy: &RateLimitPolicy) {
    if let Some(burst) = policy.burst {
        findings.within(|| format!("{path}.burst"), u64::from(burst), 1, BURST_MAX);
    }
    if let LimitKey::Header(name) = &policy.per {
        field_name(findings, format!("{path}.per.header"), name);
    }
}

fn edits(findings: &mut Findings<'_>, path: &str, edits: &FieldEdits) {
    let count = edits.remove.len() + edits.set.len() + edits.add.len();
    if count == 0 {
        findings.warn(ProblemCode::MissingField, path, "this policy edits nothing", "write remove, set or add");
    }
    if count > FIELD_EDITS_MAX {
        let help = format!("at most {FIELD_EDITS_MAX} edits in one policy");
        findings.bad(path, format!("{count} edits"), help);
    }
    for (index, name) in edits.remove.iter().enumerate() {
        edited_name(findings, format!("{path}.remove[{index}]"), name);
    }
    for (verb, fields) in [("set", &edits.set), ("add", &edits.add)] {
        for (name, value) in fields {
            let path = format!("{path}.{verb}.{}", quoted(name));
            if !is_field_value(value) {
                let help = "use visible characters, with no line breaks and no space at the ends";
                findings.bad(path.clone(), "this cannot be the value of a field", help);
            }
            edited_name(findings, path, name);
        }
    }
}

pub(super) fn edited_name(findings: &mut Findings<'_>, path: String, name: &str) {
    if is_framing(name) {
        let message = format!("\"{name}\" frames the message or belongs to one connection");
        findings.bad(path, message, "leave it out; weirgate writes it itself");
    } else {
        field_name(findings, path, name);
    }
}

/// The name of a header field.
pub(super) fn field_name(findings: &mut Findings<'_>, path: String, name: &str) {
    if !is_token(name) {
        let message = format!("\"{}\" is not the name of a header field", name.escape_debug());
        findings.bad(path, message, "use letters, digits and '-', such as \"X-Api-Key\"");
    }
}

/// Never prints the secret it is about.
fn api_key(findings: &mut Findings<'_>, path: &str, key: &ApiKey) {
    match (&key.secret, &key.hash) {
        (None, None) => {
            let help = "write secret = \"…\" with at least 16 characters";
            findings.problem(ProblemCode::MissingField, format!("{path}.secret"), "the key has no secret", help);
        }
        (Some(_), Some(_)) => {
            let message = "a key has a secret or the hash of one, not both";
            findings.problem(ProblemCode::Conflict, path, message, "leave hash out");
        }
        (Some(secret), None) => {
            let path = format!("{path}.secret");
            if secret.chars().count() < SECRET_CHARS_MIN {
                let message = format!("a secret has at least {SECRET_CHARS_MIN} characters");
                findings.bad(path, message, "use a long random one; `weirgate key issue` makes them");
            } else if secret.len() > SECRET_BYTES_MAX {
                findings.bad(path, format!("a secret has at most {SECRET_BYTES_MAX} bytes"), "use a shorter one");
            } else if !secret.bytes().all(|b| b.is_ascii_graphic()) {
                let message = "a secret is visible ASCII without spaces, or no client could send it";
                findings.bad(path, message, "use letters, digits and punctuation");
            }
        }
        (None, Some(hash)) => {
            if hash.len() != HASH_DIGITS || !hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                let message = "a hash is 64 hexadecimal digits in lower case";
                findings.bad(format!("{path}.hash"), message, "write the secret, and let apply make the hash");
            }
        }
    }
}
