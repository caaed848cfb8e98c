// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies as tables, and that any cut of the bytes gives the same body.

use bytes::BytesMut;
use proptest::prelude::*;

use super::super::Framing;
use super::{Decoded, Decoder, SIZE_LINE_BYTES_MAX, may_trail};

/// What came of a body fed in these pieces: `data` then `|end` with trailers and what is left over, `|more`, or `!why`.
fn decode<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut decoder, mut buf, mut got) = (Decoder::new(framing), BytesMut::new(), Vec::new());
    let mut trailers = String::new();
    let mut is_over = decoder.is_done();
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !is_over {
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(data)) => {
                    assert!(!data.is_empty(), "empty data");
                    got.extend_from_slice(&data);
                }
                Ok(Decoded::Trailers(fields)) => {
                    trailers = fields.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
                }
                Ok(Decoded::NeedMore) => break,
                Ok(Decoded::End) => is_over = true,
                Err(bad) => return format!("{}!{bad}", String::from_utf8_lossy(&got)),
            }
        }
    }
    let end = if is_over { format!("|end{trailers} +{}", buf.len()) } else { "|more".to_owned() };
    format!("{}{end}", String::from_utf8_lossy(&got))
}

fn check(framing: Framing, rows: &[(&str, &str)]) {
    for (body, want) in rows {
        let got = decode(framing, [body.as_bytes()]);
        assert!(got.starts_with(want), "{framing:?} {body:?}\n  want {want}\n  got  {got}");
        let dripped = decode(framing, body.as_bytes().chunks(1));
        if want.contains("|end") {
            let over = want.split(" +").next().unwrap_or_default();
            assert!(dripped.starts_with(over), "{framing:?} {body:?} dripped\n  want {want}\n  got  {dripped}");
        } else {
            assert!(dripped.starts_with(want), "{framing:?} {body:?} dripped\n  want {want}\n  got  {dripped}");
        }
    }
}

#[test]
fn lengths() {
    check(Framing::None, &[("", "|end +0"), ("next", "|end +4")]);
    check(Framing::Length(0), &[("next", "|end +4")]);
    check(Framing::Length(4), &[("", "|more"), ("abc", "abc|more"), ("abcd", "abcd|end +0"), ("abcde", "abcd|end +1")]);
    check(Framing::UntilClose, &[("abc", "abc|more")]);
}

#[test]
fn chunks_that_are_read() {
    check(
        Framing::Chunked,
        &[
            ("0\r\n\r\n", "|end +0"),
            ("3\r\nabc\r\n0\r\n\r\nGET", "abc|end +3"),
            ("3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n", "abc0123456789|end +0"),
            ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789|end +0"),
            ("3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n", "abc|end +0"),
            ("0\r\nX-Sum: 7\r\nX-Two: 8\r\n\r\n", "|end x-sum=\"7\" x-two=\"8\" +0"),
            ("0\r\nContent-Length: 7\r\nHost: evil\r\n\r\n", "|end +0"),
            ("0\r\nX-Consumer-Name: root\r\nx-ok: 1\r\nAuthorization: a\r\n\r\n", "|end x-ok=\"1\" +0"),
            ("3\r\nab", "ab|more"),
            ("3\r\nabc\r", "abc|more"),
            ("3\r\nabc\r\n", "abc|more"),
            ("", "|more"),
            ("0\r\n", "|more"),
            ("0\r\n\r", "|more"),
            ("0\r\nX: y\r\n", "|more"),
            ("fffffffffffffffe\r\nab", "ab|more"),
        ],
    );
}

#[test]
fn chunks_that_lie() {
    check(
        Framing::Chunked,
        &[
            ("\r\n", "!bad chunk size"),
            ("x\r\n", "!bad chunk size"),
            ("0x3\r\nabc", "!bad chunk size"),
            ("-3\r\nabc", "!bad chunk size"),
            ("+3\r\nabc", "!bad chunk size"),
            (" 3\r\nabc", "!bad chunk size"),
            ("3 \r\nabc", "!bad chunk size"),
            ("3 ;a\r\nabc", "!bad chunk size"),
            ("3\t\r\nabc", "!bad chunk size"),
            ("3,3\r\nabc", "!bad chunk size"),
            (";a\r\n", "!bad chunk size"),
            ("10000000000000003\r\nabc", "!bad chunk size"),
            ("00000000000000003\r\nabc", "!bad chunk size"),
            ("3\nabc\n0\n\n", "!b"),
            ("3\rabc", "!bad chunk size"),
            ("3;a\rb\r\nabc", "!bad chunk extension"),
            ("3;a\0\r\nabc", "!bad chunk extension"),
            ("3;a\nabc", "!ba"),
            ("3\r\nabcd\r\n0\r\n\r\n", "abc!a chunk is longer than its size"),
            ("3\r\nabc\n0\r\n\r\n", "abc!a chunk is longer"),
            ("3\r\nab\r\n0\r\n\r\n", "ab\r!a chunk is longer"),
            ("0\r\n\n", "!ba"),
            ("0\r\nX: y\n\r\n", "!bare LF in the trailer"),
            ("0\r\nX: y\r\n z\r\n\r\n", "!bad trailer section"),
            ("0\r\nX : y\r\n\r\n", "!bad trailer section"),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", "!bad trailer section"),
        ],
    );
}

