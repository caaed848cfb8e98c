// SPDX-License-Identifier: MIT OR Apache-2.0
//! A form: sections of fields with their meaning, an error beside its field, and the way from typing over a checked
//! diff to an apply. What a form is about is its [`Subject`]; what it shows is a table of [`SectionDoc`]s in the file
//! named like the subject.
//!
//! A form never writes. It makes a `ChangeRequest` or an override, and `update` sends it. What it does not show of an
//! object is kept as it was.

mod consumer;

mod endpoint;

mod field;

mod json;

mod key;

mod listener;

mod plan;

mod problems;

mod route;

mod section;

mod upstream;

use serde_json::Value as Json;
use weirgate_store::model::Kind;
use weirgate_store::wire::{ChangeRequest, Checked, Edit, Problem};

pub use consumer::{edit_consumer, new_consumer};
pub(crate) use endpoint::mode_name;
pub use endpoint::{effect_lines, endpoint, request as override_request};
pub use field::{Choice, Doc, Entry, Field, Value};
#[cfg(test)]
pub(crate) use json::visible as shown;
pub use key::{expires as key_expires, issue_key};
pub(crate) use listener::listener_settings;
pub use listener::{edit_listener, new_listener};
pub use plan::{edit_plan, new_plan};
pub use route::{edit_route, new_route};
pub(crate) use route::{path_of, policies_of};
pub use section::{Body, Row, Rows, Section, SectionDoc};
pub(crate) use upstream::settings;
pub use upstream::{edit_upstream, new_upstream};

use crate::live::Live;

/// What a form edits.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// An object of the configuration; `None` makes a new one.
    Object { kind: Kind, name: Option<String> },
    /// The operational state of an endpoint.
    Endpoint { upstream: String, address: String },
    /// A new key of a consumer.
    Key { consumer: String },
}

/// How far the form is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Editing,
    Checking,
    /// Checked without a problem: the diff is shown, and one key applies it.
    Review(Option<Box<Checked>>),
    Applying(Option<Box<Checked>>),
}

/// How deep the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// On the list of sections.
    Sections,
    /// In a section.
    Page,
    /// In one row of a section of rows.
    Row,
}

#[derive(Clone, Debug)]
pub struct Form {
    pub subject: Subject,
    pub title: String,
    /// The revision the edited object was read at.
    pub base: Option<u64>,
    /// The object as it was; fields the form does not show are kept from here.
    pub object: Json,
    pub sections: Vec<Section>,
    pub level: Level,
    pub section: usize,
    pub row: usize,
    /// The field under the cursor, among those of the page.
    pub at: usize,
    pub stage: Stage,
    pub ticket: u64,
    /// Problems that belong to no section of this form.
    pub problems: Vec<Problem>,
    pub scroll: u16,
}

/// The name of a new object, in front of its first section.
const NAME: Doc = Doc::new(
    "name",
    "name",
    Entry::Own,
    "What it is called everywhere: in this console, in the file, in records and metrics. It cannot be changed later.",
)
.unit("a-z, 0-9, - _ .")
.default("none, it must be given")
.example("shop");

/// The section of a form that has only one.
const ALONE: SectionDoc = SectionDoc { title: "", about: "", unset: "", content: section::Content::Fields(&[]) };

impl Form {
    /// A form of one page.
    fn page(subject: Subject, title: String, fields: Vec<Field>) -> Self {
        Self::new(subject, title, vec![Section { doc: &ALONE, body: Body::Fields(fields), problems: Vec::new() }])
    }

    fn new(subject: Subject, title: String, sections: Vec<Section>) -> Self {
        let level = if sections.len() == 1 { Level::Page } else { Level::Sections };
        Self {
            subject,
            title,
            base: None,
            object: Json::Null,
            sections,
            level,
            section: 0,
            row: 0,
            at: 0,
            stage: Stage::Editing,
            ticket: 0,
            problems: Vec::new(),
            scroll: 0,
        }
    }

