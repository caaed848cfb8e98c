// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies that authenticate and for what consumers prove themselves by. No message here repeats a secret.

use std::collections::HashMap;

use super::Findings;
use super::listen::not_zero;
use super::spelling::{is_framing, is_token};
use crate::model::{
    AnonymousOn, AuthenticatePolicy, BasicCredential, CertificateMatch, Consumer, HttpSignaturePolicy, Kind,
    MtlsPolicy, Name, PEM, PasswordHash, STORED, SignatureAlgorithm, SigningKey,
};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most policies that one `authenticate` names.
const METHODS_MAX: usize = 8;

/// Shortest password that is taken (NIST SP 800-63B section 5.1.1.1).
const PASSWORD_CHARS_MIN: usize = 8;

/// Longest user, colon and password, as the daemon reads them.
const BASIC_BYTES_MAX: usize = 256;

/// Most users, and most certificates, of one consumer.
const PROOFS_MAX: usize = 1_000;

/// Shortest shared secret of signatures.
const SECRET_BYTES_MIN: usize = 16;

/// Most components that a signature must cover.
const COMPONENTS_MAX: usize = 64;

/// Components that are no fields (RFC 9421 section 2.2).
const DERIVED: [&str; 7] = ["@method", "@authority", "@scheme", "@target-uri", "@request-target", "@path", "@query"];

/// Longest subject or alternative name.
const NAME_BYTES_MAX: usize = 1_024;

/// Hexadecimal digits of a SHA-256.
const FINGERPRINT_DIGITS: usize = 64;

/// One `authenticate`.
pub(super) fn authenticate(findings: &mut Findings<'_>, path: &str, policy: &AuthenticatePolicy) {
    let (field, methods) = match (policy.any_of.as_slice(), policy.all_of.as_slice()) {
        ([], []) => {
            let help =
                "write any_of = [\"NAME\", …] or all_of = [\"NAME\", …] with names of policies that authenticate";
            return findings.problem(ProblemCode::MissingField, path, "this asks for nothing", help);
        }
        (any_of, []) => ("any_of", any_of),
        ([], all_of) => ("all_of", all_of),
        _ => {
            let help = "write one of them; policies that stand in the route one after the other are all asked for";
            return findings.problem(ProblemCode::Conflict, path, "any_of and all_of exclude each other", help);
        }
    };
    if methods.len() > METHODS_MAX {
        findings.bad(
            format!("{path}.{field}"),
            format!("{} policies", methods.len()),
            format!("at most {METHODS_MAX}"),
        );
    }
    for (index, name) in methods.iter().enumerate() {
        method(
            findings,
            format!("{path}.{field}[{index}]"),
            name,
            methods.iter().take(index).any(|other| other == name),
        );
    }
    if let Some(anonymous) = &policy.anonymous {
        findings.refers(|| format!("{path}.anonymous"), Kind::Consumer, anonymous);
        if field == "all_of" {
            let help = "use any_of, which may name a single policy";
            findings.problem(
                ProblemCode::Conflict,
                format!("{path}.anonymous"),
                "nobody is anonymous with all_of",
                help,
            );
        }
    } else if policy.anonymous_on != AnonymousOn::Missing {
        let help = "write anonymous = \"CONSUMER\", or leave anonymous_on out";
        findings.warn(ProblemCode::Conflict, format!("{path}.anonymous_on"), "nobody is anonymous here", help);
    }
}

/// One policy that an `authenticate` names.
fn method(findings: &mut Findings<'_>, path: String, name: &Name, again: bool) {
    findings.refers(|| path.clone(), Kind::Policy, name);
    let Some(policy) = findings.model.policies.get(name) else { return };
    let kind = policy.kind();
    if kind == "authenticate" {
        let help = "name the policies that it names; authenticate does not nest";
        findings.problem(ProblemCode::Conflict, path, format!("\"{name}\" is itself an authenticate policy"), help);
    } else if !policy.authenticates() {
        let help = "name policies such as api_key, basic or mtls";
        findings.problem(ProblemCode::Conflict, path, format!("\"{name}\" ({kind}) does not find out who calls"), help);
    } else if again {
        findings.problem(ProblemCode::Duplicate, path, format!("\"{name}\" stands here twice"), "name it once");
    }
}

/// One `mtls`: somebody has to ask for the certificate.
pub(super) fn mtls(findings: &mut Findings<'_>, path: &str, policy: &MtlsPolicy) {
    realm(findings, path, &policy.realm);
    if findings.model.listeners.values().all(|listener| listener.client_certificates.is_none()) {
        let help = "write client_certificates = { ca = \"clients.pem\" } at an https listener";
        findings.warn(ProblemCode::Conflict, path, "no listener asks clients for a certificate", help);
    }
}

