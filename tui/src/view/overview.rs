// SPDX-License-Identifier: MIT OR Apache-2.0
//! Screen 1: is it healthy, and if not, who. Numbers above, what needs attention in the middle, the busiest below.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use weirgate_store::wire::UpstreamStatus;

use super::paint::{self, plain, rule, span};
use super::{chart, empty, table};
use crate::app::App;
use crate::list::ListId;
use crate::live::Flow;
use crate::rows::{error_tone, upstream_mark};
use crate::text;
use crate::theme::Tone;

/// Lines of the numbers with their rule, and on a tall terminal.
const NUMBERS: u16 = 5;
const NUMBERS_TALL: u16 = 9;

/// From this height on the charts are taller.
const TALL: u16 = 30;

/// From this width on there is a third panel.
const WIDE: u16 = 110;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let items = app.lists.of(ListId::Attention).order.len();
    let attention = u16::try_from(items).unwrap_or(u16::MAX).clamp(1, (area.height / 3).max(3)) + 1;
    let narrow = u16::from(area.width < WIDE);
    let [numbers, load, middle, busiest] = Layout::vertical([
        Constraint::Length(if area.height >= TALL { NUMBERS_TALL } else { NUMBERS }),
        Constraint::Length(narrow),
        Constraint::Length(attention),
        Constraint::Fill(1),
    ])
    .areas(area);
    figures(app, frame, numbers);
    if narrow == 1 {
        paint::line(frame, load, load_line(app));
    }
    needs_attention(app, frame, middle);
    if busiest.height > 2 {
        busy(app, frame, busiest);
    }
}

fn figures(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.width >= WIDE {
        let [traffic, latency, load] =
            Layout::horizontal([Constraint::Fill(4), Constraint::Fill(4), Constraint::Length(36)]).areas(area);
        panel(app, frame, traffic, "Traffic", traffic_lines(app, traffic));
        panel(app, frame, latency, &latency_title(app), latency_lines(app, latency));
        panel(app, frame, load, "Saturation", load_lines(app, load));
    } else {
        let [traffic, latency] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        panel(app, frame, traffic, "Traffic", traffic_lines(app, traffic));
        panel(app, frame, latency, &latency_title(app), latency_lines(app, latency));
    }
}

fn panel(app: &App, frame: &mut Frame<'_>, area: Rect, title: &str, mut lines: Vec<Line<'static>>) {
    lines.insert(0, rule(app.theme, title, "", area.width));
    paint::lines(frame, area, lines);
}

fn traffic_lines(app: &App, area: Rect) -> Vec<Line<'static>> {
    let live = &app.live;
    let total = live.total();
    let requests = live.seconds.iter().map(|second| second.total.requests).collect::<Vec<u64>>();
    let errors = live.seconds.iter().map(|second| second.total.server_errors).collect::<Vec<u64>>();
    let share = format!("5xx  {}", text::percent(total.errors, total.counted));
    let tone = if total.errors > 0 { Tone::Bad } else { Tone::Plain };
    let mut lines = charted(app, area, (Tone::Strong, format!("{} req/s", text::rate(total.requests))), &requests);
    lines.extend(charted(app, area, (tone, share), &errors));
    lines.push(Line::from(plain(format!(
        "  in {}  out {}",
        text::speed(live.last.total.bytes_in),
        text::speed(live.last.total.bytes_out)
    ))));
    lines.push(Line::from(plain(format!(
        "  429 {}/s  ·  in flight {}",
        text::rate(total.refused),
        text::count(total.in_flight)
    ))));
    lines
}

/// A number, and beside it its last minutes.
fn charted(app: &App, area: Rect, (tone, number): (Tone, String), values: &[u64]) -> Vec<Line<'static>> {
    const NUMBER: usize = 15;
    let rows = if area.height >= NUMBERS_TALL { 3 } else { 1 };
    let cells = usize::from(area.width).saturating_sub(NUMBER + 4);
    let bars = if tone == Tone::Bad { Tone::Bad } else { Tone::Bar };
    let chart = chart::sparkline(values, cells, rows).into_iter().enumerate();
    chart
        .map(|(at, row)| {
            let number = if at == 0 { number.as_str() } else { "" };
            Line::from(vec![
                span(app.theme, tone, format!("  {}", text::pad(number, NUMBER))),
                span(app.theme, bars, row),
            ])
        })
        .collect()
}

