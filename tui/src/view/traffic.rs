// SPDX-License-Identifier: MIT OR Apache-2.0
//! Screen 2: requests as they finish, newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use weirgate_store::wire::ExchangeRecord;

use super::paint::{self, indented, plain, rule, span};
use crate::app::App;
use crate::text;
use crate::theme::Tone;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    paint::line(frame, Rect { height: 1, ..area }, title(app, area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let height = usize::from(below.height.saturating_sub(1)).max(1);
    let selected = app.traffic.selected().map(|seen| seen.number);
    // The page with the cursor on it: rows stand still while the cursor moves.
    let at = app.traffic.shown().position(|seen| Some(seen.number) == selected).unwrap_or(0);
    let mut lines = vec![heading(app, below.width)];
    for seen in app.traffic.shown().skip(at / height * height).take(height) {
        let under = Some(seen.number) == selected && app.traffic.paused();
        lines.push(row(app, &seen.record, below.width, under));
    }
    if lines.len() == 1 {
        lines = nothing(app, below.width);
    }
    paint::lines(frame, below, lines);
}

fn title(app: &App, width: u16) -> Line<'static> {
    let traffic = &app.traffic;
    let mut right = String::new();
    if !traffic.query.text.is_empty() {
        let shown = traffic.shown().count() as u64;
        right = format!("{} of {} match · ", text::count(shown), text::count(traffic.kept() as u64));
    }
    if traffic.dropped > 0 {
        right += &format!("{} left out · ", text::count(traffic.dropped));
    }
    right += &match traffic.paused() {
        true => format!("paused, {} more came", text::count(traffic.unseen() as u64)),
        false => format!("following, {}/s", text::rate(app.live.total().requests)),
    };
    let filter =
        if traffic.query.text.is_empty() { String::new() } else { format!("  filter: {}", traffic.query.text) };
    rule(app.theme, &format!("traffic{filter}"), &right, width)
}

fn nothing(app: &App, width: u16) -> Vec<Line<'static>> {
    let words = match (app.traffic.kept(), app.traffic.query.text.is_empty()) {
        (0, _) => "Here each request appears when it has been answered. None has come since this screen was opened.",
        (_, false) => "No request matches the filter. Press / to change it, or esc to see everything again.",
        (_, true) => "Nothing to show.",
    };
    let mut lines = vec![Line::default()];
    lines.extend(indented(app.theme, Tone::Plain, words, 2, width));
    lines
}

/// Widths of the optional columns, dropped from the right.
struct Widths {
    host: usize,
    path: usize,
    route: bool,
    endpoint: bool,
    consumer: bool,
    fault: bool,
}

fn widths(width: u16) -> Widths {
    let width = usize::from(width);
    let (consumer, route, endpoint, fault) = (width >= 70, width >= 100, width >= 130, width >= 170);
    let fixed = 2 + 14 + 8 + 5 + 10;
    let optional = [(consumer, 12), (route, 16), (endpoint, 24), (fault, 20)];
    let optional: usize = optional.iter().filter(|(shown, _)| *shown).map(|(_, cells)| cells).sum();
    let rest = width.saturating_sub(fixed + optional).max(12);
    let host = if width >= 100 { (rest / 3).min(30) } else { 0 };
    Widths { host, path: rest - host, route, endpoint, consumer, fault }
}

fn heading(app: &App, width: u16) -> Line<'static> {
    let w = widths(width);
    let mut out = format!("  {}{}", text::pad("ENDED", 14), text::pad("METHOD", 8));
    if w.host > 0 {
        out += &text::pad("HOST", w.host);
    }
    out += &text::pad("PATH", w.path);
    out += &text::pad("CODE", 5);
    out += &text::pad_left("TOOK  ", 10);
    let optional =
        [(w.consumer, "CONSUMER", 12), (w.route, "ROUTE", 16), (w.endpoint, "ENDPOINT", 24), (w.fault, "FAULT", 20)];
    for (_, title, cells) in optional.into_iter().filter(|(shown, ..)| *shown) {
        out += &text::pad(title, cells);
    }
    Line::from(span(app.theme, Tone::Dim, out))
}

fn row(app: &App, record: &ExchangeRecord, width: u16, selected: bool) -> Line<'static> {
    let w = widths(width);
    let tone = |tone| if selected { Tone::Selected } else { tone };
    let cell = |text: &str, cells: usize| text::pad(&text::fit(text, cells.saturating_sub(1)), cells);
    let mut spans = vec![
        if selected { span(app.theme, Tone::Accent, "▸ ") } else { plain("  ") },
        span(app.theme, tone(Tone::Dim), cell(&text::clock_ms(record.time_ms, &app.zone), 14)),
        span(app.theme, tone(Tone::Plain), cell(&record.method, 8)),
    ];
    if w.host > 0 {
        spans.push(span(app.theme, tone(Tone::Dim), cell(&record.host, w.host)));
    }
    spans.push(span(app.theme, tone(Tone::Plain), cell(&record.path, w.path)));
    spans.push(span(app.theme, tone(status_tone(record.status)), cell(&status_text(record.status), 5)));
    let took = text::pad_left(&text::micros(record.duration_us), 8);
    spans.push(span(app.theme, tone(Tone::Plain), text::pad(&took, 10)));
    let none = String::new();
    let optional = [
        (w.consumer, &record.consumer, 12),
        (w.route, &record.route, 16),
        (w.endpoint, &record.endpoint, 24),
        (w.fault, &record.fault, 20),
    ];
    for (_, value, cells) in optional.into_iter().filter(|(shown, ..)| *shown) {
        spans.push(span(app.theme, tone(Tone::Plain), cell(value.as_ref().unwrap_or(&none), cells)));
    }
    Line::from(spans)
}

/// The status with a mark, so that a failure is seen without colour.
fn status_text(status: u16) -> String {
    match status {
        500.. => format!("{status}✗"),
        429 => format!("{status}!"),
        _ => status.to_string(),
    }
}

pub(super) fn status_tone(status: u16) -> Tone {
    match status {
        500.. => Tone::Bad,
        400..500 => Tone::Warn,
        _ => Tone::Good,
    }
}
