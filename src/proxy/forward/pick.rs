// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint takes the request, or a sentence why none can.

use std::sync::Arc;

use super::super::journey::Journey;
use super::super::worker::UpstreamMemory;
use super::admit::has_room;
use super::attempt::Attempts;
use crate::balance::{Candidate, Choice};
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
    let view = |at: usize, holds: Holds| {
        let Some(endpoint) = upstream.endpoints.get(at) else { return NOBODY };
        let mut candidate = endpoint.seen(holds);
        candidate.usable &= !attempts.tried.contains(&at);
        if candidate.usable && !has_room(journey, upstream, endpoint) {
            attempts.met_full.set(true);
            candidate.usable = false;
        }
        candidate
    };
    let ask = journey.worker.ask(journey.x.client_ip);
    let pick = |holds| upstream.balance.pick(&memory.turns, ask, upstream.endpoints.len(), |at| view(at, holds));
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
    chosen.is_none_or(|chosen| chosen.backup) && upstream.endpoints.iter().any(|other| other.live.passive.is_held())
}

/// A place past the end of the list.
pub(in super::super) const NOBODY: Candidate =
    Candidate { identity: 0, weight: 0, usable: false, backup: false, in_flight: 0 };

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
