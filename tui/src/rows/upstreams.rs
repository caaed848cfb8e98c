// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of the table of upstreams and of the endpoints of one.

use weirgate_store::model::Kind;
use weirgate_store::wire::{EndpointHealth, EndpointStatus, OverrideMode, UpstreamStatus};

use super::routes::{error_text, error_tone};
use super::{left, right};
use crate::app::App;
use crate::list::{Cell, Column, Row};
use crate::text;
use crate::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    left("", 1, 1),
    left("NAME", 12, 24),
    right("UP", 5),
    right("REQ/S", 8),
    right("ERR", 7),
    right("P99", 8),
    right("IN-FLIGHT", 9),
    right("WAITING", 7),
    left("BALANCE", 13, 17),
    left("WHY", 20, 100),
];

pub(super) const ENDPOINTS: &[Column] = &[
    left("", 1, 1),
    left("ADDRESS", 16, 24),
    left("STATE", 11, 11),
    right("SINCE", 9),
    right("IN-FLIGHT", 9),
    right("REQ/S", 7),
    right("ERR", 7),
    right("WEIGHT", 6),
    right("LATENCY", 8),
    right("CONNS", 6),
    right("TIER", 6),
    left("ZONE", 6, 10),
    left("FOUND BY", 8, 8),
    left("WHY", 20, 120),
];

