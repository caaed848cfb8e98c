// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths: one spelling that is sent, and one that is matched.
//!
//! *Sent*: percent-encoded unreserved bytes decoded, hex in upper case, dot segments and doubled slashes removed, raw
//! bytes that no path may hold encoded (RFC 3986 section 6.2.2). *Matched*: the same, but encoded delimiters (`%3A`)
//! decoded and path parameters (`;x`) cut from each segment. The two differ only where endpoints differ: some decode
//! `%3A` or drop `;x` and some do not, so both spellings must meet the same rules while the endpoint gets what the
//! client meant. Refused: whatever hides a slash, a dot segment, a control or a second meaning.

/// A rewritten path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// What goes to the endpoint.
    pub sent: Vec<u8>,
    /// What rules are compared with, where it is not `sent`.
    pub matched: Option<Vec<u8>>,
}

/// What one look at the path of a target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where the path ends: at a `?`, or at the end of the text.
    pub end: usize,
    /// Whether the path is in its normal spelling already, sent and matched alike.
    pub is_normal: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself.
    Plain,
    Slash,
    Dot,
    /// Ends the path.
    Question,
    /// Not wrong, but not for the fast path.
    Special,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Special; 256];
    let plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@";
    let mut rest: &[u8] = plain;
    while let [byte, tail @ ..] = rest {
        set(&mut table, *byte, Class::Plain);
        rest = tail;
    }
    set(&mut table, b'/', Class::Slash);
    set(&mut table, b'.', Class::Dot);
    set(&mut table, b'?', Class::Question);
    table
}

#[expect(clippy::indexing_slicing, reason = "a byte is always an index of 256 entries")]
const fn set(table: &mut [Class; 256], byte: u8, class: Class) {
    table[byte as usize] = class;
}

#[expect(clippy::indexing_slicing, reason = "a byte is always an index of 256 entries")]
fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// Looks at every byte up to the query once. Says nothing about whether a path that is not normal can be made so.
pub fn scan(text: &[u8]) -> Scan {
    let mut previous = Class::Plain;
    let mut is_normal = text.first() == Some(&b'/');
    for (at, byte) in text.iter().enumerate() {
        let class = class(*byte);
        match class {
            Class::Plain => {}
            Class::Slash | Class::Dot => is_normal &= previous != Class::Slash,
            Class::Special => is_normal = false,
            Class::Question => return Scan { end: at, is_normal },
        }
        previous = class;
    }
    Scan { end: text.len(), is_normal }
}

/// Brings `path` into its normal spelling, or says in plain words why it has none.
#[cold]
pub fn rewrite(path: &[u8]) -> Result<Rewritten, &'static str> {
    let raw = path.strip_prefix(b"/").ok_or("the path does not begin with a slash")?;
    let mut sent = Vec::with_capacity(path.len());
    let mut ends_in_slash = true;
    for segment in raw.split(|byte| *byte == b'/') {
        let start = sent.len();
        sent.push(b'/');
        spell_segment(segment, &mut sent)?;
        let text = sent.get(start + 1..).unwrap_or_default();
        refuse_hidden(text)?;
        ends_in_slash = matches!(text, b"" | b"." | b"..");
        if ends_in_slash {
            let climbs = text == b"..";
            sent.truncate(start);
            if climbs {
                let parent = sent.iter().rposition(|byte| *byte == b'/');
                sent.truncate(parent.ok_or("the path climbs above its root with `..`")?);
            }
        }
    }
    if ends_in_slash {
        sent.push(b'/');
    }
    let matched = matched(&sent);
    Ok(Rewritten { sent, matched })
}

/// A segment whose name is empty or dots once its parameters are cut: Tomcat and its kin would resolve it.
fn refuse_hidden(segment: &[u8]) -> Result<(), &'static str> {
    let name = segment.get(..name_len(segment)).unwrap_or_default();
    if name.len() < segment.len() && matches!(name, b"" | b"." | b"..") {
        return Err("a path parameter hides an empty or a dot segment");
    }
    Ok(())
}

/// How much of a normal segment stands before its path parameters.
fn name_len(segment: &[u8]) -> usize {
    let plain = segment.iter().position(|byte| *byte == b';').unwrap_or(segment.len());
    let encoded = segment.windows(3).position(|three| three == b"%3B").unwrap_or(segment.len());
    plain.min(encoded)
}

fn spell_segment(segment: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut text = Vec::new(); // the decoded non-ASCII bytes of the run under way
    let mut rest = segment;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            end_text(&mut text)?;
            spell_raw(*byte, out)?;
            continue;
        }
        let (value, tail) = octet(tail).ok_or("a percent sign is not followed by two hex digits")?;
        rest = tail;
        if value >= 0x80 {
            text.push(value);
        } else {
            end_text(&mut text)?;
        }
        spell_encoded(value, out)?;
    }
    end_text(&mut text)
}

