// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the process: nothing in flight is cut before the limit, idle connections close, new ones are refused.

use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use crate::support::client::get;
use crate::support::gateway::Running;
use crate::support::h2::{Streams, request};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// An endpoint that answers `/slow` only when it is told to.
fn slow() -> (Origin, SyncSender<()>) {
    let (go, wait) = sync_channel::<()>(8);
    let wait = Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            if head.contains("/slow") {
                peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
                wait.lock().unwrap().recv().unwrap();
                peer.say("4\r\nhalf\r\n0\r\n\r\n");
            } else {
                peer.say(OK);
            }
        }
    });
    (origin, go)
}

#[test]
fn what_is_in_flight_finishes_and_the_rest_closes() {
    let (origin, go) = slow();
    let gateway = Running::before(&origin);
    let mut idle = gateway.connect();
    idle.say(get("/"));
    assert_eq!(idle.reply().status, 200);
    let mut fresh = gateway.connect();
    let mut busy = gateway.connect();
    busy.say(get("/slow"));
    busy.take_to("half");
    let web = gateway.web();
    let draining = gateway.begin_drain(Duration::from_secs(25));
    idle.expect_closed("idle");
    fresh.expect_closed("never a word");
    wait_until("new connections are refused", || std::net::TcpStream::connect(web).is_err());
    assert!(!draining.is_finished(), "the drain did not wait");
    go.send(()).unwrap();
    assert!(busy.take_to("0\r\n\r\n").contains("half"));
    busy.expect_closed("after its reply");
    gateway.block_on(draining).unwrap();
}

#[test]
fn a_reply_that_begins_while_draining_says_that_it_is_the_last() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        peer.request();
        wait.lock().unwrap().recv().unwrap();
        peer.say(OK);
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say(get("/"));
    wait_until("it is under way", || origin.heads().len() == 1);
    let draining = gateway.begin_drain(Duration::from_secs(25));
    go.send(()).unwrap();
    let reply = client.reply();
    assert_eq!((reply.status, reply.one("connection").as_str()), (200, "close"));
    client.expect_closed("the last reply");
    gateway.block_on(draining).unwrap();
}

#[test]
fn the_limit_holds() {
    let (origin, go) = slow();
    let gateway = Running::before(&origin);
    let mut busy = gateway.connect();
    busy.say(get("/slow"));
    busy.take_to("half");
    let draining = gateway.begin_drain(Duration::from_millis(300));
    gateway.block_on(draining).unwrap();
    assert!(!busy.rest().ends_with(b"0\r\n\r\n"), "it was cut, and does not look whole");
    go.send(()).unwrap();
}

#[test]
fn streams_of_http2_finish_too() {
    let (origin, go) = slow();
    let gateway = Running::before(&origin);
    let (busy, draining) = gateway.block_on(async {
        let idle = Streams::to(gateway.web()).await;
        assert_eq!(idle.get("/").await.unwrap().status(), 200);
        let session = Streams::to(gateway.web()).await;
        let busy = tokio::spawn(async move { session.ask(request("GET", "/slow"), None).await });
        while origin.heads().len() < 2 {
            tokio::task::yield_now().await;
        }
        let gateway = std::sync::Arc::clone(&gateway.gateway);
        let draining = tokio::spawn(async move { gateway.drain(Duration::from_secs(25)).await });
        // The idle connection is told to go: a new stream is refused or the connection is over.
        while idle.get("/").await.is_ok() {}
        (busy, draining)
    });
    assert!(!draining.is_finished(), "the drain did not wait");
    go.send(()).unwrap();
    gateway.block_on(async {
        assert_eq!(busy.await.unwrap().unwrap().body, b"halfhalf");
        draining.await.unwrap();
    });
}
