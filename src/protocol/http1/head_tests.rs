// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heads as tables: what is read, what is refused and how, and that it does not matter in which pieces bytes arrive.

use proptest::prelude::*;

use super::{HeadLimits, HeadScanner, parse_reply, parse_request};
use crate::exchange::Fields;

const SMALL: HeadLimits = HeadLimits { head_bytes: 200, fields: 4, target_bytes: 20 };

/// `METHOD target version [name=value]... +head_len`, `partial`, or the token and sentence of the fault.
fn request(head: &[u8], limits: &HeadLimits) -> String {
    let mut fields = Fields::new();
    fields.store(b"what was there before");
    match parse_request(head, limits, &mut fields) {
        Ok(None) => "partial".to_owned(),
        Err(fault) => format!("{}: {fault}", fault.facts().token),
        Ok(Some(line)) => {
            let target = String::from_utf8_lossy(fields.text(line.target)).into_owned();
            format!("{} {target} {:?}{} +{}", line.method, line.version, listing(&fields), line.head_len)
        }
    }
}

fn reply(head: &[u8], limits: &HeadLimits) -> String {
    let mut fields = Fields::new();
    match parse_reply(head, limits, &mut fields) {
        Ok(None) => "partial".to_owned(),
        Err(bad) => format!("bad: {bad}"),
        Ok(Some(line)) => format!("{} {:?}{} +{}", line.status, line.version, listing(&fields), line.head_len),
    }
}

fn listing(fields: &Fields) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|field| format!(" [{}={}]", text(field.name), text(field.value))).collect()
}

fn check(parse: fn(&[u8], &HeadLimits) -> String, rows: &[(&str, &str)]) {
    for (head, want) in rows {
        let got = parse(head.as_bytes(), &SMALL);
        assert!(got.starts_with(want), "{head:?}\n  want {want}\n  got  {got}");
    }
}

#[test]
fn requests_that_are_read() {
    check(
        request,
        &[
            ("GET / HTTP/1.1\r\n\r\n", "GET / Http11 +18"),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\nbody", "GET / Http10 [Host=a] +27"),
            ("PURGE * HTTP/1.1\r\nA:\r\nB: \t x y \t\r\n\r\n", "PURGE * Http11 [A=] [B=x y] +36"),
            ("\r\n\r\nGET /a HTTP/1.1\r\nx: \u{e9}\r\n\r\n", "GET /a Http11 [x=\u{e9}] +30"),
        ],
    );
}

#[test]
fn requests_that_are_not_whole() {
    let all = ["", "\r", "\r\n", "\r\n\r\n", "G", "GET", "GET /", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n"];
    check(request, &all.map(|head| (head, "partial")));
    check(request, &[("GET / HTTP/1.1\r\nHost: a\r\n", "partial"), ("GET / HTTP/1.1\r\nHost: a\r\n\r", "partial")]);
}

#[test]
fn requests_that_are_refused() {
    check(
        request,
        &[
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", "malformed: the request is malformed: bare LF in the head"),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", "malformed: the request is malformed: bare LF"),
            ("GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n", "malformed: the request is malformed: bare LF"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", "malformed: the request is malformed: bare LF"),
            ("GET / HTTP/1.1\r\nA:\nB: c\r\n\r\n", "malformed: the request is malformed: bare LF"),
            ("GET / HTTP/1.1\n\n", "malformed: the request is malformed: bare LF"),
            ("\nGET / HTTP/1.1\r\n\r\n", "malformed: the request is malformed: bare CR or LF before"),
            ("\r\r\nGET / HTTP/1.1\r\n\r\n", "malformed: the request is malformed: bare CR or LF before"),
            ("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", "malformed: the request is malformed: empty lines"),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "malformed: the request is malformed: invalid field value"),
            ("GET / HTTP/1.1\rA: b\r\n\r\n", "malformed: "),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET / HTTP/1.1\r\n A: b\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET / HTTP/1.1\r\n: b\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET / HTTP/1.1\r\nA\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", "malformed: the request is malformed: invalid field value"),
            ("GET / HTTP/1.1\r\nA: \x7f\r\n\r\n", "malformed: the request is malformed: invalid field value"),
            ("GET / HTTP/1.1\r\nA\0: b\r\n\r\n", "malformed: the request is malformed: invalid field name"),
            ("GET /\0 HTTP/1.1\r\n\r\n", "malformed: "),
            ("GET  / HTTP/1.1\r\n\r\n", "malformed: "),
            ("GET / HTTP/1.1 \r\n\r\n", "malformed: "),
            ("GET /a b HTTP/1.1\r\n\r\n", "malformed: "),
            ("GET\t/ HTTP/1.1\r\n\r\n", "malformed: "),
            (" GET / HTTP/1.1\r\n\r\n", "malformed: "),
            ("GET / http/1.1\r\n\r\n", "malformed: "),
            ("GET / HTTP/1.1x\r\n\r\n", "malformed: "),
            ("GET / HTTP/11\r\n\r\n", "malformed: "),
            ("G{T / HTTP/1.1\r\n\r\n", "malformed: "),
            ("\u{16}\u{3}\u{1}", "malformed: "),
            ("GET / HTTP/2.0\r\n\r\n", "version: "),
            ("GET / HTTP/1.2\r\n\r\n", "version: "),
            ("GET / HTTP/0.9\r\n\r\n", "version: "),
            ("GET /\r\n", "version: "),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version: "),
        ],
    );
}

