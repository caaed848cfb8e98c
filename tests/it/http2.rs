// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/2: what passes, what is refused (hard case 10), and clients that abuse it (hard case 12).

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use http::{HeaderMap, HeaderValue};

use crate::support::client::{Client, get, values};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, PING, RST_STREAM, Raw, SETTINGS, Streams,
    WINDOW_UPDATE, block, encode, request,
};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

type Fields = Vec<(String, Vec<u8>)>;

/// GET with more fields behind its pseudo-fields.
fn with(more: &[(&str, &str)]) -> Fields {
    GET.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// GET with one of its pseudo-fields changed, or taken out if the value is `None`.
fn but(name: &str, value: Option<&str>) -> Fields {
    let mut fields = with(&[]);
    fields.retain_mut(|field| {
        if field.0 == name {
            field.1 = value.unwrap_or_default().as_bytes().to_vec();
        }
        field.0 != name || value.is_some()
    });
    fields
}

/// A head that is refused, whatever way, and of which nothing reaches an endpoint.
#[track_caller]
fn check(rows: &[(&str, Fields)]) {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    for (row, fields) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        raw.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields));
        let outcome = raw.outcome(1);
        let refused = matches!(outcome, Outcome::Reset(1) | Outcome::Away(1) | Outcome::Status(400));
        assert!(refused, "row {row}: {outcome:?}");
        assert_eq!(origin.received(), 0, "row {row} reached the endpoint: {:?}", origin.heads());
        if !matches!(outcome, Outcome::Away(_)) {
            // The stream was wrong, not the connection.
            raw.get(3);
            assert_eq!(raw.outcome(3), Outcome::Status(200), "row {row}: the next stream");
            assert_eq!(origin.heads().len(), 1, "row {row}: {:?}", origin.heads());
            return_to_nothing(&origin);
        }
    }
}

/// Rows compare with nothing received, so what the good streams left is forgotten.
fn return_to_nothing(origin: &Origin) {
    origin.forget();
}

#[test]
fn fields_that_http2_does_not_have() {
    check(&[
        ("Connection", with(&[("connection", "keep-alive")])),
        ("Keep-Alive", with(&[("keep-alive", "timeout=5")])),
        ("Proxy-Connection", with(&[("proxy-connection", "keep-alive")])),
        ("Transfer-Encoding", with(&[("transfer-encoding", "chunked")])),
        ("Upgrade", with(&[("upgrade", "websocket")])),
        ("TE other than trailers", with(&[("te", "gzip")])),
        ("TE with more", with(&[("te", "trailers, gzip")])),
        ("upper case", with(&[("X-Upper", "a")])),
        ("one capital", with(&[("x-uppeR", "a")])),
        ("a space in a name", with(&[("x a", "a")])),
        ("a colon in a name", with(&[("x:a", "a")])),
        ("no name", with(&[("", "a")])),
        ("CR in a value", with(&[("x-a", "a\rb")])),
        ("LF in a value", with(&[("x-a", "a\nb")])),
        ("CRLF in a value", with(&[("x-a", "a\r\nx-b: c")])),
        ("NUL in a value", with(&[("x-a", "a\0b")])),
        ("a space before a value", with(&[("x-a", " a")])),
        ("a tab before a value", with(&[("x-a", "\ta")])),
        ("a space behind a value", with(&[("x-a", "a ")])),
        ("only a space", with(&[("x-a", " ")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "0")])),
        ("a length that is no number", with(&[("content-length", "+0")])),
        ("a list of lengths", with(&[("content-length", "0, 0")])),
        ("a length and no data", with(&[("content-length", "5")])),
    ]);
}

