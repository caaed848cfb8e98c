// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for listeners and certificates. Whether an address can be bound and a key fits its certificate only the
//! machine can tell; that is for the daemon.

use std::net::SocketAddr;

use super::{Findings, spelling};
use crate::model::{Certificate, HashKey, Kind, Listener, ListenerProtocol, Model, Name, Span, UpstreamProtocol};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Bounds on the bounds: beyond them a limit protects nothing, or lets nothing through.
const CONNECTIONS_MAX: u64 = 10_000_000;
const HEAD_BYTES: (u64, u64) = (1 << 10, 1 << 20);
const STREAMS_MAX: u64 = 10_000;

/// Most fields of a head. The parser of the daemon has so many slots; a larger number would be a promise it does not keep.
const FIELDS_MAX: u64 = 256;

/// Most server names of one listener, and most application protocols.
const SERVER_NAMES_MAX: usize = 10_000;
const ALPN_MAX: usize = 64;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, listener) in &model.listeners {
        protocol(findings, name, listener);
        clients(findings, name, listener);
        limits(findings, name, listener);
        timeouts(findings, name, listener);
        for (index, certificate) in listener.certificates.iter().enumerate() {
            findings.refers(|| at(name, &format!("certificates[{index}]")), Kind::Certificate, certificate);
        }
    }
    addresses(findings);
    for (name, certificate) in &model.certificates {
        files(findings, name, certificate);
    }
}

fn at(name: &Name, field: &str) -> String {
    format!("listeners.{}.{field}", quoted(name.as_str()))
}

fn protocol(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    let missing = ProblemCode::MissingField;
    match listener.protocol {
        ListenerProtocol::Https if listener.certificates.is_empty() => findings.problem(
            missing,
            at(name, "certificates"),
            "an https listener needs a certificate",
            "write certificates = [\"NAME\"] and [certificates.NAME] with chain and key",
        ),
        ListenerProtocol::Tcp | ListenerProtocol::Udp if listener.upstream.is_none() => findings.problem(
            missing,
            at(name, "upstream"),
            "this listener leads nowhere",
            "write upstream = \"NAME\": a tcp or udp listener has no routes",
        ),
        ListenerProtocol::Tls if listener.upstream.is_none() && listener.sni.is_empty() && listener.alpn.is_empty() => {
            findings.problem(
                missing,
                at(name, "sni"),
                "this listener leads nowhere",
                "write sni with server names and upstreams, alpn, or upstream: a tls listener has no routes",
            );
        }
        ListenerProtocol::Http | ListenerProtocol::Https | ListenerProtocol::Tcp => {}
        ListenerProtocol::Tls | ListenerProtocol::Udp => {}
    }
    unused(findings, name, listener);
    lead(findings, name, listener);
    if listener.proxy_protocol && listener.trusted_proxies.is_empty() {
        findings.problem(
            missing,
            at(name, "trusted_proxies"),
            "with proxy_protocol every connection is refused that is not from a trusted proxy, and none is trusted",
            "write the networks of the proxies, such as trusted_proxies = [\"10.0.0.0/8\"]",
        );
    }
}

/// What a listener of its protocol has no use for.
fn unused(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    use ListenerProtocol::{Http, Https, Tcp, Tls, Udp};
    let protocol = listener.protocol;
    let word = match protocol {
        Http => "an http",
        Https => "an https",
        Tcp => "a tcp",
        Tls => "a tls",
        Udp => "a udp",
    };
    let rows = [
        ("certificates", !listener.certificates.is_empty(), &[Https][..], "write protocol = \"https\""),
        ("client_certificates", listener.client_certificates.is_some(), &[Https], "write protocol = \"https\""),
        ("upstream", listener.upstream.is_some(), &[Tcp, Tls, Udp], "name it in a route"),
        ("sni", !listener.sni.is_empty(), &[Tls], "write protocol = \"tls\""),
        ("alpn", !listener.alpn.is_empty(), &[Tls], "write protocol = \"tls\""),
        ("proxy_protocol", listener.proxy_protocol, &[Http, Https, Tcp, Tls], "write protocol = \"tcp\""),
    ];
    for (field, is_written, users, instead) in rows {
        if is_written && !users.contains(&protocol) {
            let message = match field {
                "certificates" => format!("{word} listener uses no certificate"),
                _ => format!("{word} listener uses no {field}"),
            };
            findings.problem(
                ProblemCode::Conflict,
                at(name, field),
                message,
                format!("{instead}, or leave {field} out"),
            );
        }
    }
}

/// Where a listener without routes leads.
fn lead(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    if listener.sni.len() > SERVER_NAMES_MAX || listener.alpn.len() > ALPN_MAX {
        let message = format!("a listener has at most {SERVER_NAMES_MAX} server names and {ALPN_MAX} protocols");
        findings.bad(at(name, "sni"), message, "use wildcards, or a second listener");
        return;
    }
    for pattern in listener.sni.keys() {
        let fault = spelling::host_fault(pattern).or(pattern.contains('[').then_some("a server name is no address"));
        if let Some(fault) = fault {
            let help = "write a name such as api.example.com, *.example.com or *";
            findings.bad(at(name, &format!("sni.{}", quoted(pattern))), format!("\"{pattern}\": {fault}"), help);
        }
    }
    for protocol in listener.alpn.keys().filter(|protocol| protocol.is_empty() || protocol.len() > 255) {
        let message = "an application protocol has 1 to 255 bytes";
        findings.bad(at(name, &format!("alpn.{}", quoted(protocol))), message, "write a name such as h2 or acme-tls/1");
    }
    let named = listener.upstream.iter().map(|upstream| ("upstream".to_owned(), upstream));
    let by_name = listener.sni.iter().map(|(key, upstream)| (format!("sni.{}", quoted(key)), upstream));
    let by_protocol = listener.alpn.iter().map(|(key, upstream)| (format!("alpn.{}", quoted(key)), upstream));
    for (field, upstream) in named.chain(by_name).chain(by_protocol) {
        findings.refers(|| at(name, &field), Kind::Upstream, upstream);
        if let Some((what, instead)) = unfit(findings.model, listener.protocol, upstream) {
            let message = format!("upstream \"{upstream}\" {what}, which needs requests to look at");
            findings.problem(ProblemCode::Conflict, at(name, &field), message, instead);
        }
    }
}

