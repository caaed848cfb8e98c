// SPDX-License-Identifier: MIT OR Apache-2.0
//! One object: a route with its policies in running order, an upstream with its endpoints, a consumer with its keys,
//! a certificate.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use serde_json::Value as Json;
use weirgate_store::model::Kind;

use super::paint::{self, labelled, plain, rule, span};
use super::table;
use crate::app::App;
use crate::form::check_text;
use crate::list::ListId;
use crate::live::Flow;
use crate::rows::route_facts;
use crate::text;
use crate::theme::Tone;

pub(super) fn route(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str, scroll: u16) {
    let Some(object) = app.live.object(Kind::Route, name) else { return gone(app, frame, area, "route", name) };
    let facts = route_facts(object);
    let width = area.width;
    let mut lines = vec![rule(app.theme, &format!("routes ▸ {name}"), "", width)];
    lines.extend(flow_line(app, app.live.routes.get(name)));
    lines.push(rule(app.theme, "Takes requests with", "", width));
    lines.extend(labelled(app.theme, "host", &facts.hosts, width));
    lines.extend(labelled(app.theme, "path", &path_words(object), width));
    lines.extend(labelled(app.theme, "method", &facts.methods, width));
    for (label, pointer) in [("header", "/match/headers"), ("query", "/match/query")] {
        for (field, value) in object.pointer(pointer).and_then(Json::as_object).into_iter().flatten() {
            lines.extend(labelled(app.theme, label, &format!("{field}: {}", value_words(value)), width));
        }
    }
    lines.push(rule(app.theme, "They pass, in this order", "", width));
    lines.extend(policies(app, object, width));
    lines.push(rule(app.theme, "And go to", "", width));
    lines.extend(labelled(app.theme, "upstream", &upstream_words(app, &facts.upstream), width));
    let text = |field: &str| object.get(field).map(ToString::to_string);
    if let Some(priority) = text("priority") {
        lines.extend(labelled(app.theme, "priority", &priority, width));
    }
    if let Some(limit) = object.get("max_body").and_then(Json::as_str) {
        lines.extend(labelled(app.theme, "body up to", limit, width));
    }
    paint::scrolled(frame, area, lines, scroll);
}

fn gone(app: &App, frame: &mut Frame<'_>, area: Rect, kind: &str, name: &str) {
    let words = if app.live.status.is_some() {
        format!("There is no {kind} {name} in the running configuration. Press esc to go back.")
    } else {
        "Waiting for the daemon.".to_owned()
    };
    let lines = vec![rule(app.theme, &format!("{kind} ▸ {name}"), "", area.width), Line::default()];
    let said = paint::indented(app.theme, Tone::Plain, &words, 2, area.width);
    paint::lines(frame, area, [lines, said].concat());
}

fn flow_line(app: &App, flow: Option<&Flow>) -> Vec<Line<'static>> {
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

fn path_words(object: &Json) -> String {
    let (kind, path) = crate::form::path_of(object);
    match kind.as_str() {
        "prefix" if path == "/" => "any".to_owned(),
        "prefix" => format!("{path} and everything below it"),
        "exact" => format!("{path} and nothing else"),
        "template" => format!("{path} ({{…}} stands for one segment)"),
        _ => format!("{path} (regular expression)"),
    }
}

