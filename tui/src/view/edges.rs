// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is on every screen: the first line (who, which revision, is all well), the eight screens, the banner, the
//! notice, and the last line with the keys.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;
use tui_input::Input;
use weirgate_store::wire::{EndpointHealth, EndpointStatus, StatusReply};

use super::paint::{self, plain, span};
use crate::app::{App, Link, NoticeTone, Tab};
use crate::attention::{Level, attention};
use crate::keymap::{self, Binding, Verb};
use crate::text;
use crate::theme::Tone;

/// Left what runs, right the time, between them what is wrong. Who applied the revision goes first when room is short.
pub(super) fn header(app: &App, width: u16) -> Line<'static> {
    let theme = app.theme;
    let right = format!("  {} ", text::clock(app.now_ms, &app.zone));
    let (tone, health) = health(app);
    let mut left = vec![span(theme, Tone::Accent, " weirgate")];
    let mut room = usize::from(width).saturating_sub(9 + text::width(&right) + text::width(&health) + 2);
    let parts = match &app.live.status {
        Some(status) => running(app, status),
        None => vec![(Tone::Dim, "  no answer from the daemon yet".to_owned())],
    };
    for (tone, part) in parts {
        match room.checked_sub(text::width(&part)) {
            Some(rest) => room = rest,
            None => break,
        }
        left.push(span(theme, tone, part));
    }
    left.push(plain(" ".repeat(room + 2)));
    left.push(span(theme, tone, health));
    left.push(span(theme, Tone::Dim, right));
    Line::from(left)
}

fn running(app: &App, status: &StatusReply) -> Vec<(Tone, String)> {
    let revision = &status.revision;
    let when = text::clock_short(revision.time_ms, &app.zone);
    vec![
        (Tone::Strong, format!("  {}", text::fit(&status.instance, 20))),
        (Tone::Plain, format!("  rev {} ", revision.number)),
        (Tone::Good, "✓".to_owned()),
        (Tone::Dim, format!(" {when}")),
        (Tone::Dim, format!(" by {}", text::fit(&revision.author, 24))),
    ]
}

/// All in a few words: the worst first.
fn health(app: &App) -> (Tone, String) {
    let Some(status) = &app.live.status else { return (Tone::Dim, String::new()) };
    if matches!(app.link, Link::Lost { .. }) {
        return (Tone::Bad, "! no answer".to_owned());
    }
    let found = attention(&app.live, app.now_ms);
    let count = |level| found.iter().filter(|item| item.level == level).count() as u64;
    let endpoints = status.upstreams.iter().flat_map(|u| &u.endpoints);
    let out = |e: &&EndpointStatus| e.health == EndpointHealth::Down || e.ejected_until_ms.is_some();
    let down = endpoints.clone().filter(out).count() as u64;
    match (count(Level::Bad), count(Level::Warn)) {
        (0, 0) => (Tone::Good, "✓ all well".to_owned()),
        (0, warnings) => (Tone::Warn, format!("! {}", text::plural(warnings, "warning"))),
        (_, _) if down > 0 => {
            (Tone::Bad, format!("✗ {down} of {} down", text::plural(endpoints.count() as u64, "endpoint")))
        }
        (bad, _) => (Tone::Bad, format!("✗ {}", text::plural(bad, "problem"))),
    }
}

/// `1 overview  2 traffic …`; on a narrow terminal with one blank between.
pub(super) fn tabs(app: &App, width: u16) -> Line<'static> {
    let here = app.tab();
    let wide = width >= 106;
    let mut spans = vec![plain(if wide { " " } else { "" })];
    for (number, tab) in (1..).zip(Tab::ALL) {
        let name = if tab == Tab::Certificates && !wide { "certs" } else { tab.name() };
        let label = format!("{number} {name}");
        if tab == here {
            spans.push(span(app.theme, Tone::Selected, label));
        } else {
            spans.push(span(app.theme, Tone::Dim, label));
        }
        spans.push(plain(if wide { "   " } else { " " }));
    }
    Line::from(spans)
}

