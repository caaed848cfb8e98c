// SPDX-License-Identifier: MIT OR Apache-2.0
//! A form: fields at the left, beside them what the field means or what the change would do.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;

use super::changes::{Tense, checked_lines, problem_lines};
use super::paint::{self, indented, labelled, plain, rule, span};
use crate::app::App;
use crate::form::{Doc, Field, Form, Stage, Subject, Value, effect_lines};
use crate::text;
use crate::theme::Tone;

/// Cells of the labels.
const LABEL: usize = 13;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, form: &Form) {
    let state = match form.stage {
        Stage::Editing if matches!(form.subject, Subject::Key { .. }) => "not issued yet",
        Stage::Editing if form.dirty() => "changed, not applied",
        Stage::Editing => "",
        Stage::Checking => "checking…",
        Stage::Review(_) => "checked, not applied yet",
        Stage::Applying(_) => "applying…",
    };
    paint::line(frame, Rect { height: 1, ..area }, rule(app.theme, &form.title, state, area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let (left, right) = split(below, form);
    fields(app, frame, left, form);
    beside(app, frame, right, form);
}

/// Side by side where there is room, else one above the other; a diff gets more than an explanation.
fn split(area: Rect, form: &Form) -> (Rect, Rect) {
    if area.width >= 100 {
        let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Fill(1)]).areas(area);
        return (left, Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right });
    }
    let wanted = form.fields.len() + form.fields.iter().filter(|field| field.error.is_some()).count() + 1;
    let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
    let [left, right] =
        Layout::vertical([Constraint::Max(wanted.min(area.height.saturating_sub(7))), Constraint::Fill(1)]).areas(area);
    (left, right)
}

/// The fields, with the one under the cursor in sight.
fn fields(app: &App, frame: &mut Frame<'_>, area: Rect, form: &Form) {
    let mut lines = Vec::new();
    let mut cursor_line = 0;
    for (at, field) in form.fields.iter().enumerate() {
        let here = at == form.at && form.stage_takes_keys();
        if here {
            cursor_line = lines.len();
        }
        lines.push(field_line(app, field, here, area.width));
        if let Some(problem) = &field.error {
            let indent = LABEL + 3;
            lines.extend(indented(app.theme, Tone::Bad, &format!("✗ {}", problem.message), indent, area.width));
            if let Some(help) = &problem.help {
                lines.extend(indented(app.theme, Tone::Plain, &format!("→ {help}"), indent, area.width));
            }
        }
    }
    let height = usize::from(area.height).max(1);
    let scroll = (cursor_line + 1).saturating_sub(height);
    paint::scrolled(frame, area, lines, u16::try_from(scroll).unwrap_or(0));
    if let Some(Field { value: Value::Text(input), .. }) = form.fields.get(form.at)
        && form.stage_takes_keys()
    {
        let room = usize::from(area.width).saturating_sub(LABEL + 4);
        let column = input.visual_cursor().saturating_sub(input.visual_scroll(room));
        let x = area.x.saturating_add(u16::try_from(LABEL + 3 + column).unwrap_or(0));
        let y = area.y.saturating_add(u16::try_from(cursor_line - scroll).unwrap_or(0));
        frame.set_cursor_position(Position { x: x.min(area.right().saturating_sub(1)), y });
    }
}

