// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that look at a request before anybody asks who sent it: its address, its method, what it says of itself.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may call by address. `deny` wins; with `allow`, everybody else may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IpPolicy {
    /// Networks that may call, such as `10.0.0.0/8`; everybody if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// Networks that may not, whatever `allow` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub deny: Vec<IpNet>,
}

/// Methods that may pass; any other is 405.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodsPolicy {
    /// Such as `GET`. `HEAD` is not implied by it.
    pub allow: Vec<String>,
}

/// What a caller has to say of itself. It keeps honest robots out and says so; it proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BotsPolicy {
    /// Regular expressions, in any letter case, for a part of `User-Agent`; one that matches refuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Exceptions from `deny`, in the same form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Header fields without which a request is refused, such as `User-Agent`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require_headers: Vec<String>,
}
