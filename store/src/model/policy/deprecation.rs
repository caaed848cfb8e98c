// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy that says how long an interface will be there, and what comes after it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Date;

/// Tells callers that what they call is on its way out: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeprecationPolicy {
    /// Since when it is deprecated, or from when on it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
    /// When it stops to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sunset: Option<Date>,
    /// URL of what to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// URL of a page about the deprecation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Answers 410 once the sunset has come; otherwise only the fields say so.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub gone: bool,
}

impl Default for DeprecationPolicy {
    fn default() -> Self {
        Self { since: None, sunset: None, successor: None, docs: None, gone: true }
    }
}