#[test]
fn pseudo_fields() {
    check(&[
        ("behind a field", [with(&[("x-a", "b")]), vec![(":path".to_owned(), b"/b".to_vec())]].concat()),
        (":method twice", with(&[(":method", "GET")])),
        (":path twice", with(&[(":path", "/admin")])),
        (":authority twice", with(&[(":authority", "b.example")])),
        (":scheme twice", with(&[(":scheme", "https")])),
        ("an unknown one", with(&[(":other", "a")])),
        ("one of a reply", with(&[(":status", "200")])),
        ("no :method", but(":method", None)),
        ("no :scheme", but(":scheme", None)),
        ("no :path", but(":path", None)),
        ("an empty :path", but(":path", Some(""))),
        ("a :path without a slash", but(":path", Some("admin"))),
        ("a :path that is a URL", but(":path", Some("http://b.example/"))),
        ("a :path with a space", but(":path", Some("/a b"))),
        ("a :path with a line end", but(":path", Some("/ HTTP/1.1\r\nHost: b\r\n\r\n"))),
        ("an asterisk for GET", but(":path", Some("*"))),
        ("a :method with a space", but(":method", Some("GET /admin"))),
        ("another :scheme", but(":scheme", Some("ftp"))),
        ("userinfo", but(":authority", Some("user@a.example"))),
        ("a bad port", but(":authority", Some("a.example:x"))),
        ("an empty :authority", but(":authority", Some(""))),
        ("neither :authority nor Host", but(":authority", None)),
        ("another Host", with(&[("host", "b.example")])),
        ("another port in Host", with(&[("host", "a.example:81")])),
        ("two Hosts", with(&[("host", "a.example"), ("host", "a.example")])),
        ("CONNECT", vec![(":method".to_owned(), b"CONNECT".to_vec()), (":authority".to_owned(), b"a:443".to_vec())]),
        ("a path behind which is another", but(":path", Some("/x/..%2fadmin"))),
    ]);
}

#[test]
fn what_is_right_passes() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    let rows = [
        ("TE: trailers", with(&[("te", "trailers")]), "te", "trailers"),
        ("the same Host", with(&[("host", "a.example")]), "host", "a.example"),
        (
            "only a Host",
            [but(":authority", None), with(&[("host", "c.example")]).split_off(4)].concat(),
            "host",
            "c.example",
        ),
        (
            "crumbs of cookies",
            with(&[("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")]),
            "cookie",
            "a=b; c=d; e=f",
        ),
        ("an empty value", with(&[("x-a", "")]), "x-a", ""),
        ("a space inside", with(&[("x-a", "a b")]), "x-a", "a b"),
        ("authority and port", but(":authority", Some("A.Example:8080")), "host", "a.example:8080"),
        ("a claim of where it came from", with(&[("x-forwarded-for", "9.9.9.9")]), "x-forwarded-for", "127.0.0.1"),
        ("Via", with(&[]), "via", "2 weirgate"),
        // h2 cuts a fragment off before anybody sees it.
        ("a fragment", but(":path", Some("/a#b")), "host", "a.example"),
        ("nominations mean nothing here", with(&[("x-hop", "1")]), "x-hop", "1"),
    ];
    for (row, fields, name, value) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        raw.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
        assert_eq!(raw.outcome(1), Outcome::Status(200), "row {row}");
        let via = values(&origin.head(), name).join("|");
        assert!(via == value || (name == "via" && via == "2.0 weirgate"), "row {row}: {}", origin.head());
    }
    // A head in several frames, one byte each, is one head.
    let mut raw = Raw::open(gateway.web(), &[]);
    let bytes = block(&with(&[("x-pieces", "yes")]));
    raw.frame(HEADERS, END_STREAM, 1, &bytes[..1]);
    for byte in &bytes[1..bytes.len() - 1] {
        raw.frame(CONTINUATION, 0, 1, &[*byte]);
    }
    raw.frame(CONTINUATION, END_HEADERS, 1, &bytes[bytes.len() - 1..]);
    let outcome = raw.outcome(1);
    assert!(matches!(outcome, Outcome::Status(200) | Outcome::Away(_)), "{outcome:?}");
}

