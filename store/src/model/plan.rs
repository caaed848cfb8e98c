// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Plan: what a consumer that has it may do, on all routes together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Quota, Rate};

/// The plan of consumers that name none.
pub const PLAN_DEFAULT: &str = "default";

/// What a consumer may do, however many routes it calls. Each consumer is counted by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// At most one for each unit of time: second, minute, hour and day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<PlanRate>,
    /// At most one for each period.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
    /// Requests under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// No more than `rate` on average, and `burst` at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRate {
    /// Such as `100/s`, `600/m`, `10000/h`.
    pub rate: Rate,
    /// Requests that may come at once after a pause; the count of the rate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}
