// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client against a fake daemon: what it sends, what it reads, and what it says when things go wrong.

use http::Method;
use serde_json::{Value, json};
use weirgate_store::wire::{Event, RevisionList};

use super::{Client, ClientError, segment};
use crate::fake::Fake;

#[tokio::test]
async fn sends_and_reads_json() {
    let list = json!({"running": 3, "revisions": []}).to_string();
    let fake = Fake::start(&[("GET /v1/revisions", 200, list), ("PATCH ", 200, r#"{"a":1}"#.into())]);
    let got: RevisionList = fake.client().get("/v1/revisions").await.unwrap();
    assert_eq!(got.running, 3);
    let patch = json!({"weight": null});
    let got: Value = fake.client().send(Method::PATCH, "/v1/routes/a?base=3", Some(&patch)).await.unwrap();
    assert_eq!(got, json!({"a": 1}));
    assert_eq!(fake.asked(), ["GET /v1/revisions", r#"PATCH /v1/routes/a?base=3 {"weight":null}"#]);
}

#[tokio::test]
async fn empty_reply_is_null() {
    let fake = Fake::start(&[("DELETE ", 200, String::new())]);
    fake.client().send::<(), ()>(Method::DELETE, "/v1/consumers/a/keys/b", None).await.unwrap();
}

#[tokio::test]
async fn text_goes_both_ways() {
    let fake = Fake::start(&[("GET /v1/export", 200, "[routes.a]\n".into()), ("POST ", 200, "{}".into())]);
    assert_eq!(fake.client().text("/v1/export").await.unwrap(), "[routes.a]\n");
    fake.client().send_text::<Value>("/v1/consumers/a/keys/import", "one\ntwo\n".into()).await.unwrap();
    assert_eq!(fake.asked()[1], "POST /v1/consumers/a/keys/import one\ntwo\n");
}

#[tokio::test]
async fn a_refusal_keeps_its_problems() {
    let problem = json!({"code": "dangling", "path": "routes.a.upstream", "message": "no upstream named \"b\""});
    let body = json!({"status": 422, "title": "invalid", "detail": "1 problem", "problems": [problem]});
    let fake = Fake::start(&[("GET /v1/status", 422, body.to_string()), ("GET /", 502, "<html>".into())]);
    match fake.client().get::<Value>("/v1/status").await {
        Err(ClientError::Refused(reply)) => assert_eq!((reply.status, reply.problems.len()), (422, 1)),
        other => panic!("{other:?}"),
    }
    let error = fake.client().get::<Value>("/x").await.unwrap_err();
    assert_eq!(error.to_string(), "the daemon answered 502 Bad Gateway: <html>");
}

#[tokio::test]
async fn says_what_to_do_without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.sock");
    let error = Client::new(missing.clone()).get::<Value>("/v1/status").await.unwrap_err();
    assert!(error.is_absent() && error.to_string().contains("systemctl start weirgate"), "{error}");

    // A socket file that nobody listens on any more: what a killed daemon leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&missing).unwrap());
    let error = Client::new(missing).get::<Value>("/v1/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
}

#[tokio::test]
async fn a_reply_of_another_shape_is_an_error() {
    let fake = Fake::start(&[("GET ", 200, "[1,".into())]);
    let error = fake.client().get::<Value>("/v1/status").await.unwrap_err();
    assert!(error.to_string().contains("same version"), "{error}");
}

#[tokio::test]
async fn reads_events_until_the_end() {
    let events =
        "event: dropped\ndata: {\"event\":\"dropped\",\"exchanges\":7}\n\n: keep-alive\n\nevent: x\ndata: 1\n\n";
    let fake = Fake::start(&[("GET /v1/events", 200, events.into())]);
    let mut stream = fake.client().events("/v1/events?topics=exchanges").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Event::Dropped { exchanges: 7 });
    assert!(matches!(stream.next().await, Some(Err(ClientError::NotUnderstood(_)))));
    assert!(stream.next().await.is_none());
}

#[test]
fn segments() {
    let rows =
        [("shop", "shop"), ("10.0.0.1:80", "10.0.0.1:80"), ("[::1]:80", "%5B::1%5D:80"), ("a/b?c&d", "a%2Fb%3Fc%26d")];
    for (text, want) in rows {
        assert_eq!(segment(text), want, "row {text:?}");
    }
}
