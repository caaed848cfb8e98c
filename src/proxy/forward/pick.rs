// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint takes the request, or a sentence why none can.

use std::sync::Arc;

use super::super::journey::Journey;
use super::super::worker::UpstreamMemory;
use super::attempt::Attempts;
use crate::balance::{Candidate, Choice};
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::upstream::endpoint::{Endpoint, Mode};

pub(super) fn pick(
    journey: &Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Result<Choice, Fault> {
    let view = |at: usize| {
        let mut candidate = upstream.endpoints.get(at).map(|endpoint| endpoint.candidate()).unwrap_or(NOBODY);
        candidate.usable &= !attempts.tried.contains(&at);
        candidate
    };
    let ask = journey.worker.ask(journey.x.client_ip);
    match upstream.balance.pick(&memory.turns, ask, upstream.endpoints.len(), view) {
        Some(choice) => Ok(choice),
        None => Err(nobody(journey, upstream)),
    }
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
    let why = |endpoint: &Arc<Endpoint>| {
        let state = match (endpoint.live.mode(), endpoint.live.weight()) {
            (Mode::Drain, _) => "draining",
            (Mode::Maintenance, _) => "in maintenance",
            (Mode::Ready, 0) => "of weight 0",
            (Mode::Ready, _) => endpoint.live.state().word(),
        };
        format!("{} is {state}", endpoint.name)
    };
    let reasons: Vec<_> = upstream.endpoints.iter().take(8).map(why).collect();
    Fault::NoEndpoint { upstream: upstream_name, reason: reasons.join(", ") }
}