/// Data that is not as long as was said: never a whole body for the endpoint.
#[test]
fn lengths_and_data_agree() {
    let origin = Origin::serving(|peer| {
        if peer.request().is_some() {
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    let rows: [(&str, &str, &[&[u8]]); 5] = [
        ("too little", "5", &[b"abc"]),
        ("nothing", "5", &[b""]),
        ("too much at once", "2", &[b"abc"]),
        ("too much in the end", "5", &[b"abc", b"def"]),
        ("something instead of nothing", "0", &[b"a"]),
    ];
    for (row, length, data) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        let mut fields = with(&[("content-length", length)]);
        fields[0].1 = b"POST".to_vec();
        raw.frame(HEADERS, END_HEADERS, 1, &block(&fields));
        for (at, piece) in data.iter().enumerate() {
            raw.frame(DATA, if at + 1 == data.len() { END_STREAM } else { 0 }, 1, piece);
        }
        let outcome = raw.outcome(1);
        assert!(
            matches!(outcome, Outcome::Reset(1) | Outcome::Away(1) | Outcome::Status(400)),
            "row {row}: {outcome:?}"
        );
        assert!(origin.bodies().is_empty(), "row {row}: {:?}", origin.bodies());
        wait_until("the endpoint is let go", || origin.open() == 0);
    }
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            let echo = if head.contains("/length") {
                [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
            } else {
                [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &body[..]].concat()
            };
            peer.say(echo);
        }
    });
    let gateway = Running::before(&origin);
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        for size in [0, 1, 1_000, 3_000_000] {
            let body: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-check", HeaderValue::from_static("9"));
            trailers.insert("x-consumer-name", HeaderValue::from_static("root"));
            let answer = session.ask(request("POST", "/"), Some((body.clone(), Some(trailers)))).await.unwrap();
            assert!(answer.body == body, "{size} bytes came back changed");
            let names: Vec<_> = answer.trailers.unwrap().keys().map(ToString::to_string).collect();
            assert_eq!(names, ["x-check"], "{size}: identity in trailers");
            let mut sized = request("POST", "/length");
            sized.headers_mut().insert("content-length", size.to_string().parse().unwrap());
            let answer = session.ask(sized, Some((body.clone(), None))).await.unwrap();
            assert_eq!((answer.body == body, answer.field("content-length")), (true, size.to_string()));
        }
    });
}

#[test]
fn replies_without_a_body_and_of_every_framing() {
    let rows = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 200, "99", ""),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "99", ""),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "0", ""),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nto the end", 200, "", "to the end"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "", "ok"),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
             Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
            200,
            "2",
            "ok",
        ),
    ];
    for (method, reply, status, length, body) in rows {
        let origin = Origin::closing(reply);
        let gateway = Running::before(&origin);
        gateway.block_on(async {
            let answer = Streams::to(gateway.web()).await.ask(request(method, "/"), None).await.unwrap();
            let got =
                (answer.status(), answer.field("content-length"), String::from_utf8(answer.body.clone()).unwrap());
            assert_eq!(got, (status, length.to_owned(), body.to_owned()), "row {method} {reply}");
            for gone in ["connection", "keep-alive", "upgrade", "x-hop", "transfer-encoding"] {
                assert_eq!(answer.field(gone), "", "row {reply}");
            }
            assert!(!answer.field("date").is_empty(), "row {reply}: no date");
        });
    }
    // A body that breaks off is a reset, never an end.
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let origin = Origin::closing(reply);
        let gateway = Running::before(&origin);
        gateway.block_on(async {
            let outcome = Streams::to(gateway.web()).await.get("/").await;
            assert!(outcome.is_err() || outcome.as_ref().is_ok_and(|answer| answer.status() == 502), "{outcome:?}");
        });
    }
}

