// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for upstreams, their endpoints and their health checks.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::listen::not_zero;
use super::spelling::path_fault;
use super::{Findings, discovery, transport};
use crate::model::{Health, Name, Retry, Upstream, WEIGHT_MAX};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most tries after the first: beyond it a retry is a load, not a remedy.
const RETRY_ATTEMPTS_MAX: u32 = 10;

/// Most checks in a row that decide.
const CHECKS_MAX: u64 = 100;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, upstream) in &model.upstreams {
        endpoints(findings, name, upstream);
        transport::check(findings, name, upstream);
        if let Some(source) = &upstream.discovery {
            discovery::check(findings, || at(name, "discovery"), source);
        }
        if let Some(check) = &upstream.health {
            health(findings, name, check);
        }
        retry(findings, name, &upstream.retry);
        let timeouts = &upstream.timeouts;
        for (field, span) in [
            ("timeouts.connect", timeouts.connect),
            ("timeouts.response", timeouts.response),
            ("timeouts.idle", timeouts.idle),
        ] {
            not_zero(findings, || at(name, field), span);
        }
    }
}

fn at(name: &Name, field: &str) -> String {
    format!("upstreams.{}.{field}", quoted(name.as_str()))
}

fn endpoints(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    if upstream.endpoints.is_empty() && upstream.discovery.is_some() {
        return;
    }
    if upstream.endpoints.is_empty() {
        let help = "write endpoints = [{ address = \"127.0.0.1:9000\" }], or discovery";
        findings.problem(ProblemCode::MissingField, at(name, "endpoints"), "an upstream needs an endpoint", help);
        return;
    }
    let mut seen: HashMap<SocketAddr, usize> = HashMap::new();
    for (index, endpoint) in upstream.endpoints.iter().enumerate() {
        let path = || at(name, &format!("endpoints[{index}].address"));
        if let Some(first) = seen.insert(endpoint.address, index) {
            let message = format!("{} is endpoint {} already", endpoint.address, first + 1);
            findings.problem(ProblemCode::Duplicate, path(), message, "keep one of them, with the weight of both");
        }
        if endpoint.address.port() == 0 || endpoint.address.ip().is_unspecified() {
            let message = format!("{} cannot be connected to", endpoint.address);
            findings.bad(path(), message, "write the address and port of a server");
        }
        let weight = || at(name, &format!("endpoints[{index}].weight"));
        findings.within(weight, u64::from(endpoint.weight), 0, u64::from(WEIGHT_MAX));
    }
    if upstream.endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        let message = "all weights are 0, so no endpoint takes new work";
        findings.warn(ProblemCode::BadValue, at(name, "endpoints"), message, "give one endpoint a weight above 0");
    }
    if upstream.endpoints.iter().all(|endpoint| endpoint.backup) {
        let message = "all endpoints are backups, so backup means nothing";
        findings.warn(ProblemCode::Conflict, at(name, "endpoints"), message, "leave backup out of one of them");
    }
}

fn health(findings: &mut Findings<'_>, name: &Name, health: &Health) {
    match (&health.http, health.tcp.is_some()) {
        (Some(_), true) => findings.problem(
            ProblemCode::Conflict,
            at(name, "health"),
            "a health check is over http or over tcp, not both",
            "leave tcp out; an http check connects too",
        ),
        (None, false) => findings.problem(
            ProblemCode::MissingField,
            at(name, "health"),
            "a health check needs http or tcp",
            "write http = { path = \"/healthz\" }, or tcp = true",
        ),
        _ => {}
    }
    if let Some(http) = &health.http {
        if let Some(fault) = path_fault(http.path.split('?').next().unwrap_or("")) {
            findings.bad(at(name, "health.http.path"), fault, "write a path such as \"/healthz\"");
        }
        if http.expect.is_empty() {
            findings.bad(at(name, "health.http.expect"), "no status is healthy", "write expect = [200]");
        }
        for (index, status) in http.expect.iter().enumerate() {
            let path = || at(name, &format!("health.http.expect[{index}]"));
            findings.within(path, u64::from(*status), 100, 599);
        }
        let host = http.host.as_deref().unwrap_or("localhost");
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@".contains(&b)) {
            findings.bad(at(name, "health.http.host"), "this is not a host", "write a host name, or leave it out");
        }
    }
    findings.within(|| at(name, "health.fall"), u64::from(health.fall), 1, CHECKS_MAX);
    findings.within(|| at(name, "health.rise"), u64::from(health.rise), 1, CHECKS_MAX);
    not_zero(findings, || at(name, "health.interval"), health.interval);
    not_zero(findings, || at(name, "health.timeout"), health.timeout);
}

fn retry(findings: &mut Findings<'_>, name: &Name, retry: &Retry) {
    findings.within(|| at(name, "retry.attempts"), u64::from(retry.attempts), 0, u64::from(RETRY_ATTEMPTS_MAX));
    findings.within(|| at(name, "retry.budget"), u64::from(retry.budget.0), 0, 100);
    if retry.attempts > 0 && retry.on.is_empty() {
        let help = "write on = [\"connect\"], or attempts = 0";
        findings.warn(ProblemCode::Conflict, at(name, "retry.on"), "nothing is a reason to retry", help);
    }
}
