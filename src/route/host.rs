// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host patterns: one host, everything under a domain, or every host.
//!
//! A wildcard is the whole first label and stands for one label or more (`*.example.com` takes `a.b.example.com`, not
//! `example.com`), as in the Gateway API. No port: a listener has that.

use std::fmt;

use super::PatternError;
use crate::exchange::spelling::host;

/// Which hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `api.example.com`
    Exact(Box<[u8]>),
    /// `*.example.com`, kept as `example.com`
    Under(Box<[u8]>),
}

impl HostPattern {
    /// Reads `*`, `*.example.com` or a host in any case.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError::Host { text: text.to_owned(), why };
        if text == "*" {
            return Ok(Self::Any);
        }
        let (name, is_wildcard) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        if name.contains('*') {
            return Err(error("`*` can only be the whole first label, as in `*.example.com`"));
        }
        if !name.starts_with('[') && name.contains(':') {
            return Err(error("a host pattern has no port; the listener decides on that"));
        }
        if is_wildcard && name.starts_with('[') {
            return Err(error("an address has no wildcard"));
        }
        let name = host::normalise(name.as_bytes()).map_err(error)?.into_boxed_slice();
        Ok(if is_wildcard { Self::Under(name) } else { Self::Exact(name) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Exact(name) => out.write_str(&String::from_utf8_lossy(name)),
            Self::Under(name) => write!(out, "*.{}", String::from_utf8_lossy(name)),
        }
    }
}

/// The domains that `host` lies under, the longest first, none with more than `labels_max` labels: a client that sends
/// 127 labels must not cost 127 look-ups.
pub(super) fn domains(host: &[u8], labels_max: usize) -> impl Iterator<Item = &[u8]> {
    let labels = host.iter().filter(|byte| **byte == b'.').count();
    let dots = host.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.skip(labels.saturating_sub(labels_max)).filter_map(|(at, _)| host.get(at + 1..))
}

/// How many labels `name` has.
pub(super) fn labels(name: &[u8]) -> usize {
    name.iter().filter(|byte| **byte == b'.').count() + 1
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, domains};

    #[test]
    fn patterns_are_read_and_shown() {
        for (text, shown) in
            [("*", "*"), ("API.example.com.", "api.example.com"), ("*.Example.com", "*.example.com"), ("[::0]", "[::]")]
        {
            assert_eq!(HostPattern::parse(text).map(|pattern| pattern.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong() {
        for (text, why) in [
            ("", "is empty"),
            ("*.", "is empty"),
            ("a.*.b", "whole first label"),
            ("*a.b", "whole first label"),
            ("a:80", "no port"),
            ("a b", "no host name may have"),
            ("*.[::1]", "no wildcard"),
        ] {
            let error = HostPattern::parse(text).expect_err("a bad pattern").to_string();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn domains_come_longest_first_and_bounded() {
        let list = |max| domains(b"a.b.c.d", max).map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>();
        assert_eq!(list(9), ["b.c.d", "c.d", "d"]);
        assert_eq!(list(2), ["c.d", "d"]);
        assert!(list(0).is_empty());
    }
}
