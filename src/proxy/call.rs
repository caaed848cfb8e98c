// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request of our own to an upstream, on behalf of one that waits for it.
//!
//! It is a journey like any other, through the limits, the balance, the pools and the retries of its upstream, and
//! what comes of it counts for the health of its endpoints. It passes no route and no policy, follows no redirect and is
//! not recorded: it is part of the exchange that asked. It ends with its time, or when that exchange does.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::time::timeout;

use super::edge;
use super::forward::{self, Forwarded, WholeBody};
use super::journey::Journey;
use crate::clock;
use crate::fault::Fault;
use crate::policy::{Call, Called};
use crate::protocol::http1::{Framing, RequestFraming};

/// Asks, and waits for the whole answer within the time and the bytes of the question. What did not come of a body is
/// no failure, as the status is known then.
pub(super) async fn call(journey: &Journey, call: Call) -> Result<Called, Fault> {
    let Call { upstream, head, body, timeout: within, reply_bytes_max } = call;
    let mut journey = journey.call(upstream, head);
    let upstream = journey.upstream().cloned().ok_or(Fault::Internal("a question to an upstream that is not there"))?;
    let began = clock::now();
    let forwarded = timeout(within, send(&mut journey, body)).await;
    let late = |_| Fault::CallTimeout { upstream: Arc::clone(&upstream.name), after: within };
    let reply = forwarded.map_err(late)??.reply;
    let (status, mut fields) = (reply.line.status, reply.fields);
    journey.status = status;
    edge::clean_reply(&mut fields);
    let left = within.saturating_sub(clock::now().saturating_duration_since(began));
    let body = read_within(reply.body, left, reply_bytes_max).await;
    Ok(Called { status, fields, body })
}

async fn send(journey: &mut Journey, body: Bytes) -> Result<Forwarded<forward::Sendable<WholeBody>>, Fault> {
    let framing = if body.is_empty() { Framing::None } else { Framing::Length(body.len() as u64) };
    let framing = RequestFraming { framing, keep_alive: true, expect_continue: false, upgrade: None };
    forward::forward(journey, &framing, WholeBody::new(body)).await
}

async fn read_within<B>(body: B, left: Duration, bytes_max: usize) -> Option<Bytes>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    timeout(left, read(body, bytes_max)).await.ok().flatten()
}

/// The whole of a body, or nothing.
async fn read<B>(mut body: B, bytes_max: usize) -> Option<Bytes>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            if whole.len() + data.len() > bytes_max {
                return None;
            }
            whole.extend_from_slice(&data);
        }
    }
    Some(whole.freeze())
}
