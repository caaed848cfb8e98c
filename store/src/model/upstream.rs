// SPDX-License-Identifier: MIT OR Apache-2.0
//! An Upstream: a named group of endpoints, how to choose one, and how to know that it lives.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::is_default;
use super::{Percent, Span};

/// A named group of endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// How an endpoint is chosen for a request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub balance: Balance,
    /// What the endpoints speak.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: UpstreamProtocol,
    pub endpoints: Vec<Endpoint>,
    /// Active health checks; without them every endpoint is taken to be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Retry,
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: UpstreamTimeouts,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, whatever the weights.
    RoundRobin,
    /// In turn by weight, spread evenly (smooth weighted round robin).
    Weighted,
    /// The one with fewer requests in flight of two drawn by weight.
    #[default]
    LeastRequest,
    /// Always the same one for the same client address.
    SourceIp,
}

/// What the endpoints of an upstream speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// Not supported yet: HTTP/2 without TLS.
    H2c,
}

/// Heaviest weight, written or set by an operator: the smooth weighted sequence has as many steps as the weights add up
/// to.
pub const WEIGHT_MAX: u32 = 10_000;

/// One address in an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// IP address and port.
    pub address: SocketAddr,
    /// Share of the work relative to the others; 0 takes no new work.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Takes work only while no other endpoint can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// Active health checks: exactly one of `http` and `tcp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A connection that opens is health enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tcp: bool,
    /// Between two checks of one endpoint.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// For one check to answer.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Failed checks in a row until an endpoint is down.
    #[serde(default = "default_fall")]
    pub fall: u32,
    /// Passed checks in a row until it is up again.
    #[serde(default = "default_rise")]
    pub rise: u32,
}

fn default_interval() -> Span {
    Span::seconds(2)
}

fn default_timeout() -> Span {
    Span::seconds(1)
}

fn default_fall() -> u32 {
    3
}

fn default_rise() -> u32 {
    2
}

/// What a healthy endpoint answers over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// Path and query that are asked for.
    pub path: String,
    /// `Host` of the check; the endpoint's address if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Statuses that mean healthy.
    #[serde(default = "default_expect")]
    pub expect: Vec<u16>,
}

fn default_expect() -> Vec<u16> {
    vec![200]
}

/// When a request goes to another endpoint after one failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Further tries after the first.
    pub attempts: u32,
    /// What counts as a failure; all but `connect` only for idempotent requests.
    pub on: Vec<RetryCondition>,
    /// Retries as a share of the requests of the last ten seconds.
    pub budget: Percent,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 2, on: vec![RetryCondition::Connect, RetryCondition::Reset], budget: Percent(20) }
    }
}

/// A reason to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetryCondition {
    /// The connection could not be made.
    #[serde(rename = "connect")]
    Connect,
    /// The endpoint closed the connection before a byte of reply.
    #[serde(rename = "reset")]
    Reset,
    /// The endpoint did not answer in time.
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "502")]
    Status502,
    #[serde(rename = "503")]
    Status503,
    #[serde(rename = "504")]
    Status504,
}

/// How long an upstream waits for an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTimeouts {
    /// For a connection to open.
    pub connect: Span,
    /// From the end of the request to the head of the reply.
    pub response: Span,
    /// Between two pieces of a reply body, and the age at which an unused connection is closed.
    pub idle: Span,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self { connect: Span::seconds(2), response: Span::seconds(30), idle: Span::seconds(60) }
    }
}
