// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Listener: an address and a protocol on which connections arrive, and the bounds on what one of them may cost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Name, Span};

/// An address, a protocol, and what happens to the bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port, such as `0.0.0.0:8080` or `[::]:443`.
    pub address: SocketAddr,
    pub protocol: ListenerProtocol,
    /// Names of certificates, chosen by SNI; the first is the default. Only with `protocol = "https"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Name>,
    /// Asks clients for a certificate. Only with `protocol = "https"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
    /// Networks whose `Forwarded` and `X-Forwarded-*` fields are believed; all others have them replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: ListenerLimits,
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: ListenerTimeouts,
    /// Every connection begins with a PROXY header (v1 or v2) that names the client; only from `trusted_proxies`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// Not supported yet: HTTP/3 on the same port.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http3: bool,
    /// Where a `tcp` or `udp` listener leads, and a `tls` one if neither `alpn` nor `sni` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Name>,
    /// Server name to upstream, for a `tls` listener: an exact name, `*.example.com`, or `*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sni: BTreeMap<String, Name>,
    /// Application protocol (ALPN) to upstream, for a `tls` listener; it goes before `sni`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alpn: BTreeMap<String, Name>,
}

impl Listener {
    /// A listener for plain HTTP with everything else as by default.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            protocol: ListenerProtocol::Http,
            certificates: Vec::new(),
            client_certificates: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            limits: ListenerLimits::default(),
            timeouts: ListenerTimeouts::default(),
            http3: false,
            upstream: None,
            sni: BTreeMap::new(),
            alpn: BTreeMap::new(),
        }
    }
}

/// Whose certificates a client may show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// The authorities: a file in PEM form, or the PEM text itself.
    pub ca: String,
    /// Refuse a connection without one; otherwise it goes on without.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub required: bool,
    /// Revoked certificates: lists (CRL) in PEM form, as a file or as text. An authority without a list revokes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
}

fn yes() -> bool {
    true
}

/// How bytes on a listener are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerProtocol {
    /// HTTP/1.1, and HTTP/2 by prior knowledge.
    Http,
    /// TLS, then HTTP/2 or HTTP/1.1 by ALPN.
    Https,
    /// Bytes, passed on as they are.
    Tcp,
    /// TLS that is passed on unopened, to an upstream chosen by the server name the client asks for.
    Tls,
    /// Datagrams; those of one client address are a session.
    Udp,
}

/// What one listener lets in at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerLimits {
    /// Open connections (or UDP sessions), over all workers.
    pub connections: u32,
    /// Bytes of one request head.
    pub head: ByteSize,
    /// Fields of one request head.
    pub fields: u32,
    /// Bytes of one request body; a route may lower it.
    pub body: ByteSize,
    /// Concurrent streams of one HTTP/2 connection.
    pub streams: u32,
    /// Requests on one connection before it is closed; 0 is no limit.
    pub requests: u32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            head: ByteSize(32 << 10),
            fields: 100,
            body: ByteSize(1 << 30),
            streams: 128,
            requests: 0,
        }
    }
}

/// How long one listener waits for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerTimeouts {
    /// For the TLS handshake.
    pub handshake: Span,
    /// From the first byte of a request head to its last.
    pub head: Span,
    /// Between two pieces of a request body.
    pub body: Span,
    /// For a client to take any piece of a reply.
    pub write: Span,
    /// For the next request on a kept connection.
    pub idle: Span,
    /// Without a byte in either direction of a TCP, TLS or WebSocket tunnel.
    pub tunnel: Span,
    /// Without a datagram in either direction of a UDP session.
    pub session: Span,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        let seconds = Span::seconds;
        Self {
            handshake: seconds(10),
            head: seconds(10),
            body: seconds(30),
            write: seconds(30),
            idle: seconds(75),
            tunnel: seconds(3_600),
            session: seconds(30),
        }
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
