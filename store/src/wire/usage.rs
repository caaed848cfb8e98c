// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a consumer has used of what it may.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every limit that counts one consumer by itself, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerUsage {
    pub consumer: String,
    /// The plan it has, be it by name or by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    pub limits: Vec<LimitUsage>,
}

/// One limit of one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitUsage {
    /// As replies name it.
    pub name: String,
    pub kind: LimitKind,
    /// Requests that are allowed: in the period, at once after a pause, or under way.
    pub limit: u64,
    pub used: u64,
    pub left: u64,
    /// The period of a quota, or the rate, such as `100/s`.
    pub per: String,
    /// When all of it is there again; none if nothing is used, or if that depends on requests under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_ms: Option<i64>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    RateLimit,
    Quota,
    Concurrency,
}

impl LimitKind {
    /// As it is written in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Concurrency => "concurrency",
        }
    }
}