    /// A form of a new object: it opens on the first page, whose first field is the name.
    fn new_object(kind: Kind, docs: &'static [SectionDoc], live: &Live) -> Self {
        let object = Json::Object(serde_json::Map::new());
        let mut sections: Vec<Section> = docs.iter().map(|doc| Section::read(doc, &object, live)).collect();
        if let Some(Section { body: Body::Fields(fields), .. }) = sections.first_mut() {
            fields.insert(0, Field::text(&NAME, ""));
        }
        let subject = Subject::Object { kind, name: None };
        let form = Self::new(subject, format!("new {}", kind.singular()), sections);
        Self { base: live.base(kind), object, level: Level::Page, ..form }
    }

    /// `None` if there is no such object.
    fn edit_object(kind: Kind, name: &str, docs: &'static [SectionDoc], live: &Live) -> Option<Self> {
        let object = live.object(kind, name)?.clone();
        let sections = docs.iter().map(|doc| Section::read(doc, &object, live)).collect();
        let subject = Subject::Object { kind, name: Some(name.to_owned()) };
        let form = Self::new(subject, format!("edit {} {name}", kind.singular()), sections);
        Some(Self { base: live.base(kind), object, ..form })
    }

    pub fn dirty(&self) -> bool {
        self.sections.iter().any(Section::changed)
    }

    /// Whether letters are typed now.
    pub fn takes_text(&self) -> bool {
        matches!(self.stage, Stage::Editing) && !self.fields().is_empty()
    }

    pub fn editing(&self) -> bool {
        matches!(self.stage, Stage::Editing)
    }

    /// Whether there is a list of sections to go back to.
    pub fn sectioned(&self) -> bool {
        self.sections.len() > 1
    }

    pub fn here(&self) -> Option<&Section> {
        self.sections.get(self.section)
    }

    /// The rows of the page, if it is one of rows.
    pub fn rows(&self) -> Option<&Rows> {
        match &self.here()?.body {
            Body::Rows(rows) => Some(rows),
            Body::Fields(_) => None,
        }
    }

    fn rows_mut(&mut self) -> Option<&mut Rows> {
        match &mut self.sections.get_mut(self.section)?.body {
            Body::Rows(rows) => Some(rows),
            Body::Fields(_) => None,
        }
    }

    /// The fields of the page; none on a list of sections or rows.
    pub fn fields(&self) -> &[Field] {
        match (self.level, self.here().map(|section| &section.body)) {
            (Level::Page, Some(Body::Fields(fields))) => fields,
            (Level::Row, Some(Body::Rows(rows))) => rows.rows.get(self.row).map_or(&[], |row| &row.fields),
            _ => &[],
        }
    }

    pub fn fields_mut(&mut self) -> &mut [Field] {
        let (level, row) = (self.level, self.row);
        match (level, self.sections.get_mut(self.section).map(|section| &mut section.body)) {
            (Level::Page, Some(Body::Fields(fields))) => fields,
            (Level::Row, Some(Body::Rows(rows))) => rows.rows.get_mut(row).map_or(&mut [], |row| &mut row.fields),
            _ => &mut [],
        }
    }

    /// Places of the fields that are shown on the page.
    pub fn shown(&self) -> Vec<usize> {
        let fields = self.fields();
        let each = fields.iter().enumerate();
        each.filter(|(_, field)| json::visible(fields, field)).map(|(at, _)| at).collect()
    }

    /// A field of any page, by its path.
    pub fn field(&self, path: &str) -> Option<&Field> {
        let fields = self.sections.iter().filter_map(|section| match &section.body {
            Body::Fields(fields) => Some(fields),
            Body::Rows(_) => None,
        });
        fields.flatten().find(|field| field.doc.path == path)
    }

    fn field_mut(&mut self, path: &str) -> Option<&mut Field> {
        let fields = self.sections.iter_mut().filter_map(|section| match &mut section.body {
            Body::Fields(fields) => Some(fields),
            Body::Rows(_) => None,
        });
        fields.flatten().find(|field| field.doc.path == path)
    }

    fn current(&self, path: &str) -> &str {
        self.field(path).map_or("", |field| field.current().trim())
    }

