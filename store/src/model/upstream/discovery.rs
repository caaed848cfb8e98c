// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that are found while weirgate runs. They join those that are written; the last good answer is kept when a
//! source fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Span;

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Discovery {
    /// `name:port`: every A and AAAA record is an endpoint, asked again when its TTL has passed.
    Dns(String),
    /// `_service._proto.name`: every target of the SRV record is an endpoint, with its port, weight and priority.
    Srv(String),
    /// A file with one endpoint per line, read again when it changes.
    File(DiscoverFile),
    /// Endpoints that register themselves through the API and stay while they renew their lease.
    Lease(DiscoverLease),
}

impl Discovery {
    /// How the control API names it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Srv(_) => "srv",
            Self::File(_) => "file",
            Self::Lease(_) => "lease",
        }
    }

    /// The two parts of `name:port`; none if it is not that.
    pub fn name_and_port(text: &str) -> Option<(&str, u16)> {
        let (name, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Self::is_name(name).then_some((name, port))
    }

    /// Whether a text can be asked for: labels of letters, digits, `-` and `_`; a dot at the end keeps it from being
    /// completed.
    pub fn is_name(text: &str) -> bool {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.split('.').all(label)
    }
}

/// Longest name of DNS as text.
const NAME_BYTES_MAX: usize = 253;

/// A watched file: each line is `address`, or `address weight`, or `address weight backup`; `#` begins a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverFile {
    /// Absolute path on this machine.
    pub path: String,
}

/// Endpoints that register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverLease {
    /// The longest a registration may live without being renewed.
    #[serde(default = "default_ttl")]
    pub ttl: Span,
}

fn default_ttl() -> Span {
    Span::seconds(30)
}