/// What an upstream asks for that bytes which pass unread cannot give.
fn unfit(model: &Model, protocol: ListenerProtocol, name: &Name) -> Option<(&'static str, &'static str)> {
    let has_routes = matches!(protocol, ListenerProtocol::Http | ListenerProtocol::Https);
    let upstream = model.upstreams.get(name.as_str()).filter(|_| !has_routes)?;
    if upstream.protocol != UpstreamProtocol::Http {
        return Some(("speaks TLS or HTTP/2 to its endpoints", "leave its protocol out: bytes pass as they are"));
    }
    if upstream.sticky.is_some() {
        return Some(("is sticky", "use balance = \"source-ip\" to keep a client on an endpoint"));
    }
    if upstream.hash.by != HashKey::SourceIp {
        return Some(("hashes a part of requests", "leave hash.by out: a client is known by its address"));
    }
    if upstream.proxy_protocol.is_some() && protocol == ListenerProtocol::Udp {
        return Some((
            "wants a PROXY header before each connection",
            "leave its proxy_protocol out: UDP has no connections",
        ));
    }
    None
}

fn limits(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    let limits = &listener.limits;
    let (least, most) = HEAD_BYTES;
    findings.within(|| at(name, "limits.connections"), u64::from(limits.connections), 1, CONNECTIONS_MAX);
    findings.within(|| at(name, "limits.fields"), u64::from(limits.fields), 1, FIELDS_MAX);
    findings.within(|| at(name, "limits.streams"), u64::from(limits.streams), 1, STREAMS_MAX);
    if limits.head.0 < least || limits.head.0 > most {
        let message = format!("{} is out of bounds", limits.head);
        findings.bad(at(name, "limits.head"), message, "write a size from 1KiB to 1MiB");
    }
}

fn timeouts(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    let timeouts = &listener.timeouts;
    for (field, span) in [
        ("timeouts.handshake", timeouts.handshake),
        ("timeouts.head", timeouts.head),
        ("timeouts.body", timeouts.body),
        ("timeouts.write", timeouts.write),
        ("timeouts.idle", timeouts.idle),
        ("timeouts.tunnel", timeouts.tunnel),
        ("timeouts.session", timeouts.session),
    ] {
        not_zero(findings, || at(name, field), span);
    }
}

/// A timeout of zero would end everything at once; it does not mean "none".
pub(super) fn not_zero(findings: &mut Findings<'_>, path: impl FnOnce() -> String, span: Span) {
    if span.0.is_zero() {
        findings.bad(path(), "a time of 0 ends everything at once", "write a time such as \"30s\"");
    }
}

/// Two listeners cannot have one address; the unspecified address is all of its family. UDP has ports of its own.
fn addresses(findings: &mut Findings<'_>) {
    let listeners: Vec<(&Name, &Listener)> = findings.model.listeners.iter().collect();
    let is_udp = |listener: &Listener| listener.protocol == ListenerProtocol::Udp;
    for (index, (name, listener)) in listeners.iter().enumerate() {
        let (address, mut earlier) = (listener.address, listeners.iter().take(index));
        let taken = |other: &Listener| overlap(other.address, address) && is_udp(other) == is_udp(listener);
        if let Some((other, taken)) = earlier.find(|(_, other)| taken(other)) {
            let message = format!("{address} and {} of listener \"{other}\" are one address", taken.address);
            let help = "give each listener its own address or port";
            findings.problem(ProblemCode::Duplicate, at(name, "address"), message, help);
        }
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // Port 0 asks the system for a free one.
    let same_port = a.port() == b.port() && a.port() != 0;
    let unspecified = a.ip().is_unspecified() || b.ip().is_unspecified();
    same_port && (a.ip() == b.ip() || unspecified && a.is_ipv4() == b.is_ipv4())
}

/// The authorities of clients are there to be read.
fn clients(findings: &mut Findings<'_>, name: &Name, listener: &Listener) {
    let Some(clients) = &listener.client_certificates else { return };
    for (field, text) in [("ca", Some(&clients.ca)), ("crl", clients.crl.as_ref())] {
        if text.is_some_and(|text| text.trim().is_empty()) {
            let path = at(name, &format!("client_certificates.{field}"));
            findings.bad(path, format!("{field} is empty"), "write the name of a PEM file, or the PEM text");
        }
    }
}

fn files(findings: &mut Findings<'_>, name: &Name, certificate: &Certificate) {
    for (field, value) in [("chain", &certificate.chain), ("key", &certificate.key.0)] {
        if value.trim().is_empty() {
            let path = format!("certificates.{}.{field}", quoted(name.as_str()));
            findings.bad(path, format!("the {field} is empty"), "write the name of a PEM file, or the PEM text");
        }
    }
}