pub(super) fn rows(app: &App) -> Vec<Row> {
    let Some(status) = &app.live.status else {
        let known = app.live.objects(Kind::Upstream);
        return known.map(|(name, _)| (name.clone(), vec![Cell::text("?"), Cell::text(name.clone())])).collect();
    };
    status.upstreams.iter().map(|upstream| (upstream.name.clone(), cells(app, upstream))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
fn cells(app: &App, upstream: &UpstreamStatus) -> Vec<Cell> {
    let flow = app.live.upstreams.get(&upstream.name).copied().unwrap_or_default();
    let all = upstream.endpoints.len();
    let usable = upstream.usable as usize;
    let (mark, tone) = upstream_mark(upstream);
    let in_flight: u64 = upstream.endpoints.iter().map(|e| u64::from(e.in_flight)).sum();
    vec![
        Cell::text(mark).tone(tone),
        Cell::text(upstream.name.clone()).tone(Tone::Strong),
        Cell::number(f64::from(upstream.usable), format!("{usable}/{all}")).tone(tone),
        Cell::number(flow.requests, text::rate(flow.requests)),
        Cell::number(flow.errors as f64 / flow.counted.max(1) as f64, error_text(flow.errors, flow.counted))
            .tone(error_tone(flow.errors, flow.counted)),
        Cell::number(flow.p99_us as f64, text::micros(flow.p99_us)),
        Cell::number(in_flight as f64, text::count(in_flight)),
        Cell::number(f64::from(upstream.queued), waiting(upstream.queued)).tone(if upstream.queued > 0 {
            Tone::Warn
        } else {
            Tone::Plain
        }),
        Cell::text(upstream.balance.clone()),
        Cell::text(worst(upstream)),
    ]
}

/// The symbol of an upstream and what it means: nothing usable, some, or all.
pub fn upstream_mark(upstream: &UpstreamStatus) -> (&'static str, Tone) {
    match upstream.usable as usize {
        0 => ("✗", Tone::Bad),
        _ if upstream.trouble.is_some() => ("!", Tone::Warn),
        some if some < upstream.endpoints.len() => ("!", Tone::Warn),
        _ => ("✓", Tone::Good),
    }
}

/// Requests that wait, marked: a queue is never nothing.
fn waiting(queued: u32) -> String {
    if queued > 0 { format!("!{}", text::count(queued.into())) } else { "0".to_owned() }
}

/// What stands in the way of requests; else the first endpoint that does not take work, and why.
fn worst(upstream: &UpstreamStatus) -> String {
    if let Some(trouble) = &upstream.trouble {
        return trouble.clone();
    }
    let down = upstream.endpoints.iter().find(|endpoint| health_mark(endpoint).1 != Tone::Good);
    down.map_or_else(String::new, |e| format!("{} {}: {}", e.address, health_word(e), why(e)))
}

pub(super) fn endpoints(app: &App, upstream: &str) -> Vec<Row> {
    let status = app.live.status.as_ref();
    let upstream = status.and_then(|status| status.upstreams.iter().find(|u| u.name == upstream));
    let Some(upstream) = upstream else { return Vec::new() };
    let rows = upstream.endpoints.iter();
    rows.map(|endpoint| (endpoint.address.clone(), endpoint_cells(app, &upstream.name, endpoint))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
fn endpoint_cells(app: &App, upstream: &str, endpoint: &EndpointStatus) -> Vec<Cell> {
    let flow = app.live.endpoints.get(&format!("{upstream}/{}", endpoint.address)).copied().unwrap_or_default();
    let (mark, tone) = health_mark(endpoint);
    let since = endpoint.overridden.as_ref().map_or(endpoint.since_ms, |o| o.since_ms);
    vec![
        Cell::text(mark).tone(tone),
        Cell::text(endpoint.address.clone()).tone(Tone::Strong),
        Cell::text(health_word(endpoint)).tone(tone),
        Cell::number(since as f64, text::span(app.now_ms - since)),
        Cell::number(f64::from(endpoint.in_flight), text::count(endpoint.in_flight.into())),
        Cell::number(flow.requests, text::rate(flow.requests)),
        Cell::number(flow.errors as f64 / flow.counted.max(1) as f64, error_text(flow.errors, flow.counted))
            .tone(error_tone(flow.errors, flow.counted)),
        Cell::number(f64::from(endpoint.weight), weight_text(endpoint)),
        Cell::number(endpoint.latency_us.unwrap_or(0) as f64, endpoint.latency_us.map_or("–".to_owned(), text::micros)),
        Cell::number(f64::from(endpoint.connections), text::count(endpoint.connections.into())),
        Cell::text(tier(endpoint)),
        Cell::text(endpoint.zone.clone().unwrap_or_default()),
        Cell::text(endpoint.origin.clone()),
        Cell::text(why(endpoint)),
    ]
}

/// The weight that counts now, marked if an operator or a slow start made it so.
fn weight_text(endpoint: &EndpointStatus) -> String {
    if endpoint.weight == endpoint.configured_weight && endpoint.share_percent.is_none() {
        endpoint.weight.to_string()
    } else {
        format!("~{}", endpoint.weight)
    }
}

fn tier(endpoint: &EndpointStatus) -> String {
    if endpoint.backup { "backup".to_owned() } else { endpoint.priority.to_string() }
}

/// The symbol of an endpoint and what it means: an override says more than the health below it.
pub fn health_mark(endpoint: &EndpointStatus) -> (&'static str, Tone) {
    match (endpoint.overridden.as_ref().map(|o| o.mode), endpoint.health) {
        (Some(OverrideMode::Drain | OverrideMode::Maint), _) => ("~", Tone::Warn),
        _ if endpoint.ejected_until_ms.is_some() => ("✗", Tone::Bad),
        (_, EndpointHealth::Up) if endpoint.share_percent.is_some() => ("~", Tone::Warn),
        (_, EndpointHealth::Up) => ("✓", Tone::Good),
        (_, EndpointHealth::Down) => ("✗", Tone::Bad),
        (_, EndpointHealth::Unknown) => ("?", Tone::Dim),
    }
}

pub fn health_word(endpoint: &EndpointStatus) -> &'static str {
    match (endpoint.overridden.as_ref().map(|o| o.mode), endpoint.health) {
        (Some(OverrideMode::Drain), _) => "draining",
        (Some(OverrideMode::Maint), _) => "maintenance",
        _ if endpoint.ejected_until_ms.is_some() => "ejected",
        (_, EndpointHealth::Up) if endpoint.share_percent.is_some() => "slow start",
        (_, EndpointHealth::Up) if endpoint.backup => "backup",
        (_, EndpointHealth::Up) => "up",
        (_, EndpointHealth::Down) => "down",
        (_, EndpointHealth::Unknown) => "unknown",
    }
}

pub fn why(endpoint: &EndpointStatus) -> String {
    match &endpoint.overridden {
        Some(over) if over.mode != OverrideMode::Ready || over.weight.is_some() => {
            let reason = if over.reason.is_empty() { "no reason given" } else { &over.reason };
            format!("by {}: {reason}", over.owner)
        }
        _ => endpoint.reason.clone(),
    }
}
