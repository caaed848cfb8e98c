// SPDX-License-Identifier: MIT OR Apache-2.0
//! Screen 8: the daemon itself: version, store, workers, listeners, and what happened lately.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

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
    for log in &status.logs {
        let dropped = if log.dropped > 0 { format!(" · {} dropped", text::count(log.dropped)) } else { String::new() };
        let trouble = log.trouble.as_ref().map(|trouble| format!(" · ✗ {trouble}")).unwrap_or_default();
        let words = format!("to {} · {} lines{dropped}{trouble}", log.to, text::count(log.written));
        lines.extend(labelled(theme, &format!("log {}", log.name), &words, width));
    }
    lines
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

#[cfg(test)]
mod tests {
    use weirgate_store::wire::LogStatus;

    use super::about;
    use crate::sample;
    use crate::theme::Theme;

    #[test]
    fn a_log_says_how_it_is_doing() {
        let mut app = sample::app(Theme::MONO);
        let trouble = Some("no space left".to_owned());
        let log = LogStatus { name: "access".into(), to: "file".into(), written: 1_204, dropped: 7, trouble };
        app.live.status.as_mut().expect("it is known").logs.push(log);
        let text: Vec<String> = about(&app, 100).iter().map(ToString::to_string).collect();
        let line = text.iter().find(|line| line.contains("log access")).unwrap_or_else(|| panic!("{text:?}"));
        for piece in ["to file", "1,204 lines", "7 dropped", "no space left"] {
            assert!(line.contains(piece), "{line}");
        }
    }
}
