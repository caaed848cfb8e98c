// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an upstream speaks to its endpoints: protocol, TLS, what it says of the client first, and what it keeps open.
//!
//! It is compiled once and shared by all pools of the upstream; a pool of another transport is another pool. Whether
//! two are the same is told by the recipe, which names everything they were made of.

use std::time::Duration;

use weirgate_store::model::ProxyProtocol;

use super::pool::PoolLimits;
use crate::tls::originate::Originate;

/// What the endpoints speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    #[default]
    Http1,
    Http2,
}

/// How to speak to the endpoints of one upstream.
#[derive(Debug, Default)]
pub struct Transport {
    pub speech: Speech,
    pub tls: Option<Originate>,
    /// The PROXY header that begins a connection. Such a connection serves one client and no other.
    pub proxy_header: Option<ProxyProtocol>,
    pub limits: PoolLimits,
    /// Connections that each worker keeps open to each endpoint before they are needed.
    pub warm: usize,
    /// For a connection to open, all handshakes included.
    pub timeout: Duration,
    /// Everything it was made of, to know it again.
    pub recipe: String,
}

impl Transport {
    /// Plain HTTP/1.1 with these bounds.
    pub fn plain(limits: PoolLimits) -> Self {
        Self { limits, ..Self::default() }
    }
}
