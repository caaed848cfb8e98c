// SPDX-License-Identifier: MIT OR Apache-2.0
//! A route with several upstreams: each side gets its share, the same caller stays on its side, testers choose theirs,
//! and the record says which side it was and why.

use std::collections::HashMap;

use weirgate_store::wire::ExplainRequest;

use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

/// Requests of one distribution.
const REQUESTS: u32 = 400;

/// A route over `old` and `new` with these weights, and with this text behind them.
fn config(old: &Origin, new: &Origin, weights: [u32; 2], settings: &str) -> String {
    let [one, two] = weights;
    format!(
        "{WEB}{}{}[routes.all]\nsplit = [{{ upstream = \"old\", weight = {one} }}, {{ upstream = \"new\", weight = {two} }}]\n{settings}\n",
        upstream("old", &[old.address()]),
        upstream("new", &[new.address()]),
    )
}

fn as_user(user: u32) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: user-{user}\r\n\r\n")
}

fn origins() -> (Origin, Origin) {
    (Origin::named("old"), Origin::named("new"))
}

#[test]
fn each_side_gets_its_share_by_chance() {
    let (old, new) = origins();
    let gateway = Running::start(&config(&old, &new, [3, 1], ""));
    let mut client = gateway.connect();
    let mut counts = HashMap::<String, u32>::new();
    for _ in 0..REQUESTS {
        client.say(crate::support::client::get("/"));
        *counts.entry(client.reply().text()).or_default() += 1;
    }
    // Five standard deviations around a quarter of them.
    assert!((57..=143).contains(&counts["new"]), "{counts:?}");
    for weights in [[1, 0], [0, 1]] {
        gateway.apply(&config(&old, &new, weights, ""));
        let expected = if weights[0] > 0 { "old" } else { "new" };
        assert!((0..20).all(|_| gateway.get("/").text() == expected), "{weights:?}");
    }
}

#[test]
fn the_same_caller_stays_on_its_side_and_a_rising_share_gives_none_back() {
    let (old, new) = origins();
    let by = "split_by = { header = \"X-User\" }";
    let gateway = Running::start(&config(&old, &new, [90, 10], by));
    let ask = |client: &mut crate::support::client::Client| -> Vec<bool> {
        (0..REQUESTS)
            .map(|user| {
                client.say(as_user(user));
                client.reply().text() == "new"
            })
            .collect()
    };
    let mut client = gateway.connect();
    let mut before = ask(&mut client);
    assert_eq!(before, ask(&mut gateway.connect()), "on any connection and worker");
    assert!((10..=80).contains(&before.iter().filter(|new| **new).count()), "about a tenth of them");
    for share in [30, 60, 100] {
        gateway.apply(&config(&old, &new, [100 - share, share], by));
        let after = ask(&mut client);
        assert!(before.iter().zip(&after).all(|(was, is)| !was || *is), "somebody went back at {share}%");
        before = after;
    }
    assert!(before.iter().all(|new| *new));
}

#[test]
fn a_tester_names_its_side_and_the_endpoint_does_not_see_that() {
    let (old, new) = origins();
    let gateway = Running::start(&config(&old, &new, [1, 0], "testers = \"X-Side\""));
    for (value, expected) in [("new", "new"), ("old", "old"), ("NEW", "old"), ("nobody", "old"), ("", "old")] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Side: {value}\r\nX-Other: y\r\n\r\n");
        assert_eq!(gateway.ask(&request).text(), expected, "row {value:?}");
        let origin = if expected == "new" { &new } else { &old };
        assert!(origin.field("x-side").is_empty(), "row {value:?}");
        assert_eq!(origin.field("x-other"), ["y"], "row {value:?}");
    }
    assert_eq!(gateway.get("/").text(), "old");
}

#[test]
fn explain_and_record_say_which_side_and_why() {
    let (old, _new) = origins();
    let absent = Origin::absent();
    let gateway = Running::start(&format!(
        "{WEB}{}{}[routes.all]\nsplit = [{{ upstream = \"old\", weight = 1 }}, {{ upstream = \"new\", weight = 0 }}]\ntesters = \"X-Side\"\n",
        upstream("old", &[old.address()]),
        upstream("new", &[absent]),
    ));
    let explain = |side: Option<&str>| {
        use weirgate::control::seam::Appliance as _;
        let headers = side.map(|side| ("X-Side".to_owned(), side.to_owned())).into_iter().collect();
        let request = ExplainRequest { method: "GET".into(), url: "http://a/".into(), headers, client: None };
        gateway.gateway.explain(&request).expect("it is a request")
    };
    let reply = explain(None);
    let step = reply.steps.iter().find(|step| step.stage == "split").expect("there is a split");
    assert_eq!(step.decision, "old (1 of 1), by chance");
    assert_eq!(step.details, ["old has 1", "new has 0"]);
    assert_eq!(reply.upstream.as_deref(), Some("old"));
    assert!(explain(Some("new")).steps.iter().any(|step| step.decision == "new, which a tester named"));
    let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nX-Side: new\r\n\r\n");
    assert_eq!(reply.status, 502);
    let record = gateway.failure("connect-failed");
    assert_eq!(record.upstream.as_deref(), Some("new"));
    assert!(record.why.iter().any(|line| line == "split: new, which a tester named"), "{:?}", record.why);
}
