// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last failed exchanges with their whole story, so that `why` can still tell it after a restart.
//!
//! Bounded in number and in bytes: the oldest go. What is kept was redacted where it was recorded.

use super::store::{Store, io};
use super::{Batch, Engine, EngineError, StoreError, Tree};
use crate::wire::ExchangeRecord;

/// Failures that are kept.
pub const FAILURES_KEPT_MAX: usize = 1_000;

/// Bytes of all of them.
pub const FAILURES_BYTES_MAX: usize = 4 << 20;

/// Bytes of one; a longer one loses the header fields of its request.
const RECORD_BYTES_MAX: usize = 16 << 10;

impl Store {
    /// Adds failed exchanges, oldest first. Not synced: losing the last moments loses a story and no fact.
    pub async fn append_failures(&self, records: Vec<ExchangeRecord>) -> Result<(), StoreError> {
        let values = records.into_iter().filter_map(bytes_of).collect();
        self.call(move |keeper| {
            let batch = staged(values, &*keeper.engine).map_err(io)?;
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    /// The failed exchange with that request id.
    pub async fn failure(&self, id: &str) -> Result<Option<ExchangeRecord>, StoreError> {
        let id = id.to_owned();
        Ok(self.failures().await?.into_iter().find(|record| record.id == id))
    }

    /// All that are kept, newest first.
    pub async fn failures(&self) -> Result<Vec<ExchangeRecord>, StoreError> {
        self.call(|keeper| {
            let found = keeper.engine.newest(Tree::Failures, FAILURES_KEPT_MAX).map_err(io)?;
            // One that cannot be read is passed over: it is a help, not a truth.
            Ok(found.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect())
        })
        .await
    }
}

fn bytes_of(mut record: ExchangeRecord) -> Option<Vec<u8>> {
    let bytes = serde_json::to_vec(&record).ok()?;
    if bytes.len() <= RECORD_BYTES_MAX {
        return Some(bytes);
    }
    record.request.clear();
    serde_json::to_vec(&record).ok().filter(|bytes| bytes.len() <= RECORD_BYTES_MAX)
}

fn staged(values: Vec<Vec<u8>>, engine: &dyn Engine) -> Result<Batch, EngineError> {
    let kept = engine.newest(Tree::Failures, FAILURES_KEPT_MAX)?;
    let number = |key: &[u8]| key.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let next = kept.first().map_or(1, |(key, _)| number(key).saturating_add(1));
    let (mut count, mut bytes) = (0, 0);
    let mut fits = |length: usize| {
        (count, bytes) = (count + 1, bytes + length);
        count <= FAILURES_KEPT_MAX && bytes <= FAILURES_BYTES_MAX
    };
    let mut batch = Batch::default();
    for (at, value) in (next..).zip(values).collect::<Vec<_>>().into_iter().rev() {
        if fits(value.len()) {
            batch.put(Tree::Failures, at.to_be_bytes(), value);
        }
    }
    for (key, value) in kept {
        if !fits(value.len()) {
            batch.delete(Tree::Failures, key);
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use super::{FAILURES_BYTES_MAX, FAILURES_KEPT_MAX};
    use crate::wire::{ExchangeRecord, FieldLine};

    fn failed(id: usize) -> ExchangeRecord {
        ExchangeRecord { id: format!("{id:04}"), status: 502, verdict: "it broke".to_owned(), ..Default::default() }
    }

    #[test]
    fn the_last_failures_survive_a_restart_and_are_bounded() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Options::default());
        for first in (0..FAILURES_KEPT_MAX + 100).step_by(100) {
            wait(store.append_failures((first..first + 100).map(failed).collect())).expect("they are kept");
        }
        store.close();
        let store = Store::open(dir.path(), Options::default());
        let kept = wait(store.failures()).expect("they are read");
        assert_eq!(kept.len(), FAILURES_KEPT_MAX);
        assert_eq!(kept.first(), Some(&failed(FAILURES_KEPT_MAX + 99)), "newest first");
        assert_eq!(wait(store.failure("0100")).expect("it is read"), Some(failed(100)));
        assert_eq!(wait(store.failure("0099")).expect("it is read"), None, "it made room");
        store.close();
    }

    #[test]
    fn many_bytes_make_room_too_and_a_long_story_loses_its_fields() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Options::default());
        let long = |id: usize, bytes: usize| {
            let request = vec![FieldLine { name: "X-Long".to_owned(), value: "x".repeat(bytes) }];
            ExchangeRecord { request, ..failed(id) }
        };
        wait(store.append_failures((0..500).map(|id| long(id, 15_000)).collect())).expect("they are kept");
        let kept = wait(store.failures()).expect("they are read");
        assert!(kept.len() * 15_000 < FAILURES_BYTES_MAX && kept.len() > 200, "{}", kept.len());
        wait(store.append_failures(vec![long(999, 50_000)])).expect("it is kept");
        assert_eq!(wait(store.failure("0999")).expect("it is read"), Some(failed(999)));
        store.close();
    }
}
