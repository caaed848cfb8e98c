// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mistakes printed like a compiler prints them: what, where, the line itself, and what to do instead.

use weirgate_store::wire::{ErrorReply, Problem};

use super::line::{Style, escape};
use super::terminal::{Failure, Terminal};

/// Most characters of a source line that are shown.
const SOURCE_CHARS_MAX: usize = 120;

/// The text a problem was found in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

/// How bad it is; the word says it, the colour repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
}

/// Prints all of them.
pub(crate) fn print(
    t: &mut Terminal<'_>,
    level: Level,
    problems: &[Problem],
    source: Option<Source<'_>>,
) -> Result<(), Failure> {
    // Cut into lines once, however many problems there are.
    let lines: Vec<&str> = source.map(|source| source.text.lines().collect()).unwrap_or_default();
    let source = source.map(|source| Lines { name: source.name, lines: &lines });
    problems.iter().try_for_each(|problem| print_one(t, level, problem, source))
}

/// All of them as text without colours, for a program that has no terminal of its own.
pub fn problems_text(name: &str, text: &str, problems: &[Problem]) -> String {
    let mut written = Vec::new();
    let mut terminal = Terminal {
        client: crate::client::Client::new(std::path::PathBuf::new()),
        json: false,
        live: false,
        zone: jiff::tz::TimeZone::UTC,
        out: Box::new(std::io::sink()),
        err: Box::new(&mut written),
    };
    let printed = print(&mut terminal, Level::Error, problems, Some(Source { name, text }));
    drop(terminal);
    match printed {
        Ok(()) => anstream::adapter::strip_str(&String::from_utf8_lossy(&written)).to_string(),
        // Writing into memory does not fail; should it, the plain list still tells.
        Err(_) => problems.iter().map(|problem| format!("error: {}: {}\n", problem.path, problem.message)).collect(),
    }
}

/// A source cut into lines.
#[derive(Clone, Copy)]
struct Lines<'a> {
    name: &'a str,
    lines: &'a [&'a str],
}

fn print_one(t: &mut Terminal<'_>, level: Level, problem: &Problem, source: Option<Lines<'_>>) -> Result<(), Failure> {
    let word = match level {
        Level::Error => Style::Bad.of("error"),
        Level::Warning => Style::Warn.of("warning"),
    };
    let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    t.note(&[word, ": ".into(), Style::Bold.of(path), Style::Bold.of(problem.message.as_str())])?;
    let margin = match (source, problem.line) {
        (Some(source), Some(line)) => print_place(t, source, line, problem.column)?,
        _ => 1,
    };
    if let Some(help) = &problem.help {
        t.note(&[" ".repeat(margin + 1).into(), Style::Name.of("= help"), ": ".into(), help.as_str().into()])?;
    }
    Ok(())
}

/// Prints file, line and caret; returns how wide the line number was.
fn print_place(t: &mut Terminal<'_>, source: Lines<'_>, line: u32, column: Option<u32>) -> Result<usize, Failure> {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let place = match column {
        Some(column) => format!("{}:{line}:{column}", source.name),
        None => format!("{}:{line}", source.name),
    };
    t.note(&[margin.as_str().into(), Style::Name.of("--> "), place.into()])?;
    let Some(text) = source.lines.get((line as usize).saturating_sub(1)) else { return Ok(number.len()) };
    let (shown, caret) = excerpt(text, column);
    t.note(&[Style::Name.of(format!("{margin} |"))])?;
    t.note(&[Style::Name.of(format!("{number} | ")), shown.into()])?;
    if let Some(caret) = caret {
        t.note(&[Style::Name.of(format!("{margin} | ")), " ".repeat(caret).into(), Style::Bad.of("^")])?;
    }
    Ok(number.len())
}

/// The part of a line around a column, escaped, and how far in the column is.
fn excerpt(line: &str, column: Option<u32>) -> (String, Option<usize>) {
    let column = column.map(|column| (column as usize).saturating_sub(1));
    let skip = column.unwrap_or(0).saturating_sub(SOURCE_CHARS_MAX / 2);
    // A tab becomes one space, so that the caret stands under its character.
    let characters: Vec<char> = line.chars().map(|c| if c == '\t' { ' ' } else { c }).skip(skip).collect();
    let text = |range: &[char]| escape(&range.iter().collect::<String>()).into_owned();
    let shown = text(characters.get(..SOURCE_CHARS_MAX).unwrap_or(&characters));
    let before = column.map(|column| characters.get(..column - skip).unwrap_or(&characters));
    (shown, before.map(|before| text(before).chars().count()))
}

/// Says how many there were and what that means; an error if there was any.
pub(crate) fn conclude(t: &mut Terminal<'_>, problems: usize, then: &str) -> Result<(), Failure> {
    match problems {
        0 => return Ok(()),
        1 => t.note(&[format!("1 problem; {then}").into()])?,
        _ => t.note(&[format!("{problems} problems; {then}").into()])?,
    }
    Err(Failure::Said)
}

/// Prints a refusal by the daemon with all its problems.
pub(crate) fn print_refusal(
    t: &mut Terminal<'_>,
    reply: &ErrorReply,
    source: Option<Source<'_>>,
) -> Result<(), Failure> {
    if reply.problems.is_empty() {
        let text = if reply.detail.is_empty() { &reply.title } else { &reply.detail };
        return t.note(&[Style::Bad.of("error"), ": ".into(), text.as_str().into()]);
    }
    print(t, Level::Error, &reply.problems, source)?;
    conclude(t, reply.problems.len(), "nothing was applied").or(Ok(()))
}
