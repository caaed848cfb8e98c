// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upstreams and their endpoints.
//!
//! An endpoint is known by its address: one that was there before keeps its health, its requests in flight and its
//! counters. A new one starts in doubt if the upstream is checked, or as it was before the process started.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weirgate_store::model::{self, Model, RetryCondition};

use super::listener::Certificates;
use super::transport::transport;
use super::{Given, Indices, health, sticky};
use crate::config::membership::Membership;
use crate::config::problems::Problems;
use crate::config::snapshot::{Care, Upstream};
use crate::observe::Metered;
use crate::upstream::adaptive::Bounds;
use crate::upstream::endpoint::{Endpoint, Live};
use crate::upstream::health::State;
use crate::upstream::limits::{Limits, Overload};
use crate::upstream::transport::Transport;
use crate::upstream::{breaker, hedge, outlier, retry};

pub(super) fn upstreams(
    model: &Model,
    certificates: &Certificates,
    given: &Given<'_>,
    problems: &mut Problems,
) -> (Vec<Arc<Upstream>>, Indices) {
    let mut all = Vec::with_capacity(model.upstreams.len());
    let mut indices = Indices::new();
    let earlier = earlier(given);
    for (at, (name, upstream)) in (0..).zip(&model.upstreams) {
        let name: Arc<str> = name.as_str().into();
        indices.insert(Arc::clone(&name), at);
        let earlier = earlier.get(&*name).copied();
        let before = earlier.map(|upstream| &upstream.transport);
        // What is wrong with a transport is told as a problem, and then none of this is used.
        let transport = transport(&name, upstream, certificates, before, problems).unwrap_or_default();
        all.push(Arc::new(one(&name, upstream, transport, earlier, given)));
    }
    (all, indices)
}

/// One upstream with the endpoints that are known now.
pub(super) fn again(model: &Model, name: &str, given: &Given<'_>) -> Option<Upstream> {
    let upstream = model.upstreams.get(name)?;
    let earlier = given.previous.and_then(|snapshot| snapshot.upstream(name))?;
    let transport = Arc::clone(&earlier.transport);
    Some(one(&Arc::from(name), upstream, transport, Some(earlier), given))
}

/// The upstreams that run now, by name: a search per upstream would be quadratic.
fn earlier<'s>(given: &Given<'s>) -> HashMap<&'s str, &'s Arc<Upstream>> {
    let upstreams = given.previous.map(|snapshot| snapshot.upstreams.as_slice()).unwrap_or_default();
    upstreams.iter().map(|upstream| (&*upstream.name, upstream)).collect()
}

