// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for how an upstream speaks to its endpoints: protocol, TLS, and the connections that are kept.
//!
//! Whether a certificate authority can be read as one is for the daemon's compile step.

use super::Findings;
use crate::model::{CertificateCheck, Kind, Name, Upstream, UpstreamProtocol};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most unused connections, and most that are opened ahead of need, of one worker to one endpoint.
const KEPT_MAX: u64 = 10_000;

/// Most pins of one upstream.
const PINS_MAX: usize = 32;

/// 32 bytes in base64: 43 digits and one `=`.
const PIN_CHARACTERS: usize = 44;

pub(super) fn check(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    let at = |field: &str| format!("upstreams.{}.{field}", quoted(name.as_str()));
    let tls = &upstream.tls;
    let is_secure = matches!(upstream.protocol, UpstreamProtocol::Https | UpstreamProtocol::H2);
    if !is_secure && *tls != Default::default() {
        let help = "write protocol = \"https\" or \"h2\", or leave tls out";
        findings.problem(ProblemCode::Conflict, at("tls"), "these endpoints are spoken to without TLS", help);
    }
    if let Some(server_name) = &tls.server_name {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
        if server_name.is_empty() || !server_name.bytes().all(plain) {
            findings.bad(at("tls.server_name"), "this is not a server name", "write a host name or an IP address");
        }
    }
    if tls.ca.as_ref().is_some_and(|ca| ca.trim().is_empty()) {
        findings.bad(at("tls.ca"), "the ca is empty", "write the name of a PEM file, or the PEM text");
    }
    pins(findings, &tls.pins, |index| at(&format!("tls.pins[{index}]")));
    if let Some(certificate) = &tls.certificate {
        findings.refers(|| at("tls.certificate"), Kind::Certificate, certificate);
    }
    if tls.verify == CertificateCheck::None {
        let (message, help) = match (&tls.ca, tls.pins.is_empty()) {
            (Some(_), _) => ("nothing is verified, so ca means nothing", "leave verify out"),
            (None, true) => ("anyone on the way can read and change everything", "name a ca, and leave verify out"),
            (None, false) => ("only the pins are looked at", "leave verify out, and name a ca"),
        };
        findings.warn(ProblemCode::Conflict, at("tls.verify"), message, help);
    }
    let is_http2 = matches!(upstream.protocol, UpstreamProtocol::H2c | UpstreamProtocol::H2);
    if is_http2 && upstream.health.as_ref().is_some_and(|health| health.http.is_some()) {
        let (message, help) = ("an http check speaks HTTP/1.1, which these endpoints may not", "use grpc or tcp");
        findings.warn(ProblemCode::Conflict, at("health.http"), message, help);
    }
    findings.within(|| at("pool.idle"), u64::from(upstream.pool.idle), 0, KEPT_MAX);
    findings.within(|| at("pool.warm"), u64::from(upstream.pool.warm), 0, KEPT_MAX);
    warm(findings, upstream, at);
}

/// Connections that are kept warm lie idle.
fn warm(findings: &mut Findings<'_>, upstream: &Upstream, at: impl Fn(&str) -> String) {
    let pool = &upstream.pool;
    if pool.warm > pool.idle {
        let message = format!("{} connections are opened ahead of need, and {} are kept", pool.warm, pool.idle);
        findings.problem(ProblemCode::Conflict, at("pool.warm"), message, "write idle of at least as many as warm");
    }
    if pool.warm > 0 && upstream.proxy_protocol.is_some() {
        let message = "a connection that names its client cannot be opened before there is one";
        findings.problem(ProblemCode::Conflict, at("pool.warm"), message, "leave warm out, or proxy_protocol");
    }
}

fn pins(findings: &mut Findings<'_>, pins: &[String], at: impl Fn(usize) -> String) {
    if pins.len() > PINS_MAX {
        findings.bad(at(PINS_MAX), format!("more than {PINS_MAX} pins"), "keep those of today's and tomorrow's keys");
    }
    for (index, pin) in pins.iter().enumerate() {
        let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        let (digits, end) = pin.split_at_checked(PIN_CHARACTERS - 1).unwrap_or((pin, ""));
        // The last digit holds four bits, so that two are always zero.
        let is_whole = digits.bytes().last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(&last));
        if end != "=" || !is_whole || !digits.bytes().all(digit) {
            let help = "openssl x509 -in CERT -noout -pubkey | openssl pkey -pubin -outform der | \
                        openssl dgst -sha256 -binary | base64";
            findings.bad(at(index), "this is not a SHA-256 in base64", help);
        }
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
