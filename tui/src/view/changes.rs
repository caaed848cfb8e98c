// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a change changes: one renderer for the diff of a revision, of a form and of a rollback.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use weirgate_store::wire::{Checked, DiffKind, Effects, Problem};

use super::paint::{self, indented, plain, rule, span};
use crate::app::{App, RevisionView};
use crate::text;
use crate::theme::{Theme, Tone};

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, view: &RevisionView) {
    let title = format!("changes ▸ revision {} against {}", view.newer, view.older);
    let mut lines = vec![rule(app.theme, &title, "", area.width)];
    let info = app.live.revisions.iter().flat_map(|list| &list.revisions).find(|info| info.number == view.newer);
    if let Some(info) = info {
        let when = text::day(info.time_ms, &app.zone);
        let comment = if info.comment.is_empty() { "no comment" } else { &info.comment };
        lines.push(Line::from(plain(format!("  {when} by {}: {comment}", info.author))));
    }
    match &view.diff {
        Some(checked) => lines.extend(checked_lines(app.theme, checked, area.width, Tense::Done)),
        None => lines.push(Line::from(span(app.theme, Tone::Dim, "  asking the daemon…"))),
    }
    paint::scrolled(frame, area, lines, view.scroll);
}

/// Whether the change is being considered or is history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    IfApplied,
    Done,
}

/// Problems first, then objects, effects, warnings, and the difference as text.
pub(super) fn checked_lines(theme: Theme, checked: &Checked, width: u16, tense: Tense) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for problem in &checked.problems {
        lines.extend(problem_lines(theme, problem, Tone::Bad, "✗", width));
    }
    if checked.problems.is_empty() && checked.diff.is_empty() {
        lines.push(Line::from(span(theme, Tone::Dim, "  Nothing differs.")));
        return lines;
    }
    for entry in &checked.diff {
        let (sign, tone) = match entry.change {
            DiffKind::Added => ("+", Tone::Added),
            DiffKind::Changed => ("~", Tone::Warn),
            DiffKind::Removed => ("-", Tone::Removed),
        };
        lines.push(Line::from(vec![
            span(theme, tone, format!(" {sign} {} {}", entry.kind.singular(), entry.name)),
            plain(if entry.fields.is_empty() { String::new() } else { format!("  {}", entry.fields.join(", ")) }),
        ]));
    }
    if tense == Tense::IfApplied {
        lines.push(rule(theme, "If applied", "", width));
        lines.extend(effects(theme, &checked.effects, width));
    }
    for warning in &checked.warnings {
        lines.extend(problem_lines(theme, warning, Tone::Warn, "!", width));
    }
    lines.push(rule(theme, "Difference", "", width));
    lines.extend(diff_text(theme, &checked.diff_text, width));
    lines
}

pub(super) fn problem_lines(theme: Theme, problem: &Problem, tone: Tone, mark: &str, width: u16) -> Vec<Line<'static>> {
    let place = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    let mut lines = indented(theme, tone, &format!("{mark} {place}{}", problem.message), 1, width);
    if let Some(help) = &problem.help {
        lines.extend(indented(theme, Tone::Plain, &format!("→ {help}"), 3, width));
    }
    lines
}

fn effects(theme: Theme, effects: &Effects, width: u16) -> Vec<Line<'static>> {
    let mut parts = Vec::new();
    if !effects.listeners_opened.is_empty() {
        parts.push(format!("opens {}", effects.listeners_opened.join(", ")));
    }
    if !effects.listeners_closed.is_empty() {
        parts.push(format!("closes {}", effects.listeners_closed.join(", ")));
    }
    let counts = [
        (effects.routes_changed, "changed route"),
        (effects.endpoints_added, "new endpoint"),
        (effects.endpoints_removed, "removed endpoint"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| text::plural(u64::from(*n), what)));
    if effects.listeners_closed.is_empty() {
        parts.push("no connection is closed".to_owned());
    }
    indented(theme, Tone::Plain, &parts.join(" · "), 1, width)
}

fn diff_text(theme: Theme, diff: &str, width: u16) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(5);
    let tone = |line: &str| match line.chars().next() {
        Some('+') => Tone::Added,
        Some('-') => Tone::Removed,
        Some('@') => Tone::Dim,
        _ => Tone::Plain,
    };
    // A long line goes on below itself: what was cut could be what has changed.
    let pieces = diff.lines().flat_map(|line| {
        let tone = tone(line);
        let pieces = text::pieces(line, room).into_iter().enumerate();
        pieces.map(move |(at, piece)| (tone, format!("{}{piece}", if at == 0 { " " } else { "     " })))
    });
    pieces.map(|(tone, text)| Line::from(span(theme, tone, text))).collect()
}
