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
    lines.push(rule(theme, "Why here", "", width));
    for reason in &record.why {
        lines.extend(indented(theme, Tone::Plain, reason, 2, width));
    }
    lines.push(rule(theme, "Facts", "", width));
    lines.extend(facts(app, record, width));
    lines
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
