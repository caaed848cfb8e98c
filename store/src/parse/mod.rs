// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door for text: TOML files and JSON objects into the records of [`model`](crate::model).
//!
//! All mistakes come back at once, each with a path, a line and a column where there is text, and what to do instead.
//! `place` says where, `tree` reads the syntax, `unsupported` refuses what is not built yet, `object` reads one
//! object. What only several objects together can get wrong is for [`check`]; [`parse_and_check`] does
//! both.

mod object;

pub(crate) mod place;

mod tree;

mod unsupported;

use serde_json::Value;
use toml::de::DeTable;

use crate::check::{self, Declared};
use crate::model::{Kind, Model, Name, Object};
use crate::suggest;
use crate::wire::{Problem, ProblemCode};
use object::Mistake;
use place::{Lines, Place, Side, Step};

/// Longest configuration text.
pub const TEXT_BYTES_MAX: usize = 256 << 20;

/// Most problems that are reported at once.
pub const PROBLEMS_MAX: usize = 500;

/// Duplicates for which the first of the two is looked for, which takes a walk over the whole text.
const TWINS_SOUGHT_MAX: usize = 20;

/// Reads a configuration file.
///
/// # Errors
/// All mistakes that one object alone can have.
pub fn parse_toml(text: &str) -> Result<Model, Vec<Problem>> {
    at_once(text).map_or_else(|| carefully(text), Ok)
}

/// Reads a text so that every mistake in it is found.
pub(crate) fn carefully(text: &str) -> Result<Model, Vec<Problem>> {
    let read = Read::of(text)?;
    if read.problems.is_empty() { Ok(read.model) } else { Err(read.sorted()) }
}

/// Reads a configuration file and holds it against the rules between objects; the second part are warnings.
///
/// # Errors
/// All mistakes of both sorts, in the order of the text.
pub fn parse_and_check(text: &str) -> Result<(Model, Vec<Problem>), Vec<Problem>> {
    let Reading { model, problems, warnings } = read_and_check(text);
    if problems.is_empty() { Ok((model, warnings)) } else { Err(problems) }
}

/// What could be read of a configuration file, and everything that is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Without what was wrong in it.
    pub model: Model,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Reads a configuration file as far as it can be read, so that more can be asked about the rest of it.
pub fn read_and_check(text: &str) -> Reading {
    if let Some(model) = at_once(text) {
        let report = check::check(&model);
        if report.problems.is_empty() && report.warnings.is_empty() {
            return Reading { model, ..Reading::default() };
        }
    }
    let mut read = match Read::of(text) {
        Ok(read) => read,
        Err(problems) => return Reading { problems, ..Reading::default() },
    };
    let report = check::check_declared(&read.model, &read.declared);
    let new = read.added(report.problems);
    read.problems.extend(new);
    let warnings = if read.problems.is_empty() { report.warnings } else { Vec::new() };
    let warnings = warnings.into_iter().take(PROBLEMS_MAX);
    let warnings = warnings.map(|warning| located(warning, &read.lines, read.root.get_ref())).collect();
    let model = std::mem::take(&mut read.model);
    Reading { model, problems: read.sorted(), warnings }
}

/// Reads a text that has no mistake, several times faster than one in which mistakes are to be found; none if it has.
pub(crate) fn at_once(text: &str) -> Option<Model> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    toml::from_str(text).ok().filter(|model| !unsupported::is_used(model))
}

/// Reads one object of the API.
///
/// # Errors
/// All mistakes in it.
pub fn parse_object(kind: Kind, name: &str, value: &Value) -> Result<Object, Vec<Problem>> {
    let place = Place::of(kind.plural(), name);
    let reading = object::read(kind, &place, value.clone(), Vec::new());
    let mut mistakes = reading.mistakes;
    mistakes.extend(bad_name(&place, name).err());
    match reading.object {
        Some(object) if mistakes.is_empty() => Ok(object),
        _ => Err(mistakes.into_iter().map(without_line).collect()),
    }
}

