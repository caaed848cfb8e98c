// SPDX-License-Identifier: MIT OR Apache-2.0
//! What would happen to a request, without sending it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /v1/explain`: a request in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub method: String,
    /// Absolute, such as `http://api.example.com/orders?x=1`.
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Address of the client; 127.0.0.1 if absent.
    #[serde(default)]
    pub client: Option<String>,
}

/// Every stage in travel order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainReply {
    pub revision: u64,
    pub steps: Vec<ExplainStep>,
    /// The outcome in a sentence.
    pub verdict: String,
    /// The status weirgate itself would answer with; absent when it goes to an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// One stage: what it decided, why, and what came second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainStep {
    pub stage: String,
    pub decision: String,
    pub details: Vec<String>,
}
