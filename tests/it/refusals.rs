// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that lie (hard cases 6 to 9): refused with the right status, not a byte of them reaches an endpoint, the
//! connection is closed after the answer, and nothing after a refused message is read as a request.

use crate::support::client::Client;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;
use crate::support::wait_until;

/// What a smuggler puts behind a message of which two readers find two ends.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Sends each request followed by another one, and wants this status, a close, and an endpoint that saw nothing.
#[track_caller]
fn check(rows: &[(u16, &str, String)]) {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    for (status, row, request) in rows {
        let mut client = Client::to(gateway.web());
        client.say(format!("{request}{SMUGGLED}"));
        let reply = client.reply();
        assert_eq!(reply.status, *status, "row {row}: {}", reply.head);
        assert_eq!(reply.one("connection"), "close", "row {row}");
        client.expect_closed(row);
        assert_eq!(origin.received(), 0, "row {row} reached the endpoint: {:?}", origin.heads());
    }
    // The gateway is as good as before.
    assert_eq!(gateway.get("/").status, 200);
}

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n{body}")
}

#[test]
fn two_readings_of_where_a_message_ends() {
    let rows = [
        ("length and coding", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        ("two different lengths", "Content-Length: 5\r\nContent-Length: 6", "hello"),
        ("two equal lengths", "Content-Length: 5\r\nContent-Length: 5", "hello"),
        ("a list of lengths", "Content-Length: 5, 5", "hello"),
        ("a signed length", "Content-Length: +5", "hello"),
        ("a negative length", "Content-Length: -5", "hello"),
        ("a hexadecimal length", "Content-Length: 0x5", "hello"),
        ("a length with a space", "Content-Length: 5 5", "hello"),
        ("an empty length", "Content-Length:", ""),
        ("a length past 64 bits", "Content-Length: 18446744073709551616", ""),
        ("a name with a space", "Content-Length : 5", "hello"),
        ("a coding that is not known", "Transfer-Encoding: gzip", "0\r\n\r\n"),
        ("chunked not last", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n"),
        ("chunked after another", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
        ("two codings in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
        ("identity", "Transfer-Encoding: identity", ""),
        ("chunked in quotes", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        ("chunked with a parameter", "Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
        ("xchunked", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("chunked behind a vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        ("an empty coding", "Transfer-Encoding:", ""),
        ("a folded coding", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ("a folded field", "X-Any: a\r\n b", ""),
        ("a coding with a space before the colon", "Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("a coding behind a bare LF", "X-Any: a\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("a coding behind a bare CR", "X-Any: a\rTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("a field without a colon", "Transfer-Encoding chunked", ""),
        ("a field without a name", ": chunked", ""),
        ("NUL in a value", "X-Any: a\0b", ""),
        ("a control character in a value", "X-Any: a\x01b", ""),
        ("a name with a slash", "X/Any: a", ""),
    ];
    let rows = rows.map(|(row, fields, body)| (400, row, post(fields, body)));
    check(&rows);
}

#[test]
fn bad_chunks_that_come_with_the_head() {
    let rows = [
        ("no digits", "\r\nhello\r\n0\r\n\r\n"),
        ("no hexadecimal", "xyz\r\nhello\r\n0\r\n\r\n"),
        ("a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a space before", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        ("past 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a bare LF", "5\nhello\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("a NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
    ];
    check(&rows.map(|(row, body)| (400, row, post("Transfer-Encoding: chunked", body))));
}

#[test]
fn request_lines_and_versions() {
    let rows = [
        (
            400,
            "Transfer-Encoding in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (505, "HTTP/0.9", "GET /\r\n\r\n"),
        (505, "HTTP/2.0 in words", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (505, "HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (400, "a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        (400, "a version of many digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        (400, "two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "a tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "a space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "bare LF", "GET / HTTP/1.1\nHost: a\n\n"),
        (400, "bare LF in one line", "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n"),
        (400, "white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        (400, "a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "a response", "HTTP/1.1 200 OK\r\n\r\n"),
        (400, "CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"),
        (400, "CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
        (400, "an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            417,
            "an expectation that nobody knows",
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
        ),
    ];
    check(&rows.map(|(status, row, request)| (status, row, request.to_owned())));
}

#[test]
fn hosts_and_targets() {
    let rows = [
        ("no Host", "GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("userinfo", "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        ("a bad port", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"),
        ("a port out of range", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
        ("a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("a space in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ("two names in Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        ("NUL in Host", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
        ("a backslash in Host", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
        ("an encoded slash in Host", "GET / HTTP/1.1\r\nHost: a%2fb\r\n\r\n"),
        ("an absolute target of another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an absolute target with userinfo", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a fragment behind the query", "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("neither a path nor a URL", "GET a.example HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a byte beyond ASCII", "GET /\u{fc}?\u{fc} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    check(&rows.map(|(row, request)| (400, row, request.to_owned())));
}

/// Spellings of `/admin`, to some endpoint or other.
const SPELLINGS: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/%61%64%6D%69%6E",
    "//admin",
    "///admin//",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/x/%2E%2e/admin",
    "/.//admin",
    "/admin/.",
    "/admin/x/..",
    "/admin;a=b",
    "/admin;",
    "/;a/admin",
    "/x;/../admin",
    "/x/..;/admin",
    "/x/..;a=b/admin",
    "/admin%2f",
    "/admin%2Fx",
    "/%2fadmin",
    "/x%2f..%2fadmin",
    "/x/..%2fadmin",
    "/admin%00",
    "/admin%00.html",
    "/\\admin",
    "/x\\..\\admin",
    "/admin\\x",
    "/%5cadmin",
    "/x/..%5cadmin",
    "/%c0%afadmin",
    "/x/%c0%ae%c0%ae/admin",
    "/%e0%80%afadmin",
    "/x/.%2e/admin",
    "/x/%2e./admin",
    "/%25%36%31dmin/../admin",
    "http://a.example/admin",
    "http://a.example//admin",
    "http://a.example/x/../admin",
    "/admin?x=/../open",
    "/%61dmin;x/y",
    "/admin%09",
    "/x/./../admin",
    "/../admin",
    "/../../admin",
    "/admin%0a",
];

/// Hard case 8: a rule on `/admin` holds in every spelling of that path. A spelling is either refused, or meets the
/// rule, or is not that path in the eyes of any endpoint either.
#[test]
fn a_rule_on_a_path_holds_in_every_spelling() {
    let (open, shut) = (Origin::plain(), Origin::plain());
    let gateway = Running::start(&format!(
        "{WEB}{}{}[routes.open]\nupstream = \"open\"\n\
         [routes.shut]\nmatch = {{ path = \"/admin\" }}\nupstream = \"shut\"\npolicies = [{{ api_key = {{ header = \"X-Key\" }} }}]\n",
        upstream("open", &[open.address()]),
        upstream("shut", &[shut.address()]),
    ));
    for spelling in SPELLINGS {
        let reply = gateway.get(spelling);
        assert!(matches!(reply.status, 400 | 401), "{spelling} was answered {}: {:?}", reply.status, open.heads());
    }
    assert_eq!((open.received(), shut.received()), (0, 0), "{:?}", open.heads());
    // What is another path is another path, and is sent as it was matched.
    for (spelling, sent) in [
        ("/Admin", "/Admin"),
        ("/adminx", "/adminx"),
        ("/admi%6e%2Dx", "/admin-x"),
        ("/a%2fb/../b", ""),
        ("/a//b/./c/../d%7e?x=%7e//", "/a/b/d~?x=%7e//"),
        ("/x;v=1/y", "/x;v=1/y"),
        ("/a%3Ab", "/a%3Ab"),
        ("/admin%3fx", "/admin%3Fx"),
        ("/admin%23x", "/admin%23x"),
        ("/admin%20", "/admin%20"),
    ] {
        let reply = gateway.get(spelling);
        let expected = if sent.is_empty() { 400 } else { 200 };
        assert_eq!(reply.status, expected, "{spelling}: {}", reply.text());
        if !sent.is_empty() {
            assert!(open.head().starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{spelling}: {}", open.head());
        }
    }
    assert_eq!(shut.received(), 0);
}

/// A body that turns bad after its head was passed on is the client's fault: 400, and the endpoint never gets an end of
/// it that it could take for the real one.
#[test]
fn a_body_that_turns_bad_is_not_the_endpoints_fault() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway = Running::before(&origin);
    for bad in ["zz\r\n", "5\nhello", "5\r\nhelloX\r\n0\r\n\r\n"] {
        let before = origin.heads().len();
        let mut client = gateway.connect();
        client.say(post("Transfer-Encoding: chunked", "5\r\nhello\r\n"));
        wait_until("the head is passed on", || origin.heads().len() > before);
        client.say(format!("{bad}{SMUGGLED}"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.one("connection").as_str()), (400, "close"), "row {bad:?}");
        client.expect_closed(bad);
        wait_until("the endpoint's connection is closed", || origin.open() == 0);
    }
    assert!(gateway.failures().iter().all(|record| record.fault.as_deref() == Some("malformed")));
    assert!(!origin.heads().iter().any(|head| head.contains("smuggled")));
}

/// A client that goes away in the middle of its body leaves an endpoint with no end of it.
#[test]
fn a_body_that_breaks_off_is_never_completed() {
    let origin = Origin::serving(|peer| {
        if let Some(head) = peer.head() {
            assert!(peer.body(&head).is_none(), "the endpoint took it for whole");
        }
    });
    let gateway = Running::before(&origin);
    for fields in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let before = origin.heads().len();
        let mut client = gateway.connect();
        client.say(post(fields, "5\r\nhello\r\n"));
        wait_until("the head is passed on", || origin.heads().len() > before);
        client.finish();
        drop(client);
        wait_until("the endpoint's connection is closed", || origin.open() == 0);
    }
    assert!(origin.bodies().is_empty());
}