/// What stands in the way, if something does.
pub(super) fn banner(app: &App) -> Option<Line<'static>> {
    let (tone, text) = match &app.link {
        Link::Lost { reason, .. } if app.live.status.is_none() => {
            (Tone::Bad, format!(" ! no daemon answers, trying again: {reason}"))
        }
        Link::Lost { since_ms, reason } => {
            let since = text::span(app.now_ms - since_ms);
            (Tone::Bad, format!(" ! daemon restarting, read-only for {since}, trying again: {reason}"))
        }
        Link::Connecting => (Tone::Dim, " connecting to the daemon…".to_owned()),
        Link::Up if app.write_refusal().is_some() => {
            (Tone::Dim, format!(" {}", app.write_refusal().unwrap_or_default()))
        }
        Link::Up => return None,
    };
    Some(Line::from(span(app.theme, tone, text)))
}

/// The notice lies on the last line of the body, where it covers the least.
pub(super) fn notice(app: &App, frame: &mut Frame<'_>, body: Rect) {
    let Some(notice) = &app.notice else { return };
    let (tone, mark) = match notice.tone {
        NoticeTone::Done => (Tone::Good, "✓"),
        NoticeTone::Failed => (Tone::Bad, "!"),
    };
    let area = Rect { y: body.bottom().saturating_sub(1), height: 1, ..body };
    frame.render_widget(Clear, area);
    let room = usize::from(area.width).saturating_sub(4);
    paint::line(frame, area, Line::from(span(app.theme, tone, format!(" {mark} {}", text::fit(&notice.text, room)))));
}

/// The keys that can be pressed now. Those of the screen are dropped from the right; help and quit always stay.
pub(super) fn footer(app: &App, width: u16) -> Line<'static> {
    let writable = app.write_refusal().is_none();
    let local = keymap::local(app).iter().filter(|binding| writable || !binding.writes);
    let shared: &[Binding] = if keymap::everywhere(app) { keymap::EVERYWHERE } else { &[] };
    let shown = |binding: &&Binding| match binding.verb {
        Verb::Back => !app.trail.is_empty(),
        _ => true,
    };
    let fixed: Vec<&Binding> = shared.iter().filter(|binding| !binding.label.is_empty()).filter(shown).collect();
    let length = |binding: &Binding| text::width(&binding.key()) + text::width(binding.label) + 3;
    let mut room = usize::from(width).saturating_sub(1 + fixed.iter().map(|b| length(b)).sum::<usize>());
    let mut spans = vec![plain(" ")];
    for binding in local.filter(|binding| !binding.label.is_empty()) {
        match room.checked_sub(length(binding)) {
            Some(rest) => room = rest,
            None => break,
        }
        spans.extend(key(app, binding));
    }
    spans.push(plain(" ".repeat(room)));
    spans.extend(fixed.into_iter().flat_map(|binding| key(app, binding)));
    Line::from(spans)
}

fn key(app: &App, binding: &Binding) -> [Span<'static>; 2] {
    [span(app.theme, Tone::Accent, binding.key()), plain(format!(" {}  ", binding.label))]
}

/// The filter as it is typed, in place of the keys; what is wrong with it stands on the line above.
pub(super) fn filter_line(app: &App, frame: &mut Frame<'_>, area: Rect, input: &Input, error: Option<&str>) {
    let theme = app.theme;
    let room = usize::from(area.width).saturating_sub(3);
    let hint = "   enter keep   ctrl-u clear   esc as before";
    let shown: String = input.value().chars().skip(input.visual_scroll(room)).collect();
    let hint = if text::width(&shown) + text::width(hint) > room { "" } else { hint };
    let typed = vec![span(theme, Tone::Accent, " / "), plain(text::fit(&shown, room)), span(theme, Tone::Dim, hint)];
    paint::line(frame, area, Line::from(typed));
    if let Some(error) = error {
        let above = Rect { y: area.y.saturating_sub(2), height: 2.min(area.y), ..area };
        frame.render_widget(Clear, above);
        paint::lines(frame, above, paint::indented(theme, Tone::Bad, &format!("! {error}"), 1, area.width));
    }
    let column = input.visual_cursor().saturating_sub(input.visual_scroll(room));
    let x = area.x.saturating_add(3).saturating_add(u16::try_from(column).unwrap_or(0));
    frame.set_cursor_position(Position { x: x.min(area.right().saturating_sub(1)), y: area.y });
}
