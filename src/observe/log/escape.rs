// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text from the network as part of a line: no control character, no quote that ends a value early, bounded length.
//!
//! Nearly all text is plain and is copied as one piece. What is not UTF-8 becomes the replacement character in JSON and
//! logfmt, and `\xHH` in the formats of Apache, which know no Unicode.

use crate::observe::redact::{TEXT_BYTES_MAX, is_bidirectional};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn digit(value: u8) -> u8 {
    DIGITS.get(usize::from(value & 0xf)).copied().unwrap_or(b'0')
}

/// The part of a text that is kept, and whether that is all.
fn bounded(text: &[u8]) -> (&[u8], bool) {
    match text.get(..TEXT_BYTES_MAX) {
        Some(start) if text.len() > TEXT_BYTES_MAX => (start, false),
        _ => (text, true),
    }
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'
}

/// The inside of a JSON string (RFC 8259 section 7).
pub(super) fn json(out: &mut Vec<u8>, text: &[u8]) {
    let (text, whole) = bounded(text);
    if text.iter().copied().all(is_plain) {
        out.extend_from_slice(text);
    } else {
        json_slowly(out, text);
    }
    if !whole {
        out.extend_from_slice("…".as_bytes());
    }
}

#[cold]
fn json_slowly(out: &mut Vec<u8>, text: &[u8]) {
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c.is_control() || is_bidirectional(c) => {
                let code = c as u32;
                out.extend_from_slice(b"\\u");
                // Control and direction characters all lie in the first plane.
                let nibbles = [code >> 12, code >> 8, code >> 4, code];
                out.extend(nibbles.map(|nibble| digit((nibble & 0xf) as u8)));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A value of logfmt, in quotes if it needs some.
pub(super) fn logfmt(out: &mut Vec<u8>, text: &[u8]) {
    let bare = |byte: &u8| is_plain(*byte) && *byte != b' ' && *byte != b'=';
    if !text.is_empty() && text.len() <= TEXT_BYTES_MAX && text.iter().all(bare) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    json(out, text);
    out.push(b'"');
}

/// Text in the manner of Apache: `\xHH` for whatever is not visible ASCII.
pub(super) fn apache(out: &mut Vec<u8>, text: &[u8]) {
    let (text, whole) = bounded(text);
    for byte in text.iter().copied() {
        match byte {
            byte if is_plain(byte) => out.push(byte),
            b'"' | b'\\' => out.extend([b'\\', byte]),
            byte => out.extend([b'\\', b'x', digit(byte >> 4), digit(byte)]),
        }
    }
    if !whole {
        out.extend_from_slice(b"...");
    }
}

#[cfg(test)]
mod tests {
    use super::{apache, json, logfmt};
    use crate::observe::redact::TEXT_BYTES_MAX;

    type Escape = fn(&mut Vec<u8>, &[u8]);

    fn escaped(escape: Escape, text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, text);
        String::from_utf8(out).expect("what is written is UTF-8")
    }

    #[test]
    fn nothing_breaks_out_of_a_value() {
        let rows: &[(&[u8], &str, &str, &str)] = &[
            (b"plain", "plain", "plain", "plain"),
            (b"", "", "\"\"", ""),
            (b"a b", "a b", "\"a b\"", "a b"),
            (b"a=b", "a=b", "\"a=b\"", "a=b"),
            (b"a\"b\\c", "a\\\"b\\\\c", "\"a\\\"b\\\\c\"", "a\\\"b\\\\c"),
            (b"a\r\nb", "a\\r\\nb", "\"a\\r\\nb\"", "a\\x0d\\x0ab"),
            (b"\x1b[2J", "\\u001b[2J", "\"\\u001b[2J\"", "\\x1b[2J"),
            (b"\x7f\x00", "\\u007f\\u0000", "\"\\u007f\\u0000\"", "\\x7f\\x00"),
            ("é".as_bytes(), "é", "\"é\"", "\\xc3\\xa9"),
            (b"\xff", "\u{fffd}", "\"\u{fffd}\"", "\\xff"),
            ("a\u{202e}b".as_bytes(), "a\\u202eb", "\"a\\u202eb\"", "a\\xe2\\x80\\xaeb"),
        ];
        for (text, in_json, in_logfmt, in_apache) in rows {
            assert_eq!(escaped(json, text), *in_json, "row {text:?}");
            assert_eq!(escaped(logfmt, text), *in_logfmt, "row {text:?}");
            assert_eq!(escaped(apache, text), *in_apache, "row {text:?}");
        }
    }

    #[test]
    fn every_byte_in_json_reads_back() {
        let all: Vec<u8> = (0..=255).collect();
        let quoted = format!("\"{}\"", escaped(json, &all));
        let back: String = serde_json::from_str(&quoted).expect("it is JSON");
        assert_eq!(back, String::from_utf8_lossy(&all));
    }

    #[test]
    fn length_is_bounded() {
        let long = vec![b'x'; 10_000];
        for escape in [json as Escape, logfmt, apache] {
            assert!(escaped(escape, &long).len() <= TEXT_BYTES_MAX + 8);
        }
    }
}
