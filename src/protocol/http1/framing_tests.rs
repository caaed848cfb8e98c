// SPDX-License-Identifier: MIT OR Apache-2.0
//! Framing as tables: one line of fields, one verdict.

use http::Method;

use super::super::{HeadLimits, parse_reply, parse_request};
use super::{reply_framing, request_framing};
use crate::exchange::Fields;

fn request(head: &str) -> String {
    let mut fields = Fields::new();
    let line = parse_request(head.as_bytes(), &HeadLimits::default(), &mut fields).expect(head).expect(head);
    match request_framing(&line.method, line.version, &fields) {
        Err(fault) => format!("{}: {fault}", fault.facts().token),
        Ok(said) => {
            let flag = |name, set: bool| if set { name } else { "" };
            let (keep, expect) = (flag(" keep", said.keep_alive), flag(" expect", said.expect_continue));
            let upgrade = said.upgrade.map(|to| format!(" {to:?}")).unwrap_or_default();
            format!("{:?}{keep}{expect}{upgrade}", said.framing)
        }
    }
}

fn check_request(first: &str, rows: &[(&str, &str)]) {
    for (lines, want) in rows {
        let head = format!("{first}\r\n{}\r\n", lines.split_inclusive('|').collect::<String>().replace('|', "\r\n"));
        let got = request(&head);
        assert!(got.starts_with(want), "{head:?}\n  want {want}\n  got  {got}");
    }
}

#[test]
fn requests_that_are_framed() {
    check_request(
        "POST / HTTP/1.1",
        &[
            ("", "None keep"),
            ("Content-Length: 0|", "Length(0) keep"),
            ("content-length: 0005|", "Length(5) keep"),
            ("Content-Length: 18446744073709551615|", "Length(18446744073709551615) keep"),
            ("Transfer-Encoding: chunked|", "Chunked keep"),
            ("Transfer-Encoding: CHUNKED|Connection: Close|", "Chunked"),
            ("Connection: keep-alive, close|", "None"),
            ("Connection: x|Connection: close|", "None"),
            ("Expect: 100-Continue|Content-Length: 3|", "Length(3) keep expect"),
            ("Connection: Upgrade|Upgrade: WebSocket|", "None keep WebSocket"),
            ("Connection: keep-alive, upgrade|Upgrade: foo/1|", "None keep Other"),
            ("Connection: upgrade|Upgrade: websocket, foo|", "None keep Other"),
            ("Connection: upgrade|Upgrade: h2c|", "None keep"),
            ("Connection: upgrade|Upgrade: websocket, H2C|", "None keep"),
            ("Upgrade: websocket|", "None keep"),
            ("Connection: upgrade|", "None keep"),
        ],
    );
    check_request(
        "GET / HTTP/1.0",
        &[
            ("", "None"),
            ("Connection: Keep-Alive|", "None keep"),
            ("Expect: 100-continue|Content-Length: 1|", "Length(1)"),
            ("Connection: upgrade|Upgrade: websocket|", "None"),
        ],
    );
}

