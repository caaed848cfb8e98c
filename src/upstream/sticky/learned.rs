// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint a cookie came from: one table for all workers, of a fixed size, made of atomics.
//!
//! A key hashes to a set of eight cells. A set has a version that is odd while somebody writes in it, for some tens of
//! nanoseconds: whoever reads looks at it before and after, and takes no lock. What must stay true: what is read from a
//! cell was in it while it was the key's, so no client gets the endpoint of another's session; a full set forgets the
//! session unused longest; and keys are keyed hashes, so a client that chooses its cookies cannot choose whose session
//! is forgotten. The key survives a restart, and so can the table.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Place;

/// Most sessions that one table may hold: 24 bytes each, so 96 MiB.
pub const ENTRIES_MAX: u32 = 4 * 1024 * 1024;

/// Fewest: one set.
pub const ENTRIES_MIN: u32 = 8;

/// What the key of the table is for.
const PURPOSE: &str = "weirgate 2026-11 sticky sessions: learned cookies, version 1";

const WAYS: usize = 8;

/// No key has this tag.
const EMPTY: u64 = 0;

/// Looks at a set before a writer lets others run, and before a reader takes the session for unknown.
const SPINS_MAX: u32 = 64;

/// A cookie as the table knows it: a keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// One session, to be kept over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub tag: u64,
    pub identity: u64,
    /// Seconds since 1970 at which it was last used.
    pub used_s: u32,
}

#[derive(Debug, Default)]
struct Cell {
    tag: AtomicU64,
    identity: AtomicU64,
    /// Seconds of its last use above, place of the endpoint below.
    seen: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    /// Odd while somebody writes.
    version: AtomicU64,
    cells: [Cell; WAYS],
}

/// The table.
pub struct Learned {
    sets: Box<[Set]>,
    key: [u8; 32],
    cookie: Box<[u8]>,
    /// Counts what was learnt, so that a table that did not change is not written again.
    changes: AtomicU64,
}

impl std::fmt::Debug for Learned {
    /// Never prints the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learned").field("entries", &self.entries()).finish_non_exhaustive()
    }
}

impl Learned {
    /// A table of at most so many sessions of this cookie; `secret` is that of the store.
    pub fn new(secret: &[u8; 32], cookie: &[u8], entries: u32) -> Self {
        let sets = entries.clamp(ENTRIES_MIN, ENTRIES_MAX) as usize / WAYS;
        let sets = (0..sets).map(|_| Set::default()).collect();
        let key = blake3::derive_key(PURPOSE, secret);
        Self { sets, key, cookie: cookie.into(), changes: AtomicU64::new(0) }
    }

    /// The number of sessions it has room for.
    pub fn entries(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// Whether it is what a table of this cookie and size would be.
    pub fn is_for(&self, cookie: &[u8], entries: u32) -> bool {
        *self.cookie == *cookie && self.entries() == entries.clamp(ENTRIES_MIN, ENTRIES_MAX) as usize / WAYS * WAYS
    }

    /// How often something was learnt.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// The key of a value of the cookie.
    pub fn key(&self, value: &[u8]) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.cookie).update(b"=").update(value);
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        Key(u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(EMPTY + 1))
    }

    /// The endpoint of a session that was used in the last `idle_s` seconds. It counts as used now.
    pub fn find(&self, key: Key, now_s: u32, idle_s: u32) -> Option<Place> {
        let (cell, identity, seen) = self.set(key).find(key)?;
        if now_s.saturating_sub(used(seen)) > idle_s {
            return None;
        }
        if used(seen) != now_s {
            // A cell that changed meanwhile has another value there and is left alone.
            let now = pack(now_s, hint(seen));
            let _changed = cell.seen.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Relaxed).is_err();
        }
        Some(Place { identity, hint: hint(seen) })
    }

    /// Remembers the endpoint of a session.
    pub fn learn(&self, key: Key, place: Place, now_s: u32) {
        self.set(key).put(key, place, now_s);
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything that was used in the last `idle_s` seconds.
    pub fn export(&self, now_s: u32, idle_s: u32) -> Vec<Entry> {
        let cells = self.sets.iter().flat_map(|set| set.cells.iter().map(move |cell| (set, cell)));
        let entry = |(set, cell): (&Set, &Cell)| {
            let tag = cell.tag.load(Ordering::Acquire);
            let (_, identity, seen) = set.find(Key(tag)).filter(|_| tag != EMPTY)?;
            let used_s = used(seen);
            (now_s.saturating_sub(used_s) <= idle_s).then_some(Entry { tag, identity, used_s })
        };
        cells.filter_map(entry).collect()
    }

    /// Takes in what was exported. If there is not room for all, those used last stay.
    pub fn import(&self, entries: impl IntoIterator<Item = Entry>) {
        for Entry { tag, identity, used_s } in entries {
            let key = Key(tag.max(EMPTY + 1));
            self.set(key).put(key, Place { identity, hint: 0 }, used_s);
        }
    }

    fn set(&self, key: Key) -> &Set {
        let wide = u128::from(key.0) * (self.sets.len() as u128);
        let place = usize::try_from(wide >> 64).unwrap_or_default();
        self.sets.get(place).expect("a fraction of the number of sets is below it")
    }
}

impl Set {
    /// The cell of a key, and what was in it while it was the key's.
    fn find(&self, key: Key) -> Option<(&Cell, u64, u64)> {
        for _ in 0..SPINS_MAX {
            let version = self.version.load(Ordering::Acquire);
            let found = self.cells.iter().find(|cell| cell.tag.load(Ordering::Acquire) == key.0);
            let found =
                found.map(|cell| (cell, cell.identity.load(Ordering::Acquire), cell.seen.load(Ordering::Acquire)));
            if version.is_multiple_of(2) && self.version.load(Ordering::Acquire) == version {
                return found;
            }
            std::hint::spin_loop();
        }
        None
    }

