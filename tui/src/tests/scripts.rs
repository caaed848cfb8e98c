// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts: keys and answers in the order an operator meets them, and what the console asks of the world.

use serde_json::json;
use weirgate_store::model::Kind;
use weirgate_store::wire::{
    Applied, ChangeRequest, Edit, EndpointStatus, ErrorReply, IssuedKey, OverrideMode, OverrideRequest,
};

use super::{asked, press, write};
use crate::app::{App, Popup, PreviewStage, Screen, Tab};
use crate::event::{Answer, Ask, Effect, Event};
use crate::form::{Form, Stage};
use crate::list::ListId;
use crate::sample;
use crate::theme::Theme;
use crate::update::update;

pub(super) fn app() -> App {
    sample::app(Theme::COLOR)
}

pub(super) fn form(app: &App) -> &Form {
    match &app.screen {
        Screen::Form(form) => form,
        other => panic!("not a form: {other:?}"),
    }
}

fn applied() -> Applied {
    Applied {
        revision: sample::revision(213),
        diff: sample::checked().diff,
        effects: sample::checked().effects,
        warnings: Vec::new(),
        changed: true,
        store_warning: None,
    }
}

#[test]
fn a_route_is_edited_refused_reviewed_and_applied() {
    let mut app = app();
    // Routes come by name; the second is orders. Its fifth field is the upstream; `c` jumps to catalog.
    press(&mut app, "3 down e enter down down down down c");
    assert_eq!(form(&app).field("upstream").unwrap().current(), "catalog");

    let ask = asked(&press(&mut app, "ctrl-s"));
    let Ask::Check { change, .. } = &ask else { panic!("the first press must check, not {ask:?}") };
    let mut object = sample::objects(Kind::Route).objects.into_iter().find(|o| o.name == "orders").unwrap().object;
    object["upstream"] = json!("catalog");
    let edits = vec![Edit::Put { kind: Kind::Route, name: "orders".into(), object }];
    assert_eq!(*change, ChangeRequest { base: Some(212), comment: None, edits: edits.clone() });

    let mut refused = sample::checked();
    refused.problems = vec![sample::problem("routes.orders.upstream", "no upstream is named \"catalog\"")];
    sample::answer(&mut app, ask, Answer::Checked(Box::new(refused)));
    let field = form(&app).field("upstream").unwrap();
    assert!(field.error.as_ref().unwrap().message.contains("no upstream"), "the error stands beside its field");
    assert_eq!(form(&app).fields()[form(&app).at].doc.path, "upstream", "the cursor is on the wrong field");

    let ask = asked(&press(&mut app, "ctrl-s"));
    sample::answer(&mut app, ask, Answer::Checked(Box::new(sample::checked())));
    assert!(matches!(form(&app).stage, Stage::Review(Some(_))));

    let ask = asked(&press(&mut app, "a"));
    let Ask::Apply { change, .. } = &ask else { panic!("the second press applies, not {ask:?}") };
    assert_eq!((change.edits.clone(), change.comment.as_deref()), (edits, Some("edit route orders")));

    let effects = update(&mut app, Event::Answered { ask, outcome: Ok(Answer::Applied(Box::new(applied()))) });
    assert!(matches!(app.screen, Screen::Tab(Tab::Routes)));
    assert!(app.notice.as_ref().unwrap().text.contains("revision 213 runs"));
    assert!(effects.contains(&Effect::Ask(Ask::List(Kind::Route))), "what is shown is read again");
    assert_eq!(app.selected(), Some("orders"), "the cursor is where it was");
}

#[test]
fn what_a_form_does_not_show_is_kept() {
    let mut app = app();
    press(&mut app, "3 e");
    let Ask::Check { change, .. } = asked(&press(&mut app, "ctrl-s")) else { panic!("no check") };
    let Some(Edit::Put { name, object, .. }) = change.edits.first() else { panic!("no put") };
    let before = sample::objects(Kind::Route).objects.into_iter().find(|o| o.name == *name).unwrap().object;
    assert_eq!(*object, before);
}

#[test]
fn a_wrong_number_is_refused_before_the_daemon_is_asked() {
    let mut app = app();
    press(&mut app, "3 e enter pgup down down down");
    assert_eq!(form(&app).fields()[form(&app).at].doc.path, "priority");
    write(&mut app, "x");
    assert!(press(&mut app, "ctrl-s").is_empty());
    assert!(form(&app).field("priority").unwrap().error.is_some());
}

#[test]
fn a_conflict_is_told_and_the_typing_is_kept() {
    let mut app = app();
    press(&mut app, "3 down e enter");
    write(&mut app, ",x.example.com");
    let ask = asked(&press(&mut app, "ctrl-s"));
    let refusal = ErrorReply {
        status: 409,
        title: "conflict".into(),
        detail: "revision 213 changed route orders".into(),
        problems: Vec::new(),
    };
    update(&mut app, Event::Answered { ask, outcome: Err(refusal) });
    assert!(form(&app).problems[0].message.contains("revision 213"));
    assert!(form(&app).field("match.hosts").unwrap().current().ends_with("x.example.com"));
}

