// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancer of an upstream: how it spreads, and where each endpoint stands in tiers and zones.

use std::sync::Arc;

use weirgate_store::model;

use crate::balance::{BACKUP_TIER, Balancer, Seat, Settings};
use crate::upstream::endpoint::Endpoint;

/// `earlier` is the balancer of that upstream that runs now.
pub(super) fn balancer(written: &model::Upstream, endpoints: &[Arc<Endpoint>], earlier: Option<&Balancer>) -> Balancer {
    let settings = Settings {
        balance: written.balance,
        by: written.hash.by.clone(),
        points: written.hash.points,
        bounded_load: written.hash.bounded_load.map(|percent| percent.0),
        enough: written.zone.as_ref().map(|zone| zone.enough.0),
    };
    let preferred = written.zone.as_ref().map(|zone| zone.prefer.as_str());
    let seat = |endpoint: &Arc<Endpoint>| Seat {
        name: Arc::clone(&endpoint.name),
        identity: endpoint.identity,
        weight: endpoint.weight,
        tier: if endpoint.backup { BACKUP_TIER } else { endpoint.priority },
        is_local: preferred.is_some() && endpoint.zone.as_deref() == preferred,
    };
    Balancer::after(earlier, settings, endpoints.iter().map(seat).collect())
}
