// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows for policies about tokens: what is refused, and where it stands.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, BadValue, Conflict, Duplicate, MissingField, UnknownField};

const BASE: &str = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.a]\nupstream = \"u\"\n";

/// Rows: a policy, and the code and the place of the one mistake in it; no place is no mistake.
#[track_caller]
fn check(rows: &[(&str, Option<(ProblemCode, &str)>)]) {
    for (policy, want) in rows {
        let text = format!("{BASE}policies = [{{ {policy} }}]\n");
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str(), p.line)).collect();
        let want = want.map(|(code, rest)| (code, format!("routes.a.policies[0].{rest}"), Some(5)));
        let want: Vec<_> = want.iter().map(|(code, path, line)| (*code, path.as_str(), *line)).collect();
        assert_eq!(seen, want, "row {policy}\n{found:#?}");
        assert!(found.iter().all(|p| p.help.is_some() && !p.message.contains("0123456789")), "row {policy}");
    }
}

#[test]
fn keys_of_tokens() {
    let url = "jwks_url = \"https://id.example.com/keys\"";
    let secret = "secret = \"0123456789abcdef0123456789abcdef\"";
    let row = |policy: &str| format!("jwt = {{ {policy} }}");
    let rows = [
        (row(url), None),
        (row(secret), None),
        (row(&format!("{secret}, algorithms = [\"HS256\"]")), None),
        (row(&format!("{url}, algorithms = [\"ES256\", \"EdDSA\"]")), None),
        (row("jwks_url = \"http://localhost:8080/keys\""), None),
        (row("jwks_url = \"http://[::1]:8080/keys\""), None),
        (row("jwks_url = \"http://id.example.com/keys\", insecure = true"), None),
        (row(""), Some((MissingField, "jwt"))),
        (row(&format!("{url}, {secret}")), Some((Conflict, "jwt"))),
        (row(&format!("{url}, algorithms = [\"ES256\", \"HS256\"]")), Some((Conflict, "jwt.algorithms[1]"))),
        (row(&format!("{secret}, algorithms = [\"RS256\"]")), Some((Conflict, "jwt.algorithms[0]"))),
        (row(&format!("{url}, algorithms = [\"none\"]")), Some((BadValue, "jwt.algorithms[0]"))),
        (row("secret = \"0123456789\""), Some((BadValue, "jwt.secret"))),
        (row(&format!("{secret}, ca = \"-----BEGIN CERTIFICATE\"")), Some((Conflict, "jwt"))),
        (row("jwks_url = \"http://id.example.com/keys\""), Some((BadValue, "jwt.jwks_url"))),
        (row("jwks_url = \"ftp://id/keys\""), Some((BadValue, "jwt.jwks_url"))),
        (row("jwks_url = \"https://user@id/keys\""), Some((BadValue, "jwt.jwks_url"))),
        (row("jwks_url = \"https:///keys\""), Some((BadValue, "jwt.jwks_url"))),
        (row("jwks_url = \"http://localhost.example.com/keys\""), Some((BadValue, "jwt.jwks_url"))),
        (row(&format!("{url}, leeway = \"11m\"")), Some((BadValue, "jwt.leeway"))),
        (row(&format!("{url}, audience = [\"\"]")), Some((BadValue, "jwt.audience"))),
        (row(&format!("{url}, header = \"a b\"")), Some((BadValue, "jwt.header"))),
        (row(&format!("{url}, cookie = \"a;b\"")), Some((BadValue, "jwt.cookie"))),
        (row(&format!("{url}, realm = 'a\"b'")), Some((BadValue, "jwt.realm"))),
        (row(&format!("{url}, headers = {{ Host = \"sub\" }}")), Some((BadValue, "jwt.headers.Host"))),
        (row(&format!("{url}, headers = {{ X-User = \"\" }}")), Some((BadValue, "jwt.headers.X-User"))),
        (row(&format!("{url}, cache = 1000001")), Some((BadValue, "jwt.cache"))),
        (row(&format!("{url}, audiences = []")), Some((UnknownField, "jwt.audiences"))),
    ];
    check(&rows.iter().map(|(policy, want)| (policy.as_str(), *want)).collect::<Vec<_>>());
}

#[test]
fn issuers_that_are_asked() {
    let asked = "client_id = \"w\", client_secret = \"s\"";
    let row = |policy: &str| format!("oauth2 = {{ {policy} }}");
    let url = format!("introspection_url = \"https://id/introspect\", {asked}");
    let rows = [
        (row(&url), None),
        (row(&format!("introspection_url = \"http://127.0.0.1:1/\", {asked}")), None),
        (row(&format!("introspection_url = \"http://id/\", {asked}")), Some((BadValue, "oauth2.introspection_url"))),
        (row(asked), Some((MissingField, "oauth2.introspection_url"))),
        (row("introspection_url = \"https://id/\", client_id = \"w\""), Some((MissingField, "oauth2.client_secret"))),
        (row(&format!("{url}, cache = \"2h\"")), Some((BadValue, "oauth2.cache"))),
        (row(&format!("{url}, negative_cache = \"2h\"")), Some((BadValue, "oauth2.negative_cache"))),
    ];
    check(&rows.iter().map(|(policy, want)| (policy.as_str(), *want)).collect::<Vec<_>>());
}

#[test]
fn what_tokens_call_consumers() {
    let two =
        |one: &str, other: &str| format!("[consumers.a]\njwt = {{ {one} }}\n[consumers.b]\njwt = {{ {other} }}\n");
    for (text, want) in [
        (two("subject = \"x\"", "subject = \"y\""), None),
        (two("subject = \"x\", issuer = \"i\"", "subject = \"x\", issuer = \"j\""), None),
        (two("subject = \"x\"", "subject = \"x\", issuer = \"j\""), None),
        (two("subject = \"x\"", "subject = \"x\""), Some((Duplicate, "consumers.b.jwt.subject"))),
        (two("subject = \"\"", "subject = \"x\""), Some((BadValue, "consumers.a.jwt.subject"))),
        (two("issuer = \"x\"", "subject = \"x\""), Some((MissingField, "consumers.a.jwt.subject"))),
    ] {
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
        assert_eq!(seen, want.into_iter().collect::<Vec<_>>(), "row {text}");
    }
}

/// The secret is written once; what is stored holds a name of it.
#[test]
fn a_secret_is_never_written_out_or_printed() {
    let text = "[policies.p]\njwt = { secret = \"0123456789abcdef0123456789abcdef\" }\n";
    let (model, _) = parse_and_check(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(!format!("{model:?}").contains("0123456789"), "{model:?}");
}
