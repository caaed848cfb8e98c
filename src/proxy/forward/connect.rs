// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to the endpoint that was picked, and the request on it.

use std::rc::Rc;
use std::sync::Arc;

use super::super::http::RequestBody;
use super::super::journey::Journey;
use super::{Forwarded, pseudo};
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::{Fault, Sent};
use crate::observe::Stage;
use crate::protocol::http1::{HeadLimits, RequestFraming, Upgrade};
use crate::upstream::connection::{self, Connection, Patience, Reply, SendError};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::http2;
use crate::upstream::pool::{Age, Named, Pool, Reuse};
use crate::upstream::retry;
use crate::upstream::transport::Speech;

/// How often a request is moved to another connection because an endpoint said goodbye before it looked at it. It costs
/// nothing but the frames, and a busy endpoint may say goodbye several times in a row.
const GOODBYES_MAX: u32 = 8;

/// What the request goes over.
pub(super) enum Way<'a> {
    /// A connection of its own for as long as it takes.
    Http1(Connection),
    /// A stream on a connection that others share.
    Http2(Multiplexed<'a>),
}

/// A place on a shared connection, and how to get another one.
pub(super) struct Multiplexed<'a> {
    slot: http2::Slot,
    head: ::http::Request<()>,
    pool: Rc<Pool>,
    reuse: Reuse,
    named: Option<Named>,
    endpoint: &'a Endpoint,
}

/// A way to the endpoint: a kept connection if there is one fit for this request, else a new one.
pub(super) async fn connect<'a>(
    journey: &Journey,
    upstream: &Upstream,
    endpoint: &'a Endpoint,
    framing: &RequestFraming,
    is_fresh: bool,
) -> Result<Way<'a>, Fault> {
    let pool = journey.worker.pool_of(upstream, endpoint);
    let reuse = if retry::is_idempotent(journey.x.request.method.as_str()) { Reuse::Any } else { Reuse::Young };
    let named = upstream.transport.proxy_header.map(|_| named(journey));
    if upstream.transport.speech == Speech::Http2 {
        only_http1(journey, upstream, framing)?;
        let head = pseudo::request(&journey.x, framing, &endpoint.name)?;
        let began = clock::now();
        let age = if is_fresh { Age::Fresh } else { Age::Any };
        // Boxed, so that requests over HTTP/1 do not carry the room for it.
        let slot = Box::pin(pool.slot(age, reuse, named, &|| upstream.overload.open(endpoint))).await;
        journey.time(Stage::Connect, began, clock::now());
        return slot.map(|slot| Way::Http2(Multiplexed { slot, head, pool, reuse, named, endpoint }));
    }
    if !is_fresh && let Some(connection) = pool.checkout_as(named, journey.worker.deadlines.now(), reuse) {
        return Ok(Way::Http1(connection));
    }
    let everywhere = upstream.overload.open(endpoint).or_else(|| {
        // One of our own that this request must not use makes room for one that it may.
        if pool.close_oldest() { upstream.overload.open(endpoint) } else { None }
    });
    let Some(everywhere) = everywhere else {
        return Err(Fault::ConnectionLimit { endpoint: Arc::clone(&endpoint.name) });
    };
    let began = clock::now();
    let connected = pool.connect_as(named, upstream.connect).await;
    journey.time(Stage::Connect, began, clock::now());
    connected.map(|connection| Way::Http1(connection.counted(everywhere)))
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

/// Who the endpoint is told the client is.
fn named(journey: &Journey) -> Named {
    let client = &journey.x.client;
    let (ip, peer) = (journey.x.client_ip, client.peer);
    // Behind a trusted proxy only the address is known.
    let source = if peer.ip().to_canonical() == ip { peer } else { (ip, 0).into() };
    Named { source, destination: client.local }
}

/// Sends the request and waits for the head of the reply. A body that was not touched is put back.
pub(super) async fn send<B>(
    journey: &Journey,
    upstream: &Upstream,
    way: Way<'_>,
    framing: &RequestFraming,
    head: &[u8],
    body: &mut Option<B>,
) -> Result<Forwarded<B>, Fault>
where
    B: RequestBody,
{
    let Some(taken) = body.take() else { return Err(Fault::Internal("a request body was sent twice")) };
    let sent = Some(if journey.attempts.len() > 1 { clock::now() } else { journey.x.arrived });
    let patience = Patience { reply: upstream.response, silence: upstream.idle };
    let outcome = match way {
        Way::Http1(connection) => {
            let outgoing = connection::Outgoing {
                method: &journey.x.request.method,
                head,
                framing: framing.framing,
                expect_continue: framing.expect_continue,
                upgrade: framing.upgrade == Some(Upgrade::WebSocket),
                body: taken,
                fields: journey.worker.buffers.fields(),
                limits: HeadLimits::default(),
                patience,
            };
            connection.send(outgoing, |status, fields, body| body.inform(status, fields)).await
        }
        Way::Http2(way) => Box::pin(multiplexed(journey, upstream, way, framing, taken, patience)).await,
    };
    match outcome {
        Ok(reply) => Ok(Forwarded { reply, sent, replied: clock::now() }),
        Err(SendError { fault, body: kept }) => {
            *body = kept;
            Err(fault)
        }
    }
}

async fn multiplexed<B: RequestBody>(
    journey: &Journey,
    upstream: &Upstream,
    way: Multiplexed<'_>,
    framing: &RequestFraming,
    mut body: B,
    patience: Patience,
) -> Result<Reply<B>, SendError<B>> {
    let Multiplexed { mut slot, mut head, pool, reuse, named, endpoint } = way;
    let permit = || upstream.overload.open(endpoint);
    let reply = pseudo::grpc_timeout(&journey.x).map_or(patience.reply, |timeout| timeout.min(patience.reply));
    let mut goodbyes = 0;
    loop {
        let outgoing = http2::Outgoing {
            head,
            is_bodiless: framing.framing.is_empty(),
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
        let again = pseudo::request(&journey.x, framing, pool.endpoint());
        (slot, head) = match (pool.slot(Age::Fresh, reuse, named, &permit).await, again) {
            (Ok(slot), Ok(head)) => (slot, head),
            (Err(fault), _) | (_, Err(fault)) => return Err(SendError { fault, body: Some(body) }),
        };
    }
}
