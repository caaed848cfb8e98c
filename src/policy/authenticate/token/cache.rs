// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was found out about a token, for as long as that holds: a table of fixed size without a lock.
//!
//! The key is the BLAKE3 hash of the token, so no token is kept. Each hash has two places; a new entry takes the one that
//! is free or has run out, else the older of the two. Only tokens that somebody signed get in where the user says so, so a
//! storm of bogus ones pushes nobody out.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

/// Entries of one policy.
pub const ENTRIES_DEFAULT: usize = 4_096;

/// Places of one hash.
const WAYS: usize = 2;

/// The hash of a token.
pub type TokenHash = [u8; 32];

/// The hash that a token is kept under.
pub fn hash_of(token: &[u8]) -> TokenHash {
    *blake3::hash(token).as_bytes()
}

/// What holds for a time.
pub trait Lasting {
    /// Seconds since 1970-01-01 UTC from which it no longer holds.
    fn until_s(&self) -> i64;
}

#[derive(Debug)]
struct Entry<T> {
    hash: TokenHash,
    value: T,
}

/// The table. It takes no memory before the first entry.
#[derive(Debug)]
pub struct Cache<T> {
    places: OnceLock<Box<[ArcSwapOption<Entry<T>>]>>,
    buckets: usize,
}

impl<T: Lasting + Clone> Cache<T> {
    /// A table for about so many entries; without any it keeps nothing.
    pub fn new(entries: usize) -> Self {
        Self { places: OnceLock::new(), buckets: entries / WAYS }
    }

    /// What is known at this time.
    pub fn find(&self, hash: &TokenHash, now_s: i64) -> Option<T> {
        let places = self.bucket(self.places.get()?, hash)?;
        let found = places.iter().find_map(|place| {
            let entry = place.load();
            entry.as_ref().filter(|entry| entry.hash == *hash).map(|entry| entry.value.clone())
        })?;
        (now_s < found.until_s()).then_some(found)
    }

    /// Remembers something.
    pub fn keep(&self, hash: TokenHash, value: T, now_s: i64) {
        let new = || (0..self.buckets * WAYS).map(|_| ArcSwapOption::empty()).collect();
        let Some(places) = self.bucket(self.places.get_or_init(new), &hash) else { return };
        let worth = |place: &&ArcSwapOption<Entry<T>>| match &*place.load() {
            Some(entry) if entry.hash == hash => i64::MIN,
            Some(entry) => entry.value.until_s().max(now_s),
            None => i64::MIN + 1,
        };
        if let Some(place) = places.iter().min_by_key(worth) {
            place.store(Some(Arc::new(Entry { hash, value })));
        }
    }

    /// Entries now, those that have run out included.
    pub fn len(&self) -> usize {
        self.places.get().map_or(0, |places| places.iter().filter(|place| place.load().is_some()).count())
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bucket<'p>(
        &self,
        places: &'p [ArcSwapOption<Entry<T>>],
        hash: &TokenHash,
    ) -> Option<&'p [ArcSwapOption<Entry<T>>]> {
        let (upper, _) = hash.split_first_chunk::<8>()?;
        let bucket = usize::try_from(u64::from_le_bytes(*upper)).unwrap_or(0).checked_rem(self.buckets)?;
        places.get(bucket * WAYS..(bucket + 1) * WAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Lasting, hash_of};

    #[derive(Clone, Debug, PartialEq)]
    struct Until(i64);

    impl Lasting for Until {
        fn until_s(&self) -> i64 {
            self.0
        }
    }

    #[test]
    fn it_holds_until_its_time_and_never_more_than_its_size() {
        let cache = Cache::new(64);
        assert!(cache.is_empty());
        cache.keep(hash_of(b"a"), Until(100), 0);
        assert_eq!(cache.find(&hash_of(b"a"), 99), Some(Until(100)));
        assert_eq!(cache.find(&hash_of(b"a"), 100), None);
        assert_eq!(cache.find(&hash_of(b"b"), 0), None);
        cache.keep(hash_of(b"a"), Until(200), 0);
        assert_eq!((cache.find(&hash_of(b"a"), 150), cache.len()), (Some(Until(200)), 1), "one place for one token");
        for n in 0..10_000_u32 {
            cache.keep(hash_of(&n.to_le_bytes()), Until(1_000), 0);
        }
        assert_eq!(cache.len(), 64);
        let none = Cache::new(0);
        none.keep(hash_of(b"a"), Until(100), 0);
        assert_eq!((none.find(&hash_of(b"a"), 0), none.len()), (None, 0));
    }

    #[test]
    fn what_has_run_out_makes_room_first() {
        let cache = Cache::new(2);
        cache.keep(hash_of(b"old"), Until(10), 0);
        cache.keep(hash_of(b"good"), Until(50), 0);
        cache.keep(hash_of(b"new"), Until(90), 20);
        assert_eq!(cache.find(&hash_of(b"good"), 20), Some(Until(50)));
        assert_eq!(cache.find(&hash_of(b"new"), 20), Some(Until(90)));
    }
}
