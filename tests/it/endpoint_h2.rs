// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/2 to endpoints: streams of a few connections, whatever the client speaks; and what becomes of requests when an
//! endpoint goes away, refuses, is silent or speaks something else.

use std::net::SocketAddr;

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB};
use crate::support::h2::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Streams, block, request};
use crate::support::h2_origin::{Echo, start};
use crate::support::origin::Origin;
use crate::support::secure::{Authority, Terminator};
use crate::support::wait_until;

const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const POST: &str = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";

fn to(addresses: &[SocketAddr], more: &str) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        "{WEB}[upstreams.shop]\nprotocol = \"h2c\"\nendpoints = [{endpoints}]\n{more}\n[routes.all]\nupstream = \"shop\"\n"
    )
}

#[test]
fn an_http1_client_is_served_over_streams() {
    let endpoint = Echo::start();
    let gateway = Running::start(&to(&[endpoint.address()], ""));
    let mut client = gateway.connect();
    for _ in 0..20 {
        client.say("GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nCookie: x=1\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.one("content-length").as_str()), (200, "ok".to_owned(), "2"));
        assert_eq!(reply.one("via"), "1.1 weirgate");
    }
    let head = endpoint.head();
    assert_eq!(head.uri().to_string(), "http://a.example/a?b=c");
    assert_eq!(
        (endpoint.field("cookie"), endpoint.field("x-hop"), endpoint.field("host")),
        ("x=1".into(), String::new(), String::new())
    );
    assert_eq!(endpoint.field("x-forwarded-for"), "127.0.0.1");
    assert_eq!(endpoint.field("forwarded"), "for=127.0.0.1;host=\"a.example\";proto=http");
    assert_eq!((endpoint.field("via"), endpoint.field("x-request-id").len()), ("1.1 weirgate".into(), 32));
    // HEAD, an empty POST, a body with a length, a chunked one with trailers.
    client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply_to("HEAD").status, 200);
    client.say(POST);
    assert_eq!((client.reply().status, endpoint.field("content-length").as_str()), (200, "0"));
    let body: Vec<u8> = (0..500_000_u32).map(|at| (at % 251) as u8).collect();
    client.say(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.say(&body);
    let reply = client.reply();
    assert!(reply.body == body && reply.trailers == "grpc-status: 0\r\n", "{:?}", reply.trailers);
    // A reply that overtakes its request ends the connection of an HTTP/1 client.
    let mut client = gateway.connect();
    client.say("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.text(), reply.trailers.as_str()), ("abc".to_owned(), "x-sum: 7\r\n"));
    // A hint before the reply passes, too.
    let mut client = gateway.connect();
    client.say(get("/hint"));
    assert_eq!(client.head().0, 103);
    assert_eq!(client.reply().text(), "ok");
    assert!(endpoint.connections() <= 2, "one for each worker");
}

#[test]
fn an_http2_client_streams_both_ways() {
    let endpoint = Echo::start();
    let gateway = Running::start(&to(&[endpoint.address()], ""));
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        for _ in 0..3 {
            let answer = session.get("/").await.unwrap();
            assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"ok"[..]));
        }
        let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), "7".parse().unwrap())]);
        let upload = Some((vec![b'y'; 700_000], Some(trailers)));
        let answer = session.ask(request("POST", "/echo"), upload).await.unwrap();
        assert_eq!((answer.body.len(), answer.trailers.unwrap()["x-sum"].to_str().unwrap()), (700_000, "7"));
        let answer = session.get("/status").await.unwrap();
        assert_eq!((answer.field("grpc-status"), answer.field("grpc-message")), ("7".into(), "no".into()));
        assert_eq!(session.get("/big").await.unwrap().body.len(), 1 << 20);
        let many = (0..150).map(|_| session.get("/big"));
        let many = futures_util::future::join_all(many).await;
        assert!(many.into_iter().all(|answer| answer.unwrap().body.len() == 1 << 20));
    });
    assert_eq!(endpoint.head().uri().authority().unwrap(), "a.example");
}