/// Gives a problem its line and column in `text`, if its path exists there.
pub fn locate(problem: Problem, text: &str) -> Problem {
    let (root, _) = DeTable::parse_recoverable(text);
    located(problem, &Lines::new(text), root.get_ref())
}

fn located(problem: Problem, lines: &Lines<'_>, root: &DeTable<'_>) -> Problem {
    let side = if problem.code == ProblemCode::MissingField { Side::Key } else { Side::Value };
    match lines.find(root, &Place::parse(&problem.path), side) {
        Some((line, column)) => Problem { line: Some(line), column: Some(column), ..problem },
        None => problem,
    }
}

fn without_line(mistake: Mistake) -> Problem {
    Problem {
        code: mistake.code,
        path: mistake.place.to_string(),
        message: mistake.message,
        help: mistake.help,
        line: None,
        column: None,
    }
}

fn bad_name(place: &Place, name: &str) -> Result<Name, Mistake> {
    name.parse::<Name>().map_err(|sentence| {
        let (message, help) = sentence.split_once(": ").unwrap_or((&sentence, "use another name"));
        Mistake {
            code: ProblemCode::BadValue,
            place: place.clone(),
            side: Side::Key,
            message: message.to_owned(),
            help: Some(help.to_owned()),
        }
    })
}

/// A text that has been read as far as it could be.
struct Read<'a> {
    lines: Lines<'a>,
    root: toml::Spanned<DeTable<'a>>,
    model: Model,
    /// The names of all objects, also of those that could not be read.
    declared: Declared,
    /// Objects that are in the model without what was wrong in them.
    mended: Vec<Place>,
    problems: Vec<Problem>,
}

