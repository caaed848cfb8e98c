// SPDX-License-Identifier: MIT OR Apache-2.0
//! A part of a form that is shown as one page: fields, or rows that can be added and removed (the endpoints of an
//! upstream, the sides of a split).
//!
//! A section knows what it is for and what holds while nothing is set; it does not know where the cursor is.

use serde_json::{Value as Json, json};
use weirgate_store::wire::Problem;

use super::field::{Doc, Entry, Field};
use super::json;
use crate::live::Live;
use crate::text;

/// Most rows of one table; the daemon's own bounds are lower.
pub(super) const ROWS_MAX: usize = 10_000;

/// What is written about a section.
#[derive(Clone, Copy, Debug)]
pub struct SectionDoc {
    pub title: &'static str,
    /// What it does and when to use it.
    pub about: &'static str,
    /// What holds while nothing is set, in a few words.
    pub unset: &'static str,
    pub content: Content,
}

#[derive(Clone, Copy, Debug)]
pub enum Content {
    Fields(&'static [Doc]),
    Rows(RowsDoc),
}

/// A table of rows, each a few fields.
#[derive(Clone, Copy, Debug)]
pub struct RowsDoc {
    pub path: &'static str,
    /// What one of them is called.
    pub one: &'static str,
    pub shape: RowShape,
    pub columns: &'static [Doc],
}

/// How rows stand in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowShape {
    /// `[{ … }, { … }]`.
    List,
    /// `{ first column: second column }`.
    Map,
}

#[derive(Clone, Debug)]
pub struct Section {
    pub doc: &'static SectionDoc,
    pub body: Body,
    /// Problems that belong to no field of it.
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
pub enum Body {
    Fields(Vec<Field>),
    Rows(Rows),
}

#[derive(Clone, Debug)]
pub struct Rows {
    pub doc: RowsDoc,
    pub rows: Vec<Row>,
    /// Whether one was added or removed.
    pub moved: bool,
}

#[derive(Clone, Debug)]
pub struct Row {
    /// What it was; members that no column shows are kept from here.
    known: Json,
    pub fields: Vec<Field>,
}

impl Section {
    pub(super) fn read(doc: &'static SectionDoc, object: &Json, live: &Live) -> Self {
        let body = match doc.content {
            Content::Fields(docs) => Body::Fields(json::read(docs, object, live)),
            Content::Rows(rows) => Body::Rows(Rows::read(rows, object, live)),
        };
        Self { doc, body, problems: Vec::new() }
    }

    pub fn changed(&self) -> bool {
        match &self.body {
            Body::Fields(fields) => fields.iter().any(Field::changed),
            Body::Rows(rows) => rows.changed(),
        }
    }

    pub fn wrong(&self) -> bool {
        !self.problems.is_empty()
            || match &self.body {
                Body::Fields(fields) => fields.iter().any(|field| field.error.is_some()),
                Body::Rows(rows) => rows.rows.iter().any(Row::wrong),
            }
    }

    /// What is set, in one line.
    pub fn summary(&self) -> String {
        let said = match &self.body {
            Body::Fields(fields) => spoken(fields).join(" · "),
            Body::Rows(rows) if rows.rows.is_empty() => String::new(),
            Body::Rows(rows) => {
                let each = rows.rows.iter().map(Row::summary).collect::<Vec<_>>().join(" · ");
                format!("{}: {each}", rows.rows.len())
            }
        };
        if said.is_empty() { self.doc.unset.to_owned() } else { said }
    }

    pub(super) fn clear_errors(&mut self) {
        self.problems.clear();
        match &mut self.body {
            Body::Fields(fields) => fields.iter_mut().for_each(|field| field.error = None),
            Body::Rows(rows) => {
                rows.rows.iter_mut().flat_map(|row| &mut row.fields).for_each(|field| field.error = None);
            }
        }
    }

