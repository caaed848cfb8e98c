// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies: data split off the read buffer without copying, however the body is framed (RFC 9112 sections 6 and 7).
//!
//! A chunked body is read strictly: hexadecimal digits, no space, CRLF; extensions are skipped but bounded; trailers
//! are bounded and lose every field that frames, routes or identifies, as a trailer comes after all checks of a head.
//! What follows the end of the body stays in the buffer.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;
use memchr::memchr;

use super::{Bad, Framing, HeadLimits, HeadScanner};
use crate::exchange::Known;

/// Digits of a chunk size: what a `u64` holds.
const SIZE_DIGITS_MAX: usize = 16;

/// A chunk-size line with its extensions.
const SIZE_LINE_BYTES_MAX: usize = 1024;

/// Extension bytes that a body may carry beyond its share of data: one per [`EXTENSION_SHARE`] bytes. Signed chunks
/// (85 bytes for each 64 KiB) pass for ever, a flood of extensions does not.
const EXTENSION_BYTES_MAX: u64 = 16 * 1024;

/// So many bytes of data earn one byte of extension.
const EXTENSION_SHARE: u64 = 64;

/// The trailer section in bytes and in fields.
const TRAILER_LIMITS: HeadLimits = HeadLimits { head_bytes: 8 * 1024, fields: TRAILERS_MAX, target_bytes: 0 };

/// Fields in a trailer section.
const TRAILERS_MAX: usize = 64;

/// One step of decoding.
#[derive(Debug)]
pub enum Decoded {
    /// Some of the body, never empty.
    Data(Bytes),
    /// The trailer fields that may travel; only if there are some, and then [`Decoded::End`] follows.
    Trailers(HeaderMap),
    /// The body is over. Said again if asked again.
    End,
    /// Nothing can be told without more bytes.
    NeedMore,
}

/// Reads one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    extension_budget: u64,
    trailer_scan: HeadScanner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

impl Decoder {
    /// A decoder for a body that is framed so.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extension_budget: EXTENSION_BYTES_MAX, trailer_scan: HeadScanner::default() }
    }

    /// Takes what it can from the front of `buf`.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Bad> {
        loop {
            match self.state {
                State::Done => return Ok(Decoded::End),
                _ if buf.is_empty() => return Ok(Decoded::NeedMore),
                State::UntilClose => return Ok(Decoded::Data(buf.split().freeze())),
                State::Length(left) => {
                    let (data, left) = take(buf, left);
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(Decoded::Data(data));
                }
                State::ChunkData(left) => {
                    let (data, left) = take(buf, left);
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    return Ok(Decoded::Data(data));
                }
                State::ChunkEnd => {
                    if !end_line(buf)? {
                        return Ok(Decoded::NeedMore);
                    }
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => match self.chunk_size(buf)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(0) => self.state = State::Trailers,
                    Some(len) => self.state = State::ChunkData(len),
                },
                State::Trailers => return self.trailers(buf),
            }
        }
    }

    /// Whether the body is over and nothing more will come of it.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes are still to come, if the framing says it.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            _ => None,
        }
    }

    /// The sender has closed: the end of a body that is framed by it, a cut for every other that is not over.
    pub fn end_of_input(&mut self) -> Result<(), Bad> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Length(_) => Err(Bad("the body ends before its length")),
            State::ChunkSize | State::ChunkData(_) | State::ChunkEnd => Err(Bad("the body ends before its last chunk")),
            State::Trailers => Err(Bad("the body ends in its trailers")),
        }
    }

    fn chunk_size(&mut self, buf: &mut BytesMut) -> Result<Option<u64>, Bad> {
        let window = buf.get(..buf.len().min(SIZE_LINE_BYTES_MAX)).unwrap_or_default();
        let Some(end) = memchr(b'\n', window) else {
            // What is wrong with the line is said now, not after the sender has filled the window.
            size_line(window, false)?;
            return if window.len() < SIZE_LINE_BYTES_MAX { Ok(None) } else { Err(Bad("chunk-size line too long")) };
        };
        let [line @ .., b'\r'] = window.get(..end).unwrap_or_default() else {
            return Err(Bad("bare LF in a chunk-size line"));
        };
        let (size, extension_len) = size_line(line, true)?;
        let left = self.extension_budget.checked_sub(extension_len as u64).ok_or(Bad("too many chunk extensions"))?;
        self.extension_budget = left.saturating_add(size / EXTENSION_SHARE).min(EXTENSION_BYTES_MAX);
        buf.advance(end + 1);
        Ok(Some(size))
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Decoded, Bad> {
        match **buf {
            [b'\r'] => return Ok(Decoded::NeedMore),
            [b'\r', b'\n', ..] => {
                buf.advance(2);
                self.state = State::Done;
                return Ok(Decoded::End);
            }
            _ => {}
        }
        if !self.trailer_scan.is_worth_parsing(buf, &TRAILER_LIMITS) {
            return Ok(Decoded::NeedMore);
        }
        let Some((len, trailers)) = parse_trailers(buf)? else { return Ok(Decoded::NeedMore) };
        buf.advance(len);
        self.state = State::Done;
        Ok(if trailers.is_empty() { Decoded::End } else { Decoded::Trailers(trailers) })
    }
}

