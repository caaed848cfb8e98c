// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attempts at endpoints, one after the other, until one answers or another cannot help.

use std::sync::Arc;

use smallvec::SmallVec;

use super::super::http::RequestBody;
use super::super::journey::{Attempt, Journey};
use super::super::worker::UpstreamMemory;
use super::Forwarded;
use super::connect::{connect, send};
use super::outcome::{self, Outcome};
use super::pick::pick;
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
    stale: u32,
    /// The endpoint to try again on a fresh connection.
    again: Option<Choice>,
}

/// Tries endpoints until there is a reply to hand on.
pub(super) async fn all<B>(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    framing: &RequestFraming,
    head: &[u8],
    body: B,
) -> Result<Forwarded<B>, Fault>
where
    B: RequestBody,
{
    let mut attempts = Attempts { tried: TriedEndpoints::new(), failed: 0, stale: 0, again: None };
    let mut body = Some(body);
    loop {
        let choice = match attempts.again.take() {
            Some(choice) => choice,
            None => pick(journey, upstream, memory, &attempts)?,
        };
        let endpoint = Arc::clone(upstream.endpoints.get(choice.index).ok_or(Fault::Internal("picked past the end"))?);
        journey.attempts.push(Attempt { choice, fault: None });
        journey.in_flight = Some(endpoint.live.begin());
        journey.x.attempts += 1;
        let is_fresh = attempts.stale > 0;
        let result = match connect(journey, upstream, &endpoint, framing, is_fresh).await {
            Ok(way) => send(journey, upstream, way, framing, head, &mut body).await,
            Err(fault) => Err(fault),
        };
        outcome::observe(upstream, &endpoint, Outcome::of(&result));
        let fault = match result {
            Ok(forwarded) => match judge(journey, upstream, memory, &attempts, &endpoint, &forwarded) {
                None => return Ok(forwarded),
                Some(fault) => {
                    body = forwarded.reply.body.into_request();
                    fault
                }
            },
            Err(fault) => {
                let body = if body.is_some() { retry::Body::InHand } else { retry::Body::Spent };
                decide(journey, upstream, memory, &mut attempts, fault, body)?
            }
        };
        note_failure(journey, &mut attempts, fault);
    }
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
    forwarded: &Forwarded<B>,
) -> Option<Fault>
where
    B: RequestBody,
{
    let status = forwarded.reply.line.status;
    if !upstream.retry.on.contains(&retry::Cause::Status(status)) || upstream.endpoints.len() < 2 {
        return None;
    }
    let fault = Fault::Answered { endpoint: Arc::clone(&endpoint.name), status };
    let mut next = Attempts { tried: attempts.tried.clone(), again: None, ..*attempts };
    next.tried.extend(journey.attempts.last().map(|attempt| attempt.choice.index));
    if pick(journey, upstream, memory, &next).is_err() {
        return None;
    }
    let body = if forwarded.reply.body.has_request() { retry::Body::InHand } else { retry::Body::Spent };
    decide(journey, upstream, memory, &mut next, fault, body).ok()
}
