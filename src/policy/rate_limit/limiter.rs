// SPDX-License-Identifier: MIT OR Apache-2.0
//! One table of counters for all workers: fixed size, atomics, no allocation after it is made.
//!
//! A key has one cell: its tag and its TAT (see `gcra`). Keys hash to a set of eight cells. A key that has a cell is
//! charged by one compare-and-swap of the TAT, without any lock; a key that has none takes a cell under the claim
//! flag of its set, so that two workers never give the same key two cells, which would double its limit. What must
//! stay true:
//! - The TAT that a charge was computed from was read between two equal readings of the tag, and a cell never
//!   changes hands without its TAT changing: so a charge does not land on another key.
//! - A cell is taken over only if its TAT is in the past, when forgetting it changes nothing. If all eight keys of a
//!   set are still recovering, the one that recovers soonest loses its count and starts with a full burst. Only more
//!   active keys than the table has cells make that likely, and tags are keyed, so nobody can aim for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gcra::{Left, Rate};

/// Cells of a limiter unless the configuration says otherwise: 16 bytes each, so 1 MiB.
pub const CELLS_DEFAULT: usize = 65_536;

/// The most cells a limiter may have: 64 MiB.
pub const CELLS_MAX: usize = 4 * 1024 * 1024;

const WAYS: usize = 8;

/// No key has this tag.
const EMPTY: u64 = 0;

/// The cell is changing hands.
const MOVING: u64 = 1;

/// Readings of a set before a thread lets others run; a set is claimed for some tens of nanoseconds.
const SPINS_MAX: u32 = 64;

#[derive(Debug, Default)]
struct Cell {
    tag: AtomicU64,
    tat_ns: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    claimed: AtomicBool,
    cells: [Cell; WAYS],
}

/// The counters of one limit, shared by all workers and carried over when the configuration changes.
#[derive(Debug)]
pub struct Limiter {
    sets: Box<[Set]>,
    /// SipHash under a random key of this table: clients choose header values, and none may choose its neighbours.
    /// It takes a tenth of the time of a cryptographic hash.
    tags: RandomState,
}

