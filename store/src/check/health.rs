// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for what an upstream says about the health of its endpoints: checks, ejection, panic, slow start.

use super::Findings;
use super::listen::not_zero;
use super::spelling::{is_field_value, is_framing, is_token, path_fault, regex};
use super::upstream::at;
use crate::model::{Health, HttpCheck, Name, Outlier, ScriptCheck, Span, Upstream, UpstreamProtocol};
use crate::wire::ProblemCode;

/// Most checks, or failed requests, in a row that decide.
const CHECKS_MAX: u64 = 100;

/// Most failed requests in a row that decide.
const FAILURES_MAX: u64 = 10_000;

/// Longest text that a check sends, expects or asks about.
const TEXT_BYTES_MAX: usize = 4_096;

/// Most arguments of a script.
const ARGUMENTS_MAX: usize = 64;

/// Most fields of an HTTP check.
const FIELDS_MAX: usize = 32;

/// The longest slow start.
const SLOW_START_MAX: Span = Span::seconds(3_600);

pub(super) fn check(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    if let Some(written) = &upstream.health {
        health(findings, name, written, upstream.protocol);
    }
    if let Some(written) = &upstream.outlier {
        outlier(findings, name, written, upstream);
    }
    findings.within(|| at(name, "panic"), u64::from(upstream.panic.0), 0, 100);
    if let Some(span) = upstream.slow_start {
        not_zero(findings, || at(name, "slow_start"), span);
        if span.0 > SLOW_START_MAX.0 {
            findings.bad(at(name, "slow_start"), "this is longer than an hour", "write a time such as \"30s\"");
        }
        if upstream.health.is_none() && upstream.outlier.is_none() {
            let message = "nothing takes an endpoint out, so none comes back and slow_start does nothing";
            findings.warn(ProblemCode::Conflict, at(name, "slow_start"), message, "write health or outlier as well");
        }
    }
    if upstream.panic.0 > 0 && upstream.health.is_none() && upstream.outlier.is_none() {
        let message = "nothing takes an endpoint out, so panic does nothing";
        findings.warn(ProblemCode::Conflict, at(name, "panic"), message, "write health or outlier as well");
    }
}

fn health(findings: &mut Findings<'_>, name: &Name, health: &Health, protocol: UpstreamProtocol) {
    kinds(findings, name, health);
    if let Some(check) = &health.http {
        http(findings, name, check, protocol);
    }
    if let Some(tcp) = &health.tcp {
        text(findings, name, "health.tcp.send", tcp.send.as_deref());
        text(findings, name, "health.tcp.expect", tcp.expect.as_deref());
    }
    if let Some(server_name) = health.tls.as_ref().and_then(|tls| tls.server_name.as_deref()) {
        let path = || at(name, "health.tls.server_name");
        host(findings, path, server_name);
    }
    if let Some(grpc) = &health.grpc {
        text(
            findings,
            name,
            "health.grpc.service",
            Some(&grpc.service).filter(|service| !service.is_empty()).map(|s| &**s),
        );
        if matches!(protocol, UpstreamProtocol::Http | UpstreamProtocol::Https) {
            let message = "gRPC needs HTTP/2, and the endpoints are said to speak HTTP/1.1";
            let help = "write protocol = \"h2c\" or \"h2\"";
            findings.warn(ProblemCode::Conflict, at(name, "health.grpc"), message, help);
        }
    }
    if let Some(check) = &health.script {
        script(findings, name, check);
    }
    if let Some(agent) = &health.agent {
        port(findings, || at(name, "health.agent.port"), agent.port);
        text(findings, name, "health.agent.send", agent.send.as_deref());
    }
    if let Some(number) = health.port {
        port(findings, || at(name, "health.port"), number);
    }
    times(findings, name, health);
}

