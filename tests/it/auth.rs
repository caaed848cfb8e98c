// SPDX-License-Identifier: MIT OR Apache-2.0
//! `api_key` and header policies end to end: what is refused, what the endpoint is told, what it never sees.

use crate::support::client::{get, values};
use crate::support::gateway::{KEY_SECRET, Running, WEB, upstream};
use crate::support::origin::Origin;

const KEY: &str = "alice-secret-0123456789abcdef";

const OTHER: &str = "bob-secret-0123456789abcdefgh";

fn config(policy: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ api_key = {{ {policy} }} }}]\n\
         [consumers.alice]\ngroups = [\"gold\", \"eu\"]\napi_keys = [{{ secret = \"{KEY}\" }}]\n\
         [consumers.bob]\napi_keys = [{{ secret = \"{OTHER}\" }}]\n",
        upstream("shop", &[origin.address()])
    )
}

#[test]
fn where_a_key_may_be_and_what_is_refused() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("header = \"X-Api-Key\", query = \"key\", cookie = \"key\"", &origin));
    let rows = [
        (200, "a header", "/".to_owned(), format!("X-Api-Key: {KEY}\r\n")),
        (200, "a header in other letters", "/".to_owned(), format!("x-API-key:   {KEY}  \r\n")),
        (200, "a query", format!("/?a=b&key={KEY}&c=d"), String::new()),
        (200, "a cookie", "/".to_owned(), format!("Cookie: a=b; key={KEY}; c=d\r\n")),
        (401, "no key", "/".to_owned(), String::new()),
        (401, "an empty key", "/".to_owned(), "X-Api-Key: \r\n".to_owned()),
        (401, "a wrong key", "/".to_owned(), "X-Api-Key: guess\r\n".to_owned()),
        (401, "a key with a tail", "/".to_owned(), format!("X-Api-Key: {KEY}x\r\n")),
        (401, "a key without its end", "/".to_owned(), format!("X-Api-Key: {}\r\n", &KEY[..20])),
        (401, "a key in other letters", "/".to_owned(), format!("X-Api-Key: {}\r\n", KEY.to_uppercase())),
        (401, "two headers", "/".to_owned(), format!("X-Api-Key: {KEY}\r\nX-Api-Key: {OTHER}\r\n")),
        (401, "two equal headers", "/".to_owned(), format!("X-Api-Key: {KEY}\r\nX-Api-Key: {KEY}\r\n")),
        (401, "header and query", format!("/?key={OTHER}"), format!("X-Api-Key: {KEY}\r\n")),
        (401, "two in the query", format!("/?key={KEY}&key={OTHER}"), String::new()),
        (401, "two cookies", "/".to_owned(), format!("Cookie: key={KEY}\r\nCookie: key={OTHER}\r\n")),
        (401, "named away", "/".to_owned(), format!("Connection: X-Api-Key\r\nX-Api-Key: {KEY}\r\n")),
        (401, "a claim instead of a key", "/".to_owned(), "X-Consumer-Username: alice\r\n".to_owned()),
        (401, "a huge key", "/".to_owned(), format!("X-Api-Key: {}\r\n", "k".repeat(9000))),
    ];
    for (status, row, target, fields) in rows {
        let reached = origin.heads().len();
        let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(reply.status, status, "row {row}: {}", reply.text());
        if status == 401 {
            assert_eq!(origin.heads().len(), reached, "row {row} reached the endpoint");
            assert!(reply.one("www-authenticate").starts_with("Key realm="), "row {row}: {}", reply.head);
            assert!(!reply.text().contains(KEY), "row {row}");
            continue;
        }
        let head = origin.head();
        assert!(!head.contains(KEY), "row {row}: the endpoint sees the key: {head}");
        assert_eq!(values(&head, "x-consumer-username"), ["alice"], "row {row}");
        assert_eq!(values(&head, "x-consumer-groups"), ["gold,eu"], "row {row}");
    }
    // What is not the key stays.
    gateway.ask(&format!("GET /?a=b&key={KEY}&c=d HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(origin.head().starts_with("GET /?a=b&c=d HTTP/1.1\r\n"), "{}", origin.head());
    gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; key={KEY}; c=d\r\n\r\n"));
    assert_eq!(origin.field("cookie"), ["a=b; c=d"]);
}

#[test]
fn nobody_says_who_he_is_but_by_a_key() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("header = \"X-Api-Key\", hide = false", &origin));
    let reply = gateway.ask(&format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {OTHER}\r\nX-Consumer-Username: alice\r\nX_Consumer_Username: alice\r\n\
         X-Consumer-Groups: admin\r\nX-Credential-Identifier: 1\r\n\r\n"
    ));
    assert_eq!(reply.status, 200);
    let head = origin.head();
    assert_eq!(values(&head, "x-consumer-username"), ["bob"]);
    assert_eq!(values(&head, "x-api-key"), [OTHER], "shown because the policy says so");
    assert!(!head.contains("alice") && !head.contains("admin") && !head.contains("Identifier"), "{head}");
}

