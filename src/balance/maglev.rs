// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of [`SLOTS`] places after Maglev (Eisenbud et al., NSDI 2016): the endpoints fill it in turns, each following
//! a permutation of its own.
//!
//! Finding an endpoint is one lookup. Taking an endpoint out of service moves only its own keys, because the table stays.
//! So that a table for another list moves few others, it is not quite Maglev's. There every turn ends with a place, so one
//! endpoint more or less shifts the turns of all others: with a hundred of them, every third key that moves need not.
//! Here a turn is one try, and the table is that of a rendezvous of places and endpoints, in which only those move who
//! must; but who is [`SLACK`] places behind its share tries again at once, and who is as many ahead waits. Nothing depends
//! on the order of the list.

use super::balancer::Seat;
use super::draw::mix;
use super::rendezvous::score_order;

/// Places of a table: a prime, so that every step walks through all of them.
const SLOTS: usize = 65_537;

/// Places that an endpoint of average weight may have more or fewer than its share of those that are filled: 0.3 % of its
/// share where there are 10 endpoints, 3.1 % with 100. With more of it shares are less even, with less more keys move.
const SLACK: u64 = 20;

/// The last places, for which most tries fail: each is given to the winner of a rendezvous.
const REST: usize = SLOTS / 256;

/// Nobody's place, while a table is filled.
const FREE: u16 = u16::MAX;

/// A filled table: places to indices.
#[derive(Debug)]
pub(super) struct Maglev(Box<[u16]>);

/// An endpoint that takes places.
struct Taker {
    index: u16,
    identity: u64,
    weight: u32,
    /// Places that it has.
    taken: u64,
    /// Places that it has tried.
    tried: u64,
    /// What it has gained towards its next turn.
    gained: u64,
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
                identity,
                weight: *weights.get(*index as usize)?,
                taken: 0,
                tried: 0,
                gained: 0,
                next: within(mix(identity), SLOTS),
                step: within(mix(identity.rotate_left(32)), SLOTS - 1) + 1,
            })
        };
        let mut takers = members.iter().map(taker).collect::<Option<Vec<_>>>()?;
        takers.retain(|taker| taker.weight > 0);
        takers.sort_unstable_by_key(|taker| (taker.identity, taker.index));
        if takers.is_empty() {
            return None;
        }
        let mut slots = vec![FREE; SLOTS];
        fill(&mut slots, &mut takers);
        give_rest(&mut slots, &takers);
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

impl Taker {
    /// One try, or as many as it takes for one that is behind; whether it got a place.
    fn turn(&mut self, slots: &mut [u16], is_behind: bool) -> bool {
        loop {
            let place = self.next;
            self.next = (place + self.step) % SLOTS;
            self.tried += 1;
            if let Some(owner) = slots.get_mut(place).filter(|owner| **owner == FREE) {
                *owner = self.index;
                self.taken += 1;
                return true;
            }
            // It does not go on for ever: while turns are had, some places are free.
            if !is_behind {
                return false;
            }
        }
    }
}

/// Fills all but the last places. Turns come as often as the weight says, and the more rarely the more places were tried,
/// so that the first to try a place is the winner of a rendezvous: the first of several exponential clocks to ring.
fn fill(slots: &mut [u16], takers: &mut [Taker]) {
    let (total, count) = (takers.iter().map(|taker| u64::from(taker.weight)).sum::<u64>(), takers.len() as u64);
    let turn = total.checked_div(count).unwrap_or_default().max(1) * SLOTS as u64;
    // Not all have their first turn in the first round.
    takers.iter_mut().for_each(|taker| taker.gained = mix(taker.identity.rotate_left(16)) % turn);
    let (slack, mut filled, most) = (SLACK * count, 0_u64, (SLOTS - REST) as u64);
    while filled < most {
        for taker in &mut *takers {
            let weight = u64::from(taker.weight);
            taker.gained += weight * (SLOTS as u64).saturating_sub(taker.tried);
            while taker.gained >= turn && filled < most {
                taker.gained -= turn;
                let has = taker.taken * total;
                if has <= (filled + slack) * weight {
                    let is_behind = has < filled.saturating_sub(slack) * weight;
                    filled += u64::from(taker.turn(slots, is_behind));
                }
            }
        }
    }
}

/// Gives each place that is left to the winner of a rendezvous.
fn give_rest(slots: &mut [u16], takers: &[Taker]) {
    for (place, owner) in (0_u64..).zip(slots).filter(|(_, owner)| **owner == FREE) {
        let score = |taker: &Taker| (mix(place ^ taker.identity), taker.weight);
        let winner = takers.iter().max_by(|one, other| score_order(score(one), score(other)));
        *owner = winner.map_or(FREE, |taker| taker.index);
    }
}