    fn parts(&self, path: &str) -> Vec<String> {
        self.field(path).map(Field::parts).unwrap_or_default()
    }

    /// Puts the cursor on a field of the first page and, if given, a value into it.
    #[must_use]
    pub fn at_field(mut self, path: &str, value: Option<&str>) -> Self {
        if let Some(at) = self.fields().iter().position(|field| field.doc.path == path) {
            self.at = at;
        }
        if let (Some(field), Some(value)) = (self.field_mut(path), value) {
            field.put(value);
        }
        self
    }

    /// Opens one page of the form, named by its title.
    #[must_use]
    pub fn at_section(mut self, title: &str) -> Self {
        if let Some(section) = self.sections.iter().position(|section| section.doc.title == title) {
            self.enter(section);
        }
        self
    }

    pub(crate) fn enter(&mut self, section: usize) {
        (self.section, self.level, self.row) = (section, Level::Page, 0);
        self.at = self.shown().first().copied().unwrap_or(0);
        self.scroll = 0;
    }

    /// Opens a row, the first time with a new one.
    pub(crate) fn enter_row(&mut self, row: usize) {
        (self.level, self.row, self.at) = (Level::Row, row, 0);
    }

    pub(crate) fn add_row(&mut self, live: &Live) {
        if let Some(row) = self.rows_mut().and_then(|rows| rows.add(live)) {
            self.enter_row(row);
        }
    }

    pub(crate) fn remove_row(&mut self) {
        let at = self.row;
        if let Some(rows) = self.rows_mut() {
            rows.remove(at);
            let last = rows.rows.len().saturating_sub(1);
            self.row = at.min(last);
        }
    }

    /// One level up; false where there is none. A row that was added and left empty is forgotten.
    pub(crate) fn up(&mut self) -> bool {
        match self.level {
            Level::Row => {
                let empty = self.fields().iter().all(|field| !field.changed() && !field.speaks());
                if empty {
                    self.remove_row();
                }
                self.level = Level::Page;
                true
            }
            Level::Page if self.sectioned() => {
                self.level = Level::Sections;
                true
            }
            Level::Page | Level::Sections => false,
        }
    }

    /// The name of the object: given, or typed into the form.
    pub fn object_name(&self) -> String {
        match &self.subject {
            Subject::Object { name: Some(name), .. } => name.clone(),
            Subject::Object { name: None, .. } => self.current("name").to_owned(),
            Subject::Endpoint { address, .. } => address.clone(),
            Subject::Key { consumer } => consumer.clone(),
        }
    }

    /// Where in the form one is, such as `edit upstream shop ▸ endpoints ▸ 10.0.0.11:8080`.
    pub fn place(&self) -> String {
        let mut place = self.title.clone();
        let section = self.here().filter(|_| self.sectioned() && self.level != Level::Sections);
        if let Some(section) = section {
            place += &format!(" ▸ {}", section.doc.title);
        }
        if self.level == Level::Row
            && let Some(rows) = self.rows()
        {
            let name = self.fields().first().map(Field::current).filter(|name| !name.is_empty());
            place += &format!(" ▸ {}", name.map_or_else(|| format!("new {}", rows.doc.one), str::to_owned));
        }
        place
    }

    /// The change this form asks for; `None` if a field cannot be understood, which then says so.
    pub fn change(&mut self) -> Option<ChangeRequest> {
        self.clear_errors();
        let Subject::Object { kind, name } = self.subject.clone() else { return None };
        if name.is_none()
            && let Err(message) = self.current("name").parse::<weirgate_store::model::Name>()
            && let Some(field) = self.field_mut("name")
        {
            field.refuse(message);
        }
        let mut object = self.object.clone();
        if kind == Kind::Route {
            route::write(self, &mut object);
        }
        for section in &mut self.sections {
            section.write(&mut object);
        }
        if self.sections.iter().any(Section::wrong) {
            self.show_first_problem();
            return None;
        }
        let edit = Edit::Put { kind, name: self.object_name(), object };
        Some(ChangeRequest { base: self.base, comment: None, edits: vec![edit] })
    }
}
