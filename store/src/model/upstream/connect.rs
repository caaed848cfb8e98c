// SPDX-License-Identifier: MIT OR Apache-2.0
//! How weirgate speaks to the endpoints: protocol, TLS, connections, timeouts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Name, Span};

/// What the endpoints of an upstream speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
    /// HTTP/2 over TLS.
    H2,
}

/// TLS to the endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// The name the certificate must be for, also sent as SNI; the endpoint's IP address if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file of authorities to trust instead of the system's, or the PEM text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// SHA-256 of the public key (SPKI) of certificates to accept, in base64; any one is enough, and the chain is
    /// verified as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// Name of a certificate to present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Name>,
    /// Whether the endpoint's certificate is verified.
    #[serde(skip_serializing_if = "super::is_default")]
    pub verify: CertificateCheck,
}

/// How an endpoint's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateCheck {
    /// Chain, name and dates.
    #[default]
    Full,
    /// Not at all: anyone on the way can read and change everything. For tests.
    None,
}

/// A header before the first byte of a connection that names the client (the PROXY protocol of HAProxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// As a line of text.
    V1,
    /// As bytes.
    V2,
}

/// Connections that are kept open to each endpoint, by each worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Most unused connections to one endpoint.
    pub idle: u32,
    /// Connections that are opened before they are needed.
    pub warm: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: 64, warm: 0 }
    }
}

/// How long an upstream waits for an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTimeouts {
    /// For a connection to open, its TLS handshake included.
    pub connect: Span,
    /// From the end of the request to the head of the reply.
    pub response: Span,
    /// Between two pieces of a reply body, and the age at which an unused connection is closed.
    pub idle: Span,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self { connect: Span::seconds(2), response: Span::seconds(30), idle: Span::seconds(60) }
    }
}