#[test]
fn a_thousand_streams_in_turn_and_a_hundred_at_once() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    gateway.block_on(async {
        let session = std::rc::Rc::new(Streams::to(gateway.web()).await);
        for n in 0..1_000 {
            assert_eq!(session.get("/").await.unwrap().body, b"ok", "stream {n}");
        }
        let all: Vec<_> = (0..100).map(|_| session.get("/")).collect();
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
    });
}

#[test]
fn policies_limits_and_problems_are_the_same_as_on_http1() {
    let origin = Origin::plain();
    let listener = WEB.replace("protocol", "limits = { head = \"8KiB\", fields = 20, body = \"1KiB\" }\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nmatch = {{ path = \"/open\" }}\nupstream = \"shop\"\n\
         [routes.key]\nmatch = {{ path = \"/key\" }}\nupstream = \"shop\"\npolicies = [{{ api_key = {{ header = \"X-Api-Key\", cookie = \"key\" }} }}]\n\
         [consumers.alice]\napi_keys = [{{ secret = \"alice-secret-0123456789abcdef\" }}]\n",
        upstream("shop", &[origin.address()])
    ));
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        let ask = async |path: &str, name: &'static str, value: &str, body: usize| {
            let mut request = request(if body > 0 { "POST" } else { "GET" }, path);
            if !name.is_empty() {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            let upload = (body > 0).then(|| (vec![b'x'; body], None));
            session.ask(request, upload).await.map(|answer| answer.status())
        };
        let key = "alice-secret-0123456789abcdef";
        let rows = [
            ("/open", "", String::new(), 0, 200),
            ("/nowhere", "", String::new(), 0, 404),
            ("/key", "", String::new(), 0, 401),
            ("/key", "x-api-key", key.to_owned(), 0, 200),
            ("/key", "cookie", format!("a=b; key={key}"), 0, 200),
            ("/open", "max-forwards", "x".to_owned(), 0, 200),
            ("/open", "content-length", "2000".to_owned(), 2000, 413),
            ("/open", "", String::new(), 1_000, 200),
            ("/open", "", String::new(), 2_000, 413),
        ];
        for (path, name, value, body, status) in rows {
            assert_eq!(ask(path, name, &value, body).await.unwrap(), status, "row {path} {name} {body}");
        }
        // Too many fields, and too many bytes of them.
        let mut many = request("GET", "/open");
        (0..30).for_each(|n| {
            _ = many
                .headers_mut()
                .insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::from_static("a"))
        });
        assert_eq!(session.ask(many, None).await.unwrap().status(), 431);
        let mut large = request("GET", "/open");
        large.headers_mut().insert("x-large", "a".repeat(10_000).parse().unwrap());
        assert_eq!(session.ask(large, None).await.unwrap().status(), 431);
        let mut options = request("TRACE", "/open");
        options.headers_mut().insert("max-forwards", HeaderValue::from_static("0"));
        let reached = origin.heads().len();
        assert_eq!(session.ask(options, None).await.unwrap().status(), 405);
        assert_eq!(origin.heads().len(), reached, "the last hop is this one");
    });
}

