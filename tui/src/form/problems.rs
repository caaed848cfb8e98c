// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was refused, each problem at the field it is about: by its path into the section, the row and the field that
//! hold that path; what fits nowhere stands below the form.

use weirgate_store::wire::{ErrorReply, Problem, ProblemCode};

use super::field::Field;
use super::section::{Body, RowShape, Rows, Section};
use super::{Form, Level, Stage, Subject, json};

/// Where a problem belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Field { section: usize, at: usize },
    Row { section: usize, row: usize, at: usize },
    Section(usize),
    Nowhere,
}

impl Form {
    /// Forgets what was said about an earlier try.
    pub fn clear_errors(&mut self) {
        self.problems.clear();
        self.sections.iter_mut().for_each(Section::clear_errors);
    }

    /// Takes the problems of a refused check: each beside its field, the rest below; the cursor goes to the first.
    pub fn take_problems(&mut self, problems: Vec<Problem>) {
        self.clear_errors();
        self.stage = Stage::Editing;
        for problem in problems {
            let spot = self.spot(&self.inner_path(&problem.path));
            self.put_problem(spot, problem);
        }
        self.show_first_problem();
    }

    /// Takes a refusal that is not about single values.
    pub fn take_refusal(&mut self, refusal: ErrorReply) {
        if !refusal.problems.is_empty() {
            self.take_problems(refusal.problems);
            return;
        }
        self.clear_errors();
        self.stage = Stage::Editing;
        self.problems.push(Problem {
            code: ProblemCode::Environment,
            path: String::new(),
            message: refusal.detail,
            help: None,
            line: None,
            column: None,
        });
    }

    fn put_problem(&mut self, spot: Spot, problem: Problem) {
        let field = match spot {
            Spot::Field { section, at } => match self.sections.get_mut(section).map(|section| &mut section.body) {
                Some(Body::Fields(fields)) => fields.get_mut(at),
                _ => None,
            },
            Spot::Row { section, row, at } => match self.sections.get_mut(section).map(|section| &mut section.body) {
                Some(Body::Rows(rows)) => rows.rows.get_mut(row).and_then(|row| row.fields.get_mut(at)),
                _ => None,
            },
            Spot::Section(_) | Spot::Nowhere => None,
        };
        match (field, spot) {
            (Some(field), _) if field.error.is_none() => field.error = Some(problem),
            (_, Spot::Field { section, .. } | Spot::Row { section, .. } | Spot::Section(section)) => {
                if let Some(section) = self.sections.get_mut(section) {
                    section.problems.push(problem);
                }
            }
            (_, Spot::Nowhere) => self.problems.push(problem),
        }
    }

    /// Goes to the page, the row and the field of the first problem.
    pub(super) fn show_first_problem(&mut self) {
        let Some(section) = self.sections.iter().position(Section::wrong) else { return };
        self.enter(section);
        let row = self.rows().and_then(|rows| rows.rows.iter().position(super::Row::wrong));
        if let Some(row) = row {
            self.enter_row(row);
        }
        if let Some(at) = self.fields().iter().position(|field| field.error.is_some()) {
            self.at = at;
        }
        if !self.sectioned() {
            self.level = Level::Page;
        }
    }

    /// The path of a problem without the kind and the name before it: `routes.orders.match.path` → `match.path`.
    fn inner_path(&self, path: &str) -> String {
        let Subject::Object { kind, .. } = &self.subject else { return path.to_owned() };
        let name = self.object_name();
        let Some(rest) = path.strip_prefix(kind.plural()) else { return path.to_owned() };
        let quoted = format!("[\"{name}\"]");
        let dotted = format!(".{name}");
        let rest = rest.strip_prefix(quoted.as_str()).or_else(|| rest.strip_prefix(dotted.as_str())).unwrap_or(rest);
        rest.trim_start_matches('.').to_owned()
    }

    fn spot(&self, path: &str) -> Spot {
        let mut best = (Spot::Nowhere, 0);
        for (at, section) in self.sections.iter().enumerate() {
            let found = match &section.body {
                Body::Rows(rows) => in_rows(rows, at, path),
                Body::Fields(fields) => in_fields(fields, at, path),
            };
            if let Some((spot, length)) = found
                && length > best.1
            {
                best = (spot, length);
            }
        }
        best.0
    }
}

/// The field that holds a path most closely; else the first one below it.
fn in_fields(fields: &[Field], section: usize, path: &str) -> Option<(Spot, usize)> {
    let shown = || fields.iter().enumerate().filter(|(_, field)| json::visible(fields, field));
    let over = shown().filter(|(_, field)| covers(field.doc.path, path)).max_by_key(|(_, field)| field.doc.path.len());
    let found = over.map(|(at, field)| (at, field.doc.path.len()));
    let found =
        found.or_else(|| shown().find(|(_, field)| covers(path, field.doc.path)).map(|(at, _)| (at, path.len())));
    found.map(|(at, length)| (Spot::Field { section, at }, length))
}

fn in_rows(rows: &Rows, section: usize, path: &str) -> Option<(Spot, usize)> {
    let table = rows.doc.path;
    if !covers(table, path) {
        return None;
    }
    let rest = path.get(table.len()..).unwrap_or_default();
    let place = match rows.doc.shape {
        RowShape::List => numbered(rest),
        RowShape::Map => named(rows, rest),
    };
    let Some((row, inner)) = place else { return Some((Spot::Section(section), table.len())) };
    let at = rows.doc.columns.iter().position(|column| covers(column.path, inner)).unwrap_or(0);
    Some((Spot::Row { section, row, at }, path.len()))
}

/// `[2].weight` → row 2, `weight`.
fn numbered(rest: &str) -> Option<(usize, &str)> {
    let (number, inner) = rest.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, inner.trim_start_matches('.')))
}

/// `["api.example.com"]` → the row of that name, its second column.
fn named<'a>(rows: &'a Rows, rest: &str) -> Option<(usize, &'a str)> {
    let name = rest.trim_matches(|c| matches!(c, '.' | '[' | ']' | '"'));
    let row = rows.rows.iter().position(|row| row.fields.first().is_some_and(|field| field.current() == name))?;
    Some((row, rows.doc.columns.get(1)?.path))
}

/// Whether a problem at `path` belongs to the field at `field`.
fn covers(field: &str, path: &str) -> bool {
    path == field || path.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '[']))
}
