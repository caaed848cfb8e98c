// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs now, for whoever looks: listeners, upstreams and endpoints in the words of the control API.
//!
//! Reads the snapshot and the live state beside it, and changes neither.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use weirgate_store::engine::HealthRecord;
use weirgate_store::model::ListenerProtocol;
use weirgate_store::wire::{EndpointHealth, EndpointStatus, ListenerStatus, UpstreamStatus};

use super::Gateway;
use crate::clock;
use crate::config::snapshot::{Snapshot, Upstream};
use crate::runtime::checker::{Tellings, wire_health};
use crate::upstream::endpoint::{Endpoint, SHARE_WHOLE};
use crate::upstream::health::State;
use crate::upstream::{latency, panic};

/// What is said of an endpoint of which there was nothing to tell.
const UNCHANGED: &str = "not checked yet, or unchanged since the start";

impl Gateway {
    /// Every listener.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        let snapshot = self.snapshot();
        let state = self.state();
        let mut all: Vec<_> = (snapshot.listeners.values())
            .map(|listener| ListenerStatus {
                name: listener.name.to_string(),
                address: state.listening.get(&listener.name).map_or(listener.address, |open| open.bound).to_string(),
                protocol: protocol(listener.protocol).to_owned(),
                connections: listener.open.load(Ordering::Relaxed) as u64,
                connections_max: listener.connections as u64,
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Every upstream with its endpoints.
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        let snapshot = self.snapshot();
        let tellings = self.tellings.borrow();
        snapshot.upstreams.iter().map(|upstream| self.upstream_status(upstream, &tellings)).collect()
    }

    /// What is to be kept of every endpoint of which something is known.
    pub fn known(&self) -> Vec<HealthRecord> {
        let snapshot = self.snapshot();
        let tellings = self.tellings.borrow();
        let record = |upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>| {
            let told = tellings.get(&endpoint.live.id);
            let state = wire_health(endpoint.live.state());
            Some(HealthRecord {
                upstream: upstream.name.to_string(),
                address: endpoint.name.to_string(),
                health: state,
                reason: told.map_or_else(|| UNCHANGED.to_owned(), |told| told.reason.clone()),
                since_ms: told.map_or(self.started_ms, |told| told.since_ms),
                ejected_until_ms: told.and_then(|told| told.ejected_until_ms),
                ejections: told.map_or(0, |told| told.ejections),
            })
            .filter(|_| upstream.health.is_some() || told.is_some())
        };
        let of = |upstream: &Arc<Upstream>| {
            upstream.endpoints.iter().filter_map(|endpoint| record(upstream, endpoint)).collect::<Vec<_>>()
        };
        snapshot.upstreams.iter().flat_map(of).collect()
    }

    /// One endpoint.
    pub fn endpoint(&self, upstream: &str, address: &str) -> Option<EndpointStatus> {
        let snapshot: Arc<Snapshot> = self.snapshot();
        let tellings = self.tellings.borrow();
        let status = self.upstream_status(snapshot.upstream(upstream)?, &tellings);
        status.endpoints.into_iter().find(|endpoint| endpoint.address == address)
    }

    fn upstream_status(&self, upstream: &Upstream, tellings: &Tellings) -> UpstreamStatus {
        let endpoints: Vec<_> =
            (0..upstream.endpoints.len()).filter_map(|at| self.endpoint_status(upstream, at, tellings)).collect();
        let usable = upstream.endpoints.iter().filter(|endpoint| {
            let candidate = endpoint.candidate();
            candidate.usable && candidate.weight > 0
        });
        UpstreamStatus {
            name: upstream.name.to_string(),
            balance: upstream.balance.to_string(),
            usable: u32::try_from(usable.count()).unwrap_or(u32::MAX),
            endpoints,
            discovery: upstream
                .membership
                .source
                .as_ref()
                .map(|source| self.discovered().sentence(&upstream.name, source, clock::wall_ms())),
            ..load_of(upstream)
        }
    }

    fn endpoint_status(&self, upstream: &Upstream, at: usize, tellings: &Tellings) -> Option<EndpointStatus> {
        let (endpoint, meter) = (upstream.endpoints.get(at)?, upstream.endpoint_meters.get(at)?);
        let told = tellings.get(&endpoint.live.id);
        let totals = meter.sum();
        let reason = match (told, &upstream.health) {
            (Some(told), _) => told.reason.clone(),
            (None, None) => "no health check is configured".to_owned(),
            (None, Some(_)) => UNCHANGED.to_owned(),
        };
        let state = endpoint.live.state();
        let passive = &endpoint.live.passive;
        let health = match (state, told) {
            _ if passive.is_ejected() || passive.is_set_aside() => EndpointHealth::Down,
            (State::Healthy | State::Unknown, Some(told)) if passive.is_suspect() => told.health,
            (State::Unknown, Some(told)) => told.health,
            (State::Unknown, None) if upstream.health.is_none() => EndpointHealth::Up,
            (state, _) => wire_health(state),
        };
        let ejected_until_ms =
            told.and_then(|told| told.ejected_until_ms).filter(|_| endpoint.live.passive.is_ejected());
        Some(EndpointStatus {
            address: endpoint.name.to_string(),
            health,
            reason,
            since_ms: told.map_or(self.started_ms, |told| told.since_ms),
            weight: endpoint.live.weight(),
            configured_weight: endpoint.weight,
            backup: endpoint.backup,
            priority: endpoint.priority,
            zone: endpoint.zone.as_deref().map(str::to_owned),
            latency_us: latency_us(upstream, endpoint),
            in_flight: endpoint.live.in_flight(),
            connections: endpoint.live.load.connections(),
            requests: totals.requests,
            errors: totals.server_errors,
            overridden: self.state().overrides.of(&upstream.name, &endpoint.name).cloned(),
            origin: upstream.membership.origin(at).to_owned(),
            share_percent: Some(endpoint.live.share()).filter(|share| *share < SHARE_WHOLE),
            ejected_until_ms,
        })
    }
}

/// What an upstream carries, what waits for it, and what stands in the way.
fn load_of(upstream: &Upstream) -> UpstreamStatus {
    let (overload, load) = (&upstream.overload, &upstream.overload.load);
    let left = overload.breaker.and_then(|_| load.breaker.left(clock::since_start_ns()));
    UpstreamStatus {
        queued: load.queue.waiting(),
        requests: load.requests(),
        connections: load.connections(),
        queue_timeouts: load.queue.timeouts(),
        queue_us: load.queue.waited_us(),
        hedges: load.hedges.load(Ordering::Relaxed),
        breaker_open: left.is_some(),
        requests_max: overload.limits.adaptive.map(|_| load.requests_max(&overload.limits)),
        trouble: left
            .map(|left| format!("the circuit breaker is open, for {left:.1?} more: {}", load.breaker.why()))
            .or_else(|| trouble(upstream)),
        ..UpstreamStatus::default()
    }
}

/// What stands in the way of requests to an upstream.
fn trouble(upstream: &Upstream) -> Option<String> {
    let is_panic = upstream.endpoints.iter().any(|endpoint| endpoint.live.passive.is_panic());
    let (usable, total) = panic::count(&upstream.endpoints);
    if is_panic {
        return Some(panic::words(upstream.care.panic_percent, usable, total));
    }
    let takes = |endpoint: &Arc<Endpoint>| endpoint.is_in_service() && endpoint.is_well();
    if upstream.endpoints.is_empty() {
        return Some("it has no endpoint".to_owned());
    }
    if upstream.endpoints.iter().any(takes) {
        return None;
    }
    let why = |endpoint: &Arc<Endpoint>| format!("{} is {}", endpoint.name, endpoint.standing());
    let reasons: Vec<_> = upstream.endpoints.iter().take(NAMED_MAX).map(why).collect();
    Some(format!("no endpoint can take a request: {}", reasons.join(", ")))
}

/// Endpoints that one sentence names.
const NAMED_MAX: usize = 8;

/// The latency that the balancer reckons with; none where it does not, or does not know it.
fn latency_us(upstream: &Upstream, endpoint: &Endpoint) -> Option<u64> {
    let now_ms = latency::millis(clock::since_start_ns());
    let micros = endpoint.live.latency.estimate().micros(now_ms, endpoint.live.in_flight());
    (upstream.balance.kind().measures() && micros > 0).then_some(micros.into())
}

fn protocol(protocol: ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http => "http",
        ListenerProtocol::Https => "https",
        ListenerProtocol::Tcp => "tcp",
        ListenerProtocol::Tls => "tls",
        ListenerProtocol::Udp => "udp",
    }
}
