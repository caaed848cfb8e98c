// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single exchanges for those who watch, and the last failures for those who come later.
//!
//! While nobody watches, a finished exchange costs one load here. A watcher has its own filter, queue and rate, all
//! bounded: one that reads slowly or asks for everything loses records, is told how many, and never makes a worker
//! wait. Only exchanges that some filter wants become records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use weirgate_store::model::StatusRange;
use weirgate_store::wire::ExchangeRecord;

/// Most watchers at a time.
pub(super) const WATCHERS_MAX: usize = 32;

/// Records that wait for one watcher.
pub(super) const QUEUE_MAX: usize = 512;

/// Records that one watcher gets in a second.
pub(super) const RECORDS_PER_SECOND: u64 = 2_000;

/// Failures that are kept for those who come later.
pub(super) const FAILURES_MAX: usize = 200;

/// Failures that wait to be written to the store, which takes them once a second.
const UNKEPT_MAX: usize = FAILURES_MAX;

/// Exchanges of any outcome that are remembered, so that `why` can tell of what has just happened.
pub(super) const RECENT_MAX: usize = 1_000;

/// What an exchange is matched by, without making a record of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub status: u16,
    pub route: Option<&'a str>,
    pub upstream: Option<&'a str>,
    pub consumer: Option<&'a str>,
}

/// Which exchanges a watcher wants; an absent condition holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub status: Option<StatusRange>,
    pub route: Option<String>,
    pub upstream: Option<String>,
    pub consumer: Option<String>,
}

impl Filter {
    /// Whether the watcher wants an exchange of that kind.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let named = |want: &Option<String>, got: Option<&str>| want.is_none() || want.as_deref() == got;
        self.status.is_none_or(|range| range.contains(facts.status))
            && named(&self.route, facts.route)
            && named(&self.upstream, facts.upstream)
            && named(&self.consumer, facts.consumer)
    }
}

/// The side of a watch that workers see.
#[derive(Debug)]
struct Watcher {
    filter: Filter,
    queue: mpsc::Sender<Arc<ExchangeRecord>>,
    dropped: AtomicU64,
    /// The second that is being counted, and the records of it. Two workers may both miss a step: it is a brake.
    second: AtomicU64,
    sent: AtomicU64,
}

