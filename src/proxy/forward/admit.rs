// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a request may go to its upstream now: the breaker, then a place within the limits, if need be after a wait.
//!
//! An upstream without limits costs one comparison here. With limits a request takes a place and an endpoint that has
//! room; if there is none it waits in the upstream's queue until one is called out for it, its time is over, or its
//! client is gone. Whoever already holds a place (a retry) never waits for another: that would hold up the rest.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weirgate_store::wire::{Event, ExplainStep};

use super::super::journey::{Journey, Sake};
use super::super::worker::UpstreamMemory;
use super::attempt::Attempts;
use super::pick::pick;
use super::turn;
use crate::balance::Choice;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::{Blame, Fault};
use crate::observe::Stage;
use crate::upstream::breaker::{Admission, Ending, Probe, Transition};
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::limits::{Overload, Place};

/// Endpoints that filled up between being picked and being taken, before a request goes back to the queue.
const RACES_MAX: u32 = 3;

/// The urgency of what nobody waits for (RFC 9218 section 4.1).
const URGENCY_LAST: u8 = 7;

/// What an exchange holds of its upstream while it is under way.
#[derive(Debug, Default)]
pub struct Admitted {
    place: Option<Place>,
    probe: Option<Probe>,
    /// How long it waited in the queue.
    pub waited: Option<Duration>,
}

/// Asks the breaker.
pub(super) fn enter(journey: &mut Journey, upstream: &Upstream) -> Result<(), Fault> {
    let breaker = &upstream.overload.load.breaker;
    if upstream.overload.breaker.is_none() || breaker.is_closed() {
        return Ok(());
    }
    match breaker.admit(clock::since_start_ns()) {
        Admission::Pass => Ok(()),
        Admission::Probe(probe) => {
            journey.admitted.probe = Some(probe);
            Ok(())
        }
        Admission::Refuse { left } => {
            let reason = breaker.why().to_string();
            Err(Fault::BreakerOpen { upstream: Arc::clone(&upstream.name), left, reason })
        }
    }
}

/// Tells the breaker how the exchange went, and everybody if that changed it.
pub(super) fn leave(journey: &mut Journey, upstream: &Upstream, outcome: Result<u16, &Fault>) {
    let Some(rules) = &upstream.overload.breaker else { return };
    let ending = match outcome {
        Ok(status) if status < 500 => Ending::Good,
        Ok(_) => Ending::Failed,
        Err(fault) if is_failure(fault) => Ending::Failed,
        // A client's fault says nothing of the upstream.
        Err(_) => return,
    };
    let breaker = &upstream.overload.load.breaker;
    let turned = match journey.admitted.probe.take() {
        Some(probe) => probe.end(rules, ending, clock::since_start_ns()),
        // Time is needed only to count: nothing to look up while all is well.
        None if ending == Ending::Good && rules.percent == 0 => breaker.observe(rules, ending, 0),
        None => breaker.observe(rules, ending, clock::since_start_ns()),
    };
    if let Some(transition) = turned {
        tell(journey, upstream, transition);
    }
}

/// Whether a fault means that a request failed at the upstream, and was not merely refused here.
fn is_failure(fault: &Fault) -> bool {
    let is_refusal = matches!(fault, Fault::NoEndpoint { .. } | Fault::BreakerOpen { .. });
    fault.facts().blame == Blame::Endpoint && !is_refusal
}

#[cold]
fn tell(journey: &Journey, upstream: &Upstream, transition: Transition) {
    let text = format!("upstream {}: {transition}", upstream.name);
    tracing::warn!(upstream = %upstream.name, "{transition}");
    let author = "weirgate".to_owned();
    journey.worker.shared.observer.publish(Event::Audit { time_ms: clock::wall_ms(), author, text });
}

