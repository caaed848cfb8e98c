// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs now: listeners, upstreams and their endpoints, the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RevisionInfo;

/// The whole state of one daemon at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReply {
    pub version: String,
    /// Host name.
    pub instance: String,
    pub pid: u32,
    pub started_ms: i64,
    pub now_ms: i64,
    pub workers: u32,
    pub revision: RevisionInfo,
    pub store: StoreStatus,
    pub connections: u64,
    pub connections_max: u64,
    pub listeners: Vec<ListenerStatus>,
    pub upstreams: Vec<UpstreamStatus>,
    /// The role of the caller: `admin` or `viewer`.
    pub role: String,
    /// True from the moment a shutdown begins.
    pub draining: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreStatus {
    pub health: StoreHealth,
    /// A sentence for the operator.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreHealth {
    Ok,
    /// Running from text copies; changes are kept as text only.
    Degraded,
    /// Nothing can be kept.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListenerStatus {
    pub name: String,
    /// As bound, so port 0 shows the real port.
    pub address: String,
    pub protocol: String,
    pub connections: u64,
    pub connections_max: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamStatus {
    pub name: String,
    pub balance: String,
    /// Endpoints that may get new requests.
    pub usable: u32,
    pub endpoints: Vec<EndpointStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointStatus {
    pub address: String,
    pub health: EndpointHealth,
    /// Why it is as it is, as a sentence.
    pub reason: String,
    /// Since when it is in this health.
    pub since_ms: i64,
    /// The weight that counts now.
    pub weight: u32,
    /// The weight in the configuration.
    pub configured_weight: u32,
    pub backup: bool,
    pub in_flight: u32,
    pub requests: u64,
    pub errors: u64,
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overridden: Option<EndpointOverride>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointHealth {
    /// Checks pass, or there are none.
    Up,
    Down,
    /// Not checked yet.
    Unknown,
}

/// An operational state that stands over the configuration until it is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointOverride {
    pub mode: OverrideMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    pub owner: String,
    pub reason: String,
    pub since_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OverrideMode {
    /// As configured.
    #[default]
    Ready,
    /// No new requests; those in flight finish.
    Drain,
    /// No requests and no health checks.
    Maint,
}

/// `PUT /v1/upstreams/{upstream}/endpoints/{address}/override`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideRequest {
    pub mode: OverrideMode,
    /// None goes back to the configured weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    pub reason: String,
}

/// One change of health, for the event stream and the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthEvent {
    pub time_ms: i64,
    pub upstream: String,
    pub address: String,
    pub health: EndpointHealth,
    pub reason: String,
}

/// One policy of a route in running order, as `explain` and the console print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyLine {
    pub phase: String,
    pub name: String,
    pub text: String,
}
