// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdict card: one exchange with what happened in a sentence, where the time went, and why it went there.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use weirgate_store::wire::ExchangeRecord;

use super::paint::{self, indented, labelled, plain, rule, span};
use super::traffic::status_tone;
use crate::app::App;
use crate::text;
use crate::theme::Tone;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, record: &ExchangeRecord, scroll: u16) {
    paint::scrolled(frame, area, card(app, record, area.width), scroll);
}

fn card(app: &App, record: &ExchangeRecord, width: u16) -> Vec<Line<'static>> {
    let theme = app.theme;
    let mut lines = vec![rule(theme, &format!("traffic ▸ {}", record.id), "", width)];
    lines.push(Line::from(vec![
        span(theme, Tone::Dim, format!("  {}  ", text::clock_ms(record.time_ms, &app.zone))),
        span(theme, Tone::Strong, format!("{} ", record.method)),
        plain(text::fit(&format!("{}{}", record.host, record.path), usize::from(width).saturating_sub(46))),
        span(theme, status_tone(record.status), format!("   {}", record.status)),
        plain(format!("   {}", text::micros(record.duration_us))),
    ]));
    lines.push(rule(theme, "Verdict", record.fault.as_deref().unwrap_or(""), width));
    lines.extend(indented(theme, Tone::Plain, &record.verdict, 2, width));
    lines.push(rule(theme, "Timeline", &attempts(record), width));
    lines.extend(timeline(app, record, width));
    lines.extend(tries(app, record, width));
    lines.push(rule(theme, "Why here", "", width));
    for reason in &record.why {
        lines.extend(indented(theme, Tone::Plain, reason, 2, width));
    }
    lines.push(rule(theme, "Facts", "", width));
    lines.extend(facts(app, record, width));
    if !record.request.is_empty() {
        lines.push(rule(theme, "Request", "secrets hidden", width));
        for field in &record.request {
            lines.extend(labelled(theme, &text::clean(&field.name), &text::clean(&field.value), width));
        }
    }
    lines
}

/// Each time it was sent, where there is more to tell than that it was answered at once.
fn tries(app: &App, record: &ExchangeRecord, width: u16) -> Vec<Line<'static>> {
    let is_plain = record.tries.len() < 2 && record.tries.iter().all(|sent| sent.fault.is_none());
    let told = if is_plain { &[][..] } else { &record.tries[..] };
    let line = |(number, sent): (u32, &weirgate_store::wire::TryRecord)| {
        let took = sent.micros.map_or("until the end".to_owned(), text::micros);
        let (tone, end) = sent.fault.as_deref().map_or((Tone::Good, "answered"), |fault| (Tone::Bad, fault));
        let words = format!("try {number} at {}, after {}, {took}: {end}", sent.endpoint, text::micros(sent.began_us));
        indented(app.theme, tone, &words, 2, width)
    };
    (1..).zip(told).flat_map(line).collect()
}

fn attempts(record: &ExchangeRecord) -> String {
    match record.attempts {
        0 => "not sent to an endpoint".to_owned(),
        1 => "sent once".to_owned(),
        n => format!("sent {n} times"),
    }
}

/// One bar for each stage, as long as its share of the time.
fn timeline(app: &App, record: &ExchangeRecord, width: u16) -> Vec<Line<'static>> {
    let whole: u64 = record.timeline.iter().map(|step| step.micros).sum();
    let room = usize::from(width).saturating_sub(32);
    let steps = record.timeline.iter();
    steps
        .map(|step| {
            let cells = step.micros.saturating_mul(room as u64).checked_div(whole).unwrap_or(0);
            let cells = usize::try_from(cells).unwrap_or(room).min(room).max(usize::from(step.micros > 0));
            Line::from(vec![
                plain(format!("  {}", text::pad(&step.stage, 14))),
                plain(text::pad_left(&text::micros(step.micros), 10)),
                plain("  "),
                span(app.theme, Tone::Bar, "█".repeat(cells)),
            ])
        })
        .collect()
}

fn facts(app: &App, record: &ExchangeRecord, width: u16) -> Vec<Line<'static>> {
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    let client = format!("{} over {} on listener {}", record.client, record.protocol, record.listener);
    let to = format!("{} ▸ {}", or(&record.upstream, "no upstream"), or(&record.endpoint, "no endpoint"));
    let bytes = format!("in {} · out {}", text::bytes(record.bytes_in), text::bytes(record.bytes_out));
    let rows = [
        ("client", client),
        ("consumer", or(&record.consumer, "none")),
        ("route", or(&record.route, "none")),
        ("upstream", to),
        ("body", bytes),
    ];
    rows.into_iter().flat_map(|(label, value)| labelled(app.theme, label, &value, width)).collect()
}
