// SPDX-License-Identifier: MIT OR Apache-2.0
//! A form: fields with their meaning, an error beside its field, and the way from typing over a checked diff to an
//! apply. What a form is about is its [`Subject`]; the fields of each subject are in the files below.
//!
//! A form never writes. It makes a `ChangeRequest` or an override, and `update` sends it.

mod consumer;

mod endpoint;

mod key;

mod route;

mod upstream;

use tui_input::Input;
use weirgate_store::model::Kind;
use weirgate_store::wire::{ChangeRequest, Checked, Edit, ErrorReply, Problem};

pub use endpoint::effect_lines;

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

/// What is written about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Path inside the object, as in `Problem::path`.
    pub path: &'static str,
    pub label: &'static str,
    pub meaning: &'static str,
    pub unit: &'static str,
    pub default: &'static str,
    pub example: &'static str,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub enum Value {
    Text(Input),
    Choice { options: Vec<String>, at: usize },
}

#[derive(Clone, Debug)]
pub struct Field {
    pub doc: &'static Doc,
    pub value: Value,
    /// What it was when the form opened.
    pub original: String,
    pub error: Option<Problem>,
}

#[derive(Clone, Debug)]
pub struct Form {
    pub subject: Subject,
    pub title: String,
    /// The revision the edited object was read at.
    pub base: Option<u64>,
    /// The object as it was; fields the form does not show are kept from here.
    pub object: serde_json::Value,
    pub fields: Vec<Field>,
    pub at: usize,
    pub stage: Stage,
    pub ticket: u64,
    /// Problems that belong to no field of this form.
    pub problems: Vec<Problem>,
    pub scroll: u16,
}

impl Field {
    fn text(doc: &'static Doc, value: impl Into<String>) -> Self {
        let original = value.into();
        Self { doc, value: Value::Text(Input::new(original.clone())), original, error: None }
    }

    /// A choice; a current value that is not among the options is kept as one.
    fn choice(doc: &'static Doc, mut options: Vec<String>, current: &str) -> Self {
        let at = options.iter().position(|option| option == current).unwrap_or_else(|| {
            options.insert(0, current.to_owned());
            0
        });
        Self { doc, value: Value::Choice { options, at }, original: current.to_owned(), error: None }
    }

    pub fn current(&self) -> &str {
        match &self.value {
            Value::Text(input) => input.value(),
            Value::Choice { options, at } => options.get(*at).map_or("", String::as_str),
        }
    }

    pub fn changed(&self) -> bool {
        self.current().trim() != self.original.trim()
    }

    /// The parts of a list divided by commas or blanks.
    fn parts(&self) -> Vec<String> {
        let parts = self.current().split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    fn refuse(&mut self, message: impl Into<String>) {
        let path = self.doc.path.to_owned();
        self.error = Some(Problem {
            code: weirgate_store::wire::ProblemCode::BadValue,
            path,
            message: message.into(),
            help: None,
            line: None,
            column: None,
        });
    }
}

impl Form {
    fn new(subject: Subject, title: String, fields: Vec<Field>) -> Self {
        Self {
            subject,
            title,
            base: None,
            object: serde_json::Value::Null,
            fields,
            at: 0,
            stage: Stage::Editing,
            ticket: 0,
            problems: Vec::new(),
            scroll: 0,
        }
    }

    pub fn dirty(&self) -> bool {
        self.fields.iter().any(Field::changed)
    }

    /// Whether keys go into the fields now.
    pub fn stage_takes_keys(&self) -> bool {
        matches!(self.stage, Stage::Editing)
    }

    pub fn field(&self, path: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.doc.path == path)
    }

