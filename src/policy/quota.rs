// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many requests a key may make in a period of the calendar: exact over all workers, and kept over a restart.
//!
//! Counters are atomics. What changed is taken from them now and then ([`QuotaTable::take_changed`]) and kept by somebody
//! else, so that a crash forgets at most what was counted since. Keys are hashes under a secret of this installation:
//! the same after a restart, and nobody can choose its neighbours. A table is for a stated number of keys. If there are
//! more that have used something in their period, the one that has used least is forgotten, and that is counted
//! ([`QuotaTable::forgotten`]) for the operator to see.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Mistake;
use super::limits::Caller;
use super::rate_limit::Per;

mod calendar;

mod counter;

pub(super) mod table;

pub use calendar::{Calendar, Period, Window};
pub use counter::{Charged, Counter, Moment, REQUESTS_MAX};
pub use table::KEYS_MAX;

use table::{Table, Worth};

/// Keys of a named quota, unless more consumers than that are configured.
pub const KEYS_DEFAULT: usize = 65_536;

/// A quota with its counters.
#[derive(Clone, Debug)]
pub struct Quota {
    pub name: Arc<str>,
    pub per: Per,
    pub requests: u64,
    pub table: Arc<QuotaTable>,
    /// Its name as a structured-field string.
    pub(super) quoted: Box<str>,
}

/// The counters of one quota, shared by all workers and carried over when the configuration changes.
#[derive(Debug)]
pub struct QuotaTable {
    /// What the store knows it by.
    pub owner: Arc<str>,
    pub calendar: Calendar,
    keys: usize,
    secret: [u8; 32],
    cells: Table<Counter>,
    forgotten: AtomicU64,
}

impl Quota {
    pub fn new(name: Arc<str>, per: Per, requests: u64, table: Arc<QuotaTable>) -> Result<Self, Mistake> {
        if !(1..=REQUESTS_MAX).contains(&requests) {
            return Err(Mistake::Requests { max: REQUESTS_MAX });
        }
        let quoted = super::rate_limit::quoted(&name);
        Ok(Self { name, per, requests, table, quoted })
    }

    /// The key that a caller has in it.
    pub(super) fn key(&self, caller: &Caller<'_>) -> u64 {
        match (&self.per, caller.consumer) {
            (Per::Consumer, Some(consumer)) => self.table.consumer(&consumer.name),
            (Per::Route, _) => self.table.key(b'r', b""),
            (Per::Header(name), _) => match caller.fields.named(name).next() {
                Some(value) => self.table.key(b'h', value),
                None => self.table.address(caller.client_ip),
            },
            (Per::Consumer | Per::Ip, _) => self.table.address(caller.client_ip),
        }
    }
}

impl QuotaTable {
    /// A table for `keys` keys, known to the store as `owner`.
    pub fn new(owner: Arc<str>, calendar: Calendar, keys: usize, secret: [u8; 32]) -> Self {
        let keys = keys.min(KEYS_MAX);
        Self { owner, calendar, keys, secret, cells: Table::new(keys), forgotten: AtomicU64::new(0) }
    }

    /// Sets of cells that it has.
    pub fn sets(&self) -> usize {
        self.cells.sets()
    }

    /// Keys it is made for.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many were forgotten since the last call.
    pub fn take_forgotten(&self) -> u64 {
        self.forgotten.swap(0, Ordering::Relaxed)
    }

    /// Keys that were forgotten in the middle of their period because there were more than it is made for.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// The key of a consumer.
    pub fn consumer(&self, name: &str) -> u64 {
        self.key(b'c', name.as_bytes())
    }

    fn address(&self, ip: IpAddr) -> u64 {
        match ip.to_canonical() {
            IpAddr::V4(v4) => self.key(b'4', &v4.octets()),
            IpAddr::V6(v6) => self.key(b'6', v6.octets().get(..8).unwrap_or_default()),
        }
    }