/// What can stand in a quoted string of a challenge.
pub(super) fn realm(findings: &mut Findings<'_>, path: &str, realm: &str) {
    if realm.bytes().any(|b| !(b' '..0x7f).contains(&b) || b == b'"' || b == b'\\') {
        let help = "use visible ASCII without quotes and backslashes";
        findings.bad(format!("{path}.realm"), "this cannot stand in a challenge", help);
    }
}

/// What the consumers prove themselves by, besides API keys.
pub(super) fn consumers(findings: &mut Findings<'_>) {
    let model = findings.model;
    let mut owners: HashMap<String, &Name> = HashMap::new();
    for (name, consumer) in &model.consumers {
        let at = |field: &str| format!("consumers.{}.{field}", quoted(name.as_str()));
        bounded(findings, name, consumer);
        for (index, credential) in consumer.basic.iter().enumerate() {
            let path = at(&format!("basic[{index}]"));
            basic(findings, &path, credential);
            owned(findings, &mut owners, name, path, format!("user \"{}\"", credential.user.escape_debug()));
        }
        for (index, key) in consumer.signing_keys.iter().enumerate() {
            let path = at(&format!("signing_keys[{index}]"));
            signing_key(findings, &path, key);
            owned(findings, &mut owners, name, path, format!("signing key \"{}\"", key.id.escape_debug()));
        }
        for (index, shown) in consumer.certificates.iter().enumerate() {
            let path = at(&format!("certificates[{index}]"));
            if let Some(identity) = certificate(findings, &path, shown) {
                owned(findings, &mut owners, name, path, identity);
            }
        }
    }
}

fn bounded(findings: &mut Findings<'_>, name: &Name, consumer: &Consumer) {
    for (field, count) in [
        ("basic", consumer.basic.len()),
        ("certificates", consumer.certificates.len()),
        ("signing_keys", consumer.signing_keys.len()),
    ] {
        if count > PROOFS_MAX {
            let path = format!("consumers.{}.{field}", quoted(name.as_str()));
            findings.bad(path, format!("{count} of them"), format!("at most {PROOFS_MAX} for one consumer"));
        }
    }
}

/// Each proof belongs to one consumer, or it would not say who calls.
fn owned<'a>(
    findings: &mut Findings<'a>,
    owners: &mut HashMap<String, &'a Name>,
    name: &'a Name,
    path: String,
    identity: String,
) {
    if let Some(other) = owners.get(&identity) {
        let message = if *other == name {
            format!("{identity} stands here twice")
        } else {
            format!("consumer \"{other}\" has {identity}, too")
        };
        return findings.problem(ProblemCode::Duplicate, path, message, "give it to one consumer");
    }
    owners.insert(identity, name);
}

fn basic(findings: &mut Findings<'_>, path: &str, credential: &BasicCredential) {
    let is_text = |text: &str| !text.chars().any(char::is_control);
    let user = &credential.user;
    if user.is_empty() || user.contains(':') || !is_text(user) {
        let message = "a user is not empty and has no colon and no control character";
        findings.bad(format!("{path}.user"), message, "write a name such as \"ana\" (RFC 7617 section 2)");
    }
    match (&credential.password, &credential.hash) {
        (None, None) => {
            let help = "write password = \"…\" with at least 8 characters";
            findings.problem(ProblemCode::MissingField, format!("{path}.password"), "the user has no password", help);
        }
        (Some(_), Some(_)) => {
            let message = "a user has a password or the hash of one, not both";
            findings.problem(ProblemCode::Conflict, path, message, "leave hash out to set a new password");
        }
        (Some(password), None) => {
            let path = format!("{path}.password");
            if password.chars().count() < PASSWORD_CHARS_MIN {
                let message = format!("a password has at least {PASSWORD_CHARS_MIN} characters");
                findings.bad(path, message, "use a longer one");
            } else if user.len() + 1 + password.len() > BASIC_BYTES_MAX {
                let message = format!("user and password have more than {BASIC_BYTES_MAX} bytes together");
                findings.bad(path, message, "use a shorter one");
            } else if !is_text(password) {
                let message = "a password has no control characters, or no client could send it";
                findings.bad(path, message, "use visible characters");
            }
        }
        (None, Some(hash)) => {
            if let Err(why) = hash.parse::<PasswordHash>() {
                let message = format!("this is no hash of a password that can be used: {why}");
                findings.bad(format!("{path}.hash"), message, "write the password, and let apply make the hash");
            }
        }
    }
}

