// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients that abuse HTTP/1: too slow, too large, too many (hard cases 12 and 13). HTTP/2 has its own file.

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;
use crate::support::wait_until;

fn config(settings: &str, origin: &Origin) -> String {
    let listener = WEB.replace("protocol", &format!("{settings}\nprotocol"));
    format!("{listener}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[origin.address()]))
}

#[test]
fn slow_clients_are_told_and_closed() {
    let origin = Origin::plain();
    let gateway = Running::start(&config(
        "timeouts = { head = \"300ms\", body = \"300ms\", idle = \"300ms\", write = \"300ms\" }",
        &origin,
    ));
    let rows = [
        ("half a head", "GET / HTTP/1.1\r\nHost", 408),
        ("a head without its end", "GET / HTTP/1.1\r\nHost: a\r\n", 408),
        ("half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", 408),
        ("half a chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", 408),
    ];
    for (row, request, status) in rows {
        let mut client = gateway.connect();
        client.say(request);
        let reply = client.reply();
        assert_eq!((reply.status, reply.one("connection").as_str()), (status, "close"), "row {row}");
        client.expect_closed(row);
    }
    // Between two requests there is nothing to answer, and a client that never said a word is only closed.
    let mut client = gateway.connect();
    client.say(get("/"));
    assert_eq!(client.reply().status, 200);
    client.expect_closed("idle");
    gateway.connect().expect_closed("never a word");
    wait_until("endpoints are not left with half a request", || origin.open() <= 2);
}

/// A head that comes one byte at a time does not put its own end off.
#[test]
fn a_dripping_head_has_one_deadline() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("timeouts = { head = \"500ms\" }", &origin));
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        use std::io::Write as _;
        let field = std::iter::repeat_n(b'x', 20_000);
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ".iter().copied().chain(field) {
            if writer.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    });
    assert_eq!(client.reply().status, 408);
    drop(client);
    dripping.join().unwrap();
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.say(vec![b'x'; 1 << 20]) {}
    });
    let gateway = Running::start(&config("timeouts = { write = \"500ms\" }", &origin));
    let mut client = gateway.connect();
    client.say(get("/"));
    client.head();
    wait_until("the endpoint is free again", || origin.open() == 0);
}

#[test]
fn heads_have_a_size() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("limits = { head = \"16KiB\", fields = 10 }", &origin));
    let field = |len: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(len));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(count));
    let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len));
    let rows = [
        ("a field that fits", field(3_000), 200),
        ("a field too long", field(17_000), 431),
        ("a field far too long", field(5_000_000), 431),
        ("fields that fit", fields(9), 200),
        ("a field too many", fields(10), 431),
        ("fields without end", fields(100_000), 431),
        ("a target that fits", target(3_000), 200),
        ("a target too long", target(9_000), 414),
        ("a target without end", target(5_000_000), 414),
        ("a method without end", format!("{} / HTTP/1.1\r\n\r\n", "G".repeat(100_000)), 400),
        ("empty lines without end", "\r\n".repeat(100_000), 400),
    ];
    for (row, request, status) in rows {
        let reached = origin.heads().len();
        let mut client = gateway.connect();
        let mut writer = client.stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, request.as_bytes()).is_ok());
        let reply = client.reply();
        assert_eq!(reply.status, status, "row {row}");
        assert_eq!(origin.heads().len() - reached, usize::from(status == 200), "row {row}");
        drop(client);
        let _cut = writing.join().unwrap();
    }
}

#[test]
fn bodies_have_a_size() {
    let origin = Origin::plain();
    let gateway = Running::start(&format!(
        "{}[routes.small]\nmatch = {{ path = \"/small\" }}\nmax_body = \"10B\"\nupstream = \"shop\"\n",
        config("limits = { body = \"1KiB\" }", &origin)
    ));
    let length = |path: &str, len: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len.min(2_000)))
    };
    let chunked = |path: &str, count: usize| {
        let chunks = "5\r\nhello\r\n".repeat(count);
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let rows = [
        ("a length that fits", length("/", 1024), 200),
        ("a length too long", length("/", 1025), 413),
        ("a length of exabytes", length("/", 1 << 60), 413),
        ("chunks that fit", chunked("/", 204), 200),
        ("chunks too many", chunked("/", 205), 413),
        ("chunks far too many", chunked("/", 50_000), 413),
        ("a route's own limit, fits", length("/small", 10), 200),
        ("a route's own limit", length("/small", 11), 413),
        ("a route's own limit, chunks fit", chunked("/small", 2), 200),
        ("a route's own limit, chunks", chunked("/small", 3), 413),
        (
            "no 100 for a body that will be refused",
            length("/small", 11).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"),
            413,
        ),
    ];
    for (row, request, status) in rows {
        let whole = origin.bodies().len();
        let mut client: Client = gateway.connect();
        client.say(request);
        let reply = client.reply();
        assert_eq!(reply.status, status, "row {row}");
        assert_eq!(
            origin.bodies().len() - whole,
            usize::from(status == 200),
            "row {row}: the endpoint has a whole body"
        );
    }
    assert!(origin.received() < 100_000, "{} bytes of refused bodies reached the endpoint", origin.received());
}

#[test]
fn connections_have_a_number_and_idle_ones_are_cheap() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("limits = { connections = 20 }", &origin));
    let mut held: Vec<Client> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut held {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200);
    }
    gateway.connect().expect_closed("one too many");
    // A well-behaved client is answered as before, and a place that is given back is taken.
    held[0].say(get("/"));
    assert_eq!(held[0].reply().status, 200);
    drop(held.pop());
    wait_until("there is a place again", || {
        let mut client = gateway.connect();
        client.say(get("/"));
        client.rest_or_reply()
    });
}

/// While many hold connections half open, a well-behaved client is answered at once.
#[test]
fn a_crowd_of_slow_heads_slows_nobody_else() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("", &origin));
    let slow: Vec<Client> = (0..500)
        .map(|_| {
            let mut client = gateway.connect();
            client.say("GET / HTTP/1.1\r\nHost: a\r\nX-Never");
            client
        })
        .collect();
    let start = weirgate::clock::now();
    for _ in 0..50 {
        assert_eq!(gateway.get("/").status, 200);
    }
    let each = (weirgate::clock::now() - start) / 50;
    assert!(each < std::time::Duration::from_millis(100), "{each:?} for one request");
    drop(slow);
}
