// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of the table of routes: what each takes, where it goes, and how it fares. Numbers are averages of the last
//! seconds and come from `live`; nothing is computed twice.

use serde_json::Value as Json;
use weirgate_store::model::Kind;

use super::{left, right};
use crate::app::App;
use crate::form::{path_of, policies_of};
use crate::list::{Cell, Column, Row};
use crate::text;
use crate::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    left("NAME", 12, 24),
    left("PATH", 14, 36),
    left("UPSTREAM", 9, 18),
    right("REQ/S", 7),
    right("ERR", 7),
    right("P99", 8),
    left("HOSTS", 9, 40),
    left("METHODS", 9, 20),
    left("POLICIES", 10, 50),
    right("P50", 8),
];

/// A route as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFacts {
    pub hosts: String,
    pub path: String,
    pub methods: String,
    pub upstream: String,
    pub policies: String,
}

pub fn route_facts(object: &Json) -> RouteFacts {
    let list = |pointer: &str| {
        let items = object.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
        items.filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
    };
    let or_any = |text: String| if text.is_empty() { "any".to_owned() } else { text };
    let (kind, path) = path_of(object);
    let path = match kind.as_str() {
        "prefix" | "template" => path,
        "exact" => format!("= {path}"),
        _ => format!("~ {path}"),
    };
    RouteFacts {
        hosts: or_any(list("/match/hosts")),
        path,
        methods: or_any(list("/match/methods")),
        upstream: destination(object),
        policies: policies_of(object).join(", "),
    }
}

/// The upstream, or the sides of a split.
fn destination(object: &Json) -> String {
    let sides = object.get("split").and_then(Json::as_array).into_iter().flatten();
    let sides: Vec<&str> = sides.filter_map(|side| side.get("upstream").and_then(Json::as_str)).collect();
    match object.get("upstream").and_then(Json::as_str) {
        Some(upstream) => upstream.to_owned(),
        None if sides.is_empty() => "–".to_owned(),
        None => sides.join(" | "),
    }
}

pub(super) fn rows(app: &App) -> Vec<Row> {
    let routes = app.live.objects(Kind::Route);
    routes.map(|(name, object)| (name.clone(), cells(app, name, object))).collect()
}

pub(super) fn row(app: &App, name: &str) -> Option<Vec<Cell>> {
    app.live.object(Kind::Route, name).map(|object| cells(app, name, object))
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
fn cells(app: &App, name: &str, object: &Json) -> Vec<Cell> {
    let facts = route_facts(object);
    let flow = app.live.routes.get(name).copied().unwrap_or_default();
    let errors = flow.errors as f64 / flow.counted.max(1) as f64;
    vec![
        Cell::text(name).tone(Tone::Strong),
        Cell::text(facts.path),
        Cell::text(facts.upstream),
        Cell::number(flow.requests, text::rate(flow.requests)),
        Cell::number(errors, error_text(flow.errors, flow.counted)).tone(error_tone(flow.errors, flow.counted)),
        Cell::number(flow.p99_us as f64, text::micros(flow.p99_us)),
        Cell::text(facts.hosts),
        Cell::text(facts.methods),
        Cell::text(facts.policies),
        Cell::number(flow.p50_us as f64, text::micros(flow.p50_us)),
    ]
}

/// A share of errors, with a mark when it is worth a look.
pub(super) fn error_text(errors: u64, counted: u64) -> String {
    let share = text::percent(errors, counted);
    if error_tone(errors, counted) == Tone::Bad { format!("!{share}") } else { share }
}

pub fn error_tone(errors: u64, counted: u64) -> Tone {
    let many = errors.saturating_mul(100) >= counted.saturating_mul(crate::attention::ERROR_PERCENT);
    if errors > 0 && many { Tone::Bad } else { Tone::Plain }
}
