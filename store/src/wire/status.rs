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
    /// Routes whose split moves by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<CanaryStatus>,
    /// Logs of exchanges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogStatus>,
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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamStatus {
    pub name: String,
    pub balance: String,
    /// Endpoints that may get new requests.
    pub usable: u32,
    pub endpoints: Vec<EndpointStatus>,
    /// Requests that wait for a place.
    #[serde(default)]
    pub queued: u32,
    /// Requests that hold a place within its limits; 0 where it has none.
    #[serde(default)]
    pub requests: u32,
    /// Open connections to all its endpoints.
    #[serde(default)]
    pub connections: u32,
    /// Requests that waited in vain, since the upstream exists.
    #[serde(default)]
    pub queue_timeouts: u64,
    /// How long requests have waited, all together.
    #[serde(default)]
    pub queue_us: u64,
    /// Second copies of slow requests that were sent.
    #[serde(default)]
    pub hedges: u64,
    /// Whether its circuit breaker is open.
    #[serde(default)]
    pub breaker_open: bool,
    /// Requests in flight that are allowed now, where a limit finds itself; none if there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u32>,
    /// What stands in the way of requests, as a sentence: an open breaker, or too few usable endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What discovery found last, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    #[serde(default)]
    pub priority: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub in_flight: u32,
    /// Open connections to it, unused ones included.
    #[serde(default)]
    pub connections: u32,
    pub requests: u64,
    pub errors: u64,
    /// The latency the balancer reckons with, where one is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// The share of its weight and limits that a slow start gives it now; none when it has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<u8>,
    /// Until when it is ejected for failing requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_until_ms: Option<i64>,
    /// How it came: `written`, `dns`, `srv`, `file` or `lease`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overridden: Option<EndpointOverride>,
}

/// A log and its writer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    pub name: String,
    /// `file`, `journald`, `syslog`, `tcp`, `stdout` or `otlp`.
    pub to: String,
    /// Lines since the log began.
    pub written: u64,
    /// Lines that did not fit the queue or that nobody took.
    pub dropped: u64,
    /// What keeps it from being written, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A split that moves by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryStatus {
    pub route: String,
    pub upstream: String,
    /// Its share now.
    pub percent: u16,
    /// Place in the list of steps, from 0; none when it went back.
    pub step: Option<u32>,
    /// `moving`, `done`, `stopped` or `back`.
    pub state: String,
    /// Why, as a sentence.
    pub reason: String,
    pub since_ms: i64,
}

/// `POST /v1/routes/{name}/canary`: what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryRequest {
    pub verb: CanaryVerb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CanaryVerb {
    /// From the first step.
    Start,
    /// Stay at the step reached.
    Stop,
    /// Go on from there.
    Resume,
    /// To no share at all.
    Back,
}

/// One client connection or UDP session, `GET /v1/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionInfo {
    /// Names it for `DELETE /v1/connections/{id}`.
    pub id: u64,
    pub listener: String,
    /// `http/1.1`, `http/2`, `tcp`, `tls`, `udp`, `websocket`, `connect`.
    pub protocol: String,
    pub client: String,
    pub upstream: Option<String>,
    pub endpoint: Option<String>,
    pub since_ms: i64,
    /// From and to the client so far.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// `PUT /v1/upstreams/{upstream}/endpoints/{address}/lease`: an endpoint registers itself, or renews that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseRequest {
    /// Seconds until it is gone unless it is renewed; the longest that the upstream allows if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointHealth {
    /// Checks pass, or there are none.
    Up,
    Down,
    /// Not checked yet.
    #[default]
    Unknown,
}

/// An operational state that stands over the configuration until it is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointOverride {
    pub mode: OverrideMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    pub owner: String,
    pub reason: String,
    pub since_ms: i64,
    /// When it takes itself back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// When what is still in flight is cut, of a drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<i64>,
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
    /// Seconds until it takes itself back; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// Seconds until what is still in flight is cut, of a drain; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u64>,
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
