// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list as a table. Widths do not depend on the numbers, so columns stand still; columns that do not fit are
//! dropped from the right; the page under the cursor is shown, so rows stand still too.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::paint::{self, plain, span};
use super::{empty, paint::rule};
use crate::app::App;
use crate::list::{Cell, Column, ListId, ListState};
use crate::rows;
use crate::text;
use crate::theme::Tone;

/// Cells before the first column: the cursor.
const MARK: usize = 2;

/// Cells between two columns.
const GAP: usize = 2;

/// A screen that is one table.
pub(super) fn screen(app: &App, frame: &mut Frame<'_>, area: Rect) {
    named(app, frame, area, app.tab().name());
}

/// The same under another title.
pub(super) fn named(app: &App, frame: &mut Frame<'_>, area: Rect, title: &str) {
    let Some(list) = app.list_id() else { return };
    let (height, rest) = rest_of_row(app, list, area);
    let [table, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(height)]).areas(area);
    titled(app, frame, table, list, title);
    paint::lines(frame, foot, rest);
}

/// From this height on there is room for what the table had to leave out.
const REST_FROM: u16 = 12;

/// Most lines it may take.
const REST_MAX: usize = 5;

/// What of the row under the cursor was dropped or cut, below the table. The height depends on the columns and not on
/// the row, so that nothing moves when the cursor does.
fn rest_of_row(app: &App, list: ListId, area: Rect) -> (u16, Vec<Line<'static>>) {
    let columns = rows::columns(list);
    let widths = fit(columns, usize::from(area.width));
    let dropped = columns.len().saturating_sub(widths.len());
    let selected = app.lists.of(list).selected.as_deref();
    let cells = selected.and_then(|id| rows::row(app, list, id));
    let (Some(selected), Some(cells)) = (selected, cells.filter(|_| area.height >= REST_FROM && dropped > 0)) else {
        return (0, Vec::new());
    };
    let hidden = cells.iter().zip(columns).enumerate().filter(|(at, (cell, _))| {
        !cell.text.is_empty() && widths.get(*at).is_none_or(|width| text::width(&cell.text) > *width)
    });
    let name = match list {
        // Their rows have numbers for names.
        ListId::Connections => cells.first().map_or(selected, |cell| cell.text.as_str()),
        ListId::Timeline => cells.get(2).map_or(selected, |cell| cell.text.as_str()),
        _ => selected,
    };
    let mut lines = vec![rule(app.theme, name, "", area.width)];
    lines.extend(hidden.flat_map(|(_, (cell, column))| {
        paint::labelled(app.theme, &column.title.to_lowercase(), &cell.text, area.width)
    }));
    let height = (dropped + 2).min(REST_MAX);
    lines.truncate(height);
    (u16::try_from(height).unwrap_or(0), lines)
}

/// A rule with title, filter and count, and the table below.
pub(super) fn titled(app: &App, frame: &mut Frame<'_>, area: Rect, list: ListId, title: &str) {
    let state = app.lists.of(list);
    let count = if state.filter.is_empty() {
        text::count(state.total as u64)
    } else {
        format!("filter \"{}\" · {} of {}", state.filter, state.order.len(), state.total)
    };
    paint::line(frame, Rect { height: 1, ..area }, rule(app.theme, title, &count, area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if state.order.is_empty() {
        paint::lines(frame, below, empty::lines(app, list, below.width));
    } else {
        draw(app, frame, below, list);
    }
}

/// The table without a title.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, list: ListId) {
    let columns = rows::columns(list);
    let widths = fit(columns, usize::from(area.width));
    paint::line(frame, Rect { height: 1, ..area }, heading(app, app.lists.of(list), columns, &widths));
    bare(app, frame, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, list);
}

/// The rows alone.
pub(super) fn bare(app: &App, frame: &mut Frame<'_>, area: Rect, list: ListId) {
    let state = app.lists.of(list);
    let columns = rows::columns(list);
    let widths = fit(columns, usize::from(area.width));
    let height = usize::from(area.height).max(1);
    let first = state.position().unwrap_or(0) / height * height;
    let mut lines = Vec::new();
    for id in state.order.iter().skip(first).take(height) {
        let selected = state.selected.as_ref() == Some(id);
        if let Some(cells) = rows::row(app, list, id) {
            lines.push(row(app, &cells, columns, &widths, selected));
        }
    }
    paint::lines(frame, area, lines);
}

/// The widths of the columns that fit; what is left over goes to those that can use it.
fn fit(columns: &[Column], width: usize) -> Vec<usize> {
    let mut room = width.saturating_sub(MARK);
    let mut widths = Vec::new();
    for column in columns {
        let Some(rest) = room.checked_sub(column.min) else { break };
        widths.push(column.min);
        room = rest.saturating_sub(GAP);
        if rest < GAP {
            break;
        }
    }
    let mut left = width.saturating_sub(MARK + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1));
    while left > 0 {
        let mut grown = false;
        for (width, column) in widths.iter_mut().zip(columns) {
            if *width < column.max && left > 0 {
                *width += 1;
                left -= 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    widths
}

fn heading(app: &App, state: &ListState, columns: &[Column], widths: &[usize]) -> Line<'static> {
    let mut out = " ".repeat(MARK);
    for (i, (column, width)) in columns.iter().zip(widths).enumerate() {
        let arrow = match state.sort {
            Some(sorted) if sorted == i => {
                if state.descending {
                    "▼"
                } else {
                    "▲"
                }
            }
            _ => "",
        };
        let title = format!("{}{arrow}", text::fit(column.title, width.saturating_sub(text::width(arrow))));
        out.push_str(&if column.right { text::pad_left(&title, *width) } else { text::pad(&title, *width) });
        out.push_str(&" ".repeat(GAP));
    }
    Line::from(span(app.theme, Tone::Dim, out))
}

fn row(app: &App, cells: &[Cell], columns: &[Column], widths: &[usize], selected: bool) -> Line<'static> {
    let mut spans = vec![if selected { span(app.theme, Tone::Accent, "▸ ") } else { plain("  ") }];
    for ((cell, column), width) in cells.iter().zip(columns).zip(widths) {
        let text = if column.right { text::pad_left(&cell.text, *width) } else { text::pad(&cell.text, *width) };
        spans.push(span(app.theme, if selected { Tone::Selected } else { cell.tone }, text));
        spans.push(if selected { span(app.theme, Tone::Selected, " ".repeat(GAP)) } else { plain(" ".repeat(GAP)) });
    }
    if selected {
        // The last gap would stick out of the table.
        spans.pop();
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dropped_from_the_right_and_fill_what_is_left() {
        let columns = [
            Column { title: "A", min: 10, max: 20, right: false },
            Column { title: "B", min: 5, max: 5, right: true },
            Column { title: "C", min: 10, max: 10, right: false },
        ];
        let rows: [(usize, &[usize]); 5] =
            [(12, &[10]), (19, &[10, 5]), (28, &[19, 5]), (31, &[10, 5, 10]), (80, &[20, 5, 10])];
        for (width, want) in rows {
            assert_eq!(fit(&columns, width), want, "row {width}");
        }
    }
}