#[test]
fn requests_that_lie() {
    check_request(
        "POST / HTTP/1.1",
        &[
            (
                "Content-Length: 5|Transfer-Encoding: chunked|",
                "malformed: the request is malformed: Content-Length with",
            ),
            (
                "Transfer-Encoding: chunked|Content-Length: 5|",
                "malformed: the request is malformed: Content-Length with",
            ),
            ("Content-Length: 5|Content-Length: 5|", "malformed: the request is malformed: more than one"),
            ("Content-Length: 5|Content-Length: 6|", "malformed: the request is malformed: more than one"),
            ("Content-Length: 5, 5|", "malformed: "),
            ("Content-Length: +5|", "malformed: "),
            ("Content-Length: -5|", "malformed: "),
            ("Content-Length: 0x5|", "malformed: "),
            ("Content-Length: 5 5|", "malformed: "),
            ("Content-Length:|", "malformed: the request is malformed: Content-Length is empty"),
            (
                "Content-Length: 18446744073709551616|",
                "malformed: the request is malformed: Content-Length out of range",
            ),
            ("Transfer-Encoding: chunked|Transfer-Encoding: chunked|", "malformed: "),
            ("Transfer-Encoding: chunked, chunked|", "malformed: "),
            ("Transfer-Encoding: gzip, chunked|", "malformed: "),
            ("Transfer-Encoding: identity|", "malformed: "),
            ("Transfer-Encoding: xchunked|", "malformed: "),
            ("Transfer-Encoding: \"chunked\"|", "malformed: "),
            ("Transfer-Encoding: chunked;q=1|", "malformed: "),
            ("Transfer-Encoding:|", "malformed: "),
            ("Expect: 200-ok|", "expectation: "),
            ("Expect: 100-continue|Expect: x|", "expectation: "),
        ],
    );
    check_request(
        "GET / HTTP/1.0",
        &[("Transfer-Encoding: chunked|", "malformed: the request is malformed: Transfer")],
    );
    check_request("TRACE / HTTP/1.1", &[("Content-Length: 1|", "malformed: the request is malformed: TRACE")]);
}

fn check_reply(rows: &[(Method, &str, &str)]) {
    for (method, lines, want) in rows {
        let head = format!("HTTP/{}\r\n", lines.replace('|', "\r\n"));
        let mut fields = Fields::new();
        let line = parse_reply(head.as_bytes(), &HeadLimits::default(), &mut fields).expect(&head).expect(&head);
        let got = match reply_framing(method, &line, &fields) {
            Err(bad) => format!("bad: {bad}"),
            Ok(said) => format!("{:?}{}", said.framing, if said.keep_alive { " keep" } else { "" }),
        };
        assert!(got.starts_with(want), "{method} {head:?}\n  want {want}\n  got  {got}");
    }
}

#[test]
fn replies_that_are_framed() {
    check_reply(&[
        (Method::GET, "1.1 200 OK|Content-Length: 5|", "Length(5) keep"),
        (Method::GET, "1.1 200 OK|Transfer-Encoding: chunked|", "Chunked keep"),
        (Method::GET, "1.1 200 OK|", "UntilClose"),
        (Method::GET, "1.1 200 OK|Content-Length: 5|Connection: close|", "Length(5)"),
        (Method::GET, "1.0 200 OK|Content-Length: 5|", "Length(5)"),
        (Method::GET, "1.0 200 OK|Content-Length: 5|Connection: keep-alive|", "Length(5) keep"),
        (Method::HEAD, "1.1 200 OK|Content-Length: 5|", "None keep"),
        (Method::HEAD, "1.1 200 OK|", "None keep"),
        (Method::GET, "1.1 204 No|Content-Length: 5|", "None keep"),
        (Method::GET, "1.1 304 No|Transfer-Encoding: chunked|", "None keep"),
        (Method::GET, "1.1 100 Continue|", "None keep"),
    ]);
}

#[test]
fn replies_that_lie() {
    check_reply(&[
        (Method::GET, "1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked|", "bad: Content-Length with"),
        (Method::GET, "1.1 200 OK|Content-Length: 5|Content-Length: 6|", "bad: more than one Content-Length"),
        (Method::GET, "1.1 200 OK|Content-Length: 5|Content-Length: 5|", "bad: more than one Content-Length"),
        (Method::GET, "1.1 200 OK|Content-Length: 5, 5|", "bad: Content-Length is not a number"),
        (Method::GET, "1.1 200 OK|Content-Length: 1e3|", "bad: Content-Length is not a number"),
        (Method::GET, "1.1 200 OK|Transfer-Encoding: gzip|", "bad: a transfer coding"),
        (Method::GET, "1.0 200 OK|Transfer-Encoding: chunked|", "bad: Transfer-Encoding in HTTP/1.0"),
        (Method::HEAD, "1.1 200 OK|Content-Length: 5|Content-Length: 6|", "bad: more than one"),
    ]);
}
