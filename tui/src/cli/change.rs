// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a change would do, and what it did: the objects that differ, the text difference, the effects on traffic.

use serde_json::Value;
use weirgate_store::wire::{Applied, Checked, DiffEntry, DiffKind, Effects};

use super::line::{Piece, Style};
use super::problem::{self, Level, Source};
use super::table::Table;
use super::terminal::{Failure, Terminal};

/// Prints a change that was only checked. An error if it could not be applied.
pub(crate) fn print_checked(
    t: &mut Terminal<'_>,
    checked: &Checked,
    source: Option<Source<'_>>,
) -> Result<(), Failure> {
    if t.json {
        t.document(checked)?;
        return if checked.problems.is_empty() { Ok(()) } else { Err(Failure::Said) };
    }
    problem::print(t, Level::Error, &checked.problems, source)?;
    problem::print(t, Level::Warning, &checked.warnings, source)?;
    if checked.diff.is_empty() && checked.problems.is_empty() {
        t.say(&["nothing differs".into()])?;
    }
    print_diff_text(t, &checked.diff_text)?;
    print_entries(t, &checked.diff)?;
    print_effects(t, &checked.effects)?;
    problem::conclude(t, checked.problems.len(), "it would not be applied")
}

/// Prints a change that now runs.
pub(crate) fn print_applied(t: &mut Terminal<'_>, applied: &Applied) -> Result<(), Failure> {
    if t.json {
        return t.document(applied);
    }
    problem::print(t, Level::Warning, &applied.warnings, None)?;
    if let Some(text) = &applied.store_warning {
        t.warn(text)?;
    }
    let number = applied.revision.number;
    if !applied.changed {
        return t.say(&[format!("nothing differs from revision {number}; no revision was made").into()]);
    }
    print_entries(t, &applied.diff)?;
    print_effects(t, &applied.effects)?;
    t.say(&[Style::Good.of("✓"), " applied as revision ".into(), Style::Bold.of(number.to_string())])
}

/// Prints the answer to a write: an [`Applied`], or a [`Checked`] if it was a dry run.
pub(crate) fn print_answer(
    t: &mut Terminal<'_>,
    dry_run: bool,
    answer: Value,
    source: Option<Source<'_>>,
) -> Result<(), Failure> {
    let strange = |e: serde_json::Error| Failure::Failed(format!("the daemon answered something else: {e}"));
    if dry_run {
        print_checked(t, &serde_json::from_value(answer).map_err(strange)?, source)
    } else {
        print_applied(t, &serde_json::from_value(answer).map_err(strange)?)
    }
}

fn print_diff_text(t: &mut Terminal<'_>, text: &str) -> Result<(), Failure> {
    for line in text.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Good,
            Some(b'-') => Style::Bad,
            Some(b'@') => Style::Name,
            _ => Style::Plain,
        };
        t.say(&[style.of(line)])?;
    }
    Ok(())
}

fn print_entries(t: &mut Terminal<'_>, entries: &[DiffEntry]) -> Result<(), Failure> {
    let mut table = Table::new(&["", "KIND", "NAME", "FIELDS"]);
    for entry in entries {
        let fields = entry.fields.join(", ");
        table.push(vec![sign(entry.change), entry.kind.singular().into(), entry.name.as_str().into(), fields.into()]);
    }
    // The heading says nothing the rows do not.
    for line in table.lines().iter().skip(1) {
        writeln!(t.out, "{line}")?;
    }
    Ok(())
}

fn sign(change: DiffKind) -> Piece {
    match change {
        DiffKind::Added => Style::Good.of("+"),
        DiffKind::Changed => Style::Warn.of("~"),
        DiffKind::Removed => Style::Bad.of("-"),
    }
}

fn print_effects(t: &mut Terminal<'_>, effects: &Effects) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for (names, what) in [(&effects.listeners_opened, "opens"), (&effects.listeners_closed, "closes")] {
        if !names.is_empty() {
            parts.push(format!("{what} listener {}", names.join(", ")));
        }
    }
    let counts = [
        (effects.endpoints_added, "endpoints added"),
        (effects.endpoints_removed, "endpoints removed"),
        (effects.routes_changed, "routes changed"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| match n {
        1 => format!("1 {}", what.replacen("s ", " ", 1)),
        n => format!("{n} {what}"),
    }));
    if parts.is_empty() { Ok(()) } else { t.say(&[Style::Dim.of(parts.join(" · "))]) }
}
