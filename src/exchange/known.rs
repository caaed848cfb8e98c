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

/// More bytes than any known name has.
const LEN_MAX: usize = 32;

impl Known {
    /// The identity of `name`, compared without case (RFC 9110 section 5.1).
    pub fn of(name: &[u8]) -> Self {
        // All of it at once, which a machine does in two steps whatever the length is.
        let mut lower = [0; LEN_MAX];
        let Some(place) = lower.get_mut(..name.len()) else { return Self::Other };
        place.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match lower.get(..name.len()).unwrap_or_default() {
            b"accept-encoding" => Self::AcceptEncoding,
            b"authorization" => Self::Authorization,
            b"connection" => Self::Connection,
            b"content-length" => Self::ContentLength,
            b"content-type" => Self::ContentType,
            b"cookie" => Self::Cookie,
            b"date" => Self::Date,
            b"expect" => Self::Expect,
            b"forwarded" => Self::Forwarded,
            b"host" => Self::Host,
            b"http2-settings" => Self::Http2Settings,
            b"keep-alive" => Self::KeepAlive,
            b"max-forwards" => Self::MaxForwards,
            b"proxy-connection" => Self::ProxyConnection,
            b"server" => Self::Server,
            b"te" => Self::Te,
            b"trailer" => Self::Trailer,
            b"transfer-encoding" => Self::TransferEncoding,
            b"upgrade" => Self::Upgrade,
            b"via" => Self::Via,
            b"x-forwarded-for" => Self::XForwardedFor,
            b"x-forwarded-host" => Self::XForwardedHost,
            b"x-forwarded-proto" => Self::XForwardedProto,
            b"x-real-ip" => Self::XRealIp,
            b"x-request-id" => Self::XRequestId,
            _ => Self::Other,
        }
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