/// A key of a limiter: a keyed hash of what is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Limiter {
    /// At least `cells` cells, rounded up to a power of two.
    pub fn new(cells: usize) -> Self {
        let sets = (cells.clamp(WAYS, CELLS_MAX) / WAYS).next_power_of_two();
        Self { sets: (0..sets).map(|_| Set::default()).collect(), tags: RandomState::new() }
    }

    /// The number of keys it can count at once.
    pub fn cells(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// The key of a thing to be limited; `kind` keeps a client address apart from a route of the same bytes.
    pub fn key(&self, kind: u8, what: &[u8]) -> Key {
        Key(self.tags.hash_one((kind, what)).max(MOVING + 1))
    }

    /// Charges one request, or says in how many nanoseconds one would be allowed.
    pub fn charge(&self, key: Key, rate: Rate, now_ns: u64) -> Result<Left, u64> {
        let set = self.set(key);
        loop {
            let Some((cell, tat)) = set.find(key) else {
                match set.insert(key, rate, now_ns) {
                    Inserted::Now(tat) => return Ok(rate.left(tat, now_ns)),
                    Inserted::Lost => continue,
                }
            };
            let new = rate.charge(tat, now_ns)?;
            if cell.tat_ns.compare_exchange(tat, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Ok(rate.left(new, now_ns));
            }
        }
    }

    /// What a charge would do, without one.
    pub fn peek(&self, key: Key, rate: Rate, now_ns: u64) -> Result<Left, u64> {
        let tat = self.set(key).find(key).map_or(0, |(_, tat)| tat);
        rate.charge(tat, now_ns).map(|_| rate.left(tat, now_ns))
    }

    /// Takes back one charge. If the key has lost its cell meanwhile there is nothing to take back.
    pub fn refund(&self, key: Key, rate: Rate) {
        let set = self.set(key);
        while let Some((cell, tat)) = set.find(key) {
            let new = tat.saturating_sub(rate.step_ns());
            if cell.tat_ns.compare_exchange(tat, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }

    fn set(&self, key: Key) -> &Set {
        let place = usize::try_from(key.0 >> 32).unwrap_or_default() & (self.sets.len() - 1);
        self.sets.get(place).expect("the number of sets is a power of two and the place is masked by it")
    }
}

enum Inserted {
    /// The key has a cell and its first request is charged.
    Now(u64),
    /// Another worker gave it one first, or the cell that was to be taken over has come alive.
    Lost,
}

impl Set {
    /// The cell of a key and a TAT that was in it while it was the key's.
    fn find(&self, key: Key) -> Option<(&Cell, u64)> {
        for cell in &self.cells {
            if cell.tag.load(Ordering::Acquire) != key.0 {
                continue;
            }
            let tat = cell.tat_ns.load(Ordering::Acquire);
            if cell.tag.load(Ordering::Acquire) == key.0 {
                return Some((cell, tat));
            }
        }
        None
    }

    fn insert(&self, key: Key, rate: Rate, now_ns: u64) -> Inserted {
        self.claim();
        let inserted = self.insert_claimed(key, rate, now_ns);
        self.claimed.store(false, Ordering::Release);
        inserted
    }

    fn insert_claimed(&self, key: Key, rate: Rate, now_ns: u64) -> Inserted {
        if self.find(key).is_some() {
            return Inserted::Lost;
        }
        let tats = self.cells.iter().map(|cell| (cell, cell.tat_ns.load(Ordering::Acquire)));
        let Some((cell, tat)) = tats.min_by_key(|(_, tat)| *tat) else { return Inserted::Lost };
        let first = now_ns.saturating_add(rate.step_ns());
        // A cell must not change hands with the TAT it had: a charge under way would not notice.
        let new = if first == tat { first.saturating_add(1) } else { first };
        let before = cell.tag.swap(MOVING, Ordering::AcqRel);
        if cell.tat_ns.compare_exchange(tat, new, Ordering::AcqRel, Ordering::Acquire).is_err() {
            cell.tag.store(before, Ordering::Release);
            return Inserted::Lost;
        }
        cell.tag.store(key.0, Ordering::Release);
        Inserted::Now(new)
    }

    fn claim(&self) {
        let mut spins = 0;
        while self.claimed.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spins += 1;
            if spins % SPINS_MAX == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

const _: () = assert!(EMPTY < MOVING, "keys begin above both marks");

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Limiter, Rate};

    const SECOND: u64 = 1_000_000_000;

    /// Eight threads take what they can of `keys` keys while one simulated clock runs for `seconds`.
    fn hammer(limiter: &Limiter, keys: u64, rate: Rate, seconds: u64) -> Vec<u64> {
        let clock = AtomicU64::new(SECOND);
        let granted: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
        let end = SECOND + seconds * SECOND;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (clock, granted) = (&clock, &granted);
                scope.spawn(move || {
                    loop {
                        let now = clock.fetch_add(50_000, Ordering::Relaxed);
                        if now > end {
                            break;
                        }
                        let key = now / 50_000 % keys;
                        if limiter.charge(limiter.key(0, &key.to_le_bytes()), rate, now).is_ok() {
                            granted[usize::try_from(key).unwrap()].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        granted.into_iter().map(AtomicU64::into_inner).collect()
    }

    #[test]
    fn eight_threads_together_get_exactly_the_limit() {
        for _ in 0..5 {
            let (limiter, rate) = (Limiter::new(8), Rate::new(1000, SECOND, 50).unwrap());
            let got = hammer(&limiter, 1, rate, 2);
            // A request that saw the clock before another may be charged after it, by eight threads at most.
            assert!((2050 - 8..=2051).contains(&got[0]), "{got:?} of 2 s at 1000/s and a burst of 50");
        }
    }

    #[test]
    fn keys_in_one_set_do_not_disturb_each_other() {
        let (limiter, rate) = (Limiter::new(8), Rate::new(100, SECOND, 10).unwrap());
        for (key, got) in hammer(&limiter, 8, rate, 3).into_iter().enumerate() {
            assert!((310 - 8..=311).contains(&got), "key {key} got {got} of 310");
        }
    }

    #[test]
    fn more_keys_than_cells_stay_bounded_and_each_gets_its_burst() {
        let (limiter, rate) = (Limiter::new(64), Rate::new(1, 3600 * SECOND, 2).unwrap());
        let granted = hammer(&limiter, 5000, rate, 1);
        assert_eq!(limiter.cells(), 64);
        assert!(granted.iter().all(|got| *got >= 1));
    }

    #[test]
    fn a_recovered_key_is_forgotten_first() {
        let (limiter, rate) = (Limiter::new(8), Rate::new(1, SECOND, 1).unwrap());
        let key = |n: u64| limiter.key(0, &n.to_le_bytes());
        for n in 0..8 {
            assert!(limiter.charge(key(n), rate, 10 * SECOND + n * SECOND / 10).is_ok());
        }
        let now = 11 * SECOND + SECOND / 10;
        assert!(limiter.charge(key(8), rate, now).is_ok());
        assert!((2..9).all(|n| limiter.charge(key(n), rate, now).is_err()), "those still recovering keep their count");
        assert!(limiter.charge(key(0), rate, now).is_ok());
    }

    #[test]
    fn a_refund_is_as_if_it_had_never_been() {
        let (limiter, rate) = (Limiter::new(8), Rate::new(1, SECOND, 2).unwrap());
        let key = limiter.key(1, b"k");
        assert_eq!(limiter.peek(key, rate, SECOND).map(|left| left.requests), Ok(2));
        for _ in 0..10 {
            assert_eq!(limiter.charge(key, rate, SECOND).map(|left| left.requests), Ok(1));
            limiter.refund(key, rate);
        }
        assert_eq!(limiter.charge(key, rate, SECOND).map(|left| left.requests), Ok(1));
        assert_eq!(limiter.charge(key, rate, SECOND).map(|left| left.requests), Ok(0));
        assert_eq!(limiter.charge(key, rate, SECOND), Err(SECOND));
        assert_eq!(limiter.peek(key, rate, SECOND), Err(SECOND));
        limiter.refund(limiter.key(1, b"unknown"), rate);
    }
}
