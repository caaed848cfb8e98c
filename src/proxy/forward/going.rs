// SPDX-License-Identifier: MIT OR Apache-2.0
//! One attempt at one endpoint, from the connection to the head of the reply, and who learns from how long it took.
//!
//! This is where nearly every request waits, so whatever is rare here (a new connection, HTTP/2) is boxed: the future of
//! every exchange has room for the common case and no more.

use super::super::http::RequestBody;
use super::super::journey::Journey;
use super::super::worker::UpstreamMemory;
use super::replay::Sendable;
use super::{Forwarded, admit, connect, measure};
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::protocol::http1::RequestFraming;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::pool::Age;
use crate::upstream::retry;
use crate::upstream::transport::Speech;

/// What every attempt of a request has in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Going<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) memory: &'a UpstreamMemory,
    pub(super) framing: &'a RequestFraming,
    pub(super) head: &'a [u8],
}

/// A request body, or what is left of it.
pub(super) type Left<B> = Option<Sendable<B>>;

pub(super) type Answered<B> = Result<Forwarded<Sendable<B>>, Fault>;

impl Going<'_> {
    /// Runs one attempt; a body that was not touched is put into `left`. An endpoint of which a kept connection turned
    /// out to be dead gets a new one (`age`).
    pub(super) async fn run<B: RequestBody>(
        self,
        journey: &Journey,
        endpoint: &Endpoint,
        age: Age,
        body: Sendable<B>,
        left: &mut Left<B>,
    ) -> Answered<B> {
        let Self { upstream, framing, .. } = self;
        let began = admit::is_measured(upstream).then(clock::now);
        let mut measured = None;
        let result = if upstream.transport.speech == Speech::Http2 {
            Box::pin(connect::over_http2(journey, self, endpoint, age, body, (left, &mut measured))).await
        } else {
            let connection = match connect::kept(journey, upstream, endpoint, age) {
                Some(connection) => Ok(connection),
                None => Box::pin(connect::open(journey, upstream, endpoint)).await,
            };
            match connection {
                Ok(connection) => {
                    measured = measure::begin(upstream, framing);
                    let sent = journey.attempt_sent();
                    connect::answered(connect::send(journey, self, connection, body).await, sent, left)
                }
                Err(fault) => {
                    *left = Some(body);
                    Err(fault)
                }
            }
        };
        measure::attempted(upstream, endpoint, &result, measured);
        if let Ok(forwarded) = &result {
            // A connection that became a tunnel ends when it ends.
            journey.measured.set(measured.filter(|_| forwarded.reply.tunnel.is_none()));
            if let Some(began) = began {
                admit::measure(upstream, self.memory, clock::now().saturating_duration_since(began));
            }
        }
        result
    }

    /// Whether anything may happen beside an attempt.
    pub(super) fn is_watched(self) -> bool {
        self.upstream.overload.hedge.is_some() || self.upstream.retry.per_try.is_some()
    }

    /// Whether a second copy may go, as far as the request itself goes.
    pub(super) fn may_copy(self, journey: &Journey) -> bool {
        let is_plain = self.framing.framing.is_empty() && self.framing.upgrade.is_none();
        is_plain && retry::is_idempotent(journey.x.request.method.as_str())
    }
}
