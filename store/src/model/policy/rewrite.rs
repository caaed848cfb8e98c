// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy that changes where a request goes at its endpoint: path, host and query. Routes and limits see it as it
//! came.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::listener::is_default;

/// What the endpoint is asked for instead. Either `path`, or prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewritePolicy {
    /// The whole path: `/orders/{id}`. Names in braces are of the request or of the path of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whole segments that are taken from the beginning of the path, if it begins with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
    /// Put before the path, after `strip_prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_prefix: Option<String>,
    /// Host, with a port or without, that the endpoint is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub query: QueryEdits,
}

/// Edits of the query, in this order: remove, set, add. Values may have names in braces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryEdits {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
}
