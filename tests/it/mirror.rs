// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of requests: what they carry, which requests get one, and that nothing that happens to a copy touches the
//! client.

use weirgate::observe::Copied;

use crate::support::client::{get, values};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::h2::{DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, Raw, block};
use crate::support::origin::Origin;
use crate::support::wait_until;

fn config(main: &Origin, mirror: std::net::SocketAddr, settings: &str) -> String {
    format!(
        "{WEB}{}{}timeouts = {{ response = \"300ms\" }}\n[routes.all]\nupstream = \"main\"\nmirror = {{ upstream = \"next\"{settings} }}\n",
        upstream("main", &[main.address()]),
        upstream("next", &[mirror]),
    )
}

fn count(gateway: &Running, copied: Copied) -> u64 {
    gateway.gateway.observer().meters.copies("all").of(copied)
}

#[track_caller]
fn wait_for(gateway: &Running, copied: Copied, count_wanted: u64) {
    wait_until(&format!("{count_wanted} copies are {copied:?}"), || count(gateway, copied) == count_wanted);
}

#[test]
fn a_copy_is_the_request_and_its_reply_is_dropped() {
    let (main, mirror) = (Origin::named("main"), Origin::named("other"));
    let gateway = Running::start(&config(&main, mirror.address(), ""));
    let chunked =
        "POST /c?x=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let rows = [
        ("GET /a HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n".to_owned(), "", None),
        ("POST /b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "hello", Some("5")),
        (chunked.replace("Transfer", "X-One: 1\r\nTransfer"), "abcde", Some("5")),
        ("POST /d HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 0\r\n\r\n".to_owned(), "", Some("0")),
        (
            "PUT /e HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            "hi",
            Some("2"),
        ),
    ];
    for (at, (request, body, length)) in (1..).zip(&rows) {
        let mut client = gateway.connect();
        client.say(request);
        let (mut status, _) = client.head();
        while status == 100 {
            status = client.head().0;
        }
        assert_eq!(status, 200, "row {request:?}");
        wait_for(&gateway, Copied::Sent, at);
        let (original, copy) = (main.head(), mirror.head());
        assert_eq!(original.lines().next(), copy.lines().next(), "row {request:?}");
        for field in ["host", "x-one", "x-request-id", "x-forwarded-for", "forwarded", "via"] {
            assert_eq!(values(&original, field), values(&copy, field), "row {request:?}: {field}");
            assert_eq!(values(&copy, field).len(), 1, "row {request:?}: {field}");
        }
        assert_eq!(values(&copy, "content-length").first().map(String::as_str), *length, "row {request:?}");
        assert_eq!(
            mirror.bodies().last().map(|body| String::from_utf8_lossy(body).into_owned()).as_deref(),
            Some(*body)
        );
        assert!(values(&copy, "expect").is_empty(), "row {request:?}");
    }
    assert_eq!(mirror.heads().len(), rows.len());
    assert!(mirror.connections() <= 4, "connections are used again: {}", mirror.connections());
    let total = gateway.gateway.observer().meters.total();
    wait_until("every request is recorded", || total.in_flight() == 0);
    assert_eq!(total.requests(), rows.len() as u64, "copies are no exchanges");
}

#[test]
fn only_a_share_is_copied_and_no_long_body() {
    let (main, mirror) = (Origin::plain(), Origin::plain());
    let gateway = Running::start(&config(&main, mirror.address(), ", share = \"25%\", max_body = \"1KiB\""));
    let mut client = gateway.connect();
    for _ in 0..400 {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200);
    }
    wait_until("no copy is under way", || mirror.heads().len() as u64 == count(&gateway, Copied::Sent));
    let copied = count(&gateway, Copied::Sent);
    assert!((57..=143).contains(&copied), "{copied} of 400");
    gateway.apply(&config(&main, mirror.address(), ", max_body = \"1KiB\""));
    mirror.forget();
    let body = "x".repeat(1025);
    let long = [
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n{body}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n"),
    ];
    for (at, request) in (1..).zip(&long) {
        assert_eq!(gateway.ask(request).status, 200);
        wait_for(&gateway, Copied::Skipped, at);
    }
    assert_eq!(mirror.heads().len(), 0);
    let fits = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n{}", &body[1..]);
    assert_eq!(gateway.ask(&fits).status, 200);
    wait_until("it is copied", || mirror.bodies().iter().any(|body| body.len() == 1024));
}

#[test]
fn a_body_that_breaks_off_is_not_copied() {
    let (main, mirror) = (Origin::plain(), Origin::plain());
    let gateway = Running::start(&config(&main, mirror.address(), ""));
    let mut client = gateway.connect();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    wait_until("some of it is there", || main.received() > 0);
    client.reset();
    wait_for(&gateway, Copied::Skipped, 1);
    assert_eq!(mirror.connections(), 0);
}

/// Rows: a mirror that nobody answers at, and one that breaks off. The client sees none of it.
#[test]
fn a_mirror_in_trouble_touches_no_client() {
    let main = Origin::plain();
    let closing = Origin::serving(|peer| _ = peer.head());
    for mirror in [Origin::absent(), closing.address()] {
        let gateway = Running::start(&config(&main, mirror, ""));
        let mut client = gateway.connect();
        for _ in 0..200 {
            client.say(get("/"));
            assert_eq!(client.reply().text(), "ok");
        }
        let over = || count(&gateway, Copied::Failed) + count(&gateway, Copied::Skipped);
        wait_until("all copies are over", || over() == 200);
        assert!(count(&gateway, Copied::Failed) > 0 && gateway.failures().is_empty(), "{:?}", gateway.failures());
    }
}

/// A mirror that hangs holds up its copies and nothing else, and only so many of them.
#[test]
fn a_mirror_that_hangs_is_passed_over() {
    let (main, hung) = (Origin::plain(), Origin::serving(|peer| peer.hold()));
    let gateway = Running::start(&config(&main, hung.address(), "").replace("300ms", "1h"));
    let mut client = gateway.connect();
    wait_until("more than may be under way", || {
        client.say(get("/"));
        assert_eq!(client.reply().text(), "ok");
        count(&gateway, Copied::Skipped) > 0
    });
    assert_eq!(count(&gateway, Copied::Sent) + count(&gateway, Copied::Failed), 0);
    assert!(gateway.failures().is_empty(), "{:?}", gateway.failures());
}

#[test]
fn a_request_over_http2_is_copied_too() {
    let (main, mirror) = (Origin::plain(), Origin::plain());
    let gateway = Running::start(&config(&main, mirror.address(), ""));
    let mut raw = Raw::open(gateway.web(), &[]);
    let post: Vec<_> =
        GET.iter().map(|(name, value)| (*name, if *name == ":method" { "POST" } else { *value })).collect();
    raw.frame(HEADERS, END_HEADERS, 1, &block(&post));
    raw.frame(DATA, 0, 1, b"hel");
    raw.frame(DATA, END_STREAM, 1, b"lo");
    assert_eq!(raw.outcome(1), Outcome::Status(200));
    raw.get(3);
    assert_eq!(raw.outcome(3), Outcome::Status(200));
    wait_for(&gateway, Copied::Sent, 2);
    assert!(mirror.bodies().iter().any(|body| body == b"hello"));
}