#[test]
fn streams_are_bounded_and_a_second_connection_is_opened() {
    let endpoint = Echo::of_streams(3);
    let gateway = Running::start(&to(&[endpoint.address()], ""));
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        let holding: Vec<_> = (0..7).map(|_| session.ask(request("GET", "/hold"), None)).collect();
        let mut holding = Box::pin(futures_util::future::join_all(holding));
        let look = async {
            while endpoint.requests() < 7 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { _ = &mut holding => panic!("they hold"), () = look => {} }
        assert_eq!(endpoint.connections(), 3, "three streams each");
        assert_eq!(session.get("/").await.unwrap().status(), 200);
        assert_eq!(endpoint.connections(), 3);
    });
    // The client is gone, and so are its streams; the connections stay.
    wait_until("the streams are reset", || endpoint.cancelled() == 7);
    assert_eq!(endpoint.open(), 3);
    // Another transport closes them.
    gateway.apply(&to(&[endpoint.address()], "pool = { idle = 7 }"));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn an_unused_connection_ends_and_says_so() {
    let endpoint = Echo::start();
    let gateway = Running::start(&to(&[endpoint.address()], "timeouts = { idle = \"300ms\" }"));
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 200);
        wait_until("it is closed", || endpoint.open() == 0);
    }
    assert_eq!(endpoint.connections(), 2);
}

#[test]
fn a_goodbye_is_no_failure() {
    // The first connections answer two requests, and give up the third, which they have not looked at.
    let address = start(|raw, index| {
        for _ in 0..2 {
            let Some(stream) = raw.request() else { return };
            raw.reply(stream);
        }
        if let Some(stream) = raw.request() {
            if index < 5 {
                raw.frame(GOAWAY, 0, 0, &[&(stream - 2).to_be_bytes()[..], &[0; 4]].concat());
                return;
            }
            raw.reply(stream);
            while let Some(stream) = raw.request() {
                raw.reply(stream);
            }
        }
    });
    let gateway = Running::start(&to(&[address], "retry = { attempts = 0 }"));
    let mut client = gateway.connect();
    for turn in 0..20 {
        // Even one that must not run twice: the endpoint says that it did not look at it.
        client.say(POST);
        assert_eq!(client.reply().text(), "ok", "turn {turn}");
    }
    assert!(gateway.failures().is_empty());
}

