// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of the table of consumers and of the keys of one.

use serde_json::Value as Json;
use weirgate_store::model::Kind;
use weirgate_store::wire::KeyInfo;

use super::{left, right};
use crate::app::App;
use crate::list::{Cell, Column, Row};
use crate::text;
use crate::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    left("NAME", 14, 30),
    right("REQ/S", 8),
    right("REFUSED/S", 9),
    right("ERR", 7),
    right("P99", 8),
    left("GROUPS", 12, 40),
    right("KEYS IN FILE", 12),
];

pub(super) const KEYS: &[Column] = &[
    left("KEY", 16, 16),
    left("BEGINS", 12, 16),
    left("CREATED", 16, 16),
    left("EXPIRES", 10, 16),
    left("COMMENT", 14, 60),
];

pub(super) fn rows(app: &App) -> Vec<Row> {
    let known = app.live.objects(Kind::Consumer);
    known.map(|(name, _)| (name.clone(), row(app, name))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
pub(super) fn row(app: &App, name: &str) -> Vec<Cell> {
    let object = app.live.object(Kind::Consumer, name);
    let groups = object.and_then(|o| o.get("groups")).and_then(Json::as_array).into_iter().flatten();
    let groups = groups.filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
    let keys = object.and_then(|o| o.get("api_keys")).and_then(Json::as_array).map_or(0, Vec::len);
    let flow = app.live.consumers.get(name).copied().unwrap_or_default();
    let (refused, tone) = match flow.refused {
        r if r > 0.0 => (format!("!{}", text::rate(r)), Tone::Warn),
        _ => ("0".to_owned(), Tone::Plain),
    };
    vec![
        Cell::text(name).tone(Tone::Strong),
        Cell::number(flow.requests, text::rate(flow.requests)),
        Cell::number(flow.refused, refused).tone(tone),
        Cell::number(flow.errors as f64 / flow.counted.max(1) as f64, text::percent(flow.errors, flow.counted)),
        Cell::number(flow.p99_us as f64, text::micros(flow.p99_us)),
        Cell::text(groups),
        Cell::number(keys as f64, keys.to_string()),
    ]
}

pub(super) fn keys(app: &App, consumer: &str) -> Vec<Row> {
    let keys = app.live.keys.as_ref().filter(|(name, _)| name == consumer);
    let keys = keys.map(|(_, keys)| keys.as_slice()).unwrap_or_default();
    keys.iter().map(|key| (key.id.clone(), key_cells(app, key))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "times are below 2^52 milliseconds")]
fn key_cells(app: &App, key: &KeyInfo) -> Vec<Cell> {
    let expires = key.expires_ms.map_or_else(|| "never".to_owned(), |ms| text::day(ms, &app.zone));
    let over = key.expires_ms.is_some_and(|ms| ms <= app.now_ms);
    let created = if key.declared { "in the file".to_owned() } else { text::day(key.created_ms, &app.zone) };
    vec![
        Cell::text(key.id.clone()).tone(Tone::Strong),
        Cell::text(format!("{}…", key.prefix)),
        Cell::number(key.created_ms as f64, created),
        Cell::number(key.expires_ms.unwrap_or(i64::MAX) as f64, expires).tone(if over {
            Tone::Bad
        } else {
            Tone::Plain
        }),
        Cell::text(key.comment.clone()),
    ]
}
