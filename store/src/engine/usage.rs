// SPDX-License-Identifier: MIT OR Apache-2.0
//! What consumers used, rolled up in three steps: seconds for minutes, ten seconds for hours, minutes for days.
//!
//! A bucket is one value under its step and start, so that writing costs a few values in ten seconds however many
//! consumers there are, and forgetting is deleting the first keys of a step.

use serde::{Deserialize, Serialize};

use super::store::{Store, io};
use super::{Batch, Engine, EngineError, StoreError, Tree};
use crate::wire::UsageRow;

/// Buckets that are read or forgotten at once.
const PAGE: usize = 512;

/// How long a bucket is, and how long it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageStep {
    Second,
    TenSeconds,
    Minute,
}

impl UsageStep {
    /// All steps, the finest first.
    pub const ALL: [Self; 3] = [Self::Second, Self::TenSeconds, Self::Minute];

    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }

    /// Seconds after which a bucket is forgotten: ten minutes, six hours, seven days.
    pub const fn kept_s(self) -> u64 {
        match self {
            Self::Second => 600,
            Self::TenSeconds => 6 * 3_600,
            Self::Minute => 7 * 86_400,
        }
    }

    /// Rows of one bucket: the busiest pairs of consumer and route; the others are one row.
    pub const fn rows_max(self) -> usize {
        match self {
            Self::Second => 200,
            Self::TenSeconds => 500,
            Self::Minute => 1_000,
        }
    }
}

/// What was used from `start_s` on for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBucket {
    pub step: UsageStep,
    /// Seconds since 1970 UTC.
    pub start_s: u64,
    pub rows: Vec<UsageRow>,
}

/// A row on disk: names, then numbers, in the order of [`UsageRow`].
#[derive(Serialize, Deserialize)]
struct Stored(String, String, String, [u64; 7]);

impl Store {
    /// Keeps buckets in place of those of the same start, and forgets what is too old at `now_s`. Not synced: a crash
    /// loses what the disk had not taken yet.
    pub async fn put_usage(&self, buckets: Vec<UsageBucket>, now_s: u64) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let mut batch = Batch::default();
            for bucket in buckets {
                let rows: Vec<Stored> = bucket.rows.into_iter().map(stored).collect();
                let value = serde_json::to_vec(&rows).unwrap_or_default();
                batch.put(Tree::Usage, key(bucket.step, bucket.start_s), value);
            }
            for step in UsageStep::ALL {
                forget(&mut batch, step, now_s, &*keeper.engine).map_err(io)?;
            }
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    /// The buckets of a step that begin in `from_s..to_s`, oldest first, with the rows of one consumer or of all.
    pub async fn usage(
        &self,
        step: UsageStep,
        from_s: u64,
        to_s: u64,
        consumer: Option<String>,
    ) -> Result<Vec<UsageBucket>, StoreError> {
        self.call(move |keeper| {
            let mut found = Vec::new();
            let mut after = from_s.checked_sub(1).map(|before| key(step, before));
            loop {
                let page = keeper.engine.scan(Tree::Usage, &[step as u8], after.as_deref(), PAGE).map_err(io)?;
                let last = page.last().map(|(key, _)| key.clone());
                let buckets = page.into_iter().filter_map(|(key, value)| bucket(step, &key, &value));
                found.extend(buckets.filter(|bucket| bucket.start_s < to_s));
                match last {
                    Some(last) if start_of(&last) < to_s => after = Some(last),
                    _ => break,
                }
            }
            if let Some(consumer) = consumer {
                found.iter_mut().for_each(|bucket| bucket.rows.retain(|row| row.consumer == consumer));
            }
            Ok(found)
        })
        .await
    }
}

fn key(step: UsageStep, start_s: u64) -> Vec<u8> {
    [&[step as u8][..], &start_s.to_be_bytes()].concat()
}

fn start_of(key: &[u8]) -> u64 {
    key.get(1..).and_then(|rest| rest.first_chunk::<8>()).map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes))
}

