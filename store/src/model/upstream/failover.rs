// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens when an endpoint fails a request: again elsewhere, out of the way for a while, or refused at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{ByteSize, Percent, Span};
use super::is_default;

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
    /// For one try to bring the head of a reply, if another may follow; `timeouts.response` alone if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try: Option<Span>,
    /// Bytes of a request body that are kept so that it can be sent again; a longer one is sent once. 0 keeps none.
    #[serde(skip_serializing_if = "is_default")]
    pub buffer: ByteSize,
}

impl Default for Retry {
    fn default() -> Self {
        let on = vec![RetryCondition::Connect, RetryCondition::Reset];
        Self { attempts: 2, on, budget: Percent(20), per_try: None, buffer: ByteSize(0) }
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
    #[serde(rename = "429")]
    Status429,
    #[serde(rename = "500")]
    Status500,
    #[serde(rename = "502")]
    Status502,
    #[serde(rename = "503")]
    Status503,
    #[serde(rename = "504")]
    Status504,
}

/// A second copy of an idempotent request without a body, to another endpoint, when the first is slow; the first answer
/// counts and the other is dropped. It costs retry budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// Slow is slower than this share of the last replies of the upstream, 50% to 99%.
    pub percentile: Percent,
    /// Never sooner than this.
    pub after: Span,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { percentile: Percent(95), after: Span::millis(10) }
    }
}

/// Takes endpoints out that fail real requests (passive health), for a time that grows with each ejection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// Failures in a row (no connection, no reply, 5xx) until an endpoint is ejected; 0 does not count them.
    pub consecutive_failures: u32,
    /// Share of failed requests in an `interval` that ejects, once there were `requests`; 0% does not look.
    pub failure_rate: Percent,
    /// Fewest requests of one endpoint in an `interval` for the rate to say anything.
    pub requests: u32,
    /// How often rates are looked at.
    pub interval: Span,
    /// How long the first ejection lasts; the next ones last so much longer each.
    pub eject: Span,
    /// The longest ejection.
    pub eject_max: Span,
    /// Most endpoints ejected at a time, as a share; one is always left.
    pub ejected_max: Percent,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_rate: Percent(85),
            requests: 50,
            interval: Span::seconds(10),
            eject: Span::seconds(30),
            eject_max: Span::seconds(300),
            ejected_max: Percent(50),
        }
    }
}

/// Refuses requests to an upstream at once while its endpoints fail, and lets one through from time to time to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failed requests in a row, over all endpoints, that open it; 0 does not count them.
    pub consecutive_failures: u32,
    /// Share of failed requests of the last ten seconds that opens it, once there were `requests`; 0% does not look.
    pub failure_rate: Percent,
    /// Fewest requests of the last ten seconds for the rate to say anything.
    pub requests: u32,
    /// How long it stays open before one request is let through; doubled after each that fails.
    pub open: Span,
    /// The longest it stays open.
    pub open_max: Span,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            consecutive_failures: 20,
            failure_rate: Percent(0),
            requests: 20,
            open: Span::seconds(1),
            open_max: Span::seconds(60),
        }
    }
}
