// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for how an upstream chooses: what is hashed, tiers and zones.

use super::Findings;
use super::spelling::is_token;
use super::upstream::at;
use crate::model::{Balance, Endpoint, Hash, HashKey, KETAMA_POINTS, Name, PRIORITY_MAX, Upstream, Zone};
use crate::wire::ProblemCode;

/// Least `hash.bounded_load` in per cent: nearer to the mean, nearly every request would go elsewhere.
const BOUND_LEAST: u64 = 105;

/// Fewest and most `hash.points`: below, endpoints could get none; above, a ring of a thousand takes 80 MB.
const POINTS: (u32, u32) = (40, 10_000);

/// Most `hash.bounded_load` in per cent.
const BOUND_MOST: u64 = 1000;

pub(super) fn check(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    hash(findings, name, upstream.balance, &upstream.hash);
    for (index, endpoint) in upstream.endpoints.iter().enumerate() {
        place(findings, name, index, endpoint);
    }
    if let Some(preferred) = &upstream.zone {
        zone(findings, name, upstream, preferred);
    }
}

fn hash(findings: &mut Findings<'_>, name: &Name, balance: Balance, hash: &Hash) {
    if *hash == Hash::default() {
        return;
    }
    match balance {
        Balance::Ring | Balance::Maglev | Balance::Rendezvous => {}
        Balance::SourceIp if hash.by == HashKey::SourceIp => {}
        Balance::SourceIp => {
            let help = "write balance = \"rendezvous\", or leave hash.by out";
            let message = "balance = \"source-ip\" hashes the client address and nothing else";
            findings.problem(ProblemCode::Conflict, at(name, "hash.by"), message, help);
        }
        _ => {
            let help = "write balance = \"maglev\", \"ring\" or \"rendezvous\", or leave hash out";
            findings.problem(ProblemCode::Conflict, at(name, "hash"), "this balance hashes nothing", help);
        }
    }
    if let Some(bound) = hash.bounded_load {
        findings.within(|| at(name, "hash.bounded_load"), u64::from(bound.0), BOUND_LEAST, BOUND_MOST);
    }
    findings.within(|| at(name, "hash.points"), hash.points.into(), POINTS.0.into(), POINTS.1.into());
    if hash.points != KETAMA_POINTS && balance != Balance::Ring {
        let help = "write balance = \"ring\", or leave points out";
        findings.problem(ProblemCode::Conflict, at(name, "hash.points"), "only a ring has points", help);
    }
    match &hash.by {
        HashKey::Header(field) if !is_token(field) => {
            findings.bad(at(name, "hash.by.header"), "this is not the name of a field", "write one such as \"X-User\"");
        }
        HashKey::Cookie(cookie) if !is_token(cookie) => {
            findings.bad(at(name, "hash.by.cookie"), "this is not the name of a cookie", "write one such as \"sid\"");
        }
        HashKey::Query(parameter) if parameter.is_empty() || parameter.contains(['&', '=', '#', ' ']) => {
            let help = "write one such as \"user\", encoded as it comes";
            findings.bad(at(name, "hash.by.query"), "this is not the name of a query parameter", help);
        }
        // A listener that asks for client certificates will make this a question.
        HashKey::ClientCertificate => {
            let message = "no listener asks for client certificates yet, so requests are spread at random";
            let help = "hash something else, such as { header = \"X-User\" }";
            findings.warn(ProblemCode::Conflict, at(name, "hash.by"), message, help);
        }
        _ => {}
    }
}

fn place(findings: &mut Findings<'_>, name: &Name, index: usize, endpoint: &Endpoint) {
    let priority = || at(name, &format!("endpoints[{index}].priority"));
    findings.within(priority, u64::from(endpoint.priority), 0, u64::from(PRIORITY_MAX));
    if endpoint.backup && endpoint.priority > 0 {
        let message = "a backup comes after all priorities, so it has none";
        findings.problem(ProblemCode::Conflict, priority(), message, "leave backup or priority out");
    }
    if endpoint.zone.as_deref() == Some("") {
        let path = at(name, &format!("endpoints[{index}].zone"));
        findings.bad(path, "a zone has a name", "write one such as \"eu-1\", or leave it out");
    }
}

fn zone(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream, zone: &Zone) {
    if zone.prefer.is_empty() {
        findings.bad(at(name, "zone.prefer"), "a zone has a name", "write one such as \"eu-1\", or leave zone out");
        return;
    }
    findings.within(|| at(name, "zone.enough"), u64::from(zone.enough.0), 1, 100);
    let is_in = |endpoint: &Endpoint| endpoint.zone.as_deref() == Some(zone.prefer.as_str());
    if upstream.discovery.is_none() && !upstream.endpoints.iter().any(is_in) {
        let message = format!("no endpoint is in the zone \"{}\"", zone.prefer);
        let help = "give endpoints zone = \"…\", or leave the zone of the upstream out";
        findings.warn(ProblemCode::Dangling, at(name, "zone.prefer"), message, help);
    }
}