fn bucket(step: UsageStep, key: &[u8], value: &[u8]) -> Option<UsageBucket> {
    let rows: Vec<Stored> = serde_json::from_slice(value).ok()?;
    Some(UsageBucket { step, start_s: start_of(key), rows: rows.into_iter().map(row).collect() })
}

fn forget(batch: &mut Batch, step: UsageStep, now_s: u64, engine: &dyn Engine) -> Result<(), EngineError> {
    let oldest = now_s.saturating_sub(step.kept_s());
    let first = engine.scan(Tree::Usage, &[step as u8], None, PAGE)?;
    let old = first.into_iter().map(|(key, _)| key).filter(|key| start_of(key) < oldest);
    old.for_each(|key| batch.delete(Tree::Usage, key));
    Ok(())
}

fn stored(row: UsageRow) -> Stored {
    let UsageRow { consumer, route, version, requests, client_errors, server_errors, refused, .. } = row;
    let numbers = [requests, client_errors, server_errors, refused, row.bytes_in, row.bytes_out, row.micros];
    Stored(consumer, route, version, numbers)
}

fn row(Stored(consumer, route, version, numbers): Stored) -> UsageRow {
    let [requests, client_errors, server_errors, refused, bytes_in, bytes_out, micros] = numbers;
    UsageRow { consumer, route, version, requests, client_errors, server_errors, refused, bytes_in, bytes_out, micros }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use super::{UsageBucket, UsageStep};
    use crate::wire::UsageRow;

    fn bucket(step: UsageStep, start_s: u64, names: &[&str]) -> UsageBucket {
        let row = |name: &&str| UsageRow {
            consumer: (*name).to_owned(),
            route: "orders".to_owned(),
            requests: start_s,
            bytes_out: 7,
            ..UsageRow::default()
        };
        UsageBucket { step, start_s, rows: names.iter().map(row).collect() }
    }

    #[test]
    fn usage_survives_a_restart_and_old_buckets_are_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Options::default());
        let seconds: Vec<_> = (1_000..1_100).map(|at| bucket(UsageStep::Second, at, &["ana", "ben"])).collect();
        wait(store.put_usage(seconds, 1_100)).expect("they are kept");
        wait(store.put_usage(vec![bucket(UsageStep::Minute, 960, &["ana"])], 1_100)).expect("it is kept");
        store.close();
        let store = Store::open(dir.path(), Options::default());
        let ben = Some("ben".to_owned());
        let found = wait(store.usage(UsageStep::Second, 1_010, 1_012, ben)).expect("they are read");
        assert_eq!(found, [1_010, 1_011].map(|at| bucket(UsageStep::Second, at, &["ben"])));
        // Ten minutes after the fiftieth second only the last fifty are left.
        wait(store.put_usage(Vec::new(), 1_050 + UsageStep::Second.kept_s())).expect("they are forgotten");
        let left = wait(store.usage(UsageStep::Second, 0, u64::MAX, None)).expect("they are read");
        assert_eq!(left.first().map(|bucket| (bucket.start_s, left.len())), Some((1_050, 50)));
        let minutes = wait(store.usage(UsageStep::Minute, 0, 2_000, None)).expect("they are read");
        assert_eq!(minutes, [bucket(UsageStep::Minute, 960, &["ana"])]);
        store.close();
    }

    #[test]
    fn a_bucket_of_many_rows_is_kept_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Options::default());
        let names: Vec<String> =
            (0..UsageStep::Minute.rows_max()).map(|n| format!("consumer-{n}-{}", "x".repeat(80))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let whole = bucket(UsageStep::Minute, 60, &names);
        wait(store.put_usage(vec![whole.clone()], 120)).expect("it is kept");
        assert_eq!(wait(store.usage(UsageStep::Minute, 0, 120, None)).expect("it is read"), [whole]);
        store.close();
    }
}
