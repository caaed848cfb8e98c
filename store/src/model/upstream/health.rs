// SPDX-License-Identifier: MIT OR Apache-2.0
//! Active health checks: what is asked of an endpoint, and how often.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::or_true::OrTrue;
use super::super::{Span, or_true};
use super::is_default;

/// Active health checks: exactly one of `http`, `tcp`, `tls`, `grpc` and `script`, and `agent` beside it or alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// `true`: a connection that opens is health enough. A table sends and expects bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "or_true")]
    #[schemars(with = "Option<OrTrue<TcpCheck>>")]
    pub tcp: Option<TcpCheck>,
    /// `true`: a TLS handshake that ends well is health enough. Its certificate counts as it does for requests; any will do
    /// if the upstream itself speaks no TLS, or with a `server_name` of the check's own.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "or_true")]
    #[schemars(with = "Option<OrTrue<TlsCheck>>")]
    pub tls: Option<TlsCheck>,
    /// `true`: the gRPC health protocol, for the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "or_true")]
    #[schemars(with = "Option<OrTrue<GrpcCheck>>")]
    pub grpc: Option<GrpcCheck>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptCheck>,
    /// Asks an agent on the endpoint's machine what it thinks (HAProxy agent lines).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentCheck>,
    /// Another port than the one of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Between two checks of one endpoint.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Between two checks while there is doubt; a quarter of `interval` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_interval: Option<Span>,
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

impl Default for Health {
    /// No check yet; everything else as by default.
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            tls: None,
            grpc: None,
            script: None,
            agent: None,
            port: None,
            interval: default_interval(),
            fast_interval: None,
            timeout: default_timeout(),
            fall: default_fall(),
            rise: default_rise(),
        }
    }
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
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    /// Path and query that are asked for.
    pub path: String,
    /// `Host` of the check; the endpoint's address if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// More fields of the check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Statuses that mean healthy.
    #[serde(default = "default_expect")]
    pub expect: Vec<u16>,
    /// A regular expression that must be found in the first 64 KiB of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

fn default_expect() -> Vec<u16> {
    vec![200]
}

/// What a healthy endpoint says over TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcpCheck {
    /// Sent once connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// Must be found in the first 64 KiB that come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// A TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsCheck {
    /// Sent as SNI; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// `grpc.health.v1.Health/Check`; only SERVING is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcCheck {
    /// The service to ask about; the whole server if empty.
    #[serde(skip_serializing_if = "is_default")]
    pub service: String,
}

/// A program that says by its exit code whether an endpoint is healthy: 0 is. It gets the address and the port as last
/// arguments, no input, and an empty environment but for `PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptCheck {
    /// Absolute path of the program.
    pub path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// One line over TCP, such as `75% ready`: it can set a share of the weight and `ready`, `drain`, `maint`, `down`, `up`,
/// and undo only what it did itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCheck {
    pub port: u16,
    /// Sent once connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
}
