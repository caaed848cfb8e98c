// SPDX-License-Identifier: MIT OR Apache-2.0
//! A form: the list of its sections, a section or a row at the left, beside it what that means or what the change would
//! do.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use weirgate_store::model::Kind;
use weirgate_store::wire::{Checked, Problem};

use super::changes::{Tense, checked_lines, problem_lines};
use super::paint::{self, indented, labelled, plain, rule, span};
use crate::app::App;
use crate::form::{Body, Doc, Entry, Field, Form, Level, Rows, Section, Stage, Subject, Value, effect_lines};
use crate::text;
use crate::theme::Tone;

/// Cells of the labels.
const LABEL: usize = 13;

/// Lines that an explanation keeps below the fields of a narrow terminal, and below a list of sections.
const BELOW: u16 = 8;
const BELOW_SECTIONS: u16 = 4;

/// Lines that fields keep above a long explanation.
const FIELDS_MIN: u16 = 6;

/// From this width on the explanation stands beside the fields.
const SIDE_BY_SIDE: u16 = 100;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, form: &Form) {
    let state = match form.stage {
        Stage::Editing if matches!(form.subject, Subject::Key { .. }) => "not issued yet",
        Stage::Editing if form.dirty() => "changed, not applied",
        Stage::Editing => "",
        Stage::Checking => "checking…",
        Stage::Review(_) => "checked, not applied yet",
        Stage::Applying(_) => "applying…",
    };
    let place = if form.editing() { form.place() } else { form.title.clone() };
    paint::line(frame, Rect { height: 1, ..area }, rule(app.theme, &place, state, area.width));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let (left, right) = split(app, below, form);
    let (lines, cursor) = page(app, form, left.width);
    let height = usize::from(left.height).max(1);
    let scroll = (cursor + 1).saturating_sub(height);
    paint::scrolled(frame, left, lines, u16::try_from(scroll).unwrap_or(0));
    caret(frame, left, form, cursor - scroll.min(cursor));
    beside(app, frame, right, form);
}

/// Side by side where there is room, else one above the other; a diff gets all there is, an explanation what is left.
fn split(app: &App, area: Rect, form: &Form) -> (Rect, Rect) {
    if area.width >= SIDE_BY_SIDE {
        let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Fill(1)]).areas(area);
        return (left, Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right });
    }
    let sections = form.level == Level::Sections;
    let wanted = match form.editing() {
        true => page(app, form, area.width).0.len() + usize::from(!sections),
        false if form.sectioned() => 0,
        false => form.fields().len() + 1,
    };
    let below = if sections { BELOW_SECTIONS } else { below(app, form, area) };
    let wanted = u16::try_from(wanted).unwrap_or(u16::MAX).min(area.height.saturating_sub(below));
    let [left, right] = Layout::vertical([Constraint::Max(wanted), Constraint::Fill(1)]).areas(area);
    (left, right)
}

/// Lines for the explanation of any field of the page, so that nothing moves when the cursor does.
fn below(app: &App, form: &Form, area: Rect) -> u16 {
    let longest = form.fields().iter().map(|field| meaning(app, field, area.width).len() + 1).max().unwrap_or(0);
    u16::try_from(longest).unwrap_or(u16::MAX).clamp(BELOW, area.height.saturating_sub(FIELDS_MIN).max(BELOW))
}

/// The lines of the page, and which of them the cursor is on.
fn page(app: &App, form: &Form, width: u16) -> (Vec<Line<'static>>, usize) {
    match (form.level, form.rows()) {
        (Level::Sections, _) => sections(app, form, width),
        (Level::Page, Some(rows)) => rows_page(app, form, rows, width),
        _ => fields(app, form, width),
    }
}

/// Each section with what is set in it.
fn sections(app: &App, form: &Form, width: u16) -> (Vec<Line<'static>>, usize) {
    let room = usize::from(width).saturating_sub(LABEL + 4);
    let line = |(at, section): (usize, &Section)| {
        let here = at == form.section && form.editing();
        let (mark, tone) = match (section.wrong(), section.changed()) {
            (true, _) => ("✗ ", Tone::Bad),
            (false, true) => ("~ ", Tone::Warn),
            (false, false) => ("  ", Tone::Plain),
        };
        let summary = section.summary();
        let unset = summary == section.doc.unset;
        let summary = text::fit(&summary, room);
        Line::from(vec![
            span(app.theme, Tone::Accent, if here { "▸" } else { " " }),
            span(app.theme, if here { Tone::Selected } else { Tone::Strong }, text::pad(section.doc.title, LABEL)),
            span(app.theme, tone, mark),
            if unset { span(app.theme, Tone::Dim, summary) } else { plain(summary) },
        ])
    };
    (form.sections.iter().enumerate().map(line).collect(), form.section)
}

