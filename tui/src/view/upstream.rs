// SPDX-License-Identifier: MIT OR Apache-2.0
//! One upstream with its endpoints, and its past: what stands in the way first, then who carries what.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use serde_json::Value as Json;
use weirgate_store::model::Kind;
use weirgate_store::wire::{EndpointStatus, OverrideMode, UpstreamStatus};

use super::objects::{flow_line, gone};
use super::paint::{self, indented, labelled, plain, rule, span};
use super::{chart, table};
use crate::app::App;
use crate::form::settings;
use crate::list::ListId;
use crate::live::TREND_KEPT;
use crate::text;
use crate::theme::Tone;

/// From this height on everything that is set is shown, below it only the balance.
const TALL: u16 = 30;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, name: &str) {
    let Some(status) = app.live.upstream(name) else { return gone(app, frame, area, "upstream", name) };
    let lines = head(app, status, area);
    let selected = app.selected().and_then(|address| app.live.endpoint(name, address));
    let foot = selected.map(|endpoint| selected_lines(app, endpoint, area.width)).unwrap_or_default();
    let [top, body, bottom] = Layout::vertical([
        Constraint::Length(u16::try_from(lines.len()).unwrap_or(3)),
        Constraint::Fill(1),
        Constraint::Length(u16::try_from(foot.len()).unwrap_or(0)),
    ])
    .areas(area);
    paint::lines(frame, top, lines);
    table::titled(app, frame, body, ListId::Endpoints, "Endpoints");
    paint::lines(frame, bottom, foot);
}

/// Numbers, trouble, queue, discovery, and how it is set.
fn head(app: &App, status: &UpstreamStatus, area: Rect) -> Vec<Line<'static>> {
    let (theme, width, name) = (app.theme, area.width, status.name.as_str());
    let right = format!("{} of {} take requests", status.usable, status.endpoints.len());
    let mut lines = vec![rule(theme, &format!("upstreams ▸ {name}"), &right, width)];
    lines.extend(flow_line(app, app.live.upstreams.get(name)));
    lines.push(trend(app, name));
    if let Some(trouble) = &status.trouble {
        lines.extend(indented(theme, Tone::Bad, &format!("✗ {trouble}"), 1, width));
    }
    if status.queued > 0 || status.requests_max.is_some() || status.queue_timeouts > 0 || status.hedges > 0 {
        lines.extend(labelled(theme, "load", &load_words(app, status), width));
    }
    if let Some(discovery) = &status.discovery {
        lines.extend(labelled(theme, "discovery", discovery, width));
    }
    let object = app.live.object(Kind::Upstream, name).cloned().unwrap_or_default();
    // These are shown by themselves.
    let shown = |title: &str| match title {
        "endpoints" | "balance" => true,
        "discovery" => status.discovery.is_some(),
        _ => false,
    };
    let set = settings(&object, &app.live).into_iter().filter(|(title, _)| !shown(title));
    let set: Vec<(&str, String)> = set.collect();
    let used = users(app, name);
    if area.height >= TALL {
        lines.extend(labelled(theme, "used by", &used, width));
        lines.extend(labelled(theme, "balance", &status.balance, width));
        lines.extend(set.into_iter().flat_map(|(title, words)| labelled(theme, title, &words, width)));
    } else {
        let more = set.iter().map(|(title, _)| *title).collect::<Vec<_>>().join(", ");
        let more = if more.is_empty() { String::new() } else { format!(" · set: {more}") };
        let words = format!("  {} · {used}{more}", status.balance);
        lines.push(Line::from(plain(text::fit(&words, usize::from(width)))));
    }
    lines
}

/// The requests of the last minute.
fn trend(app: &App, name: &str) -> Line<'static> {
    let values: Vec<u64> = app.live.trends.get(name).into_iter().flatten().copied().collect();
    let row = chart::sparkline(&values, TREND_KEPT, 1).into_iter().next().unwrap_or_default();
    Line::from(vec![span(app.theme, Tone::Dim, "  last minute "), span(app.theme, Tone::Bar, row)])
}