#[test]
fn everything_around_the_data_is_bounded() {
    let long_line = format!("3;{}", "x".repeat(SIZE_LINE_BYTES_MAX));
    let floods = "1;".to_owned() + &"x".repeat(1000) + "\r\na\r\n";
    let trailer = "X: y\r\n";
    check(
        Framing::Chunked,
        &[
            (&long_line, "!chunk-size line too long"),
            (&floods.repeat(17), "aaaaaaaaaaaaaaaa!too many chunk extensions"),
            (&format!("0\r\n{}\r\n", trailer.repeat(65)), "!trailer section too large"),
            (&format!("0\r\nX: {}", "y".repeat(8 * 1024)), "!trailer section too large"),
        ],
    );
}

#[test]
fn signed_chunks_pass_for_ever() {
    let chunk = format!("10000;chunk-signature={}\r\n{}\r\n", "0".repeat(64), "d".repeat(0x1_0000));
    let body = chunk.repeat(400) + "0\r\n\r\n";
    assert!(decode(Framing::Chunked, [body.as_bytes()]).ends_with("|end +0"));
}

#[test]
fn an_early_end_of_input_is_a_cut_unless_it_frames_the_body() {
    let cut = |framing, body: &[u8]| {
        let (mut decoder, mut buf) = (Decoder::new(framing), BytesMut::from(body));
        while let Ok(Decoded::Data(_)) = decoder.decode(&mut buf) {}
        decoder.end_of_input().is_err()
    };
    for (framing, body, want) in [
        (Framing::None, "", false),
        (Framing::UntilClose, "abc", false),
        (Framing::Length(3), "abc", false),
        (Framing::Length(3), "ab", true),
        (Framing::Chunked, "3\r\nab", true),
        (Framing::Chunked, "3\r\nabc\r\n", true),
        (Framing::Chunked, "0\r\n", true),
        (Framing::Chunked, "0\r\n\r\n", false),
    ] {
        assert_eq!(cut(framing, body.as_bytes()), want, "{framing:?} {body:?}");
    }
}

#[test]
fn trailers_never_frame_route_or_identify() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Trailer",
        "Connection",
        "Cookie",
        "Authorization",
        "Te",
        "X-Forwarded-For",
        "x-forwarded-port",
        "Forwarded",
        "X-Consumer-Id",
        "Set-Cookie",
        "Proxy-Authorization",
    ] {
        assert!(!may_trail(name.as_bytes()), "{name}");
    }
    for name in ["grpc-status", "Digest", "X-Checksum", "Server-Timing"] {
        assert!(may_trail(name.as_bytes()), "{name}");
    }
}

fn almost_a_body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "\r\n",
        "5;x=y\r\nhello\r\n",
        "a",
        "\r",
        "\n",
        "X: y\r\n",
        "X: y\r\n\r\n",
        ";",
        "f",
        "0",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Without the count of what is left over, which depends on how much has been fed when the end comes.
fn outcome(got: &str) -> &str {
    got.rsplit_once(" +").map_or(got, |(outcome, _)| outcome)
}

proptest! {
    // A failing case becomes a row above, not a seed in a file beside it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), length in any::<u64>()) {
        for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
            decode(framing, [&bytes[..]]);
        }
    }

    #[test]
    fn a_body_reads_the_same_in_any_pieces(bytes in almost_a_body(), size in 1usize..12) {
        let whole = decode(Framing::Chunked, [&bytes[..]]);
        let pieces = decode(Framing::Chunked, bytes.chunks(size));
        let reason = |got: &str| got.split_once('!').map(|(data, _)| data.to_owned());
        match (reason(&whole), reason(&pieces)) {
            // Both refuse after the same data; a prefix may already show another of two mistakes.
            (Some(whole), Some(pieces)) => prop_assert_eq!(whole, pieces),
            // A trailer section in pieces is judged once it is whole.
            (Some(whole), None) => prop_assert_eq!(whole + "|more", pieces),
            _ => prop_assert_eq!(outcome(&whole), outcome(&pieces)),
        }
    }
}