/// Splits up to `left` bytes off the front and says how many are left after them.
fn take(buf: &mut BytesMut, left: u64) -> (Bytes, u64) {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
    (buf.split_to(len).freeze(), left - len as u64)
}

/// Takes the line end after a chunk; false if it has not come whole.
fn end_line(buf: &mut BytesMut) -> Result<bool, Bad> {
    match **buf {
        [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => {
            buf.advance(2);
            Ok(true)
        }
        _ => Err(Bad("a chunk is longer than its size")),
    }
}

/// The size and the length of the extensions in a chunk-size line without its line end; of a line that is not whole
/// yet, what there is must be the beginning of a good one.
fn size_line(line: &[u8], is_whole: bool) -> Result<(u64, usize), Bad> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let extension = line.get(digits..).unwrap_or_default();
    // A line whose end has come in half still has its CR here.
    let extension = if is_whole { extension } else { extension.strip_suffix(b"\r").unwrap_or(extension) };
    if digits > SIZE_DIGITS_MAX || (digits == 0 && (is_whole || !line.is_empty())) {
        return Err(Bad("bad chunk size"));
    }
    if !matches!(extension, [] | [b';', ..]) {
        return Err(Bad("bad chunk size"));
    }
    if extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Bad("bad chunk extension"));
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map_or(0, u64::from);
    let size = line.iter().take(digits).fold(0u64, |sum, byte| (sum << 4) | digit(byte));
    Ok((size, extension.len()))
}

/// The length of the trailer section and those of its fields that may travel; `None` if it is not whole yet.
fn parse_trailers(bytes: &[u8]) -> Result<Option<(usize, HeaderMap)>, Bad> {
    let mut slots = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let (len, headers) = match httparse::parse_headers(bytes, &mut slots) {
        Ok(Status::Complete((len, headers))) if len <= TRAILER_LIMITS.head_bytes => (len, headers),
        Ok(Status::Partial) if bytes.len() <= TRAILER_LIMITS.head_bytes => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Bad("trailer section too large")),
        Err(_) => return Err(Bad("bad trailer section")),
    };
    let section = bytes.get(..len).unwrap_or_default();
    if memchr::memchr_iter(b'\n', section).any(|at| at == 0 || section.get(at - 1) != Some(&b'\r')) {
        return Err(Bad("bare LF in the trailer section"));
    }
    let mut trailers = HeaderMap::new();
    for header in headers.iter().filter(|header| may_trail(header.name.as_bytes())) {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Bad("bad trailer name"))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| Bad("bad trailer value"))?;
        trailers.append(name, value);
    }
    Ok(Some((len, trailers)))
}

/// Fields that no trailer may carry (RFC 9110 section 6.5.1): what frames a message, routes it, says who sent it,
/// steers a cache, or must be known before the content. Sorted is not needed: this runs once per trailer.
const NEVER_IN_TRAILERS: [&[u8]; 22] = [
    b"age",
    b"cache-control",
    b"content-encoding",
    b"content-location",
    b"content-range",
    b"expires",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"idempotency-key",
    b"location",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"strict-transport-security",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-api-key",
];

/// Families of names that no trailer may carry.
const NEVER_AS_PREFIX: [&[u8]; 9] = [
    b"access-control-",
    b"proxy-",
    b"sec-",
    b"x-authenticated-",
    b"x-consumer-",
    b"x-credential-",
    b"x-forwarded-",
    b"x-http-method",
    b"x-original-",
];

/// Every name that some stage of ours acts on is out, with those that endpoints act on.
pub fn may_trail(name: &[u8]) -> bool {
    let starts_with = |prefix: &&[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    Known::of(name) == Known::Other
        && !NEVER_IN_TRAILERS.iter().any(|never| never.eq_ignore_ascii_case(name))
        && !NEVER_AS_PREFIX.iter().any(starts_with)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