    fn put(&self, key: Key, place: Place, used_s: u32) {
        let version = self.claim();
        self.put_claimed(key, place, used_s);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Into its own cell, else a free one, else the one unused longest, unless that was used later than this one.
    fn put_claimed(&self, key: Key, place: Place, used_s: u32) {
        let own = self.cells.iter().find(|cell| cell.tag.load(Ordering::Relaxed) == key.0);
        let age = |cell: &&Cell| match cell.tag.load(Ordering::Relaxed) {
            EMPTY => 0,
            _ => cell.seen.load(Ordering::Relaxed).max(1),
        };
        let Some(cell) = own.or_else(|| self.cells.iter().min_by_key(age)) else { return };
        if cell.tag.load(Ordering::Relaxed) != EMPTY && used(cell.seen.load(Ordering::Relaxed)) > used_s {
            return;
        }
        cell.tag.store(key.0, Ordering::Release);
        cell.identity.store(place.identity, Ordering::Release);
        cell.seen.store(pack(used_s, place.hint), Ordering::Release);
    }

    /// Makes the version odd; what it was before.
    fn claim(&self) -> u64 {
        let mut spins = 0;
        loop {
            let version = self.version.load(Ordering::Relaxed);
            let odd = version.wrapping_add(1);
            if version.is_multiple_of(2)
                && self.version.compare_exchange_weak(version, odd, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return version;
            }
            spins += 1;
            if spins % SPINS_MAX == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

fn pack(used_s: u32, hint: u32) -> u64 {
    u64::from(used_s) << 32 | u64::from(hint)
}

fn used(seen: u64) -> u32 {
    u32::try_from(seen >> 32).unwrap_or_default()
}

fn hint(seen: u64) -> u32 {
    u32::try_from(seen & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Learned, Place};

    fn table(entries: u32) -> Learned {
        Learned::new(&[7; 32], b"sid", entries)
    }

    fn place(n: u64) -> Place {
        Place { identity: n, hint: 3 }
    }

    #[test]
    fn what_was_learnt_is_found_until_it_is_idle() {
        let table = table(64);
        let key = table.key(b"abc");
        assert_eq!(table.find(key, 1000, 60), None);
        table.learn(key, place(5), 1000);
        assert_eq!(table.find(key, 1060, 60), Some(place(5)), "and counts as used");
        assert_eq!(table.find(key, 1120, 60), Some(place(5)));
        assert_eq!(table.find(key, 1181, 60), None);
        assert_eq!(table.find(key, 900, 60), Some(place(5)), "a clock that was set back forgets nothing");
        table.learn(key, place(6), 1200);
        assert_eq!(table.find(key, 1200, 60), Some(place(6)), "the last one counts");
        assert_eq!(table.find(table.key(b"abd"), 1200, 60), None);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_longest_unused() {
        let table = table(8);
        assert_eq!(table.entries(), 8);
        let key = |n: u32| table.key(&n.to_le_bytes());
        for n in 0..8 {
            table.learn(key(n), place(u64::from(n)), 1000 + n);
        }
        assert!(table.find(key(0), 1010, 60).is_some(), "used again, so not the oldest");
        table.learn(key(8), place(8), 1011);
        let known: Vec<_> = (0..9).filter(|n| table.find(key(*n), 1011, 60).is_some()).collect();
        assert_eq!(known, [0, 2, 3, 4, 5, 6, 7, 8]);
        for n in 0..100_000 {
            table.learn(key(n), place(1), 2000);
        }
        assert_eq!(table.export(2000, 60).len(), 8);
    }

    #[test]
    fn a_table_is_known_again_after_a_restart() {
        let before = table(64);
        for n in 0..32_u64 {
            before.learn(before.key(&n.to_le_bytes()), place(n), 1000 + u32::try_from(n).unwrap());
        }
        let kept = before.export(1050, 40);
        assert_eq!(kept.len(), 22, "those that are idle are not kept");
        let after = table(64);
        after.import(kept);
        let found: Vec<_> = (0..32).filter_map(|n: u64| after.find(after.key(&n.to_le_bytes()), 1050, 40)).collect();
        assert_eq!(found.iter().map(|place| place.identity).collect::<Vec<_>>(), (10..32).collect::<Vec<_>>());
        let other = Learned::new(&[8; 32], b"sid", 64);
        assert_ne!(other.key(b"x"), after.key(b"x"), "another installation has another key");
        assert_ne!(Learned::new(&[7; 32], b"si", 64).key(b"d=x"), after.key(b"=x"));
        assert!(after.is_for(b"sid", 64) && after.is_for(b"sid", 65) && !after.is_for(b"sid", 128));
    }

    /// Four threads learn and four find, in one set: whatever is found belongs to the key it was asked with.
    #[test]
    fn nobody_gets_the_endpoint_of_another_session() {
        let table = table(8);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for seed in 0..4_u64 {
                let (table, is_over) = (&table, &is_over);
                scope.spawn(move || {
                    for n in 0..50_000_u64 {
                        let session = (n * 7 + seed) % 24;
                        table.learn(table.key(&session.to_le_bytes()), place(session), 1000);
                    }
                    is_over.store(true, Ordering::SeqCst);
                });
                scope.spawn(move || {
                    while !is_over.load(Ordering::SeqCst) {
                        for session in 0..24_u64 {
                            let found = table.find(table.key(&session.to_le_bytes()), 1000, 60);
                            assert!(found.is_none_or(|found| found.identity == session), "{session}: {found:?}");
                        }
                    }
                });
            }
        });
    }
}