/// Goodbyes under load: each connection serves 20 requests and ignores what came after them. Not even a POST fails.
#[test]
fn goodbyes_under_load_are_no_failures() {
    let address = start(|raw, _| {
        let mut last = 0;
        for _ in 0..20 {
            let Some(stream) = raw.request() else { return };
            raw.reply(stream);
            last = stream;
        }
        raw.frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat());
        while raw.next().is_some() {}
    });
    let gateway = Running::start(&to(&[address], "retry = { attempts = 0 }"));
    let (web, bad) = (gateway.web(), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut client = Client::to(web);
                for turn in 0..20 {
                    client.say(if turn % 2 == 0 { POST.to_owned() } else { get("/") });
                    if client.reply().status != 200 {
                        bad.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let record = gateway.failures().first().map(|record| record.verdict.clone());
    assert_eq!(bad.into_inner(), 0, "of 1000 requests; the last said {record:?}");
}

#[test]
fn a_refused_stream_goes_elsewhere() {
    let refusing = start(|raw, _| {
        while let Some(stream) = raw.request() {
            raw.frame(RST_STREAM, 0, stream, &REFUSED_STREAM);
        }
    });
    let good = Echo::start();
    let gateway =
        Running::start(&to(&[refusing, good.address()], "balance = \"round-robin\"\nretry = { budget = \"100%\" }"));
    for _ in 0..6 {
        assert_eq!(gateway.ask(POST).text(), "ok");
    }
    let gateway = Running::start(&to(&[refusing], ""));
    assert_eq!(gateway.ask(POST).status, 502);
    gateway.failure("stream-refused");
}

#[test]
fn what_may_have_run_is_not_run_again() {
    let address = start(|raw, _| {
        // Cut without a word, once it has the request.
        raw.request();
    });
    let good = Echo::start();
    let text = to(
        &[address, good.address()],
        "balance = \"round-robin\"\nretry = { attempts = 2, on = [\"connect\", \"reset\"], budget = \"100%\" }",
    );
    let gateway = Running::start(&text);
    let statuses: Vec<_> = (0..4).map(|_| gateway.ask(POST).status).collect();
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
    let gateway = Running::start(&text);
    assert!((0..6).all(|_| gateway.get("/").status == 200), "a GET may run twice");
}

#[test]
fn replies_that_lie_are_refused() {
    type Lie = fn(&mut crate::support::h2::Raw, u32);
    let lies: [(&str, Lie, &str); 5] = [
        (
            "more than its length",
            |raw, stream| {
                raw.frame(HEADERS, END_HEADERS, stream, &[&[0x88][..], &block(&[("content-length", "1")])].concat());
                raw.frame(DATA, END_STREAM, stream, b"ok");
            },
            "reply-cut",
        ),
        (
            "an upper-case field",
            |raw, stream| {
                raw.frame(HEADERS, END_HEADERS | END_STREAM, stream, &[&[0x88][..], &block(&[("X-Up", "1")])].concat());
            },
            "bad-reply",
        ),
        (
            "a connection field",
            |raw, stream| {
                raw.frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream,
                    &[&[0x88][..], &block(&[("transfer-encoding", "chunked")])].concat(),
                );
            },
            "bad-reply",
        ),
        (
            "no status",
            |raw, stream| {
                raw.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&[("a", "b")]));
            },
            "bad-reply",
        ),
        ("a reset", |raw, stream| _ = raw.frame(RST_STREAM, 0, stream, &[0, 0, 0, 2]), "stream-reset"),
    ];
    for (row, lie, token) in lies {
        let address = start(move |raw, _| {
            while let Some(stream) = raw.request() {
                lie(raw, stream);
            }
        });
        let gateway = Running::start(&to(&[address], ""));
        let mut client = gateway.connect();
        // A page about it, or a reply that is cut: both end.
        client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.rest();
        let record = gateway.failure(token);
        assert_eq!(record.fault.as_deref(), Some(token), "row {row}");
    }
}

#[test]
fn an_endpoint_that_speaks_something_else_says_so() {
    let origin = Origin::serving(|peer| {
        peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        peer.hold();
    });
    let good = Echo::start();
    let gateway = Running::start(&to(&[origin.address()], ""));
    assert_eq!(gateway.get("/").status, 502);
    let record = gateway.failure("connect-failed");
    assert!(record.verdict.contains("it does not speak HTTP/2"), "{}", record.verdict);
    // Nothing was sent, so that even a POST goes elsewhere.
    let gateway = Running::start(&to(&[origin.address(), good.address()], "balance = \"round-robin\""));
    assert!((0..4).all(|_| gateway.ask(POST).status == 200));
    // One that says nothing at all is left in time, and everyone who waits for it learns it at once.
    let silent = Origin::serving(|peer| peer.hold());
    let gateway =
        Running::start(&to(&[silent.address()], "timeouts = { connect = \"400ms\" }\nretry = { attempts = 0 }"));
    let start = weirgate::clock::now();
    let mut waiting: Vec<Client> = (0..20).map(|_| gateway.connect()).collect();
    waiting.iter_mut().for_each(|client| _ = client.say(get("/")));
    waiting.iter_mut().for_each(|client| assert_eq!(client.reply().status, 504));
    assert!((weirgate::clock::now() - start).as_secs() < 5, "they waited one after the other");
}