fn load_words(app: &App, status: &UpstreamStatus) -> String {
    let limit = status.requests_max.map(|max| {
        let now = text::count(status.requests.into());
        format!("{now} of {} requests allowed in flight now", text::count(max.into()))
    });
    let object = app.live.object(Kind::Upstream, &status.name);
    let room = object.and_then(|object| object.pointer("/limits/queue")).and_then(Json::as_u64).unwrap_or(200);
    let mark = if status.queued > 0 { "! " } else { "" };
    let queue = format!("{mark}{} wait for a place, {} may", text::count(status.queued.into()), text::count(room));
    let vain = (status.queue_timeouts > 0).then(|| format!("{} waited in vain", text::count(status.queue_timeouts)));
    let hedges = (status.hedges > 0).then(|| format!("{} second copies sent", text::count(status.hedges)));
    [limit, Some(queue), vain, hedges].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// All about the endpoint under the cursor: on a narrow terminal most columns are dropped.
fn selected_lines(app: &App, endpoint: &EndpointStatus, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![rule(app.theme, &endpoint.address, "", width)];
    lines.extend(endpoint_lines(app, endpoint, width));
    lines
}

/// An endpoint in sentences.
pub(super) fn endpoint_lines(app: &App, endpoint: &EndpointStatus, width: u16) -> Vec<Line<'static>> {
    let mut rows = vec![("health", health_words(app, endpoint))];
    if let Some(over) = override_words(app, endpoint) {
        rows.push(("by hand", over));
    }
    let latency = endpoint.latency_us.map(|us| format!(" · latency {}", text::micros(us))).unwrap_or_default();
    rows.push((
        "carries",
        format!(
            "{} in flight over {}{latency} · {} requests, {} errors since start",
            text::count(endpoint.in_flight.into()),
            text::plural(endpoint.connections.into(), "connection"),
            text::count(endpoint.requests),
            text::count(endpoint.errors)
        ),
    ));
    rows.push(("place", place_words(endpoint)));
    rows.into_iter().flat_map(|(label, words)| labelled(app.theme, label, &words, width)).collect()
}

fn health_words(app: &App, endpoint: &EndpointStatus) -> String {
    let mut words = endpoint.reason.clone();
    if let Some(until) = endpoint.ejected_until_ms {
        words += &format!(" · ejected until {}", moment(app, until));
    }
    if let Some(share) = endpoint.share_percent {
        words += &format!(" · slow start: {share} % of its weight and limits now");
    }
    words
}

/// What an operator did, why, and what happens to it by itself.
fn override_words(app: &App, endpoint: &EndpointStatus) -> Option<String> {
    let over = endpoint.overridden.as_ref()?;
    let weight = over.weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
    let reason = if over.reason.is_empty() { String::new() } else { format!(": {}", over.reason) };
    let since = text::span(app.now_ms - over.since_ms);
    let mode = match over.mode {
        OverrideMode::Ready => "ready",
        OverrideMode::Drain => "draining",
        OverrideMode::Maint => "maintenance",
    };
    let mut words = format!("{mode}{weight}, by {} {since} ago{reason}", over.owner);
    if let Some(deadline) = over.deadline_ms {
        words += &format!(" · what is left is cut at {}", moment(app, deadline));
    }
    if let Some(expires) = over.expires_ms {
        words += &format!(" · takes itself back at {}", moment(app, expires));
    }
    Some(words)
}

/// `14:42:00 (in 4 m 12 s)`.
pub(super) fn moment(app: &App, ms: i64) -> String {
    let clock = text::clock(ms, &app.zone);
    match ms - app.now_ms {
        left if left > 0 => format!("{clock} (in {})", text::span(left)),
        _ => format!("{clock} (now)"),
    }
}

fn place_words(endpoint: &EndpointStatus) -> String {
    let weight = match endpoint.configured_weight {
        written if written == endpoint.weight => format!("weight {written}"),
        written => format!("weight {} ({written} is written)", endpoint.weight),
    };
    let tier = if endpoint.backup { "backup".to_owned() } else { format!("priority {}", endpoint.priority) };
    let zone = endpoint.zone.as_ref().map(|zone| format!("zone {zone}"));
    let origin = match endpoint.origin.as_str() {
        "" | "written" => None,
        origin => Some(format!("found by {origin}")),
    };
    [Some(weight), Some(tier), zone, origin].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The routes and listeners that lead here.
fn users(app: &App, upstream: &str) -> String {
    let names = |kind: Kind| {
        let objects = app.live.objects(kind).filter(|(_, object)| leads_to(object, upstream));
        objects.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let said = |word: &str, names: &[&str]| match names.len() {
        0 => None,
        1..=3 => Some(format!("{word} {}", names.join(", "))),
        n => Some(text::plural(n as u64, word)),
    };
    let said = [said("route", &names(Kind::Route)), said("listener", &names(Kind::Listener))];
    let said: Vec<String> = said.into_iter().flatten().collect();
    if said.is_empty() { "used by nothing".to_owned() } else { said.join(" and ") }
}

/// Whether an upstream is named anywhere a request can go: alone, as a side, as a mirror, by SNI or ALPN.
fn leads_to(object: &Json, upstream: &str) -> bool {
    let is = |value: Option<&Json>| value.and_then(Json::as_str) == Some(upstream);
    let sides = object.get("split").and_then(Json::as_array).into_iter().flatten();
    let maps = ["sni", "alpn"].into_iter().filter_map(|map| object.get(map)?.as_object());
    is(object.get("upstream"))
        || is(object.pointer("/mirror/upstream"))
        || sides.into_iter().any(|side| is(side.get("upstream")))
        || maps.into_iter().flat_map(|map| map.values()).any(|value| is(Some(value)))
}
