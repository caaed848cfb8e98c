// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Policy: what a route makes a request pass. A closed set; a file names kinds, never their order.

mod access;

mod authenticate;

mod authorize;

mod forward_auth;

mod limit;
mod token;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::only;
use super::{Name, Rate};

mod browser;

mod deprecation;

mod reply;

mod rewrite;

mod trace;

pub use access::{BotsPolicy, IpPolicy, MethodsPolicy};
pub use authenticate::{AnonymousOn, AuthenticatePolicy, BasicPolicy, HttpSignaturePolicy, MtlsPolicy};
pub use authorize::{AccessRule, AuthorizePolicy, SetTest};
pub use browser::{CorsPolicy, Frame, Hsts, SecurityHeadersPolicy};
pub use deprecation::DeprecationPolicy;
pub use forward_auth::{AuthFailure, ForwardAuthPolicy, VerdictCache, VerdictKey};
pub use limit::{ConcurrencyPolicy, Period, Quota, QuotaPolicy};
pub use reply::{MaintenancePolicy, RedirectPolicy, ReplyPolicy};
pub use rewrite::{QueryEdits, RewritePolicy};
pub use token::{JwtAlgorithm, JwtPolicy, OAuth2Policy};
pub use trace::{RequestIdPolicy, TraceFrom, TracePolicy};

/// One policy, under the key that says its kind: `{ rate_limit = { … } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Policy {
    /// The caller proves by a key which consumer it is.
    ApiKey(ApiKeyPolicy),
    /// The caller proves by a token, signed by somebody else, who it is.
    Jwt(Box<JwtPolicy>),
    /// The caller proves by a token, which its issuer is asked about, who it is.
    #[serde(rename = "oauth2")]
    OAuth2(Box<OAuth2Policy>),
    /// Who is known has to be one of those who may.
    Authorize(Box<AuthorizePolicy>),
    /// Callers that name themselves as what is not wanted, or say too little of themselves, are refused.
    Bots(BotsPolicy),
    /// A service of the operator's decides about each request.
    ForwardAuth(Box<ForwardAuthPolicy>),
    /// Addresses that may call, and addresses that may not.
    Ip(IpPolicy),
    /// Methods that may pass.
    Methods(MethodsPolicy),
    /// One of several proofs, or all of them.
    Authenticate(AuthenticatePolicy),
    /// The caller proves it by a password.
    Basic(BasicPolicy),
    /// The caller proves it by a signature over the request.
    HttpSignature(HttpSignaturePolicy),
    /// The caller proves it by a client certificate.
    Mtls(MtlsPolicy),
    /// Which pages of other origins may call.
    Cors(CorsPolicy),
    /// Says how long it will be there, and what comes after.
    Deprecation(DeprecationPolicy),
    /// Everybody gets 503, except from some networks.
    Maintenance(MaintenancePolicy),
    /// No more than so many requests in a time.
    RateLimit(RateLimitPolicy),
    /// Sends the client elsewhere.
    Redirect(RedirectPolicy),
    /// Always the same reply.
    Reply(ReplyPolicy),
    /// No more than so many requests in a period of the calendar.
    Quota(QuotaPolicy),
    /// No more than so many requests at once.
    Concurrency(ConcurrencyPolicy),
    /// Edits of the fields that go to the endpoint.
    RequestHeaders(FieldEdits),
    /// Edits of the fields that go to the client.
    ReplyHeaders(FieldEdits),
    /// The id of each request in a field of choice.
    RequestId(RequestIdPolicy),
    /// Another path, host or query at the endpoint.
    Rewrite(RewritePolicy),
    /// Reply fields that make a page safer.
    SecurityHeaders(SecurityHeadersPolicy),
    /// W3C trace context.
    Trace(TracePolicy),
}

impl Policy {
    /// Whether it answers by itself, so that a route with it needs no upstream.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Redirect(_) | Self::Reply(_))
    }

    /// The key of its kind in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::OAuth2(_) => "oauth2",
            Self::Authorize(_) => "authorize",
            Self::Bots(_) => "bots",
            Self::ForwardAuth(_) => "forward_auth",
            Self::Ip(_) => "ip",
            Self::Methods(_) => "methods",
            Self::Authenticate(_) => "authenticate",
            Self::Basic(_) => "basic",
            Self::HttpSignature(_) => "http_signature",
            Self::Mtls(_) => "mtls",
            Self::Cors(_) => "cors",
            Self::Deprecation(_) => "deprecation",
            Self::Maintenance(_) => "maintenance",
            Self::RateLimit(_) => "rate_limit",
            Self::Redirect(_) => "redirect",
            Self::Reply(_) => "reply",
            Self::Quota(_) => "quota",
            Self::Concurrency(_) => "concurrency",
            Self::RequestHeaders(_) => "request_headers",
            Self::ReplyHeaders(_) => "reply_headers",
            Self::RequestId(_) => "request_id",
            Self::Rewrite(_) => "rewrite",
            Self::SecurityHeaders(_) => "security_headers",
            Self::Trace(_) => "trace",
        }
    }

    /// Whether it finds out who calls.
    pub fn authenticates(&self) -> bool {
        matches!(
            self,
            Self::ApiKey(_)
                | Self::Authenticate(_)
                | Self::Basic(_)
                | Self::HttpSignature(_)
                | Self::Jwt(_)
                | Self::Mtls(_)
                | Self::OAuth2(_)
        )
    }
}

/// A policy of a route: by name, or written in place.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyRef {
    Named(Name),
    Inline(Policy),
}

impl<'de> Deserialize<'de> for PolicyRef {
    /// By hand, so that a mistake inside a policy is reported as that mistake.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = PolicyRef;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a policy, or a policy such as { rate_limit = { … } }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PolicyRef, E> {
                text.parse().map(PolicyRef::Named).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<PolicyRef, A::Error> {
                only(map).map(PolicyRef::Inline)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Where an API key is looked for; at least one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPolicy {
    /// Name of a request header, such as `X-Api-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Name of a query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Name of a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Take the key out of the request before it goes to the endpoint.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub hide: bool,
    /// Named in the challenge of a 401.
    #[serde(default = "default_realm", skip_serializing_if = "is_default_realm")]
    pub realm: String,
}

fn yes() -> bool {
    true
}

fn default_realm() -> String {
    "weirgate".to_owned()
}

fn is_default_realm(realm: &str) -> bool {
    realm == "weirgate"
}

/// No more than `rate` on average, and `burst` at once, for each key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitPolicy {
    pub per: LimitKey,
    /// Such as `100/s`, `600/m`, `10000/h`.
    pub rate: Rate,
    /// Requests that may come at once after a pause; the count of the rate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// What a limit is counted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitKey {
    /// The consumer that an authenticating policy found; the client address if there is none.
    Consumer,
    /// The client address (an IPv6 client by its /64).
    Ip,
    /// All requests of the route together.
    Route,
    /// The value of a request header: `{ header = "X-Tenant" }`.
    Header(String),
}

/// Fields that no edit may touch, as weirgate itself writes them: they frame or direct a message, or belong to one
/// connection (RFC 9110 section 7.6.1, RFC 9112 section 6, RFC 9113 section 8.2.2).
pub const RESERVED_FIELDS: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Edits of header fields, in this order: remove, set, add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FieldEdits {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
}