/// Widths of the columns of rows: each as its label, the first gets what the others leave.
fn row_widths(rows: &Rows, width: u16) -> Vec<usize> {
    const OTHER: usize = 7;
    const NAME: usize = 24;
    // A map has two columns, and its second is a name; so has a split.
    let pair = rows.doc.columns.len() == 2;
    let of = |doc: &Doc| if pair { NAME } else { text::width(doc.label).max(OTHER) };
    let others: Vec<usize> = rows.doc.columns.iter().skip(1).map(of).collect();
    let taken: usize = others.iter().map(|width| width + 1).sum();
    let first = usize::from(width).saturating_sub(taken + 5).clamp(8, 40);
    [vec![first], others].concat()
}

fn rows_page(app: &App, form: &Form, rows: &Rows, width: u16) -> (Vec<Line<'static>>, usize) {
    let theme = app.theme;
    let widths = row_widths(rows, width);
    let heading = rows.doc.columns.iter().zip(&widths).map(|(doc, width)| {
        let label = text::pad(&doc.label.to_uppercase(), *width);
        format!("{label} ")
    });
    let mut lines = vec![Line::from(span(theme, Tone::Dim, format!("   {}", heading.collect::<String>())))];
    for (at, row) in rows.rows.iter().enumerate() {
        let here = at == form.row && form.editing();
        let cells = row.fields.iter().zip(&widths).map(|(field, width)| {
            let value = if field.speaks() || field.doc.required { field.current() } else { "–" };
            format!("{} ", text::pad(value, *width))
        });
        let cells = cells.collect::<String>();
        let changed = row.fields.iter().any(Field::changed);
        lines.push(Line::from(vec![
            span(theme, Tone::Accent, if here { "▸" } else { " " }),
            span(theme, Tone::Warn, if changed { "~ " } else { "  " }),
            if here { span(theme, Tone::Selected, cells) } else { plain(cells) },
        ]));
        let wrong = row.fields.iter().filter_map(|field| field.error.as_ref());
        lines.extend(wrong.flat_map(|problem| refusal(app, problem, width)));
    }
    let cursor = lines.len().saturating_sub(rows.rows.len()) + form.row.min(rows.rows.len().saturating_sub(1));
    if rows.rows.is_empty() {
        lines.extend(indented(theme, Tone::Accent, &format!("Press n to add the first {}.", rows.doc.one), 3, width));
    }
    (lines, cursor)
}

/// The fields that are shown, each with what was refused about it.
fn fields(app: &App, form: &Form, width: u16) -> (Vec<Line<'static>>, usize) {
    let mut lines = Vec::new();
    let mut cursor = 0;
    let all = form.fields();
    for at in form.shown() {
        let Some(field) = all.get(at) else { continue };
        let here = at == form.at && form.editing();
        if here {
            cursor = lines.len();
        }
        lines.push(field_line(app, field, here, width));
        lines.extend(field.error.iter().flat_map(|problem| refusal(app, problem, width)));
    }
    (lines, cursor)
}

fn refusal(app: &App, problem: &Problem, width: u16) -> Vec<Line<'static>> {
    let indent = LABEL + 3;
    let mut lines = indented(app.theme, Tone::Bad, &format!("✗ {}", problem.message), indent, width);
    if let Some(help) = &problem.help {
        lines.extend(indented(app.theme, Tone::Plain, &format!("→ {help}"), indent, width));
    }
    lines
}

/// The cursor of the terminal, where text is typed.
fn caret(frame: &mut Frame<'_>, area: Rect, form: &Form, line: usize) {
    let Some(Field { value: Value::Text(input), .. }) = form.fields().get(form.at) else { return };
    if !form.editing() {
        return;
    }
    let room = usize::from(area.width).saturating_sub(LABEL + 4);
    let column = input.visual_cursor().saturating_sub(input.visual_scroll(room));
    let x = area.x.saturating_add(u16::try_from(LABEL + 3 + column).unwrap_or(0));
    let y = area.y.saturating_add(u16::try_from(line).unwrap_or(0));
    frame.set_cursor_position(Position { x: x.min(area.right().saturating_sub(1)), y });
}

fn field_line(app: &App, field: &Field, here: bool, width: u16) -> Line<'static> {
    let theme = app.theme;
    let room = usize::from(width).saturating_sub(LABEL + 4);
    let value = match &field.value {
        Value::Text(input) if here => tail(input.value(), input.visual_scroll(room), room),
        Value::Text(input) => text::fit(input.value(), room),
        Value::Choice { .. } if here => {
            let current = if field.current().is_empty() { "–" } else { field.current() };
            format!("◀ {} ▸", text::fit(current, room.saturating_sub(4)))
        }
        Value::Choice { .. } => text::fit(field.current(), room),
    };
    let mark = if here { "▸" } else { " " };
    let changed = if field.changed() { "~" } else { " " };
    let shown = match (value.is_empty(), here) {
        (true, false) => span(theme, Tone::Dim, text::fit(&unset(field), room)),
        (_, true) => span(theme, Tone::Selected, text::pad(&value, room.min(60))),
        (_, false) => plain(value),
    };
    Line::from(vec![
        span(theme, Tone::Accent, mark),
        span(theme, if here { Tone::Strong } else { Tone::Dim }, text::pad(field.doc.label, LABEL)),
        span(theme, Tone::Warn, format!("{changed} ")),
        shown,
    ])
}

