// SPDX-License-Identifier: MIT OR Apache-2.0
//! What consumers used, from the counts of workers to the buckets of the store: seconds, tens of seconds, minutes.
//!
//! Buckets that are still filling are here; those that are full wait at most [`KEEP_EVERY`] for the store. A crash loses
//! what waited, a stop nothing. What has already been kept of a bucket that a restart cut in two is read back first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use weirgate_store::engine::{Store, StoreError, UsageBucket, UsageStep};
use weirgate_store::wire::{UsagePoint, UsageRow};

use crate::clock;
use crate::observe::Observer;

/// How often workers' counts are taken.
const TAKE_EVERY: Duration = Duration::from_secs(1);

/// Seconds between two writes to the store.
const KEEP_EVERY: u64 = 10;

/// The name of all that a bucket has no room for.
const OTHER: &str = "other";

/// Rows of one bucket: consumer, route and version.
type Rows = BTreeMap<(String, String, String), UsageRow>;

/// Buckets that the store does not have, or has in part.
#[derive(Debug, Default)]
pub struct Roller {
    open: Mutex<BTreeMap<(UsageStep, u64), Rows>>,
}

impl Roller {
    /// Adds what was used in the second `now_s`.
    pub fn add(&self, rows: Vec<UsageRow>, now_s: u64) {
        let mut open = self.open();
        for row in rows {
            for step in UsageStep::ALL {
                add(open.entry((step, start_of(step, now_s))).or_default(), &row, step.rows_max());
            }
        }
    }

    /// The buckets that are full at `now_s`, or all there are, for the store.
    fn take(&self, now_s: Option<u64>) -> Vec<UsageBucket> {
        let mut open = self.open();
        let is_full = |step: UsageStep, start_s: u64| now_s.is_none_or(|now_s| start_s + step.seconds() <= now_s);
        let full: Vec<_> = open.keys().copied().filter(|(step, start_s)| is_full(*step, *start_s)).collect();
        let take = |(step, start_s)| {
            let rows = open.remove(&(step, start_s))?.into_values().collect();
            Some(UsageBucket { step, start_s, rows })
        };
        full.into_iter().filter_map(take).collect()
    }

    fn put_back(&self, buckets: Vec<UsageBucket>) {
        let mut open = self.open();
        for bucket in buckets {
            let rows = open.entry((bucket.step, bucket.start_s)).or_default();
            bucket.rows.iter().for_each(|row| add(rows, row, bucket.step.rows_max()));
        }
    }

