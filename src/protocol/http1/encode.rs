// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heads and chunk frames as bytes. It writes what it is given: which fields travel is decided by the stages before.
//!
//! Body data is never copied here: a chunk is its size line, the data itself and a line end, for one vectored write.

use http::{HeaderMap, Method, StatusCode};

use crate::exchange::Fields;

/// The longest size line that [`chunk_size`] writes: sixteen digits and the line end.
pub const CHUNK_SIZE_MAX: usize = 18;

/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes a whole request head.
pub fn request_head(out: &mut Vec<u8>, method: &Method, target: &[u8], all: &Fields) {
    request_line(out, method, target);
    fields(out, all);
    end_head(out);
}

/// Writes a whole reply head.
pub fn reply_head(out: &mut Vec<u8>, status: u16, all: &Fields) {
    reply_line(out, status);
    fields(out, all);
    end_head(out);
}

/// Writes a request line. We always speak HTTP/1.1, whatever the other side spoke (RFC 9110 section 2.5).
pub fn request_line(out: &mut Vec<u8>, method: &Method, target: &[u8]) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes a status line with the registered reason phrase, or an empty one.
pub fn reply_line(out: &mut Vec<u8>, status: u16) {
    match status {
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        304 => out.extend_from_slice(b"HTTP/1.1 304 Not Modified\r\n"),
        404 => out.extend_from_slice(b"HTTP/1.1 404 Not Found\r\n"),
        other => any_reply_line(out, other),
    }
}

fn any_reply_line(out: &mut Vec<u8>, status: u16) {
    let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or_default();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes all fields, each with its line end.
pub fn fields(out: &mut Vec<u8>, all: &Fields) {
    for one in all.iter() {
        field(out, one.name, one.value);
    }
}

/// Writes one field with its line end.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the empty line.
pub fn end_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Writes the size line of a chunk into `line` and returns what was written. After the data comes a line end. A chunk
/// of no bytes would end the body: an empty frame is skipped, not written.
pub fn chunk_size(len: usize, line: &mut [u8; CHUNK_SIZE_MAX]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = len;
    let mut start = CHUNK_SIZE_MAX - 2;
    let [digits @ .., cr, lf] = line;
    (*cr, *lf) = (b'\r', b'\n');
    for place in digits.iter_mut().rev() {
        *place = DIGITS.get(rest & 15).copied().unwrap_or_default();
        start -= 1;
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    line.get(start..).unwrap_or_default()
}

/// Writes the last chunk and the trailer section.
pub fn last_chunk(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    end_head(out);
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::{CHUNK_SIZE_MAX, chunk_size, last_chunk, reply_head, reply_line, request_head};
    use crate::exchange::{Fields, Known};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("heads of the tests are ASCII")
    }

    #[test]
    fn heads_are_written_as_given() {
        let mut fields = Fields::new();
        fields.push_known(Known::Host, b"a.example");
        fields.push(b"x-Empty", b"");
        let request = text(|out| request_head(out, &Method::GET, b"/a?b", &fields));
        assert_eq!(request, "GET /a?b HTTP/1.1\r\nHost: a.example\r\nx-Empty: \r\n\r\n");
        let reply = text(|out| reply_head(out, 503, &Fields::new()));
        assert_eq!(reply, "HTTP/1.1 503 Service Unavailable\r\n\r\n");
    }

    #[test]
    fn status_lines() {
        for (status, want) in [(200, "200 OK"), (304, "304 Not Modified"), (404, "404 Not Found"), (599, "599 ")] {
            assert_eq!(text(|out| reply_line(out, status)), format!("HTTP/1.1 {want}\r\n"));
        }
    }

    #[test]
    fn chunk_sizes_are_plain_hexadecimal() {
        for len in [0, 1, 9, 10, 15, 16, 255, 4096, 65_535, 65_536, usize::MAX] {
            let mut line = [0; CHUNK_SIZE_MAX];
            assert_eq!(chunk_size(len, &mut line), format!("{len:x}\r\n").as_bytes(), "{len}");
        }
    }

    #[test]
    fn trailers_follow_the_last_chunk() {
        let mut trailers = HeaderMap::new();
        assert_eq!(text(|out| last_chunk(out, &trailers)), "0\r\n\r\n");
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        assert_eq!(text(|out| last_chunk(out, &trailers)), "0\r\nx-sum: 7\r\n\r\n");
    }
}
