// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first message of a TLS client, read for the two things that say where it wants to go: server name and ALPN.
//!
//! Nothing is decrypted and nothing is consumed: the same bytes go on to the endpoint. The message may come in any
//! pieces, of TCP and of TLS records. What must stay true: no more than [`BYTES_MAX`] is ever needed to decide, and
//! bytes that are no such message are refused as soon as that is clear (RFC 8446 sections 4.1.2 and 5.1, RFC 6066
//! section 3, RFC 7301).

/// Bytes of the connection in which the message must be whole. With post-quantum keys it is about 2 KiB.
pub const BYTES_MAX: usize = 16 * 1024;

/// Records that the message may come in: nobody sends more than a few.
const RECORDS_MAX: usize = 64;

/// Most bytes of one record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;

const RECORD_HEAD: usize = 5;

const MESSAGE_HEAD: usize = 4;

/// Longest server name (RFC 1035).
const NAME_BYTES_MAX: usize = 253;

/// What an endpoint would be chosen by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// In lower case, without a dot at its end.
    pub server_name: Option<Box<str>>,
    /// The application protocols that the client offers, in its order.
    pub protocols: Vec<Box<[u8]>>,
}

/// Why bytes are no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("the connection does not begin with a TLS handshake")]
    NotTls,
    #[error("the first TLS message is longer than {BYTES_MAX} bytes or in more than {RECORDS_MAX} records")]
    TooLong,
    #[error("the first TLS message is malformed")]
    Malformed,
    #[error("the server name of the first TLS message is not a host name")]
    Name,
}

/// The message that `bytes` begins with; `None` while more bytes may complete it.
///
/// # Errors
/// Bytes that no further byte can make such a message of.
pub fn parse(bytes: &[u8]) -> Result<Option<Hello>, Mistake> {
    let seen = bytes.get(..BYTES_MAX).unwrap_or(bytes);
    match unwrap_records(seen)? {
        Some(message) => read_message(&message).map(Some),
        None if bytes.len() >= BYTES_MAX => Err(Mistake::TooLong),
        None => Ok(None),
    }
}

/// The handshake message without its head, put together from its records, once it is whole.
fn unwrap_records(bytes: &[u8]) -> Result<Option<Vec<u8>>, Mistake> {
    let mut message = Vec::new();
    let mut rest = bytes;
    for _ in 0..RECORDS_MAX {
        check_record_start(rest)?;
        let Some((&[_, _, _, high, low], tail)) = rest.split_first_chunk::<RECORD_HEAD>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Err(Mistake::Malformed);
        }
        let fragment = tail.get(..length).unwrap_or(tail);
        message.extend_from_slice(fragment);
        if let Some(end) = message_end(&message)? {
            message.truncate(end);
            message.drain(..MESSAGE_HEAD);
            return Ok(Some(message));
        }
        if fragment.len() < length {
            return Ok(None);
        }
        rest = tail.get(length..).unwrap_or_default();
    }
    Err(Mistake::TooLong)
}

/// A handshake record of SSL 3.0 or later, as far as can be seen.
fn check_record_start(bytes: &[u8]) -> Result<(), Mistake> {
    let is_good = |(at, byte): (usize, &u8)| match at {
        0 => *byte == 22,
        1 => *byte == 3,
        _ => true,
    };
    if bytes.iter().take(2).enumerate().all(is_good) { Ok(()) } else { Err(Mistake::NotTls) }
}

/// Where the message ends, once all of it is there.
fn message_end(message: &[u8]) -> Result<Option<usize>, Mistake> {
    if message.first().is_some_and(|kind| *kind != 1) {
        return Err(Mistake::NotTls);
    }
    let Some(&[_, a, b, c]) = message.first_chunk::<MESSAGE_HEAD>() else { return Ok(None) };
    let end = MESSAGE_HEAD + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
    if end > BYTES_MAX {
        return Err(Mistake::TooLong);
    }
    Ok((message.len() >= end).then_some(end))
}

/// Takes pieces off the front of a slice; each is malformed if it is not there.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Mistake> {
        let (piece, rest) = self.0.split_at_checked(count).ok_or(Mistake::Malformed)?;
        self.0 = rest;
        Ok(piece)
    }

    /// What follows its own length in `bytes` bytes.
    fn vector(&mut self, bytes: usize) -> Result<Pieces<'a>, Mistake> {
        let length = self.take(bytes)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length).map(Pieces)
    }

    fn number(&mut self) -> Result<u16, Mistake> {
        let bytes = self.take(2)?.try_into().map_err(|_| Mistake::Malformed)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read_message(message: &[u8]) -> Result<Hello, Mistake> {
    const SERVER_NAME: u16 = 0;
    const ALPN: u16 = 16;
    let mut pieces = Pieces(message);
    let _version_and_random = pieces.take(2 + 32)?;
    let _session = pieces.vector(1)?;
    let _suites = pieces.vector(2)?;
    let _compression = pieces.vector(1)?;
    let mut hello = Hello::default();
    if pieces.is_empty() {
        // An old client without extensions.
        return Ok(hello);
    }
    let mut extensions = pieces.vector(2)?;
    if !pieces.is_empty() {
        return Err(Mistake::Malformed);
    }
    let (mut named, mut offered) = (false, false);
    while !extensions.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.vector(2)?;
        match kind {
            // Twice would let two readers see two names.
            SERVER_NAME if std::mem::replace(&mut named, true) => return Err(Mistake::Malformed),
            ALPN if std::mem::replace(&mut offered, true) => return Err(Mistake::Malformed),
            SERVER_NAME => hello.server_name = server_name(body)?,
            ALPN => hello.protocols = protocols(body)?,
            _ => {}
        }
    }
    Ok(hello)
}

/// The first host name in the list; other kinds of names do not exist yet.
fn server_name(mut body: Pieces<'_>) -> Result<Option<Box<str>>, Mistake> {
    let mut list = body.vector(2)?;
    if !body.is_empty() || list.is_empty() {
        return Err(Mistake::Malformed);
    }
    while !list.is_empty() {
        let kind = list.take(1)?;
        let name = list.vector(2)?;
        if kind == [0] {
            return host(name.0).map(Some);
        }
    }
    Ok(None)
}

fn host(name: &[u8]) -> Result<Box<str>, Mistake> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.iter().all(is_label) {
        return Err(Mistake::Name);
    }
    let name = String::from_utf8(name.to_ascii_lowercase()).map_err(|_| Mistake::Name)?;
    Ok(name.into_boxed_str())
}

fn protocols(mut body: Pieces<'_>) -> Result<Vec<Box<[u8]>>, Mistake> {
    let mut list = body.vector(2)?;
    if !body.is_empty() || list.is_empty() {
        return Err(Mistake::Malformed);
    }
    let mut all = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector(1)?;
        if protocol.is_empty() {
            return Err(Mistake::Malformed);
        }
        all.push(protocol.0.into());
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
