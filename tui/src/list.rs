// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list that stays still under the cursor: selection by identity, an order that freezes while the operator moves,
//! a filter, and a sort by any column.
//!
//! It knows names and keys, not what they mean; `rows` says what each list contains.

use std::cmp::Ordering;

use crate::theme::Tone;

/// How long after a movement the order of a list stays as it is.
pub const FROZEN_MS: i64 = 3_000;

/// Every list of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListId {
    Attention,
    Routes,
    Upstreams,
    Endpoints,
    Consumers,
    Keys,
    Certificates,
    Revisions,
    Listeners,
    Connections,
    Timeline,
}

impl ListId {
    pub const ALL: [Self; 11] = [
        Self::Attention,
        Self::Routes,
        Self::Upstreams,
        Self::Endpoints,
        Self::Consumers,
        Self::Keys,
        Self::Certificates,
        Self::Revisions,
        Self::Listeners,
        Self::Connections,
        Self::Timeline,
    ];
}

/// One column. Columns that do not fit are dropped from the right.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub min: usize,
    pub max: usize,
    pub right: bool,
}

/// One cell of a row.
#[derive(Clone, Debug)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
    pub key: SortKey,
}

/// What a cell is sorted by.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum SortKey {
    Number(f64),
    Text(String),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { key: SortKey::Text(text.to_lowercase()), text, tone: Tone::Plain }
    }

    pub fn number(value: f64, text: impl Into<String>) -> Self {
        Self { key: SortKey::Number(value), text: text.into(), tone: Tone::Plain }
    }

    #[must_use]
    pub fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// A row before it is ordered: its identity and its cells.
pub type Row = (String, Vec<Cell>);

/// What the operator did to one list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListState {
    /// The identity of the row under the cursor.
    pub selected: Option<String>,
    /// Identities as shown.
    pub order: Vec<String>,
    /// Rows before the filter.
    pub total: usize,
    /// The column sorted by; the order of arrival if none.
    pub sort: Option<usize>,
    pub descending: bool,
    pub filter: String,
    /// When the operator last moved here; a past so far back that nothing is frozen at the start.
    pub moved_ms: Option<i64>,
}

impl ListState {
    /// Where the selected row stands.
    pub fn position(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.order.iter().position(|id| id == selected)
    }

    pub fn frozen(&self, now_ms: i64) -> bool {
        self.moved_ms.is_some_and(|moved| now_ms.saturating_sub(moved) < FROZEN_MS)
    }

    /// Takes the rows as they are now. Sorts and filters unless frozen; then only what is gone goes, and what is new
    /// is added at the end.
    pub fn refresh(&mut self, rows: Vec<Row>, now_ms: i64) {
        let before = self.position();
        self.total = rows.len();
        let wanted = self.filter.to_lowercase();
        let mut rows: Vec<Row> = rows.into_iter().filter(|row| shows(row, &wanted)).collect();
        if self.frozen(now_ms) {
            self.merge(&rows);
        } else {
            if let Some(column) = self.sort {
                rows.sort_by(|a, b| compare(a, b, column, self.descending));
            }
            self.order = rows.into_iter().map(|(id, _)| id).collect();
        }
        self.settle(before);
    }

    fn merge(&mut self, rows: &[Row]) {
        let present: std::collections::HashSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
        self.order.retain(|id| present.contains(id.as_str()));
        let known: std::collections::HashSet<String> = self.order.iter().cloned().collect();
        self.order.extend(rows.iter().map(|(id, _)| id).filter(|id| !known.contains(*id)).cloned());
    }

    /// If the selected row is gone, the one that took its place is selected.
    fn settle(&mut self, before: Option<usize>) {
        if self.position().is_none() {
            let at = before.unwrap_or(0).min(self.order.len().saturating_sub(1));
            self.selected = self.order.get(at).cloned();
        }
    }

    /// Moves the cursor by so many rows and stops at the ends.
    pub fn step(&mut self, by: isize, now_ms: i64) {
        self.moved_ms = Some(now_ms);
        let last = self.order.len().saturating_sub(1);
        let at = self.position().unwrap_or(0).saturating_add_signed(by).min(last);
        self.selected = self.order.get(at).cloned();
    }

    /// Sorts by the next column, at once.
    pub fn sort_next(&mut self, columns: usize) {
        self.sort = match self.sort {
            Some(column) if column + 1 < columns => Some(column + 1),
            Some(_) => None,
            None => Some(0),
        };
        self.moved_ms = None;
    }

    pub fn sort_reverse(&mut self) {
        self.descending = !self.descending;
        self.moved_ms = None;
    }
}

fn shows(row: &Row, wanted: &str) -> bool {
    wanted.is_empty()
        || row.0.to_lowercase().contains(wanted)
        || row.1.iter().any(|cell| cell.text.to_lowercase().contains(wanted))
}

fn compare(a: &Row, b: &Row, column: usize, descending: bool) -> Ordering {
    let key = |row: &Row| row.1.get(column).map(|cell| cell.key.clone());
    let order = key(a).partial_cmp(&key(b)).unwrap_or(Ordering::Equal);
    let order = if descending { order.reverse() } else { order };
    order.then_with(|| a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[(&str, f64)]) -> Vec<Row> {
        names.iter().map(|(name, n)| ((*name).to_owned(), vec![Cell::number(*n, "")])).collect()
    }

    /// A list of three, sorted by number downwards, with the cursor on `b`.
    fn list() -> ListState {
        let mut list = ListState { sort: Some(0), descending: true, ..ListState::default() };
        list.refresh(rows(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]), 0);
        list.selected = Some("b".into());
        list
    }

    #[test]
    fn the_selection_follows_its_row_when_the_data_moves() {
        let mut list = list();
        list.refresh(rows(&[("a", 9.0), ("b", 0.0), ("c", 3.0)]), 10_000);
        assert_eq!((list.order.join(""), list.position()), ("acb".into(), Some(2)));
    }

    #[test]
    fn the_order_is_frozen_while_the_operator_moves() {
        let mut list = list();
        list.step(1, 10_000);
        list.refresh(rows(&[("a", 9.0), ("b", 0.0), ("c", 3.0), ("d", 99.0)]), 10_000 + FROZEN_MS - 1);
        assert_eq!((list.order.join(""), list.selected.as_deref()), ("cbad".into(), Some("a")));
        list.refresh(rows(&[("a", 9.0), ("b", 0.0), ("c", 3.0), ("d", 99.0)]), 10_000 + FROZEN_MS);
        assert_eq!(list.order.join(""), "dacb");
    }

    #[test]
    fn a_row_that_is_gone_leaves_the_cursor_in_its_place() {
        let mut list = list();
        list.refresh(rows(&[("a", 1.0), ("c", 3.0)]), 10_000);
        assert_eq!(list.selected.as_deref(), Some("a"));
        list.refresh(Vec::new(), 10_000);
        assert_eq!(list.selected, None);
    }
}
