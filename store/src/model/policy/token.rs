// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that know a caller by a token of somebody else: a signed one that is verified here (`jwt`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Secret, Span};

/// A signed token (RFC 7519). Keys come from exactly one of `jwks_url`, `jwks`, `public_key` and `secret`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtPolicy {
    /// What the claim `iss` must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// One of these must be in the claim `aud`; whom a token is for does not matter if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// Where the issuer publishes its keys (RFC 7517).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// A key set: the JSON text, or a file of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// A public key in PEM form, or a file of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What is shared with the issuer, for HMAC; at least 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Authorities to trust for `jwks_url` instead of the system's: PEM text, or a file of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Let `jwks_url` be http:// to another machine than this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The only algorithms that are accepted; those that fit the key if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<JwtAlgorithm>,
    /// What clocks may differ by.
    #[serde(skip_serializing_if = "is_default_leeway")]
    pub leeway: Span,
    /// Claims that must be there.
    #[serde(skip_serializing_if = "is_default_require")]
    pub require: Vec<String>,
    /// Longest time from `iat` to `exp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lifetime: Option<Span>,
    /// Name of a request header; `Authorization` if no place is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Name of a query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Name of a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Take the token out of the request before it goes to the endpoint.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub hide: bool,
    /// Named in the challenge of a 401.
    #[serde(skip_serializing_if = "super::is_default_realm")]
    pub realm: String,
    /// The claim by which a consumer is known: by its `jwt.subject`, else by its name. A token of nobody is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_claim: Option<String>,
    /// Name of a request header to the claim that the endpoint is told in it: a name, or a JSON Pointer into one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Where scopes are; `scope`, else `scp`, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_claim: Option<String>,
    /// Verified tokens that are remembered; 0 is none.
    #[serde(skip_serializing_if = "is_default_cache")]
    pub cache: u32,
}

const LEEWAY: Span = Span::seconds(60);

const CACHE: u32 = 4_096;

fn is_default_leeway(leeway: &Span) -> bool {
    *leeway == LEEWAY
}

fn is_default_require(require: &[String]) -> bool {
    require == ["exp"]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_default_cache(cache: &u32) -> bool {
    *cache == CACHE
}

impl Default for JwtPolicy {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: Vec::new(),
            jwks_url: None,
            jwks: None,
            public_key: None,
            secret: None,
            ca: None,
            insecure: false,
            algorithms: Vec::new(),
            leeway: LEEWAY,
            require: vec!["exp".to_owned()],
            max_lifetime: None,
            header: None,
            query: None,
            cookie: None,
            hide: true,
            realm: super::default_realm(),
            consumer_claim: None,
            headers: BTreeMap::new(),
            scopes_claim: None,
            cache: CACHE,
        }
    }
}

/// How a token is signed (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "HS384")]
    Hs384,
    #[serde(rename = "HS512")]
    Hs512,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As a token writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        // RFC 9864 gives EdDSA with this curve a name of its own.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether both sides share one secret.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A token that its issuer is asked about (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Policy {
    /// Where the issuer is asked.
    pub introspection_url: String,
    /// What weirgate is called there.
    pub client_id: String,
    /// What it proves that by.
    pub client_secret: Secret,
    /// Authorities to trust instead of the system's: PEM text, or a file of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Let `introspection_url` be http:// to another machine than this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// How long it holds that a token is active; never longer than the token lives.
    #[serde(default = "default_active", skip_serializing_if = "is_default_active")]
    pub cache: Span,
    /// How long it holds that a token is not active.
    #[serde(default = "default_inactive", skip_serializing_if = "is_default_inactive")]
    pub negative_cache: Span,
    /// What `iss` must be, if the issuer says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// One of these must be in `aud`; whom a token is for does not matter if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// Name of a request header; `Authorization` if no place is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Name of a query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Name of a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Take the token out of the request before it goes to the endpoint.
    #[serde(default = "super::yes", skip_serializing_if = "Clone::clone")]
    pub hide: bool,
    /// Named in the challenge of a 401.
    #[serde(default = "super::default_realm", skip_serializing_if = "super::is_default_realm")]
    pub realm: String,
    /// The claim by which a consumer is known: by its `jwt.subject`, else by its name. A token of nobody is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_claim: Option<String>,
    /// Name of a request header to the claim that the endpoint is told in it: a name, or a JSON Pointer into one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Where scopes are; `scope`, else `scp`, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_claim: Option<String>,
}

fn default_active() -> Span {
    Span::seconds(60)
}

fn is_default_active(span: &Span) -> bool {
    *span == default_active()
}

fn default_inactive() -> Span {
    Span::seconds(10)
}

fn is_default_inactive(span: &Span) -> bool {
    *span == default_inactive()
}
