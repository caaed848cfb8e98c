// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows for who may, by what a token says of them.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;

use super::{Authorize, ClaimTest, Demand, Names};
use crate::exchange::{self, Client, Fields, Protocol, RequestId, Scheme};
use crate::policy::{Claims, Consumer, Credentials, Identity, Notes, Request};

fn names(any: &[&str], all: &[&str], none: &[&str]) -> Option<Names> {
    let boxed = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
    Some(Names { any: boxed(any), all: boxed(all), none: boxed(none) })
}

fn token(scopes: &[&str], all: &serde_json::Value) -> Identity {
    let scopes = scopes.iter().map(|scope| Box::from(*scope)).collect();
    let all = all.as_object().cloned().unwrap_or_default();
    Identity { claims: Some(Arc::new(Claims { subject: None, scopes, all })), ..Identity::default() }
}

/// What a caller is told, or nothing.
fn asked(always: Demand, mut identity: Identity) -> String {
    let (mut fields, mut notes) = (Fields::new(), Notes::new());
    let [host, path] = ["a.example", "/orders"].map(|text| fields.store(text.as_bytes()));
    let (method, protocol) = (Method::GET, Protocol::Http11);
    let mut head =
        exchange::Request { method, protocol, fields, host, authority: host, path, matched: path, query: None };
    let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
    let mut request = Request {
        head: &mut head,
        id: RequestId(1),
        client: &Client::new(peer, "web".into(), Scheme::Http),
        client_ip: peer.ip(),
        route: 1,
        credentials: &Credentials::build([0; 32], Arc::default(), std::iter::empty()),
        identity: &mut identity,
        notes: &mut notes,
        now_ns: 0,
        now_s: 0,
    };
    let policy = Authorize { name: "may".into(), always, rules: Box::default() };
    policy.check(0, &mut request).map_or_else(|fault| fault.to_string(), |_| String::new())
}

#[test]
fn scopes_and_claims_of_a_token() {
    let with = |scopes| Demand { scopes, ..Demand::default() };
    let claim = |name: &str, values: &[&str]| {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Demand { claims: [ClaimTest::new(name, &values)].into(), ..Demand::default() }
    };
    let ana = || token(&["read", "write"], &serde_json::json!({ "realm_access": { "roles": ["admin"] } }));
    let needs = |scopes: &str| format!("policy may: the token lacks a scope; it needs {scopes}");
    for (row, demand, identity, want) in [
        ("one", with(names(&["read"], &[], &[])), ana(), String::new()),
        ("one of two", with(names(&["x", "write"], &[], &[])), ana(), String::new()),
        ("none of two", with(names(&["x", "y"], &[], &[])), ana(), needs("x y")),
        ("all", with(names(&[], &["read", "write"], &[])), ana(), String::new()),
        ("not all", with(names(&[], &["read", "x"], &[])), ana(), needs("read x")),
        ("quote", with(names(&[], &["a\"b", "x"], &[])), ana(), needs("x")),
        (
            "unwanted",
            with(names(&[], &[], &["write"])),
            ana(),
            "policy may: its set of scopes has write, which may not".to_owned(),
        ),
        (
            "nobody",
            with(names(&["read"], &[], &[])),
            Identity::default(),
            "policy may: somebody has to be known, and nobody is".to_owned(),
        ),
        ("a claim", claim("realm_access.roles", &["ops", "admin"]), ana(), String::new()),
        (
            "another claim",
            claim("realm_access.roles", &["ops"]),
            ana(),
            "policy may: its claim realm_access.roles has none of the values that may".to_owned(),
        ),
        (
            "a claim without a token",
            claim("email", &["a"]),
            Identity { consumer: Some(Arc::new(Consumer::new(1, "ben", &[]))), ..Identity::default() },
            "policy may: its claim email has none of the values that may".to_owned(),
        ),
    ] {
        assert_eq!(asked(demand, identity), want, "row {row}");
    }
}

#[test]
fn everything_that_is_demanded_has_to_hold() {
    let both =
        || Demand { consumers: names(&["ana"], &[], &[]), groups: names(&["staff"], &[], &[]), ..Demand::default() };
    let known = |name: &str, groups: &[&str]| Identity {
        consumer: Some(Arc::new(Consumer::new(1, name, groups))),
        ..Identity::default()
    };
    assert_eq!(asked(both(), known("ana", &["staff"])), "");
    assert_eq!(asked(both(), known("ana", &[])), "policy may: its set of groups is none of staff");
    assert_eq!(asked(both(), known("ben", &["staff"])), "policy may: the consumer is none of ana");
    assert_eq!(asked(Demand::default(), Identity::default()), "");
}
