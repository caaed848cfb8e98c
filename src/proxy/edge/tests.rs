// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows for what the edge removes and adds.

use std::net::IpAddr;
use std::rc::Rc;

use http::Method;

use super::{MaxForwards, clean_reply, clean_request, client_ip, max_forwards, write_forwarding};
use crate::exchange::{Client, Exchange, Fields, Protocol, Request, RequestId, Scheme};

fn fields(lines: &[&str]) -> Fields {
    let mut fields = Fields::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        fields.push(name.as_bytes(), value.as_bytes());
    }
    fields
}

fn lines(fields: &Fields) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    fields.iter().map(|field| format!("{}: {}", text(field.name), text(field.value))).collect()
}

fn client(peer: &str, trusted: bool) -> Client {
    let peer = peer.parse().unwrap();
    Client { trusted, ..Client::new(peer, "web".into(), Scheme::Https) }
}

#[test]
fn a_request_loses_what_is_not_for_the_endpoint() {
    let rows: &[(&str, bool, bool)] = &[
        ("Accept: */*", false, true),
        ("Connection: close, X-Hop", false, false),
        ("X-Hop: 1", false, false),
        ("Keep-Alive: timeout=5", false, false),
        ("Proxy-Connection: keep-alive", false, false),
        ("TE: gzip", false, false),
        ("TE: trailers", false, true),
        ("Upgrade: h2c", false, false),
        ("HTTP2-Settings: AAA", false, false),
        ("X-Consumer-Username: root", true, false),
        ("X-Forwarded-For: 1.2.3.4", false, false),
        ("X-Forwarded-For: 1.2.3.4", true, true),
        ("X-Real-IP: 1.2.3.4", false, false),
        ("Authorization: Basic x", false, true),
        ("Cookie: a=b", false, true),
    ];
    for (row, trusted, kept) in rows {
        let mut all = fields(&["Connection: X-Hop, keep-alive, Authorization, Cookie", row]);
        clean_request(&mut all, *trusted);
        assert_eq!(lines(&all).contains(&(*row).to_owned()), *kept, "row {row} {trusted}");
    }
}

#[test]
fn a_reply_loses_what_is_not_for_the_client() {
    let mut all = fields(&[
        "Connection: X-Hop, Content-Length",
        "X-Hop: 1",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Set-Cookie: a=b",
    ]);
    clean_reply(&mut all);
    assert_eq!(lines(&all), ["Content-Length: 3", "Set-Cookie: a=b"]);
}

#[test]
fn the_nearest_untrusted_address_is_the_client() {
    let is_trusted = |ip: IpAddr| ip.to_string().starts_with("10.");
    let rows: &[(bool, &[&str], &str)] = &[
        (false, &["X-Forwarded-For: 6.6.6.6"], "10.0.0.1"),
        (true, &[], "10.0.0.1"),
        (true, &["X-Forwarded-For: 6.6.6.6, 7.7.7.7"], "7.7.7.7"),
        (true, &["X-Forwarded-For: 6.6.6.6, 10.0.0.9"], "6.6.6.6"),
        (true, &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 10.0.0.9"], "6.6.6.6"),
        (true, &["X-Forwarded-For: junk, 10.0.0.9"], "10.0.0.9"),
        (true, &["X-Forwarded-For: [2001:db8::1]:443"], "2001:db8::1"),
    ];
    for (trusted, list, want) in rows {
        let got = client_ip(&client("10.0.0.1:999", *trusted), &fields(list), is_trusted);
        assert_eq!(got.to_string(), *want, "row {list:?}");
    }
}

fn exchange(client: Client, mut all: Fields) -> Exchange {
    let host = all.store(b"a.example");
    let authority = all.store(b"a.example:8443");
    let path = all.store(b"/");
    let method = Method::OPTIONS;
    let request = Request {
        method,
        protocol: Protocol::Http11,
        fields: all,
        host,
        authority,
        path,
        matched: path,
        query: None,
        sent: None,
        trace: None,
    };
    Exchange {
        id: RequestId(0xab),
        client_ip: client.peer.ip(),
        client: Rc::new(client),
        request,
        arrived: crate::clock::now(),
        attempts: 0,
    }
}

#[test]
fn forwarding_fields_say_who_asked_and_how() {
    let rows: &[(&str, bool, &[&str], &str)] = &[
        (
            "192.0.2.1:5",
            false,
            &[],
            "Via: 1.1 weirgate\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:8443\r\nForwarded: for=192.0.2.1;host=\"a.example:8443\";proto=https\r\nX-Request-Id: 000000000000000000000000000000ab\r\n",
        ),
        (
            "[2001:db8::1]:5",
            true,
            &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "X-Request-Id: kept"],
            "Via: 1.1 weirgate\r\nX-Forwarded-For: 6.6.6.6, 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example:8443\r\nForwarded: for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https\r\n",
        ),
    ];
    for (peer, trusted, list, want) in rows {
        let mut out = Vec::new();
        write_forwarding(&mut out, &exchange(client(peer, *trusted), fields(list)));
        assert_eq!(String::from_utf8(out).unwrap(), *want, "row {peer}");
    }
}

#[test]
fn max_forwards_counts_down() {
    let rows = [
        ("0", MaxForwards::Last),
        ("7", MaxForwards::Forward(6)),
        ("-1", MaxForwards::Invalid),
        ("x", MaxForwards::Invalid),
    ];
    for (value, want) in rows {
        let x = exchange(client("192.0.2.1:5", false), fields(&[&format!("Max-Forwards: {value}")]));
        assert_eq!(max_forwards(&x.request), want, "row {value}");
    }
}
