// SPDX-License-Identifier: MIT OR Apache-2.0
//! What consumers used, by route and in steps of time: the answer of `GET /v1/usage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one consumer did on one route in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRow {
    pub consumer: String,
    pub route: String,
    /// The version of the API, where a route has versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    pub requests: u64,
    /// Replies 4xx save 429.
    pub client_errors: u64,
    /// Replies 5xx.
    pub server_errors: u64,
    /// Replies 429.
    pub refused: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Sum of all durations.
    pub micros: u64,
}

impl UsageRow {
    /// Adds the numbers of another row.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.refused += other.refused;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.micros += other.micros;
    }
}

/// What was used from `start_ms` on for `step_s` seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsagePoint {
    pub start_ms: i64,
    pub rows: Vec<UsageRow>,
}

/// The answer: points that hold something, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageReply {
    /// 1, 10 or 60.
    pub step_s: u64,
    pub from_ms: i64,
    pub to_ms: i64,
    pub points: Vec<UsagePoint>,
}
