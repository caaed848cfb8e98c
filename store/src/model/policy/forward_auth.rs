// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service of the operator's that decides about requests, what it is told, and how long what it said is remembered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Name, Span};

/// Asks an upstream about each request with a GET: 2xx lets it through, 5xx counts as no answer, anything else goes to
/// the client as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthPolicy {
    pub upstream: Name,
    /// Path and query that are asked for.
    #[serde(default = "default_path", skip_serializing_if = "is_default_path")]
    pub path: String,
    /// Fields of the request that the service gets; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<String>,
    /// Fields of its answer that the endpoint gets. Those that the client sent under these names are removed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply_headers: Vec<String>,
    /// For the whole answer.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout: Span,
    /// What happens where the service does not answer.
    #[serde(default, skip_serializing_if = "is_default_failure")]
    pub failure: AuthFailure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<VerdictCache>,
}

/// What a request gets about which nobody decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthFailure {
    /// 403.
    #[default]
    Deny,
    /// 503, so that clients try again.
    Unavailable,
    /// It goes through, without `reply_headers`.
    Allow,
}

/// Remembers what the service said, and asks it once for requests with the same key that come together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictCache {
    /// What two requests have in common that get the same answer.
    pub key: Vec<VerdictKey>,
    /// How long a yes counts.
    #[serde(default = "default_ttl", skip_serializing_if = "is_default_ttl")]
    pub ttl: Span,
    /// How long a no counts; `0s` asks again at once.
    #[serde(default = "default_negative_ttl", skip_serializing_if = "is_default_negative_ttl")]
    pub negative_ttl: Span,
    /// Let `Cache-Control` of the answer say how long it counts, and whether.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache_control: bool,
    /// Field of the answer that names the subject, so that its verdicts can be flushed; the consumer if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Most verdicts that are remembered.
    #[serde(default = "default_entries", skip_serializing_if = "is_default_entries")]
    pub entries: u32,
}

/// A part of the key of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKey {
    /// The consumer that an authenticating policy found.
    Consumer,
    Host,
    Method,
    Path,
    /// The whole query.
    Query,
    SourceIp,
    /// The values of a header field: `{ header = "Authorization" }`.
    Header(String),
    /// The value of a cookie: `{ cookie = "session" }`.
    Cookie(String),
}

fn default_path() -> String {
    "/".to_owned()
}

fn is_default_path(path: &str) -> bool {
    path == "/"
}

fn default_timeout() -> Span {
    Span::millis(200)
}

fn is_default_timeout(span: &Span) -> bool {
    *span == default_timeout()
}

fn is_default_failure(failure: &AuthFailure) -> bool {
    *failure == AuthFailure::default()
}

fn default_ttl() -> Span {
    Span::seconds(30)
}

fn is_default_ttl(span: &Span) -> bool {
    *span == default_ttl()
}

fn default_negative_ttl() -> Span {
    Span::seconds(5)
}

fn is_default_negative_ttl(span: &Span) -> bool {
    *span == default_negative_ttl()
}

fn default_entries() -> u32 {
    10_000
}

fn is_default_entries(entries: &u32) -> bool {
    *entries == default_entries()
}
