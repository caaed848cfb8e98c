// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proofs of consumers and policies that ask for them, right and wrong: each row says what is reported and where.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, BadValue, Conflict, Dangling, Duplicate, MissingField};

/// What all rows stand on: a key, a password and a certificate that can be asked for.
const BASE: &str = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n\
    [routes.base]\nupstream = \"u\"\npolicies = [\"key\", \"pass\", \"card\", \"limit\", \"t\"]\n\
    [policies.key.api_key]\nheader = \"X-Api-Key\"\n[policies.pass.basic]\n[policies.card.mtls]\n\
    [policies.limit.rate_limit]\nper = \"ip\"\nrate = \"1/s\"\n[consumers.public]\n\
    [certificates.site]\nchain = \"-----BEGIN A\"\nkey = \"stored:00\"\n\
    [listeners.web]\naddress = \"127.0.0.1:1\"\nprotocol = \"https\"\ncertificates = [\"site\"]\n\
    client_certificates = { ca = \"-----BEGIN A\" }\n";

#[track_caller]
fn check(text: &str, want: &[(ProblemCode, &str)]) {
    let found = parse_and_check(&format!("{BASE}{text}")).err().unwrap_or_default();
    let seen: Vec<_> = found.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
    assert_eq!(seen, want, "row {text:?}\n{found:#?}");
}

#[test]
fn choices_among_proofs() {
    let row = |policy: &str, want: &[(ProblemCode, &str)]| {
        check(&format!("[policies.t]\nauthenticate = {{ {policy} }}\n"), want)
    };
    let at = "policies.t.authenticate";
    let under = |field: &str| format!("{at}.{field}");
    row("any_of = [\"key\", \"pass\", \"card\"], anonymous = \"public\"", &[]);
    row("any_of = [\"key\"], anonymous = \"public\", anonymous_on = \"failed\"", &[]);
    row("all_of = [\"key\", \"pass\"]", &[]);
    row("", &[(MissingField, at)]);
    row("any_of = [\"key\"], all_of = [\"pass\"]", &[(Conflict, at)]);
    row("any_of = [\"nobody\"]", &[(Dangling, &under("any_of[0]"))]);
    row("any_of = [\"key\", \"limit\"]", &[(Conflict, &under("any_of[1]"))]);
    row("any_of = [\"t\"]", &[(Conflict, &under("any_of[0]"))]);
    row("any_of = [\"key\", \"key\"]", &[(Duplicate, &under("any_of[1]"))]);
    row("any_of = [\"key\"], anonymous = \"nobody\"", &[(Dangling, &under("anonymous"))]);
    row("all_of = [\"key\"], anonymous = \"public\"", &[(Conflict, &under("anonymous"))]);
    row("any_of = [\"key\"], anonymous_on = \"never\"", &[(BadValue, &under("anonymous_on"))]);
}

#[test]
fn proofs_of_consumers() {
    let row = |consumer: &str, want: &[(ProblemCode, &str)]| {
        check(&format!("[policies.t.basic]\n[consumers.c]\n{consumer}\n"), want);
    };
    let hash = crate::model::PasswordHash::new([1; 16], [2; 32]).to_string();
    let user = |rest: &str| format!("basic = [{{ user = \"ana\"{rest} }}]");
    row(&user(", password = \"correct horse\""), &[]);
    row(&user(&format!(", hash = \"{hash}\"")), &[]);
    row(&user(""), &[(MissingField, "consumers.c.basic[0].password")]);
    row(&user(", password = \"short\""), &[(BadValue, "consumers.c.basic[0].password")]);
    row(&user(", password = \"with\\u0000zero\""), &[(BadValue, "consumers.c.basic[0].password")]);
    row(&user(&format!(", password = \"{}\"", "x".repeat(300))), &[(BadValue, "consumers.c.basic[0].password")]);
    row(&user(&format!(", password = \"correct horse\", hash = \"{hash}\"")), &[(Conflict, "consumers.c.basic[0]")]);
    row(&user(", hash = \"$2b$12$abc\""), &[(BadValue, "consumers.c.basic[0].hash")]);
    let costly = hash.replace("m=19456", "m=4000000");
    row(&user(&format!(", hash = \"{costly}\"")), &[(BadValue, "consumers.c.basic[0].hash")]);
    let named = |name: &str| format!("basic = [{{ user = \"{name}\", password = \"correct horse\" }}]");
    row(&named("a:b"), &[(BadValue, "consumers.c.basic[0].user")]);
    row(&named(""), &[(BadValue, "consumers.c.basic[0].user")]);
    let twice = format!("{}\n[consumers.d]\n{}", named("ana"), named("ana"));
    row(&twice, &[(Duplicate, "consumers.d.basic[0]")]);
    let shown = |text: &str| format!("certificates = [{{ {text} }}]");
    let digits = "AB".repeat(32);
    row(&shown(&format!("fingerprint = \"{digits}\"")), &[]);
    row(&shown("fingerprint = \"abc\""), &[(BadValue, "consumers.c.certificates[0].fingerprint")]);
    row(&shown("subject = \"CN=ana, O=Example\\\\, Inc\""), &[]);
    row(&shown("subject = \"ana\""), &[(BadValue, "consumers.c.certificates[0].subject")]);
    row(&shown("san = \"spiffe://example.org/ana\""), &[]);
    row(&shown("san = \"\""), &[(BadValue, "consumers.c.certificates[0].san")]);
    let spelled = format!(
        "{}\n[consumers.d]\ncertificates = [{{ fingerprint = \"{}\" }}]",
        shown(&format!("fingerprint = \"{digits}\"")),
        vec!["ab"; 32].join(":")
    );
    row(&spelled, &[(Duplicate, "consumers.d.certificates[0]")]);
}

