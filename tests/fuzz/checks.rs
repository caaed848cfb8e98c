// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for any bytes that a stranger sends. The fuzz targets feed it, and a unit test replays the corpus.
//!
//! It names the codec by `super::codec`, which each of its two homes provides.
#![allow(dead_code, reason = "a fuzz target uses one check of these")]

use bytes::BytesMut;

use super::codec::{Decoded, Decoder, Fields, Framing, HeadLimits, parse_reply, parse_request, reply_framing};
use super::codec::{request_framing, request_head};

const LIMITS: HeadLimits = HeadLimits { head_bytes: 4096, fields: 32, target_bytes: 1024 };

/// A request head that is read has no bare line end, and written anew it reads the same.
pub(crate) fn head(bytes: &[u8]) {
    let mut fields = Fields::new();
    let Ok(Some(line)) = parse_request(bytes, &LIMITS, &mut fields) else { return };
    let head = bytes.get(..line.head_len).expect("a head lies in what was read");
    assert_line_ends(head);
    drop(request_framing(&line.method, line.version, &fields));
    let mut written = Vec::new();
    request_head(&mut written, &line.method, fields.text(line.target), &fields);
    let mut again = Fields::new();
    let limits = HeadLimits { head_bytes: usize::MAX, ..LIMITS };
    let reread = parse_request(&written, &limits, &mut again).expect("what we write is sound").expect("and whole");
    assert_eq!((reread.method, reread.head_len), (line.method, written.len()));
    assert_eq!(again.text(reread.target), fields.text(line.target));
    assert!(again.iter().eq(fields.iter()), "fields differ");
}

/// A reply head that is read has no bare line end, and in reply to HEAD no body follows it.
pub(crate) fn reply(bytes: &[u8]) {
    let mut fields = Fields::new();
    let Ok(Some(line)) = parse_reply(bytes, &LIMITS, &mut fields) else { return };
    assert_line_ends(bytes.get(..line.head_len).expect("a head lies in what was read"));
    if let Ok(said) = reply_framing(&http::Method::HEAD, &line, &fields) {
        assert!(said.framing.is_empty(), "a reply to HEAD has no body");
    }
}

/// A body is the same however its bytes are cut. The first byte is the size of the pieces.
pub(crate) fn body(bytes: &[u8]) {
    let Some((size, body)) = bytes.split_first() else { return };
    let whole = decode([body]);
    let pieces = decode(body.chunks(usize::from(*size).max(1)));
    // A piece may show a mistake before the rest has come, and a trailer section is judged once it is whole; what was
    // handed on before and whether the body is whole cannot differ.
    assert_eq!((&whole.data, whole.is_whole), (&pieces.data, pieces.is_whole));
}

fn assert_line_ends(head: &[u8]) {
    let count = |byte: u8| head.iter().filter(|other| **other == byte).count();
    let pairs = head.windows(2).filter(|pair| *pair == b"\r\n").count();
    assert_eq!((count(b'\r'), count(b'\n')), (pairs, pairs), "a bare line end was accepted");
}

struct Outcome {
    data: Vec<u8>,
    is_whole: bool,
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut decoder, mut buf, mut data) = (Decoder::new(Framing::Chunked), BytesMut::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(more)) => data.extend_from_slice(&more),
                Ok(Decoded::Trailers(_)) => {}
                Ok(Decoded::NeedMore) => break,
                Ok(Decoded::End) => return Outcome { data, is_whole: true },
                Err(_) => return Outcome { data, is_whole: false },
            }
        }
    }
    Outcome { data, is_whole: false }
}
