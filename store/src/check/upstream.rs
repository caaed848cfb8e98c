// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for upstreams and their endpoints; those about health are in `health`.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::listen::not_zero;
use super::{Findings, discovery, health, sticky, transport};
use crate::model::{Name, Upstream, WEIGHT_MAX};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, upstream) in &model.upstreams {
        endpoints(findings, name, upstream);
        transport::check(findings, name, upstream);
        sticky::check(findings, name, upstream);
        if let Some(source) = &upstream.discovery {
            discovery::check(findings, || at(name, "discovery"), source);
        }
        super::balance::check(findings, name, upstream);
        health::check(findings, name, upstream);
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

pub(super) fn at(name: &Name, field: &str) -> String {
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