/// Encoded bytes beyond ASCII must be UTF-8, or an endpoint could read an overlong form of a slash or a dot.
fn end_text(text: &mut Vec<u8>) -> Result<(), &'static str> {
    std::str::from_utf8(text).map_err(|_| "percent-encoded bytes of the path are not valid UTF-8")?;
    text.clear();
    Ok(())
}

fn spell_raw(byte: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match byte {
        b'\\' => return Err("the path has a backslash"),
        b'#' => return Err("the target has a fragment"),
        b'?' => return Err("the path has a question mark"),
        0..=0x20 | 0x7f => return Err("the target has a control character or a space"),
        0x80.. => return Err("the target has a byte beyond ASCII that is not percent-encoded"),
        // What browsers send raw although RFC 3986 has no place for it.
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => push_encoded(byte, out),
        _ => out.push(byte),
    }
    Ok(())
}

fn spell_encoded(value: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        b'/' => return Err("the path has an encoded slash"),
        b'\\' => return Err("the path has an encoded backslash"),
        0..=0x1f | 0x7f => return Err("the path has an encoded control character"),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(value),
        _ => push_encoded(value, out),
    }
    Ok(())
}

fn push_encoded(value: u8, out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'A' + n - 10 };
    out.extend_from_slice(&[b'%', digit(value >> 4), digit(value & 15)]);
}

/// Reads two hex digits.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let [high, low] = *digits;
    Some((digit(high)? << 4 | digit(low)?, rest))
}

/// What rules are compared with, if that is not the sent spelling itself.
fn matched(sent: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(sent.len());
    for segment in sent.split(|byte| *byte == b'/').skip(1) {
        out.push(b'/');
        let mut rest = segment.get(..name_len(segment)).unwrap_or_default();
        while let Some((byte, tail)) = rest.split_first() {
            let encoded = if *byte == b'%' { octet(tail) } else { None };
            match encoded {
                Some((value, tail)) if class(value) == Class::Plain => {
                    out.push(value);
                    rest = tail;
                }
                _ => {
                    out.push(*byte);
                    rest = tail;
                }
            }
        }
    }
    (out != sent).then_some(out)
}

/// The spelling in which the path of a rule is compared. Operators may write spaces and text beyond ASCII as it is; a
/// path that no request can have (doubled slash, dot segment, parameter, query) is a mistake and is said to be one.
pub fn of_pattern(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.contains("//") {
        return Err("`//` never matches: doubled slashes are merged before routing");
    }
    if text.contains(';') || text.contains("%3B") || text.contains("%3b") {
        return Err("path parameters (`;…`) are left out of matching, so a rule cannot hold one");
    }
    let mut ascii = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte == b' ' || byte >= 0x80 { push_encoded(byte, &mut ascii) } else { ascii.push(byte) }
    }
    let Rewritten { sent, matched } = rewrite(&ascii)?;
    let slashes = |text: &[u8]| text.iter().filter(|byte| **byte == b'/').count();
    if slashes(&sent) != slashes(&ascii) || (sent.ends_with(b"/") && !ascii.ends_with(b"/")) {
        return Err("dot segments never match: they are removed before routing");
    }
    Ok(matched.unwrap_or(sent))
}

#[cfg(test)]
mod tests {
    use super::{of_pattern, rewrite, scan};

    #[test]
    fn the_scan_knows_what_needs_no_work() {
        for (text, end, normal) in [
            ("/", 1, true),
            ("/a.b/c-1?x=/../", 8, true),
            ("/a//b", 5, false),
            ("/.well-known", 12, false),
            ("/a;b", 4, false),
            ("/a%20b", 6, false),
            ("a", 1, false),
        ] {
            let got = scan(text.as_bytes());
            assert_eq!((got.end, got.is_normal), (end, normal), "{text}");
        }
    }

    #[test]
    fn a_rule_is_spelt_like_the_request_it_matches() {
        for (rule, request) in [
            ("/café", "/caf%c3%a9"),
            ("/a b", "/a%20b"),
            ("/users:export", "/users%3Aexport"),
            ("/%61dmin", "/admin;x=1"),
            ("/a[1]", "/a%5b1%5D"),
            ("/x/", "/y/../x/"),
        ] {
            let request = rewrite(request.as_bytes()).expect("a good path");
            assert_eq!(of_pattern(rule), Ok(request.matched.unwrap_or(request.sent)), "{rule}");
        }
    }

    #[test]
    fn a_rule_that_can_never_match_is_a_mistake() {
        for rule in ["", "a", "/a//b", "/a/../b", "/a/..", "/.", "/a;b", "/a?b", "/a#b", "/a%2Fb", "/a%zz"] {
            assert!(of_pattern(rule).is_err(), "{rule}");
        }
    }
}