#[test]
fn keys_are_issued_and_revoked_while_it_runs() {
    use weirgate::config::consumers::Issued;
    let origin = Origin::plain();
    let gateway = Running::start(&config("header = \"X-Api-Key\"", &origin));
    let ask = |key: &str| gateway.ask(&get("/").replace("\r\n\r\n", &format!("\r\nX-Api-Key: {key}\r\n\r\n"))).status;
    let key = "issued-just-now-0123456789";
    assert_eq!((ask(key), ask(KEY)), (401, 200));
    // What was used is noted by how its hash begins; what was refused is not.
    let begins = |key: &str| {
        let hash = weirgate::policy::hash_of(&KEY_SECRET, key.as_bytes());
        u64::from_be_bytes(hash[..8].try_into().unwrap())
    };
    let used = gateway.gateway.keys_used(0);
    assert_eq!(used.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [begins(KEY)]);
    let hash = weirgate::policy::hash_of(&KEY_SECRET, key.as_bytes());
    gateway.gateway.issue(&[Issued { hash, consumer: "bob".parse().unwrap(), expires_s: None }]);
    assert_eq!(ask(key), 200);
    assert_eq!(origin.field("x-consumer-username"), ["bob"]);
    // It outlives a change, and a change does not bring it back once it is revoked.
    gateway.apply(&config("header = \"X-Api-Key\", realm = \"other\"", &origin));
    assert_eq!(ask(key), 200);
    gateway.gateway.revoke(hash);
    gateway.apply(&config("header = \"X-Api-Key\"", &origin));
    assert_eq!((ask(key), ask(KEY)), (401, 200));
    // An expired one never counts; one whose consumer is gone neither.
    gateway.gateway.issue(&[Issued { hash, consumer: "bob".parse().unwrap(), expires_s: Some(1) }]);
    assert_eq!(ask(key), 401);
    gateway.gateway.issue(&[Issued { hash, consumer: "nobody".parse().unwrap(), expires_s: None }]);
    assert_eq!(ask(key), 401);
}

#[test]
fn header_policies_of_requests_and_replies() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: old/1.0\r\nX-Internal: 1\r\nX-Add: a\r\n\r\nok",
    );
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [\
         {{ request_headers = {{ remove = [\"X-Internal\"], set = {{ \"X-Edge\" = \"weirgate\" }}, add = {{ \"X-Add\" = \"b\" }} }} }},\
         {{ reply_headers = {{ remove = [\"X-Internal\", \"Server\"], set = {{ \"X-Edge\" = \"weirgate\" }}, add = {{ \"X-Add\" = \"b\" }} }} }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let reply =
        gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nx-internal: 1\r\nX-Edge: me\r\nX-EDGE: me too\r\nX-Add: a\r\n\r\n");
    for (side, head) in [("request", &origin.head()), ("reply", &reply.head)] {
        assert_eq!(values(head, "x-internal"), Vec::<String>::new(), "{side}");
        assert_eq!(values(head, "x-edge"), ["weirgate"], "{side}");
        assert_eq!(values(head, "x-add"), ["a", "b"], "{side}");
    }
    assert_eq!(reply.one("server"), "");
}
