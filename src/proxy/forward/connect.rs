// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to the endpoint that was picked, and the request on it.

use std::sync::Arc;

use super::super::http::RequestBody;
use super::super::journey::Journey;
use super::Forwarded;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::observe::Stage;
use crate::protocol::http1::{HeadLimits, RequestFraming, Upgrade};
use crate::upstream::connection::{Connection, Outgoing, Patience, SendError};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::pool::Reuse;
use crate::upstream::retry;

/// A connection: a kept one if there is one fit for this request, else a new one.
pub(super) async fn connect(
    journey: &Journey,
    upstream: &Upstream,
    endpoint: &Endpoint,
    is_fresh: bool,
) -> Result<Connection, Fault> {
    let pool = journey.worker.pool_of(upstream, endpoint);
    let reuse = if retry::is_idempotent(journey.x.request.method.as_str()) { Reuse::Any } else { Reuse::Young };
    if !is_fresh && let Some(connection) = pool.checkout(journey.worker.deadlines.now(), reuse) {
        return Ok(connection);
    }
    let everywhere = upstream.overload.open(endpoint).or_else(|| {
        // One of our own that this request must not use makes room for one that it may.
        if pool.close_oldest() { upstream.overload.open(endpoint) } else { None }
    });
    let Some(everywhere) = everywhere else {
        return Err(Fault::ConnectionLimit { endpoint: Arc::clone(&endpoint.name) });
    };
    let began = clock::now();
    let connected = pool.connect(upstream.connect).await;
    journey.time(Stage::Connect, began, clock::now());
    connected.map(|connection| connection.counted(everywhere))
}

/// Sends the request and waits for the head of the reply. A body that was not touched is put back.
pub(super) async fn send<B>(
    journey: &Journey,
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
