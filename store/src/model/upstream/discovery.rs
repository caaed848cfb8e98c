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
