// SPDX-License-Identifier: MIT OR Apache-2.0
//! `forward_auth` against a service of the test's own: what it is asked, what of its answer goes where, what is
//! remembered, and what happens without it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weirgate::control::seam::Appliance;
use weirgate_store::parse::parse_and_check;
use weirgate_store::wire::{ExplainRequest, FlushRequest};

use crate::support::client::values;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

fn config(origin: &Origin, auth: SocketAddr, settings: &str) -> String {
    format!(
        "{WEB}{}{}[policies.sso]\nforward_auth = {{ upstream = \"auth\", path = \"/verify?x=1\"{settings} }}\n\
         [routes.all]\nupstream = \"shop\"\npolicies = [\"sso\"]\n",
        upstream("shop", &[origin.address()]),
        upstream("auth", &[auth]),
    )
}

const YES: &str = "HTTP/1.1 200 OK\r\nX-Auth-User: ana\r\nX-Auth-Role: a\r\nX-Auth-Role: b\r\nX-Other: no\r\nContent-Length: 3\r\n\r\nyes";

/// A service that lets through whoever has the token `good`, and says 401 to others.
fn service() -> Origin {
    Origin::serving(|peer| {
        while let Some(head) = peer.request() {
            let is_good = values(&head, "authorization") == ["Bearer good"];
            peer.say(if is_good { YES } else { "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno" });
        }
    })
}

fn with(token: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {token}\r\n\r\n")
}

