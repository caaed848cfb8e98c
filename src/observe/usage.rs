// SPDX-License-Identifier: MIT OR Apache-2.0
//! What consumers use, by route: counted by each worker for itself, and handed over now and then to whoever rolls it up.
//!
//! Both sides are bounded: a worker names so many pairs of consumer and route between two handovers, and counts the rest
//! under one name; a handover that does not fit waits in the worker for the next one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};

use weirgate_store::wire::UsageRow;

use super::cells::Outcome;
use super::meters::OTHER;

/// Pairs of consumer and route that one worker names between two handovers.
pub(super) const PAIRS_MAX: usize = 10_000;

/// Handovers of one worker that wait.
const HANDOVERS_MAX: usize = 8;

/// Who used what.
#[derive(Clone, Copy, Debug)]
pub struct UsedBy<'a> {
    pub consumer: &'a str,
    pub route: &'a str,
    /// Empty where a route has no versions.
    pub version: &'a str,
}

/// Where handovers of all workers meet.
#[derive(Debug)]
pub struct Used {
    give: SyncSender<Vec<UsageRow>>,
    take: Mutex<Receiver<Vec<UsageRow>>>,
}

impl Used {
    pub(super) fn new(workers: usize) -> Self {
        let (give, take) = sync_channel(HANDOVERS_MAX * workers.max(1));
        Self { give, take: Mutex::new(take) }
    }

    /// Everything that was handed over since the last call; the same pair may be there several times.
    pub fn take(&self) -> Vec<UsageRow> {
        let take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        take.try_iter().flatten().collect()
    }
}

/// The counts of one worker. Belongs to its thread.
#[derive(Debug)]
pub(super) struct Tally {
    give: SyncSender<Vec<UsageRow>>,
    /// By consumer: few routes each, so they are looked through.
    rows: RefCell<HashMap<Box<str>, Vec<UsageRow>>>,
    /// How many there are.
    pairs: Cell<usize>,
}

impl Tally {
    pub(super) fn new(used: &Used) -> Self {
        Self { give: used.give.clone(), rows: RefCell::default(), pairs: Cell::new(0) }
    }

    /// Counts one exchange.
    pub(super) fn count(&self, by: UsedBy<'_>, outcome: &Outcome) {
        let mut rows = self.rows.borrow_mut();
        if let Some(row) = rows.get_mut(by.consumer).and_then(|rows| rows.iter_mut().find(|row| is_of(row, by))) {
            return add(row, outcome);
        }
        let full = self.pairs.get() >= PAIRS_MAX;
        let by = if full { UsedBy { consumer: OTHER, route: OTHER, version: "" } } else { by };
        let of_consumer = rows.entry(by.consumer.into()).or_default();
        if !of_consumer.iter().any(|row| is_of(row, by)) {
            self.pairs.set(self.pairs.get() + 1);
            of_consumer.push(UsageRow {
                consumer: by.consumer.to_owned(),
                route: by.route.to_owned(),
                version: by.version.to_owned(),
                ..UsageRow::default()
            });
        }
        if let Some(row) = of_consumer.iter_mut().find(|row| is_of(row, by)) {
            add(row, outcome);
        }
    }

    /// Hands everything over, or keeps it where that is not possible now.
    pub(super) fn flush(&self) {
        let mut rows = self.rows.borrow_mut();
        if rows.is_empty() {
            return;
        }
        let all = rows.drain().flat_map(|(_, rows)| rows).collect();
        self.pairs.set(0);
        if let Err(TrySendError::Full(all) | TrySendError::Disconnected(all)) = self.give.try_send(all) {
            self.pairs.set(all.len());
            for row in all {
                rows.entry(row.consumer.as_str().into()).or_default().push(row);
            }
        }
    }
}

fn is_of(row: &UsageRow, by: UsedBy<'_>) -> bool {
    row.route == by.route && row.version == by.version && row.consumer == by.consumer
}

fn add(row: &mut UsageRow, outcome: &Outcome) {
    row.requests += 1;
    match outcome.status {
        429 => row.refused += 1,
        400..=499 => row.client_errors += 1,
        500.. => row.server_errors += 1,
        _ => {}
    }
    row.bytes_in += outcome.bytes_in;
    row.bytes_out += outcome.bytes_out;
    row.micros += outcome.micros;
}

#[cfg(test)]
mod tests {
    use super::{HANDOVERS_MAX, OTHER, PAIRS_MAX, Tally, Used, UsedBy};
    use crate::observe::Outcome;
    use weirgate_store::wire::UsageRow;

    fn count(tally: &Tally, consumer: &str, route: &str, status: u16) {
        let outcome = Outcome { status, bytes_in: 1, bytes_out: 2, micros: 3 };
        tally.count(UsedBy { consumer, route, version: "" }, &outcome);
    }

    fn requests(rows: &[UsageRow], consumer: &str, route: &str) -> u64 {
        rows.iter().filter(|row| row.consumer == consumer && row.route == route).map(|row| row.requests).sum()
    }

    #[test]
    fn each_pair_is_counted_and_handed_over_once() {
        let used = Used::new(2);
        let (one, other) = (Tally::new(&used), Tally::new(&used));
        for status in [200, 404, 429, 502] {
            count(&one, "ana", "orders", status);
        }
        count(&one, "ana", "stock", 200);
        count(&other, "ana", "orders", 200);
        one.flush();
        other.flush();
        let rows = used.take();
        assert_eq!((requests(&rows, "ana", "orders"), requests(&rows, "ana", "stock")), (5, 1));
        let errors = rows.iter().map(|row| [row.client_errors, row.refused, row.server_errors]);
        assert_eq!(errors.fold([0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]), [1, 1, 1]);
        one.flush();
        assert!(used.take().is_empty(), "nothing twice");
    }

    #[test]
    fn too_many_pairs_share_a_name_and_nothing_is_lost() {
        let used = Used::new(1);
        let tally = Tally::new(&used);
        for n in 0..PAIRS_MAX + 7 {
            count(&tally, &format!("c{n}"), "orders", 200);
        }
        count(&tally, "c1", "orders", 200);
        tally.flush();
        let rows = used.take();
        assert_eq!(rows.len(), PAIRS_MAX + 1);
        assert_eq!((requests(&rows, OTHER, OTHER), requests(&rows, "c1", "orders")), (7, 2));
    }

    #[test]
    fn what_cannot_be_handed_over_waits() {
        let used = Used::new(1);
        let tally = Tally::new(&used);
        for _ in 0..HANDOVERS_MAX + 5 {
            count(&tally, "ana", "orders", 200);
            tally.flush();
        }
        assert_eq!(requests(&used.take(), "ana", "orders"), HANDOVERS_MAX as u64);
        tally.flush();
        assert_eq!(requests(&used.take(), "ana", "orders"), 5);
    }
}
