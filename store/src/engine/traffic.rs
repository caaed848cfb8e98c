// SPDX-License-Identifier: MIT OR Apache-2.0
//! What traffic leaves behind that a restart must not forget: how far canaries got, and which endpoint a cookie came
//! from. Neither is configuration, so neither is in a revision.

use serde::{Deserialize, Serialize};

use super::store::io;
use super::{Batch, Store, StoreError, Tree, audit};

/// Most sessions of one upstream that are kept; of more, those used last.
pub const LEARNED_KEPT_MAX: usize = 262_144;

/// Sessions in one value, which must stay below what one value may hold.
const LEARNED_PER_VALUE: usize = 3_000;

/// Bytes of one session.
const LEARNED_BYTES: usize = 8 + 8 + 4;

/// Most canaries that are kept, and most values of sessions that are read.
const RECORDS_MAX: usize = 100_000;

/// How far the canary of a route got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRecord {
    pub route: String,
    /// What makes it another canary when it changes.
    pub key: String,
    /// `moving`, `done`, `stopped` or `back`.
    pub state: String,
    pub step: Option<u32>,
    pub since_ms: i64,
    pub reason: String,
    /// Who moved it last.
    pub author: String,
}

/// A session that was learnt: hashes only, neither a cookie nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedRecord {
    pub tag: u64,
    pub identity: u64,
    /// Seconds since 1970.
    pub used_s: u32,
}

impl Store {
    /// Remembers how far a canary got. Acknowledged when it is on the disk.
    pub async fn put_canary(&self, record: &CanaryRecord) -> Result<(), StoreError> {
        let mut record = record.clone();
        audit::shorten(&mut record.reason);
        audit::shorten(&mut record.author);
        let mut batch = Batch::default();
        batch.put(Tree::Canaries, record.route.as_bytes(), serde_json::to_vec(&record).unwrap_or_default());
        self.write(batch).await
    }

    /// Forgets the canary of a route that has none any more.
    pub async fn delete_canary(&self, route: &str) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.delete(Tree::Canaries, route.as_bytes());
        self.write(batch).await
    }

    pub async fn canaries(&self) -> Result<Vec<CanaryRecord>, StoreError> {
        let found = self.all(Tree::Canaries).await?;
        Ok(found.into_iter().filter_map(|(_, value)| serde_json::from_slice(&value).ok()).collect())
    }

    /// Remembers the sessions of an upstream in place of those it had. Not synced: losing the last moments costs their
    /// clients a session, not more.
    pub async fn put_learned(&self, upstream: &str, mut records: Vec<LearnedRecord>) -> Result<(), StoreError> {
        if records.len() > LEARNED_KEPT_MAX {
            records.sort_unstable_by_key(|record| std::cmp::Reverse(record.used_s));
            records.truncate(LEARNED_KEPT_MAX);
        }
        let prefix = format!("{upstream}\0").into_bytes();
        self.call(move |keeper| {
            let mut batch = Batch::default();
            for (key, _) in keeper.engine.scan(Tree::Learned, &prefix, None, RECORDS_MAX).map_err(io)? {
                batch.delete(Tree::Learned, key);
            }
            for (at, piece) in (0_u32..).zip(records.chunks(LEARNED_PER_VALUE)) {
                let value = piece.iter().flat_map(bytes_of).collect();
                batch.put(Tree::Learned, [prefix.as_slice(), &at.to_be_bytes()].concat(), value);
            }
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    /// The sessions of every upstream that has some.
    pub async fn learned(&self) -> Result<Vec<(String, Vec<LearnedRecord>)>, StoreError> {
        let mut all: Vec<(String, Vec<LearnedRecord>)> = Vec::new();
        for (key, value) in self.all(Tree::Learned).await? {
            let Some(upstream) = key.split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok())
            else {
                continue;
            };
            if all.last().is_none_or(|(last, _)| last != upstream) {
                all.push((upstream.to_owned(), Vec::new()));
            }
            if let Some((_, records)) = all.last_mut() {
                records.extend(value.chunks_exact(LEARNED_BYTES).filter_map(record_of));
            }
        }
        Ok(all)
    }
}

fn bytes_of(record: &LearnedRecord) -> [u8; LEARNED_BYTES] {
    let mut bytes = [0; LEARNED_BYTES];
    let fields = record.tag.to_le_bytes().into_iter().chain(record.identity.to_le_bytes());
    bytes.iter_mut().zip(fields.chain(record.used_s.to_le_bytes())).for_each(|(to, from)| *to = from);
    bytes
}

fn record_of(bytes: &[u8]) -> Option<LearnedRecord> {
    let (tag, rest) = bytes.split_first_chunk::<8>()?;
    let (identity, rest) = rest.split_first_chunk::<8>()?;
    let used_s = rest.first_chunk::<4>()?;
    let (tag, identity) = (u64::from_le_bytes(*tag), u64::from_le_bytes(*identity));
    Some(LearnedRecord { tag, identity, used_s: u32::from_le_bytes(*used_s) })
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use super::{CanaryRecord, LearnedRecord};

    #[test]
    fn canaries_and_sessions_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let canary = |route: &str, state: &str| CanaryRecord {
            route: route.to_owned(),
            key: "next,5,25".to_owned(),
            state: state.to_owned(),
            step: Some(1),
            since_ms: 7,
            ..CanaryRecord::default()
        };
        let sessions = |from: u64, count: u64| -> Vec<_> {
            (from..from + count).map(|n| LearnedRecord { tag: n + 1, identity: !n, used_s: 9 }).collect()
        };
        let store = Store::open(dir.path(), Options::default());
        for (route, state) in [("a", "moving"), ("b", "moving"), ("a", "back")] {
            wait(store.put_canary(&canary(route, state))).expect("it is kept");
        }
        wait(store.delete_canary("b")).expect("it is forgotten");
        // More than one value holds, then fewer: nothing of before may be left.
        wait(store.put_learned("shop", sessions(0, 10_000))).expect("they are kept");
        wait(store.put_learned("shop-two", sessions(0, 3))).expect("they are kept");
        wait(store.put_learned("gone", sessions(0, 3))).expect("they are kept");
        wait(store.put_learned("gone", Vec::new())).expect("they are forgotten");
        wait(store.put_learned("shop", sessions(50, 7_000))).expect("they are kept");
        store.close();
        let store = Store::open(dir.path(), Options::default());
        assert_eq!(wait(store.canaries()).expect("they are read"), [canary("a", "back")]);
        let learned = wait(store.learned()).expect("they are read");
        let want = [("shop".to_owned(), sessions(50, 7_000)), ("shop-two".to_owned(), sessions(0, 3))];
        assert_eq!(learned, want);
        store.close();
    }
}