#[test]
fn the_service_is_told_what_is_wanted_and_the_endpoint_what_it_said() {
    let (origin, auth) = (Origin::plain(), Origin::replying(YES));
    let gateway = Running::start(&config(
        &origin,
        auth.address(),
        ", reply_headers = [\"X-Auth-User\", \"X-Auth-Role\", \"X-Auth-Mail\"]",
    ));
    let reply = gateway.ask(
        "POST /orders/1?a=b HTTP/1.1\r\nHost: a.example\r\nCookie: s=1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nRange: bytes=0-1\r\n\
         X_Auth_User: root\r\nX-Auth-User: root\r\nX-Auth-Mail: root@example.com\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = auth.head();
    assert!(asked.starts_with("GET /verify?x=1 HTTP/1.1\r\n"), "{asked}");
    for (field, want) in [
        ("x-forwarded-method", &["POST"][..]),
        ("x-forwarded-uri", &["/orders/1?a=b"]),
        ("x-forwarded-host", &["a.example"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("cookie", &["s=1"]),
        ("host", &["a.example"]),
        ("x-hop", &[]),
        ("range", &[]),
        ("content-length", &[]),
        ("content-type", &[]),
        ("transfer-encoding", &[]),
    ] {
        assert_eq!(values(&asked, field), want, "{field}: {asked}");
    }
    let head = origin.head();
    assert!(head.starts_with("POST /orders/1?a=b HTTP/1.1\r\n"), "{head}");
    for (field, want) in [
        ("x-auth-user", &["ana"][..]),
        ("x_auth_user", &[]),
        ("x-auth-role", &["a", "b"]),
        ("x-auth-mail", &[]),
        ("x-other", &[]),
        ("cookie", &["s=1"]),
        ("range", &["bytes=0-1"]),
        ("x-forwarded-uri", &[]),
    ] {
        assert_eq!(values(&head, field), want, "{field}: {head}");
    }
    assert_eq!(origin.bodies(), [b"hi".to_vec()]);
    gateway.apply(&config(&origin, auth.address(), ", request_headers = [\"authorization\"]"));
    assert_eq!(gateway.ask(&with("x").replace("\r\n\r\n", "\r\nCookie: s=1\r\n\r\n")).status, 200);
    let asked = auth.head();
    assert_eq!((values(&asked, "authorization").len(), values(&asked, "cookie").len()), (1, 0), "{asked}");
    assert_eq!(values(&asked, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(auth.connections().min(2), auth.connections(), "its connections are kept: {}", auth.connections());
}

/// Rows: what the service says to a client that may not.
#[test]
fn a_no_is_passed_on_as_it_is() {
    let origin = Origin::plain();
    for (says, status, field, body) in [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4",
            401,
            ("www-authenticate", "Basic realm=\"x\""),
            "stop",
        ),
        (
            "302 Found\r\nLocation: https://login.example/?a=b\r\nConnection: X-A\r\nX-A: 1\r\nContent-Length: 4",
            302,
            ("location", "https://login.example/?a=b"),
            "stop",
        ),
        (
            "403 Forbidden\r\nSet-Cookie: a=b\r\nX-A: 1\r\nTransfer-Encoding: chunked",
            403,
            ("set-cookie", "a=b"),
            "4\r\nstop\r\n0\r\n\r\n",
        ),
        ("429 Too Many\r\nRetry-After: 7\r\nContent-Length: 4", 429, ("retry-after", "7"), "stop"),
        ("404 Not Found\r\nContent-Length: 0", 404, ("x-none", ""), ""),
    ] {
        let auth = Origin::replying(format!("HTTP/1.1 {says}\r\n\r\n{body}"));
        let gateway = Running::start(&config(&origin, auth.address(), ", failure = \"allow\""));
        let reply = gateway.ask(&with("x"));
        assert_eq!(reply.status, status, "row {says}");
        assert_eq!(reply.one(field.0), field.1, "row {says}: {}", reply.head);
        assert_eq!(reply.text(), if body.is_empty() { "" } else { "stop" }, "row {says}");
        assert_eq!(reply.one("x-a").is_empty(), status != 403, "row {says}: {}", reply.head);
        assert_eq!(auth.heads().len(), 1, "row {says}: a redirect is not followed");
    }
    assert_eq!(origin.heads().len(), 0);
}

/// Rows: a service in trouble, and what a request gets for each of the three settings.
#[test]
fn without_a_decision_the_setting_decides() {
    let origin = Origin::plain();
    let silent = Origin::serving(|peer| {
        peer.request();
        peer.request();
    });
    let broken = Origin::replying("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let cut = Origin::closing("HTTP/1.1 200");
    let rows =
        [("absent", Origin::absent()), ("silent", silent.address()), ("5xx", broken.address()), ("cut", cut.address())];
    for (row, auth) in rows {
        for (failure, status) in [("deny", 403), ("unavailable", 503), ("allow", 200)] {
            let settings = format!(", failure = \"{failure}\", timeout = \"300ms\", reply_headers = [\"X-Auth-User\"]");
            let gateway = Running::start(&config(&origin, auth, &settings));
            let reply = gateway.ask(&with("x").replace("\r\n\r\n", "\r\nX-Auth-User: root\r\n\r\n"));
            assert_eq!(reply.status, status, "row {row} {failure}: {}", reply.text());
            if status == 200 {
                assert_eq!(origin.field("x-auth-user"), Vec::<String>::new(), "row {row}: nobody says that");
            } else {
                let story = gateway.failure("undecided").verdict.clone();
                assert!(story.contains("policy sso: nobody decided: "), "row {row}: {story}");
                assert!(!reply.text().contains("auth"), "row {row}: {}", reply.text());
            }
        }
    }
}

/// A no whose body cannot be passed on stays a no, also where trouble lets through.
#[test]
fn a_no_with_a_body_that_does_not_come_is_a_no() {
    let origin = Origin::plain();
    let long = format!("HTTP/1.1 401 No\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000));
    let endless = Origin::serving(|peer| {
        peer.request();
        peer.say("HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\nhalf");
        peer.request();
    });
    let (long, cut) = (Origin::replying(long), Origin::closing("HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\nhalf"));
    for (row, auth) in [("long", &long), ("cut", &cut), ("endless", &endless)] {
        let gateway = Running::start(&config(&origin, auth.address(), ", failure = \"allow\", timeout = \"300ms\""));
        let record = gateway.record_of(|| assert_eq!(gateway.ask(&with("x")).status, 403, "row {row}"));
        assert!(record.verdict.contains("auth said 401"), "row {row}: {record:?}");
    }
    assert_eq!(origin.heads().len(), 0);
}

const CACHED: &str = ", reply_headers = [\"X-Auth-User\"], cache = { key = [{ header = \"Authorization\" }, \"path\"], \
                      ttl = \"1h\", negative_ttl = \"1h\", subject = \"X-Auth-User\" }";

#[test]
fn verdicts_are_remembered_and_flushed() {
    let (origin, auth) = (Origin::plain(), service());
    let gateway = Running::start(&config(&origin, auth.address(), CACHED));
    let ask = |token: &str| gateway.ask(&with(token)).status;
    let asked = || auth.heads().len();
    assert_eq!((ask("good"), ask("good"), ask("good"), asked()), (200, 200, 200, 1));
    assert_eq!(origin.field("x-auth-user"), ["ana"], "also from memory");
    assert_eq!((ask("bad"), asked()), (401, 2));
    let record = gateway.record_of(|| assert_eq!(ask("bad"), 401));
    assert!(record.why.join(" ").contains("sso denied with 401, as remembered"), "{record:?}");
    assert_eq!(asked(), 2);
    assert_eq!((ask("worse"), asked()), (401, 3), "another key");
    assert_eq!((gateway.ask(&with("good").replace("/a", "/b")).status, asked()), (200, 4), "another path");
    // A change of something else forgets nothing; one of the question does.
    gateway.apply(&(config(&origin, auth.address(), CACHED) + "urgency = 5\n"));
    assert_eq!((ask("good"), asked()), (200, 4));
    let explained = gateway.explain(&ExplainRequest {
        method: "GET".to_owned(),
        url: "http://a/a".to_owned(),
        headers: [("Authorization".to_owned(), "Bearer bad".to_owned())].into(),
        ..ExplainRequest::default()
    });
    assert_eq!(explained.status, Some(401));
    assert!(explained.verdict.contains("auth of policy sso, as remembered, answered 401"), "{explained:?}");
    assert_eq!(asked(), 4, "and explaining asks nobody");
    let flush = |subject: Option<&str>, key: Option<&[&str]>| {
        let key = key.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
        gateway.gateway.flush_verdicts("sso", &FlushRequest { subject: subject.map(str::to_owned), key })
    };
    assert_eq!(flush(None, Some(&["Bearer bad", "/a"])), Some(1));
    assert_eq!((ask("bad"), asked()), (401, 5));
    assert_eq!(flush(Some("ana"), None), Some(2));
    assert_eq!((ask("bad"), ask("good"), asked()), (401, 200, 6));
    assert_eq!(flush(None, None), Some(3));
    assert_eq!(gateway.gateway.flush_verdicts("other", &FlushRequest::default()), None);
    gateway.apply(&config(&origin, auth.address(), &CACHED.replace("1h", "2h")));
    assert_eq!((ask("good"), ask("good"), asked()), (200, 200, 7));
}

#[test]
fn the_service_says_how_long_where_it_is_trusted_to() {
    let origin = Origin::plain();
    for (trusted, says, asked) in [
        ("true", "no-store", 3),
        ("true", "max-age=0", 3),
        ("true", "private, max-age=600", 1),
        ("false", "no-store", 1),
    ] {
        let auth = Origin::replying(format!("HTTP/1.1 204 No\r\nCache-Control: {says}\r\n\r\n"));
        let settings = format!(", cache = {{ key = [{{ header = \"Authorization\" }}], cache_control = {trusted} }}");
        let gateway = Running::start(&config(&origin, auth.address(), &settings));
        for _ in 0..3 {
            assert_eq!(gateway.ask(&with("x")).status, 200);
        }
        assert_eq!(auth.heads().len(), asked, "row {trusted} {says}");
    }
}

/// Many at once with one key are one question; the one that asks may go away.
#[test]
fn those_who_come_together_ask_once() {
    let origin = Origin::plain();
    let (waiting, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, gate) = (Arc::clone(&waiting), Arc::clone(&go));
    let auth = Origin::serving(move |peer| {
        while peer.request().is_some() {
            seen.fetch_add(1, Ordering::SeqCst);
            wait_until("the test lets it answer", || gate.load(Ordering::SeqCst) > 0);
            peer.say(OK);
        }
    });
    let settings = format!("{CACHED}, timeout = \"20s\"");
    let gateway = Running::start(&config(&origin, auth.address(), &settings));
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    clients[0].say(with("good"));
    wait_until("the first one asks", || waiting.load(Ordering::SeqCst) == 1);
    clients.iter_mut().skip(1).for_each(|client| assert!(client.say(with("good"))));
    let in_flight = || gateway.gateway.observer().meters.total().in_flight();
    wait_until("all are under way", || in_flight() == 20);
    clients.remove(0).reset();
    wait_until("another one asks in its place", || waiting.load(Ordering::SeqCst) == 2);
    go.store(1, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(waiting.load(Ordering::SeqCst), 2, "nobody else asked");
    assert_eq!(origin.heads().len(), 19);
}

#[test]
fn what_cannot_work_is_refused() {
    let (origin, auth) = (Origin::plain(), Origin::absent());
    for (settings, want) in [
        (", timeout = \"0ms\"", "out of bounds"),
        (", timeout = \"31s\"", "out of bounds"),
        (", reply_headers = [\"Content-Length\"]", "frames the message"),
        (", request_headers = [\"a b\"]", "not the name of a header field"),
        (", cache = { key = [] }", "every request would get the first verdict"),
        (", cache = { key = [\"path\", \"method\"] }", "all callers share a verdict"),
        (", cache = { key = [\"consumer\"], ttl = \"2d\" }", "out of bounds"),
        (", cache = { key = [\"consumer\"], entries = 0 }", "out of bounds"),
        (", failure = \"maybe\"", "maybe"),
    ] {
        let problems = format!("{:?}", parse_and_check(&config(&origin, auth, settings)).expect_err(settings));
        assert!(problems.contains(want), "row {settings}: {problems}");
    }
    let text = config(&origin, auth, "").replace("upstream = \"auth\"", "upstream = \"oauth\"");
    assert!(format!("{:?}", parse_and_check(&text).expect_err("dangling")).contains("did you mean"));
    let (_, warnings) = parse_and_check(&config(&origin, auth, "")).expect("it is fine");
    assert!(!format!("{warnings:?}").contains("nothing uses"), "{warnings:?}");
}
