// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rate_limit` end to end: exact across workers, fields on every reply, a refusal that says when and costs nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

fn config(policy: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[policies.gold]\nrate_limit = {{ {policy} }}\n[routes.all]\nupstream = \"shop\"\npolicies = [\"gold\"]\n",
        upstream("shop", &[origin.address()])
    )
}

#[test]
fn what_a_client_is_told() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("per = \"ip\", rate = \"3/h\"", &origin));
    for left in [2, 1, 0] {
        let reply = gateway.get("/");
        assert_eq!(reply.status, 200);
        assert!(reply.one("ratelimit").starts_with(&format!("\"gold\";r={left};t=")), "{}", reply.head);
        assert!(reply.one("ratelimit-policy").starts_with("\"gold\";q=3;w=3600"), "{}", reply.head);
    }
    for _ in 0..5 {
        let reply = gateway.get("/");
        assert_eq!(reply.status, 429);
        assert!(reply.one("ratelimit").starts_with("\"gold\";r=0;t="), "{}", reply.head);
        let wait: u32 = reply.one("retry-after").parse().unwrap();
        assert!((1190..=1200).contains(&wait), "a third of an hour, not charged again: {wait}");
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["violated-policies"], serde_json::json!(["gold"]));
    }
    assert_eq!(origin.heads().len(), 3, "a refused request reached the endpoint");
}

/// However many connections on however many workers ask at once: as many as allowed get through, not one more or less.
#[test]
fn the_count_is_exact_across_workers() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("per = \"route\", rate = \"100/h\"", &origin));
    let (web, granted) = (gateway.web(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = Client::to(web);
                for _ in 0..20 {
                    client.say(get("/"));
                    match client.reply().status {
                        200 => _ = granted.fetch_add(1, Ordering::SeqCst),
                        status => assert_eq!(status, 429),
                    }
                }
            });
        }
    });
    assert_eq!((granted.into_inner(), origin.heads().len()), (100, 100));
}

#[test]
fn what_it_is_counted_by() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("per = { header = \"X-Tenant\" }, rate = \"2/h\"", &origin));
    let ask = |tenant: &str| gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: {tenant}\r\n\r\n")).status;
    assert_eq!([ask("a"), ask("a"), ask("a"), ask("b"), ask("b"), ask("b")], [200, 200, 429, 200, 200, 429]);
    // A change of something else forgets nothing.
    gateway.apply(
        &config("per = { header = \"X-Tenant\" }, rate = \"2/h\"", &origin)
            .replace("[routes.all]", "[routes.all]\nmax_body = \"1MiB\""),
    );
    assert_eq!((ask("a"), ask("c")), (429, 200));
}

#[test]
fn a_consumer_has_one_count_wherever_it_comes_from() {
    let origin = Origin::plain();
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\n\
         policies = [{{ rate_limit = {{ per = \"consumer\", rate = \"2/h\" }} }}, {{ api_key = {{ header = \"X-Api-Key\" }} }}]\n\
         [consumers.alice]\napi_keys = [{{ secret = \"alice-one-0123456789abcdef\" }}, {{ secret = \"alice-two-0123456789abcdef\" }}]\n\
         [consumers.bob]\napi_keys = [{{ secret = \"bob-one-0123456789abcdefgh\" }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let ask = |key: &str| gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n")).status;
    let (one, two, bob) = ("alice-one-0123456789abcdef", "alice-two-0123456789abcdef", "bob-one-0123456789abcdefgh");
    assert_eq!([ask(one), ask(two), ask(one), ask(bob), ask("wrong")], [200, 200, 429, 200, 401]);
}
