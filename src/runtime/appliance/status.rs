// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs now, for whoever looks: listeners, upstreams and endpoints in the words of the control API.
//!
//! Reads the snapshot and the live state beside it, and changes neither.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use weirgate_store::model::ListenerProtocol;
use weirgate_store::wire::{EndpointStatus, ListenerStatus, UpstreamStatus};

use super::Gateway;
use crate::clock;
use crate::config::snapshot::{Snapshot, Upstream};
use crate::runtime::checker::{Tellings, wire_health};
use crate::upstream::health::State;

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

    /// Every endpoint that is checked, with the name of its upstream.
    pub fn checked(&self) -> Vec<(String, EndpointStatus)> {
        let snapshot = self.snapshot();
        let tellings = self.tellings.borrow();
        let of = |upstream: &Arc<Upstream>| {
            let status = self.upstream_status(upstream, &tellings);
            status.endpoints.into_iter().map(move |endpoint| (status.name.clone(), endpoint)).collect::<Vec<_>>()
        };
        snapshot.upstreams.iter().filter(|upstream| upstream.health.is_some()).flat_map(of).collect()
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
            ..UpstreamStatus::default()
        }
    }

    fn endpoint_status(&self, upstream: &Upstream, at: usize, tellings: &Tellings) -> Option<EndpointStatus> {
        let (endpoint, meter) = (upstream.endpoints.get(at)?, upstream.endpoint_meters.get(at)?);
        let told = tellings.get(&endpoint.live.id);
        let totals = meter.sum();
        let reason = match (told, &upstream.health) {
            (Some(told), _) => told.reason.clone(),
            (None, None) => "no health check is configured".to_owned(),
            (None, Some(_)) => "not checked yet, or unchanged since the start".to_owned(),
        };
        let state = endpoint.live.state();
        let health = if upstream.health.is_none() { State::Healthy } else { state };
        Some(EndpointStatus {
            address: endpoint.name.to_string(),
            health: wire_health(health),
            reason,
            since_ms: told.map_or(self.started_ms, |told| told.since_ms),
            weight: endpoint.live.weight(),
            configured_weight: endpoint.weight,
            backup: endpoint.backup,
            in_flight: endpoint.live.in_flight(),
            requests: totals.requests,
            errors: totals.server_errors,
            overridden: self.state().overrides.of(&upstream.name, &endpoint.name).cloned(),
            origin: upstream.membership.origin(at).to_owned(),
            ..EndpointStatus::default()
        })
    }
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
