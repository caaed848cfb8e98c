// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a message ends and what its connection does next, judged from its head (RFC 9112 sections 6 and 9).
//!
//! Two readers that disagree on where a message ends are how requests are smuggled, so everything that is not plainly
//! one framing is refused: two framings, a repeated length even if equal, any coding that is not `chunked` alone.

use http::Method;

use super::{Bad, ReplyLine, Version};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body at all.
    None,
    /// So many bytes; also when that is none, as a length of zero is forwarded.
    Length(u64),
    Chunked,
    /// The end of the connection. Only a reply can be framed so.
    UntilClose,
}

impl Framing {
    /// Whether no byte of body can come.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// What the client asks its connection to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    WebSocket,
    Other,
}

/// What a request head says of its body and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    pub framing: Framing,
    /// Whether the client wants to send another request after this one.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends its body.
    pub expect_continue: bool,
    pub upgrade: Option<Upgrade>,
}

/// What a reply head says of its body and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyFraming {
    pub framing: Framing,
    /// Whether the endpoint will take another request after this one.
    pub keep_alive: bool,
}

/// Judges the framing of a request.
pub fn request_framing(method: &Method, version: Version, fields: &Fields) -> Result<RequestFraming, Fault> {
    let seen = Seen::of(fields);
    let framing = seen.framing(version, fields)?.unwrap_or(Framing::None);
    if *method == Method::TRACE && framing != Framing::None {
        return Err(Fault::Malformed("TRACE with a body"));
    }
    if *method == Method::CONNECT && framing != Framing::None {
        return Err(Fault::Malformed("CONNECT with a body"));
    }
    let options = Options::of(version, seen.connection, fields);
    Ok(RequestFraming {
        framing,
        keep_alive: options.keep_alive,
        expect_continue: seen.expect && expects_continue(version, fields)?,
        upgrade: if options.upgrade { upgrade(fields) } else { None },
    })
}

/// Judges the framing of a reply to a request with this method. The framing fields must be sound even where the reply
/// can have no body, as they are forwarded.
pub fn reply_framing(method: &Method, reply: &ReplyLine, fields: &Fields) -> Result<ReplyFraming, Bad> {
    let seen = Seen::of(fields);
    let declared = seen.framing(reply.version, fields)?;
    let framing = match (reply.status, declared) {
        (100..200 | 204 | 304, _) => Framing::None,
        _ if *method == Method::HEAD => Framing::None,
        (200..300, _) if *method == Method::CONNECT => Framing::None,
        (_, Some(framing)) => framing,
        (_, None) => Framing::UntilClose,
    };
    let options = Options::of(reply.version, seen.connection, fields);
    Ok(ReplyFraming { framing, keep_alive: options.keep_alive && framing != Framing::UntilClose })
}

/// How often the fields that matter here occur: one walk over the fields instead of one for each question.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    lengths: u32,
    codings: u32,
    connection: bool,
    expect: bool,
}

impl Seen {
    fn of(fields: &Fields) -> Self {
        let mut seen = Self::default();
        for known in fields.identities() {
            match known {
                Known::ContentLength => seen.lengths += 1,
                Known::TransferEncoding => seen.codings += 1,
                Known::Connection => seen.connection = true,
                Known::Expect => seen.expect = true,
                _ => {}
            }
        }
        seen
    }

    /// The framing that the fields declare; `None` if they say nothing.
    fn framing(self, version: Version, fields: &Fields) -> Result<Option<Framing>, Bad> {
        match (self.lengths, self.codings) {
            (0, 0) => Ok(None),
            (1, 0) => length(fields.find(Known::ContentLength).unwrap_or_default()).map(Framing::Length).map(Some),
            (_, 0) => Err(Bad("more than one Content-Length")),
            (0, 1) if version == Version::Http10 => Err(Bad("Transfer-Encoding in HTTP/1.0")),
            (0, 1) => match fields.find(Known::TransferEncoding) {
                Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
                _ => Err(Bad("a transfer coding other than chunked")),
            },
            (0, _) => Err(Bad("more than one Transfer-Encoding")),
            (_, _) => Err(Bad("Content-Length with Transfer-Encoding")),
        }
    }
}

/// A length is digits and nothing else: no sign, no list, no space (RFC 9110 section 8.6).
fn length(value: &[u8]) -> Result<u64, Bad> {
    if value.is_empty() {
        return Err(Bad("Content-Length is empty"));
    }
    value.iter().try_fold(0u64, |sum, digit| match digit {
        b'0'..=b'9' => sum
            .checked_mul(10)
            .and_then(|sum| sum.checked_add(u64::from(digit - b'0')))
            .ok_or(Bad("Content-Length out of range")),
        _ => Err(Bad("Content-Length is not a number")),
    })
}

/// What the `Connection` field asks of this hop.
struct Options {
    keep_alive: bool,
    upgrade: bool,
}

impl Options {
    fn of(version: Version, present: bool, fields: &Fields) -> Self {
        let mut options = Self { keep_alive: version == Version::Http11, upgrade: false };
        if !present {
            return options;
        }
        let mut close = false;
        for token in fields.all(Known::Connection).flat_map(tokens) {
            if token.eq_ignore_ascii_case(b"close") {
                close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                // HTTP/1.0 cannot upgrade (RFC 9110 section 7.8).
                options.upgrade = version == Version::Http11;
            }
        }
        options.keep_alive &= !close;
        options
    }
}

/// The elements of a comma-separated list.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// An HTTP/1.0 client cannot know of 100-continue, so its expectation is ignored (RFC 9110 section 10.1.1).
fn expects_continue(version: Version, fields: &Fields) -> Result<bool, Fault> {
    if version == Version::Http10 {
        return Ok(false);
    }
    if fields.all(Known::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Fault::Expectation)
}

/// `h2c` is never forwarded: a request upgraded behind our back would leave our sight (hard case of request tunnelling).
fn upgrade(fields: &Fields) -> Option<Upgrade> {
    let mut protocols = fields.all(Known::Upgrade).flat_map(tokens);
    let first = protocols.next()?;
    let is_h2c = |token: &[u8]| token.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"h2c"));
    let more = protocols.next();
    if is_h2c(first) || more.is_some_and(is_h2c) || protocols.any(is_h2c) {
        return None;
    }
    let only_websocket = more.is_none() && first.eq_ignore_ascii_case(b"websocket");
    Some(if only_websocket { Upgrade::WebSocket } else { Upgrade::Other })
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