#[test]
fn an_endpoint_is_drained_with_a_reason() {
    let mut app = app();
    press(&mut app, "4 down enter down d");
    write(&mut app, "kernel");
    assert!(press(&mut app, "ctrl-s").is_empty(), "the first press only shows what it would do");
    let ask = asked(&press(&mut app, "a"));
    let request = OverrideRequest {
        mode: OverrideMode::Drain,
        weight: None,
        reason: "kernel".into(),
        ..OverrideRequest::default()
    };
    let Ask::Override { upstream, address, request: got, .. } = &ask else { panic!("no override: {ask:?}") };
    assert_eq!((upstream.as_str(), address.as_str(), got), ("shop", "10.0.0.12:8080", &request));
    let endpoint: EndpointStatus = sample::status().upstreams[1].endpoints[1].clone();
    sample::answer(&mut app, ask, Answer::Endpoint(Box::new(endpoint)));
    assert!(matches!(&app.screen, Screen::Endpoint(view) if view.address == "10.0.0.12:8080"), "a drain is watched");
    press(&mut app, "esc");
    assert!(matches!(app.screen, Screen::Upstream { .. }));
    assert_eq!(app.selected(), Some("10.0.0.12:8080"));
}

#[test]
fn a_key_is_issued_even_if_the_form_is_gone() {
    let mut app = app();
    press(&mut app, "5 i");
    let ask = asked(&press(&mut app, "ctrl-s"));
    press(&mut app, "esc esc");
    let issued = IssuedKey { secret: "wg_secret".into(), key: sample::keys("acme").keys[0].clone() };
    sample::answer(&mut app, ask, Answer::Issued(issued));
    assert!(matches!(app.popups.last(), Some(Popup::Secret { .. })));
    assert_eq!(press(&mut app, "y"), vec![Effect::Copy("wg_secret".into())]);
    press(&mut app, "esc");
    assert!(app.popups.is_empty());
}

#[test]
fn a_rollback_shows_its_diff_before_it_applies() {
    let mut app = app();
    let ask = asked(&press(&mut app, "7 down b"));
    assert!(press(&mut app, "a").is_empty(), "nothing is applied before the diff has come");
    sample::answer(&mut app, ask, Answer::Checked(Box::new(sample::checked())));
    let ask = asked(&press(&mut app, "a"));
    let Ask::Apply { change, .. } = &ask else { panic!("no apply: {ask:?}") };
    assert_eq!(change.edits, vec![Edit::Rollback { revision: 211 }]);
    sample::answer(&mut app, ask, Answer::Applied(Box::new(applied())));
    assert!(app.popups.is_empty());
}

#[test]
fn an_answer_to_an_older_question_is_forgotten() {
    let mut app = app();
    let first = asked(&press(&mut app, "3 D"));
    press(&mut app, "esc");
    press(&mut app, "down D");
    sample::answer(&mut app, first, Answer::Checked(Box::new(sample::checked())));
    let Some(Popup::Preview(preview)) = app.popups.last() else { panic!("no preview") };
    assert_eq!(preview.stage, PreviewStage::Checking);
}

#[test]
fn a_viewer_cannot_write_and_is_told_why() {
    let mut app = app();
    let mut status = sample::status();
    status.role = "viewer".into();
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(status)));
    for keys in ["3 e", "3 n", "3 D", "4 enter d", "5 i", "7 down b"] {
        assert!(press(&mut app, keys).is_empty(), "row {keys}");
        assert!(!matches!(app.screen, Screen::Form(_)) && app.popups.is_empty(), "row {keys}");
        assert!(app.notice.as_ref().unwrap().text.contains("viewer"), "row {keys}");
    }
}

#[test]
fn exchanges_are_asked_for_only_while_somebody_looks() {
    let mut app = app();
    assert_eq!(press(&mut app, "2"), vec![Effect::Follow { exchanges: true }]);
    assert_eq!(press(&mut app, "down enter"), Vec::new());
    assert_eq!(press(&mut app, "3"), vec![Effect::Follow { exchanges: false }]);
    press(&mut app, "down t");
    assert_eq!(app.traffic.query.text, "route=orders");
    press(&mut app, "esc");
    assert!(matches!(app.screen, Screen::Tab(Tab::Routes)));
}

#[test]
fn a_lost_daemon_is_told_and_everything_is_read_again() {
    let mut app = app();
    update(&mut app, Event::Lost { reason: "connection refused".into() });
    assert!(press(&mut app, "3 e").is_empty());
    assert!(app.write_refusal().is_some());
    let effects = update(&mut app, Event::Connected);
    assert!(effects.contains(&Effect::Ask(Ask::Status)) && effects.contains(&Effect::Ask(Ask::List(Kind::Route))));
    assert!(app.write_refusal().is_none());
}

