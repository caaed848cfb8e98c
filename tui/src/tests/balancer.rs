// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts about the load balancer: forms in sections, drains, connections, canaries, and the JSON that each sends.

use serde_json::json;
use weirgate_store::model::Kind;
use weirgate_store::wire::{CanaryVerb, Edit, ErrorReply, OverrideMode};

use super::scripts::{app, form};
use super::{asked, press, write};
use crate::event::{Answer, Ask, Effect, Event};
use crate::form::Level;
use crate::sample;
use crate::update::update;

/// The object that a check asks for.
fn put(effects: &[Effect]) -> (String, serde_json::Value) {
    let Ask::Check { change, .. } = asked(effects) else { panic!("no check") };
    match change.edits.into_iter().next() {
        Some(Edit::Put { name, object, .. }) => (name, object),
        other => panic!("no put: {other:?}"),
    }
}

fn sampled(kind: Kind, name: &str) -> serde_json::Value {
    sample::objects(kind).objects.into_iter().find(|o| o.name == name).unwrap().object
}

#[test]
fn balance_is_chosen_and_a_breaker_switched_on() {
    let mut app = app();
    press(&mut app, "4 down e enter m");
    assert_eq!(form(&app).field("balance").unwrap().current(), "maglev");
    press(&mut app, "esc");
    for _ in 0..11 {
        press(&mut app, "down");
    }
    press(&mut app, "enter right down down");
    write(&mut app, "80%");
    let (name, object) = put(&press(&mut app, "ctrl-s"));
    let mut want = sampled(Kind::Upstream, "shop");
    want["balance"] = json!("maglev");
    want["breaker"] = json!({ "failure_rate": "80%" });
    assert_eq!((name.as_str(), object), ("shop", want));
}

#[test]
fn an_endpoint_is_removed_and_another_made_a_backup() {
    let mut app = app();
    press(&mut app, "4 down e down enter D enter down down right");
    let (_, object) = put(&press(&mut app, "ctrl-s"));
    let mut want = sampled(Kind::Upstream, "shop");
    want["endpoints"] = json!([
        { "address": "10.0.0.12:8080", "weight": 2, "backup": true },
        { "address": "10.0.0.13:8080", "backup": true },
    ]);
    assert_eq!(object, want);
}

#[test]
fn a_row_that_was_added_and_left_empty_is_forgotten() {
    let mut app = app();
    press(&mut app, "4 down e down enter n esc");
    let (_, object) = put(&press(&mut app, "ctrl-s"));
    assert_eq!(object, sampled(Kind::Upstream, "shop"));
}

#[test]
fn a_tcp_listener_is_made() {
    let mut app = app();
    press(&mut app, "8 n");
    write(&mut app, "pg");
    press(&mut app, "down");
    write(&mut app, "0.0.0.0:5432");
    press(&mut app, "down t down down c");
    let (name, object) = put(&press(&mut app, "ctrl-s"));
    let want = json!({ "address": "0.0.0.0:5432", "protocol": "tcp", "upstream": "catalog" });
    assert_eq!((name.as_str(), object), ("pg", want));
}

#[test]
fn names_of_a_tls_listener_are_rows() {
    let mut app = app();
    press(&mut app, "8 down down e down enter n");
    write(&mut app, "*");
    press(&mut app, "down c esc");
    let (_, object) = put(&press(&mut app, "ctrl-s"));
    let mut want = sampled(Kind::Listener, "mail");
    want["sni"]["*"] = json!("catalog");
    assert_eq!(object, want);
}

#[test]
fn a_split_is_made_of_a_route_with_one_upstream() {
    let mut app = app();
    // No upstream, then two sides.
    press(&mut app, "3 down e enter down down down down ctrl-u pgdn pgdn n s down");
    write(&mut app, "9");
    press(&mut app, "esc n c down");
    write(&mut app, "1");
    let (_, object) = put(&press(&mut app, "ctrl-s"));
    let mut want = sampled(Kind::Route, "orders");
    want.as_object_mut().unwrap().remove("upstream");
    want["split"] = json!([{ "upstream": "shop", "weight": 9 }, { "upstream": "catalog", "weight": 1 }]);
    assert_eq!(object, want);
}

