// SPDX-License-Identifier: MIT OR Apache-2.0
//! Request and reply heads. httparse finds the pieces; what it tolerates and an edge must not is refused here.
//!
//! A head is copied once, whole, into the buffer of its [`Fields`]; target and fields are ranges into it. Nothing is
//! stored of a head that is incomplete or refused. What the fields mean (framing, host) is not judged here.

use std::mem::MaybeUninit;

use http::Method;
use httparse::{Error, Header, ParserConfig, Request, Response, Status};
use memchr::memchr;

use super::{Bad, Version};
use crate::exchange::{Fields, Span};
use crate::fault::Fault;

/// Default bound of a head in bytes, with its first line and the empty line.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Default bound of the number of fields in a head.
pub const FIELDS_MAX: usize = 100;

/// Default bound of a request target in bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// What no setting can lift the number of fields above: the parser keeps so many slots on the stack.
pub const FIELDS_HARD_MAX: usize = 256;

/// Empty lines tolerated before a request line, as some old clients send one after a body (RFC 9112 section 2.2).
const EMPTY_LINES_MAX: usize = 2;

/// No registered method is longer than 17 bytes; a longer one is noise.
const METHOD_BYTES_MAX: usize = 32;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    pub head_bytes: usize,
    pub fields: usize,
    pub target_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes: HEAD_BYTES_MAX, fields: FIELDS_MAX, target_bytes: TARGET_BYTES_MAX }
    }
}

/// The first line of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    pub method: Method,
    pub target: Span,
    pub version: Version,
    /// Bytes of the head in the input, so the offset at which the body begins.
    pub head_len: usize,
}

/// The first line of a reply. The reason phrase means nothing (RFC 9112 section 4) and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLine {
    pub version: Version,
    pub status: u16,
    /// Bytes of the head in the input, so the offset at which the body begins.
    pub head_len: usize,
}

/// Says when a head that comes in pieces is worth parsing (again), so that one dripped byte by byte costs O(n) in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
}

impl HeadScanner {
    /// True for the first bytes of a head, as most come whole, and then once its empty line has come. `bytes` is all of
    /// the head so far. A head over its limit is always worth parsing: that refuses it.
    pub fn is_worth_parsing(&mut self, bytes: &[u8], limits: &HeadLimits) -> bool {
        let from = self.scanned;
        self.scanned = bytes.len();
        // From two bytes back: the newline that the new bytes complete may lie there.
        from == 0 || bytes.len() > limits.head_bytes || has_empty_line(bytes.get(from - from.min(2)..).unwrap_or(bytes))
    }
}

/// Whether a line end is followed by another. A bare LF counts, so that it is refused at once and not at a timeout.
fn has_empty_line(mut bytes: &[u8]) -> bool {
    while let Some(at) = memchr(b'\n', bytes) {
        bytes = bytes.get(at + 1..).unwrap_or_default();
        if bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}

/// Parses a request head at the start of `bytes`; `None` if it is not complete yet. The fields are added to `fields`,
/// which the caller has reset.
pub fn parse_request(bytes: &[u8], limits: &HeadLimits, fields: &mut Fields) -> Result<Option<RequestLine>, Fault> {
    let Some(skipped) = skip_empty_lines(bytes)? else { return Ok(None) };
    let head = bytes.get(skipped..).unwrap_or_default();
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_HARD_MAX];
    let mut request = Request::new(&mut []);
    let slots = slots.get_mut(..limits.fields.min(FIELDS_HARD_MAX)).unwrap_or_default();
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, head, slots);
    let head_len = match parsed {
        Ok(Status::Complete(len)) if len <= limits.head_bytes => len,
        Ok(Status::Complete(_)) => return Err(Fault::HeadTooLarge { limit: limits.head_bytes }),
        Ok(Status::Partial) => return incomplete_request(head, &request, limits).map(|()| None),
        Err(error) => return Err(refuse_request(error, head, limits)),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Fault::Internal("a complete request head without a request line"));
    };
    if target.len() > limits.target_bytes {
        return Err(Fault::TargetTooLong { limit: limits.target_bytes });
    }
    if method.len() > METHOD_BYTES_MAX {
        return Err(Fault::Malformed("method too long"));
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Fault::Malformed("method is not a token"))?;
    let head = head.get(..head_len).unwrap_or_default();
    let whole = store(head, request.headers, fields)?;
    let target = whole.within(offset(head, target.as_bytes()), target.len());
    Ok(Some(RequestLine { method, target, version: version_of(version), head_len: skipped + head_len }))
}

