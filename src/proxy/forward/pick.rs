// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint takes the request, or a sentence why none can.

use std::sync::Arc;

use super::super::journey::Journey;
use super::super::worker::UpstreamMemory;
use super::admit::has_room;
use super::attempt::Attempts;
use super::sticky;
use crate::balance::{Ask, Candidate, Choice, Keyed};
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::passive::Holds;

pub(super) fn pick(
    journey: &Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Result<Choice, Fault> {
    if let Some(choice) = sticky::choose(journey.kept, upstream, &attempts.tried)
        && upstream.endpoints.get(choice.index).is_some_and(|endpoint| has_room(journey, upstream, endpoint))
    {
        return Ok(choice);
    }
    let view = |at: usize, holds: Holds| {
        let Some(endpoint) = upstream.endpoints.get(at) else { return Candidate::default() };
        let mut candidate = endpoint.seen(holds);
        candidate.usable &= !attempts.tried.contains(&at);
        if candidate.usable && !has_room(journey, upstream, endpoint) {
            attempts.met_full.set(true);
            candidate.usable = false;
        }
        candidate
    };
    let ask = ask(journey, upstream);
    let pick = |holds| upstream.balance.pick(&memory.turns, &ask, |at| view(at, holds));
    let mut choice = pick(Holds::Respected);
    if is_forced(upstream, choice) {
        choice = pick(Holds::Ignored);
    }
    choice.ok_or_else(|| nobody(journey, upstream))
}

/// Whether only holds left nobody, or only a backup, to choose from. A hold is a guess, and a guess must not refuse a
/// request or wake a backup.
fn is_forced(upstream: &Upstream, choice: Option<Choice>) -> bool {
    let chosen = choice.and_then(|choice| upstream.endpoints.get(choice.index));
    chosen.is_none_or(|chosen| chosen.backup || chosen.priority > 0)
        && upstream.endpoints.iter().any(|other| other.live.passive.is_held())
}

/// What the balancer may look at of a request.
fn ask(journey: &Journey, upstream: &Upstream) -> Ask {
    let request = &journey.x.request;
    let key = upstream.balance.key(Keyed {
        path: request.matched(),
        query: request.query(),
        fields: &request.fields,
        certificate: journey.x.client.certificate.as_ref().map(|shown| &shown.fingerprint[..]),
    });
    Ask { key, ..journey.worker.ask(journey.x.client_ip, &upstream.balance) }
}

/// Why nobody can take the request. After a failed attempt, that failure says more.
#[cold]
fn nobody(journey: &Journey, upstream: &Upstream) -> Fault {
    if let Some(fault) = journey.attempts.iter().rev().find_map(|attempt| attempt.fault.clone()) {
        return fault;
    }
    nobody_of(upstream)
}

/// Why nobody of an upstream can take anything.
#[cold]
pub(in super::super) fn nobody_of(upstream: &Upstream) -> Fault {
    let upstream_name = Arc::clone(&upstream.name);
    if upstream.endpoints.is_empty() {
        return Fault::NoEndpoint { upstream: upstream_name, reason: upstream.membership.nobody() };
    }
    let why = |endpoint: &Arc<Endpoint>| format!("{} is {}", endpoint.name, endpoint.standing());
    let reasons: Vec<_> = upstream.endpoints.iter().take(8).map(why).collect();
    Fault::NoEndpoint { upstream: upstream_name, reason: reasons.join(", ") }
}
