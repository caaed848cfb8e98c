// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an upstream on how the endpoints are spoken to: protocol, TLS, PROXY header, pool, timeouts.

use weirgate_store::model::Kind;

use super::super::field::{Choice, Doc, Entry, absent, bare};

const PROTOCOLS: &[Choice] = &[
    absent("http", "HTTP/1.1; what most applications speak"),
    bare("https", "HTTP/1.1 over TLS; when the network between is not yours"),
    bare("h2c", "HTTP/2 without TLS; for gRPC inside a trusted network"),
    bare("h2", "HTTP/2 over TLS; for gRPC and many requests at once"),
];

const VERIFY: &[Choice] = &[
    absent("full", "chain, name and dates"),
    bare("none", "not at all: anyone on the way can read and change everything. For tests"),
];

const PROXY: &[Choice] = &[
    absent("none", "endpoints learn the client from Forwarded headers"),
    bare("v1", "as a line of text; for older servers, and to read it by eye"),
    bare("v2", "as bytes; for TCP services that must know the client's address"),
];

pub(super) const PROTOCOL: &[Doc] = &[
    Doc::new("protocol", "protocol", Entry::Choice(PROTOCOLS), "What the endpoints speak.").default("http"),
    Doc::new(
        "tls.server_name",
        "server name",
        Entry::Text,
        "The name their certificate must be for, also sent as SNI. \
         Only with https and h2.",
    )
    .default("empty: the endpoint's IP address")
    .example("shop.internal"),
    Doc::new("tls.ca", "authority", Entry::Text, "A PEM file of authorities to trust instead of the system's.")
        .unit("absolute path on the machine of the daemon")
        .default("empty: the system's authorities")
        .example("/etc/weirgate/internal-ca.pem"),
    Doc::new(
        "tls.pins",
        "pinned keys",
        Entry::List,
        "SHA-256 of public keys (SPKI) to accept, in base64; one of them \
         must match, and the chain is verified as well.",
    )
    .default("empty: any key with a valid chain"),
    Doc::new(
        "tls.certificate",
        "certificate",
        Entry::Name(Kind::Certificate),
        "The certificate weirgate presents to the \
         endpoints (client certificate).",
    )
    .default("–: none"),
    Doc::new("tls.verify", "verify", Entry::Choice(VERIFY), "How their certificate is looked at.").default("full"),
    Doc::new(
        "proxy_protocol",
        "PROXY header",
        Entry::Choice(PROXY),
        "Tells each endpoint who the client is before \
         anything else on a connection. The endpoint must expect it.",
    )
    .default("none"),
];

pub(super) const POOL: &[Doc] = &[
    Doc::new(
        "pool.idle",
        "keep unused",
        Entry::Whole,
        "Most unused connections to one endpoint that each worker \
         keeps.",
    )
    .unit("connections")
    .default("64")
    .example("256"),
    Doc::new("pool.warm", "open ahead", Entry::Whole, "Connections that are opened before they are needed.")
        .unit("connections")
        .default("0")
        .example("4"),
];

pub(super) const TIMEOUTS: &[Doc] = &[
    Doc::new("timeouts.connect", "connect", Entry::Time, "For a connection to open, its TLS handshake included.")
        .default("2s")
        .example("500ms"),
    Doc::new("timeouts.response", "response", Entry::Time, "From the end of the request to the head of the reply.")
        .default("30s")
        .example("5s"),
    Doc::new(
        "timeouts.idle",
        "idle",
        Entry::Time,
        "Between two pieces of a reply body, and the age at which an unused \
         connection is closed.",
    )
    .default("60s")
    .example("20s"),
];
