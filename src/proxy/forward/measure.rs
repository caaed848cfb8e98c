// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long an endpoint took, for a balance that goes by it: to the head of a reply, and to its last byte.
//!
//! Nothing is measured, and no clock is read, for the others. What a slow client causes is left out: a long request
//! body ends when the client ends it, and a long reply when the client has read it. A long reply that the endpoint
//! lets drip is seen as in flight all that time.

use std::time::{Duration, Instant};

use super::super::journey::Journey;
use super::Forwarded;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::exchange::Fields;
use crate::fault::{Blame, Fault};
use crate::protocol::http1::{Framing, RequestFraming};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::latency::millis;

/// The longest request body that has surely come when its head has.
const REQUEST_MAX: u64 = 16 * 1024;

/// The longest reply that fits in the buffers on its way, so that its last byte does not wait for the client.
const REPLY_MAX: u64 = 64 * 1024;

/// How long an endpoint is left alone that refused and did not say for how long, or did not answer.
const WAIT: Duration = Duration::from_secs(5);

/// When an attempt begins that is to be measured.
pub(super) fn begin(upstream: &Upstream, framing: &RequestFraming) -> Option<Instant> {
    let is_short = match framing.framing {
        Framing::None => true,
        Framing::Length(bytes) => bytes <= REQUEST_MAX,
        Framing::Chunked | Framing::UntilClose => false,
    };
    (is_short && upstream.balance.kind().measures()).then(clock::now)
}

/// An attempt ended with this; it began at `began` if it got a connection and is to be measured.
pub(super) fn attempted<B>(
    upstream: &Upstream,
    endpoint: &Endpoint,
    result: &Result<Forwarded<B>, Fault>,
    began: Option<Instant>,
) {
    if !upstream.balance.kind().measures() {
        return;
    }
    let now = clock::now();
    let (took, now_ms) = (began.map(|began| now - began), millis(clock::since_start_ns_at(now)));
    let latency = &endpoint.live.latency;
    match result {
        Ok(forwarded) => {
            let fields = &forwarded.reply.fields;
            let (status, took) = (forwarded.reply.line.status, took.unwrap_or_default());
            if let Some(wait) = refusal(status, fields) {
                latency.refused(took, now_ms, wait);
            } else if began.is_none() {
            } else if status >= 500 {
                latency.erred(took, now_ms);
            } else {
                latency.answered(took, now_ms);
            }
        }
        Err(fault) if fault.facts().blame == Blame::Endpoint && !matches!(fault, Fault::Stale { .. }) => {
            latency.refused(took.unwrap_or_default(), now_ms, WAIT);
        }
        Err(_) => {}
    }
}

/// How long an endpoint asks to be left alone that refuses a request because of its load (RFC 9110 section 10.2.3).
fn refusal(status: u16, fields: &Fields) -> Option<Duration> {
    let asked = fields.named(b"retry-after").next();
    let seconds = asked.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
    let wait = seconds.map_or(WAIT, |seconds: u32| Duration::from_secs(seconds.max(1).into()));
    (status == 429 || (status == 503 && asked.is_some())).then_some(wait)
}

/// The last byte of the reply is out, or will never be.
pub(in super::super) fn ended(journey: &Journey) {
    let Some((began, upstream)) = journey.measured.get().zip(journey.upstream()) else { return };
    let last = journey.attempts.last().map(|attempt| attempt.choice.index);
    let Some(endpoint) = last.and_then(|index| upstream.endpoints.get(index)) else { return };
    let now = clock::now();
    let (took, now_ms) = (now - began, millis(clock::since_start_ns_at(now)));
    match &journey.fault {
        Some(fault) if fault.facts().blame == Blame::Endpoint => endpoint.live.latency.refused(took, now_ms, WAIT),
        None if journey.bytes_out <= REPLY_MAX => endpoint.live.latency.erred(took, now_ms),
        Some(_) | None => {}
    }
}