impl Watcher {
    /// Whether a record would be taken now; counts it as dropped if not.
    fn has_room(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.sent.store(0, Ordering::Relaxed);
        }
        let room = self.queue.capacity() > 0 && self.sent.fetch_add(1, Ordering::Relaxed) < RECORDS_PER_SECOND;
        if !room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    fn send(&self, record: &Arc<ExchangeRecord>) {
        if self.queue.try_send(Arc::clone(record)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where finished exchanges can be watched.
#[derive(Debug, Default)]
pub struct Tap {
    watching: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
    dropped: AtomicU64,
    failures: Mutex<VecDeque<Arc<ExchangeRecord>>>,
    unkept: Mutex<VecDeque<Arc<ExchangeRecord>>>,
    recent: Mutex<VecDeque<Arc<ExchangeRecord>>>,
}

fn push(list: &Mutex<VecDeque<Arc<ExchangeRecord>>>, record: Arc<ExchangeRecord>, most: usize) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(record);
}

impl Tap {
    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Begins to watch; `None` when too many already do. The watch ends when it is dropped.
    pub fn watch(self: &Arc<Self>, filter: Filter) -> Option<Watch> {
        if self.watching.fetch_add(1, Ordering::Relaxed) >= WATCHERS_MAX {
            self.watching.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (queue, records) = mpsc::channel(QUEUE_MAX);
        let watcher = Arc::new(Watcher {
            filter,
            queue,
            dropped: AtomicU64::new(0),
            second: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        self.watchers.rcu(|list| {
            let mut list = Vec::clone(list);
            list.push(Arc::clone(&watcher));
            list
        });
        Some(Watch { tap: Arc::clone(self), watcher, records })
    }

    /// Offers one exchange; `make` runs at most once, and only if somebody wants it and has room.
    pub fn offer(&self, facts: &Facts<'_>, second: u64, make: impl FnOnce() -> Arc<ExchangeRecord>) {
        if !self.is_watched() {
            return;
        }
        let watchers = self.watchers.load();
        let mut wanted = watchers.iter().filter(|w| w.filter.matches(facts) && w.has_room(second));
        let Some(first) = wanted.next() else { return };
        let record = make();
        first.send(&record);
        wanted.for_each(|watcher| watcher.send(&record));
    }

    /// Keeps a failure; the oldest makes room.
    pub fn keep_failure(&self, record: Arc<ExchangeRecord>) {
        push(&self.unkept, Arc::clone(&record), UNKEPT_MAX);
        push(&self.failures, record, FAILURES_MAX);
    }

    /// Failures that the store does not have yet, oldest first.
    pub fn take_unkept(&self) -> Vec<Arc<ExchangeRecord>> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Remembers an exchange for a while; the oldest makes room.
    pub fn remember(&self, record: Arc<ExchangeRecord>) {
        push(&self.recent, record, RECENT_MAX);
    }

    /// The exchange with that request id, if it is still remembered.
    pub fn find(&self, id: &str) -> Option<Arc<ExchangeRecord>> {
        [&self.failures, &self.recent].into_iter().find_map(|list| {
            let list = list.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().rev().find(|record| record.id == id).cloned()
        })
    }

    /// The last failures, newest first.
    pub fn failures(&self) -> Vec<Arc<ExchangeRecord>> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().rev().cloned().collect()
    }

    /// Records that watchers of all time could not take.
    pub fn dropped(&self) -> u64 {
        let open: u64 = self.watchers.load().iter().map(|watcher| watcher.dropped.load(Ordering::Relaxed)).sum();
        self.dropped.load(Ordering::Relaxed) + open
    }
}

/// One watch: the records that its filter wants.
#[derive(Debug)]
pub struct Watch {
    tap: Arc<Tap>,
    watcher: Arc<Watcher>,
    records: mpsc::Receiver<Arc<ExchangeRecord>>,
}

impl Watch {
    /// The next record. Never ends while the watch lives.
    pub async fn next(&mut self) -> Option<Arc<ExchangeRecord>> {
        self.records.recv().await
    }

    /// Records this watch has lost since the last call.
    pub fn take_dropped(&self) -> u64 {
        let dropped = self.watcher.dropped.swap(0, Ordering::Relaxed);
        self.tap.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.take_dropped();
        let gone = &self.watcher;
        self.tap.watchers.rcu(|list| {
            let rest: Vec<_> = list.iter().filter(|watcher| !Arc::ptr_eq(watcher, gone)).cloned().collect();
            rest
        });
        self.tap.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{FAILURES_MAX, Facts, Filter, QUEUE_MAX, Tap, WATCHERS_MAX};
    use std::cell::Cell;
    use std::sync::Arc;
    use weirgate_store::wire::ExchangeRecord;

    fn facts(status: u16) -> Facts<'static> {
        Facts { status, route: Some("orders"), upstream: Some("shop"), consumer: None }
    }

    fn record(status: u16) -> Arc<ExchangeRecord> {
        Arc::new(ExchangeRecord { status, ..ExchangeRecord::default() })
    }

    #[test]
    fn nothing_is_made_while_nobody_wants_it() {
        let tap = Arc::new(Tap::default());
        let made = Cell::new(0);
        let offer = |status| {
            tap.offer(&facts(status), 1, || {
                made.set(made.get() + 1);
                record(status)
            });
        };
        offer(500);
        assert_eq!(made.get(), 0, "nobody watches");
        let range = "5xx".parse().expect("a range");
        let watch = tap.watch(Filter { status: Some(range), ..Filter::default() }).expect("room");
        let all = tap.watch(Filter { route: Some("orders".into()), ..Filter::default() }).expect("room");
        offer(200);
        offer(500);
        assert_eq!(made.get(), 2, "one record for both watchers");
        assert_eq!((watch.records.len(), all.records.len()), (1, 2));
        drop((watch, all));
        offer(500);
        assert_eq!(made.get(), 2, "nobody watches any more");
    }

    #[test]
    fn a_slow_watcher_loses_records_and_learns_how_many() {
        let tap = Arc::new(Tap::default());
        let watch = tap.watch(Filter::default()).expect("room");
        for _ in 0..QUEUE_MAX + 30 {
            tap.offer(&facts(200), 1, || record(200));
        }
        assert_eq!(watch.take_dropped(), 30);
        assert_eq!(watch.take_dropped(), 0);
        assert_eq!(tap.dropped(), 30);
    }

    #[test]
    fn watchers_are_bounded() {
        let tap = Arc::new(Tap::default());
        let watches: Vec<_> = (0..WATCHERS_MAX).map_while(|_| tap.watch(Filter::default())).collect();
        assert_eq!(watches.len(), WATCHERS_MAX);
        assert!(tap.watch(Filter::default()).is_none());
        drop(watches);
        assert!(tap.watch(Filter::default()).is_some());
    }

    #[test]
    fn the_last_failures_are_kept() {
        let tap = Tap::default();
        for status in 0..FAILURES_MAX + 3 {
            tap.keep_failure(record(u16::try_from(status).expect("small")));
        }
        let kept = tap.failures();
        assert_eq!(kept.len(), FAILURES_MAX);
        assert_eq!(kept.first().map(|r| r.status), Some(202), "newest first");
    }
}