#[test]
fn signatures_and_their_keys() {
    let policy = |text: &str, want: &[(ProblemCode, &str)]| {
        check(&format!("[policies.t]\nhttp_signature = {{ {text} }}\n"), want);
    };
    policy("", &[]);
    policy("components = [\"@target-uri\", \"content-type\"], max_age = \"1m\", tag = \"shop\", nonce = true", &[]);
    let first = "policies.t.http_signature.components[0]";
    for bad in ["@status", "Date", "", "content-length", "connection"] {
        policy(&format!("components = [\"{bad}\"]"), &[(BadValue, first)]);
    }
    policy("components = [\"content-digest\"]", &[(ProblemCode::NotSupported, first)]);
    policy("max_age = \"0s\"", &[(BadValue, "policies.t.http_signature.max_age")]);
    let key = |text: &str, want: &[(ProblemCode, &str)]| {
        check(&format!("[policies.t.basic]\n[consumers.c]\nsigning_keys = [{{ {text} }}]\n"), want);
    };
    let at = "consumers.c.signing_keys[0]";
    let under = |field: &str| format!("{at}.{field}");
    key("id = \"k\", algorithm = \"hmac-sha256\", secret = \"0123456789abcdef\"", &[]);
    key("id = \"k\", algorithm = \"ed25519\", public_key = \"-----BEGIN PUBLIC KEY-----\"", &[]);
    key("id = \"k\", algorithm = \"hmac-sha256\", secret = \"short\"", &[(BadValue, &under("secret"))]);
    key("id = \"k\", algorithm = \"ed25519\", public_key = \"key.pem\"", &[(BadValue, &under("public_key"))]);
    key("id = \"k\", algorithm = \"ed25519\"", &[(MissingField, &under("public_key"))]);
    key("id = \"\", algorithm = \"hmac-sha256\", secret = \"0123456789abcdef\"", &[(BadValue, &under("id"))]);
    key(
        "id = \"k\", algorithm = \"hmac-sha256\", secret = \"0123456789abcdef\", public_key = \"x\"",
        &[(Conflict, at)],
    );
}

#[test]
fn certificates_are_asked_for_where_they_can_be_shown() {
    let plain = "[policies.t.basic]\n[listeners.plain]\naddress = \"127.0.0.1:2\"\nprotocol = \"http\"\n";
    check(
        &format!("{plain}client_certificates = {{ ca = \"a.pem\" }}\n"),
        &[(Conflict, "listeners.plain.client_certificates")],
    );
    let tls = plain.replace("\"http\"", "\"https\"\ncertificates = [\"site\"]");
    check(
        &format!("{tls}client_certificates = {{ ca = \" \" }}\n"),
        &[(BadValue, "listeners.plain.client_certificates.ca")],
    );
    check(
        &format!("{tls}client_certificates = {{ ca = \"a.pem\", crl = \"\" }}\n"),
        &[(BadValue, "listeners.plain.client_certificates.crl")],
    );
    let nobody = BASE.replace("client_certificates = { ca = \"-----BEGIN A\" }\n", "[policies.t.basic]\n");
    let (_, warnings) = parse_and_check(&nobody).expect("it is allowed");
    assert!(warnings.iter().any(|warning| warning.path == "policies.card.mtls"), "{warnings:#?}");
}