fn signing_key(findings: &mut Findings<'_>, path: &str, key: &SigningKey) {
    let visible = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if key.id.is_empty() || key.id.len() > NAME_BYTES_MAX || !visible(&key.id) {
        let message = "the id of a key is visible ASCII and not empty";
        findings.bad(format!("{path}.id"), message, "write the keyid that its signatures name");
    }
    let is_shared = key.algorithm == SignatureAlgorithm::HmacSha256;
    let (field, other, wanted) =
        if is_shared { ("secret", &key.public_key, &key.secret) } else { ("public_key", &key.secret, &key.public_key) };
    if other.is_some() {
        let help = "hmac-sha256 has a secret, all others have a public_key";
        findings.problem(ProblemCode::Conflict, path, format!("this algorithm uses a {field} only"), help);
    }
    match wanted.as_deref() {
        None => {
            let help = "hmac-sha256 has a secret, all others have a public_key";
            findings.problem(ProblemCode::MissingField, format!("{path}.{field}"), "the key is missing", help);
        }
        Some(text) if is_shared && text.len() < SECRET_BYTES_MIN && !text.starts_with(STORED) => {
            let message = format!("a secret has at least {SECRET_BYTES_MIN} bytes");
            findings.bad(format!("{path}.secret"), message, "use a long random one: `openssl rand -base64 32`");
        }
        Some(text) if !is_shared && !text.trim_start().starts_with(PEM) => {
            let message = "this is not PEM text";
            findings.bad(format!("{path}.public_key"), message, "write the text from -----BEGIN PUBLIC KEY----- on");
        }
        Some(_) => {}
    }
}

/// One `http_signature`.
pub(super) fn http_signature(findings: &mut Findings<'_>, path: &str, policy: &HttpSignaturePolicy) {
    realm(findings, path, &policy.realm);
    not_zero(findings, || format!("{path}.max_age"), policy.max_age);
    if policy.components.len() > COMPONENTS_MAX {
        findings.bad(format!("{path}.components"), "too many components", format!("at most {COMPONENTS_MAX}"));
    }
    for (index, component) in policy.components.iter().enumerate() {
        let at = || format!("{path}.components[{index}]");
        let is_field = is_token(component) && !component.bytes().any(|byte| byte.is_ascii_uppercase());
        if component == "content-length" || (is_framing(component) && component != "host") {
            let message = format!("\"{component}\" frames the message and is not there to be compared");
            findings.bad(at(), message, "leave it out");
        } else if component == "content-digest" {
            let message = "nobody here compares a body with its digest yet, so this would promise too much";
            findings.problem(ProblemCode::NotSupported, at(), message, "leave it out, and have the endpoint check it");
        } else if !DERIVED.contains(&component.as_str()) && !is_field {
            let help = format!("write a field name in lower case, or one of {}", DERIVED.join(", "));
            findings.bad(at(), format!("\"{}\" is not a component", component.escape_debug()), help);
        }
    }
}

/// What is shown, in the one form that it is compared by; none if it cannot be used.
fn certificate(findings: &mut Findings<'_>, path: &str, shown: &CertificateMatch) -> Option<String> {
    match shown {
        CertificateMatch::Fingerprint(text) => {
            let digits: String = text.chars().filter(|c| *c != ':').collect();
            if digits.len() != FINGERPRINT_DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                let help = "`openssl x509 -in FILE -noout -fingerprint -sha256` prints it";
                findings.bad(format!("{path}.fingerprint"), "a fingerprint is 64 hexadecimal digits", help);
                return None;
            }
            Some(format!("fingerprint {}", digits.to_ascii_lowercase()))
        }
        CertificateMatch::Subject(text) => {
            // A comma after a backslash belongs to its part (RFC 4514 section 2.4).
            let parts = text.replace("\\,", "").split(',').all(|part| part.contains('='));
            if text.len() > NAME_BYTES_MAX || !parts {
                let help = "write the whole subject, such as \"CN=alice, O=Example\"";
                findings.bad(format!("{path}.subject"), "this is not the subject of a certificate", help);
                return None;
            }
            Some(format!("subject {text}"))
        }
        CertificateMatch::San(text) => {
            if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(|c| c.is_control() || c == ' ') {
                let help =
                    "write a DNS name, an address, an e-mail address or a URI such as \"spiffe://example.org/api\"";
                findings.bad(format!("{path}.san"), "this is not an alternative name of a certificate", help);
                return None;
            }
            Some(format!("alternative name {text}"))
        }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