    fn field_mut(&mut self, path: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.doc.path == path)
    }

    fn current(&self, path: &str) -> &str {
        self.field(path).map_or("", |field| field.current().trim())
    }

    fn parts(&self, path: &str) -> Vec<String> {
        self.field(path).map(Field::parts).unwrap_or_default()
    }

    /// Puts the cursor on a field and, if given, a value into it.
    #[must_use]
    pub fn at_field(mut self, path: &str, value: Option<&str>) -> Self {
        if let Some(at) = self.fields.iter().position(|field| field.doc.path == path) {
            self.at = at;
        }
        if let (Some(field), Some(value)) = (self.field_mut(path), value) {
            match &mut field.value {
                Value::Text(input) => *input = Input::new(value.to_owned()),
                Value::Choice { options, at } => {
                    *at = options.iter().position(|option| option == value).unwrap_or(*at);
                }
            }
        }
        self
    }

    /// Forgets what was said about an earlier try.
    pub fn clear_errors(&mut self) {
        self.problems.clear();
        for field in &mut self.fields {
            field.error = None;
        }
    }

    /// Takes the problems of a refused check: each beside its field, the rest below; the cursor goes to the first.
    pub fn take_problems(&mut self, problems: Vec<Problem>) {
        self.clear_errors();
        self.stage = Stage::Editing;
        for problem in problems {
            let path = self.inner_path(&problem.path);
            let field = self.fields.iter_mut().find(|field| covers(field.doc.path, &path) && field.error.is_none());
            match field {
                Some(field) => field.error = Some(problem),
                None => self.problems.push(problem),
            }
        }
        if let Some(at) = self.fields.iter().position(|field| field.error.is_some()) {
            self.at = at;
        }
    }

    /// Takes a refusal that is not about single values.
    pub fn take_refusal(&mut self, refusal: ErrorReply) {
        if refusal.problems.is_empty() {
            self.clear_errors();
            self.stage = Stage::Editing;
            self.problems.push(Problem {
                code: weirgate_store::wire::ProblemCode::Environment,
                path: String::new(),
                message: refusal.detail,
                help: None,
                line: None,
                column: None,
            });
        } else {
            self.take_problems(refusal.problems);
        }
    }

    /// The path of a problem without the kind and the name before it: `routes.orders.match.path` → `match.path`.
    fn inner_path(&self, path: &str) -> String {
        let Subject::Object { kind, .. } = &self.subject else { return path.to_owned() };
        let name = self.object_name();
        let rest = path.strip_prefix(kind.plural()).unwrap_or(path);
        let quoted = format!("[\"{name}\"]");
        let dotted = format!(".{name}");
        let rest = rest.strip_prefix(quoted.as_str()).or_else(|| rest.strip_prefix(dotted.as_str())).unwrap_or(rest);
        rest.trim_start_matches('.').to_owned()
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
        let object = match kind {
            Kind::Route => route::object(self),
            Kind::Upstream => upstream::object(self),
            _ => consumer::object(self),
        };
        if let Some(at) = self.fields.iter().position(|field| field.error.is_some()) {
            self.at = at;
            return None;
        }
        let edit = Edit::Put { kind, name: self.object_name(), object };
        Some(ChangeRequest { base: self.base, comment: None, edits: vec![edit] })
    }
}

/// Whether a problem at `path` belongs to the field at `field`.
fn covers(field: &str, path: &str) -> bool {
    path == field || path.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Sets or removes a member by path; empty values are left out of the object, so that it reads as a person wrote it.
fn set(object: &mut serde_json::Value, path: &[&str], value: serde_json::Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = object;
    for parent in parents {
        if !at.is_object() {
            *at = serde_json::json!({});
        }
        let Some(map) = at.as_object_mut() else { return };
        at = map.entry(*parent).or_insert_with(|| serde_json::json!({}));
    }
    if !at.is_object() {
        *at = serde_json::json!({});
    }
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if let Some(map) = at.as_object_mut() {
        if empty {
            map.remove(*last);
        } else {
            map.insert((*last).to_owned(), value);
        }
    }
}

/// A list of texts joined the way a form shows it.
fn joined(value: Option<&serde_json::Value>) -> String {
    let texts = value.and_then(serde_json::Value::as_array).into_iter().flatten();
    texts.filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(", ")
}

pub use consumer::new_consumer;
pub(crate) use endpoint::mode_name;
pub use endpoint::{endpoint, request as override_request};
pub use key::{expires as key_expires, issue_key};
pub use route::{edit_route, new_route};
pub(crate) use route::{path_of, policies_of};
pub(crate) use upstream::check_text;
pub use upstream::{edit_upstream, new_upstream};
