// SPDX-License-Identifier: MIT OR Apache-2.0
//! `check`, `diff` and `apply`: a configuration file against itself, against what runs, and made to run.
//!
//! The file is read and checked here first, so that every mistake is shown with its line and so that `check` needs no
//! daemon. Files that it names are read here too: the daemon never opens a path that a client chose. Mistakes that
//! only the daemon can see come back with a path, and get their line from the text.

use std::path::Path;

use http::Method;
use weirgate_store::model::Model;
use weirgate_store::parse::Reading;
use weirgate_store::wire::{ChangeRequest, Checked, Edit, Effects, Problem};
use weirgate_store::{files, parse, text};

use super::args::{CheckArgs, WriteArgs};
use super::change::{print_answer, print_checked};
use super::history::send;
use super::line::Style;
use super::problem::{self, Level, Source};
use super::terminal::{Failure, Terminal, directory_of, read};
use crate::client::ClientError;

/// Most problems of the daemon that get a line of the file; each costs a look through all of it.
const LOCATED_MAX: usize = 100;

/// A file that has been read and holds no mistake that can be seen without the daemon.
struct Prepared {
    name: String,
    text: String,
    model: Model,
    warnings: Vec<Problem>,
}

impl Prepared {
    fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text }
    }

    fn change(&self, comment: Option<String>) -> ChangeRequest {
        let edits = vec![Edit::ReplaceAll { toml: text::to_toml(&self.model) }];
        ChangeRequest { base: None, comment, edits }
    }

    /// Gives the daemon's problems, which point into the text it was sent, their place in the text of the file.
    fn locate(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let place = |(index, problem)| {
            let unplaced = Problem { line: None, column: None, ..problem };
            if index < LOCATED_MAX { parse::locate(unplaced, &self.text) } else { unplaced }
        };
        problems.into_iter().enumerate().map(place).collect()
    }

    /// Prints a refusal with the lines of the file; other errors pass.
    fn explain(&self, t: &mut Terminal<'_>, failure: Failure) -> Failure {
        let Failure::Client(ClientError::Refused(mut reply)) = failure else { return failure };
        if t.json {
            return t.refusal(&reply);
        }
        reply.problems = self.locate(std::mem::take(&mut reply.problems));
        problem::print_refusal(t, &reply, Some(self.source())).err().unwrap_or(Failure::Said)
    }
}

/// Whether a daemon is asked about a file that has mistakes already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    Asked,
    Left,
}

/// Reads a file and everything it names; prints all mistakes if there are any, also those that only the machine knows.
async fn prepare(t: &mut Terminal<'_>, path: &Path, then: &str, machine: Machine) -> Result<Prepared, Failure> {
    let text = read(path)?;
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let Reading { mut model, mut problems, warnings } = parse::read_and_check(&text);
    let unreadable = files::inline(&mut model, directory_of(path));
    if problems.is_empty() && unreadable.is_empty() {
        return Ok(Prepared { name, text, model, warnings });
    }
    add(&mut problems, unreadable, &text);
    let rest = files::for_the_machine(&model, &problems);
    if machine == Machine::Asked && rest != Model::default() {
        let found = on_the_machine(t, &rest).await;
        add(&mut problems, found, &text);
    }
    problems.sort_by_key(|problem| (problem.line.unwrap_or(u32::MAX), problem.column));
    if t.json {
        t.document(&unapplied(problems, Vec::new()))?;
        return Err(Failure::Said);
    }
    problem::print(t, Level::Error, &problems, Some(Source { name: &name, text: &text }))?;
    problem::conclude(t, problems.len(), then)?;
    Err(Failure::Said)
}

/// Adds problems that are about something else than those already told, each with its place in the text.
fn add(problems: &mut Vec<Problem>, found: Vec<Problem>, text: &str) {
    for problem in found {
        if !problems.iter().any(|known| known.path == problem.path) {
            let unplaced = Problem { line: None, column: None, ..problem };
            problems.push(if problems.len() < LOCATED_MAX { parse::locate(unplaced, text) } else { unplaced });
        }
    }
}

/// What the daemon says about listeners and certificates that are right as text. Without one, nothing: there are
/// mistakes enough to mend before that matters.
async fn on_the_machine(t: &Terminal<'_>, part: &Model) -> Vec<Problem> {
    if part.listeners.is_empty() && part.certificates.is_empty() {
        return Vec::new();
    }
    let change =
        ChangeRequest { edits: vec![Edit::ReplaceAll { toml: text::to_toml(part) }], ..ChangeRequest::default() };
    match t.client.send::<Checked, _>(Method::POST, "/v1/check", Some(&change)).await {
        Ok(checked) => checked.problems,
        Err(ClientError::Refused(reply)) => reply.problems,
        Err(_) => Vec::new(),
    }
}

