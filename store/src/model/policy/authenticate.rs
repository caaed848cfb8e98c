// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a caller proves who it is without a third party, and which of several proofs are asked for.
//!
//! What proves something stands with its consumer ([`Consumer`](crate::model::Consumer)); a policy says where it is
//! looked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{default_realm, is_default_realm, yes};
use crate::model::listener::is_default;
use crate::model::{Name, Span};

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

/// A request that is signed (RFC 9421) by one of `signing_keys` of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSignaturePolicy {
    /// Components that a signature must cover, such as `@method`, `@target-uri` or `content-type`.
    #[serde(skip_serializing_if = "is_default_components")]
    pub components: Vec<String>,
    /// For how long after it was made a signature holds.
    #[serde(skip_serializing_if = "is_default_age")]
    pub max_age: Span,
    /// What a signature must say that it is for; anything if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Every signature must have a nonce. One that has a nonce counts once in any case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nonce: bool,
    /// Named in the challenge of a 401.
    #[serde(skip_serializing_if = "is_default_realm")]
    pub realm: String,
}

impl Default for HttpSignaturePolicy {
    fn default() -> Self {
        let (components, max_age) = (default_components(), default_age());
        Self { components, max_age, tag: None, nonce: false, realm: default_realm() }
    }
}

fn default_components() -> Vec<String> {
    ["@method", "@authority", "@path", "@query"].map(str::to_owned).to_vec()
}

fn is_default_components(components: &[String]) -> bool {
    components == default_components()
}

fn default_age() -> Span {
    Span::seconds(300)
}

fn is_default_age(age: &Span) -> bool {
    *age == default_age()
}
