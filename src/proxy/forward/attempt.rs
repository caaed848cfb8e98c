// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attempts at endpoints, one after the other, until one answers or another cannot help.

use std::cell::Cell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::super::http::RequestBody;
use super::super::journey::{Attempt, Journey};
use super::super::worker::UpstreamMemory;
use super::hedge::{self, Going};
use super::pick::pick;
use super::replay::{Sendable, Supply};
use super::{Forwarded, admit};
use crate::balance::Choice;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::protocol::http1::RequestFraming;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::retry::{self, Decision, Tried};

/// Endpoints that this exchange has tried.
pub(super) type TriedEndpoints = SmallVec<[usize; 4]>;

/// Where a request is in its attempts.
pub(super) struct Attempts {
    pub(super) tried: TriedEndpoints,
    failed: u32,
    pub(super) stale: u32,
    /// The endpoint to try again on a fresh connection.
    again: Option<Choice>,
    /// Whether a limit of connections stood in the way, so that the request goes back to the queue.
    pub(super) is_crowded: bool,
    /// Whether the last pick met an endpoint that only its limits keep from taking a request.
    pub(super) met_full: Cell<bool>,
}

impl Attempts {
    fn new() -> Self {
        Self {
            tried: TriedEndpoints::new(),
            failed: 0,
            stale: 0,
            again: None,
            is_crowded: false,
            met_full: Cell::default(),
        }
    }

    /// Whether nothing was tried before what is being tried now.
    pub(super) fn is_first(&self) -> bool {
        self.failed == 0 && self.stale == 0
    }

    /// The same once the endpoint that is being tried now is left out as well.
    pub(super) fn beside(&self, journey: &Journey) -> Self {
        let mut tried = self.tried.clone();
        tried.extend(journey.attempts.last().map(|attempt| attempt.choice.index));
        Self { tried, failed: self.failed, stale: self.stale, ..Self::new() }
    }

    /// What is known once what is being tried now has failed.
    pub(super) fn after_failure<'a>(&self, journey: &'a Journey, body: retry::Body) -> Tried<'a> {
        let method = journey.x.request.method.as_str();
        Tried { method, body, attempts: self.failed + 1, stale: self.stale }
    }
}

/// Tries endpoints until there is a reply to hand on.
pub(super) async fn all<B>(journey: &mut Journey, going: Going<'_>, body: B) -> Result<Forwarded<Sendable<B>>, Fault>
where
    B: RequestBody,
{
    let Going { upstream, memory, framing, .. } = going;
    let mut attempts = Attempts::new();
    let mut supply = supply(upstream, framing, body);
    loop {
        let choice = match attempts.again.take() {
            Some(choice) => choice,
            None => {
                let (choice, in_flight) = admit::endpoint(journey, upstream, memory, &attempts).await?;
                if journey.in_flight.replace(in_flight).is_some() {
                    admit::moved_on(upstream);
                }
                choice
            }
        };
        let endpoint = Arc::clone(admit::endpoint_of(upstream, choice)?);
        journey.x.attempts += 1;
        let began = journey.attempt_began();
        journey.attempts.push(Attempt { choice, fault: None, note: None, began, ended: None });
        let fault = match hedge::attempt(journey, going, &endpoint, &mut attempts, &mut supply).await {
            Ok(forwarded) => match judge(journey, upstream, memory, &attempts, &endpoint, &supply, &forwarded) {
                None => return Ok(forwarded),
                Some(fault) => {
                    supply.put_back(forwarded.reply.body.into_request());
                    fault
                }
            },
            Err(Fault::ConnectionLimit { .. }) if attempts.tried.is_empty() => {
                go_back(journey, &mut attempts);
                continue;
            }
            Err(fault) => {
                let body = if supply.is_left() { retry::Body::InHand } else { retry::Body::Spent };
                decide(journey, upstream, memory, &mut attempts, fault, body)?
            }
        };
        note_failure(journey, &mut attempts, fault);
    }
}

/// Where attempts get the body from: kept only where one may be needed twice.
fn supply<B>(upstream: &Upstream, framing: &RequestFraming, body: B) -> Supply<B> {
    let is_watched = upstream.overload.hedge.is_some() || upstream.retry.per_try.is_some();
    if is_watched || (upstream.retry.buffer > 0 && !framing.framing.is_empty()) {
        Supply::kept(body, upstream.retry.buffer)
    } else {
        Supply::once(body)
    }
}

/// The last connection that the limits allow went to another request meanwhile: this one waits, as if it had not tried.
#[cold]
fn go_back(journey: &mut Journey, attempts: &mut Attempts) {
    journey.attempts.pop();
    journey.x.attempts = journey.x.attempts.saturating_sub(1);
    attempts.is_crowded = true;
    admit::step_back(journey);
}

/// Remembers a failed attempt that another one follows.
fn note_failure(journey: &mut Journey, attempts: &mut Attempts, fault: Fault) {
    let last = journey.attempts.last_mut();
    let index = last.as_ref().map_or(0, |attempt| attempt.choice.index);
    if matches!(fault, Fault::Stale { .. }) {
        attempts.stale += 1;
    } else {
        attempts.failed += 1;
        attempts.tried.push(index);
    }
    if let Some(last) = last {
        if matches!(fault, Fault::Stale { .. }) {
            attempts.again = Some(last.choice);
        }
        last.fault = Some(fault);
        last.ended = Some(clock::now());
    }
}

/// Whether a failure may be tried again: the fault back if so, as the error if not.
fn decide(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &mut Attempts,
    fault: Fault,
    body: retry::Body,
) -> Result<Fault, Fault> {
    let is_stale = matches!(fault, Fault::Stale { .. });
    let tried = Tried {
        method: journey.x.request.method.as_str(),
        body,
        attempts: attempts.failed + u32::from(!is_stale),
        stale: attempts.stale + u32::from(is_stale),
    };
    let now_ns = clock::since_start_ns();
    match retry::allows(&upstream.retry, &fault, tried, &mut memory.budget.borrow_mut(), now_ns) {
        Decision::Again | Decision::AgainFresh => Ok(fault),
        Decision::Enough(refusal) => {
            journey.refusal = Some(refusal);
            Err(fault)
        }
    }
}

/// A reply that the upstream retries on, as a fault, if another attempt is allowed and possible.
fn judge<B>(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
    endpoint: &Endpoint,
    supply: &Supply<B>,
    forwarded: &Forwarded<Sendable<B>>,
) -> Option<Fault>
where
    B: RequestBody,
{
    let status = forwarded.reply.line.status;
    if !upstream.retry.on.contains(&retry::Cause::Status(status)) || upstream.endpoints.len() < 2 {
        return None;
    }
    let fault = Fault::Answered { endpoint: Arc::clone(&endpoint.name), status };
    let mut next = attempts.beside(journey);
    if pick(journey, upstream, memory, &next).is_err() {
        return None;
    }
    let body =
        if forwarded.reply.body.has_request() || supply.is_left() { retry::Body::InHand } else { retry::Body::Spent };
    decide(journey, upstream, memory, &mut next, fault, body).ok()
}