    /// What is not in the store, from `from_s` on and before `to_s`.
    fn pending(&self, step: UsageStep, from_s: u64, to_s: u64, consumer: Option<&str>) -> Vec<UsageBucket> {
        let open = self.open();
        let wanted = |row: &&UsageRow| consumer.is_none_or(|consumer| row.consumer == consumer);
        let bucket = |((step, start_s), rows): (&(UsageStep, u64), &Rows)| UsageBucket {
            step: *step,
            start_s: *start_s,
            rows: rows.values().filter(wanted).cloned().collect(),
        };
        open.range((step, from_s)..(step, to_s)).map(bucket).collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<(UsageStep, u64), Rows>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_of(step: UsageStep, now_s: u64) -> u64 {
    now_s - now_s % step.seconds()
}

fn add(rows: &mut Rows, row: &UsageRow, most: usize) {
    let mut key = (row.consumer.clone(), row.route.clone(), row.version.clone());
    if rows.len() >= most && !rows.contains_key(&key) {
        key = (OTHER.to_owned(), OTHER.to_owned(), String::new());
    }
    let (consumer, route, version) = key.clone();
    let into = rows.entry(key).or_insert_with(|| UsageRow { consumer, route, version, ..UsageRow::default() });
    into.add(row);
}

fn now_s() -> u64 {
    u64::try_from(clock::wall_ms() / 1_000).unwrap_or(0)
}

/// Takes the counts of workers every second and gives full buckets to the store, for ever.
pub(super) async fn run(roller: Arc<Roller>, observer: Arc<Observer>, store: Store) {
    let mut ticks = interval(TAKE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    restore(&roller, &store).await;
    let mut kept_s = now_s();
    loop {
        ticks.tick().await;
        let now_s = now_s();
        roller.add(observer.used.take(), now_s);
        if now_s >= kept_s + KEEP_EVERY {
            kept_s = now_s;
            keep(&roller, &store, Some(now_s)).await;
        }
    }
}

/// What was kept of buckets that are not full yet goes on from there.
async fn restore(roller: &Roller, store: &Store) {
    let now_s = now_s();
    for step in UsageStep::ALL {
        let start_s = start_of(step, now_s);
        match store.usage(step, start_s, start_s + 1, None).await {
            Ok(buckets) => roller.put_back(buckets),
            Err(error) => tracing::error!("what consumers used cannot be read: {error}"),
        }
    }
}

/// Writes everything there is, at the end.
pub(super) async fn keep_now(roller: &Roller, observer: &Observer, store: &Store) {
    roller.add(observer.used.take(), now_s());
    keep(roller, store, None).await;
}

async fn keep(roller: &Roller, store: &Store, until_s: Option<u64>) {
    let buckets = roller.take(until_s);
    if buckets.is_empty() {
        return;
    }
    if let Err(error) = store.put_usage(buckets.clone(), now_s()).await {
        tracing::error!("what consumers used cannot be kept: {error}");
        roller.put_back(buckets);
    }
}

/// What was used from `from_s` on and before `to_s`, oldest first.
///
/// # Errors
/// What the store says.
pub(super) async fn points(
    roller: &Roller,
    store: &Store,
    step: UsageStep,
    (from_s, to_s): (u64, u64),
    consumer: Option<&str>,
) -> Result<Vec<UsagePoint>, StoreError> {
    // First what waits: what the store takes meanwhile is then told by the store, and only once.
    let pending = roller.pending(step, from_s, to_s, consumer);
    let mut all: BTreeMap<u64, Vec<UsageRow>> = BTreeMap::new();
    for bucket in store.usage(step, from_s, to_s, consumer.map(str::to_owned)).await?.into_iter().chain(pending) {
        all.insert(bucket.start_s, bucket.rows);
    }
    let point = |(start_s, rows): (u64, Vec<UsageRow>)| UsagePoint {
        start_ms: i64::try_from(start_s.saturating_mul(1_000)).unwrap_or(i64::MAX),
        rows,
    };
    Ok(all.into_iter().filter(|(_, rows)| !rows.is_empty()).map(point).collect())
}

#[cfg(test)]
mod tests {
    use super::{OTHER, Roller};
    use weirgate_store::engine::UsageStep;
    use weirgate_store::wire::UsageRow;

    fn row(consumer: &str, requests: u64) -> UsageRow {
        UsageRow { consumer: consumer.to_owned(), route: "orders".to_owned(), requests, ..UsageRow::default() }
    }

    #[test]
    fn what_is_added_is_in_every_step_and_leaves_when_its_time_is_over() {
        let roller = Roller::default();
        for at in [60, 61, 61, 75] {
            roller.add(vec![row("ana", 2)], at);
        }
        let full = roller.take(Some(75));
        let got: Vec<_> = full.iter().map(|b| (b.step, b.start_s, b.rows.iter().map(|r| r.requests).sum())).collect();
        let want = [(UsageStep::Second, 60, 2_u64), (UsageStep::Second, 61, 4), (UsageStep::TenSeconds, 60, 6)];
        assert_eq!(got, want);
        let minutes: Vec<u64> = roller.take(None).iter().map(|b| b.rows.iter().map(|r| r.requests).sum()).collect();
        assert_eq!(minutes, [2, 2, 8], "the rest: a second, ten seconds and the minute");
    }

    #[test]
    fn a_bucket_is_bounded_and_loses_nothing() {
        let roller = Roller::default();
        let most = UsageStep::Second.rows_max();
        roller.add((0..most + 5).map(|n| row(&format!("c{n}"), 1)).collect(), 7);
        let seconds = roller.take(None).into_iter().find(|bucket| bucket.step == UsageStep::Second).expect("one");
        assert_eq!(seconds.rows.len(), most + 1);
        assert_eq!(seconds.rows.iter().find(|row| row.consumer == OTHER).map(|row| row.requests), Some(5));
    }

    #[test]
    fn what_the_store_refused_is_added_to_again() {
        let roller = Roller::default();
        roller.add(vec![row("ana", 1)], 60);
        let taken = roller.take(None);
        roller.add(vec![row("ana", 1)], 60);
        roller.put_back(taken);
        let pending = roller.pending(UsageStep::Second, 0, 100, Some("ana"));
        assert_eq!(pending.first().and_then(|bucket| bucket.rows.first()).map(|row| row.requests), Some(2));
        assert!(roller.pending(UsageStep::Second, 0, 100, Some("ben")).iter().all(|bucket| bucket.rows.is_empty()));
    }
}
