// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonces of signatures that were right, for as long as the signatures could be used again.
//!
//! Bounded, and never by forgetting one that still counts: when it is full, whoever comes next is told to come back.
//! Only holders of a key can fill it. Its locks are held for one look into one of many small maps.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

/// Maps, so that workers seldom meet.
const SHARDS: usize = 64;

/// Nonces in one of them.
const PER_SHARD_MAX: usize = 4_096;

/// Nonces that are remembered.
pub const NONCES_MAX: usize = SHARDS * PER_SHARD_MAX;

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    First,
    Again,
    Full,
}

/// Hashes of nonces, and until when each counts.
type Shard = Mutex<HashMap<[u8; 16], i64>>;

/// All of them. Only hashes are kept.
#[derive(Debug)]
pub struct Nonces {
    shards: Box<[Shard]>,
    state: foldhash::quality::RandomState,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), state: Default::default() }
    }
}

impl Nonces {
    /// Uses up a nonce of a key until `until_s`.
    pub fn take(&self, key: &str, nonce: &str, until_s: i64, now_s: i64) -> Use {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes()).update(nonce.as_bytes());
        let mut tag = [0; 16];
        tag.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        let shard = usize::try_from(self.state.hash_one(tag)).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(shard) else { return Use::Full };
        let mut held = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&tag).is_some_and(|until| *until >= now_s) {
            return Use::Again;
        }
        if held.len() >= PER_SHARD_MAX {
            held.retain(|_, until| *until >= now_s);
        }
        if held.len() >= PER_SHARD_MAX {
            return Use::Full;
        }
        held.insert(tag, until_s);
        Use::First
    }
}

#[cfg(test)]
mod tests {
    use super::{NONCES_MAX, Nonces, Use};

    #[test]
    fn a_nonce_counts_once_in_its_time_and_none_is_forgotten_early() {
        let nonces = Nonces::default();
        let take = |key: &str, nonce: &str, now: i64| nonces.take(key, nonce, 100, now);
        assert_eq!((take("k", "n", 0), take("k", "n", 0), take("k", "n", 100)), (Use::First, Use::Again, Use::Again));
        assert_eq!((take("other", "n", 0), take("kn", "", 0)), (Use::First, Use::First));
        assert_eq!(take("k", "n", 101), Use::First, "its signature does not count any more");
        let full = (0..2 * NONCES_MAX).filter(|n| take("k", &n.to_string(), 0) == Use::Full).count();
        assert!(full >= NONCES_MAX / 2, "{full}");
        assert_eq!(take("k", "0", 0), Use::Again, "what is remembered stays");
        assert_eq!(take("k", "new", 101), Use::First, "and goes when its time is over");
    }
}
