// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much an upstream may carry at a time, over all workers, and how long the rest may wait. 0 is no limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Span;

/// Bounds of one upstream and of each of its endpoints. A request over a bound waits in the queue, and is refused with
/// 503 if the queue is full or its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamLimits {
    /// Open connections to all endpoints.
    pub connections: u32,
    /// Requests in flight to all endpoints.
    pub requests: u32,
    /// Open connections to one endpoint.
    pub endpoint_connections: u32,
    /// Requests in flight to one endpoint.
    pub endpoint_requests: u32,
    /// Requests that wait; 0 refuses at once.
    pub queue: u32,
    /// The longest a request waits.
    pub queue_timeout: Span,
    /// Finds the limit of requests in flight by itself, below `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive: Option<Adaptive>,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connections: 0,
            requests: 0,
            endpoint_connections: 0,
            endpoint_requests: 0,
            queue: 200,
            queue_timeout: Span::seconds(2),
            adaptive: None,
        }
    }
}

/// A limit of requests in flight that falls when latency rises above what it is without load (a gradient).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptive {
    /// It never falls below this.
    pub least: u32,
    /// It never rises above this.
    pub most: u32,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { least: 10, most: 1_000 }
    }
}
