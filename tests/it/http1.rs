// SPDX-License-Identifier: MIT OR Apache-2.0
//! What passes through: every framing in every direction, trailers, 100-continue, pipelining, hop-by-hop fields.

use crate::support::client::{Client, get, values};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// What an endpoint sends, and what a client of HTTP/1.1 and one of HTTP/1.0 must make of it.
#[test]
fn every_framing_of_a_reply_to_every_client() {
    let long = "x".repeat(200_000);
    let rows: Vec<(&str, String, u16, String)> = vec![
        ("length", OK.to_owned(), 200, "ok".to_owned()),
        ("length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), 200, String::new()),
        ("long length", format!("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n{long}"), 200, long.clone()),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n02\r\nde\r\n0\r\n\r\n".to_owned(),
            200,
            "abcde".to_owned(),
        ),
        (
            "long chunked",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30D40\r\n{long}\r\n0\r\n\r\n"),
            200,
            long.clone(),
        ),
        (
            "chunked, nothing",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            200,
            String::new(),
        ),
        ("until close", "HTTP/1.1 200 OK\r\n\r\nto the end".to_owned(), 200, "to the end".to_owned()),
        ("until close, HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nto the end".to_owned(), 200, "to the end".to_owned()),
        ("HTTP/1.0 with a length", "HTTP/1.0 404 No\r\nContent-Length: 2\r\n\r\nno".to_owned(), 404, "no".to_owned()),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 204, String::new()),
        ("304", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n".to_owned(), 304, String::new()),
        ("205", "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n".to_owned(), 205, String::new()),
    ];
    for (row, reply, status, body) in rows {
        let origin = Origin::closing(reply);
        let gateway = Running::before(&origin);
        let got = gateway.get("/");
        assert_eq!((got.status, got.text() == body), (status, true), "row {row}: {} {:.80}", got.head, got.text());
        let mut old = gateway.connect();
        old.say("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        let got = old.reply();
        assert_eq!((got.status, got.text() == body), (status, true), "row {row}, HTTP/1.0: {}", got.head);
        assert_eq!(got.one("transfer-encoding"), "", "row {row}: no chunks for HTTP/1.0");
        old.expect_closed(row);
    }
}

/// The same connection goes on wherever both sides can tell where the reply ended.
#[test]
fn a_connection_lives_on_after_every_reply_that_has_an_end() {
    let replies = [
        ("length", OK, "GET"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "GET"),
        ("until close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "GET"),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        ("304", "HTTP/1.1 304 Not Modified\r\n\r\n", "GET"),
        ("HEAD with a length", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "HEAD"),
        ("HEAD chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
        ("HEAD without framing", "HTTP/1.1 200 OK\r\n\r\n", "HEAD"),
    ];
    for (row, reply, method) in replies {
        let until_close = row == "until close";
        let origin = if until_close { Origin::closing(reply) } else { Origin::replying(reply) };
        let gateway = Running::before(&origin);
        let mut client = gateway.connect();
        for _ in 0..3 {
            client.say(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
            let got = client.reply_to(method);
            assert_eq!(got.one("connection"), "", "row {row}: {}", got.head);
        }
        assert_eq!(origin.connections(), if until_close { 3 } else { 1 }, "row {row}: endpoint connections");
    }
}

/// A HEAD keeps the length of what a GET would have sent; a 204 says nothing of a length (RFC 9110 section 8.6).
#[test]
fn lengths_without_a_body() {
    let rows = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "99"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "99"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
    ];
    for (method, reply, length) in rows {
        let origin = Origin::replying(reply);
        let gateway = Running::before(&origin);
        let got = gateway.ask(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(
            (got.one("content-length").as_str(), got.one("transfer-encoding").as_str()),
            (length, ""),
            "{reply}"
        );
    }
}

/// What a client sends, and what reaches the endpoint of it, byte for byte.
#[test]
fn every_framing_of_a_request_body() {
    let rows = [
        ("none", "GET", "", "", ("", "")),
        ("length", "POST", "Content-Length: 5\r\n", "hello", ("5", "")),
        ("length 0", "POST", "Content-Length: 0\r\n", "", ("0", "")),
        ("a GET with a body", "GET", "Content-Length: 2\r\n", "hi", ("2", "")),
        (
            "chunked",
            "POST",
            "Transfer-Encoding: chunked\r\n",
            "3;x=y\r\nabc\r\n002\r\nde\r\n0\r\n\r\n",
            ("", "chunked"),
        ),
        ("chunked, nothing", "PUT", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ("", "chunked")),
        ("Chunked in other letters", "POST", "transfer-ENCODING: ChunKed\r\n", "1\r\na\r\n0\r\n\r\n", ("", "chunked")),
    ];
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    for (row, method, fields, body, (length, coding)) in rows {
        let mut client = gateway.connect();
        client.say(format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"));
        assert_eq!(client.reply().status, 200, "row {row}");
        assert_eq!(origin.field("content-length").join("|"), length, "row {row}");
        assert_eq!(origin.field("transfer-encoding").join("|"), coding, "row {row}");
        let sent = String::from_utf8(origin.bodies().pop().unwrap()).unwrap();
        assert!(!sent.contains("x=y"), "row {row}: chunk extensions are of one hop: {sent}");
        let data: String =
            sent.split("\r\n").filter(|line| line.contains(|c: char| "hello abcde".contains(c))).collect();
        assert_eq!(data.contains("hello"), body == "hello", "row {row}: {sent:?}");
        // The connection lives on.
        client.say(get("/"));
        assert_eq!(client.reply().status, 200, "row {row}");
    }
    let mut old = gateway.connect();
    old.say("POST / HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    let reply = old.reply();
    assert_eq!((reply.status, reply.one("connection").as_str()), (200, "keep-alive"));
    old.say("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.reply().one("connection"), "close");
    old.expect_closed("HTTP/1.0 without keep-alive");
}

#[test]
fn a_body_of_many_megabytes_arrives_whole_both_ways() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
            peer.say(format!("HTTP/1.1 200 OK\r\nX-Sum: {sum}\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.say(&body);
        }
    });
    let gateway = Running::before(&origin);
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let sent = body.clone();
    let writing = std::thread::spawn(move || {
        use std::io::Write as _;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len());
        writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&sent)).unwrap();
    });
    let reply = client.reply();
    writing.join().unwrap();
    assert_eq!(reply.one("x-sum"), sum.to_string());
    assert!(reply.body == body, "the body came back changed");
}

#[test]
fn trailers_pass_both_ways_without_what_no_trailer_may_carry() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\
         Content-Length: 5\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    );
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Check: 9\r\nHost: evil\r\nContent-Length: 5\r\nAuthorization: Basic x\r\n\
         X-Consumer-Name: root\r\nX-Forwarded-For: 1.1.1.1\r\nCookie: a=b\r\nTransfer-Encoding: gzip\r\n\r\n",
    );
    let reply = client.reply();
    assert_eq!((reply.text().as_str(), reply.trailers.to_ascii_lowercase().as_str()), ("ok", "x-sum: 7\r\n"));
    let sent = String::from_utf8(origin.bodies().pop().unwrap()).unwrap().to_ascii_lowercase();
    assert_eq!(sent, "2\r\nhi\r\n0\r\nx-check: 9\r\n\r\n");
    assert_eq!((origin.field("te").join(""), origin.field("trailer").join("")), ("trailers".into(), "X-Check".into()));
    // A client of HTTP/1.0 has no trailers, and the reply ends all the same.
    let mut old = gateway.connect();
    old.say("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.reply().text(), "ok");
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Theirs, keep-alive\r\nX-Theirs: secret\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: yes\r\nVia: 1.0 other\r\n\r\nok",
    );
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\n\
         policies = [{{ request_headers = {{ set = {{ \"X-Edge\" = \"ours\", \"X-Mine\" = \"policy\" }} }} }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let reply = gateway.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, X-Edge, Host, X-Forwarded-For, Authorization, close\r\n\
         X-Mine: client\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: trailers, deflate\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Kept: yes\r\nAuthorization: Basic eA==\r\nVia: 1.1 first\r\n\r\n",
    );
    for gone in ["connection", "keep-alive", "proxy-connection", "upgrade", "http2-settings", "te", "transfer-encoding"]
    {
        assert_eq!(values(&origin.head(), gone), Vec::<String>::new(), "{gone} reached the endpoint");
    }
    for (kept, value) in [
        ("x-kept", "yes"),
        ("x-edge", "ours"),
        ("x-mine", "policy"),
        ("host", "a"),
        ("authorization", "Basic eA=="),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(origin.field(kept), [value], "{kept}");
    }
    assert_eq!(origin.field("via").join(", "), "1.1 first, 1.1 weirgate");
    for gone in ["x-theirs", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(reply.one(gone), "", "{gone} reached the client");
    }
    assert_eq!((reply.one("connection").as_str(), reply.one("x-kept").as_str()), ("close", "yes"));
    assert_eq!(reply.field("via").join(", "), "1.0 other, 1.1 weirgate");
}

#[test]
fn where_a_request_came_from() {
    let origin = Origin::plain();
    let claims = "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                  Forwarded: for=9.9.9.9;proto=https\r\nX-Real-IP: 9.9.9.9\r\nX-Request-Id: claimed\r\n\
                  X-Consumer-Name: root\r\nX_Consumer_Name: root\r\nX_Forwarded_For: 9.9.9.9\r\nX-Forwarded-Port: 1\r\n\
                  X-Forwarded-Prefix: /evil\r\nX-Original-URL: /admin\r\nX_Real_IP: 9.9.9.9\r\nContent_Length: 5\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: a.example:81\r\n{claims}\r\n");
    let config = |trusted: &str| {
        let listener = WEB.replace("protocol", &format!("trusted_proxies = [{trusted}]\nprotocol"));
        format!("{listener}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[origin.address()]))
    };
    let gateway = Running::start(&config(""));
    assert_eq!(gateway.ask(&request).status, 200);
    for (name, value) in [
        ("host", "a.example:81"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "a.example:81"),
        ("forwarded", "for=127.0.0.1;host=\"a.example:81\";proto=http"),
    ] {
        assert_eq!(origin.field(name), [value], "untrusted: {name}");
    }
    for gone in CLAIMED {
        assert_eq!(origin.field(gone), Vec::<String>::new(), "untrusted: {gone}");
    }
    assert_ne!(origin.field("x-request-id"), ["claimed"]);
    assert_eq!(origin.field("x-request-id").len(), 1);
    gateway.apply(&config("\"127.0.0.0/8\""));
    assert_eq!(gateway.ask(&request).status, 200);
    for (name, value) in [
        ("x-forwarded-for", "9.9.9.9, 8.8.8.8, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=9.9.9.9;proto=https, for=127.0.0.1;host=\"a.example:81\";proto=http"),
        ("x-real-ip", "9.9.9.9"),
        ("x-request-id", "claimed"),
    ] {
        assert_eq!(origin.field(name), [value], "trusted: {name}");
    }
    // Who somebody is, only our own policies say.
    assert_eq!(origin.field("x-consumer-name"), Vec::<String>::new());
}

/// What no client may say of itself, in any spelling that an endpoint may take for it.
const CLAIMED: [&str; 9] = [
    "x-real-ip",
    "x-consumer-name",
    "x_consumer_name",
    "x_forwarded_for",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-original-url",
    "x_real_ip",
    "content_length",
];

/// One valid Host, in origin-form, whatever the client wrote.
#[test]
fn the_target_and_host_that_an_endpoint_sees() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    for (request, line, host) in [
        ("GET /a?b=c HTTP/1.1\r\nHost: A.Example\r\n\r\n", "GET /a?b=c", "a.example"),
        ("GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /x?y", "a.example"),
        ("GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /", "a.example"),
        ("GET http://a.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /?q", "a.example"),
        ("GET http://a.example:80/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /", "a.example:80"),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET /", "[::1]:8080"),
        ("GET / HTTP/1.0\r\n\r\n", "GET /", ""),
        ("GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?", "a"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *", "a"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *", "a"),
        ("\r\nGET /after-an-empty-line HTTP/1.1\r\nHost: a\r\n\r\n", "GET /after-an-empty-line", "a"),
    ] {
        let mut client = gateway.connect();
        client.say(request);
        assert_eq!(client.reply().status, 200, "{request}");
        let head = origin.head();
        assert!(head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{request} became {head}");
        assert_eq!(values(&head, "host").join("|"), host, "{request}");
    }
}

#[test]
fn max_forwards_counts_down_and_ends_here() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    let ask = |method: &str, value: &str| {
        gateway.ask(&format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n")).status
    };
    assert_eq!(ask("OPTIONS", "3"), 200);
    assert_eq!(origin.field("max-forwards"), ["2"]);
    assert_eq!(ask("GET", "0"), 200);
    let reached = origin.heads().len();
    assert_eq!((ask("TRACE", "0"), ask("OPTIONS", "0"), ask("TRACE", "x")), (405, 405, 400));
    assert_eq!(origin.heads().len(), reached, "the last hop is this one");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.request() {
            let path = head.split(' ').nth(1).unwrap_or_default();
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
        }
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    let all: String =
        (0..50).map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")).collect();
    client.say(all);
    for n in 0..50 {
        assert_eq!(client.reply().text(), format!("/{n}"));
    }
}

#[test]
fn close_and_limits_of_a_connection() {
    let origin = Origin::plain();
    let gateway =
        Running::start(&to_endpoints(&[origin.address()]).replace("protocol", "limits = { requests = 3 }\nprotocol"));
    let mut client = gateway.connect();
    for n in 1..=3 {
        client.say(get("/"));
        assert_eq!(client.reply().one("connection"), if n == 3 { "close" } else { "" }, "request {n}");
    }
    client.expect_closed("the third of three");
    let mut client = gateway.connect();
    client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n");
    assert_eq!(client.reply().one("connection"), "close");
    client.expect_closed("Connection: close");
    // The endpoint's connection is another hop and lives on.
    assert_eq!(origin.field("connection"), Vec::<String>::new());
}

/// `100-continue`: the client waits until the endpoint wants the body.
#[test]
fn a_waiting_client_is_told_when_its_body_is_wanted() {
    let asked = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            assert_eq!(values(&head, "expect"), ["100-continue"]);
            peer.say("HTTP/1.1 100 Continue\r\n\r\n");
            let Some(_body) = peer.body(&head) else { return };
            peer.say(OK);
        }
    });
    let gateway = Running::before(&asked);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(client.head().0, 100);
        client.say("hello");
        assert_eq!(client.reply().status, 200);
        assert_eq!(asked.bodies().pop().unwrap(), b"hello");
    }
}

#[test]
fn an_endpoint_that_never_says_100_gets_the_body_all_the_same() {
    let silent = Origin::plain();
    let gateway = Running::before(&silent);
    let mut client = gateway.connect();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.head().0, 100);
    client.say("hello");
    assert_eq!(client.reply().status, 200);
    assert_eq!(silent.bodies(), [b"hello"]);
    // A client that does not wait is not told to go on.
    let mut client = gateway.connect();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    let mut old = gateway.connect();
    old.say("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(old.reply().status, 200);
}

#[test]
fn a_refusal_instead_of_100_reaches_the_client_and_ends_the_connection() {
    let refusing = Origin::serving(|peer| {
        while peer.head().is_some() {
            peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let gateway = Running::before(&refusing);
    let mut client = gateway.connect();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let reply = client.reply();
    // Whether the body follows is unknown, so nothing after this can be read as a request (RFC 9110 section 10.1.1).
    assert_eq!((reply.status, reply.one("connection").as_str()), (403, "close"));
    client.expect_closed("403");
    assert_eq!(refusing.bodies().len(), 0);
    wait_until("the endpoint's connection is not used again", || refusing.open() == 0);
}

#[test]
fn early_hints_reach_a_client_of_http_1_1_before_the_reply() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.request() {
            peer.say(
                "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n",
            );
            if head.contains("/late") {
                // Only when the client has seen the hint does it ask again, on another connection.
                while !OTHERS.load(std::sync::atomic::Ordering::SeqCst) {
                    std::thread::park_timeout(std::time::Duration::from_millis(5));
                }
            }
            peer.say(format!("HTTP/1.1 102 Processing\r\n\r\n{OK}"));
        }
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say(get("/late"));
    let (status, head) = client.head();
    assert_eq!((status, values(&head, "link").join("").as_str()), (103, "</a.css>; rel=preload"));
    assert_eq!(values(&head, "x-hop").len() + values(&head, "connection").len(), 0, "{head}");
    OTHERS.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(client.head().0, 102);
    assert_eq!(client.reply().status, 200);
    // HTTP/1.0 knows no interim replies (RFC 9110 section 15.2).
    let mut old = gateway.connect();
    old.say("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.reply().status, 200);
}

static OTHERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// An endpoint that refuses a big upload at once is heard while the client still sends.
#[test]
fn an_early_reply_to_a_big_upload() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        if peer.head().is_some() {
            peer.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
            wait.lock().unwrap().recv().unwrap();
        }
    });
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        use std::io::Write as _;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\n\r\n";
        // It may be cut: it was refused.
        writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&vec![b'x'; 40_000_000])).is_ok()
    });
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (413, "big"));
    assert_eq!(reply.one("connection"), "close");
    go.send(()).unwrap();
    drop(client);
    let _sent = writing.join().unwrap();
}

/// A body that is small enough is read to its end, so that the connection can go on.
#[test]
fn a_body_that_nobody_wanted_is_skipped() {
    let origin = Origin::plain();
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.all]\nmatch = {{ path = \"/open\" }}\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    let mut client = gateway.connect();
    client.say("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\n\r\nGET /open HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(client.reply().status, 404);
    client.say("X-Any: abc\r\n");
    client.say(get("/open"));
    assert_eq!(client.reply().status, 200);
    assert_eq!(origin.heads().len(), 1, "{:?}", origin.heads());
}

/// Every reply of an endpoint that is answered in pieces reaches the client piece by piece.
#[test]
fn a_reply_streams() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            peer.say("6\r\ntick\n\n\r\n");
            wait.lock().unwrap().recv().unwrap();
        }
        peer.say("0\r\n\r\n");
    });
    let gateway = Running::before(&origin);
    let mut client: Client = gateway.connect();
    client.say(get("/"));
    assert_eq!(client.head().0, 200);
    for _ in 0..3 {
        assert!(client.take_to("tick\n\n\r\n").ends_with("6\r\ntick\n\n\r\n"));
        go.send(()).unwrap();
    }
    client.take_to("0\r\n\r\n");
}
