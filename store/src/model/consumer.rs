// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Consumer: an API client, and the credentials written beside it.
//!
//! Keys that are issued at run time are not here: they are facts about the world and not configuration, so a
//! rollback never revives a revoked key. The engine keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Keys written in the file. Kept only as keyed hashes; the secret is never printed again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKey>,
    /// What tokens call it, for `jwt` and `oauth2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<ConsumerJwt>,
    /// How much its requests wait when an upstream has a queue: 0 goes first, 7 last; that of the route if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<u8>,
}

/// How tokens name a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerJwt {
    /// What the claim holds that the policy knows consumers by.
    pub subject: String,
    /// Only in tokens of this issuer, by their claim `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A key in a file: `secret` when it is first written, `hash` and `prefix` ever after.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKey {
    /// The key itself, at least 16 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Keyed BLAKE3 of the key, 64 hexadecimal digits; valid only with the state directory that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The first characters of the key, to recognise it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl std::fmt::Debug for ApiKey {
    /// Never prints a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}…)", self.prefix.as_deref().unwrap_or(""))
    }
}
