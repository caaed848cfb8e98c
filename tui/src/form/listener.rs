// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a listener, for every protocol it can speak. What does not belong to the protocol is refused by the
//! daemon's check, which names the field.

use weirgate_store::model::Kind;

use super::Form;
use super::field::{Choice, Doc, Entry, bare};
use super::section::{Content, RowShape, RowsDoc, Section, SectionDoc};
use crate::live::Live;

const SECTIONS: &[SectionDoc] = &[
    SectionDoc {
        title: "listener",
        about: "The address clients connect to, what is spoken there, and where it leads.",
        unset: "no address yet",
        content: Content::Fields(LISTENER),
    },
    SectionDoc {
        title: "by name",
        about: "For tls: which upstream gets a connection, by the server name the client asks for (SNI). An exact name \
                goes before *.example.com, and that before *.",
        unset: "none: the upstream of the first page",
        content: Content::Rows(RowsDoc { path: "sni", one: "name", shape: RowShape::Map, columns: BY_NAME }),
    },
    SectionDoc {
        title: "by protocol",
        about: "For tls: which upstream gets a connection, by the application protocol the client offers (ALPN). It goes \
                before the name.",
        unset: "none: the name decides",
        content: Content::Rows(RowsDoc { path: "alpn", one: "protocol", shape: RowShape::Map, columns: BY_PROTOCOL }),
    },
    SectionDoc {
        title: "clients",
        about: "How weirgate knows who the client is when another proxy stands in front of it.",
        unset: "whoever connects is the client",
        content: Content::Fields(CLIENTS),
    },
    SectionDoc {
        title: "limits",
        about: "What one listener lets in at most.",
        unset: "50,000 connections, heads of 32KiB, bodies of 1GiB",
        content: Content::Fields(LIMITS),
    },
    SectionDoc {
        title: "timeouts",
        about: "How long it waits for a client.",
        unset: "head 10s · body 30s · idle 75s",
        content: Content::Fields(TIMEOUTS),
    },
];

const PROTOCOLS: &[Choice] = &[
    bare("http", "HTTP/1.1, and HTTP/2 by prior knowledge; for clients without TLS"),
    bare("https", "TLS, then HTTP/2 or HTTP/1.1; needs a certificate"),
    bare("tcp", "bytes, passed on as they are; needs an upstream"),
    bare("tls", "TLS passed on unopened, by server name; needs no certificate"),
    bare("udp", "datagrams; those of one client are a session; needs an upstream"),
];

const LISTENER: &[Doc] = &[
    Doc::new(
        "address",
        "address",
        Entry::Text,
        "IP address and port of this machine on which clients connect. 0.0.0.0 is \
         every IPv4 address, [::] every address.",
    )
    .unit("IP:port; IPv6 in brackets")
    .default("none, it must be given")
    .example("0.0.0.0:443")
    .required(),
    Doc::new("protocol", "protocol", Entry::Choice(PROTOCOLS), "What is spoken there.")
        .default("none, it must be given"),
    Doc::new(
        "certificates",
        "certificates",
        Entry::Names(Kind::Certificate),
        "For https: certificates, chosen by the \
         name the client asks for; the first is the default.",
    )
    .default("empty: none")
    .example("site, api"),
    Doc::new(
        "upstream",
        "upstream",
        Entry::Name(Kind::Upstream),
        "Where tcp and udp lead, and tls if no name decides. \
         http and https have routes instead.",
    )
    .default("–: none"),
];

const BY_NAME: &[Doc] = &[
    Doc::new(
        "name",
        "server name",
        Entry::Text,
        "The name the client asks for: exact, *.example.com, or * for every \
         other.",
    )
    .example("mail.example.com")
    .required(),
    Doc::new("upstream", "upstream", Entry::Name(Kind::Upstream), "The upstream that gets the connection.").required(),
];

const BY_PROTOCOL: &[Doc] = &[
    Doc::new("name", "protocol", Entry::Text, "The application protocol the client offers.").example("h2").required(),
    Doc::new("upstream", "upstream", Entry::Name(Kind::Upstream), "The upstream that gets the connection.").required(),
];