/// What an empty field stands for: its default, so that nobody has to walk through the fields to see what holds.
fn unset(field: &Field) -> String {
    match (field.doc.default, &field.value) {
        (default, Value::Text(_)) if !default.is_empty() => {
            format!("– {}", default.strip_prefix("empty: ").unwrap_or(default))
        }
        _ => "–".to_owned(),
    }
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

/// What was said about the form as a whole, then what the place of the cursor means.
fn explanation(app: &App, form: &Form, width: u16) -> Vec<Line<'static>> {
    let section = form.here();
    let here = section.filter(|_| form.level != Level::Sections);
    let said = form.problems.iter().chain(here.into_iter().flat_map(|section| &section.problems));
    let mut lines: Vec<Line<'static>> =
        said.flat_map(|problem| problem_lines(app.theme, problem, Tone::Bad, "✗", width)).collect();
    match (section, form.fields().get(form.at)) {
        (_, Some(field)) => lines.extend(about_field(app, form, field, width)),
        (Some(section), None) => lines.extend(about_section(app, form, section, width)),
        (None, None) => {}
    }
    lines
}

fn about_section(app: &App, form: &Form, section: &Section, width: u16) -> Vec<Line<'static>> {
    let place = match form.level {
        Level::Sections => format!("{} of {}", form.section + 1, form.sections.len()),
        _ => String::new(),
    };
    let mut lines = vec![rule(app.theme, section.doc.title, &place, width)];
    lines.extend(indented(app.theme, Tone::Plain, section.doc.about, 1, width));
    if form.level != Level::Sections {
        return lines;
    }
    lines.extend(labelled(app.theme, "if unset", section.doc.unset, width));
    if let Body::Fields(fields) = &section.body {
        let set = fields.iter().filter(|field| field.speaks());
        lines.extend(set.flat_map(|field| labelled(app.theme, field.doc.label, field.current(), width)));
    }
    lines
}

fn about_field(app: &App, form: &Form, field: &Field, width: u16) -> Vec<Line<'static>> {
    let shown = form.shown();
    let place = shown.iter().position(|at| *at == form.at).map_or(0, |at| at + 1);
    let mut lines = vec![rule(app.theme, field.doc.label, &format!("{place} of {}", shown.len()), width)];
    lines.extend(meaning(app, field, width));
    if field.changed() && !field.original.is_empty() {
        lines.extend(labelled(app.theme, "before", &field.original, width));
    }
    if let Some(known) = known_names(app, field) {
        lines.extend(labelled(app.theme, "known", &known, width));
    }
    lines
}

/// The help of a field: all of it comes from its doc.
fn meaning(app: &App, field: &Field, width: u16) -> Vec<Line<'static>> {
    let doc: &Doc = field.doc;
    let mut lines = indented(app.theme, Tone::Plain, doc.meaning, 1, width);
    if let Entry::Choice(choices) = doc.entry {
        let room = choices.iter().map(|choice| text::width(choice.value)).max().unwrap_or(0);
        for choice in choices {
            let here = choice.value == field.current();
            let mark = if here { "▸" } else { " " };
            let tone = if here { Tone::Strong } else { Tone::Dim };
            let when = text::wrap(choice.when, usize::from(width).saturating_sub(room + 4));
            for (at, when) in when.into_iter().enumerate() {
                let (mark, value) = if at == 0 { (mark, choice.value) } else { (" ", "") };
                lines.push(Line::from(vec![
                    span(app.theme, Tone::Accent, mark),
                    span(app.theme, tone, text::pad(value, room)),
                    plain(format!("  {when}")),
                ]));
            }
        }
    }
    let change = if matches!(field.value, Value::Choice { .. }) { "left and right, or its first letter" } else { "" };
    for (label, value) in [("unit", doc.unit), ("default", doc.default), ("example", doc.example), ("change", change)] {
        let said = label == "default" && matches!(doc.entry, Entry::Choice(_));
        if !value.is_empty() && !said {
            lines.extend(labelled(app.theme, label, value, width));
        }
    }
    lines
}

/// Names offered at most.
const KNOWN_MAX: usize = 20;

/// The names that could be written here.
fn known_names(app: &App, field: &Field) -> Option<String> {
    let kind = match field.doc.entry {
        Entry::Name(kind) | Entry::Names(kind) => kind,
        Entry::Own if field.doc.path == "policies" => Kind::Policy,
        Entry::Own => match &field.value {
            Value::Choice { options, .. } => return Some(options.join(", ")),
            Value::Text(_) => return None,
        },
        _ => return None,
    };
    let names: Vec<&str> = app.live.objects(kind).map(|(name, _)| name.as_str()).take(KNOWN_MAX).collect();
    Some(if names.is_empty() { format!("no {} yet", kind.plural()) } else { names.join(", ") })
}

fn consequences(app: &App, form: &Form, checked: Option<&Checked>, width: u16) -> Vec<Line<'static>> {
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