/// Exactly one check, or an agent alone.
fn kinds(findings: &mut Findings<'_>, name: &Name, health: &Health) {
    let kinds = [
        ("http", health.http.is_some()),
        ("tcp", health.tcp.is_some()),
        ("tls", health.tls.is_some()),
        ("grpc", health.grpc.is_some()),
        ("script", health.script.is_some()),
    ];
    let written: Vec<&str> = kinds.iter().filter(|(_, is_written)| *is_written).map(|(kind, _)| *kind).collect();
    match written.len() {
        0 if health.agent.is_none() => findings.problem(
            ProblemCode::MissingField,
            at(name, "health"),
            "a health check needs one of http, tcp, tls, grpc, script and agent",
            "write http = { path = \"/healthz\" }, or tcp = true",
        ),
        0 | 1 => {}
        _ => findings.problem(
            ProblemCode::Conflict,
            at(name, "health"),
            format!("a health check is of one kind, not of {}", written.join(" and ")),
            "keep one of them; http, tls and grpc connect too, and agent may stand beside it",
        ),
    }
}

fn http(findings: &mut Findings<'_>, name: &Name, http: &HttpCheck, protocol: UpstreamProtocol) {
    if let Some(fault) = path_fault(http.path.split('?').next().unwrap_or("")) {
        findings.bad(at(name, "health.http.path"), fault, "write a path such as \"/healthz\"");
    } else if http.path.bytes().any(|b| !b.is_ascii_graphic()) {
        let message = "path and query have no spaces and no control characters";
        findings.bad(at(name, "health.http.path"), message, "encode them, such as %20");
    }
    if !is_token(&http.method) {
        findings.bad(at(name, "health.http.method"), "this is not a method", "write \"GET\", \"HEAD\" or \"OPTIONS\"");
    }
    if http.expect.is_empty() {
        findings.bad(at(name, "health.http.expect"), "no status is healthy", "write expect = [200]");
    }
    for (index, status) in http.expect.iter().enumerate() {
        let path = || at(name, &format!("health.http.expect[{index}]"));
        findings.within(path, u64::from(*status), 100, 599);
    }
    if let Some(written) = &http.host {
        host(findings, || at(name, "health.http.host"), written);
    }
    fields(findings, name, http);
    if let Some(pattern) = &http.body {
        if let Err(fault) = regex(pattern) {
            let help = "write a regular expression such as \"ok|ready\"";
            findings.problem(ProblemCode::Invalid, at(name, "health.http.body"), fault, help);
        }
        if http.method == "HEAD" {
            let message = "the reply to HEAD has no body to find anything in";
            findings.problem(ProblemCode::Conflict, at(name, "health.http.body"), message, "leave it out, or use GET");
        }
    }
    if protocol == UpstreamProtocol::H2c {
        let message = "http checks speak HTTP/1.1, and the endpoints are said to speak HTTP/2 only";
        findings.warn(ProblemCode::Conflict, at(name, "health.http"), message, "use grpc, or tcp = true");
    }
}

fn fields(findings: &mut Findings<'_>, name: &Name, http: &HttpCheck) {
    if http.headers.len() > FIELDS_MAX {
        let help = format!("write at most {FIELDS_MAX}");
        findings.bad(at(name, "health.http.headers"), format!("{} fields are too many", http.headers.len()), help);
    }
    for (field, value) in &http.headers {
        let path = || at(name, &format!("health.http.headers.{}", crate::parse::place::quoted(field)));
        if !is_token(field) {
            findings.bad(path(), "this is not the name of a header field", "write a name such as \"X-Probe\"");
        } else if is_framing(field) || field.eq_ignore_ascii_case("host") {
            findings.bad(
                path(),
                format!("{field} is set by the check itself"),
                "leave it out; host has a key of its own",
            );
        } else if !is_field_value(value) {
            findings.bad(path(), "this is not the value of a header field", "leave control characters out");
        }
    }
}