impl<'a> Read<'a> {
    fn of(text: &'a str) -> Result<Self, Vec<Problem>> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(vec![too_long(text.len())]);
        }
        let lines = Lines::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<Problem> = Vec::new();
        for error in errors.iter().take(PROBLEMS_MAX) {
            let twins = problems.len() < TWINS_SOUGHT_MAX;
            let problem = tree::syntax_problem(error, &lines, twins.then_some(root.get_ref()));
            // One slip of the pen gives several errors on its line: the first tells most, and of those at one place
            // the last, which is about the innermost thing.
            let syntax = problem.code == ProblemCode::Syntax;
            match problems.last_mut().filter(|last| syntax && last.code == problem.code && last.line == problem.line) {
                Some(last) if last.column == problem.column => *last = problem,
                Some(_) => {}
                None => problems.push(problem),
            }
        }
        let mut read =
            Self { lines, root, model: Model::default(), declared: Declared::default(), mended: Vec::new(), problems };
        read.collections();
        Ok(read)
    }

    fn collections(&mut self) {
        let root = std::mem::take(self.root.get_mut());
        // After a broken header its settings seem to stand outside of any table.
        let broken = self.problems.iter().any(|problem| problem.code == ProblemCode::Syntax);
        for (key, value) in &root {
            let plural = key.get_ref().as_ref();
            let place = Place(vec![Step::Key(plural.to_owned())]);
            let mistake = match (Kind::of_plural(plural), value.get_ref().as_table()) {
                (Some(kind), Some(table)) => {
                    self.objects(kind, table, &root);
                    continue;
                }
                (Some(kind), None) => wrong(place, ProblemCode::BadValue, "this must be a table of named objects")
                    .with_help(format!("write [{}.NAME]", kind.plural())),
                (None, _) if broken && !self.is_header(key.span().start) => continue,
                (None, _) => {
                    let kinds = Kind::ALL.map(Kind::plural);
                    wrong(place, ProblemCode::UnknownField, &format!("there is no table \"{plural}\""))
                        .with_help(suggest::help(plural, "tables", kinds))
                }
            };
            self.note(mistake, &root);
        }
        *self.root.get_mut() = root;
    }

    fn is_header(&self, offset: usize) -> bool {
        self.lines.line(self.lines.position(offset).0).trim_start().starts_with('[')
    }

    fn objects(&mut self, kind: Kind, table: &DeTable<'_>, root: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let mut place = Place::of(kind.plural(), name);
            self.declared.add(kind, name);
            if self.problems.len() >= PROBLEMS_MAX {
                continue;
            }
            let mut refused = Vec::new();
            let json = tree::to_json(value.get_ref(), &mut place, &mut refused);
            let refused = refused.into_iter().map(|(place, why)| Mistake {
                side: Side::Value,
                ..wrong(place, ProblemCode::BadValue, &why).with_help("write a text or a smaller number".to_owned())
            });
            let reading = object::read(kind, &place, json, refused.collect());
            let name = bad_name(&place, name);
            if !reading.mistakes.is_empty() {
                self.mended.push(place);
            }
            for mistake in reading.mistakes {
                self.note(mistake, root);
            }
            match (name, reading.object) {
                (Ok(name), Some(object)) => object.insert_into(&mut self.model, name),
                (Err(mistake), _) => self.note(mistake, root),
                (Ok(_), None) => {}
            }
        }
    }

    fn note(&mut self, mistake: Mistake, root: &DeTable<'_>) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let at = self.lines.find(root, &mistake.place, mistake.side);
        let problem = without_line(mistake);
        self.problems.push(Problem { line: at.map(|at| at.0), column: at.map(|at| at.1), ..problem });
    }

    /// What the rules between objects add to what the text itself gets wrong.
    fn added(&self, found: Vec<Problem>) -> Vec<Problem> {
        let syntax = |problem: &&Problem| problem.code == ProblemCode::Syntax;
        let header = |problem: &Problem| self.lines.line(problem.line.unwrap_or(0)).trim_start().starts_with('[');
        let broken = self.problems.iter().any(|problem| syntax(&problem));
        let lost_header = self.problems.iter().filter(syntax).any(header);
        let known = self.problems.iter().filter(|problem| !syntax(problem));
        let known: Vec<Place> = known.map(|problem| Place::parse(&problem.path)).collect();
        let new = found.into_iter().filter(|problem| {
            let place = Place::parse(&problem.path);
            // What was mended, or stands near a slip of the pen, lacks what was wrong in it: rules about absence would
            // only repeat that, and an object whose header is broken only seems to be missing.
            let follows = match problem.code {
                ProblemCode::MissingField | ProblemCode::Conflict | ProblemCode::Duplicate => {
                    broken || self.mended.iter().any(|object| place.within(object))
                }
                ProblemCode::Dangling => lost_header,
                _ => false,
            };
            let reported = known.iter().any(|known| known.within(&place) || place.within(known));
            !reported && !follows
        });
        let new = new.map(|problem| located(problem, &self.lines, self.root.get_ref()));
        // What a broken line seems to say is not what was meant.
        let broken_line = |line: Option<u32>| self.problems.iter().filter(syntax).any(|problem| problem.line == line);
        new.filter(|problem| problem.line.is_none() || !broken_line(problem.line)).collect()
    }

    fn sorted(self) -> Vec<Problem> {
        let mut problems = self.problems;
        problems.sort_by_key(|problem| (problem.line.unwrap_or(u32::MAX), problem.column));
        problems.truncate(PROBLEMS_MAX);
        problems
    }
}

fn wrong(place: Place, code: ProblemCode, message: &str) -> Mistake {
    Mistake { code, place, side: Side::Key, message: message.to_owned(), help: None }
}

impl Mistake {
    fn with_help(self, help: String) -> Self {
        Self { help: Some(help), ..self }
    }
}

fn too_long(bytes: usize) -> Problem {
    Problem {
        code: ProblemCode::Syntax,
        path: String::new(),
        message: format!("the text is {bytes} bytes long"),
        help: Some(format!("a configuration has at most {TEXT_BYTES_MAX} bytes")),
        line: None,
        column: None,
    }
}

#[cfg(test)]
mod tests;
