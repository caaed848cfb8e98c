// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a consumer used in the last hour: a bar for each minute, and a line for each route.

use std::collections::BTreeMap;

use ratatui::text::Line;
use weirgate_store::wire::{UsageReply, UsageRow};

use super::chart::sparkline;
use super::paint::{labelled, plain, rule, span};
use crate::app::App;
use crate::text;
use crate::theme::Tone;

/// Rows of bars.
const BARS: u64 = 2;

/// Routes that are named; the others are summed up.
const ROUTES_MAX: usize = 4;

/// Nothing until the daemon has answered, so that the keys below stand still afterwards only once.
pub(super) fn lines(app: &App, consumer: &str, width: u16) -> Vec<Line<'static>> {
    let Some((_, usage)) = app.live.usage.as_ref().filter(|(of, _)| of == consumer) else { return Vec::new() };
    let sum = sum(usage.points.iter().flat_map(|point| &point.rows));
    let mut lines = vec![rule(app.theme, "Last hour", &totals(&sum), width)];
    let cells = usize::from(width).saturating_sub(4).min(60);
    for bars in sparkline(&minutes(usage), cells, BARS) {
        lines.push(Line::from(vec![plain("  "), span(app.theme, Tone::Bar, bars)]));
    }
    for (route, words) in routes(usage) {
        lines.extend(labelled(app.theme, &route, &words, width));
    }
    lines
}

/// Requests of each minute, the quiet ones too.
fn minutes(usage: &UsageReply) -> Vec<u64> {
    let step_ms = i64::try_from(usage.step_s.max(1)).unwrap_or(60) * 1_000;
    let first = usage.from_ms.div_euclid(step_ms);
    let count = usize::try_from((usage.to_ms - 1).div_euclid(step_ms) - first + 1).unwrap_or(0).min(60);
    let mut minutes = vec![0; count];
    for point in &usage.points {
        let at = usize::try_from(point.start_ms.div_euclid(step_ms) - first).ok();
        if let Some(minute) = at.and_then(|at| minutes.get_mut(at)) {
            *minute += point.rows.iter().map(|row| row.requests).sum::<u64>();
        }
    }
    minutes
}

fn sum<'r>(rows: impl Iterator<Item = &'r UsageRow>) -> UsageRow {
    rows.fold(UsageRow::default(), |mut sum, row| {
        sum.add(row);
        sum
    })
}

fn totals(sum: &UsageRow) -> String {
    if sum.requests == 0 { "no requests".to_owned() } else { words(sum) }
}

fn words(sum: &UsageRow) -> String {
    format!(
        "{} requests · 4xx {} · 5xx {} · 429 {} · in {} · out {}",
        text::count(sum.requests),
        text::count(sum.client_errors),
        text::count(sum.server_errors),
        text::count(sum.refused),
        text::bytes(sum.bytes_in),
        text::bytes(sum.bytes_out),
    )
}

/// The busiest first.
fn routes(usage: &UsageReply) -> Vec<(String, String)> {
    let mut by_route: BTreeMap<String, UsageRow> = BTreeMap::new();
    for row in usage.points.iter().flat_map(|point| &point.rows) {
        let name = if row.version.is_empty() { row.route.clone() } else { format!("{} {}", row.route, row.version) };
        by_route.entry(name).or_default().add(row);
    }
    let mut all: Vec<(String, UsageRow)> = by_route.into_iter().collect();
    all.sort_by_key(|(_, row)| std::cmp::Reverse(row.requests));
    let rest = sum(all.iter().skip(ROUTES_MAX).map(|(_, row)| row));
    all.truncate(ROUTES_MAX);
    let mut lines: Vec<_> = all.into_iter().map(|(name, row)| (name, words(&row))).collect();
    if rest.requests > 0 {
        lines.push(("others".to_owned(), words(&rest)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{lines, minutes};
    use crate::sample;
    use crate::theme::Theme;

    #[test]
    fn an_hour_of_a_consumer_is_a_picture_and_its_routes() {
        let mut app = sample::app(Theme::MONO);
        assert!(lines(&app, "acme", 100).is_empty(), "nothing is known yet");
        app.live.usage = Some(("acme".to_owned(), sample::usage("acme")));
        assert!(lines(&app, "alice", 100).is_empty(), "it is that of another one");
        let text: Vec<String> = lines(&app, "acme", 100).iter().map(ToString::to_string).collect();
        let whole = text.join("\n");
        assert!(whole.contains("Last hour") && whole.contains('█'), "{whole}");
        let orders = text.iter().position(|line| line.contains("orders")).expect("a line for orders");
        let site = text.iter().position(|line| line.contains("site")).expect("a line for site");
        assert!(orders < site, "{whole}");
    }

    #[test]
    fn quiet_minutes_have_their_place() {
        let mut usage = sample::usage("acme");
        usage.points.retain(|point| point.start_ms >= usage.to_ms - 120_000);
        let minutes = minutes(&usage);
        assert_eq!(minutes.len(), 60);
        assert!(minutes.iter().rev().take(1).all(|requests| *requests > 0), "{minutes:?}");
        assert!(minutes.iter().take(50).all(|requests| *requests == 0), "{minutes:?}");
    }
}