#[test]
fn the_problem_of_a_row_stands_at_its_field() {
    let mut app = app();
    press(&mut app, "4 down e down enter enter");
    write(&mut app, "9");
    let ask = asked(&press(&mut app, "ctrl-s"));
    let mut refused = sample::checked();
    refused.problems = vec![
        sample::problem("upstreams.shop.endpoints[1].weight", "too heavy"),
        sample::problem("upstreams.shop.health.http.path", "not a path"),
        sample::problem("upstreams.shop.endpoints", "too many"),
    ];
    sample::answer(&mut app, ask, Answer::Checked(Box::new(refused)));
    let form = form(&app);
    assert_eq!((form.level, form.row, form.fields()[form.at].doc.path), (Level::Row, 1, "weight"));
    assert!(form.field("health.http.path").unwrap().error.is_some());
    assert_eq!(form.sections[1].problems.len(), 1);
}

#[test]
fn a_drain_gets_longer_and_is_cut_only_after_a_yes() {
    let mut app = app();
    press(&mut app, "4 enter down enter");
    let Ask::Override { request, .. } = asked(&press(&mut app, "+")) else { panic!("no override") };
    assert_eq!((request.mode, request.deadline_s, request.expires_s), (OverrideMode::Drain, Some(552), Some(7_160)));
    assert_eq!(request.reason, "kernel update");
    assert!(press(&mut app, "x").is_empty());
    let Ask::Override { request, address, .. } = asked(&press(&mut app, "y")) else { panic!("no override") };
    assert_eq!((address.as_str(), request.deadline_s), ("10.0.1.2:9000", Some(0)));
    press(&mut app, "4 down enter enter x");
    assert!(app.popups.is_empty() && app.notice.as_ref().unwrap().text.contains("not draining"));
}

#[test]
fn a_connection_is_closed_only_after_a_yes() {
    let mut app = app();
    let ask = asked(&press(&mut app, "8 c"));
    assert_eq!(ask, Ask::Connections { listener: None, upstream: None });
    sample::answer(&mut app, ask, Answer::Connections(sample::connections()));
    assert!(press(&mut app, "down K").is_empty());
    let ask = asked(&press(&mut app, "y"));
    assert_eq!(ask, Ask::Kill { id: 19 });
    let effects = update(&mut app, Event::Answered { ask, outcome: Ok(Answer::Killed) });
    assert!(matches!(asked(&effects), Ask::Connections { .. }), "the list is asked for again");
}

#[test]
fn connections_are_asked_for_only_while_somebody_looks() {
    let mut app = app();
    let asks = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Ask(Ask::Connections { .. })));
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(sample::status())));
    press(&mut app, "8 c");
    assert!(asks(&update(&mut app, Event::Tick { now_ms: sample::NOW + 2_000 })));
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(sample::status())));
    press(&mut app, "esc");
    assert!(!asks(&update(&mut app, Event::Tick { now_ms: sample::NOW + 4_000 })));
}

#[test]
fn a_canary_is_started_stopped_and_taken_back() {
    for (key, verb) in
        [("s", CanaryVerb::Start), ("x", CanaryVerb::Stop), ("r", CanaryVerb::Resume), ("b", CanaryVerb::Back)]
    {
        let mut app = app();
        sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(sample::status())));
        press(&mut app, "3 down down enter c");
        let ask = asked(&press(&mut app, key));
        assert_eq!(ask, Ask::Canary { route: "shop-web".into(), verb });
        let effects = update(&mut app, Event::Answered { ask, outcome: Ok(Answer::Canary) });
        assert!(effects.contains(&Effect::Ask(Ask::Status)) && app.popups.is_empty());
    }
    let mut app = app();
    press(&mut app, "3 enter c");
    assert!(app.popups.is_empty() && app.notice.as_ref().unwrap().text.contains("no canary"));
}

#[test]
fn what_the_daemon_does_not_know_yet_is_said_in_its_words() {
    let mut app = app();
    let ask = asked(&press(&mut app, "4 down enter h"));
    let detail = "there is no such path".to_owned();
    let refusal = ErrorReply { status: 404, title: "not found".into(), detail, problems: Vec::new() };
    update(&mut app, Event::Answered { ask, outcome: Err(refusal) });
    let Some((_, Err(why))) = &app.live.timeline else { panic!("not kept") };
    assert_eq!(why, "there is no such path");
}

#[test]
fn a_consumer_gets_another_urgency_and_keeps_its_keys() {
    let mut app = app();
    press(&mut app, "5 e down down down ctrl-u");
    write(&mut app, "0");
    let (_, object) = put(&press(&mut app, "ctrl-s"));
    let mut want = sampled(Kind::Consumer, "acme");
    want["urgency"] = json!(0);
    assert_eq!(object, want);
}
