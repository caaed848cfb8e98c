// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody who is known has to be, to have or to ask for, to be let through.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::route::PathPattern;

/// Demands that all have to be met, and rules of which the first that fits a request decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizePolicy {
    /// Names of consumers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<SetTest>,
    /// Groups of the consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<SetTest>,
    /// Scopes of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<SetTest>,
    /// Claims of the token, each with the values of which it has to have one: `{ "realm_access.roles" = ["admin"] }`. A
    /// name that begins with `/` is a JSON pointer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Vec<String>>,
    /// The first whose methods and paths fit the request decides; where none does, nobody may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AccessRule>,
}

/// What has to be, need not be, or must not be in a set of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetTest {
    /// One of these has to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// All of these have to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
    /// None of these may be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub none: Vec<String>,
}

/// What is demanded of some requests. Without a demand it lets them through, whoever sends them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessRule {
    /// Methods that it is for; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths that it is for, in the form of a route's `match.path`; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathPattern>,
    /// Nobody may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deny: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<SetTest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<SetTest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<SetTest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Vec<String>>,
}
