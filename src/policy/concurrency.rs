// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many requests of a key may be under way at once: exact over all workers, given back however a request ends.
//!
//! A request that is let in holds a [`Slot`]; dropping it gives the place back, be that at the last byte of the reply,
//! at a refusal by a later policy, or because the client went away. A key with nothing under way is forgotten at once,
//! so the table bounds the keys under way, not those that ever were. If all cells that a key could have are in use, its
//! request is refused: a limit that cannot be counted is not one.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::limits::Caller;
use super::plan::Usage;
use super::quota::table::{Table, Worth};
use super::rate_limit::Per;

/// Keys that may be under way at once.
pub const KEYS_DEFAULT: usize = 65_536;

/// A limit with its counters.
#[derive(Clone, Debug)]
pub struct Concurrency {
    pub name: Arc<str>,
    pub per: Per,
    pub max: u32,
    flights: Arc<Flights>,
}

/// What is under way, by key; shared by all workers and carried over when the configuration changes.
#[derive(Debug)]
pub struct Flights {
    cells: Table<AtomicU32>,
    tags: RandomState,
}

/// The place of one request among those under way; dropping it gives it back.
#[derive(Debug)]
pub struct Slot(Owner);

#[derive(Debug)]
enum Owner {
    Key(Arc<Flights>, usize),
    Consumer(Arc<Usage>),
}

impl Slot {
    /// The place of a request of a consumer.
    pub(super) fn of(usage: &Arc<Usage>) -> Self {
        Self(Owner::Consumer(Arc::clone(usage)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let count = match &self.0 {
            Owner::Key(flights, index) => flights.cells.value_at(*index),
            Owner::Consumer(usage) => Some(&usage.in_flight),
        };
        if let Some(count) = count {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Concurrency {
    /// Keeps the counters of `previous`, the policy of the same name before the change, if it counted by the same.
    pub fn new(name: Arc<str>, per: Per, max: u32, keys: usize, previous: Option<&Self>) -> Self {
        let kept = previous.filter(|held| held.per == per);
        let flights = kept.map_or_else(|| Arc::new(Flights::new(keys)), |held| Arc::clone(&held.flights));
        Self { name, per, max, flights }
    }

    pub(super) fn flights(&self) -> &Arc<Flights> {
        &self.flights
    }

    /// The key that a caller has in it.
    pub(super) fn key(&self, caller: &Caller<'_>) -> u64 {
        let flights = &self.flights;
        match (&self.per, caller.consumer) {
            (Per::Consumer, Some(consumer)) => flights.key(b'c', &consumer.id.to_le_bytes()),
            (Per::Route, _) => flights.key(b'r', &caller.route.to_le_bytes()),
            (Per::Header(name), _) => match caller.fields.named(name).next() {
                Some(value) => flights.key(b'h', value),
                None => flights.address(caller.client_ip),
            },
            (Per::Consumer | Per::Ip, _) => flights.address(caller.client_ip),
        }
    }
}

impl Flights {
    pub fn new(keys: usize) -> Self {
        Self { cells: Table::new(keys), tags: RandomState::new() }
    }

    pub fn key(&self, kind: u8, what: &[u8]) -> u64 {
        self.tags.hash_one((kind, what))
    }

    fn address(&self, ip: IpAddr) -> u64 {
        match ip.to_canonical() {
            IpAddr::V4(v4) => self.key(b'4', &v4.octets()),
            IpAddr::V6(v6) => self.key(b'6', v6.octets().get(..8).unwrap_or_default()),
        }
    }

    /// Lets one more in, unless `max` are under way. Gives how many more there may be.
    pub fn enter(self: &Arc<Self>, key: u64, max: u32) -> Option<(Slot, u32)> {
        let worth = |held: &AtomicU32| if held.load(Ordering::SeqCst) == 0 { Worth::Free } else { Worth::Held };
        let take = |held: &AtomicU32| held.compare_exchange(0, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        loop {
            let place = self.cells.enter(key, worth, take)?;
            let left = add(place.value(), max)?;
            let slot = Slot(Owner::Key(Arc::clone(self), place.index));
            if place.is_still() {
                return Some((slot, left));
            }
            // Another key has the cell since: dropping the slot gives back what was its.
        }
    }

    /// Requests of a key that are under way.
    pub fn count(&self, key: u64) -> u32 {
        self.cells.find(key).map_or(0, |place| place.value().load(Ordering::SeqCst))
    }
}

/// Adds one to a count, unless it is `max` already. Gives how many more there may be.
pub(super) fn add(count: &AtomicU32, max: u32) -> Option<u32> {
    let one_more = |count: u32| (count < max).then(|| count + 1);
    let before = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
    Some(max - before - 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::Flights;

    #[test]
    fn a_place_is_given_back_however_a_request_ends() {
        let flights = Arc::new(Flights::new(8));
        let key = flights.key(0, b"k");
        let mut held: Vec<_> = (0..3).map(|_| flights.enter(key, 3).expect("there is room")).collect();
        assert_eq!(held.iter().map(|(_, left)| *left).collect::<Vec<_>>(), [2, 1, 0]);
        assert!(flights.enter(key, 3).is_none() && flights.enter(flights.key(0, b"other"), 3).is_some());
        held.pop();
        assert_eq!((flights.count(key), flights.enter(key, 3).map(|(_, left)| left)), (2, Some(0)));
        drop(held);
        assert_eq!(flights.count(key), 0);
    }

    #[test]
    fn never_more_than_allowed_are_under_way_and_none_is_left_behind() {
        let flights = Arc::new(Flights::new(4));
        let under_way: Vec<AtomicU32> = (0..200).map(|_| AtomicU32::new(0)).collect();
        let refused = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (flights, under_way, refused) = (&flights, &under_way, &refused);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..20_000 {
                        // More keys than cells, so that cells change hands all the time.
                        let who = if random.bool() { 0 } else { random.usize(..under_way.len()) };
                        let Some((slot, _)) = flights.enter(flights.key(0, &who.to_le_bytes()), 3) else {
                            refused.fetch_add(1, Ordering::Relaxed);
                            continue;
                        };
                        let now = under_way[who].fetch_add(1, Ordering::SeqCst);
                        assert!(now < 3, "key {who} has {} under way", now + 1);
                        under_way[who].fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                });
            }
        });
        for who in 0..under_way.len() {
            assert_eq!(flights.count(flights.key(0, &who.to_le_bytes())), 0, "key {who}");
        }
        assert!(refused.into_inner() < 160_000);
    }

    #[test]
    fn a_key_that_cannot_be_counted_is_refused() {
        let flights = Arc::new(Flights::new(1));
        let keys = (0..1000_u32).map(|n| flights.key(0, &n.to_le_bytes()));
        let held: Vec<_> = keys.filter_map(|key| flights.enter(key, 1)).collect();
        assert_eq!(held.len(), 64, "as many as there are cells");
        drop(held);
        assert!(flights.enter(flights.key(1, b"next"), 1).is_some());
    }
}
