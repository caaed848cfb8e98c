// SPDX-License-Identifier: MIT OR Apache-2.0
//! One HTTP exchange from routed to replied. Each line is a stage; each stage is a module. Nothing here allocates when
//! no policy asks for it, and no stage is skipped by an early return without a reply.
//!
//! The record is written when the [`Journey`] ends: after the last byte of the reply, or when the client is gone.

use bytes::Bytes;
use http_body::Body;

use super::edge;
use super::forward::{self, Forwarded, Sendable};
use super::journey::Journey;
use super::policies;
use super::reply::Reply;
use crate::exchange::{Fields, Known};
use crate::fault::Fault;
use crate::observe::Stage;
use crate::policy;
use crate::protocol::http1::RequestFraming;
use crate::protocol::taker::Taker;
use crate::response;
use crate::route::{Found, Query};

/// A reply to a request with such a body, of which part may still be on its way to the endpoint.
pub type ReplyTo<B> = Reply<Sendable<B>>;

/// Answers a request. `body` is what follows its head, framed as `framing` says.
pub async fn handle<B>(journey: &mut Journey, framing: &RequestFraming, body: B) -> ReplyTo<B>
where
    B: RequestBody,
{
    let outcome = travel(journey, framing, body).await;
    finish(journey, outcome)
}

async fn travel<B>(journey: &mut Journey, framing: &RequestFraming, body: B) -> Result<ReplyTo<B>, Fault>
where
    B: RequestBody,
{
    find_route(journey)?;
    limit_body(journey, &body)?;
    if let Some(reply) = policies::check(journey).await? {
        return Ok(Reply::of_policy(reply));
    }
    if journey.snapshot.is_traced {
        journey.continue_trace();
    }
    let forwarded = forward::forward(journey, framing, body).await?;
    Ok(clean(journey, forwarded))
}

/// Both outcomes end here: a fault becomes bytes in `response` and nowhere else, and every reply of a route passes its
/// policies.
fn finish<B>(journey: &mut Journey, outcome: Result<Reply<B>, Fault>) -> Reply<B> {
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(fault) => {
            let reply = Reply::of_answer(response::fault_page(&fault, journey.x.id, journey.worker.buffers.fields()));
            journey.fault = Some(fault);
            reply
        }
    };
    if let Some(route) = journey.route() {
        policy::on_reply(&route.policies, &journey.notes, &mut reply.fields);
    }
    journey.status = reply.status;
    reply
}

/// A fault from before a route could be looked for, as a reply.
pub fn refuse<B>(journey: &mut Journey, fault: Fault) -> ReplyTo<B> {
    finish(journey, Err(fault))
}

fn find_route(journey: &mut Journey) -> Result<(), Fault> {
    let request = &journey.x.request;
    let query = Query {
        host: request.host(),
        path: request.matched(),
        query: request.query(),
        method: &request.method,
        fields: &request.fields,
    };
    match journey.snapshot.table.find(&query) {
        Found::Hit(index, _captures) => journey.route = Some(*index),
        _ if request.method == http::Method::CONNECT => return Err(NO_CONNECT),
        Found::Method(allowed) => {
            let allowed: Vec<&str> = allowed.iter().map(http::Method::as_str).collect();
            return Err(Fault::Method { allowed: allowed.join(", ") });
        }
        Found::Miss => return Err(Fault::NoRoute),
    }
    if journey.x.request.method == http::Method::CONNECT && !journey.route().is_some_and(|route| route.connect) {
        return Err(NO_CONNECT);
    }
    Ok(())
}

/// Unless a route says otherwise.
const NO_CONNECT: Fault = Fault::Malformed("CONNECT is not served here");

fn limit_body<B: RequestBody>(journey: &Journey, body: &B) -> Result<(), Fault> {
    let listener = journey.snapshot.listeners.get(&journey.x.client.listener).map(|listener| listener.body);
    let route = journey.route().and_then(|route| route.max_body);
    match route.into_iter().chain(listener).min() {
        Some(limit) => body.limit(limit),
        None => Ok(()),
    }
}

/// What an endpoint sent, without what was for us.
fn clean<B>(journey: &mut Journey, forwarded: Forwarded<B>) -> Reply<B> {
    let now = forwarded.replied;
    if let Some(sent) = forwarded.sent {
        journey.time(Stage::Wait, sent, now);
    }
    journey.replied = Some(now);
    let mut reply = Reply::of_endpoint(forwarded.reply);
    edge::clean_reply(&mut reply.fields);
    // After that, so that nothing an endpoint names can take it away.
    forward::answered(journey, &mut reply.fields);
    if reply.status == 204 {
        // RFC 9110 section 8.6: a length here would promise a body.
        reply.fields.remove(Known::ContentLength);
    }
    edge::add_via(&mut reply.fields, crate::exchange::Protocol::Http11);
    reply
}

/// The body of a request, whatever protocol it comes by.
pub trait RequestBody: Body<Data = Bytes, Error = Fault> + Unpin {
    /// Refuses more than `limit` bytes, at once if they are announced.
    fn limit(&self, limit: u64) -> Result<(), Fault>;

    /// Passes an interim reply of the endpoint on to the client, where the protocol can (RFC 9110 section 15.2).
    fn inform(&self, status: u16, fields: &Fields);

    /// Lets a copy be taken of what comes.
    fn copy_to(&mut self, taker: Taker);
}
