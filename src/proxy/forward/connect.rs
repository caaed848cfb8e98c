// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to the endpoint that was picked, and the request on it.

use std::sync::Arc;
use std::time::Instant;

use super::super::http::RequestBody;
use super::super::journey::Journey;
use super::going::{Answered, Going, Left};
use super::replay::Sendable;
use super::{Forwarded, measure, pseudo};
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::exchange::Fields;
use crate::fault::{Fault, Sent};
use crate::observe::Stage;
use crate::protocol::http1::{HeadLimits, RequestFraming, Upgrade};
use crate::upstream::connection::{Connection, Outgoing, Patience, Reply, SendError, Sending};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::http2;
use crate::upstream::pool::{Age, Named, Reuse};
use crate::upstream::retry;

/// How often a request is moved to another connection because an endpoint said goodbye before it looked at it. It costs
/// nothing but the frames, and a busy endpoint may say goodbye several times in a row.
const GOODBYES_MAX: u32 = 8;

/// A kept connection that is fit for this request, if there is one.
pub(super) fn kept(journey: &Journey, upstream: &Upstream, endpoint: &Endpoint, age: Age) -> Option<Connection> {
    if age == Age::Fresh {
        return None;
    }
    let pool = journey.worker.pool_of(upstream, endpoint);
    pool.checkout_as(named(journey, upstream), journey.worker.deadlines.now(), reuse(journey))
}

/// A new connection.
pub(super) async fn open(journey: &Journey, upstream: &Upstream, endpoint: &Endpoint) -> Result<Connection, Fault> {
    let pool = journey.worker.pool_of(upstream, endpoint);
    let everywhere = upstream.overload.open(endpoint).or_else(|| {
        // One of our own that this request must not use makes room for one that it may.
        if pool.close_oldest() { upstream.overload.open(endpoint) } else { None }
    });
    let Some(everywhere) = everywhere else {
        return Err(Fault::ConnectionLimit { endpoint: Arc::clone(&endpoint.name) });
    };
    let began = clock::now();
    let connected = pool.connect_as(named(journey, upstream), upstream.connect).await;
    journey.time(Stage::Connect, began, clock::now());
    connected.map(|connection| connection.counted(everywhere))
}

/// How careful this request has to be with a connection that was used before.
fn reuse(journey: &Journey) -> Reuse {
    if retry::is_idempotent(journey.x.request.method.as_str()) { Reuse::Any } else { Reuse::Young }
}

/// Who the endpoint is told the client is, if it is told.
fn named(journey: &Journey, upstream: &Upstream) -> Option<Named> {
    upstream.transport.proxy_header?;
    let client = &journey.x.client;
    let (ip, peer) = (journey.x.client_ip, client.peer);
    // Behind a trusted proxy only the address is known.
    let source = if peer.ip().to_canonical() == ip { peer } else { (ip, 0).into() };
    Some(Named { source, destination: client.local })
}

/// The request on its way over a connection of its own.
pub(super) fn send<'a, B: RequestBody>(
    journey: &'a Journey,
    going: Going<'a>,
    connection: Connection,
    body: Sendable<B>,
) -> Sending<'a, Sendable<B>, impl FnMut(u16, &Fields, &Sendable<B>) + use<B>> {
    let framing = going.framing;
    let outgoing = Outgoing {
        method: &journey.x.request.method,
        head: going.head,
        framing: framing.framing,
        expect_continue: framing.expect_continue,
        upgrade: framing.upgrade == Some(Upgrade::WebSocket),
        body,
        fields: journey.worker.buffers.fields(),
        limits: HeadLimits::default(),
        patience: patience(going.upstream),
    };
    connection.send(outgoing, |status, fields, body| body.inform(status, fields))
}

fn patience(upstream: &Upstream) -> Patience {
    Patience { reply: upstream.response, silence: upstream.idle }
}

