// SPDX-License-Identifier: MIT OR Apache-2.0
//! One field of a form: what is written about it, what kind of value it holds, and what has been typed into it.
//!
//! A [`Doc`] is data. Label, help line, choices, the place in the JSON and the way a text becomes a value all come from
//! it, so a form cannot explain one thing and write another.

use tui_input::Input;
use weirgate_store::model::Kind;
use weirgate_store::wire::{Problem, ProblemCode};

/// What kind of value a field holds, and so how it is typed and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Text,
    /// Bytes as text: `\r`, `\n`, `\t` and `\\` stand for what cannot be typed.
    Escaped,
    /// A whole number.
    Whole,
    /// `yes` is written as `true`; `no` is left out.
    Flag,
    /// `on` makes the table at this path, `off` removes it; fields below it are shown while it is on.
    Switch,
    /// One of a few, each with a line on when to use it.
    Choice(&'static [Choice]),
    /// The name of an object, or nothing.
    Name(Kind),
    /// Names of objects, divided by commas.
    Names(Kind),
    /// Texts divided by commas or blanks.
    List,
    /// Whole numbers divided by commas or blanks.
    Numbers,
    /// Words divided by blanks; `"` holds a word with blanks together.
    Words,
    /// `Name: value` divided by semicolons.
    Pairs,
    /// Times, sizes and shares are texts in the model too; the daemon reads them.
    Time,
    Size,
    Share,
    /// Read and written by the form it belongs to.
    Own,
}

/// One answer of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: &'static str,
    /// When to use it, in a line.
    pub when: &'static str,
    pub shape: Shape,
}

/// How a choice stands in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The default: nothing is written.
    Absent,
    /// `"value"`.
    Bare,
    /// `{ "value": … }`, filled by the fields below `path.value`.
    Key,
    /// The same, and `{ "value": true }` while those are empty.
    KeyTrue,
}

pub(super) const fn absent(value: &'static str, when: &'static str) -> Choice {
    Choice { value, when, shape: Shape::Absent }
}

pub(super) const fn bare(value: &'static str, when: &'static str) -> Choice {
    Choice { value, when, shape: Shape::Bare }
}

pub(super) const fn key(value: &'static str, when: &'static str) -> Choice {
    Choice { value, when, shape: Shape::Key }
}

pub(super) const fn key_true(value: &'static str, when: &'static str) -> Choice {
    Choice { value, when, shape: Shape::KeyTrue }
}

/// What is written about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Path inside the object, as in `Problem::path`.
    pub path: &'static str,
    pub label: &'static str,
    pub entry: Entry,
    pub meaning: &'static str,
    pub unit: &'static str,
    pub default: &'static str,
    pub example: &'static str,
    /// Must be given while it is shown.
    pub required: bool,
}

impl Doc {
    pub const fn new(path: &'static str, label: &'static str, entry: Entry, meaning: &'static str) -> Self {
        let unit = match entry {
            Entry::Whole => "whole number",
            Entry::Time => "whole number and ms, s, m, h or d",
            Entry::Size => "whole number and B, KiB, MiB or GiB",
            Entry::Share => "whole number and %",
            Entry::List | Entry::Names(_) => "several divided by commas",
            Entry::Numbers => "whole numbers divided by commas",
            Entry::Words => "words divided by blanks; \"…\" holds one together",
            Entry::Pairs => "Name: value; Name: value",
            Entry::Escaped => "text; \\r \\n \\t stand for bytes that cannot be typed",
            _ => "",
        };
        Self { path, label, entry, meaning, unit, default: "", example: "", required: false }
    }

    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The answers of a choice.
    pub fn choices(&self) -> &'static [Choice] {
        match self.entry {
            Entry::Choice(choices) => choices,
            Entry::Switch => SWITCH,
            Entry::Flag => FLAG,
            _ => &[],
        }
    }
}

const SWITCH: &[Choice] = &[absent("off", "it is not used"), key("on", "its settings stand below")];

const FLAG: &[Choice] = &[absent("no", ""), bare("yes", "")];

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

impl Field {
    pub(super) fn text(doc: &'static Doc, value: impl Into<String>) -> Self {
        let original = value.into();
        Self { doc, value: Value::Text(Input::new(original.clone())), original, error: None }
    }

    /// A choice; a current value that is not among the options is kept as one.
    pub(super) fn choice(doc: &'static Doc, mut options: Vec<String>, current: &str) -> Self {
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

    /// Puts a value in; one that is not among the options of a choice changes nothing.
    pub(super) fn put(&mut self, value: &str) {
        match &mut self.value {
            Value::Text(input) => *input = Input::new(value.to_owned()),
            Value::Choice { options, at } => *at = options.iter().position(|option| option == value).unwrap_or(*at),
        }
    }

    pub fn changed(&self) -> bool {
        self.current().trim() != self.original.trim()
    }

    /// Whether it says something else than what holds anyway.
    pub fn speaks(&self) -> bool {
        let current = self.current().trim();
        let first = self.doc.choices().first().filter(|choice| choice.shape == Shape::Absent);
        let first = first.map_or("", |choice| choice.value);
        // A default may be explained: `0: no limit`.
        let default = self.doc.default.split(':').next().unwrap_or_default();
        !current.is_empty() && current != first && current != default
    }

    /// The parts of a list divided by commas or blanks.
    pub(super) fn parts(&self) -> Vec<String> {
        let parts = self.current().split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    pub(super) fn refuse(&mut self, message: impl Into<String>) {
        let path = self.doc.path.to_owned();
        let message = message.into();
        let problem = Problem { code: ProblemCode::BadValue, path, message, help: None, line: None, column: None };
        self.error = Some(problem);
    }
}
