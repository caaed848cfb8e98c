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
use super::{Given, Indices};
use crate::balance::Balance;
use crate::config::membership::Membership;
use crate::config::problems::Problems;
use crate::config::snapshot::{HealthPlan, Upstream};
use crate::observe::Metered;
use crate::upstream::endpoint::{Endpoint, Live};
use crate::upstream::health::probe::{Check, HttpCheck, Statuses};
use crate::upstream::health::{self, State};
use crate::upstream::retry;
use crate::upstream::transport::Transport;

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
        Arc::new(Endpoint::new(written.address, written.weight, written.backup, live))
    };
    let (members, membership) = Membership::of(name, upstream, given.found);
    let endpoints: Vec<_> = members.iter().map(endpoint).collect();
    let meter = |endpoint: &Arc<Endpoint>| given.meters.meter(Metered::Endpoint, &format!("{name}/{}", endpoint.name));
    Upstream {
        id: earlier.map_or_else(next_id, |upstream| upstream.id),
        name: Arc::clone(name),
        balance: balance(upstream.balance),
        endpoint_meters: endpoints.iter().map(meter).collect(),
        endpoints,
        transport,
        membership,
        retry: retry_rules(&upstream.retry),
        connect: upstream.timeouts.connect.0,
        response: upstream.timeouts.response.0,
        idle: upstream.timeouts.idle.0,
        proxy_protocol: upstream.proxy_protocol,
        health: upstream.health.as_ref().map(health_plan),
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
    if upstream.health.is_none() {
        return State::Unknown;
    }
    match given.previous {
        Some(_) => State::New,
        None => (given.restored)(name, &written.address.to_string()).unwrap_or(State::Unknown),
    }
}

fn balance(balance: model::Balance) -> Balance {
    match balance {
        model::Balance::RoundRobin => Balance::RoundRobin,
        model::Balance::Weighted => Balance::Weighted,
        model::Balance::LeastRequest => Balance::LeastRequest,
        model::Balance::SourceIp => Balance::SourceIp,
        // The parse refuses these until the balancer knows them.
        model::Balance::Random
        | model::Balance::LeastConnections
        | model::Balance::PeakEwma
        | model::Balance::Ring
        | model::Balance::Maglev
        | model::Balance::Rendezvous => Balance::LeastRequest,
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
    }
}

fn health_plan(written: &model::Health) -> HealthPlan {
    let timeout = written.timeout.0;
    let check = match &written.http {
        Some(http) => Check::Http(HttpCheck {
            method: "GET".into(),
            path: http.path.as_str().into(),
            host: http.host.as_deref().map(Box::from),
            expect: Statuses::of(&http.expect),
            timeout,
        }),
        None => Check::Tcp { timeout },
    };
    let rules = health::Rules { fall: written.fall, rise: written.rise, interval: written.interval.0 };
    HealthPlan { check, rules }
}