    /// `kind` keeps a client address apart from a consumer of the same bytes.
    pub fn key(&self, kind: u8, what: &[u8]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        let hash = hasher.update(&[kind]).update(what).finalize();
        hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub fn moment(&self, now_s: i64) -> Moment {
        Moment { now_s, window: self.calendar.at(now_s) }
    }

    /// Charges one request, unless all `requests` of the period are used.
    pub fn charge(&self, key: u64, moment: Moment, requests: u64) -> Option<Charged> {
        loop {
            let place = self.cells.enter(key, |held| worth(held, moment), |held| self.take(held, moment))?;
            let charged = place.value().charge(moment, requests)?;
            if place.is_still() {
                return Some(charged);
            }
            // Another key has the cell since: what was charged was its.
            place.value().refund(charged.start_min);
        }
    }

    /// What a charge would find, without one.
    pub fn peek(&self, key: u64, moment: Moment, requests: u64) -> Option<Charged> {
        let fresh = Charged { left: requests, start_min: moment.window.start_min };
        self.cells.find(key).map_or(Some(fresh), |place| place.value().peek(moment, requests))
    }

    /// Requests of a key in the period.
    pub fn used(&self, key: u64, moment: Moment) -> u64 {
        self.cells.find(key).map_or(0, |place| place.value().used(moment))
    }

    /// Takes back one charge of the window that began in that minute.
    pub fn refund(&self, key: u64, start_min: u32) {
        if let Some(place) = self.cells.find(key) {
            place.value().refund(start_min);
        }
    }

    /// Forgets what a key has used.
    pub fn reset(&self, key: u64) {
        if let Some(place) = self.cells.find(key) {
            place.value().reset();
        }
    }

    /// What the store remembered: keys and states.
    pub fn restore(&self, counts: impl IntoIterator<Item = (u64, u64)>, now_s: i64) {
        let moment = self.moment(now_s);
        for (key, state) in counts.into_iter().filter(|(_, state)| counter::is_live(*state, moment)) {
            let entered = self.cells.enter(key, |held| worth(held, moment), |held| self.take(held, moment));
            if let Some(place) = entered {
                place.value().restore(state);
            }
        }
    }

    /// All that is counted: keys and states.
    pub fn all(&self) -> Vec<(u64, u64)> {
        let sets = (0..self.cells.sets()).flat_map(|set| self.cells.set(set));
        sets.map(|(key, counter)| (key, counter.state_to_keep())).collect()
    }

    /// The sets in which something changed since the last call, each with all that counts in it.
    pub fn take_changed(&self, now_s: i64) -> Vec<(u32, Vec<(u64, u64)>)> {
        let moment = self.moment(now_s);
        let mut changed = Vec::new();
        for set in 0..self.cells.sets() {
            // All of them, so that each is marked as told.
            if self.cells.set(set).filter(|(_, counter)| counter.take_changed().is_some()).count() == 0 {
                continue;
            }
            let state = |(key, counter): (u64, &Counter)| (key, counter.state_to_keep());
            let live = self.cells.set(set).map(state).filter(|(_, state)| counter::is_live(*state, moment));
            changed.push((u32::try_from(set).unwrap_or(u32::MAX), live.collect()));
        }
        changed
    }

    /// These sets could not be kept: tell them again.
    pub fn keep_again(&self, sets: impl IntoIterator<Item = u32>) {
        for set in sets {
            self.cells.set(set as usize).for_each(|(_, counter)| counter.keep_again());
        }
    }

    fn take(&self, held: &Counter, moment: Moment) -> bool {
        let state = held.state();
        let taken = held.take_over(state, moment.window.start_min);
        if taken && counter::is_live(state, moment) {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// What used nothing in its period is nobody's; of others the one that used least is missed least.
fn worth(held: &Counter, moment: Moment) -> Worth {
    match held.used(moment) {
        0 => Worth::Free,
        used => Worth::Loss(used),
    }
}

#[cfg(test)]
mod tests;