/// CVE-2023-44487, as fast as it can be written, and with each request on its way to the endpoint first.
#[test]
fn rapid_reset_is_ended() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway = Running::before(&origin);
    let mut raw = Raw::open(gateway.web(), &[]);
    let mut writer = raw.writer();
    let writing = std::thread::spawn(move || {
        let mut written = 0;
        for n in 0..20_000_u32 {
            let burst =
                [encode(HEADERS, 5, 2 * n + 1, &block(&GET)), encode(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())];
            if !writer.write(&burst.concat()) {
                break;
            }
            written = n;
        }
        written
    });
    raw.end();
    drop(raw);
    writing.join().unwrap();
    assert!(origin.connections() < 2_000, "{} requests reached the endpoint", origin.connections());
    // Slowly: each one is served before it is cancelled.
    let mut raw = Raw::open(gateway.web(), &[]);
    let mut count = 0;
    for n in 0..2_000_u32 {
        let before = origin.heads().len();
        if !raw.get(2 * n + 1) || raw.is_over() {
            break;
        }
        wait_until("the request is under way or the connection is over", || {
            origin.heads().len() > before || raw.is_over()
        });
        raw.frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes());
        count = n;
    }
    raw.end();
    assert!(count < 1_000, "ended only after {count} streams");
    wait_until("the endpoint is let go", || origin.open() == 0);
    assert_eq!(
        Client::ask(gateway.web(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nContent-Length: x\r\n\r\n").status,
        400
    );
}

/// Frames that cost us more than they cost the client.
#[test]
fn floods_are_ended() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway = Running::before(&origin);
    let setup = |kind: u8| match kind {
        DATA => encode(
            HEADERS,
            END_HEADERS,
            1,
            &block(&[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]),
        ),
        CONTINUATION => encode(HEADERS, 0, 1, &block(&GET)),
        _ => Vec::new(),
    };
    let rows: [(&str, u8, Vec<u8>); 8] = [
        ("empty DATA", DATA, encode(DATA, 0, 1, &[])),
        ("SETTINGS", SETTINGS, encode(SETTINGS, 0, 0, &[])),
        ("SETTINGS with a value", SETTINGS, encode(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("PING", PING, encode(PING, 0, 0, &[0; 8])),
        ("empty CONTINUATION", CONTINUATION, encode(CONTINUATION, 0, 1, &[])),
        ("CONTINUATION", CONTINUATION, encode(CONTINUATION, 0, 1, &block(&[("x-a", "b".repeat(100))]))),
        ("PRIORITY", 2, encode(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("frames that nobody knows", 77, encode(77, 0, 0, &[1, 2, 3])),
    ];
    for (row, kind, frame) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        raw.write(&setup(kind));
        let mut writer = raw.writer();
        let writing = std::thread::spawn(move || {
            let burst = frame.repeat(100);
            (0..20_000).find(|_| !writer.write(&burst)).map(|bursts| bursts * 100)
        });
        // Whoever floods also reads, so that only the gateway's patience ends it.
        raw.end();
        drop(raw);
        let written = writing.join().unwrap();
        assert!(written.is_some_and(|frames| frames < 1_000_000), "row {row}: {written:?} frames were taken");
    }
    // Everyone else is served as before.
    let calm = Origin::plain();
    gateway.apply(&to_endpoints(&[calm.address()]));
    assert_eq!(gateway.get("/").status, 200);
}

/// A client that holds its window shut is let go, and never makes us read more than a window from the endpoint.
#[test]
fn a_shut_window_is_ended_and_holds_nothing() {
    let (said, read) = sync_channel::<usize>(1);
    let said = Mutex::new(said);
    let origin = Origin::serving(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let mut total = 0;
        while peer.say(vec![b'x'; 1 << 16]) {
            total += 1 << 16;
        }
        said.lock().unwrap().send(total).unwrap();
    });
    let listener = WEB.replace("protocol", "timeouts = { write = \"500ms\" }\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    for window in [0, 1, 65_535] {
        let mut raw = Raw::open(gateway.web(), &[(4, window)]);
        raw.get(1);
        assert_eq!(raw.outcome(1), Outcome::Status(200), "window {window}");
        let outcome = raw.outcome(1);
        assert!(
            matches!(outcome, Outcome::Reset(_) | Outcome::Away(_) | Outcome::Closed),
            "window {window}: {outcome:?}"
        );
        let total = read.recv().unwrap();
        assert!(total < 32 << 20, "window {window}: {total} bytes were taken from the endpoint");
    }
    // A stream that waits for its endpoint is not such a client.
    let slow = Origin::serving(|peer| {
        peer.request();
        for _ in 0..8 {
            std::thread::park_timeout(std::time::Duration::from_millis(150));
        }
        peer.say(OK);
    });
    gateway.apply(&format!("{listener}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[slow.address()])));
    gateway.block_on(async {
        assert_eq!(Streams::to(gateway.web()).await.get("/").await.unwrap().status(), 200);
    });
}

#[test]
fn an_idle_or_silent_connection_goes_away() {
    let origin = Origin::plain();
    let listener = WEB.replace(
        "protocol",
        "timeouts = { idle = \"300ms\", body = \"300ms\", head = \"300ms\", write = \"300ms\" }\nprotocol",
    );
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    let mut raw = Raw::open(gateway.web(), &[]);
    raw.get(1);
    assert_eq!(raw.outcome(1), Outcome::Status(200));
    assert_eq!(raw.end(), Some(0), "a friendly GOAWAY");
    // Half a body.
    let mut raw = Raw::open(gateway.web(), &[]);
    let mut fields = with(&[]);
    fields[0].1 = b"POST".to_vec();
    raw.frame(HEADERS, END_HEADERS, 1, &block(&fields));
    raw.frame(DATA, 0, 1, b"abc");
    let outcome = raw.outcome(1);
    assert!(matches!(outcome, Outcome::Status(408) | Outcome::Reset(_)), "{outcome:?}");
    // Half a preface, and half a head.
    Client::to(gateway.web()).expect_closed("nothing");
    let mut client = gateway.connect();
    client.say("PRI * HTTP/2.0\r\n\r\nSM\r");
    client.expect_closed("half a preface");
    let mut raw = Raw::open(gateway.web(), &[]);
    raw.frame(HEADERS, END_STREAM, 1, &block(&GET)[..10]);
    raw.end();
}

/// A window update of nothing, a stream from the server's side, data for nobody: errors, and nothing more.
#[test]
fn protocol_errors_end_the_connection() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    let rows = [
        ("an even stream", encode(HEADERS, 5, 2, &block(&GET))),
        ("DATA on stream 0", encode(DATA, 0, 0, b"abc")),
        ("DATA for nobody", encode(DATA, 0, 9, b"abc")),
        ("HEADERS on stream 0", encode(HEADERS, 5, 0, &block(&GET))),
        ("a window of nothing", encode(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window too large", encode(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2)),
        ("SETTINGS of five bytes", encode(SETTINGS, 0, 0, &[0; 5])),
        ("PING of seven bytes", encode(PING, 0, 0, &[0; 7])),
        ("CONTINUATION of nothing", encode(CONTINUATION, 4, 1, &[])),
        ("a frame too large", encode(DATA, 0, 1, &vec![0; 20_000])),
        ("a push", encode(5, 4, 1, &[0, 0, 0, 2])),
        ("a header block that is none", encode(HEADERS, 5, 1, &[0xff; 20])),
        (
            "another frame in a header block",
            [encode(HEADERS, 1, 1, &block(&GET)), encode(PING, 0, 0, &[0; 8])].concat(),
        ),
    ];
    for (row, bytes) in rows {
        let mut raw = Raw::open(gateway.web(), &[]);
        raw.write(&bytes);
        let code = raw.end();
        assert!(code.is_none_or(|code| code != 0), "row {row}: {code:?}");
        assert_eq!(origin.received(), 0, "row {row}");
    }
    let mut client = gateway.connect();
    client.say(get("/"));
    assert_eq!(client.reply().status, 200);
}

/// Requests on one connection are bounded as on HTTP/1: a friendly end, and what was begun finishes.
#[test]
fn a_connection_has_a_number_of_requests() {
    let origin = Origin::plain();
    let listener = WEB.replace("protocol", "limits = { requests = 3 }\nprotocol");
    let gateway = Running::start(&format!(
        "{listener}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    ));
    let mut raw = Raw::open(gateway.web(), &[]);
    for stream in [1, 3, 5] {
        raw.get(stream);
        assert_eq!(raw.outcome(stream), Outcome::Status(200), "stream {stream}");
    }
    assert_eq!(raw.end(), Some(0), "a friendly GOAWAY");
    assert_eq!(gateway.get("/").status, 200);
}
