// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maglev hashing (Eisenbud et al., NSDI 2016): a table of [`SLOTS`] places, filled by the endpoints in turns, each
//! following a permutation of its own.
//!
//! Finding an endpoint is one lookup. Endpoints of equal weight own equally many places, give or take one. Taking an
//! endpoint out of service moves only its own keys, because the table stays; a table that is built for another list
//! moves a few more.

use super::balancer::Seat;
use super::draw::mix;

/// Places of a table: a prime, so that every step walks through all of them.
const SLOTS: usize = 65_537;

/// Nobody's place, while a table is filled.
const FREE: u16 = u16::MAX;

/// A filled table: places to indices.
#[derive(Debug)]
pub(super) struct Maglev(Box<[u16]>);

/// An endpoint that takes places.
struct Taker {
    index: u16,
    weight: u64,
    /// What its turns so far add up to.
    taken: u64,
    next: usize,
    step: usize,
}

impl Maglev {
    /// The table of these members of a list; none if no one has weight, or if they are too many for one.
    pub(super) fn build(members: &[u32], seats: &[Seat], weights: &[u32]) -> Option<Self> {
        let taker = |index: &u32| {
            let identity = seats.get(*index as usize)?.identity;
            let within = |hash: u64, below: usize| usize::try_from(hash % below as u64).unwrap_or_default();
            Some(Taker {
                index: u16::try_from(*index).ok().filter(|index| *index != FREE)?,
                weight: u64::from(*weights.get(*index as usize)?),
                taken: 0,
                next: within(mix(identity), SLOTS),
                step: within(mix(identity.rotate_left(32)), SLOTS - 1) + 1,
            })
        };
        let mut takers = members.iter().map(taker).collect::<Option<Vec<_>>>()?;
        takers.retain(|taker| taker.weight > 0);
        let heaviest = takers.iter().map(|taker| taker.weight).max()?;
        let mut slots = vec![FREE; SLOTS];
        fill(&mut slots, &mut takers, heaviest);
        Some(Self(slots.into()))
    }

    pub(super) fn place(key: u64) -> usize {
        usize::try_from(key % SLOTS as u64).unwrap_or_default()
    }

    /// Whose a place is.
    pub(super) fn at(&self, place: usize) -> Option<usize> {
        self.0.get(place).map(|index| usize::from(*index))
    }

    /// The part of the table that belongs to an endpoint.
    pub(super) fn share(&self, index: usize) -> f64 {
        let owned = self.0.iter().filter(|owner| usize::from(**owner) == index).count();
        f64::from(u32::try_from(owned).unwrap_or_default()) / f64::from(u32::try_from(SLOTS).unwrap_or_default())
    }
}

/// In each round the heaviest take a place, the others as often as their weight has grown to a whole turn.
fn fill(slots: &mut [u16], takers: &mut [Taker], heaviest: u64) {
    let mut left = slots.len();
    for round in 1.. {
        for taker in &mut *takers {
            if round * taker.weight < taker.taken {
                continue;
            }
            taker.taken += heaviest;
            while slots.get(taker.next).is_some_and(|owner| *owner != FREE) {
                taker.next = (taker.next + taker.step) % SLOTS;
            }
            if let Some(owner) = slots.get_mut(taker.next) {
                *owner = taker.index;
            }
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}
