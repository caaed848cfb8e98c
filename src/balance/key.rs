// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hashing balance goes by: a part of the request, and the number it becomes.
//!
//! The numbers depend on nothing but the bytes: every node, restart and version agrees. Changing a line here moves the
//! clients of every installation: it needs a release note.

use std::net::IpAddr;

use md5::{Digest, Md5};
use weirgate_store::model::HashKey;

use super::draw::mix;
use crate::exchange::Fields;
use crate::exchange::part::{cookies, parameter};

/// The key of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Where it comes from.
    Source,
    /// A part of it, hashed.
    Part(u64, Hashed),
    /// It lacks the part: it goes anywhere.
    Absent(Hashed),
}

/// Which part of a request was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    Source,
    Path,
    Certificate,
    Header,
    Cookie,
    Query,
    /// The part that should be is not in the request.
    Nothing,
}

/// The parts of a request that a key can be.
#[derive(Clone, Copy, Debug)]
pub struct Keyed<'a> {
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
    pub fields: &'a Fields,
    /// The fingerprint of the client's certificate.
    pub certificate: Option<&'a [u8]>,
}

/// How bytes become the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// Ours.
    Mix,
    /// The first four bytes of MD5, as ketama clients do.
    Ketama,
}

impl Function {
    pub(super) fn of(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Mix => fold(bytes),
            Self::Ketama => u64::from(ketama(bytes)),
        }
    }

    /// The key of a client address: of IPv6 its /64, because a host changes the rest at will.
    pub(super) fn of_source(self, source: IpAddr) -> u64 {
        match (self, source.to_canonical()) {
            (Self::Mix, IpAddr::V4(v4)) => mix(u64::from(v4.to_bits())),
            (Self::Mix, IpAddr::V6(v6)) => mix(u64::try_from(v6.to_bits() >> 64).unwrap_or_default()),
            (Self::Ketama, IpAddr::V4(v4)) => self.of(&v4.octets()),
            (Self::Ketama, IpAddr::V6(v6)) => self.of(v6.octets().get(..8).unwrap_or_default()),
        }
    }
}

/// Eight bytes at a time, each mixed into all that came before; the length begins, so that zeros count.
fn fold(bytes: &[u8]) -> u64 {
    let mut hash = mix(bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15);
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        hash = mix(hash ^ u64::from_le_bytes(word)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    mix(hash)
}

pub(super) fn ketama(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = <[u8; 16]>::from(Md5::digest(bytes));
    u32::from_le_bytes([a, b, c, d])
}

/// The key that `by` makes of a request.
pub(super) fn of_request(by: &HashKey, function: Function, request: Keyed<'_>) -> Key {
    let (part, hashed) = match by {
        HashKey::SourceIp => return Key::Source,
        HashKey::Path => (Some(request.path), Hashed::Path),
        HashKey::ClientCertificate => (request.certificate, Hashed::Certificate),
        HashKey::Header(name) => (request.fields.named(name.as_bytes()).next(), Hashed::Header),
        HashKey::Cookie(name) => (cookies(request.fields, name.as_bytes()).next(), Hashed::Cookie),
        HashKey::Query(name) => (parameter(request.query.unwrap_or_default(), name.as_bytes()), Hashed::Query),
    };
    match part.map(<[u8]>::trim_ascii).filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => Key::Part(function.of(bytes), hashed),
        None => Key::Absent(hashed),
    }
}

#[cfg(test)]
mod tests {
    use weirgate_store::model::HashKey;

    use super::{Function, Hashed, Key, Keyed, fold, of_request};
    use crate::exchange::{Fields, Known};

    #[test]
    fn a_key_is_the_part_that_is_asked_for() {
        let mut fields = Fields::new();
        fields.push(b"X-User", b"ann");
        fields.push(b"X-Empty", b"");
        fields.push_known(Known::Cookie, b"a=1; sid=s%20x; sid=2");
        fields.push_known(Known::Cookie, b"late=ann");
        let request = Keyed { path: b"/a", query: Some(b"u=&user=ann&user=b"), fields: &fields, certificate: None };
        let header = |name: &str| HashKey::Header(name.to_owned());
        let cookie = |name: &str| HashKey::Cookie(name.to_owned());
        let query = |name: &str| HashKey::Query(name.to_owned());
        let rows = [
            (HashKey::Path, Some("/a"), Hashed::Path),
            (header("x-user"), Some("ann"), Hashed::Header),
            (header("x-none"), None, Hashed::Header),
            (header("x-empty"), None, Hashed::Header),
            (cookie("sid"), Some("s%20x"), Hashed::Cookie),
            (cookie("late"), Some("ann"), Hashed::Cookie),
            (cookie("si"), None, Hashed::Cookie),
            (query("user"), Some("ann"), Hashed::Query),
            (query("u"), None, Hashed::Query),
            (HashKey::ClientCertificate, None, Hashed::Certificate),
        ];
        for (by, want, hashed) in rows {
            let want = want.map_or(Key::Absent(hashed), |text| Key::Part(fold(text.as_bytes()), hashed));
            assert_eq!(of_request(&by, Function::Mix, request), want, "{by:?}");
        }
        assert_eq!(of_request(&HashKey::SourceIp, Function::Mix, request), Key::Source);
    }

    #[test]
    fn the_hash_is_the_same_on_every_node_and_version() {
        let got = ["", "\0", "a", "ann", "12345678", "123456789"].map(|text| fold(text.as_bytes()) >> 48);
        assert_eq!(got, [0x4821, 0x6950, 0xb18f, 0x6b11, 0xbce9, 0xa500]);
    }
}