#[test]
fn an_idle_console_asks_only_for_the_status() {
    let mut app = app();
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(sample::status())));
    let mut asked = Vec::new();
    for second in 1..=10 {
        asked.extend(update(&mut app, Event::Tick { now_ms: sample::NOW + second * 1_000 }));
        sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(sample::status())));
    }
    assert_eq!(asked, vec![Effect::Ask(Ask::Status); 5]);
}

#[test]
fn the_palette_does_what_it_finds() {
    let mut app = app();
    press(&mut app, ":");
    write(&mut app, "route order-page");
    press(&mut app, "enter");
    assert!(matches!(&app.screen, Screen::Route { name, .. } if name == "order-page"));
    press(&mut app, ":");
    write(&mut app, "quit");
    assert_eq!(press(&mut app, "enter"), vec![Effect::Quit]);
}

#[test]
fn attention_leads_to_the_endpoint() {
    let mut app = app();
    let list = app.lists.of(ListId::Attention).order.clone();
    let at = list.iter().position(|id| id.contains("10.0.0.13")).unwrap();
    for _ in 0..at {
        press(&mut app, "down");
    }
    press(&mut app, "enter");
    assert!(matches!(&app.screen, Screen::Upstream { name } if name == "shop"));
    assert_eq!(app.selected(), Some("10.0.0.13:8080"));
}

#[test]
fn leaving_a_changed_form_asks_and_an_unchanged_one_does_not() {
    let mut app = app();
    press(&mut app, "3 e esc");
    assert!(matches!(app.screen, Screen::Tab(Tab::Routes)));
    press(&mut app, "e enter x esc esc");
    assert!(matches!(app.popups.last(), Some(Popup::Confirm(_))));
    press(&mut app, "n");
    assert!(matches!(app.screen, Screen::Form(_)));
    press(&mut app, "esc y");
    assert!(matches!(app.screen, Screen::Tab(Tab::Routes)));
}

#[test]
fn a_paste_is_typed_and_never_obeyed() {
    let mut app = app();
    update(&mut app, Event::Paste("3q".into()));
    assert!(matches!(app.screen, Screen::Tab(Tab::Overview)), "on a screen a paste is nothing");
    press(&mut app, "3 n");
    update(&mut app, Event::Paste("new\tname\n".into()));
    assert_eq!(form(&app).fields()[0].current(), "new name");
}

#[test]
fn control_c_leaves_whatever_is_open_and_at_last_the_console() {
    let mut app = app();
    press(&mut app, "3 e enter x ctrl-c");
    assert!(matches!(app.popups.last(), Some(Popup::Confirm(_))), "a changed form asks");
    press(&mut app, "y ?");
    press(&mut app, "ctrl-c");
    assert!(app.popups.is_empty());
    assert_eq!(press(&mut app, "ctrl-c"), vec![Effect::Quit]);
}

#[test]
fn revisions_in_a_row_are_read_once() {
    let mut app = app();
    for number in 213..300 {
        let event = weirgate_store::wire::Event::Revision(sample::revision(number));
        assert!(update(&mut app, Event::Stream(Box::new(event))).is_empty());
    }
    let lists = |effects: Vec<Effect>| effects.iter().filter(|e| matches!(e, Effect::Ask(Ask::List(_)))).count();
    assert_eq!(lists(update(&mut app, Event::Tick { now_ms: sample::NOW + 1_000 })), Kind::ALL.len());
    assert_eq!(lists(update(&mut app, Event::Tick { now_ms: sample::NOW + 2_000 })), 0);
}

#[test]
fn a_new_route_needs_a_name_and_is_put_with_it() {
    let mut app = app();
    press(&mut app, "3 n");
    assert!(press(&mut app, "ctrl-s").is_empty());
    assert!(form(&app).field("name").unwrap().error.is_some());
    write(&mut app, "checkout");
    press(&mut app, "down");
    write(&mut app, "api.example.com");
    press(&mut app, "down t down");
    press(&mut app, "ctrl-u");
    write(&mut app, "/checkout/{id}");
    press(&mut app, "down down right");
    let Ask::Check { change, .. } = asked(&press(&mut app, "ctrl-s")) else { panic!("no check") };
    let object = json!({
        "match": { "hosts": ["api.example.com"], "path": { "template": "/checkout/{id}" } },
        "upstream": "catalog",
    });
    assert_eq!(change.edits, vec![Edit::Put { kind: Kind::Route, name: "checkout".into(), object }]);
}

#[test]
fn an_upstream_keeps_what_its_form_does_not_show() {
    let mut app = app();
    press(&mut app, "4 down e down enter n");
    write(&mut app, "10.0.0.14:8080");
    press(&mut app, "down");
    write(&mut app, "3");
    let Ask::Check { change, .. } = asked(&press(&mut app, "ctrl-s")) else { panic!("no check") };
    let Some(Edit::Put { object, .. }) = change.edits.first() else { panic!("no put") };
    let mut want = sample::objects(Kind::Upstream).objects.into_iter().find(|o| o.name == "shop").unwrap().object;
    want["endpoints"].as_array_mut().unwrap().push(json!({ "address": "10.0.0.14:8080", "weight": 3 }));
    assert_eq!(*object, want);
}