#[test]
fn requests_that_are_too_large_are_refused_before_they_are_whole() {
    let long_name = format!("GET / HTTP/1.1\r\n{}", "n".repeat(200));
    let long_value = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "v".repeat(200));
    check(
        request,
        &[
            (&long_name, "head-too-large: "),
            (&long_value, "head-too-large: "),
            ("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", "GET / Http11 [A=1] [B=2] [C=3] [D=4] +42"),
            ("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n", "head-too-large: "),
            ("GET /3456789012345678901 HTTP/1.1\r\n\r\n", "GET /3456789012345678901 "),
            ("GET /34567890123456789012", "target-too-long: "),
            ("GET /34567890123456789012 HTTP/1.1\r\n", "target-too-long: "),
            ("GET /34567890123456789012 HTTP/1.1\r\n\r\n", "target-too-long: "),
            ("METHODMETHODMETHODMETHODMETHODMETHOD", "malformed: the request is malformed: method too long"),
            ("METHODMETHODMETHODMETHODMETHODMETHOD / HTTP/1.1\r\n\r\n", "malformed: "),
        ],
    );
}

#[test]
fn replies() {
    check(
        reply,
        &[
            ("HTTP/1.1 200 OK\r\n\r\n", "200 Http11 +19"),
            ("HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nxyz", "404 Http10 [A=b] +32"),
            ("HTTP/1.1 204\r\n\r\n", "204 Http11 +16"),
            ("HTTP/1.1 200 \r\n\r\n", "200 Http11 +17"),
            ("H", "partial"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "partial"),
            ("HTTP/1.1 2000 OK\r\n\r\n", "bad: invalid status"),
            ("HTTP/1.1 20 OK\r\n\r\n", "bad: invalid status"),
            ("HTTP/1.1 2x0 OK\r\n\r\n", "bad: invalid status"),
            ("HTTP/1.1 099 OK\r\n\r\n", "bad: status out of range"),
            ("HTTP/1.1 600 OK\r\n\r\n", "bad: status out of range"),
            ("HTTP/2.0 200 OK\r\n\r\n", "bad: unknown HTTP version"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "bad: invalid field name"),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad: invalid field name"),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "bad: invalid field name"),
            ("HTTP/1.1 200 OK\nA: b\r\n\r\n", "bad: bare LF in the head"),
            ("HTTP/1.1 200 OK\r\nA: b\n\r\n", "bad: bare LF in the head"),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", "bad: no status line"),
            ("junk", "bad: no status line"),
            ("HELLO", "bad: invalid HTTP version"),
        ],
    );
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "v".repeat(200));
    check(reply, &[(&endless, "bad: head too large")]);
}

#[test]
fn a_dripped_head_is_parsed_twice_and_no_more() {
    let head = b"GET / HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n";
    let mut scanner = HeadScanner::default();
    let worth = (1..=head.len()).filter(|end| scanner.is_worth_parsing(&head[..*end], &SMALL)).collect::<Vec<_>>();
    assert_eq!(worth, [1, head.len()]);
    for ended in ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\n"] {
        let mut scanner = HeadScanner::default();
        assert!(scanner.is_worth_parsing(b"G", &SMALL));
        assert!(scanner.is_worth_parsing(ended.as_bytes(), &SMALL), "{ended:?}");
    }
}

/// Bytes that are almost a head: the interesting ones are near the grammar, not in the noise.
fn almost_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET ",
        "/",
        "a",
        " HTTP/1.1",
        "HTTP/1.1 200 OK",
        "\r\n",
        "\r",
        "\n",
        "Host",
        ":",
        " ",
        "\t",
        "\0",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "\r\n\r\n",
        "\u{ff}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Feeds `bytes` in two steps through a scanner, as a connection does.
fn in_two_pieces(bytes: &[u8], at: usize, parse: fn(&[u8], &HeadLimits) -> String) -> String {
    let mut scanner = HeadScanner::default();
    let mut got = "partial".to_owned();
    for end in [at, bytes.len()] {
        let so_far = &bytes[..end];
        if !so_far.is_empty() && scanner.is_worth_parsing(so_far, &SMALL) {
            got = parse(so_far, &SMALL);
            if got != "partial" {
                break;
            }
        }
    }
    got
}

proptest! {
    // A failing case becomes a row above, not a seed in a file beside it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        request(&bytes, &SMALL);
        reply(&bytes, &SMALL);
    }

    #[test]
    fn a_head_reads_the_same_in_pieces(bytes in almost_a_head(), cut in any::<prop::sample::Index>()) {
        let at = cut.index(bytes.len() + 1);
        for parse in [request, reply] {
            let (whole, pieces) = (parse(&bytes, &SMALL), in_two_pieces(&bytes, at, parse));
            // A limit may strike earlier on a prefix, and a refusal that is not at the end of a head may come later.
            let is_read = |got: &str| got.contains(" Http1");
            prop_assert_eq!(is_read(&whole), is_read(&pieces), "{:?} cut at {}: {} / {}", &bytes, at, &whole, &pieces);
            if is_read(&whole) {
                prop_assert_eq!(whole, pieces);
            }
        }
    }

    #[test]
    fn what_is_read_has_no_bare_line_end(bytes in almost_a_head()) {
        let mut fields = Fields::new();
        if let Ok(Some(line)) = parse_request(&bytes, &SMALL, &mut fields) {
            let head = &bytes[..line.head_len];
            let crlf = head.windows(2).filter(|pair| pair == b"\r\n").count();
            prop_assert_eq!(crlf, head.iter().filter(|byte| **byte == b'\n').count());
            prop_assert_eq!(crlf, head.iter().filter(|byte| **byte == b'\r').count());
        }
    }
}
