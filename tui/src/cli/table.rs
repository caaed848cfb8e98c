// SPDX-License-Identifier: MIT OR Apache-2.0
//! Aligned tables: text to the left, numbers to the right, two spaces between, no lines drawn.

use super::line::{Piece, Style};

/// Where a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading. A row may be shorter than the heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<(String, Align)>,
    rows: Vec<Vec<Piece>>,
}

impl Table {
    /// A table of these columns; one that begins with `>` is aligned to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let heading = columns.iter().map(|column| match column.strip_prefix('>') {
            Some(name) => (name.to_owned(), Align::Right),
            None => ((*column).to_owned(), Align::Left),
        });
        Self { heading: heading.collect(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, cells: Vec<Piece>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, without line ends and without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let heading: Vec<Piece> = self.heading.iter().map(|(name, _)| Style::Dim.of(name.as_str())).collect();
        let all = || std::iter::once(&heading).chain(&self.rows);
        let width = |column| all().filter_map(|row| row.get(column)).map(Piece::width).max().unwrap_or(0);
        let widths: Vec<(usize, Align)> =
            self.heading.iter().enumerate().map(|(column, (_, align))| (width(column), *align)).collect();
        all().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[Piece], widths: &[(usize, Align)]) -> String {
    let mut out = String::new();
    let mut owed = 0;
    for (cell, (width, align)) in row.iter().zip(widths) {
        let fill = width.saturating_sub(cell.width());
        let (before, after) = if *align == Align::Right { (fill, 0) } else { (0, fill) };
        if !cell.text.is_empty() {
            out.extend(std::iter::repeat_n(' ', owed + before));
            cell.write(&mut out, 0);
            owed = after + 2;
        } else {
            owed += width + 2;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::cli::line::Style;

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let mut table = Table::new(&["NAME", ">REQ/S", "NOTE"]);
        table.push(vec!["a".into(), "1,204".into(), "x".into()]);
        table.push(vec![Style::Plain.of("long-name"), "7".into(), "".into()]);
        table.push(vec!["".into(), "".into(), "\x1b".into()]);
        let plain: Vec<String> =
            table.lines().iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(
            plain,
            ["NAME       REQ/S  NOTE", "a          1,204  x", "long-name      7", "                  \\x1b"]
        );
    }
}
