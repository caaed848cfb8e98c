// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a key to an endpoint that can take it.
//!
//! A key has a permutation of the endpoints of its own: its place in the table, then, on a ring, the following points, in
//! a table the places of the key hashed again. An endpoint that cannot take it is stepped over, so only its own keys
//! move. One that has a part of its weight (a slow start, a lower weight set by hand) takes that part of its keys, the
//! same ones every time. One that is full by `bounded_load` passes the key on by a jump, not to its neighbour, which
//! would be the next to be full. What is not found in [`PROBES_MAX`] steps is found by [`rendezvous`].

use std::cell::Cell;

use super::balancer::{Seat, Settings};
use super::draw::{Draw, mix};
use super::group::{Group, Picked};
use super::maglev::Maglev;
use super::ring::Ring;
use super::{Balance, Candidate, Hashed, Moved, Reason, rendezvous};

/// Steps before everyone is looked at: with half of a group down, 16 steps find none in one of 65,000.
const PROBES_MAX: u64 = 16;

/// What a group of a hashing balance looks its keys up in.
#[derive(Debug)]
pub(super) enum Table {
    Ring(Ring),
    Maglev(Maglev),
    /// Every endpoint is asked.
    None,
}

impl Table {
    pub(super) fn build(settings: &Settings, members: &[u32], seats: &[Seat], weights: &[u32]) -> Self {
        let table = match settings.balance {
            Balance::Ring => Ring::build(members, seats, weights, settings.points).map(Self::Ring),
            Balance::Maglev => Maglev::build(members, seats, weights).map(Self::Maglev),
            _ => None,
        };
        table.unwrap_or(Self::None)
    }

    fn place(&self, key: u64) -> usize {
        match self {
            Self::Ring(ring) => ring.place(key),
            Self::Maglev(_) => Maglev::place(key),
            Self::None => 0,
        }
    }

    fn at(&self, place: usize) -> Option<usize> {
        match self {
            Self::Ring(ring) => ring.at(place),
            Self::Maglev(maglev) => maglev.at(place),
            Self::None => None,
        }
    }

    /// Where a key goes that was not taken at a place.
    fn next(&self, place: usize, why: Moved, key: u64, probe: u64) -> usize {
        match (self, why) {
            (Self::Ring(ring), Moved::Unusable) => ring.next(place),
            _ => self.place(mix(key ^ mix(probe))),
        }
    }

    /// The part of all keys that belongs to an endpoint.
    pub(super) fn share(&self, index: usize) -> Option<f64> {
        match self {
            Self::Ring(ring) => Some(ring.share(index)),
            Self::Maglev(maglev) => Some(maglev.share(index)),
            Self::None => None,
        }
    }
}

/// A key under way to its endpoint.
pub(super) struct Search<'a> {
    pub(super) balance: Balance,
    pub(super) table: &'a Table,
    pub(super) seats: &'a [Seat],
    /// The weights that the table was built with.
    pub(super) built: &'a [u32],
    pub(super) key: u64,
    pub(super) by: Hashed,
    /// `bounded_load` in per cent.
    pub(super) bound: Option<u16>,
}

impl Search<'_> {
    pub(super) fn pick<V: Fn(usize) -> Candidate>(&self, group: &Group<'_, V>) -> Option<Picked> {
        let bound = Bound { percent: self.bound, totals: Cell::new(None) };
        let mut place = self.table.place(self.key);
        let mut first = None;
        for probe in 1..=PROBES_MAX {
            let Some(index) = self.table.at(place) else { break };
            let candidate = (group.view)(index);
            let Some(why) = self.objection(index, &candidate, group, &bound) else {
                return Some((index, self.reason(index, first)));
            };
            first.get_or_insert((index, why));
            place = self.table.next(place, why, self.key, probe);
        }
        self.meet(group, &bound, first)
    }

    /// Why an endpoint does not take the key.
    fn objection<V: Fn(usize) -> Candidate>(
        &self,
        index: usize,
        candidate: &Candidate,
        group: &Group<'_, V>,
        bound: &Bound,
    ) -> Option<Moved> {
        if !candidate.takes() {
            return Some(Moved::Unusable);
        }
        let whole = u64::from(self.built.get(index).copied().unwrap_or_default()) * 100;
        if u64::from(candidate.weight) < whole {
            let identity = self.seats.get(index).map_or(0, |seat| seat.identity);
            if Draw::new(self.key ^ identity).below(whole) >= u64::from(candidate.weight) {
                return Some(Moved::Share);
            }
        }
        bound.is_full(candidate, group).then_some(Moved::Full)
    }

    fn meet<V: Fn(usize) -> Candidate>(
        &self,
        group: &Group<'_, V>,
        bound: &Bound,
        first: Option<(usize, Moved)>,
    ) -> Option<Picked> {
        let met = rendezvous::meet(group, self.seats, self.key, |candidate| bound.is_full(candidate, group))?;
        if met.able == 1 {
            return Some((met.within, Reason::Only(self.balance)));
        }
        let first = first.or_else(|| (met.best != met.within).then_some((met.best, Moved::Full)));
        Some((met.within, self.reason(met.within, first)))
    }

    fn reason(&self, index: usize, first: Option<(usize, Moved)>) -> Reason {
        let (balance, by) = (self.balance, self.by);
        match first {
            Some((from, why)) if from != index => Reason::Moved { balance, by, from, why },
            _ => Reason::Hashed { balance, by },
        }
    }
}

/// The most that an endpoint may have in flight, as a share of the mean by weight.
struct Bound {
    percent: Option<u16>,
    /// In flight, and weight, of all that can take a request.
    totals: Cell<Option<(u64, u64)>>,
}

impl Bound {
    /// Whether one more would be too much. The sum over the group is only taken when somebody has something to do, and
    /// not everybody can be full: the bound is above the mean.
    fn is_full<V: Fn(usize) -> Candidate>(&self, candidate: &Candidate, group: &Group<'_, V>) -> bool {
        let Some(percent) = self.percent.filter(|_| candidate.in_flight > 0) else { return false };
        let (in_flight, weight) = self.totals.get().unwrap_or_else(|| {
            let sum = |(flight, weight), (_, c): (usize, Candidate)| {
                (flight + u64::from(c.in_flight), weight + u64::from(c.weight))
            };
            group.able().fold((0, 0), sum)
        });
        self.totals.set(Some((in_flight, weight)));
        let mine = u128::from(candidate.in_flight) * 100 * u128::from(weight);
        mine >= u128::from(percent) * u128::from(in_flight + 1) * u128::from(candidate.weight)
    }
}
