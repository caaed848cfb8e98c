// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wait in the queue of a full upstream, whatever waits: a request, or a TCP connection that a client opened.
//!
//! What is waited for is tried for by the caller's own function, when a place is called out for it and otherwise only
//! from the head of the line. It owns when to try and when to give up, and nothing of what is tried.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::super::worker::Worker;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::queue::Waiter;

/// How often the first in the queue looks by itself: an endpoint may have come back, or a limit risen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until `attempt` has something, in line with all others; `waited` is what this one has waited before.
pub(in super::super) async fn wait<T>(
    upstream: &Upstream,
    worker: &Worker,
    urgency: u8,
    waited: Duration,
    attempt: impl FnMut() -> Result<Option<T>, Fault>,
) -> Result<T, Fault> {
    let (limits, load) = (&upstream.overload.limits, &upstream.overload.load);
    let Some(waiter) = load.queue.join(urgency, limits.queue) else {
        let (name, waiting) = (Arc::clone(&upstream.name), load.queue.waiting());
        return Err(Fault::QueueFull { upstream: name, reason: fullness(upstream), waiting });
    };
    let began = clock::now();
    let taken = turn(upstream, worker, &waiter, limits.patience.saturating_sub(waited), attempt).await;
    drop(waiter);
    let is_timeout = matches!(taken, Err(Fault::QueueTimeout { .. }));
    load.queue.note(clock::now().saturating_duration_since(began), is_timeout);
    if taken.is_ok() && load.requests() < load.requests_max(limits) {
        // Whatever made this place may have made more.
        load.queue.call();
    }
    taken
}

/// Ends when this waiter has a place, or when it has waited long enough.
async fn turn<T>(
    upstream: &Upstream,
    worker: &Worker,
    waiter: &Waiter<'_>,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, Fault>,
) -> Result<T, Fault> {
    let mut over = pin!(tokio::time::sleep(patience));
    // Its first tick comes at once: a place may have become free before this one was in the line.
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let event = poll_fn(|cx| {
            if waiter.poll_called(cx).is_ready() {
                return Poll::Ready(Wake::Called);
            }
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Wake::Over);
            }
            looks.poll_tick(cx).map(|_| Wake::Look)
        })
        .await;
        if event == Wake::Look && !waiter.is_first() {
            continue;
        }
        if let Some(taken) = attempt()? {
            return Ok(taken);
        }
        if event == Wake::Over {
            let (name, waited) = (Arc::clone(&upstream.name), patience);
            return Err(Fault::QueueTimeout { upstream: name, reason: fullness(upstream), waited });
        }
        if upstream.overload.limits.counts_connections() {
            ask_for_connection(upstream, worker, waiter);
        }
    }
}

/// Why a waiter looks for a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Called,
    Look,
    Over,
}

/// What is free may be a connection that another worker keeps. It is asked to give one up, and meanwhile the place is
/// for whoever waits on that worker.
#[cold]
fn ask_for_connection(upstream: &Upstream, worker: &Worker, waiter: &Waiter<'_>) {
    upstream.overload.load.want();
    worker.shared.wanted.notify_waiters();
    waiter.pass_on();
}

/// What of an upstream is full, for the operator.
pub(super) fn fullness(upstream: &Upstream) -> String {
    let (limits, load) = (&upstream.overload.limits, &upstream.overload.load);
    let most = load.requests_max(limits);
    if load.requests() >= most {
        return format!("{} of {most} requests are in flight", load.requests());
    }
    if load.connections() >= limits.connections {
        return format!("{} of {} connections are open", load.connections(), limits.connections);
    }
    let line = |endpoint: &Arc<Endpoint>| {
        let live = &endpoint.live;
        let (requests, connections) = (limits.requests_of(live), limits.connections_of(live));
        if live.in_flight() >= requests {
            return Some(format!("{} has {} of {requests} requests", endpoint.name, live.in_flight()));
        }
        let open = live.load.connections();
        (open >= connections).then(|| format!("{} has {open} of {connections} connections", endpoint.name))
    };
    let full: Vec<_> = upstream.endpoints.iter().filter_map(line).take(FULL_LISTED_MAX).collect();
    if full.is_empty() { "it was until just now".to_owned() } else { full.join(", ") }
}

/// Full endpoints that a fault names.
const FULL_LISTED_MAX: usize = 8;
