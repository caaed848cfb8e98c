// SPDX-License-Identifier: MIT OR Apache-2.0
//! An Upstream: a named group of endpoints, how to choose one, how to know that it lives, and how much it may carry.
//!
//! One file for each question an operator asks of it. What is not written has the default given here, and a table that
//! is not written switches its feature off unless its text says otherwise.

mod balance;

mod connect;

mod discovery;

mod failover;

mod health;

mod limits;

mod sticky;

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use balance::{Balance, Hash, HashKey, KETAMA_POINTS, Zone};
pub use connect::{CertificateCheck, Pool, ProxyProtocol, UpstreamProtocol, UpstreamTimeouts, UpstreamTls};
pub use discovery::{DiscoverFile, DiscoverLease, Discovery};
pub use failover::{Breaker, Hedge, Outlier, Retry, RetryCondition};
pub use health::{AgentCheck, GrpcCheck, Health, HttpCheck, ScriptCheck, TcpCheck, TlsCheck};
pub use limits::{Adaptive, UpstreamLimits};
pub use sticky::{Learn, Sticky, StickyCookie};

use super::listener::is_default;
use super::{Percent, Span};

/// A named group of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// How an endpoint is chosen for a request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub balance: Balance,
    /// What a hashing `balance` hashes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hash: Hash,
    /// Prefers endpoints of one zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Keeps a client on the endpoint that served it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// What the endpoints speak.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: UpstreamProtocol,
    /// TLS to the endpoints, with `protocol = "https"` and `"h2"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: UpstreamTls,
    /// Tells each endpoint who the client is, before anything else on a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// May be empty only with `discovery`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// More endpoints, found while weirgate runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// Active health checks; without them every endpoint is taken to be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Takes endpoints out that fail real requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier: Option<Outlier>,
    /// With fewer usable endpoints than this share, health is ignored and all are used; 0% never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub panic: Percent,
    /// How long an endpoint that came back takes to get its full weight and limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Span>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// A second copy of a slow idempotent request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// Refuses at once while everything fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: UpstreamLimits,
    #[serde(default, skip_serializing_if = "is_default")]
    pub pool: Pool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: UpstreamTimeouts,
}

/// Heaviest weight, written or set by an operator: the smooth weighted sequence has as many steps as the weights add up
/// to.
pub const WEIGHT_MAX: u32 = 10_000;

/// Last priority tier.
pub const PRIORITY_MAX: u8 = 9;

/// One address in an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// IP address and port.
    pub address: SocketAddr,
    /// Share of the work relative to the others; 0 takes no new work.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Takes work only while no other endpoint can: the tier after all priorities.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
    /// Takes work only while no endpoint of a lower number can.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
    /// Where it is, for `zone.prefer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Endpoint {
    /// An endpoint with everything else as by default.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, weight: 1, backup: false, priority: 0, zone: None }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_one(weight: &u32) -> bool {
    *weight == 1
}
