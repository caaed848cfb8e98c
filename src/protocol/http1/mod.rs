// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/1.1 on the wire (RFC 9112): heads, framing and bodies, for both the client and the endpoint side.
//!
//! Pure: bytes in, values out, no I/O and no clock. What is ambiguous is refused, never repaired; whoever reads a head
//! here and frames its body with [`Decoder`] agrees with every strict reader about where a message ends.

mod decode;

mod encode;

mod framing;

mod head;

pub use decode::{Decoded, Decoder, may_trail};
pub use encode::{CHUNK_SIZE_MAX, LAST_CHUNK, chunk_size, end_head, field, fields, last_chunk, reply_head, reply_line};
pub use encode::{request_head, request_line};
pub use framing::{Framing, ReplyFraming, RequestFraming, Upgrade, reply_framing, request_framing};
pub use head::{FIELDS_HARD_MAX, FIELDS_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX};
pub use head::{HeadLimits, HeadScanner, ReplyLine, RequestLine, parse_reply, parse_request};

use crate::fault::Fault;

/// The versions that this codec speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
}

/// What was wrong with bytes, before anyone knows whom to blame: [`Fault::Malformed`] if a client sent them, a bad or
/// cut reply if an endpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(pub &'static str);

/// Only for bytes that a client sent.
impl From<Bad> for Fault {
    fn from(bad: Bad) -> Self {
        Self::Malformed(bad.0)
    }
}

#[cfg(test)]
mod replay;