fn latency_title(app: &App) -> String {
    let total = app.live.total();
    format!("Latency (p50 {} · p99 {})", text::micros(total.p50_us), text::micros(total.p99_us))
}

/// The heat map: one column a second, the newest at the right.
fn latency_lines(app: &App, area: Rect) -> Vec<Line<'static>> {
    let rows = if area.height >= NUMBERS_TALL { chart::HALVES } else { chart::DECADES };
    let cells = usize::from(area.width).saturating_sub(10);
    let seconds = &app.live.seconds;
    let shown = seconds.iter().skip(seconds.len().saturating_sub(cells));
    let columns: Vec<(Vec<u64>, u64)> = shown
        .map(|second| {
            let bands = chart::bands(&second.latency, rows);
            let whole = bands.iter().sum();
            (bands, whole)
        })
        .collect();
    let blank = " ".repeat(cells.saturating_sub(columns.len()));
    let lines = rows.iter().enumerate().map(|(at, (label, above))| {
        let shades = columns.iter().map(|(bands, whole)| chart::shade(bands.get(at).copied().unwrap_or(0), *whole));
        let slow = *above >= 1_000_000;
        Line::from(vec![
            span(app.theme, Tone::Dim, format!("  {} ", text::pad(label, 5))),
            span(app.theme, if slow { Tone::Warn } else { Tone::Bar }, blank.clone() + &shades.collect::<String>()),
        ])
    });
    lines.collect()
}

/// What is used of what there is, in one line.
fn load_line(app: &App) -> Line<'static> {
    let Some(status) = &app.live.status else { return Line::default() };
    let cpu: Vec<String> = app.live.last.worker_cpu_percent.iter().map(|share| format!("{share:.0} %")).collect();
    let text = format!(
        "  connections {} of {} · cpu {} · memory {} · store {}",
        text::count(status.connections),
        text::count(status.connections_max),
        if cpu.is_empty() { "–".to_owned() } else { cpu.join(" ") },
        text::bytes(app.live.last.memory_bytes),
        store_word(status.store.health),
    );
    Line::from(plain(text))
}

pub(super) fn store_word(health: weirgate_store::wire::StoreHealth) -> &'static str {
    match health {
        weirgate_store::wire::StoreHealth::Ok => "✓ ok",
        weirgate_store::wire::StoreHealth::Degraded => "! degraded",
        weirgate_store::wire::StoreHealth::Failed => "✗ failed",
    }
}

fn load_lines(app: &App, area: Rect) -> Vec<Line<'static>> {
    let Some(status) = &app.live.status else { return Vec::new() };
    let bar = 7;
    let line = |label: String, part: u64, whole: u64| {
        let room = usize::from(area.width).saturating_sub(bar + 4);
        Line::from(vec![
            plain(format!("  {} ", text::pad(&label, room))),
            span(app.theme, Tone::Bar, chart::gauge(part, whole, bar)),
        ])
    };
    let (now, max) = (status.connections, status.connections_max);
    let mut lines = vec![line(format!("conns {} / {}", text::count(now), text::count(max)), now, max)];
    let workers = app.live.last.worker_cpu_percent.iter().enumerate();
    lines.extend(workers.map(|(at, share)| line(format!("worker {at}  {share:.0} % cpu"), whole_percent(*share), 100)));
    lines.truncate(usize::from(area.height).saturating_sub(2));
    lines.push(Line::from(plain(format!(
        "  memory {} · store {}",
        text::bytes(app.live.last.memory_bytes),
        store_word(status.store.health)
    ))));
    lines
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 before the cast")]
pub(super) fn whole_percent(share: f32) -> u64 {
    share.clamp(0.0, 100.0) as u64
}

