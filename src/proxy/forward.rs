// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request to an endpoint and back to the head of its reply: pick, connect, send, and again while that may help.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::edge;
use super::http::RequestBody;
use super::journey::{Attempt, Journey};
use super::worker::UpstreamMemory;
use crate::balance::Choice;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::exchange::{Exchange, Known};
use crate::fault::Fault;
use crate::observe::Stage;
use crate::protocol::http1::{self, Framing, HeadLimits, RequestFraming, Upgrade};
use crate::upstream::connection::{Connection, Outgoing, Patience, Reply, SendError};
use crate::upstream::endpoint::{Endpoint, Mode};
use crate::upstream::pool::Reuse;
use crate::upstream::retry::{self, Decision, Tried};

/// What came back.
#[derive(Debug)]
pub struct Forwarded<B> {
    pub reply: Reply<B>,
    /// When the attempt that was answered began.
    pub sent: Option<Instant>,
}

/// Endpoints that this exchange has tried.
type TriedEndpoints = SmallVec<[usize; 4]>;

/// Where a request is in its attempts.
struct Attempts {
    tried: TriedEndpoints,
    failed: u32,
    stale: u32,
    /// The endpoint to try again on a fresh connection.
    again: Option<Choice>,
}

/// Sends the request to an endpoint of its route's upstream and waits for the head of the reply.
pub async fn forward<B>(journey: &mut Journey, framing: &RequestFraming, body: B) -> Result<Forwarded<B>, Fault>
where
    B: RequestBody,
{
    let upstream = journey.route().and_then(|route| journey.snapshot.upstream_of(route));
    let upstream = Arc::clone(upstream.ok_or(Fault::Internal("a route without an upstream"))?);
    let memory = journey.worker.memory_of(&upstream);
    memory.budget.borrow_mut().record(clock::since_start_ns_at(journey.x.arrived));
    let mut head = journey.worker.buffers.output();
    write_head(&mut head, &journey.x, framing);
    let outcome = attempt_all(journey, &upstream, &memory, framing, &head, body).await;
    journey.worker.buffers.return_output(head);
    outcome
}

async fn attempt_all<B>(
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
        let result = match connect(journey, upstream, &endpoint, is_fresh).await {
            Ok(connection) => send(journey, upstream, connection, framing, head, &mut body).await,
            Err(fault) => Err(fault),
        };
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
        note_failure(journey, &mut attempts, &endpoint, fault);
    }
}

/// Remembers a failed attempt that another one follows.
fn note_failure(journey: &mut Journey, attempts: &mut Attempts, endpoint: &Endpoint, fault: Fault) {
    if matches!(fault, Fault::Connect { .. } | Fault::ConnectTimeout { .. }) {
        endpoint.live.suspect();
    }
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

fn pick(journey: &Journey, upstream: &Upstream, memory: &UpstreamMemory, attempts: &Attempts) -> Result<Choice, Fault> {
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
pub(super) const NOBODY: crate::balance::Candidate =
    crate::balance::Candidate { identity: 0, weight: 0, usable: false, backup: false, in_flight: 0 };

/// Why nobody can take the request. After a failed attempt, that failure says more.
#[cold]
fn nobody(journey: &Journey, upstream: &Upstream) -> Fault {
    if let Some(fault) = journey.attempts.iter().rev().find_map(|attempt| attempt.fault.clone()) {
        return fault;
    }
    let upstream_name = Arc::clone(&upstream.name);
    if upstream.endpoints.is_empty() {
        return Fault::NoEndpoint { upstream: upstream_name, reason: "it has no endpoint".to_owned() };
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

/// A connection: a kept one if there is one fit for this request, else a new one.
async fn connect(
    journey: &mut Journey,
    upstream: &Upstream,
    endpoint: &Endpoint,
    is_fresh: bool,
) -> Result<Connection, Fault> {
    let pool = journey.worker.pool_of(upstream, endpoint);
    let reuse = if retry::is_idempotent(journey.x.request.method.as_str()) { Reuse::Any } else { Reuse::Young };
    if !is_fresh && let Some(connection) = pool.checkout(journey.worker.deadlines.now(), reuse) {
        return Ok(connection);
    }
    let began = clock::now();
    let connected = pool.connect(upstream.connect).await;
    journey.time(Stage::Connect, began, clock::now());
    connected
}

async fn send<B>(
    journey: &mut Journey,
    upstream: &Upstream,
    connection: Connection,
    framing: &RequestFraming,
    head: &[u8],
    body: &mut Option<B>,
) -> Result<Forwarded<B>, Fault>
where
    B: RequestBody,
{
    let Some(taken) = body.take() else { return Err(Fault::Internal("a request body was sent twice")) };
    let sent = Some(if journey.attempts.len() > 1 { clock::now() } else { journey.x.arrived });
    let outgoing = Outgoing {
        method: &journey.x.request.method,
        head,
        framing: framing.framing,
        expect_continue: framing.expect_continue,
        upgrade: framing.upgrade == Some(Upgrade::WebSocket),
        body: taken,
        fields: journey.worker.buffers.fields(),
        limits: HeadLimits::default(),
        patience: Patience { reply: upstream.response, silence: upstream.idle },
    };
    match connection.send(outgoing, |status, fields, body| body.inform(status, fields)).await {
        Ok(reply) => Ok(Forwarded { reply, sent }),
        Err(SendError { fault, body: kept }) => {
            *body = kept;
            Err(fault)
        }
    }
}

/// Writes the head of the request as the endpoint gets it.
fn write_head(out: &mut Vec<u8>, x: &Exchange, framing: &RequestFraming) {
    let request = &x.request;
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.path());
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    http1::field(out, b"Host", request.fields.text(request.authority));
    for field in request.fields.iter() {
        if !edge::is_rewritten(field.known, x.client.trusted) {
            http1::field(out, field.name, field.value);
        }
    }
    match framing.framing {
        Framing::Length(length) => {
            let mut digits = [0; 20];
            http1::field(out, Known::ContentLength.name().as_bytes(), render(length, &mut digits));
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    if framing.expect_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    match framing.upgrade {
        Some(Upgrade::WebSocket) => out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        // An upgrade that we do not know is not forwarded: what follows it would leave our sight (RFC 9110 section 7.8).
        Some(Upgrade::Other) | None => {}
    }
    edge::write_forwarding(out, x);
    http1::end_head(out);
}

/// Decimal digits without an allocation; any `u64` has at most 20.
pub(super) fn render(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        }
        number /= 10;
        if number == 0 {
            return digits.get(at..).unwrap_or_default();
        }
    }
}
