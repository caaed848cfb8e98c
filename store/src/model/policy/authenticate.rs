// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a caller proves who it is without a third party, and which of several proofs are asked for.
//!
//! What proves something stands with its consumer ([`Consumer`](crate::model::Consumer)); a policy says where it is
//! looked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{default_realm, is_default_realm, yes};
use crate::model::Name;
use crate::model::listener::is_default;

/// Which of several policies a caller has to pass: one list of names of policies that authenticate.
///
/// Policies of this sort that stand in a route one after the other are all asked for, as with `all_of`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthenticatePolicy {
    /// The first of them that the request has credentials for decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Name>,
    /// Every one of them must know the caller, and as the same consumer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<Name>,
    /// The consumer that a caller without credentials is taken for; refused if absent. Only with `any_of`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Name>,
    /// When it is.
    #[serde(skip_serializing_if = "is_default")]
    pub anonymous_on: AnonymousOn,
}

/// When a caller is taken for the anonymous consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnonymousOn {
    /// Without any credentials; wrong ones are refused.
    #[default]
    Missing,
    /// With wrong ones, too.
    Failed,
}

/// A user and a password in `Authorization` (RFC 7617), of `basic` of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicPolicy {
    /// Named in the challenge of a 401; browsers show it.
    #[serde(default = "default_realm", skip_serializing_if = "is_default_realm")]
    pub realm: String,
    /// Take the field out of the request before it goes to the endpoint.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub hide: bool,
}

/// A client certificate that the listener asked for (`client_certificates`), of `certificates` of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtlsPolicy {
    /// Tell the endpoint `X-Client-Cert-Subject` and `X-Client-Cert-Fingerprint`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
    /// Named in the challenge of a 401.
    #[serde(default = "default_realm", skip_serializing_if = "is_default_realm")]
    pub realm: String,
}
