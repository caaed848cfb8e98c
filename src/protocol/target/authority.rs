// SPDX-License-Identifier: MIT OR Apache-2.0
//! `host[:port]` of a target, of `:authority` and of `Host`: one parser for the three, so that they can be compared.
//!
//! Userinfo is refused (RFC 9110 section 4.2.4), an empty port means none (RFC 3986 section 3.2.3), and the text that
//! is kept is the one that goes to the endpoint.

use crate::exchange::spelling::host::{self, Host};

/// A host in its normal spelling and perhaps a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Authority {
    text: Host,
    host_len: usize,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host[:port]`, or says in plain words what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let reason = |why| if text.contains(&b'@') { "the host carries user information" } else { why };
        Self::parse_plain(text).map_err(reason)
    }

    fn parse_plain(text: &[u8]) -> Result<Self, &'static str> {
        let host_end = match text.first() {
            Some(b'[') => text.iter().position(|byte| *byte == b']').map_or(text.len(), |at| at + 1),
            _ => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
        };
        let (name, rest) = text.split_at_checked(host_end).unwrap_or((text, b""));
        let mut text = host::normalise(name)?;
        let host_len = text.len();
        let port = port(rest)?;
        if port.is_some() {
            text.extend_from_slice(rest);
        }
        Ok(Self { text, host_len, port })
    }

    /// Host and port as they are sent.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// How much of the text is the host.
    pub(super) fn host_len(&self) -> usize {
        self.host_len
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether both name the same host and port, where a missing port is the one of the scheme.
    pub(super) fn is_same(&self, other: &Self, default_port: u16) -> bool {
        self.text.get(..self.host_len) == other.text.get(..other.host_len)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// Reads `:port`, where nothing and a lone colon mean none. Leading zeros are refused: one number, one spelling.
fn port(rest: &[u8]) -> Result<Option<u16>, &'static str> {
    const BAD: &str = "the port of the host is not a number from 1 to 65535";
    let Some(digits) = rest.strip_prefix(b":") else {
        return if rest.is_empty() { Ok(None) } else { Err("something follows the host that is not a port") };
    };
    match digits {
        [] => Ok(None),
        [b'1'..=b'9', ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(BAD)
        }
        _ => Err(BAD),
    }
}