/// An endpoint for the next attempt, with its place taken; none if the request has to [`wait`] for one.
pub(super) fn at_once(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Result<Option<(Choice, InFlight)>, Fault> {
    if !upstream.overload.limits.is_set() {
        let choice = pick(journey, upstream, memory, attempts)?;
        let in_flight = endpoint_of(upstream, choice)?.live.begin(journey.attempt_began_ns());
        return Ok(Some((choice, in_flight)));
    }
    let may_wait = attempts.tried.is_empty();
    let is_queued = may_wait && (attempts.is_crowded || upstream.overload.load.queue.waiting() > 0);
    if !is_queued && let Some(taken) = take(journey, upstream, memory, attempts)? {
        return Ok(Some(taken));
    }
    if may_wait {
        return Ok(None);
    }
    let fault = journey.attempts.iter().rev().find_map(|attempt| attempt.fault.clone());
    Err(fault.unwrap_or(Fault::Internal("a retry without a failure before it")))
}

pub(super) fn endpoint_of(upstream: &Upstream, choice: Choice) -> Result<&Arc<Endpoint>, Fault> {
    upstream.endpoints.get(choice.index).ok_or(Fault::Internal("picked past the end"))
}

/// A place and an endpoint, if both can be had at once.
fn take(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Result<Option<(Choice, InFlight)>, Fault> {
    let (limits, load) = (&upstream.overload.limits, &upstream.overload.load);
    let most = load.requests_max(limits);
    if journey.admitted.place.is_none() && load.requests() >= most {
        return Ok(None);
    }
    for _ in 0..RACES_MAX {
        attempts.met_full.set(false);
        let choice = match pick(journey, upstream, memory, attempts) {
            Ok(choice) => choice,
            Err(_) if attempts.tried.is_empty() && attempts.met_full.get() => break,
            Err(fault) => return Err(fault),
        };
        if journey.admitted.place.is_none() {
            let Some(place) = load.take(most) else { return Ok(None) };
            journey.admitted.place = Some(place);
        }
        let live = &endpoint_of(upstream, choice)?.live;
        if let Some(in_flight) = live.try_begin(limits.requests_of(live), clock::since_start_ns()) {
            return Ok(Some((choice, in_flight)));
        }
    }
    if attempts.tried.is_empty()
        && let Some(place) = journey.admitted.place.take()
    {
        place.give_back();
    }
    Ok(None)
}

/// Whether the limits of an upstream leave this endpoint room for a request of this worker.
pub(super) fn has_room(journey: &Journey, upstream: &Upstream, endpoint: &Endpoint) -> bool {
    let limits = &upstream.overload.limits;
    if !limits.is_set() {
        return true;
    }
    let may_connect = || {
        !limits.counts_connections()
            || upstream.overload.may_open(endpoint)
            || journey.worker.pool_of(upstream, endpoint).idle() > 0
    };
    endpoint.live.in_flight() < limits.requests_of(&endpoint.live) && may_connect()
}

/// Waits in the queue for a place.
pub(super) async fn wait(
    journey: &mut Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Result<(Choice, InFlight), Fault> {
    let (worker, urgency) = (Rc::clone(&journey.worker), urgency(journey));
    let before = journey.admitted.waited.unwrap_or_default();
    let began = clock::now();
    let taken = turn::wait(upstream, &worker, urgency, before, || take(journey, upstream, memory, attempts)).await;
    let now = clock::now();
    journey.time(Stage::Queue, began, now);
    if !matches!(taken, Err(Fault::QueueFull { .. })) {
        journey.admitted.waited = Some(before + now.saturating_duration_since(began));
    }
    let taken = taken?;
    if journey.admitted.probe.is_none() {
        // It may have opened meanwhile.
        enter(journey, upstream)?;
    }
    Ok(taken)
}

/// How urgent a request is: as its consumer is, else as its route is.
fn urgency(journey: &Journey) -> u8 {
    if journey.sake == Sake::Copy {
        return URGENCY_LAST;
    }
    let consumer = journey.identity.consumer.as_ref().and_then(|consumer| consumer.urgency);
    consumer.or_else(|| journey.route().map(|route| route.urgency)).unwrap_or_default()
}

/// What the breaker and the limits would say to a request now; nothing where there are none.
pub(in super::super) fn explain(upstream: &Upstream) -> Result<Option<ExplainStep>, Fault> {
    let Overload { limits, breaker: rules, load, .. } = &upstream.overload;
    let left = rules.and_then(|_| load.breaker.left(clock::since_start_ns()));
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        let reason = load.breaker.why().to_string();
        return Err(Fault::BreakerOpen { upstream: Arc::clone(&upstream.name), left, reason });
    }
    if !limits.is_set() {
        return Ok(None);
    }
    let (waiting, most) = (load.queue.waiting(), load.requests_max(limits));
    let decision = if waiting > 0 || load.requests() >= most {
        format!("waits in the queue of {}, up to {:?}: {}", upstream.name, limits.patience, turn::fullness(upstream))
    } else {
        "there is a place".to_owned()
    };
    let of = |most: u32| if most == u32::MAX { "no limit".to_owned() } else { most.to_string() };
    let details = vec![
        format!("{} requests in flight, {}", load.requests(), of(most)),
        format!("{} connections, {}", load.connections(), of(limits.connections)),
        format!("{waiting} wait, {} may", limits.queue),
    ];
    Ok(Some(ExplainStep { stage: "limits".to_owned(), decision, details }))
}

/// A second endpoint for a request that holds a place already, within the limits and ahead of nobody who waits.
pub(super) fn second(
    journey: &Journey,
    upstream: &Upstream,
    memory: &UpstreamMemory,
    attempts: &Attempts,
) -> Option<(Choice, InFlight, Option<Place>)> {
    let (limits, load) = (&upstream.overload.limits, &upstream.overload.load);
    if !limits.is_set() {
        let choice = pick(journey, upstream, memory, attempts).ok()?;
        return Some((choice, endpoint_of(upstream, choice).ok()?.live.begin(clock::since_start_ns()), None));
    }
    if load.queue.waiting() > 0 {
        return None;
    }
    let choice = pick(journey, upstream, memory, attempts).ok()?;
    let place = load.take(load.requests_max(limits))?;
    let live = &endpoint_of(upstream, choice).ok()?.live;
    Some((choice, live.try_begin(limits.requests_of(live), clock::since_start_ns())?, Some(place)))
}

/// A place that was taken and could not be used goes back to those who wait.
pub(super) fn step_back(journey: &mut Journey) {
    journey.in_flight = None;
    journey.admitted.place = None;
}

/// An attempt was given up for another one, so its endpoint has room.
pub(super) fn moved_on(upstream: &Upstream) {
    if upstream.overload.limits.is_set() {
        upstream.overload.load.queue.call();
    }
}

/// Learns from a reply how long one takes.
pub(super) fn measure(upstream: &Upstream, memory: &UpstreamMemory, took: Duration) {
    if upstream.overload.hedge.is_some() {
        memory.recent.borrow_mut().record(took);
    }
    if let Some(bounds) = upstream.overload.limits.adaptive {
        let (load, micros) = (&upstream.overload.load, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if load.adaptive.sample(bounds, micros, load.requests(), clock::since_start_ns()) {
            load.queue.call();
        }
    }
}

/// Whether replies have to be timed.
pub(super) fn is_measured(upstream: &Upstream) -> bool {
    upstream.overload.hedge.is_some() || upstream.overload.limits.adaptive.is_some()
}
