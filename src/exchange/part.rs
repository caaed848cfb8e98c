// SPDX-License-Identifier: MIT OR Apache-2.0
//! A part of a request that stays the same for the same caller or content: what a split keeps its sides by.
//!
//! Only finds bytes; what is done with them is their user's. A request without the part has none, and an empty value
//! is none either: callers who send nothing are not one caller.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Fields, Known};

/// Which part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The address of the client; of IPv6 its /64, because a host changes the rest at will.
    SourceIp,
    Path,
    ClientCertificate,
    Header(Box<[u8]>),
    Cookie(Box<[u8]>),
    Query(Box<[u8]>),
}

/// A request as far as parts can be found in it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub fields: &'a Fields,
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
    pub source: IpAddr,
    /// The fingerprint of the client's certificate, if it showed one.
    pub certificate: Option<&'a [u8]>,
}

impl Part {
    /// The bytes of the part, if the request has it. A field or cookie that is there twice counts by its first.
    pub fn find<'a>(&'a self, seen: &Seen<'a>) -> Option<Cow<'a, [u8]>> {
        let found = match self {
            Self::SourceIp => return Some(Cow::Owned(source(seen.source))),
            Self::Path => Some(seen.path),
            Self::ClientCertificate => seen.certificate,
            Self::Header(name) => seen.fields.named(name).next(),
            Self::Cookie(name) => cookies(seen.fields, name).next(),
            Self::Query(name) => parameter(seen.query.unwrap_or_default(), name),
        };
        found.filter(|value| !value.is_empty()).map(Cow::Borrowed)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match self {
            Self::SourceIp => f.write_str("its address"),
            Self::Path => f.write_str("the path"),
            Self::ClientCertificate => f.write_str("its certificate"),
            Self::Header(name) => write!(f, "its header {}", text(name)),
            Self::Cookie(name) => write!(f, "its cookie {}", text(name)),
            Self::Query(name) => write!(f, "its query parameter {}", text(name)),
        }
    }
}

fn source(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().into_iter().take(8).collect(),
    }
}

/// The values of the cookies of that name, as they were sent and in order.
pub fn cookies<'a>(fields: &'a Fields, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let pairs = fields.all(Known::Cookie).flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.filter_map(split_pair).filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// Takes the cookies of that name out of a request; what is left keeps its bytes and its order.
pub fn remove_cookies(fields: &mut Fields, name: &[u8]) {
    if cookies(fields, name).next().is_none() {
        return;
    }
    let mut kept: Vec<u8> = Vec::new();
    for pair in fields.all(Known::Cookie).flat_map(|field| field.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii) {
        if pair.is_empty() || split_pair(pair).is_some_and(|(key, _)| key == name) {
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    fields.remove(Known::Cookie);
    if !kept.is_empty() {
        fields.push_known(Known::Cookie, &kept);
    }
}

/// `name=value`, of a cookie or of the beginning of a `Set-Cookie`.
pub fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
    Some((key.trim_ascii(), value.trim_ascii()))
}

/// The value of the first query parameter of that name, as it was sent.
pub fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = query.split(|byte| *byte == b'&').filter_map(split_pair);
    pairs.find(|(key, _)| percent_encoding::percent_decode(key).eq(name.iter().copied())).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::{Fields, Known, Part, Seen, remove_cookies};

    /// Rows: the part, and what is found in one request.
    #[test]
    fn parts_are_found() {
        let mut fields = Fields::new();
        fields.push(b"X-User", b"ana");
        fields.push(b"X-Empty", b"");
        fields.push_known(Known::Cookie, b"a=1; sid = s3 ;b=\"2\"");
        fields.push_known(Known::Cookie, b"sid=later; flag");
        let seen = |source: &str| Seen {
            fields: &fields,
            path: b"/orders",
            query: Some(b"x=1&us%65r=ana&user=bo&n"),
            source: source.parse().unwrap(),
            certificate: None,
        };
        let name = |text: &str| text.as_bytes().into();
        for (part, want) in [
            (Part::SourceIp, Some(&[192, 0, 2, 7][..])),
            (Part::Path, Some(b"/orders")),
            (Part::ClientCertificate, None),
            (Part::Header(name("x-user")), Some(b"ana")),
            (Part::Header(name("x-empty")), None),
            (Part::Header(name("x-none")), None),
            (Part::Cookie(name("sid")), Some(b"s3")),
            (Part::Cookie(name("SID")), None),
            (Part::Cookie(name("flag")), None),
            (Part::Query(name("user")), Some(b"ana")),
            (Part::Query(name("n")), None),
        ] {
            assert_eq!(part.find(&seen("192.0.2.7")).as_deref(), want, "row {part:?}");
        }
        let (one, two) = (seen("2001:db8::1"), seen("2001:db8::ffff:2"));
        assert_eq!(Part::SourceIp.find(&one), Part::SourceIp.find(&two), "one /64 is one caller");
        assert_eq!(Part::SourceIp.find(&seen("::ffff:192.0.2.7")), Part::SourceIp.find(&seen("192.0.2.7")));
    }

    #[test]
    fn a_cookie_is_taken_out_and_the_others_stay() {
        for (before, after) in [
            (&["a=1; k=x; b=2", "k=y"][..], &["a=1; b=2"][..]),
            (&["k=x"], &[]),
            (&["a=1", "K=x"], &["a=1", "K=x"]),
            (&["k", "kk=1;k =2"], &["k; kk=1"]),
        ] {
            let mut fields = Fields::new();
            before.iter().for_each(|value| fields.push_known(Known::Cookie, value.as_bytes()));
            remove_cookies(&mut fields, b"k");
            let left: Vec<_> =
                fields.all(Known::Cookie).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            assert_eq!(left, after, "row {before:?}");
        }
    }
}
