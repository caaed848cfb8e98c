// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PROXY header of HAProxy, versions 1 and 2: who the client is, said by a proxy before anything else.
//!
//! Both ways: [`parse`] for what comes in, [`write()`] for what goes to an endpoint. Pure: it reads and writes slices.
//! Whether the peer may say such a thing is asked before, by whoever accepts. What must stay true: a header is never
//! longer than [`BYTES_MAX`], bytes that cannot become one are refused as soon as that is clear, and nothing behind
//! the header is counted to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use weirgate_store::model::ProxyProtocol;

/// Longest header: the addresses of version 2 and what may follow them. HAProxy itself sends a few hundred bytes.
pub const BYTES_MAX: usize = 4096;

/// Longest line of version 1, its end included (section 2.1 of the specification).
const LINE_BYTES_MAX: usize = 107;

/// What version 1 begins with.
const LINE_START: &[u8] = b"PROXY ";

/// What version 2 begins with: no protocol says this first.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// The type of the extension that holds a checksum over the whole header.
const CHECKSUM: u8 = 0x03;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The proxy speaks for itself (a health check), or does not know: the connection's own addresses count.
    Itself,
    /// The client, and the address it connected to.
    Client { source: SocketAddr, destination: SocketAddr },
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub said: Said,
    /// How many bytes it takes.
    pub len: usize,
}

/// Why bytes are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("the connection does not begin with a PROXY header")]
    Absent,
    #[error("the line of the PROXY header has no end within {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    #[error("the line of the PROXY header is malformed")]
    Line,
    #[error("the version or command of the PROXY header is unknown")]
    Version,
    #[error("the PROXY header is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("the PROXY header is too short for its addresses")]
    TooShort,
    #[error("the extensions of the PROXY header are malformed")]
    Extensions,
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

/// The header that `bytes` begins with; `None` while more bytes may complete one.
///
/// # Errors
/// Bytes that no further byte can make a header of.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Mistake> {
    if begins(bytes, SIGNATURE) {
        return if bytes.len() < FIXED_BYTES { Ok(None) } else { binary(bytes) };
    }
    if !begins(bytes, LINE_START) {
        return Err(Mistake::Absent);
    }
    let seen = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    match memchr::memchr(b'\n', seen) {
        Some(end) => line(seen.get(..end).unwrap_or_default()).map(|said| Some(Header { said, len: end + 1 })),
        None if bytes.len() >= LINE_BYTES_MAX => Err(Mistake::LineTooLong),
        None => Ok(None),
    }
}

/// Whether `bytes` and `start` agree as far as both go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.2 4000 80` and a carriage return.
fn line(line: &[u8]) -> Result<Said, Mistake> {
    let text = line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).ok_or(Mistake::Line)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().ok_or(Mistake::Line)?;
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(Said::Itself);
    }
    let (Some(source), Some(destination), Some(source_port), Some(port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Mistake::Line);
    };
    let address = |ip: &str| match family {
        "TCP4" => Ipv4Addr::from_str(ip).map(IpAddr::V4).map_err(|_| Mistake::Line),
        "TCP6" => Ipv6Addr::from_str(ip).map(IpAddr::V6).map_err(|_| Mistake::Line),
        _ => Err(Mistake::Line),
    };
    let source = SocketAddr::new(address(source)?, port_of(source_port)?);
    let destination = SocketAddr::new(address(destination)?, port_of(port)?);
    Ok(Said::Client { source, destination })
}

/// Digits and nothing else, without zeros in front.
fn port_of(digits: &str) -> Result<u16, Mistake> {
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().map_err(|_| Mistake::Line) } else { Err(Mistake::Line) }
}

/// Version 2, of which the fixed part is there.
fn binary(bytes: &[u8]) -> Result<Option<Header>, Mistake> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED_BYTES) else {
        return Err(Mistake::TooShort);
    };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Mistake::Version),
    };
    let len = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if len > BYTES_MAX {
        return Err(Mistake::TooLong);
    }
    let Some(whole) = bytes.get(..len) else { return Ok(None) };
    let rest = whole.get(FIXED_BYTES..).unwrap_or_default();
    let said = match family {
        _ if is_local => return Ok(Some(Header { said: Said::Itself, len })),
        0x11 => addresses::<4>(rest, whole)?,
        0x21 => addresses::<16>(rest, whole)?,
        // Of a Unix socket, a datagram, or something newer: not a client we could name.
        _ => Said::Itself,
    };
    Ok(Some(Header { said, len }))
}

/// Two addresses of `N` bytes, two ports, and extensions, which are looked through and skipped.
fn addresses<const N: usize>(rest: &[u8], whole: &[u8]) -> Result<Said, Mistake>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(Mistake::TooShort)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(Mistake::TooShort)?;
    let (ports, extensions) = rest.split_first_chunk::<4>().ok_or(Mistake::TooShort)?;
    check_extensions(extensions, whole)?;
    let [a, b, c, d] = *ports;
    Ok(Said::Client {
        source: SocketAddr::new((*source).into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d])),
    })
}

/// Type, length and value each. A checksum that is there must be right (section 2.2.3).
fn check_extensions(mut rest: &[u8], whole: &[u8]) -> Result<(), Mistake> {
    while !rest.is_empty() {
        let Some((&[kind, high, low], tail)) = rest.split_first_chunk::<3>() else {
            return Err(Mistake::Extensions);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((value, tail)) = tail.split_at_checked(length) else { return Err(Mistake::Extensions) };
        if kind == CHECKSUM {
            let said = u32::from_be_bytes(value.try_into().map_err(|_| Mistake::Extensions)?);
            let at = whole.len() - tail.len() - length;
            if crc32c(whole, at..at + length) != said {
                return Err(Mistake::Checksum);
            }
        }
        rest = tail;
    }
    Ok(())
}

/// CRC-32C (RFC 9260 appendix A) of `bytes` with zeros at `zeroed`. Bit by bit: it runs on the few headers that have one.
fn crc32c(bytes: &[u8], zeroed: std::ops::Range<usize>) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let step = |crc: u32, (at, byte): (usize, &u8)| {
        let byte = if zeroed.contains(&at) { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    };
    !bytes.iter().enumerate().fold(!0, step)
}

/// Writes the header that tells an endpoint who the client is and which address it connected to.
pub fn write(out: &mut Vec<u8>, version: ProxyProtocol, source: SocketAddr, destination: SocketAddr) {
    let (from, to) = one_family(source.ip().to_canonical(), destination.ip().to_canonical());
    match version {
        ProxyProtocol::V1 => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            let (source, port) = (source.port(), destination.port());
            out.extend_from_slice(format!("PROXY {family} {from} {to} {source} {port}\r\n").as_bytes());
        }
        ProxyProtocol::V2 => {
            let (family, length) = if from.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0x21, family, 0, length]);
            octets(out, from);
            octets(out, to);
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&destination.port().to_be_bytes());
        }
    }
}

/// Writes the header of a connection that is made for nobody, such as a health check.
pub fn write_local(out: &mut Vec<u8>, version: ProxyProtocol) {
    match version {
        ProxyProtocol::V1 => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        ProxyProtocol::V2 => {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0x20, 0, 0, 0]);
        }
    }
}

/// Both or none as IPv4: one header has one family.
fn one_family(from: IpAddr, to: IpAddr) -> (IpAddr, IpAddr) {
    let mapped = |ip| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    };
    if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (mapped(from), mapped(to)) }
}

fn octets(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

#[cfg(test)]
mod tests;
