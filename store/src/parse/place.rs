// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a value is: a path of keys and indices, and the line and column of that path in a TOML text.
//!
//! Nothing is remembered for values that are right: a place is looked up in the parsed tree only when something is
//! wrong with it, so that a large file costs no more than its tree.

use std::fmt;
use std::ops::Range;

use toml::de::DeTable;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A path from the root of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) Vec<Step>);

impl Place {
    pub(crate) fn of(kind: &str, name: &str) -> Self {
        Self(vec![Step::Key(kind.to_owned()), Step::Key(name.to_owned())])
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// Whether `self` is `other` or inside it.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(quoted) = rest.strip_prefix('"') {
                let (key, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
                steps.push(Step::Index(index.parse().unwrap_or(usize::MAX)));
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len()).max(1);
                let (key, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            }
        }
        Self(steps)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_bare(key) => write!(f, "{dot}{key}")?,
                Step::Key(key) => write!(f, "{dot}\"{}\"", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// Whether a key needs no quotes, in TOML and in a path.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A key as it stands in a path: quoted where it must be.
pub(crate) fn quoted(key: &str) -> String {
    Place(vec![Step::Key(key.to_owned())]).to_string()
}

/// Which end of a `key = value` a mistake is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Key,
    Value,
}

/// Finds lines and columns of one text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Line and column from 1; the column counts characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column + 1).unwrap_or(u32::MAX))
    }

    /// The text of a line, counted from 1.
    pub(crate) fn line(&self, line: u32) -> &'a str {
        let start = self.starts.get((line as usize).saturating_sub(1));
        start.and_then(|start| self.text.get(*start..)?.lines().next()).unwrap_or("")
    }

    /// Every line, in order.
    pub(crate) fn all(&self) -> std::str::Lines<'a> {
        self.text.lines()
    }

    pub(crate) fn slice(&self, span: Range<usize>) -> Option<&'a str> {
        self.text.get(span)
    }

    /// Where `place`, or the nearest thing around it that exists, stands in the text.
    pub(crate) fn find(&self, root: &DeTable<'_>, place: &Place, side: Side) -> Option<(u32, u32)> {
        find(root, place, side).map(|span| self.position(span.start))
    }
}

fn find(root: &DeTable<'_>, place: &Place, side: Side) -> Option<Range<usize>> {
    let mut best = None;
    let (mut table, mut array) = (Some(root), None);
    for (position, step) in place.0.iter().enumerate() {
        let value = match step {
            Step::Key(name) => {
                let Some((key, value)) = table.and_then(|table| table.get_key_value(name.as_str())) else { break };
                // A table's own span is its header or its brace; its name says more. So does the name of what holds
                // the thing looked for, if that turns out not to exist.
                let at_key = side == Side::Key || value.get_ref().is_table() || position + 1 < place.0.len();
                best = Some(if at_key { key.span() } else { value.span() });
                value
            }
            Step::Index(index) => {
                let Some(value) = array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)) else { break };
                best = Some(value.span());
                value
            }
        };
        (table, array) = (value.get_ref().as_table(), value.get_ref().as_array());
    }
    best
}

#[cfg(test)]
mod tests {
    use super::{Lines, Place, Side};

    #[test]
    fn paths_read_back_as_they_are_written() {
        for text in ["routes.orders.policies[1].cors", "routes.\"a.b\".match", "listeners.web", "a[0][1].b"] {
            assert_eq!(Place::parse(text).to_string(), text, "row {text:?}");
        }
    }

    #[test]
    fn a_place_is_found_in_the_text() {
        let text = "[a.b]\nc = [1, 2]\nd = [{ e = 1 },\n  { e = 2 }]\n";
        let (root, errors) = toml::de::DeTable::parse_recoverable(text);
        assert!(errors.is_empty());
        let lines = Lines::new(text);
        for (path, side, want) in [
            ("a.b", Side::Value, (1, 4)),
            ("a.b.c", Side::Key, (2, 1)),
            ("a.b.c", Side::Value, (2, 5)),
            ("a.b.c[1]", Side::Value, (2, 9)),
            ("a.b.d[1].e", Side::Value, (4, 9)),
            ("a.b.d[1].f", Side::Value, (4, 3)),
            ("a.b.x.y", Side::Key, (1, 4)),
        ] {
            assert_eq!(lines.find(root.get_ref(), &Place::parse(path), side), Some(want), "row {path:?}");
        }
    }
}
