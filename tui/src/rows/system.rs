// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of certificates, revisions and listeners.

use serde_json::Value as Json;
use weirgate_store::model::{Kind, PEM};
use weirgate_store::wire::RevisionInfo;

use super::{left, right};
use crate::app::App;
use crate::list::{Cell, Column, Row};
use crate::text;
use crate::theme::Tone;

pub(super) const CERTIFICATES: &[Column] =
    &[left("NAME", 14, 30), left("USED BY", 16, 40), left("CHAIN", 20, 50), left("KEY", 16, 60)];

pub(super) const REVISIONS: &[Column] = &[
    left("", 1, 1),
    right("REV", 6),
    left("WHEN", 16, 16),
    left("WHO", 14, 24),
    left("CHANGES", 12, 16),
    left("COMMENT", 16, 100),
];

pub(super) const LISTENERS: &[Column] = &[
    left("NAME", 12, 24),
    left("ADDRESS", 18, 30),
    left("PROTOCOL", 8, 10),
    right("CONNECTIONS", 11),
    right("LIMIT", 9),
    left("CERTIFICATES", 12, 40),
];

pub(super) fn certificates(app: &App) -> Vec<Row> {
    let known = app.live.objects(Kind::Certificate);
    known.map(|(name, object)| (name.clone(), certificate_cells(app, name, object))).collect()
}

fn certificate_cells(app: &App, name: &str, object: &Json) -> Vec<Cell> {
    let text = |field: &str| object.get(field).and_then(Json::as_str).unwrap_or_default();
    let chain = match text("chain").matches(PEM).count() {
        0 => text("chain").to_owned(),
        n => text::plural(n as u64, "certificate"),
    };
    let key = if text("key").trim_start().starts_with(PEM) { "(private key)" } else { text("key") };
    let listeners = app.live.objects(Kind::Listener).filter(|(_, listener)| {
        let names = listener.get("certificates").and_then(Json::as_array).into_iter().flatten();
        names.filter_map(Json::as_str).any(|used| used == name)
    });
    let used = listeners.map(|(listener, _)| listener.as_str()).collect::<Vec<_>>().join(", ");
    let used = if used.is_empty() { "nothing".to_owned() } else { used };
    vec![Cell::text(name).tone(Tone::Strong), Cell::text(used), Cell::text(chain), Cell::text(key)]
}

pub(super) fn revisions(app: &App) -> Vec<Row> {
    let Some(list) = &app.live.revisions else { return Vec::new() };
    let rows = list.revisions.iter();
    rows.map(|info| (info.number.to_string(), revision_cells(app, info, info.number == list.running))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "times and numbers are below 2^52")]
fn revision_cells(app: &App, info: &RevisionInfo, running: bool) -> Vec<Cell> {
    let changes = format!("+{} ~{} -{}", info.added, info.changed, info.removed);
    vec![
        Cell::text(if running { "✓" } else { " " }).tone(Tone::Good),
        Cell::number(info.number as f64, info.number.to_string()).tone(Tone::Strong),
        Cell::number(info.time_ms as f64, text::day(info.time_ms, &app.zone)),
        Cell::text(info.author.clone()),
        Cell::text(changes),
        Cell::text(info.comment.clone()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
pub(super) fn listeners(app: &App) -> Vec<Row> {
    let Some(status) = &app.live.status else { return Vec::new() };
    let cells = |listener: &weirgate_store::wire::ListenerStatus| {
        let object = app.live.object(Kind::Listener, &listener.name);
        let names = object.and_then(|o| o.get("certificates")).and_then(Json::as_array).into_iter().flatten();
        let names = names.filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
        vec![
            Cell::text(listener.name.clone()).tone(Tone::Strong),
            Cell::text(listener.address.clone()),
            Cell::text(listener.protocol.clone()),
            Cell::number(listener.connections as f64, text::count(listener.connections)),
            Cell::number(listener.connections_max as f64, text::count(listener.connections_max)),
            Cell::text(names),
        ]
    };
    status.listeners.iter().map(|listener| (listener.name.clone(), cells(listener))).collect()
}
