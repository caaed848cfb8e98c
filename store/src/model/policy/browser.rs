// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies about what browsers are told: cross-origin requests (CORS), and the fields that make a page safer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Span;

/// Which pages of other origins may call, answered by weirgate (Fetch standard, CORS protocol). What the endpoint says
/// of it is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsPolicy {
    /// `https://app.example.com`, `https://*.example.com` for any subdomain, or `*`.
    pub origins: Vec<String>,
    #[serde(default = "simple_methods", skip_serializing_if = "is_simple")]
    pub methods: Vec<String>,
    /// Request fields that a page may set beside those that always may; `*` for all it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Reply fields that a page may read beside those that it always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// Whether a page may call with cookies and passwords.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight; its own default (5 s) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Whether a page of a public network may call into this private one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_network: bool,
}

fn simple_methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).to_vec()
}

fn is_simple(methods: &[String]) -> bool {
    methods == simple_methods()
}

/// Reply fields that make a page safer, in place of the endpoint's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityHeadersPolicy {
    /// `Strict-Transport-Security`; only sent over TLS (RFC 6797 section 7.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
    /// `X-Content-Type-Options: nosniff`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nosniff: bool,
    /// `X-Frame-Options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// `Referrer-Policy`, such as `no-referrer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// `Content-Security-Policy`, to the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csp: Option<String>,
    /// `Permissions-Policy`, to the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<String>,
}

/// That a browser speaks only TLS to this host (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    #[serde(default = "a_year", skip_serializing_if = "is_a_year")]
    pub max_age: Span,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub subdomains: bool,
    /// Asks to be put on the list that browsers carry; needs `subdomains` and a year.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age: a_year(), subdomains: false, preload: false }
    }
}

fn a_year() -> Span {
    Span::seconds(365 * 24 * 3600)
}

fn is_a_year(age: &Span) -> bool {
    *age == a_year()
}

/// Who may show a page inside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Frame {
    Deny,
    SameOrigin,
}
