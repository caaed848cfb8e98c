// SPDX-License-Identifier: MIT OR Apache-2.0
//! Screen 8: the daemon itself: version, store, workers, listeners, and what happened lately.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use weirgate_store::wire::IssuerStatus;

use super::overview::{store_word, whole_percent};
use super::paint::{self, labelled, plain, rule, span};
use super::{chart, table};
use crate::app::App;
use crate::list::ListId;
use crate::text;
use crate::theme::Tone;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let about = about(app, area.width);
    let listeners = u16::try_from(app.lists.of(ListId::Listeners).order.len()).unwrap_or(u16::MAX).max(4);
    let [head, middle, log] = Layout::vertical([
        Constraint::Length(u16::try_from(about.len()).unwrap_or(0)),
        Constraint::Max(listeners.saturating_add(2)),
        Constraint::Fill(1),
    ])
    .areas(area);
    paint::lines(frame, head, about);
    table::titled(app, frame, middle, ListId::Listeners, "Listeners");
    lately(app, frame, log);
}

fn about(app: &App, width: u16) -> Vec<Line<'static>> {
    let theme = app.theme;
    let mut lines = vec![rule(theme, "system", "", width)];
    let Some(status) = &app.live.status else {
        lines.push(Line::from(span(theme, Tone::Dim, "  Waiting for the daemon.")));
        return lines;
    };
    let up = text::span(status.now_ms - status.started_ms);
    let daemon = format!("weirgate {} on {} · process {} · up {up}", status.version, status.instance, status.pid);
    let store = match status.store.message.as_str() {
        "" => store_word(status.store.health).to_owned(),
        message => format!("{}: {message}", store_word(status.store.health)),
    };
    let role = match status.role.as_str() {
        "admin" => "admin: may change everything".to_owned(),
        other => format!("{other}: may look, not change; group weirgate-admin may"),
    };
    let memory = text::bytes(app.live.last.memory_bytes);
    for (label, value) in [("daemon", daemon), ("store", store), ("your role", role), ("memory", memory)] {
        lines.extend(labelled(theme, label, &value, width));
    }
    let workers = app.live.last.worker_cpu_percent.iter();
    let workers: Vec<String> =
        workers.map(|share| format!("{} {share:.0} %", chart::gauge(whole_percent(*share), 100, 8))).collect();
    lines.extend(labelled(theme, &text::plural(u64::from(status.workers), "worker"), &workers.join("   "), width));
    for issuer in &status.issuers {
        lines.extend(labelled(theme, "issuer", &issuer_words(issuer, status.now_ms), width));
    }
    lines
}

/// `https://id/keys: 2 keys (k1 ES256 for 3 d, k2 RS256 for 1 h), fetched 2 min ago, next in 6 min`.
fn issuer_words(issuer: &IssuerStatus, now_ms: i64) -> String {
    let here: Vec<String> = (issuer.keys.iter().filter(|key| key.gone_ms.is_none()))
        .map(|key| {
            let name = if key.kid.is_empty() { "unnamed" } else { &key.kid };
            format!("{name} {} for {}", key.algorithms.join("/"), text::span(now_ms - key.since_ms))
        })
        .collect();
    let gone: Vec<String> = (issuer.keys.iter())
        .filter_map(|key| key.gone_ms.map(|gone_ms| format!("{} gone {} ago", key.kid, text::span(now_ms - gone_ms))))
        .collect();
    let fetched = match issuer.fetched_ms {
        Some(fetched_ms) => format!("fetched {} ago", text::span(now_ms - fetched_ms)),
        None => "never fetched".to_owned(),
    };
    let next = text::span((issuer.next_ms - now_ms).max(0));
    let mut words = vec![format!("{}: {}", issuer.url, text::plural(here.len() as u64, "key"))];
    words.extend(here);
    words.extend(gone);
    words.push(format!("{fetched}, next in {next}"));
    words.extend(issuer.error.as_ref().map(|error| format!("FAILED: {error}; the last good keys are used")));
    words.join(" · ")
}

fn lately(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let mut lines = vec![rule(app.theme, "Lately", "", area.width)];
    let room = usize::from(area.width).saturating_sub(13);
    for line in app.live.log.iter().rev().take(usize::from(area.height)) {
        lines.push(Line::from(vec![
            span(app.theme, Tone::Dim, format!("  {}  ", text::clock(line.time_ms, &app.zone))),
            plain(text::fit(&line.text, room)),
        ]));
    }
    if lines.len() == 1 {
        let words = "Nothing since this console was opened. Health, changes and overrides appear here.";
        lines.extend(paint::indented(app.theme, Tone::Dim, words, 2, area.width));
    }
    paint::lines(frame, area, lines);
}
