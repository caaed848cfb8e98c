// SPDX-License-Identifier: MIT OR Apache-2.0
//! What flows: one frame of numbers a second, and single exchanges for the tail.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthEvent, RevisionInfo};

/// One event of `GET /v1/events` (SSE; the SSE event name is the `event` tag).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Once a second.
    Traffic(Frame),
    /// One exchange, when the stream asked for `exchanges`.
    Exchange(ExchangeRecord),
    Health(HealthEvent),
    /// A revision began to run.
    Revision(RevisionInfo),
    /// An override, a key or another thing outside revisions was changed.
    Audit {
        time_ms: i64,
        author: String,
        text: String,
    },
    /// The stream could not keep up and left out so many exchanges.
    Dropped {
        exchanges: u64,
    },
}

/// The numbers of one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    pub time_ms: i64,
    /// Grows by one; a gap means frames were left out.
    pub sequence: u64,
    pub connections: u64,
    pub total: Rates,
    pub latency: LatencyHistogram,
    pub routes: BTreeMap<String, Rates>,
    /// By `upstream/address`.
    pub endpoints: BTreeMap<String, Rates>,
    pub upstreams: BTreeMap<String, Rates>,
    pub consumers: BTreeMap<String, Rates>,
    /// Resident memory of the daemon.
    pub memory_bytes: u64,
    /// Share of one core per worker, in percent.
    pub worker_cpu_percent: Vec<f32>,
}

/// Counts of one second for one thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    pub requests: u64,
    /// Replies 4xx that the client caused, 429 not counted.
    pub client_errors: u64,
    /// Replies 5xx.
    pub server_errors: u64,
    /// Replies 429.
    pub refused: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub in_flight: u64,
    /// Microseconds; 0 when there was no request.
    pub p50_us: u64,
    pub p99_us: u64,
}

/// Counts per latency bucket; `upper_us[i]` is the upper edge of `counts[i]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyHistogram {
    pub upper_us: Vec<u64>,
    pub counts: Vec<u64>,
}

/// One finished exchange, with its story. Credentials, cookies and query secrets are already redacted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeRecord {
    pub id: String,
    /// When it ended.
    pub time_ms: i64,
    pub client: String,
    pub listener: String,
    pub protocol: String,
    pub method: String,
    pub host: String,
    pub path: String,
    pub status: u16,
    pub duration_us: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// How often it was sent to an endpoint.
    pub attempts: u32,
    /// Token of the fault, such as `endpoint-closed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What happened and why, in a sentence.
    pub verdict: String,
    pub timeline: Vec<TimelineStep>,
    /// What each policy decided, and why this endpoint.
    pub why: Vec<String>,
    /// Each time it was sent to an endpoint, of an exchange that was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<TryRecord>,
    /// The header fields of the request, redacted, of a failure that was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<FieldLine>,
    /// The trace it belongs to, 32 hexadecimal digits (W3C).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// One time that an exchange was sent to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TryRecord {
    pub endpoint: String,
    /// From the first byte of the request to the beginning of this try.
    pub began_us: u64,
    /// Until its head of a reply, or its failure; absent if neither came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
    /// What came of it, as a sentence; absent if it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One header field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldLine {
    pub name: String,
    pub value: String,
}

/// How long one stage took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineStep {
    pub stage: String,
    pub micros: u64,
}