fn field_line(app: &App, field: &Field, here: bool, width: u16) -> Line<'static> {
    let theme = app.theme;
    let room = usize::from(width).saturating_sub(LABEL + 4);
    let value = match &field.value {
        Value::Text(input) if here => tail(input.value(), input.visual_scroll(room), room),
        Value::Text(input) => text::fit(input.value(), room),
        Value::Choice { .. } if here => format!("◀ {} ▸", text::fit(field.current(), room.saturating_sub(4))),
        Value::Choice { .. } => text::fit(field.current(), room),
    };
    let mark = if here { "▸" } else { " " };
    let changed = if field.changed() { "~" } else { " " };
    let value_tone = if here { Tone::Selected } else { Tone::Plain };
    let shown = match (value.is_empty(), here) {
        (true, false) => span(theme, Tone::Dim, "–"),
        (_, true) => span(theme, value_tone, text::pad(&value, room.min(60))),
        (_, false) => plain(value),
    };
    Line::from(vec![
        span(theme, Tone::Accent, mark),
        span(theme, if here { Tone::Strong } else { Tone::Dim }, text::pad(field.doc.label, LABEL)),
        span(theme, Tone::Warn, format!("{changed} ")),
        shown,
    ])
}

/// The part of a text that is in sight while the cursor is far right.
fn tail(value: &str, skip: usize, room: usize) -> String {
    let rest: String = value.chars().skip(skip).collect();
    text::fit(&rest, room)
}

fn beside(app: &App, frame: &mut Frame<'_>, area: Rect, form: &Form) {
    let lines = match &form.stage {
        Stage::Editing => explanation(app, form, area.width),
        Stage::Checking => vec![Line::from(span(app.theme, Tone::Dim, " asking the daemon what this would change…"))],
        Stage::Review(checked) | Stage::Applying(checked) => consequences(app, form, checked.as_deref(), area.width),
    };
    paint::scrolled(frame, area, lines, form.scroll);
}

/// What the field under the cursor means, and what was said about the form as a whole.
fn explanation(app: &App, form: &Form, width: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for problem in &form.problems {
        lines.extend(problem_lines(app.theme, problem, Tone::Bad, "✗", width));
    }
    if let Some(field) = form.fields.get(form.at) {
        lines.push(rule(app.theme, field.doc.label, "", width));
        lines.extend(meaning(app, field.doc, width));
        if field.changed() && !field.original.is_empty() {
            lines.extend(labelled(app.theme, "before", &field.original, width));
        }
        if let Some(known) = known_names(app, field) {
            lines.extend(labelled(app.theme, "known", &known, width));
        }
    }
    lines
}

fn meaning(app: &App, doc: &Doc, width: u16) -> Vec<Line<'static>> {
    let mut lines = indented(app.theme, Tone::Plain, doc.meaning, 1, width);
    for (label, value) in [("unit", doc.unit), ("default", doc.default), ("example", doc.example)] {
        if !value.is_empty() {
            lines.extend(labelled(app.theme, label, value, width));
        }
    }
    lines
}

/// The names that could be written here.
fn known_names(app: &App, field: &Field) -> Option<String> {
    match field.doc.path {
        "policies" => {
            let names: Vec<&str> =
                app.live.objects(weirgate_store::model::Kind::Policy).map(|(name, _)| name.as_str()).take(20).collect();
            Some(if names.is_empty() { "no policies yet".to_owned() } else { names.join(", ") })
        }
        _ => match &field.value {
            Value::Choice { options, .. } => Some(options.iter().take(20).cloned().collect::<Vec<_>>().join(", ")),
            Value::Text(_) => None,
        },
    }
}

fn consequences(
    app: &App,
    form: &Form,
    checked: Option<&weirgate_store::wire::Checked>,
    width: u16,
) -> Vec<Line<'static>> {
    match (checked, &form.subject) {
        (Some(checked), _) => {
            let mut lines = vec![rule(app.theme, "What changes", "", width)];
            lines.extend(checked_lines(app.theme, checked, width, Tense::IfApplied));
            lines
        }
        (None, Subject::Endpoint { .. }) => {
            let mut lines = vec![rule(app.theme, "If applied", "", width)];
            for line in effect_lines(&app.live, form) {
                lines.extend(indented(app.theme, Tone::Plain, &line, 1, width));
            }
            lines
        }
        (None, _) => vec![Line::from(span(app.theme, Tone::Dim, " waiting for the daemon…"))],
    }
}