const CLIENTS: &[Doc] = &[
    Doc::new(
        "client_certificates.ca",
        "client CA",
        Entry::Text,
        "For https: the authorities whose client certificates are asked for.",
    )
    .unit("PEM text; the command line takes a file")
    .default("empty: no certificate is asked for")
    .example("-----BEGIN CERTIFICATE-----…"),
    Doc::new(
        "client_certificates.required",
        "required",
        Entry::Flag,
        "Refuse a connection without a certificate; otherwise mtls policies decide.",
    )
    .default("yes"),
    Doc::new("client_certificates.crl", "revoked", Entry::Text, "Lists of revoked client certificates.")
        .unit("PEM text; the command line takes a file")
        .default("empty: none is revoked")
        .example("-----BEGIN X509 CRL-----…"),
    Doc::new(
        "trusted_proxies",
        "trusted",
        Entry::List,
        "Networks of proxies in front. Their Forwarded and X-Forwarded \
         headers are believed; from everyone else they are replaced.",
    )
    .unit("networks divided by commas")
    .default("empty: nobody is believed")
    .example("10.0.0.0/8, 192.0.2.7/32"),
    Doc::new(
        "proxy_protocol",
        "PROXY header",
        Entry::Flag,
        "Every connection begins with a PROXY header (v1 or v2) that \
         names the client; only trusted networks may connect then.",
    )
    .default("no"),
];

const LIMITS: &[Doc] = &[
    Doc::new(
        "limits.connections",
        "connections",
        Entry::Whole,
        "Open connections (or UDP sessions), over all workers.",
    )
    .unit("connections")
    .default("50000")
    .example("10000"),
    Doc::new("limits.head", "request head", Entry::Size, "Bytes of one request head.")
        .default("32KiB")
        .example("16KiB"),
    Doc::new("limits.fields", "head fields", Entry::Whole, "Fields of one request head.").default("100").example("200"),
    Doc::new("limits.body", "request body", Entry::Size, "Bytes of one request body; a route may lower it.")
        .default("1GiB")
        .example("64MiB"),
    Doc::new("limits.streams", "streams", Entry::Whole, "Requests at a time on one HTTP/2 connection.")
        .default("128")
        .example("64"),
    Doc::new(
        "limits.requests",
        "requests",
        Entry::Whole,
        "Requests on one connection before it is closed; 0 is no \
         limit.",
    )
    .default("0")
    .example("10000"),
];

const TIMEOUTS: &[Doc] = &[
    Doc::new("timeouts.handshake", "handshake", Entry::Time, "For the TLS handshake.").default("10s").example("5s"),
    Doc::new("timeouts.head", "head", Entry::Time, "From the first byte of a request head to its last.")
        .default("10s")
        .example("5s"),
    Doc::new("timeouts.body", "body", Entry::Time, "Between two pieces of a request body.")
        .default("30s")
        .example("10s"),
    Doc::new("timeouts.write", "write", Entry::Time, "For a client to take any piece of a reply.")
        .default("30s")
        .example("10s"),
    Doc::new("timeouts.idle", "idle", Entry::Time, "For the next request on a kept connection.")
        .default("75s")
        .example("30s"),
    Doc::new(
        "timeouts.tunnel",
        "tunnel",
        Entry::Time,
        "Without a byte in either direction of a TCP, TLS or WebSocket \
         connection.",
    )
    .default("1h")
    .example("10m"),
    Doc::new("timeouts.session", "UDP session", Entry::Time, "Without a datagram in either direction.")
        .default("30s")
        .example("2m"),
];

/// What is set in each section of an object beyond what it is and where it leads, for a screen that only shows it.
pub(crate) fn listener_settings(object: &serde_json::Value, live: &Live) -> Vec<(&'static str, String)> {
    let sections = SECTIONS.iter().skip(1).filter(|doc| matches!(doc.content, Content::Fields(_)));
    let sections = sections.map(|doc| (doc, Section::read(doc, object, live).summary()));
    sections.filter(|(doc, summary)| summary != doc.unset).map(|(doc, summary)| (doc.title, summary)).collect()
}

/// A new listener speaks http unless another protocol is chosen: the model has no default for it.
pub fn new_listener(live: &Live) -> Form {
    let mut form = Form::new_object(Kind::Listener, SECTIONS, live);
    form.object = serde_json::json!({ "protocol": "http" });
    form
}

/// `None` if there is no such listener.
pub fn edit_listener(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Listener, name, SECTIONS, live)
}