fn script(findings: &mut Findings<'_>, name: &Name, script: &ScriptCheck) {
    if !script.path.starts_with('/') || script.path.contains('\0') {
        let help = "write an absolute path, such as \"/etc/weirgate/checks/db\"";
        findings.bad(at(name, "health.script.path"), "a program is named by its absolute path", help);
    }
    if script.args.len() > ARGUMENTS_MAX {
        let message = format!("{} arguments are too many", script.args.len());
        findings.bad(at(name, "health.script.args"), message, format!("write at most {ARGUMENTS_MAX}"));
    }
    for (index, argument) in script.args.iter().enumerate() {
        if argument.contains('\0') || argument.len() > TEXT_BYTES_MAX {
            let path = at(name, &format!("health.script.args[{index}]"));
            findings.bad(path, "this cannot be an argument", "leave out NUL, and keep it short");
        }
    }
}

fn times(findings: &mut Findings<'_>, name: &Name, health: &Health) {
    findings.within(|| at(name, "health.fall"), u64::from(health.fall), 1, CHECKS_MAX);
    findings.within(|| at(name, "health.rise"), u64::from(health.rise), 1, CHECKS_MAX);
    not_zero(findings, || at(name, "health.interval"), health.interval);
    not_zero(findings, || at(name, "health.timeout"), health.timeout);
    if let Some(fast) = health.fast_interval {
        not_zero(findings, || at(name, "health.fast_interval"), fast);
        if fast.0 > health.interval.0 {
            let message = "checks in doubt cannot be rarer than those without";
            let help = "write a time below interval";
            findings.problem(ProblemCode::Conflict, at(name, "health.fast_interval"), message, help);
        }
    }
}

fn outlier(findings: &mut Findings<'_>, name: &Name, outlier: &Outlier, upstream: &Upstream) {
    let within = |findings: &mut Findings<'_>, field: &str, value: u64, most: u64| {
        findings.within(|| at(name, &format!("outlier.{field}")), value, 0, most);
    };
    within(findings, "consecutive_failures", u64::from(outlier.consecutive_failures), FAILURES_MAX);
    within(findings, "failure_rate", u64::from(outlier.failure_rate.0), 100);
    within(findings, "ejected_max", u64::from(outlier.ejected_max.0), 100);
    for (field, span) in [("interval", outlier.interval), ("eject", outlier.eject), ("eject_max", outlier.eject_max)] {
        not_zero(findings, || at(name, &format!("outlier.{field}")), span);
    }
    if outlier.eject_max.0 < outlier.eject.0 {
        let message = "the longest ejection is shorter than the first";
        let path = at(name, "outlier.eject_max");
        findings.problem(ProblemCode::Conflict, path, message, "write a time of at least eject");
    }
    if outlier.consecutive_failures == 0 && outlier.failure_rate.0 == 0 {
        let message = "neither failures in a row nor their rate are looked at, so nothing is ejected";
        findings.warn(ProblemCode::Conflict, at(name, "outlier"), message, "set one of them, or leave outlier out");
    }
    if upstream.endpoints.len() == 1 && upstream.discovery.is_none() {
        let message = "the only endpoint is never ejected";
        findings.warn(ProblemCode::Conflict, at(name, "outlier"), message, "add an endpoint, or leave outlier out");
    }
}

fn text(findings: &mut Findings<'_>, name: &Name, field: &str, text: Option<&str>) {
    match text.map(str::len) {
        Some(0) => findings.bad(at(name, field), "an empty text says nothing", "leave it out"),
        Some(length) if length > TEXT_BYTES_MAX => {
            findings.bad(
                at(name, field),
                format!("{length} bytes are too many"),
                format!("write at most {TEXT_BYTES_MAX}"),
            );
        }
        Some(_) | None => {}
    }
}

fn port(findings: &mut Findings<'_>, path: impl FnOnce() -> String, port: u16) {
    if port == 0 {
        findings.bad(path(), "port 0 cannot be connected to", "write a port from 1 to 65535");
    }
}

fn host(findings: &mut Findings<'_>, path: impl FnOnce() -> String, host: &str) {
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@".contains(&b)) {
        findings.bad(path(), "this is not a host", "write a host name, or leave it out");
    }
}