    pub(super) fn write(&mut self, object: &mut Json) {
        match &mut self.body {
            Body::Fields(fields) => json::write(fields, object),
            Body::Rows(rows) => rows.write(object),
        }
    }
}

/// The fields that say something, each as `label value`; the first one, and a choice, need no label.
pub(super) fn spoken(fields: &[Field]) -> Vec<String> {
    let said = fields.iter().filter(|field| field.speaks() && json::visible(fields, field));
    said.map(|field| match field.doc.entry {
        Entry::Switch if field.doc.path.contains('.') => field.doc.label.to_owned(),
        Entry::Flag => field.doc.label.to_owned(),
        Entry::Choice(_) | Entry::Switch => field.current().to_owned(),
        _ => format!("{} {}", field.doc.label, text::fit(field.current().trim(), SAID_MAX)),
    })
    .collect()
}

/// Cells of one value in a summary.
const SAID_MAX: usize = 60;

impl Rows {
    fn read(doc: RowsDoc, object: &Json, live: &Live) -> Self {
        let rows = match (doc.shape, json::at(object, doc.path)) {
            (RowShape::List, Some(Json::Array(list))) => {
                list.iter().map(|row| Row::read(doc, row.clone(), live)).collect()
            }
            (RowShape::Map, Some(Json::Object(map))) => {
                map.iter().map(|pair| Row::read(doc, pair_row(doc, pair), live)).collect()
            }
            _ => Vec::new(),
        };
        Self { doc, rows, moved: false }
    }

    /// A new row at the end; its place comes back.
    pub(super) fn add(&mut self, live: &Live) -> Option<usize> {
        if self.rows.len() >= ROWS_MAX {
            return None;
        }
        self.rows.push(Row::read(self.doc, json!({}), live));
        self.moved = true;
        Some(self.rows.len() - 1)
    }

    pub(super) fn remove(&mut self, at: usize) {
        if at < self.rows.len() {
            self.rows.remove(at);
            self.moved = true;
        }
    }

    fn changed(&self) -> bool {
        self.moved || self.rows.iter().any(|row| row.fields.iter().any(Field::changed))
    }

    fn write(&mut self, object: &mut Json) {
        if !self.changed() {
            return;
        }
        let written: Vec<Json> = self.rows.iter_mut().map(Row::write).collect();
        let value = match self.doc.shape {
            RowShape::List => Json::Array(written),
            RowShape::Map => Json::Object(written.iter().filter_map(|row| row_pair(self.doc, row)).collect()),
        };
        let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        json::set(object, self.doc.path, if empty { Json::Null } else { value });
    }
}

/// One entry of a map as a row of two columns, and back.
fn pair_row(doc: RowsDoc, (name, value): (&String, &Json)) -> Json {
    let [name_column, value_column] = map_columns(doc);
    json!({ name_column: name, value_column: value })
}

fn row_pair(doc: RowsDoc, row: &Json) -> Option<(String, Json)> {
    let [name_column, value_column] = map_columns(doc);
    Some((row.get(name_column)?.as_str()?.to_owned(), row.get(value_column)?.clone()))
}

fn map_columns(doc: RowsDoc) -> [&'static str; 2] {
    let mut paths = doc.columns.iter().map(|column| column.path);
    [paths.next().unwrap_or_default(), paths.next().unwrap_or_default()]
}

impl Row {
    fn read(doc: RowsDoc, known: Json, live: &Live) -> Self {
        let fields = json::read(doc.columns, &known, live);
        Self { known, fields }
    }

    pub(super) fn wrong(&self) -> bool {
        self.fields.iter().any(|field| field.error.is_some())
    }

    fn write(&mut self) -> Json {
        for field in self.fields.iter_mut().filter(|field| field.doc.required) {
            if field.current().trim().is_empty() {
                field.refuse("this must be given");
            }
        }
        let mut row = self.known.clone();
        json::write(&mut self.fields, &mut row);
        row
    }

    /// The first column, and of the others what is set.
    pub fn summary(&self) -> String {
        let mut said = self.fields.first().map(|field| field.current().to_owned()).unwrap_or_default();
        for part in spoken(self.fields.get(1..).unwrap_or_default()) {
            said.push(' ');
            said.push_str(&part);
        }
        said
    }
}
