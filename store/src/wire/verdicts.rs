// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forgetting what a service decided, before its time is over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which verdicts of a `forward_auth` policy are to be forgotten: all without a setting, else those of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlushRequest {
    /// Those about this subject: what the field `cache.subject` of the answer said, or the consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The one of this key: a value for each part of `cache.key`, in that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<String>>,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlushReply {
    /// Verdicts that are forgotten.
    pub flushed: u64,
}