fn one(
    name: &Arc<str>,
    upstream: &model::Upstream,
    transport: Arc<Transport>,
    earlier: Option<&Arc<Upstream>>,
    given: &Given<'_>,
) -> Upstream {
    let held: HashMap<SocketAddr, &Arc<Live>> =
        earlier.iter().flat_map(|u| &u.endpoints).map(|endpoint| (endpoint.address, &endpoint.live)).collect();
    let endpoint = |written: &model::Endpoint| {
        let live = match held.get(&written.address) {
            Some(live) => Arc::clone(live),
            None => Arc::new(Live::new(first_state(name, upstream, written, given), written.weight)),
        };
        let endpoint = Endpoint::new(written.address, written.weight, written.backup, live);
        Arc::new(endpoint.placed(written.priority, written.zone.as_deref()))
    };
    let (members, membership) = Membership::of(name, upstream, given.found);
    let endpoints: Vec<_> = members.iter().map(endpoint).collect();
    let meter = |endpoint: &Arc<Endpoint>| given.meters.meter(Metered::Endpoint, &format!("{name}/{}", endpoint.name));
    Upstream {
        id: earlier.map_or_else(next_id, |upstream| upstream.id),
        name: Arc::clone(name),
        balance: super::balance::balancer(upstream, &endpoints, earlier.map(|earlier| &earlier.balance)),
        endpoint_meters: endpoints.iter().map(meter).collect(),
        endpoints,
        health: health::plan(upstream, &transport),
        transport,
        membership,
        retry: retry_rules(&upstream.retry),
        overload: overload(upstream, earlier),
        connect: upstream.timeouts.connect.0,
        response: upstream.timeouts.response.0,
        idle: upstream.timeouts.idle.0,
        proxy_protocol: upstream.proxy_protocol,
        care: care(upstream),
        sticky: sticky::sticky(name, upstream, earlier, given),
        meter: given.meters.meter(Metered::Upstream, name),
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An endpoint that joins a running daemon proves itself before it gets traffic; at the start of the process what was
/// known before counts, and what was not known is trusted until checks say otherwise.
fn first_state(name: &str, upstream: &model::Upstream, written: &model::Endpoint, given: &Given<'_>) -> State {
    // An agent alone says nothing about life, and may never be heard.
    if !health::is_checked(upstream) {
        return State::Unknown;
    }
    match given.previous {
        Some(_) => State::New,
        None => (given.restored)(name, &written.address.to_string()).unwrap_or(State::Unknown),
    }
}

fn retry_rules(written: &model::Retry) -> retry::Rules {
    let cause = |condition: &RetryCondition| match condition {
        RetryCondition::Connect => retry::Cause::Connect,
        RetryCondition::Reset => retry::Cause::Reset,
        RetryCondition::Timeout => retry::Cause::Timeout,
        RetryCondition::Status429 => retry::Cause::Status(429),
        RetryCondition::Status500 => retry::Cause::Status(500),
        RetryCondition::Status502 => retry::Cause::Status(502),
        RetryCondition::Status503 => retry::Cause::Status(503),
        RetryCondition::Status504 => retry::Cause::Status(504),
    };
    retry::Rules {
        // The file counts tries after the first, the rules count all.
        attempts: written.attempts.saturating_add(1),
        on: written.on.iter().map(cause).collect(),
        percent: u32::from(written.budget.0),
        per_try: written.per_try.map(|span| span.0),
        buffer: written.buffer.0,
    }
}

/// What bounds it, with the counts of the upstream that ran under this name before.
fn overload(written: &model::Upstream, earlier: Option<&Arc<Upstream>>) -> Overload {
    let breaker = written.breaker.as_ref().map(|breaker| breaker::Rules {
        consecutive: breaker.consecutive_failures,
        percent: u32::from(breaker.failure_rate.0),
        requests: breaker.requests,
        open: breaker.open.0,
        open_max: breaker.open_max.0,
    });
    let hedge = written.hedge.as_ref();
    Overload {
        limits: limits(&written.limits),
        breaker,
        hedge: hedge.map(|hedge| hedge::Rules { percentile: u32::from(hedge.percentile.0), after: hedge.after.0 }),
        load: earlier.map(|upstream| Arc::clone(&upstream.overload.load)).unwrap_or_default(),
    }
}

fn limits(written: &model::UpstreamLimits) -> Limits {
    // The file says 0 for no limit, the rules the largest number, so that the request path compares and asks nothing.
    let limit = |number: u32| if number == 0 { u32::MAX } else { number };
    Limits {
        connections: limit(written.connections),
        requests: limit(written.requests),
        endpoint_connections: limit(written.endpoint_connections),
        endpoint_requests: limit(written.endpoint_requests),
        queue: written.queue,
        patience: written.queue_timeout.0,
        adaptive: written.adaptive.as_ref().map(|adaptive| Bounds { least: adaptive.least, most: adaptive.most }),
    }
}

fn care(written: &model::Upstream) -> Care {
    let outlier = |outlier: &model::Outlier| outlier::Rules {
        consecutive: outlier.consecutive_failures,
        rate: u32::from(outlier.failure_rate.0),
        requests: outlier.requests,
        interval: outlier.interval.0,
        eject: outlier.eject.0,
        eject_max: outlier.eject_max.0,
        ejected_max: u32::from(outlier.ejected_max.0),
    };
    Care {
        outlier: written.outlier.as_ref().map(outlier),
        panic_percent: u32::from(written.panic.0),
        slow_start: written.slow_start.map(|span| span.0),
    }
}
