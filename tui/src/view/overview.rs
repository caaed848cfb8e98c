// SPDX-License-Identifier: MIT OR Apache-2.0
//! Screen 1: is it healthy, and if not, who. Numbers above, what needs attention in the middle, the busiest below.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::paint::{self, plain, rule, span};
use super::{chart, empty, table};
use crate::app::App;
use crate::list::ListId;
use crate::live::Flow;
use crate::text;
use crate::theme::Tone;

/// Lines of the numbers with their rule.
const NUMBERS: u16 = 5;

/// From this width on there is a third panel.
const WIDE: u16 = 110;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let items = app.lists.of(ListId::Attention).order.len();
    let attention = u16::try_from(items).unwrap_or(u16::MAX).clamp(1, (area.height / 3).max(3)) + 1;
    let narrow = u16::from(area.width < WIDE);
    let [numbers, load, middle, busiest] = Layout::vertical([
        Constraint::Length(NUMBERS),
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
        panel(app, frame, traffic, "Traffic", traffic_lines(app, traffic.width));
        panel(app, frame, latency, &latency_title(app), latency_lines(app, latency.width));
        panel(app, frame, load, "Saturation", load_lines(app, load.width));
    } else {
        let [traffic, latency] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        panel(app, frame, traffic, "Traffic", traffic_lines(app, traffic.width));
        panel(app, frame, latency, &latency_title(app), latency_lines(app, latency.width));
    }
}

fn panel(app: &App, frame: &mut Frame<'_>, area: Rect, title: &str, mut lines: Vec<Line<'static>>) {
    lines.insert(0, rule(app.theme, title, "", area.width));
    paint::lines(frame, area, lines);
}

fn traffic_lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let (theme, live) = (app.theme, &app.live);
    let cells = usize::from(width).saturating_sub(19);
    let seconds = |pick: fn(&crate::live::Second) -> u64| live.seconds.iter().map(pick).collect::<Vec<u64>>();
    let requests = seconds(|second| second.total.requests);
    let errors = seconds(|second| second.total.server_errors);
    let total = live.total();
    let share = text::percent(total.errors, total.counted);
    let tone = if total.errors > 0 { Tone::Bad } else { Tone::Plain };
    let chart = |values: &[u64], tone| span(theme, tone, chart::sparkline(values, cells));
    vec![
        Line::from(vec![
            span(theme, Tone::Strong, format!("  {}", text::pad(&format!("{} req/s", text::rate(total.requests)), 15))),
            chart(&requests, Tone::Bar),
        ]),
        Line::from(vec![
            plain("  5xx  "),
            span(theme, tone, text::pad(&share, 10)),
            chart(&errors, Tone::Bad),
        ]),
        Line::from(plain(format!(
            "  in {}  out {}",
            text::speed(live.last.total.bytes_in),
            text::speed(live.last.total.bytes_out)
        ))),
        Line::from(plain(format!(
            "  429 {}/s  ·  in flight {}",
            text::rate(total.refused),
            text::count(total.in_flight)
        ))),
    ]
}

fn latency_title(app: &App) -> String {
    let total = app.live.total();
    format!("Latency (p50 {} · p99 {})", text::micros(total.p50_us), text::micros(total.p99_us))
}

fn latency_lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let cells = usize::from(width).saturating_sub(10);
    let seconds = &app.live.seconds;
    let shown = seconds.iter().skip(seconds.len().saturating_sub(cells));
    let columns: Vec<([u64; 4], u64)> = shown
        .map(|second| {
            let rows = chart::decades(&second.latency);
            (rows, rows.iter().sum())
        })
        .collect();
    let blank = " ".repeat(cells.saturating_sub(columns.len()));
    let row = |at: usize| {
        let shades = columns.iter().map(|(rows, whole)| chart::shade(rows.get(at).copied().unwrap_or(0), *whole));
        shades.collect::<String>()
    };
    let lines = chart::DECADES.iter().enumerate();
    lines
        .map(|(at, (label, _))| {
            Line::from(vec![
                span(app.theme, Tone::Dim, format!("  {} ", text::pad(label, 5))),
                span(app.theme, if at == 0 { Tone::Warn } else { Tone::Bar }, format!("{blank}{}", row(at))),
            ])
        })
        .collect()
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

fn load_lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let Some(status) = &app.live.status else { return Vec::new() };
    let bar = 7;
    let line = |label: String, part: u64, whole: u64| {
        let room = usize::from(width).saturating_sub(bar + 4);
        Line::from(vec![
            plain(format!("  {} ", text::pad(&label, room))),
            span(app.theme, Tone::Bar, chart::gauge(part, whole, bar)),
        ])
    };
    let (now, max) = (status.connections, status.connections_max);
    let mut lines = vec![line(format!("connections {} / {}", text::count(now), text::count(max)), now, max)];
    let workers = app.live.last.worker_cpu_percent.iter().enumerate().take(2);
    lines.extend(workers.map(|(at, share)| line(format!("worker {at}  {share:.0} % cpu"), whole_percent(*share), 100)));
    lines.truncate(3);
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
    let tables = [
        busiest(app, "ROUTE", &app.live.routes, below.height),
        busiest(app, "UPSTREAM", &app.live.upstreams, below.height),
        busiest_consumers(app, below.height),
    ];
    for (area, lines) in areas.iter().zip(tables) {
        paint::lines(frame, *area, lines);
    }
}

fn top(flows: &BTreeMap<String, Flow>, height: u16) -> Vec<(&String, &Flow)> {
    let mut rows: Vec<(&String, &Flow)> = flows.iter().collect();
    rows.sort_by(|a, b| b.1.requests.total_cmp(&a.1.requests));
    rows.truncate(usize::from(height).saturating_sub(1));
    rows
}

fn heading(app: &App, what: &str, rest: &str) -> Line<'static> {
    Line::from(span(app.theme, Tone::Dim, format!("  {}{rest}", text::pad(what, 14))))
}

fn busiest(app: &App, what: &str, flows: &BTreeMap<String, Flow>, height: u16) -> Vec<Line<'static>> {
    let mut lines = vec![heading(app, what, "   REQ/S     5XX      P99")];
    for (name, flow) in top(flows, height) {
        let errors = text::pad_left(&text::percent(flow.errors, flow.counted), 8);
        let bad = flow.errors.saturating_mul(100) >= flow.counted.max(1) * crate::attention::ERROR_PERCENT;
        lines.push(Line::from(vec![
            plain(format!("  {}{}", text::pad(name, 14), text::pad_left(&text::rate(flow.requests), 8))),
            span(app.theme, if bad { Tone::Bad } else { Tone::Plain }, errors),
            plain(text::pad_left(&text::micros(flow.p99_us), 9)),
        ]));
    }
    if lines.len() == 1 {
        lines.push(Line::from(span(app.theme, Tone::Dim, "  no requests yet")));
    }
    lines
}

fn busiest_consumers(app: &App, height: u16) -> Vec<Line<'static>> {
    let mut lines = vec![heading(app, "CONSUMER", "   REQ/S   429/S")];
    for (name, flow) in top(&app.live.consumers, height) {
        let tone = if flow.refused > 0.0 { Tone::Warn } else { Tone::Plain };
        lines.push(Line::from(vec![
            plain(format!("  {}{}", text::pad(name, 14), text::pad_left(&text::rate(flow.requests), 8))),
            span(app.theme, tone, text::pad_left(&text::rate(flow.refused), 8)),
        ]));
    }
    if lines.len() == 1 {
        lines.push(Line::from(span(app.theme, Tone::Dim, "  no requests with a key yet")));
    }
    lines
}