#[test]
fn a_silent_reply_is_waited_for_and_no_longer() {
    let endpoint = Echo::start();
    let gateway =
        Running::start(&to(&[endpoint.address()], "timeouts = { response = \"300ms\" }\nretry = { attempts = 0 }"));
    let mut client = gateway.connect();
    client.say(get("/hold"));
    assert_eq!(client.reply().status, 504);
    gateway.failure("reply-timeout");
    wait_until("the stream is reset", || endpoint.cancelled() == 1);
    // The connection is as good as before.
    client.say(get("/"));
    assert_eq!((client.reply().status, endpoint.connections()), (200, 1));
}

#[test]
fn a_websocket_is_refused_in_words() {
    let endpoint = Echo::start();
    let gateway = Running::start(&to(&[endpoint.address()], ""));
    let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(reply.status, 501);
    let record = gateway.failure("only-http1");
    assert!(record.verdict.contains("a WebSocket passes only over HTTP/1.1"), "{}", record.verdict);
}

#[test]
fn over_tls_the_protocol_is_agreed() {
    let (authority, endpoint) = (Authority::new(), Echo::start());
    let signed = authority.sign(&["127.0.0.1"]);
    let secure = Terminator::before(endpoint.address(), &signed, &["h2", "http/1.1"]);
    let text = |address| to(&[address], &format!("tls = {{ {} }}", authority.ca())).replace("\"h2c\"", "\"h2\"");
    let gateway = Running::start(&text(secure.address()));
    let mut client = gateway.connect();
    for _ in 0..5 {
        client.say(get("/"));
        assert_eq!(client.reply().text(), "ok");
    }
    let body = vec![b'z'; 300_000];
    client.say(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.say(&body);
    assert!(client.reply().body == body);
    assert_eq!(secure.handshakes(), 1);
    // An endpoint that agrees to HTTP/1.1, or to nothing, is told apart.
    for (protocols, want) in
        [(&["http/1.1"][..], "it speaks another protocol than ours (ALPN)"), (&[], "it agreed to nothing by ALPN")]
    {
        let origin = Origin::plain();
        let secure = Terminator::before(origin.address(), &signed, protocols);
        let gateway = Running::start(&text(secure.address()));
        assert_eq!(gateway.get("/").status, 502);
        let record = gateway.failure("connect-failed");
        assert!(record.verdict.contains(want), "{}", record.verdict);
    }
}

/// A connection that died while nobody looked: a request that must not run twice is not the one to find out.
#[test]
fn a_quiet_connection_is_asked_before_it_is_trusted() {
    let address = start(|raw, index| {
        let Some(stream) = raw.request() else { return };
        raw.reply(stream);
        // The first ones are never heard of again, and do not close either.
        if index < 2 {
            while raw.next().is_some() {}
            return;
        }
        while let Some(stream) = raw.request() {
            raw.reply(stream);
        }
    });
    let gateway = Running::start(&to(&[address], "retry = { attempts = 0 }\ntimeouts = { connect = \"600ms\" }"));
    let mut client = gateway.connect();
    client.say(get("/"));
    assert_eq!(client.reply().status, 200);
    let began = weirgate::clock::now();
    wait_until("it has been quiet for a while", || (weirgate::clock::now() - began).as_millis() > 1300);
    client.say(POST);
    assert_eq!(client.reply().text(), "ok");
    assert!(gateway.failures().is_empty());
}

/// An endpoint that is killed and starts again under load: no client notices, as everything asked is idempotent.
#[test]
fn a_restart_is_no_failure() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let keep = listener.try_clone().unwrap();
    let mut endpoint = Echo::on(listener, 100);
    let gateway = Running::start(&to(&[address], "retry = { attempts = 0 }"));
    let mut client = gateway.connect();
    for turn in 0..5 {
        for _ in 0..10 {
            client.say(get("/"));
            assert_eq!(client.reply().text(), "ok", "turn {turn}");
        }
        // Its runtime goes away with all connections; the port stays.
        drop(endpoint);
        endpoint = Echo::on(keep.try_clone().unwrap(), 100);
        client.say(get("/"));
        assert_eq!(client.reply().text(), "ok", "turn {turn}");
    }
    assert!(gateway.failures().is_empty());
}
