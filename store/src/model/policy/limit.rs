// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits beyond a rate: so many requests in a calendar period, so many at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LimitKey;

/// No more than `requests` in each period of the calendar, for each key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaPolicy {
    /// Requests in a period, at most 30,000,000,000.
    pub requests: u64,
    /// How long a period is: `minute`, `hour`, `day` or `month`, each from its beginning by the calendar.
    pub per: Period,
    /// What is counted apart from what else.
    #[serde(default = "consumer", skip_serializing_if = "is_consumer")]
    pub key: LimitKey,
    /// Where the calendar hangs, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

fn consumer() -> LimitKey {
    LimitKey::Consumer
}

fn is_consumer(key: &LimitKey) -> bool {
    *key == LimitKey::Consumer
}

/// No more than `requests` in each period of the calendar, of one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests in a period, at most 30,000,000,000.
    pub requests: u64,
    /// How long a period is: `minute`, `hour`, `day` or `month`, each from its beginning by the calendar.
    pub per: Period,
    /// Where the calendar hangs, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Minute,
    Hour,
    Day,
    Month,
}

impl Period {
    pub const ALL: [Self; 4] = [Self::Minute, Self::Hour, Self::Day, Self::Month];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// No more than `max` requests under way at once, for each key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyPolicy {
    pub per: LimitKey,
    /// Requests under way: from their head to the last byte of their reply. None waits; one too many is refused.
    pub max: u32,
}
