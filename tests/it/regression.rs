// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong once and fits no topic: each test names what it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::h2::{
    DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, PING, Raw, Streams, WINDOW_UPDATE, block, encode, request,
};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// A window that opens by one byte at a time is no progress: the stream is ended all the same.
#[test]
fn a_dripping_window_is_ended() {
    let origin = Origin::serving(|peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.say(vec![b'x'; 1 << 16]) {}
    });
    let listener = WEB.replace("protocol", "timeouts = { write = \"1s\" }\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    let mut raw = Raw::open(gateway.web(), &[(4, 0)]);
    raw.get(1);
    assert_eq!(raw.outcome(1), Outcome::Status(200));
    let (mut writer, is_over) = (raw.writer(), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&is_over);
    let dripping = std::thread::spawn(move || {
        // 20 s of it at most, far beyond the limit of one.
        let drops = (0..400).take_while(|_| {
            std::thread::park_timeout(Duration::from_millis(50));
            !seen.load(Ordering::SeqCst) && writer.frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())
        });
        drops.count()
    });
    let outcome = raw.outcome(1);
    is_over.store(true, Ordering::SeqCst);
    assert!(matches!(outcome, Outcome::Reset(_) | Outcome::Away(_) | Outcome::Closed), "{outcome:?}");
    wait_until("the endpoint is free again", || origin.open() == 0);
    let drops = dripping.join().unwrap();
    assert!(drops < 200, "it was let go on for {drops} bytes");
}

/// Trailers are fields, and no better than those of a head.
#[test]
fn trailers_of_http2_that_lie() {
    let origin = Origin::serving(|peer| {
        while peer.request().is_some() {
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    type Trailers = &'static [(&'static str, &'static str)];
    let rows: [(&str, Trailers, u8); 5] = [
        ("upper case", &[("X-Upper", "a")], END_STREAM),
        ("a connection field", &[("connection", "close")], END_STREAM),
        ("a coding", &[("transfer-encoding", "chunked")], END_STREAM),
        ("a line end", &[("x-a", "a\r\nb: c")], END_STREAM),
        ("no end", &[("x-a", "b")], 0),
    ];
    for (row, trailers, end) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        let mut fields = GET;
        fields[0].1 = "POST";
        raw.frame(HEADERS, END_HEADERS, 1, &block(&fields));
        raw.frame(DATA, 0, 1, b"abc");
        raw.frame(HEADERS, END_HEADERS | end, 1, &block(trailers));
        let outcome = raw.outcome(1);
        assert!(
            matches!(outcome, Outcome::Reset(1) | Outcome::Away(1) | Outcome::Status(400)),
            "row {row}: {outcome:?}"
        );
        assert!(origin.bodies().is_empty(), "row {row}: {:?}", origin.bodies());
        wait_until("the endpoint is let go", || origin.open() == 0);
    }
    // h2 drops a pseudo-field among trailers instead of refusing it; at least it goes no further.
    let mut raw = Raw::open(gateway.web(), &[]);
    let mut fields = GET;
    fields[0].1 = "POST";
    raw.frame(HEADERS, END_HEADERS, 1, &block(&fields));
    raw.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":path", "/admin"), ("x-sum", "1")]));
    raw.outcome(1);
    assert!(origin.bodies().iter().all(|body| !String::from_utf8_lossy(body).contains("admin")));
}

/// While one client floods, another one is answered as always.
#[test]
fn a_flood_slows_nobody_else() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    let web = gateway.web();
    let flooding: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let burst = encode(PING, 0, 0, &[0; 8]).repeat(100);
                for _ in 0..5 {
                    let mut raw = Raw::open(web, &[]);
                    while raw.write(&burst) {}
                }
            })
        })
        .collect();
    let start = weirgate::clock::now();
    for _ in 0..20 {
        assert_eq!(gateway.get("/").status, 200);
    }
    // 100 ms on a machine of its own; tests share theirs.
    let each = (weirgate::clock::now() - start) / 20;
    assert!(each < Duration::from_millis(500), "{each:?} for one request");
    flooding.into_iter().for_each(|flood| flood.join().unwrap());
}

