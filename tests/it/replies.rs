// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replies that lie (hard case 11): 502 while nothing is out, a cut transfer once the head is, the endpoint's
//! connection dropped, and a record that says what was wrong.

use crate::support::client::{Client, get};
use crate::support::gateway::Running;
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// An endpoint that sends this and keeps the connection open.
fn open_after(reply: &str) -> Origin {
    let reply = reply.to_owned();
    Origin::serving(move |peer| {
        if peer.request().is_some() {
            peer.say(&reply);
            peer.hold();
        }
    })
}

#[test]
fn a_head_that_is_not_http_is_a_502_that_says_what_was_wrong() {
    let rows = [
        ("two framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok"),
        ("differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        ("equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        ("a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
        ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"),
        ("a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("a status of letters", "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"),
        ("an unasked 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        ("a field without a colon", "HTTP/1.1 200 OK\r\nNonsense\r\nContent-Length: 2\r\n\r\nok"),
        ("a NUL in a field", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok"),
        ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("HTTP/0.9", "<html>hello</html>\r\n\r\n"),
    ];
    for (row, reply) in rows {
        let origin = open_after(reply);
        let gateway = Running::before(&origin);
        let got = gateway.get("/");
        assert_eq!(got.status, 502, "row {row}: {}", got.head);
        assert_eq!(got.one("content-type"), "application/problem+json", "row {row}");
        assert!(!got.text().contains(&origin.address().to_string()), "row {row} names the endpoint: {}", got.text());
        let record = gateway.failure("bad-reply");
        assert!(record.verdict.contains(&origin.address().to_string()), "row {row}: {}", record.verdict);
        wait_until("the connection to the endpoint is dropped", || origin.open() == 0);
        assert_eq!(origin.connections(), 1, "row {row} was tried again");
    }
}

#[test]
fn interim_replies_are_bounded_and_never_final() {
    let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000);
    for (row, reply) in [
        ("a flood of 103", flood),
        ("a flood of 100", format!("{}{OK}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100))),
        ("a flood of 199", "HTTP/1.1 199 Never\r\n\r\n".repeat(50)),
    ] {
        let origin = open_after(&reply);
        let gateway = Running::before(&origin);
        let mut client = gateway.connect();
        client.say(get("/"));
        let status = loop {
            match client.head().0 {
                100..200 => {}
                status => break status,
            }
        };
        assert_eq!(status, 502, "row {row}");
        wait_until("the connection to the endpoint is dropped", || origin.open() == 0);
    }
    // 100 and then nothing is no answer.
    let origin = Origin::closing("HTTP/1.1 100 Continue\r\n\r\n");
    let gateway = Running::before(&origin);
    assert_eq!(gateway.get("/").status, 502);
    // 100 and then an answer is an answer, asked for or not.
    let origin = Origin::replying(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"));
    let gateway = Running::before(&origin);
    assert_eq!(gateway.get("/").status, 200);
}

/// Once the head is out, all that can be done is to let the client see that the body is not whole.
#[test]
fn a_body_that_goes_wrong_is_a_cut_transfer() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        ("a length that is not reached", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned()),
        ("no last chunk", format!("{chunked}3\r\nabc\r\n")),
        ("a chunk that breaks off", format!("{chunked}5\r\nabc")),
        ("a bad chunk size", format!("{chunked}3\r\nabc\r\nzz\r\n")),
        ("a chunk longer than its size", format!("{chunked}3\r\nabcdef\r\n0\r\n\r\n")),
        ("trailers that break off", format!("{chunked}3\r\nabc\r\n0\r\nX-A: b\r\n")),
        ("bare LF after a size", format!("{chunked}3\nabc\r\n0\r\n\r\n")),
    ];
    for (row, reply) in rows {
        let origin = Origin::closing(reply);
        let gateway = Running::before(&origin);
        let mut client = gateway.connect();
        client.say(get("/"));
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(!all.contains("\r\n0\r\n"), "row {row}: the client takes it for whole: {all}");
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        assert!(
            head.is_empty() || head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 502"),
            "row {row}: {head}"
        );
        if head.starts_with("HTTP/1.1 200") {
            assert!(body.len() < 10 || body.contains("3\r\n"), "row {row}: {body}");
        }
        gateway.failure("reply-cut");
        // The next request has a connection of its own.
        let mut client = gateway.connect();
        client.say(get("/"));
        client.rest();
        assert_eq!(origin.connections(), 2, "row {row}");
    }
}

/// For HTTP/1.0 the end of the connection is the end of the body, so a cut must not look like one: it is a reset.
#[test]
fn a_cut_after_the_head_is_seen_as_one() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        if peer.request().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
            wait.lock().unwrap().recv().unwrap();
        }
    });
    let gateway = Running::before(&origin);
    let mut old = gateway.connect();
    old.say("GET / HTTP/1.0\r\n\r\n");
    old.take_to("\r\n\r\nabc");
    go.send(()).unwrap();
    let ended = std::io::Read::read_to_end(&mut old.stream, &mut Vec::new());
    assert!(ended.is_err(), "a clean end");
    let mut client = gateway.connect();
    client.say(get("/"));
    client.take_to("3\r\nabc\r\n");
    go.send(()).unwrap();
    client.expect_closed("HTTP/1.1");
    gateway.failure("reply-cut");
}

#[test]
fn bytes_after_the_end_are_nobodys_reply() {
    for (row, extra) in [
        ("garbage after the length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokGARBAGE".to_owned()),
        ("another reply", format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")),
        ("a body for 204", "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nstolen".to_owned()),
        ("a body for 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nstolen".to_owned()),
    ] {
        let origin = Origin::replying(extra);
        let gateway = Running::before(&origin);
        let mut client = gateway.connect();
        for n in 1..=3 {
            client.say(get("/"));
            let reply = client.reply();
            assert!(reply.status < 400, "row {row}: {}", reply.head);
            assert!(
                !reply.text().contains("stolen") && !reply.text().contains("GARBAGE"),
                "row {row}: {}",
                reply.text()
            );
            assert_eq!(origin.connections(), n, "row {row}: the connection was used again");
        }
    }
    // A HEAD that is answered with a body.
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
    let gateway = Running::before(&origin);
    let mut client: Client = gateway.connect();
    for _ in 0..3 {
        client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.reply_to("HEAD").status, 200);
    }
    client.say(get("/"));
    assert_eq!(client.reply().text(), "stolen");
}

/// A reply that comes before its request, on a connection that waits.
#[test]
fn an_unasked_reply_on_an_idle_connection_is_never_used() {
    let origin = Origin::serving(|peer| {
        while peer.request().is_some() {
            peer.say(OK);
            if peer.index == 0 {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
            }
        }
    });
    let gateway = Running::before(&origin);
    for _ in 0..10 {
        assert_eq!(gateway.get("/").text(), "ok");
    }
}

#[test]
fn an_endpoint_that_says_nothing_or_too_much() {
    let origin = Origin::closing("");
    let gateway = Running::before(&origin);
    let got = gateway.get("/");
    assert_eq!(got.status, 502);
    assert!(gateway.failure("endpoint-closed").verdict.contains("whole request was sent"));
    let huge = format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(200_000));
    let origin = open_after(&huge);
    let gateway = Running::before(&origin);
    assert_eq!(gateway.get("/").status, 502);
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-A: b\r\n".repeat(5_000));
    let origin = open_after(&many);
    let gateway = Running::before(&origin);
    assert_eq!(gateway.get("/").status, 502);
    let reset = Origin::serving(|peer| {
        peer.head();
        peer.reset();
    });
    let gateway = Running::before(&reset);
    assert_eq!(gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status, 502);
    assert_eq!(reset.connections(), 1, "a POST is never run twice");
}
