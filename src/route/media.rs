// SPDX-License-Identifier: MIT OR Apache-2.0
//! Media types of requests, as a condition: `application/json`, `text/*`, and everything that is gRPC.
//!
//! Types are compared without case and without their parameters (RFC 9110 section 8.3.1). A request that names no type, or
//! more than one, meets no such condition.

use std::fmt;

/// Which media types a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaPattern {
    /// `type/subtype`, in lower case.
    Exact(Box<str>),
    /// What begins with `type/`, in lower case with the slash.
    Any(Box<str>),
    /// `application/grpc`, alone or with a `+` and the coding of its messages.
    Grpc,
}

const GRPC: &[u8] = b"application/grpc";

impl MediaPattern {
    /// A pattern as it is written; checked before.
    pub fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_suffix('*') {
            Some(before) => Self::Any(before.into()),
            None => Self::Exact(text.into()),
        }
    }

    pub(super) fn is_met(&self, value: &[u8]) -> bool {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match self {
            Self::Exact(own) => essence.eq_ignore_ascii_case(own.as_bytes()),
            Self::Any(own) => essence.get(..own.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(own.as_bytes())),
            Self::Grpc => {
                let (begin, rest) = essence.split_at_checked(GRPC.len()).unwrap_or_default();
                begin.eq_ignore_ascii_case(GRPC) && (rest.is_empty() || rest.starts_with(b"+"))
            }
        }
    }
}

impl fmt::Display for MediaPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(own) => f.write_str(own),
            Self::Any(own) => write!(f, "{own}*"),
            Self::Grpc => f.write_str("gRPC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaPattern;

    /// Rows: a pattern, the type of a request, and whether it is one of it.
    #[test]
    fn types_are_compared_by_their_essence() {
        for (pattern, value, want) in [
            ("application/json", "application/json", true),
            ("application/json", "Application/JSON; charset=utf-8", true),
            ("application/json", "application/json-seq", false),
            ("application/json", "", false),
            ("text/*", "text/html", true),
            ("Text/*", "TEXT/plain;a=b", true),
            ("text/*", "texts/html", false),
        ] {
            assert_eq!(MediaPattern::new(pattern).is_met(value.as_bytes()), want, "row {pattern} {value}");
        }
        for (value, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(MediaPattern::Grpc.is_met(value.as_bytes()), want, "row gRPC {value}");
        }
    }
}
