// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies that refuse by address, method and what a caller says of itself.

use ipnet::IpNet;

use super::spelling::{REGEXES_BYTES_MAX, any_of};
use super::{Findings, gate, route};
use crate::model::{BotsPolicy, IpPolicy, MethodsPolicy};
use crate::networks::Networks;
use crate::wire::ProblemCode;

/// Most networks in one list.
const NETWORKS_MAX: usize = 100_000;

/// Most methods in one policy.
const METHODS_MAX: usize = 32;

/// Most regular expressions in one list.
const PATTERNS_MAX: usize = 1_000;

/// Most header fields that one policy asks for.
const REQUIRED_MAX: usize = 16;

pub(super) fn ip(findings: &mut Findings<'_>, path: &str, policy: &IpPolicy) {
    if policy.allow.is_empty() && policy.deny.is_empty() {
        let help = "write allow = [\"10.0.0.0/8\"] or deny = [\"192.0.2.0/24\"]";
        findings.problem(ProblemCode::MissingField, path, "this names no network", help);
    }
    networks(findings, &format!("{path}.allow"), &policy.allow);
    networks(findings, &format!("{path}.deny"), &policy.deny);
    let denied = Networks::new(policy.deny.iter().copied());
    for (index, net) in policy.allow.iter().enumerate() {
        if let Some(around) = denied.around(*net) {
            let message = format!("{net} can never be allowed, because all of {around} is denied");
            let help = "take it out of one of the lists; deny wins";
            findings.problem(ProblemCode::Conflict, format!("{path}.allow[{index}]"), message, help);
        }
    }
}

fn networks(findings: &mut Findings<'_>, path: &str, all: &[IpNet]) {
    if all.len() > NETWORKS_MAX {
        let message = format!("{} networks", all.len());
        findings.bad(path, message, format!("at most {NETWORKS_MAX} in one list; join neighbours"));
    }
    for (index, net) in all.iter().enumerate() {
        if net.addr() != net.network() {
            let message = format!("{net} names one address and a whole network");
            let single = IpNet::from(net.addr());
            let help = format!("write \"{}\" for the network, or \"{single}\" for the address", net.trunc());
            findings.bad(format!("{path}[{index}]"), message, help);
        }
    }
}

pub(super) fn methods(findings: &mut Findings<'_>, path: &str, policy: &MethodsPolicy) {
    let path = format!("{path}.allow");
    if policy.allow.is_empty() {
        let message = "no method is allowed, so nothing would pass";
        findings.problem(ProblemCode::MissingField, path, message, "write allow = [\"GET\", \"HEAD\"]");
        return;
    }
    if policy.allow.len() > METHODS_MAX {
        findings.bad(&path, format!("{} methods", policy.allow.len()), format!("at most {METHODS_MAX}"));
    }
    route::methods(findings, &path, &policy.allow);
}

pub(super) fn bots(findings: &mut Findings<'_>, path: &str, policy: &BotsPolicy) {
    if policy.deny.is_empty() && policy.require_headers.is_empty() {
        let message = "this refuses nobody";
        let help = "write deny = [\"scrapy|curl\"] or require_headers = [\"User-Agent\"]";
        findings.problem(ProblemCode::MissingField, path, message, help);
    }
    for (list, patterns) in [("deny", &policy.deny), ("allow", &policy.allow)] {
        let path = format!("{path}.{list}");
        if patterns.len() > PATTERNS_MAX {
            let help = format!("at most {PATTERNS_MAX} in one list");
            findings.bad(&path, format!("{} expressions", patterns.len()), help);
        } else if let Err(fault) = any_of(patterns) {
            let help = format!(
                "write regular expressions for a part of User-Agent, together at most {REGEXES_BYTES_MAX} bytes compiled"
            );
            findings.problem(ProblemCode::Invalid, path, fault, help);
        }
    }
    if policy.require_headers.len() > REQUIRED_MAX {
        let help = format!("at most {REQUIRED_MAX}");
        findings.bad(format!("{path}.require_headers"), format!("{} fields", policy.require_headers.len()), help);
    }
    for (index, name) in policy.require_headers.iter().enumerate() {
        gate::field_name(findings, format!("{path}.require_headers[{index}]"), name);
    }
}