/// Requests without end on one connection, whose replies nobody reads: bounded, and ended.
#[test]
fn pipelining_without_reading_is_ended() {
    let big = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let origin = Origin::replying(big);
    let listener = WEB.replace("protocol", "timeouts = { write = \"500ms\" }\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    let mut client = gateway.connect();
    let burst = get("/").repeat(1000);
    let mut bursts = 0;
    while client.say(&burst) {
        bursts += 1;
        assert!(bursts < 10_000, "it was never ended");
    }
    assert!(origin.heads().len() < 2_000, "{} requests reached the endpoint", origin.heads().len());
}

/// What a client sends behind its request while it waits is its next request, whole.
#[test]
fn bytes_that_come_while_a_reply_is_waited_for_are_kept() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        while peer.request().is_some() {
            wait.lock().unwrap().recv().unwrap();
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say(get("/first"));
    wait_until("the first is under way", || origin.heads().len() == 1);
    let second = "POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for piece in second.as_bytes().chunks(20) {
        client.say(piece);
    }
    go.send(()).unwrap();
    assert_eq!(client.reply().status, 200);
    wait_until("the second is under way", || origin.heads().len() == 2);
    go.send(()).unwrap();
    assert_eq!(client.reply().status, 200);
    assert_eq!(origin.bodies().pop().unwrap(), b"hello");
}

/// An endpoint that replies before it has read the body is not used for another request: the rest of the body is still
/// on its way to it.
#[test]
fn a_connection_with_half_a_request_on_it_is_not_kept() {
    let origin = Origin::serving(|peer| {
        if peer.index == 0 {
            peer.head();
            peer.say(OK);
            peer.hold();
        }
        while peer.request().is_some() {
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(client.reply().status, 200);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.connections(), 2);
}

/// Behind a trusted proxy the client is who that proxy says, for limits as for everything else.
#[test]
fn limits_behind_a_trusted_proxy_count_clients() {
    let origin = Origin::plain();
    let listener = WEB.replace("protocol", "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ rate_limit = {{ per = \"ip\", rate = \"2/h\" }} }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let ask = |list: &str| gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {list}\r\n\r\n")).status;
    assert_eq!([ask("192.0.2.1"), ask("6.6.6.6, 192.0.2.1"), ask("192.0.2.1, 10.0.0.1")], [200, 200, 429]);
    assert_eq!([ask("192.0.2.2"), ask("192.0.2.2:8080"), ask("7.7.7.7, 192.0.2.2")], [200, 200, 429]);
    // What nobody can read counts as the nearest that can be.
    assert_eq!([ask("unknown"), ask("_hidden"), ask("unknown")], [200, 200, 429]);
}

/// The records of a change of listeners' settings: the next connection goes by the new ones.
#[test]
fn settings_of_a_listener_change_in_place() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    let web = gateway.web();
    let mut open = gateway.connect();
    gateway.apply(&to_endpoints(&[origin.address()]).replace("protocol", "limits = { fields = 5 }\nprotocol"));
    assert_eq!(gateway.web(), web, "the socket stays");
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(10));
    assert_eq!(Client::ask(web, &many).status, 431);
    open.say(get("/"));
    assert_eq!(open.reply().status, 200);
}

/// The stale race of HTTP/1 is the same for streams of HTTP/2.
#[test]
fn streams_meet_stale_connections_unharmed() {
    let origin = Origin::closing(OK);
    let gateway = Running::before(&origin);
    gateway.block_on(async {
        let streams = Streams::to(gateway.web()).await;
        for _ in 0..10 {
            let all: Vec<_> = (0..50).map(|_| streams.get("/")).collect();
            for answer in futures_util::future::join_all(all).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
        }
    });
}

/// An early refusal of an upload over HTTP/2 reaches the client while it still sends, and the connection lives on.
#[test]
fn an_early_reply_to_an_upload_over_http2() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("POST") {
                peer.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
                peer.hold();
                return;
            }
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    gateway.block_on(async {
        let streams = Streams::to(gateway.web()).await;
        for _ in 0..3 {
            let answer = streams.ask(request("POST", "/"), Some((vec![b'x'; 50_000_000], None))).await;
            assert!(answer.is_err() || answer.as_ref().is_ok_and(|answer| answer.status() == 413), "{answer:?}");
            assert_eq!(streams.get("/").await.unwrap().body, b"ok");
        }
    });
}