fn unapplied(problems: Vec<Problem>, warnings: Vec<Problem>) -> Checked {
    Checked { problems, warnings, diff: Vec::new(), diff_text: String::new(), effects: Effects::default() }
}

pub(crate) async fn check(t: &mut Terminal<'_>, args: &CheckArgs) -> Result<(), Failure> {
    let machine = if args.offline { Machine::Left } else { Machine::Asked };
    let prepared = prepare(t, &args.file, "it would not be applied", machine).await?;
    let mut checked = unapplied(Vec::new(), prepared.warnings.clone());
    if !args.offline {
        ask_daemon(t, &prepared, &mut checked).await?;
    }
    if t.json {
        return print_checked(t, &checked, None);
    }
    problem::print(t, Level::Error, &checked.problems, Some(prepared.source()))?;
    problem::print(t, Level::Warning, &checked.warnings, Some(prepared.source()))?;
    problem::conclude(t, checked.problems.len(), "it would not be applied")?;
    t.say(&[Style::Good.of("✓"), format!(" {}: {}", prepared.name, contents(&prepared.model)).into()])
}

/// Adds what only a running daemon can see. Without one, says so: that is no mistake of the file.
async fn ask_daemon(t: &mut Terminal<'_>, prepared: &Prepared, checked: &mut Checked) -> Result<(), Failure> {
    let reply: Result<Checked, ClientError> =
        t.client.send(Method::POST, "/v1/check", Some(&prepared.change(None))).await;
    match reply {
        Ok(reply) => *checked = reply,
        Err(ClientError::Refused(reply)) if !reply.problems.is_empty() => checked.problems = reply.problems,
        Err(ClientError::Refused(reply)) if reply.status == 403 => return not_asked(t, &reply.detail),
        Err(error) if error.is_absent() => return not_asked(t, "no daemon answers"),
        Err(error) => return Err(error.into()),
    }
    checked.problems = prepared.locate(std::mem::take(&mut checked.problems));
    checked.warnings = prepared.locate(std::mem::take(&mut checked.warnings));
    Ok(())
}

fn not_asked(t: &mut Terminal<'_>, why: &str) -> Result<(), Failure> {
    let text = format!("{why}: whether ports are free and keys fit this machine was not checked");
    t.note(&[Style::Dim.of("note"), ": ".into(), text.into()])
}

fn contents(model: &Model) -> String {
    let counts = [
        (model.listeners.len(), "listener", "listeners"),
        (model.certificates.len(), "certificate", "certificates"),
        (model.upstreams.len(), "upstream", "upstreams"),
        (model.policies.len(), "policy", "policies"),
        (model.routes.len(), "route", "routes"),
        (model.plans.len(), "plan", "plans"),
        (model.consumers.len(), "consumer", "consumers"),
    ];
    let shown = counts.iter().filter(|(n, ..)| *n > 0);
    let words: Vec<String> = shown.map(|(n, one, many)| format!("{n} {}", if *n == 1 { one } else { many })).collect();
    if words.is_empty() {
        "nothing in it, and no mistake".to_owned()
    } else {
        format!("{}; no mistakes", words.join(", "))
    }
}

pub(crate) async fn diff(t: &mut Terminal<'_>, path: &Path) -> Result<(), Failure> {
    let prepared = prepare(t, path, "it would not be applied", Machine::Asked).await?;
    let change = prepared.change(None);
    match t.client.send::<Checked, _>(Method::POST, "/v1/diff", Some(&change)).await {
        Ok(mut checked) => {
            checked.problems = prepared.locate(checked.problems);
            checked.warnings = prepared.locate(checked.warnings);
            print_checked(t, &checked, Some(prepared.source()))
        }
        Err(error) => Err(prepared.explain(t, error.into())),
    }
}

pub(crate) async fn apply(t: &mut Terminal<'_>, path: &Path, write: &WriteArgs) -> Result<(), Failure> {
    let prepared = prepare(t, path, "nothing was applied", Machine::Asked).await?;
    let change = prepared.change(write.comment.clone());
    match send(t, &change, write.dry_run).await {
        Ok(answer) => print_answer(t, write.dry_run, answer, None),
        Err(failure) => Err(prepared.explain(t, failure)),
    }
}