fn needs_attention(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let state = app.lists.of(ListId::Attention);
    let count = if state.order.is_empty() { String::new() } else { text::count(state.order.len() as u64) };
    paint::line(frame, Rect { height: 1, ..area }, rule(app.theme, "Needs attention", &count, area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if state.order.is_empty() {
        let words = empty::lines(app, ListId::Attention, below.width);
        paint::lines(frame, below, words.into_iter().skip(1).collect());
    } else {
        table::bare(app, frame, below, ListId::Attention);
    }
}

/// Three short tables side by side, as many as fit.
fn busy(app: &App, frame: &mut Frame<'_>, area: Rect) {
    paint::line(frame, Rect { height: 1, ..area }, rule(app.theme, "Busiest", "", area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let count = if area.width >= WIDE { 3 } else { 2 };
    let areas = Layout::horizontal(vec![Constraint::Fill(1); count]).split(below);
    let tables = [routes, upstreams, consumers];
    for (area, table) in areas.iter().zip(tables) {
        paint::lines(frame, *area, table(app, *area));
    }
}

/// The flows with the most requests first, as many as there are lines.
fn top(flows: &BTreeMap<String, Flow>, area: Rect) -> Vec<(&String, &Flow)> {
    let mut rows: Vec<(&String, &Flow)> = flows.iter().collect();
    rows.sort_by(|a, b| b.1.requests.total_cmp(&a.1.requests));
    rows.truncate(usize::from(area.height).saturating_sub(1));
    rows
}

/// Cells of the names when the numbers take so many.
fn names(area: Rect, numbers: usize) -> usize {
    usize::from(area.width).saturating_sub(numbers + 3).clamp(8, 24)
}

fn heading(app: &App, what: &str, names: usize, numbers: &str) -> Line<'static> {
    Line::from(span(app.theme, Tone::Dim, format!("  {}{numbers}", text::pad(what, names))))
}

fn nothing(app: &App, lines: &mut Vec<Line<'static>>, words: &str) {
    if lines.len() == 1 {
        lines.push(Line::from(span(app.theme, Tone::Dim, format!("  {words}"))));
    }
}

fn share(app: &App, flow: &Flow) -> ratatui::text::Span<'static> {
    let share = text::pad_left(&text::percent(flow.errors, flow.counted), 8);
    span(app.theme, error_tone(flow.errors, flow.counted), share)
}

fn routes(app: &App, area: Rect) -> Vec<Line<'static>> {
    let names = names(area, 25);
    let mut lines = vec![heading(app, "ROUTE", names, "   REQ/S     5XX      P99")];
    for (name, flow) in top(&app.live.routes, area) {
        lines.push(Line::from(vec![
            plain(format!("  {}{}", text::pad(name, names), text::pad_left(&text::rate(flow.requests), 8))),
            share(app, flow),
            plain(text::pad_left(&text::micros(flow.p99_us), 9)),
        ]));
    }
    nothing(app, &mut lines, "no requests yet");
    lines
}

/// Every upstream with its health, also those without requests: a dead one has none.
fn upstreams(app: &App, area: Rect) -> Vec<Line<'static>> {
    let names = names(area, 25);
    let mut lines = vec![heading(app, "UPSTREAM", names, "     UP    REQ/S     5XX")];
    let mut known: Vec<&UpstreamStatus> = app.live.status.iter().flat_map(|status| &status.upstreams).collect();
    let flow = |name: &str| app.live.upstreams.get(name).copied().unwrap_or_default();
    known.sort_by(|a, b| flow(&b.name).requests.total_cmp(&flow(&a.name).requests));
    for upstream in known.into_iter().take(usize::from(area.height).saturating_sub(1)) {
        let (mark, tone) = upstream_mark(upstream);
        let up = format!("{mark} {}/{}", upstream.usable, upstream.endpoints.len());
        let flow = flow(&upstream.name);
        lines.push(Line::from(vec![
            plain(format!("  {}", text::pad(&upstream.name, names))),
            span(app.theme, tone, text::pad_left(&up, 7)),
            plain(text::pad_left(&text::rate(flow.requests), 9)),
            share(app, &flow),
        ]));
    }
    nothing(app, &mut lines, "no upstream yet");
    lines
}

fn consumers(app: &App, area: Rect) -> Vec<Line<'static>> {
    let names = names(area, 16);
    let mut lines = vec![heading(app, "CONSUMER", names, "   REQ/S   429/S")];
    for (name, flow) in top(&app.live.consumers, area) {
        let tone = if flow.refused > 0.0 { Tone::Warn } else { Tone::Plain };
        lines.push(Line::from(vec![
            plain(format!("  {}{}", text::pad(name, names), text::pad_left(&text::rate(flow.requests), 8))),
            span(app.theme, tone, text::pad_left(&text::rate(flow.refused), 8)),
        ]));
    }
    nothing(app, &mut lines, "no requests with a key yet");
    lines
}
