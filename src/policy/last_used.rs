// SPDX-License-Identifier: MIT OR Apache-2.0
//! When keys were used last, for an operator who wonders which of them nobody needs any more.
//!
//! One table of fixed size, read on each request and written once a minute for a key: two loads where nothing changed.
//! Whoever keeps it takes what was used since the last time. Two keys that fall on one place in the same minute are one
//! too many, and the earlier is not noted until its next use; so this says "at least then", and never that a key was
//! used that was not.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Hash;

/// Keys that can be noted between two times that somebody takes them.
pub const PLACES: usize = 1 << 16;

/// Seconds in which a second use of a key is not noted.
const GRAIN_S: u32 = 60;

/// The table. Empty, it notes nothing.
#[derive(Debug, Default)]
pub struct LastUsed(Box<[Place]>);

#[derive(Debug, Default)]
struct Place {
    /// How the hash of a key begins, which is its id.
    id: AtomicU64,
    at_s: AtomicU32,
}

impl LastUsed {
    pub fn new() -> Self {
        Self((0..PLACES).map(|_| Place::default()).collect())
    }

    /// Notes that the key with this hash was used.
    pub fn note(&self, hash: &Hash, now_s: i64) {
        let (id, now_s) = (id_of(hash), u32::try_from(now_s).unwrap_or(u32::MAX));
        let Some(place) = self.0.get(id as usize % PLACES) else { return };
        let same = place.id.load(Ordering::Relaxed) == id;
        if same && now_s.saturating_sub(place.at_s.load(Ordering::Relaxed)) < GRAIN_S {
            return;
        }
        // Between the stores the place names no key, so that nobody reads the time of one with the id of another.
        place.id.store(0, Ordering::Relaxed);
        place.at_s.store(now_s, Ordering::Relaxed);
        place.id.store(id, Ordering::Release);
    }

    /// The ids of keys that were used since `since_s`, and when.
    pub fn since(&self, since_s: u32) -> Vec<(u64, u32)> {
        let used = self.0.iter().filter_map(|place| {
            let id = place.id.load(Ordering::Acquire);
            let at_s = place.at_s.load(Ordering::Relaxed);
            (id != 0 && at_s >= since_s).then_some((id, at_s))
        });
        used.collect()
    }
}

fn id_of(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::{LastUsed, PLACES};

    fn hash(id: u64) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.iter_mut().zip(id.to_be_bytes()).for_each(|(to, from)| *to = from);
        hash
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let used = LastUsed::new();
        for (id, now, want) in [
            (7, 1_000, vec![(7, 1_000)]),
            (7, 1_059, vec![(7, 1_000)]),
            (7, 1_060, vec![(7, 1_060)]),
            (8, 1_061, vec![(7, 1_060), (8, 1_061)]),
            // The same place as 7.
            (7 + PLACES as u64, 1_062, vec![(7 + PLACES as u64, 1_062), (8, 1_061)]),
        ] {
            used.note(&hash(id), now);
            assert_eq!(used.since(0), want, "row {id} {now}");
        }
        assert_eq!(used.since(1_062).len(), 1, "only what is new");
        let nothing = LastUsed::default();
        nothing.note(&hash(7), 1_000);
        assert_eq!(nothing.since(0), []);
    }
}
