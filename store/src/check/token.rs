// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies about tokens and for what tokens call consumers. No message here repeats a secret.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Findings;
use super::gate::{edited_name, field_name};
use super::spelling::is_token;
use crate::model::{JwtAlgorithm, JwtPolicy, Name, OAuth2Policy, Span};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Bytes of the shortest secret that HMAC takes (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// What clocks may differ by at most.
const LEEWAY_MAX: Duration = Duration::from_secs(10 * 60);

/// Most names in one list of a policy.
const LISTED_MAX: usize = 64;

/// Most claims that the endpoint is told.
const HEADERS_MAX: usize = 32;

/// Most tokens that one policy remembers.
const CACHE_MAX: u64 = 1_000_000;

/// Longest time that an answer about a token may hold.
const HOLDS_MAX: Span = Span::seconds(3_600);

/// Longest address of an issuer, in bytes.
const URL_BYTES_MAX: usize = 2_048;

pub(super) fn jwt(findings: &mut Findings<'_>, path: &str, policy: &JwtPolicy) {
    source(findings, path, policy);
    if policy.leeway.0 > LEEWAY_MAX {
        let help = "write at most \"10m\"; a token lives so much longer than its issuer meant";
        findings.bad(format!("{path}.leeway"), format!("{} is too much for clocks to differ by", policy.leeway), help);
    }
    if policy.max_lifetime.is_some_and(|most| most.0.as_secs() == 0) {
        findings.bad(
            format!("{path}.max_lifetime"),
            "no token lives less than a second",
            "write a time such as \"1h\"",
        );
    }
    for (field, list) in [("audience", &policy.audience), ("require", &policy.require)] {
        listed(findings, &format!("{path}.{field}"), list);
    }
    findings.within(|| format!("{path}.cache"), u64::from(policy.cache), 0, CACHE_MAX);
    let JwtPolicy { header, query, cookie, realm, .. } = policy;
    places(findings, path, &Places { header, query, cookie, realm });
    let claims = [("consumer_claim", &policy.consumer_claim), ("scopes_claim", &policy.scopes_claim)];
    headers(findings, path, &policy.headers, claims);
    if policy.issuer.is_none() && policy.audience.is_empty() && policy.secret.is_none() {
        let message = "any token of these keys is accepted, whoever it was made for";
        findings.warn(ProblemCode::MissingField, path, message, "write issuer and audience");
    }
}

pub(super) fn oauth2(findings: &mut Findings<'_>, path: &str, policy: &OAuth2Policy) {
    address(findings, format!("{path}.introspection_url"), &policy.introspection_url, policy.insecure);
    if policy.client_id.is_empty() {
        let help = "write the name under which weirgate is registered there";
        findings.bad(format!("{path}.client_id"), "a name without a letter", help);
    }
    if policy.client_secret.0.is_empty() {
        let message = "the issuer answers nobody without a secret";
        findings.bad(format!("{path}.client_secret"), message, "write the one that it gave to weirgate");
    }
    for (field, span) in [("cache", policy.cache), ("negative_cache", policy.negative_cache)] {
        if span > HOLDS_MAX {
            let help = format!("write at most \"{HOLDS_MAX}\"; a revoked token counts so much longer");
            findings.bad(format!("{path}.{field}"), format!("{span} is too long"), help);
        }
    }
    listed(findings, &format!("{path}.audience"), &policy.audience);
    let OAuth2Policy { header, query, cookie, realm, .. } = policy;
    places(findings, path, &Places { header, query, cookie, realm });
    let claims = [("consumer_claim", &policy.consumer_claim), ("scopes_claim", &policy.scopes_claim)];
    headers(findings, path, &policy.headers, claims);
}

fn listed(findings: &mut Findings<'_>, path: &str, list: &[String]) {
    if list.len() > LISTED_MAX {
        findings.bad(path, format!("{} names", list.len()), format!("write at most {LISTED_MAX}"));
    }
    if list.iter().any(String::is_empty) {
        findings.bad(path, "a name without a letter", "leave it out");
    }
}

/// Where the keys come from, and what may be done with them.
fn source(findings: &mut Findings<'_>, path: &str, policy: &JwtPolicy) {
    let given = [
        ("jwks_url", policy.jwks_url.is_some()),
        ("jwks", policy.jwks.is_some()),
        ("public_key", policy.public_key.is_some()),
        ("secret", policy.secret.is_some()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
    let help = "write exactly one of jwks_url, jwks, public_key and secret";
    match given.as_slice() {
        [_] => {}
        [] => findings.problem(ProblemCode::MissingField, path, "there is no key to verify tokens with", help),
        several => {
            let message = format!("keys come from one place, and here are {}: {}", several.len(), several.join(", "));
            findings.problem(ProblemCode::Conflict, path, message, help);
        }
    }
    if let Some(url) = &policy.jwks_url {
        address(findings, format!("{path}.jwks_url"), url, policy.insecure);
    } else if policy.ca.is_some() || policy.insecure {
        let message = "ca and insecure are about jwks_url, which is not written";
        findings.problem(ProblemCode::Conflict, path, message, "leave them out");
    }
    let short = |secret: &crate::model::Secret| secret.stored().is_none() && secret.0.len() < SECRET_BYTES_MIN;
    if policy.secret.as_ref().is_some_and(short) {
        let message = format!("a secret for HMAC has at least {SECRET_BYTES_MIN} bytes, or it can be guessed");
        findings.bad(format!("{path}.secret"), message, "use a long random one: `openssl rand -hex 32`");
    }
    for (index, algorithm) in policy.algorithms.iter().enumerate() {
        fits(findings, format!("{path}.algorithms[{index}]"), policy, *algorithm);
    }
}

fn fits(findings: &mut Findings<'_>, path: String, policy: &JwtPolicy, algorithm: JwtAlgorithm) {
    if algorithm.is_shared() != policy.secret.is_some() {
        let (key, help) = match policy.secret {
            Some(_) => ("a shared secret", "write HS256, HS384 or HS512"),
            None => ("a public key", "write RS256, PS256, ES256, EdDSA or another of their kind"),
        };
        let message = format!("{} cannot be verified with {key}", algorithm.name());
        findings.problem(ProblemCode::Conflict, path, message, help);
    }
}

/// An address that weirgate itself asks.
pub(super) fn address(findings: &mut Findings<'_>, path: String, url: &str, is_insecure: bool) {
    let plain = url.strip_prefix("http://");
    let Some(rest) = url.strip_prefix("https://").or(plain) else {
        findings.bad(path, "this is not an address of a web service", "write https://HOST/PATH");
        return;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_clean = url.len() <= URL_BYTES_MAX && url.bytes().all(|b| b.is_ascii_graphic()) && !url.contains('#');
    if authority.is_empty() || authority.contains('@') || !is_clean {
        let help = "write https://HOST/PATH in visible ASCII, without a user, without '#'";
        findings.bad(path, "this is not an address of a web service", help);
        return;
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if plain.is_some() && !is_here && !is_insecure {
        let message = "whoever stands between here and there could change what http:// brings";
        findings.bad(path, message, "write https://, or insecure = true if the way there is safe");
    }
}

/// Where a token may be, and what is said if there is none.
struct Places<'a> {
    header: &'a Option<String>,
    query: &'a Option<String>,
    cookie: &'a Option<String>,
    realm: &'a str,
}

fn places(findings: &mut Findings<'_>, path: &str, policy: &Places<'_>) {
    if let Some(header) = policy.header {
        field_name(findings, format!("{path}.header"), header);
    }
    if policy.cookie.as_deref().is_some_and(|name| !is_token(name)) {
        findings.bad(format!("{path}.cookie"), "this is not the name of a cookie", "write a name such as \"token\"");
    }
    let query = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"&=#".contains(&b));
    if policy.query.as_deref().is_some_and(|name| !query(name)) {
        let help = "write a name such as \"access_token\"";
        findings.bad(format!("{path}.query"), "this is not the name of a query parameter", help);
    }
    if policy.realm.bytes().any(|b| !(b' '..0x7f).contains(&b) || b == b'"' || b == b'\\') {
        let help = "use visible ASCII without quotes and backslashes";
        findings.bad(format!("{path}.realm"), "this cannot stand in a challenge", help);
    }
}

fn headers(
    findings: &mut Findings<'_>,
    path: &str,
    headers: &BTreeMap<String, String>,
    claims: [(&str, &Option<String>); 2],
) {
    if headers.len() > HEADERS_MAX {
        let message = format!("{} headers", headers.len());
        findings.bad(format!("{path}.headers"), message, format!("write at most {HEADERS_MAX}"));
    }
    for (name, claim) in headers {
        let path = format!("{path}.headers.{}", quoted(name));
        if claim.is_empty() {
            findings.bad(path.clone(), "there is no claim", "write the name of one, such as \"sub\"");
        }
        edited_name(findings, path, name);
    }
    for (field, claim) in claims {
        if claim.as_ref().is_some_and(String::is_empty) {
            findings.bad(format!("{path}.{field}"), "there is no claim", "write the name of one, such as \"sub\"");
        }
    }
}

/// No two consumers are called the same by the same issuer.
pub(super) fn consumers(findings: &mut Findings<'_>) {
    let model = findings.model;
    let mut owners: HashMap<(&str, Option<&str>), &Name> = HashMap::new();
    for (name, consumer) in &model.consumers {
        let Some(jwt) = &consumer.jwt else { continue };
        let path = format!("consumers.{}.jwt.subject", quoted(name.as_str()));
        if jwt.subject.is_empty() {
            findings.bad(path, "a subject without a letter is nobody", "write what the claim of its tokens holds");
            continue;
        }
        if let Some(other) = owners.insert((&jwt.subject, jwt.issuer.as_deref()), name) {
            let message = format!("consumer \"{other}\" has the same subject");
            findings.problem(ProblemCode::Duplicate, path, message, "give each consumer a subject of its own");
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
