// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a verb speaks to: the daemon on one side, the two output streams on the other, and how a verb can fail.
//!
//! Results go to standard output, everything about the work (problems, warnings, notes) to standard error. Pieces are
//! escaped on the way out; JSON too. Tests give it buffers and UTC.

use std::io::{self, Read, Write};
use std::path::Path;

use jiff::tz::TimeZone;
use serde::Serialize;
use weirgate_store::wire::ErrorReply;

use super::line::{Piece, Style, escape, escape_json};
use super::table::Table;
use crate::client::{Client, ClientError};

/// Largest file that is read: a configuration, an object, a list of keys.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why a verb ended without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line makes no sense; exit code 2.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Client(#[from] ClientError),
    /// A sentence for the operator.
    #[error("{0}")]
    Failed(String),
    /// There is no object of that name; the sentence says which there are.
    #[error("{0}")]
    Unknown(String),
    /// Everything has been said already.
    #[error("")]
    Said,
    /// Nobody reads our output any more.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// What a verb works with.
pub(crate) struct Terminal<'a> {
    pub(crate) client: Client,
    pub(crate) json: bool,
    /// Whether standard output is a screen that can be redrawn.
    pub(crate) live: bool,
    pub(crate) zone: TimeZone,
    pub(crate) out: Box<dyn Write + 'a>,
    pub(crate) err: Box<dyn Write + 'a>,
}

impl Terminal<'_> {
    /// One line of the result.
    pub(crate) fn say<const N: usize>(&mut self, pieces: &[Piece; N]) -> Result<(), Failure> {
        let line = joined(pieces);
        Ok(writeln!(self.out, "{line}")?)
    }

    /// One line about the work.
    pub(crate) fn note<const N: usize>(&mut self, pieces: &[Piece; N]) -> Result<(), Failure> {
        let line = joined(pieces);
        Ok(writeln!(self.err, "{line}")?)
    }

    /// `warning: …` about the work.
    pub(crate) fn warn(&mut self, text: &str) -> Result<(), Failure> {
        self.note(&[Style::Warn.of("warning"), ": ".into(), text.into()])
    }

    pub(crate) fn table(&mut self, table: &Table) -> Result<(), Failure> {
        for line in table.lines() {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    pub(crate) fn blank(&mut self) -> Result<(), Failure> {
        Ok(writeln!(self.out)?)
    }

    /// A wire message as an indented document.
    pub(crate) fn document<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(e.to_string()))?;
        Ok(writeln!(self.out, "{}", escape_json(&text))?)
    }

    /// A wire message as one line of a stream.
    pub(crate) fn record<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|e| Failure::Failed(e.to_string()))?;
        writeln!(self.out, "{}", escape_json(&text))?;
        Ok(self.out.flush()?)
    }

    /// A text as the daemon gave it; on a screen its lines are escaped, in a file every byte counts.
    pub(crate) fn verbatim(&mut self, text: &str) -> Result<(), Failure> {
        if !self.live {
            return Ok(self.out.write_all(text.as_bytes())?);
        }
        for line in text.lines() {
            writeln!(self.out, "{}", escape(line))?;
        }
        Ok(())
    }

    /// A control sequence of ours. It goes around the output that takes styles away when no colour is wanted.
    pub(crate) fn control(&mut self, sequence: &str) -> Result<(), Failure> {
        self.out.flush()?;
        Ok(io::stdout().write_all(sequence.as_bytes())?)
    }

    /// A refusal by the daemon, for programs.
    pub(crate) fn refusal(&mut self, reply: &ErrorReply) -> Failure {
        self.document(reply).err().unwrap_or(Failure::Said)
    }
}

fn joined(pieces: &[Piece]) -> String {
    let mut line = String::new();
    for piece in pieces {
        piece.write(&mut line, 0);
    }
    line
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::Failed(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Failed(format!("{} is not UTF-8 text", path.display())))
}

/// The directory that paths in a file are relative to.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if path != Path::new("-") && !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::Terminal;
    use crate::client::Client;

    /// What `verbatim` writes, on a screen or into a file.
    fn check(live: bool, text: &str, want: &str) {
        let mut out = Vec::new();
        let mut terminal = Terminal {
            client: Client::new("/nonexistent".into()),
            json: false,
            live,
            zone: TimeZone::UTC,
            out: Box::new(&mut out),
            err: Box::new(std::io::sink()),
        };
        terminal.verbatim(text).unwrap();
        drop(terminal);
        assert_eq!(String::from_utf8(out).unwrap(), want, "row {live} {text:?}");
    }

    #[test]
    fn a_file_gets_every_byte_and_a_screen_only_text() {
        check(false, "a = \"\u{9b}2J\"\n\tb", "a = \"\u{9b}2J\"\n\tb");
        check(true, "a = \"\u{9b}2J\"\nb\n", "a = \"\\u{9b}2J\"\nb\n");
    }
}
