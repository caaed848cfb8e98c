// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brush strokes: a line into an area, lines with a scroll, a rule with a title. No screen is named here.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use crate::text;
use crate::theme::{Theme, Tone};

pub(super) fn span(theme: Theme, tone: Tone, text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), theme.style(tone))
}

pub(super) fn plain(text: impl Into<String>) -> Span<'static> {
    Span::raw(text.into())
}

pub(super) fn line(frame: &mut Frame<'_>, area: Rect, line: Line<'static>) {
    frame.render_widget(line, area);
}

/// Lines from the top, as many as fit.
pub(super) fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// Lines from a scroll position, which stops where the last line is at the bottom.
pub(super) fn scrolled(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>, scroll: u16) {
    let over = lines.len().saturating_sub(usize::from(area.height));
    let scroll = scroll.min(u16::try_from(over).unwrap_or(u16::MAX));
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), area);
}

/// `── Title ───────────────── right ──`.
pub(super) fn rule(theme: Theme, title: &str, right: &str, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let title = text::fit(title, width.saturating_sub(6));
    let room = width.saturating_sub(text::width(&title) + 4);
    let right = if right.is_empty() { String::new() } else { text::fit(right, room.saturating_sub(5)) };
    let tail = if right.is_empty() { String::new() } else { format!(" {right} ──") };
    let fill = "─".repeat(room.saturating_sub(text::width(&tail)));
    Line::from(vec![
        span(theme, Tone::Dim, "── "),
        span(theme, Tone::Accent, title),
        span(theme, Tone::Dim, format!(" {fill}{tail}")),
    ])
}

/// A sentence broken into lines.
pub(super) fn wrapped(theme: Theme, tone: Tone, sentence: &str, width: u16) -> Vec<Line<'static>> {
    let cells = usize::from(width).saturating_sub(1);
    text::wrap(sentence, cells).into_iter().map(|part| Line::from(span(theme, tone, part))).collect()
}

/// A sentence broken into lines that all begin so many cells to the right.
pub(super) fn indented(theme: Theme, tone: Tone, sentence: &str, indent: usize, width: u16) -> Vec<Line<'static>> {
    let room = width.saturating_sub(u16::try_from(indent).unwrap_or(0));
    let lines = wrapped(theme, tone, sentence, room).into_iter();
    lines.map(|line| Line::from([vec![plain(" ".repeat(indent))], line.spans].concat())).collect()
}

/// A label and a value, the value broken into lines under itself.
pub(super) fn labelled(theme: Theme, label: &str, value: &str, width: u16) -> Vec<Line<'static>> {
    const LABEL: usize = 13;
    let cells = usize::from(width).saturating_sub(LABEL + 3);
    let mut parts = text::wrap(value, cells);
    if parts.is_empty() {
        parts.push("–".to_owned());
    }
    let mut lines = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        lines.push(Line::from(vec![span(theme, Tone::Dim, format!(" {} ", text::pad(label, LABEL))), plain(part)]));
    }
    lines
}

/// An empty box in the middle of an area, with a title on its upper edge; its inside is returned.
pub(super) fn window(frame: &mut Frame<'_>, theme: Theme, area: Rect, title: &str, size: (u16, u16)) -> Rect {
    let width = size.0.saturating_add(4).min(area.width);
    let height = size.1.saturating_add(2).min(area.height);
    let outer = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, outer);
    let block = ratatui::widgets::Block::bordered().border_style(theme.style(Tone::Accent)).title(span(
        theme,
        Tone::Accent,
        format!(" {} ", text::fit(title, usize::from(width).saturating_sub(4))),
    ));
    let inner = block.inner(outer);
    frame.render_widget(block, outer);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}
