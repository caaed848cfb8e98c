// SPDX-License-Identifier: MIT OR Apache-2.0
//! One endpoint that is watched: how far a drain is, who is still connected, and who carries its work meanwhile.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use weirgate_store::wire::{EndpointHealth, EndpointOverride, EndpointStatus, OverrideMode, UpstreamStatus};

use super::objects::gone;
use super::paint::{self, indented, labelled, plain, rule, span};
use super::upstream::{endpoint_lines, moment};
use super::{chart, table};
use crate::app::{App, EndpointView};
use crate::list::ListId;
use crate::rows::{health_word, of_screen};
use crate::text;
use crate::theme::Tone;

/// Cells of the bar of progress.
const BAR: usize = 24;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, view: &EndpointView) {
    let Some(endpoint) = app.live.endpoint(&view.upstream, &view.address) else {
        return gone(app, frame, area, "endpoint", &view.address);
    };
    let title = format!("upstreams ▸ {} ▸ {}", view.upstream, view.address);
    let mut lines = vec![rule(app.theme, &title, &state_words(app, endpoint), area.width)];
    match endpoint.overridden.as_ref().filter(|over| over.mode != OverrideMode::Ready) {
        Some(over) => lines.extend(leaving(app, view, endpoint, over, area.width)),
        None => lines.extend(endpoint_lines(app, endpoint, area.width)),
    }
    if let Some(upstream) = app.live.upstream(&view.upstream) {
        lines.extend(labelled(app.theme, "others", &others_words(upstream, endpoint), area.width));
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height.saturating_sub(5));
    let [head, body] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    paint::lines(frame, head, lines);
    table::titled(app, frame, body, ListId::Connections, "Tunnels to it (tcp, tls, udp, websocket), the oldest first");
}

fn state_words(app: &App, endpoint: &EndpointStatus) -> String {
    match endpoint.overridden.as_ref().filter(|over| over.mode != OverrideMode::Ready) {
        Some(over) => {
            format!("{}, by {}, {} ago", health_word(endpoint), over.owner, text::span(app.now_ms - over.since_ms))
        }
        None => format!("{} for {}", health_word(endpoint), text::span(app.now_ms - endpoint.since_ms)),
    }
}

/// An endpoint on its way out: what is left, the oldest of it, and when it ends.
fn leaving(
    app: &App,
    view: &EndpointView,
    endpoint: &EndpointStatus,
    over: &EndpointOverride,
    width: u16,
) -> Vec<Line<'static>> {
    let mut lines = progress(app, view, endpoint, width);
    let left = format!("{} open to it, unused ones included", text::count(endpoint.connections.into()));
    lines.extend(labelled(app.theme, "connections", &left, width));
    lines.extend(labelled(app.theme, "oldest", &oldest_words(app), width));
    let deadline = match (over.mode, over.deadline_ms) {
        (_, Some(at)) => Some(format!("{}: what is left then is cut", moment(app, at))),
        (OverrideMode::Drain, None) => Some("none: it waits for the last request, however long".to_owned()),
        _ => None,
    };
    let back = over.expires_ms.map(|at| format!("by itself at {}", moment(app, at)));
    let reason = if over.reason.is_empty() { "no reason given".to_owned() } else { over.reason.clone() };
    for (label, words) in [("deadline", deadline), ("back", back), ("reason", Some(reason))] {
        lines.extend(words.into_iter().flat_map(|words| labelled(app.theme, label, &words, width)));
    }
    lines
}

/// `44 → 6 ▓▓▓▓░ about 20 s left`, or that it is over.
fn progress(app: &App, view: &EndpointView, endpoint: &EndpointStatus, width: u16) -> Vec<Line<'static>> {
    let now = endpoint.in_flight;
    let known = matches!(app.live.connections, Some(Ok(_)));
    if now == 0 && known && of_screen(app, &app.screen).next().is_none() {
        let words = "✓ Nothing is in flight any more: the machine can be worked on.";
        return indented(app.theme, Tone::Good, words, 1, width);
    }
    let peak = view.peak.max(now);
    let pace = pace_words(app, view, now);
    vec![Line::from(vec![
        span(app.theme, Tone::Dim, format!(" {}", text::pad("in flight", 14))),
        span(app.theme, Tone::Strong, format!("{} → {}  ", text::count(peak.into()), text::count(now.into()))),
        span(app.theme, Tone::Bar, chart::gauge((peak - now).into(), peak.into(), BAR)),
        plain(format!("  {pace}")),
    ])]
}

/// How long it will take if it goes on as since it is watched.
fn pace_words(app: &App, view: &EndpointView, now: u32) -> String {
    let Some((since_ms, before)) = view.first else { return String::new() };
    let (passed, gone) = (app.now_ms - since_ms, i64::from(before) - i64::from(now));
    if now == 0 {
        "no request is left; tunnels may be".to_owned()
    } else if gone > 0 && passed > 0 {
        format!("about {} left at this pace", text::span(passed.saturating_mul(i64::from(now)) / gone))
    } else {
        "none has finished since you look".to_owned()
    }
}

fn oldest_words(app: &App) -> String {
    match (&app.live.connections, of_screen(app, &app.screen).min_by_key(|connection| connection.since_ms)) {
        (_, Some(oldest)) => {
            format!("{} from {}, open for {}", oldest.protocol, oldest.client, text::span(app.now_ms - oldest.since_ms))
        }
        (Some(Ok(_)), None) => "no tunnel ends at it".to_owned(),
        (Some(Err(why)), None) => format!("not known: {why}"),
        (None, None) => "asking the daemon…".to_owned(),
    }
}

/// Who takes its work.
fn others_words(upstream: &UpstreamStatus, this: &EndpointStatus) -> String {
    let takes = |endpoint: &&EndpointStatus| {
        let ready = endpoint.overridden.as_ref().is_none_or(|over| over.mode == OverrideMode::Ready);
        let well = endpoint.health != EndpointHealth::Down && endpoint.ejected_until_ms.is_none();
        endpoint.address != this.address && ready && well && endpoint.weight > 0
    };
    let others: Vec<String> = upstream
        .endpoints
        .iter()
        .filter(takes)
        .map(|endpoint| format!("{} ({} in flight)", endpoint.address, text::count(endpoint.in_flight.into())))
        .collect();
    let leaves = this.overridden.as_ref().is_some_and(|over| over.mode != OverrideMode::Ready);
    if !leaves {
        match others.len() {
            0 => format!("no other endpoint of {} takes requests", upstream.name),
            1 => format!("1 more of {} takes requests", upstream.name),
            n => format!("{n} more of {} take requests", upstream.name),
        }
    } else if others.is_empty() {
        format!("! no other endpoint of {} takes requests: clients get 503", upstream.name)
    } else {
        format!("its work goes to {}", others.join(", "))
    }
}
