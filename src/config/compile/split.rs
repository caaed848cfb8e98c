// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splits, canaries and mirrors of routes.
//!
//! A canary that was there before keeps its live share, so that a change of anything else moves no caller. One that is
//! new to a running daemon has the share of its first step, and at the start of the process the one it had reached.

use std::collections::HashMap;
use std::sync::Arc;

use weirgate_store::model::{self, HashKey, Name};

use super::{Given, Indices};
use crate::config::snapshot::{Canary, Mirror, Side, Split};
use crate::exchange::Part;
use crate::observe::Metered;
use crate::route::canary::{OnTrouble, Plan};
use crate::route::split::{Share, point_of};

/// The canaries that run now, by route.
pub(super) type Earlier<'s> = HashMap<&'s str, &'s Canary>;

pub(super) fn earlier<'s>(given: &Given<'s>) -> Earlier<'s> {
    let routes = given.previous.map(|snapshot| snapshot.routes.as_slice()).unwrap_or_default();
    let canary =
        |route: &'s crate::config::snapshot::Route| Some((&*route.name, route.split.as_ref()?.canary.as_ref()?));
    routes.iter().filter_map(canary).collect()
}

pub(super) fn split(
    name: &Name,
    route: &model::Route,
    upstreams: &Indices,
    earlier: &Earlier<'_>,
    given: &Given<'_>,
) -> Option<Box<Split>> {
    if route.split.is_empty() {
        return None;
    }
    let sides: Vec<Side> = route.split.iter().map(|side| one(name, side, upstreams, given)).collect();
    let canary = route.canary.as_ref().and_then(|written| {
        let side = sides.iter().position(|side| *side.name == *written.upstream.as_str())?;
        let plan = plan(written);
        let share = share(name, &plan, earlier, given);
        Some(Canary { side, share, plan })
    });
    let testers = route.testers.as_ref().map(|field| field.as_bytes().into());
    Some(Box::new(Split { sides, by: route.split_by.as_ref().map(part), testers, canary }))
}

fn one(route: &Name, written: &model::Side, upstreams: &Indices, given: &Given<'_>) -> Side {
    let name = written.upstream.as_str();
    let meter_name: Arc<str> = format!("{route}/{name}").into();
    Side {
        // A dangling name was found by the check; until then an index past the end finds nothing.
        upstream: upstreams.get(name).copied().unwrap_or(u32::MAX),
        name: name.into(),
        identity: point_of(name.as_bytes()),
        weight: written.weight,
        meter: given.meters.meter(Metered::Side, &meter_name),
        meter_name,
    }
}

fn share(route: &Name, plan: &Plan, earlier: &Earlier<'_>, given: &Given<'_>) -> Arc<Share> {
    match earlier.get(route.as_str()).filter(|held| held.plan.key() == plan.key()) {
        Some(held) => Arc::clone(&held.share),
        None => {
            let reached = if given.previous.is_none() { (given.canary)(route.as_str(), plan) } else { None };
            let first = || plan.steps.first().copied().unwrap_or(0);
            Arc::new(Share::new(reached.unwrap_or_else(first)))
        }
    }
}

fn plan(written: &model::Canary) -> Plan {
    Plan {
        upstream: written.upstream.to_string(),
        steps: written.steps.iter().map(|step| step.0).collect(),
        every: written.every.0,
        errors_max: written.errors_max.0,
        latency_max: written.latency_max.map(|span| span.0),
        requests: u64::from(written.requests),
        on_trouble: match written.on_trouble {
            model::OnTrouble::Back => OnTrouble::Back,
            model::OnTrouble::Stop => OnTrouble::Stop,
        },
    }
}

pub(super) fn part(key: &HashKey) -> Part {
    match key {
        HashKey::SourceIp => Part::SourceIp,
        HashKey::Path => Part::Path,
        HashKey::ClientCertificate => Part::ClientCertificate,
        HashKey::Header(name) => Part::Header(name.as_bytes().into()),
        HashKey::Cookie(name) => Part::Cookie(name.as_bytes().into()),
        HashKey::Query(name) => Part::Query(name.as_bytes().into()),
    }
}

pub(super) fn mirror(name: &Name, route: &model::Route, upstreams: &Indices, given: &Given<'_>) -> Option<Box<Mirror>> {
    let written = route.mirror.as_ref()?;
    let upstream = written.upstream.as_str();
    Some(Box::new(Mirror {
        upstream: upstreams.get(upstream).copied().unwrap_or(u32::MAX),
        name: upstream.into(),
        share: written.share.0,
        body_bytes_max: usize::try_from(written.max_body.0).unwrap_or(usize::MAX),
        copies: given.meters.copies(name.as_str()),
    }))
}
