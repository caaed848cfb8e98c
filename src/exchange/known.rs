// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field names that weirgate itself acts on, as a closed set, so that a stage compares one byte and not a string.
//!
//! Only names that code asks for by identity belong here; all others are [`Known::Other`] and found by name.

/// A field name that some stage acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    Other,
    AcceptEncoding,
    Authorization,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyConnection,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRealIp,
    XRequestId,
}

/// Every known name in the spelling we send, in the order of the enum (its index is the discriminant).
const NAMES: [&str; 26] = [
    "",
    "Accept-Encoding",
    "Authorization",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Forwarded",
    "Host",
    "HTTP2-Settings",
    "Keep-Alive",
    "Max-Forwards",
    "Proxy-Connection",
    "Server",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-Id",
];

impl Known {
    /// The identity of `name`, compared without case (RFC 9110 section 5.1).
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[Self] = match name.len() {
            2 => &[Self::Te],
            3 => &[Self::Via],
            4 => &[Self::Host, Self::Date],
            6 => &[Self::Cookie, Self::Server, Self::Expect],
            7 => &[Self::Upgrade, Self::Trailer],
            9 => &[Self::Forwarded, Self::XRealIp],
            10 => &[Self::Connection, Self::KeepAlive],
            12 => &[Self::ContentType, Self::XRequestId, Self::MaxForwards],
            13 => &[Self::Authorization],
            14 => &[Self::ContentLength, Self::Http2Settings],
            15 => &[Self::AcceptEncoding, Self::XForwardedFor],
            16 => &[Self::XForwardedHost, Self::ProxyConnection],
            17 => &[Self::TransferEncoding, Self::XForwardedProto],
            _ => &[],
        };
        // The first letter alone rules most of them out.
        let first = name.first().map(u8::to_ascii_lowercase);
        let found = candidates.iter().find(|known| {
            let own = known.name().as_bytes();
            own.first().map(u8::to_ascii_lowercase) == first && own.eq_ignore_ascii_case(name)
        });
        found.copied().unwrap_or(Self::Other)
    }

    /// The name in the spelling that weirgate sends; empty for [`Known::Other`].
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, NAMES};

    #[test]
    fn every_name_is_found_in_any_case() {
        for name in NAMES.iter().skip(1) {
            assert_eq!(Known::of(name.as_bytes()).name(), *name);
            assert_eq!(Known::of(name.to_ascii_lowercase().as_bytes()).name(), *name);
        }
        assert_eq!(Known::of(b"x-other-name"), Known::Other);
        assert_eq!(Known::of(b""), Known::Other);
    }
}
