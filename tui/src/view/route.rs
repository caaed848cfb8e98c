// SPDX-License-Identifier: MIT OR Apache-2.0
//! One route: what it takes, what that must pass in running order, and where it goes: one upstream, or a split with its
//! canary, and a mirror beside it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::Value as Json;
use weirgate_store::model::Kind;
use weirgate_store::wire::CanaryStatus;

use super::objects::{flow_line, gone};
use super::paint::{self, indented, labelled, rule};
use crate::app::App;
use crate::rows::route_facts;
use crate::text;
use crate::theme::Tone;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str, scroll: u16) {
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
    lines.extend(destination(app, name, object, width));
    lines.extend(canary(app, name, object, width));
    lines.extend(mirror(app, object, width));
    paint::scrolled(frame, area, lines, scroll);
}

/// The upstream, or the sides of the split, and what belongs to every request.
fn destination(app: &App, name: &str, object: &Json, width: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let sides: Vec<&Json> = object.get("split").and_then(Json::as_array).into_iter().flatten().collect();
    if sides.is_empty() {
        let upstream = object.get("upstream").and_then(Json::as_str).unwrap_or("no upstream");
        lines.extend(labelled(app.theme, "upstream", &upstream_words(app, upstream), width));
    }
    let whole: u64 = sides.iter().map(|side| weight(side)).sum();
    for side in &sides {
        let upstream = side.get("upstream").and_then(Json::as_str).unwrap_or_default();
        let share = match app.live.canary(name) {
            Some(status) if status.upstream == upstream => format!("{} %", status.percent),
            Some(status) => format!("{} %", 100u16.saturating_sub(status.percent)),
            None => text::percent(weight(side), whole),
        };
        lines.extend(labelled(app.theme, &share, &upstream_words(app, upstream), width));
    }
    if !sides.is_empty() {
        lines.extend(labelled(app.theme, "decided by", &key_words(object.get("split_by")), width));
    }
    let text = |field: &str| object.get(field).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let testers = text("testers").map(|field| format!("name a side in the request header {field}"));
    let urgency = text("urgency").map(|number| format!("{number} (in a queue 0 goes first, 7 last)"));
    let connect = text("connect").map(|_| "let through to the endpoint".to_owned());
    let rows = [
        ("testers", testers),
        ("urgency", urgency),
        ("CONNECT", connect),
        ("priority", text("priority")),
        ("body up to", text("max_body")),
    ];
    lines.extend(
        rows.into_iter()
            .flat_map(|(label, value)| value.map(|value| (label, value)))
            .flat_map(|(label, value)| labelled(app.theme, label, &value, width)),
    );
    lines
}

fn weight(side: &Json) -> u64 {
    side.get("weight").and_then(Json::as_u64).unwrap_or(0)
}

/// What decides the side of a split.
fn key_words(key: Option<&Json>) -> String {
    match key {
        None => "chance, each request anew".to_owned(),
        Some(Json::String(key)) => format!("{key}: the same caller stays on its side"),
        Some(Json::Object(map)) => {
            let key = map.iter().next().map(|(kind, name)| format!("{kind} {}", name.as_str().unwrap_or_default()));
            format!("{}: the same value stays on its side", key.unwrap_or_default())
        }
        Some(other) => other.to_string(),
    }
}

/// The canary: its state first, then its schedule and its guards.
fn canary(app: &App, name: &str, object: &Json, width: u16) -> Vec<Line<'static>> {
    let Some(canary) = object.get("canary") else { return Vec::new() };
    let status = app.live.canary(name);
    let title = format!("Canary {}", text_of(canary, "upstream", ""));
    let state = status.map_or("not known yet", |status| state_words(&status.state));
    let mut lines = vec![rule(app.theme, &title, state, width)];
    if let Some(status) = status {
        let since = text::span(app.now_ms - status.since_ms);
        let trouble = matches!(status.state.as_str(), "back" | "stopped");
        let mark = if trouble { "! " } else { "" };
        let now = format!("{mark}{} % for {since}: {}", status.percent, status.reason);
        let tone = if trouble { Tone::Warn } else { Tone::Plain };
        lines.extend(indented(app.theme, tone, &now, 1, width));
    }
    let every = format!("{}, each {}", steps_words(canary, status), text_of(canary, "every", ""));
    lines.extend(labelled(app.theme, "steps", &every, width));
    let latency = canary.get("latency_max").and_then(Json::as_str);
    let guards = format!(
        "errors below {}, mean latency below {}, looked at from {} requests on",
        text_of(canary, "errors_max", "5%"),
        latency.unwrap_or("any"),
        canary.get("requests").and_then(Json::as_u64).unwrap_or(50)
    );
    lines.extend(labelled(app.theme, "goes on with", &guards, width));
    let trouble = match text_of(canary, "on_trouble", "back").as_str() {
        "stop" => "stays where it is until an operator starts it again",
        _ => "back to no share until an operator starts it again",
    };
    lines.extend(labelled(app.theme, "in trouble", trouble, width));
    lines
}

fn state_words(state: &str) -> &'static str {
    match state {
        "moving" => "✓ moving",
        "done" => "✓ done: the last step is reached",
        "stopped" => "! stopped",
        "back" => "! went back",
        _ => "not known yet",
    }
}

/// `5% ▸ [25%] ▸ 100%`: the step reached stands in brackets.
fn steps_words(canary: &Json, status: Option<&CanaryStatus>) -> String {
    let at = status.and_then(|status| status.step).and_then(|step| usize::try_from(step).ok());
    let steps = canary.get("steps").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let steps = steps.enumerate();
    let steps = steps.map(|(i, step)| if Some(i) == at { format!("[{step}]") } else { step.to_owned() });
    steps.collect::<Vec<_>>().join(" ▸ ")
}

fn mirror(app: &App, object: &Json, width: u16) -> Vec<Line<'static>> {
    let Some(mirror) = object.get("mirror") else { return Vec::new() };
    let words = format!(
        "{} of them copied to {}, bodies up to {}; nobody sees its replies",
        text_of(mirror, "share", "100%"),
        text_of(mirror, "upstream", ""),
        text_of(mirror, "max_body", "64KiB")
    );
    [vec![rule(app.theme, "Mirror", "", width)], labelled(app.theme, "mirror", &words, width)].concat()
}

fn text_of(object: &Json, member: &str, default: &str) -> String {
    object.get(member).and_then(Json::as_str).unwrap_or(default).to_owned()
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
const ORDER: [(&str, &str); 15] = [
    ("ip", "access"),
    ("methods", "access"),
    ("bots", "access"),
    ("api_key", "authenticate"),
    ("authenticate", "authenticate"),
    ("basic", "authenticate"),
    ("http_signature", "authenticate"),
    ("jwt", "authenticate"),
    ("mtls", "authenticate"),
    ("oauth2", "authenticate"),
    ("authorize", "authorize"),
    ("forward_auth", "authorize"),
    ("rate_limit", "limit"),
    ("request_headers", "request"),
    ("reply_headers", "reply"),
];

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
