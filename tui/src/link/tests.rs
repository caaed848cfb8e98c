// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link against a daemon of canned replies on a real socket, and against none.

use tokio::sync::mpsc::{Receiver, Sender, channel};
use weirgate_store::model::Kind;

use super::{Order, run};
use crate::event::{Answer, Ask, Event};
use crate::fake::Fake;
use crate::sample;

/// A link with both its ends in hand.
fn link(socket: std::path::PathBuf) -> (Sender<Order>, Receiver<Event>) {
    let (orders, taken) = channel(16);
    let (sent, events) = channel(16);
    tokio::spawn(run(socket, taken, sent));
    (orders, events)
}

async fn next(events: &mut Receiver<Event>) -> Event {
    events.recv().await.expect("the link runs")
}

/// Waits for an answer and skips what comes before it.
async fn answer(events: &mut Receiver<Event>) -> Event {
    loop {
        let event = next(events).await;
        if matches!(event, Event::Answered { .. }) {
            return event;
        }
    }
}

#[tokio::test]
async fn without_a_daemon_questions_are_answered_and_tries_go_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (orders, mut events) = link(directory.path().join("nothing.sock"));
    assert!(matches!(next(&mut events).await, Event::Lost { .. }));
    orders.send(Order::Ask(Ask::Status)).await.expect("the link listens");
    let Event::Answered { outcome: Err(refusal), .. } = answer(&mut events).await else { panic!("not refused") };
    assert!(refusal.status == 0 && refusal.detail.contains("no daemon answers"), "{refusal:?}");
    while !matches!(next(&mut events).await, Event::Lost { .. }) {}
}

#[tokio::test]
async fn the_stream_comes_through_and_its_end_is_told() {
    let event = serde_json::to_string(&weirgate_store::wire::Event::Dropped { exchanges: 3 }).expect("it is JSON");
    let stream = format!("event: dropped\ndata: {event}\n\n");
    let fake = Fake::start(&[("GET /v1/events", 200, stream)]);
    let (_orders, mut events) = link(fake.socket.clone());
    assert_eq!(next(&mut events).await, Event::Connected);
    assert!(matches!(next(&mut events).await, Event::Stream(_)));
    assert!(matches!(next(&mut events).await, Event::Lost { .. }));
    assert_eq!(next(&mut events).await, Event::Connected, "it connects again");
}

#[tokio::test]
async fn each_question_is_one_call() {
    let status = serde_json::to_string(&sample::status()).expect("it is JSON");
    let list = serde_json::to_string(&sample::objects(Kind::Route)).expect("it is JSON");
    let checked = serde_json::to_string(&sample::checked()).expect("it is JSON");
    let fake = Fake::start(&[
        ("GET /v1/status", 200, status),
        ("GET /v1/routes", 200, list),
        ("POST /v1/change?dry_run=true", 200, checked),
        ("DELETE /v1/consumers/acme/keys/9c", 204, String::new()),
    ]);
    let (orders, mut events) = link(fake.socket.clone());
    let change = weirgate_store::wire::ChangeRequest::default();
    let asks = [
        (Ask::Status, "GET /v1/status "),
        (Ask::List(Kind::Route), "GET /v1/routes "),
        (Ask::Check { ticket: 1, change }, r#"POST /v1/change?dry_run=true {"edits":[]}"#),
        (Ask::RevokeKey { consumer: "acme".into(), id: "9c".into() }, "DELETE /v1/consumers/acme/keys/9c "),
    ];
    for (ask, want) in asks {
        orders.send(Order::Ask(ask.clone())).await.expect("the link listens");
        let Event::Answered { ask: got, outcome } = answer(&mut events).await else { panic!("no answer") };
        assert_eq!(got, ask);
        let answer = outcome.unwrap_or_else(|refusal| panic!("row {want}: {refusal:?}"));
        assert_eq!(matches!(answer, Answer::Revoked), want.starts_with("DELETE"), "row {want}");
        assert!(fake.asked().iter().any(|asked| asked.trim() == want.trim()), "row {want}: {:?}", fake.asked());
    }
}