/// What came of it. A body that was not touched is put back.
pub(super) fn answered<B>(
    outcome: Result<Reply<Sendable<B>>, SendError<Sendable<B>>>,
    sent: Instant,
    left: &mut Left<B>,
) -> Answered<B> {
    match outcome {
        Ok(reply) => Ok(Forwarded { reply, sent, replied: clock::now() }),
        Err(SendError { fault, body }) => {
            *left = body;
            Err(fault)
        }
    }
}

/// The same over a stream of a connection that others share, up to the head of the reply.
pub(super) async fn over_http2<B: RequestBody>(
    journey: &Journey,
    going: Going<'_>,
    endpoint: &Endpoint,
    age: Age,
    body: Sendable<B>,
    (left, measured): (&mut Left<B>, &mut Option<Instant>),
) -> Answered<B> {
    let place = match place(journey, going, endpoint, age).await {
        Ok(place) => place,
        Err(fault) => {
            *left = Some(body);
            return Err(fault);
        }
    };
    *measured = measure::begin(going.upstream, going.framing);
    let sent = journey.attempt_sent();
    answered(multiplexed(journey, going, endpoint, place, body).await, sent, left)
}

/// A place on a shared connection, and the head that goes there.
type Place = (http2::Slot, ::http::Request<()>);

async fn place(journey: &Journey, going: Going<'_>, endpoint: &Endpoint, age: Age) -> Result<Place, Fault> {
    only_http1(journey, going.upstream, going.framing)?;
    let head = pseudo::request(&journey.x, going.framing, &endpoint.name)?;
    let began = clock::now();
    let slot = slot(journey, going.upstream, endpoint, age).await;
    journey.time(Stage::Connect, began, clock::now());
    Ok((slot?, head))
}

async fn slot(journey: &Journey, upstream: &Upstream, endpoint: &Endpoint, age: Age) -> Result<http2::Slot, Fault> {
    let pool = journey.worker.pool_of(upstream, endpoint);
    let permit = || upstream.overload.open(endpoint);
    pool.slot(age, reuse(journey), named(journey, upstream), &permit).await
}

async fn multiplexed<B: RequestBody>(
    journey: &Journey,
    going: Going<'_>,
    endpoint: &Endpoint,
    (mut slot, mut head): Place,
    mut body: B,
) -> Result<Reply<B>, SendError<B>> {
    let patience = patience(going.upstream);
    let reply = pseudo::grpc_timeout(&journey.x).map_or(patience.reply, |timeout| timeout.min(patience.reply));
    let mut goodbyes = 0;
    loop {
        let outgoing = http2::Outgoing {
            head,
            is_bodiless: going.framing.framing.is_empty(),
            body,
            fields: journey.worker.buffers.fields(),
            limits: HeadLimits::default(),
            patience: Patience { reply, ..patience },
        };
        let sent = slot.send(outgoing, |status, fields, body| body.inform(status, fields)).await;
        goodbyes += 1;
        body = match sent {
            Err(SendError { fault: Fault::Stale { sent: Sent::Nothing, .. }, body: Some(body) })
                if goodbyes <= GOODBYES_MAX =>
            {
                body
            }
            ended => return ended,
        };
        let again = pseudo::request(&journey.x, going.framing, &endpoint.name);
        (slot, head) = match (self::slot(journey, going.upstream, endpoint, Age::Fresh).await, again) {
            (Ok(slot), Ok(head)) => (slot, head),
            (Err(fault), _) | (_, Err(fault)) => return Err(SendError { fault, body: Some(body) }),
        };
    }
}

/// What can be done only with a connection of its own.
fn only_http1(journey: &Journey, upstream: &Upstream, framing: &RequestFraming) -> Result<(), Fault> {
    let what = match framing.upgrade {
        Some(Upgrade::WebSocket) => "a WebSocket",
        _ if journey.x.request.method == ::http::Method::CONNECT => "CONNECT",
        Some(Upgrade::Other) | None => return Ok(()),
    };
    Err(Fault::OnlyHttp1 { upstream: upstream.name.clone(), what })
}