/// Parses a reply head at the start of `bytes`; `None` if it is not complete yet. The fields are added to `fields`,
/// which the caller has reset.
pub fn parse_reply(bytes: &[u8], limits: &HeadLimits, fields: &mut Fields) -> Result<Option<ReplyLine>, Bad> {
    if bytes.first().is_some_and(|first| *first != b'H') {
        return Err(Bad("no status line"));
    }
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_HARD_MAX];
    let mut reply = Response::new(&mut []);
    let slots = slots.get_mut(..limits.fields.min(FIELDS_HARD_MAX)).unwrap_or_default();
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut reply, bytes, slots);
    let head_len = match parsed {
        Ok(Status::Complete(len)) if len <= limits.head_bytes => len,
        Ok(Status::Partial) if bytes.len() <= limits.head_bytes => return Ok(None),
        Ok(_) => return Err(Bad("head too large")),
        Err(error) => return Err(refuse_reply(error, bytes)),
    };
    let (Some(version), Some(status)) = (reply.version, reply.code) else { return Err(Bad("no status line")) };
    if !(100..600).contains(&status) {
        return Err(Bad("status out of range"));
    }
    store(bytes.get(..head_len).unwrap_or_default(), reply.headers, fields)?;
    Ok(Some(ReplyLine { version: version_of(version), status, head_len }))
}

/// How many bytes of empty lines stand before the request line; `None` if that cannot be told yet.
fn skip_empty_lines(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let mut rest = bytes;
    for _ in 0..=EMPTY_LINES_MAX {
        match rest {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', after @ ..] => rest = after,
            [b'\r' | b'\n', ..] => return Err(Fault::Malformed("bare CR or LF before the request line")),
            _ => return Ok(Some(bytes.len() - rest.len())),
        }
    }
    Err(Fault::Malformed("empty lines before the request line"))
}

/// Copies the head into the buffer and adds its fields. Returns where the head is in the buffer.
///
/// httparse takes a bare LF for a line end. As it allows no folding, the byte before each name (and before the empty
/// line) is the end of a line, so looking at two bytes there finds every bare LF without another pass over the head.
fn store(head: &[u8], headers: &[Header<'_>], fields: &mut Fields) -> Result<Span, Bad> {
    const BARE_LF: Bad = Bad("bare LF in the head");
    if !head.ends_with(b"\r\n\r\n") {
        return Err(BARE_LF);
    }
    for header in headers {
        let line_start = offset(head, header.name.as_bytes());
        if !head.get(..line_start).is_some_and(|before| before.ends_with(b"\r\n")) {
            return Err(BARE_LF);
        }
    }
    let whole = fields.store(head);
    for header in headers {
        let name = header.name.as_bytes();
        let name = whole.within(offset(head, name), name.len());
        fields.push_spans(name, whole.within(offset(head, header.value), header.value.len()));
    }
    Ok(whole)
}

/// Where in `whole` the slice `part` of it lies.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}

fn version_of(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

/// A head that is not complete is refused as soon as it can only become too large.
#[cold]
fn incomplete_request(head: &[u8], request: &Request<'_, '_>, limits: &HeadLimits) -> Result<(), Fault> {
    let target_len = match (request.method, request.path) {
        (_, Some(target)) => target.len(),
        (Some(method), None) => head.len().saturating_sub(method.len() + 1),
        (None, None) => 0,
    };
    if target_len > limits.target_bytes {
        return Err(Fault::TargetTooLong { limit: limits.target_bytes });
    }
    if request.method.is_none() && head.len() > METHOD_BYTES_MAX {
        return Err(Fault::Malformed("method too long"));
    }
    if head.len() > limits.head_bytes {
        return Err(Fault::HeadTooLarge { limit: limits.head_bytes });
    }
    Ok(())
}

#[cold]
fn refuse_request(error: Error, head: &[u8], limits: &HeadLimits) -> Fault {
    match error {
        Error::TooManyHeaders => Fault::HeadTooLarge { limit: limits.fields },
        Error::Token | Error::Version if is_other_version(head) => Fault::Version,
        other => Fault::Malformed(words(other)),
    }
}

#[cold]
fn refuse_reply(error: Error, head: &[u8]) -> Bad {
    match error {
        Error::Version if head.starts_with(b"HTTP/") => Bad("unknown HTTP version"),
        other => Bad(words(other)),
    }
}

/// Whether the request line is well-formed in another version of HTTP: `GET /` (0.9) or `GET / HTTP/2.0`.
fn is_other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if target.is_empty() || Method::from_bytes(method).is_err() || !target.iter().all(u8::is_ascii_graphic) {
        return false;
    }
    match words.next() {
        None => true,
        Some([b'H', b'T', b'T', b'P', b'/', digits @ ..]) => {
            words.next().is_none()
                && matches!(digits, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
        }
        Some(_) => false,
    }
}

fn words(error: Error) -> &'static str {
    match error {
        Error::HeaderName => "invalid field name",
        Error::HeaderValue => "invalid field value",
        Error::NewLine => "invalid line end",
        Error::Status => "invalid status",
        Error::Token => "invalid request line",
        Error::TooManyHeaders => "too many fields",
        Error::Version => "invalid HTTP version",
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