fn value_words(value: &Json) -> String {
    match value {
        Json::String(exact) => exact.clone(),
        Json::Object(map) => match map.iter().next() {
            Some((kind, Json::String(text))) => format!("{text} ({kind})"),
            Some((_, Json::Bool(true))) => "present".to_owned(),
            Some((_, Json::Bool(false))) => "absent".to_owned(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Kinds of policies in running order, with the phase each belongs to.
const ORDER: [(&str, &str); 4] =
    [("api_key", "authenticate"), ("rate_limit", "limit"), ("request_headers", "request"), ("reply_headers", "reply")];

/// Each policy of a route with its phase, name and meaning, in running order.
fn policies(app: &App, route: &Json, width: u16) -> Vec<Line<'static>> {
    let list = route.get("policies").and_then(Json::as_array).into_iter().flatten();
    let mut found: Vec<(usize, String, String)> = list
        .map(|policy| {
            let (name, body) = match policy {
                Json::String(name) => (name.as_str(), app.live.object(Kind::Policy, name)),
                inline => ("in place", Some(inline)),
            };
            let (kind, settings) = body.and_then(Json::as_object).and_then(|map| map.iter().next()).unzip();
            let kind = kind.map_or("unknown", String::as_str);
            let at = ORDER.iter().position(|(known, _)| *known == kind).unwrap_or(ORDER.len());
            (at, name.to_owned(), format!("{kind} {}", settings.map(settings_words).unwrap_or_default()))
        })
        .collect();
    found.sort_by_key(|(at, ..)| *at);
    if found.is_empty() {
        return labelled(app.theme, "nothing", "every matching request is forwarded as it is", width);
    }
    let phase = |at: usize| ORDER.get(at).map_or("", |(_, phase)| *phase);
    found
        .into_iter()
        .flat_map(|(at, name, words)| labelled(app.theme, phase(at), &format!("{name}: {words}"), width))
        .collect()
}

/// `header = X-Api-Key · realm = shop`.
fn settings_words(settings: &Json) -> String {
    let members = settings.as_object().into_iter().flatten();
    let words = members.map(|(key, value)| match value {
        Json::String(text) => format!("{key} = {text}"),
        other => format!("{key} = {other}"),
    });
    words.collect::<Vec<_>>().join(" · ")
}

fn upstream_words(app: &App, name: &str) -> String {
    let status = app.live.status.as_ref().and_then(|status| status.upstreams.iter().find(|u| u.name == name));
    match status {
        Some(upstream) => {
            let all = upstream.endpoints.len();
            format!("{name}, {}: {} of {all} endpoints take requests", upstream.balance, upstream.usable)
        }
        None => name.to_owned(),
    }
}

pub(super) fn upstream(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str) {
    let status = app.live.status.as_ref().and_then(|status| status.upstreams.iter().find(|u| u.name == name));
    let Some(status) = status else { return gone(app, frame, area, "upstream", name) };
    let object = app.live.object(Kind::Upstream, name).cloned().unwrap_or_default();
    let check = match check_text(&object).as_str() {
        "" => "none: every endpoint is taken to be up".to_owned(),
        "tcp" => "a connection that opens".to_owned(),
        path => format!("GET {path}"),
    };
    let mut lines = vec![rule(app.theme, &format!("upstreams ▸ {name}"), "", area.width)];
    lines.extend(flow_line(app, app.live.upstreams.get(name)));
    lines.push(Line::from(plain(text::fit(
        &format!("  balance {} · health check {check} · used by {}", status.balance, users(app, name)),
        usize::from(area.width),
    ))));
    let why = selected_reason(app, status, area.width);
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(u16::try_from(lines.len()).unwrap_or(3)),
        Constraint::Fill(1),
        Constraint::Length(u16::try_from(why.len()).unwrap_or(0)),
    ])
    .areas(area);
    paint::lines(frame, head, lines);
    table::titled(app, frame, body, ListId::Endpoints, "Endpoints");
    paint::lines(frame, foot, why);
}

/// The whole reason of the endpoint under the cursor: on a narrow terminal its column is dropped.
fn selected_reason(app: &App, status: &weirgate_store::wire::UpstreamStatus, width: u16) -> Vec<Line<'static>> {
    let Some(selected) = app.selected() else { return Vec::new() };
    let Some(endpoint) = status.endpoints.iter().find(|e| e.address == selected) else { return Vec::new() };
    let mut lines = vec![rule(app.theme, selected, "", width)];
    lines.extend(labelled(app.theme, "health", &endpoint.reason, width));
    if let Some(over) = &endpoint.overridden {
        let weight = over.weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
        let reason = if over.reason.is_empty() { String::new() } else { format!(": {}", over.reason) };
        let since = text::span(app.now_ms - over.since_ms);
        let mode = crate::form::mode_name(over.mode);
        let words = format!("{mode}{weight}, by {} {since} ago{reason}", over.owner);
        lines.extend(labelled(app.theme, "override", &words, width));
    }
    let counted =
        format!("{} requests, {} errors since start", text::count(endpoint.requests), text::count(endpoint.errors));
    lines.extend(labelled(app.theme, "counted", &counted, width));
    lines
}

fn users(app: &App, upstream: &str) -> String {
    let routes = app.live.objects(Kind::Route);
    let uses = |object: &Json| object.get("upstream").and_then(Json::as_str) == Some(upstream);
    let names: Vec<&str> = routes.filter(|(_, object)| uses(object)).map(|(name, _)| name.as_str()).collect();
    match names.len() {
        0 => "no route".to_owned(),
        1..=3 => format!("route {}", names.join(", ")),
        n => text::plural(n as u64, "route"),
    }
}

pub(super) fn consumer(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str) {
    let Some(object) = app.live.object(Kind::Consumer, name) else { return gone(app, frame, area, "consumer", name) };
    let groups = object.get("groups").and_then(Json::as_array).into_iter().flatten();
    let groups = groups.filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
    let mut lines = vec![rule(app.theme, &format!("consumers ▸ {name}"), "", area.width)];
    lines.extend(flow_line(app, app.live.consumers.get(name)));
    lines.extend(labelled(app.theme, "groups", &groups, area.width));
    let [head, body] =
        Layout::vertical([Constraint::Length(u16::try_from(lines.len()).unwrap_or(3)), Constraint::Fill(1)])
            .areas(area);
    paint::lines(frame, head, lines);
    table::titled(app, frame, body, ListId::Keys, "Keys");
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
