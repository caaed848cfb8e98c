// SPDX-License-Identifier: MIT OR Apache-2.0
//! One object of the smaller kinds: a listener, a consumer with its keys, a certificate. Routes and upstreams have files
//! of their own.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use serde_json::Value as Json;
use weirgate_store::model::Kind;

use super::paint::{self, labelled, plain, rule, span};
use super::table;
use crate::app::App;
use crate::form::listener_settings;
use crate::list::ListId;
use crate::live::Flow;
use crate::text;
use crate::theme::Tone;

pub(super) fn gone(app: &App, frame: &mut Frame<'_>, area: Rect, kind: &str, name: &str) {
    let words = if app.live.status.is_some() {
        format!("There is no {kind} {name} in the running configuration. Press esc to go back.")
    } else {
        "Waiting for the daemon.".to_owned()
    };
    let lines = vec![rule(app.theme, &format!("{kind} ▸ {name}"), "", area.width), Line::default()];
    let said = paint::indented(app.theme, Tone::Plain, &words, 2, area.width);
    paint::lines(frame, area, [lines, said].concat());
}

pub(super) fn flow_line(app: &App, flow: Option<&Flow>) -> Vec<Line<'static>> {
    let flow = flow.copied().unwrap_or_default();
    let text = format!(
        "  {} req/s   5xx {}   429 {}/s   p50 {}   p99 {}   in flight {}",
        text::rate(flow.requests),
        text::percent(flow.errors, flow.counted),
        text::rate(flow.refused),
        text::micros(flow.p50_us),
        text::micros(flow.p99_us),
        text::count(flow.in_flight),
    );
    vec![Line::from(span(app.theme, Tone::Strong, text))]
}

pub(super) fn consumer(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str) {
    let Some(object) = app.live.object(Kind::Consumer, name) else { return gone(app, frame, area, "consumer", name) };
    let groups = object.get("groups").and_then(Json::as_array).into_iter().flatten();
    let groups = groups.filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
    let mut lines = vec![rule(app.theme, &format!("consumers ▸ {name}"), "", area.width)];
    lines.extend(flow_line(app, app.live.consumers.get(name)));
    lines.extend(labelled(app.theme, "groups", &groups, area.width));
    if let Some(urgency) = object.get("urgency").and_then(Json::as_u64) {
        let words = format!("{urgency} (in a queue 0 goes first, 7 last)");
        lines.extend(labelled(app.theme, "urgency", &words, area.width));
    }
    lines.extend(super::usage::lines(app, name, area.width));
    let [head, body] =
        Layout::vertical([Constraint::Length(u16::try_from(lines.len()).unwrap_or(3)), Constraint::Fill(1)])
            .areas(area);
    paint::lines(frame, head, lines);
    table::titled(app, frame, body, ListId::Keys, "Keys");
}

pub(super) fn listener(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str, scroll: u16) {
    let Some(object) = app.live.object(Kind::Listener, name) else { return gone(app, frame, area, "listener", name) };
    let (theme, width) = (app.theme, area.width);
    let text = |field: &str| object.get(field).and_then(Json::as_str).unwrap_or_default();
    let mut lines = vec![rule(theme, &format!("system ▸ {name}"), text("protocol"), width)];
    let status = app.live.status.iter().flat_map(|status| &status.listeners).find(|listener| listener.name == name);
    if let Some(status) = status {
        let open =
            format!("{} of {} may be open", text::count(status.connections), text::count(status.connections_max));
        lines.extend(labelled(theme, "connections", &open, width));
        lines.extend(labelled(theme, "listens on", &status.address, width));
    }
    let certificates = object.get("certificates").and_then(Json::as_array).into_iter().flatten();
    let certificates = certificates.filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
    if !certificates.is_empty() {
        lines.extend(labelled(theme, "certificates", &certificates, width));
    }
    lines.extend(labelled(theme, "leads to", &leads_words(object), width));
    for (label, map) in [("by name", "sni"), ("by protocol", "alpn")] {
        for (name, upstream) in object.get(map).and_then(Json::as_object).into_iter().flatten() {
            let words = format!("{name} → {}", upstream.as_str().unwrap_or_default());
            lines.extend(labelled(theme, label, &words, width));
        }
    }
    for (title, summary) in listener_settings(object, &app.live) {
        lines.extend(labelled(theme, title, &summary, width));
    }
    paint::scrolled(frame, area, lines, scroll);
}

/// Where what arrives goes.
fn leads_words(object: &Json) -> String {
    let text = |field: &str| object.get(field).and_then(Json::as_str);
    match (text("protocol"), text("upstream")) {
        (Some("http" | "https"), _) => "the routes".to_owned(),
        (_, Some(upstream)) => format!("upstream {upstream}"),
        _ => "only what is named below; everything else is closed".to_owned(),
    }
}

pub(super) fn certificate(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str, scroll: u16) {
    let Some(object) = app.live.object(Kind::Certificate, name) else {
        return gone(app, frame, area, "certificate", name);
    };
    let text = |field: &str| object.get(field).and_then(Json::as_str).unwrap_or_default();
    let mut lines = vec![rule(app.theme, &format!("certificates ▸ {name}"), "", area.width)];
    let key =
        if text("key").trim_start().starts_with(weirgate_store::model::PEM) { "(private key)" } else { text("key") };
    lines.extend(labelled(app.theme, "key", key, area.width));
    lines.push(rule(app.theme, "Chain", "", area.width));
    lines.extend(text("chain").lines().map(|line| Line::from(plain(format!("  {line}")))));
    paint::scrolled(frame, area, lines, scroll);
}
