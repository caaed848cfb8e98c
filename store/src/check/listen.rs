// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for listeners and certificates. Whether an address can be bound and a key fits its certificate only the
//! machine can tell; that is for the daemon.

use std::net::SocketAddr;

use super::Findings;
use crate::model::{Certificate, Kind, Listener, ListenerProtocol, Name, Span};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Bounds on the bounds: beyond them a limit protects nothing, or lets nothing through.
const CONNECTIONS_MAX: u64 = 10_000_000;
const HEAD_BYTES: (u64, u64) = (1 << 10, 1 << 20);
const STREAMS_MAX: u64 = 10_000;

/// Most fields of a head. The parser of the daemon has so many slots; a larger number would be a promise it does not keep.
const FIELDS_MAX: u64 = 256;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, listener) in &model.listeners {
        protocol(findings, name, listener);
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
    match listener.protocol {
        ListenerProtocol::Https if listener.certificates.is_empty() => findings.problem(
            ProblemCode::MissingField,
            at(name, "certificates"),
            "an https listener needs a certificate",
            "write certificates = [\"NAME\"] and [certificates.NAME] with chain and key",
        ),
        ListenerProtocol::Http if !listener.certificates.is_empty() => findings.problem(
            ProblemCode::Conflict,
            at(name, "certificates"),
            "an http listener uses no certificate",
            "write protocol = \"https\", or leave certificates out",
        ),
        ListenerProtocol::Http | ListenerProtocol::Https => {}
        ListenerProtocol::Tcp | ListenerProtocol::Tls | ListenerProtocol::Udp => {}
    }
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

/// Two listeners cannot have one address; the unspecified address is all of its family.
fn addresses(findings: &mut Findings<'_>) {
    let listeners: Vec<(&Name, SocketAddr)> =
        findings.model.listeners.iter().map(|(name, listener)| (name, listener.address)).collect();
    for (index, (name, address)) in listeners.iter().enumerate() {
        let mut earlier = listeners.iter().take(index);
        if let Some((other, taken)) = earlier.find(|(_, taken)| overlap(*taken, *address)) {
            let message = format!("{address} and {taken} of listener \"{other}\" are one address");
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

fn files(findings: &mut Findings<'_>, name: &Name, certificate: &Certificate) {
    for (field, value) in [("chain", &certificate.chain), ("key", &certificate.key.0)] {
        if value.trim().is_empty() {
            let path = format!("certificates.{}.{field}", quoted(name.as_str()));
            findings.bad(path, format!("the {field} is empty"), "write the name of a PEM file, or the PEM text");
        }
    }
}
