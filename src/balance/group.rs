// SPDX-License-Identifier: MIT OR Apache-2.0
//! The endpoints among which one choice is made: those of one tier on one side of a zone.
//!
//! Who is in a group is compiled; who of it can take a request is seen through the view, at every pick anew.

use super::draw::Draw;
use super::turns::{SideTurns, Stamp};
use super::{Candidate, Reason};

/// Draws before the group is scanned: with half of it down, 16 draws find none in one of 65,000.
const DRAWS_MAX: u32 = 16;

/// The choice in a group: an index into the list of endpoints, and why.
pub(super) type Picked = (usize, Reason);

/// An endpoint of the group: its index, and how it is now.
pub(super) type Member = (usize, Candidate);

/// A group and the way to look at it.
pub(super) struct Group<'a, V> {
    pub(super) stamp: Stamp,
    /// Indices into the list of endpoints, rising.
    pub(super) members: &'a [u32],
    pub(super) turns: &'a SideTurns,
    pub(super) view: &'a V,
}

impl<V: Fn(usize) -> Candidate> Group<'_, V> {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Member> {
        self.members.iter().map(|index| self.member(*index))
    }

    /// Those that can take a request now.
    pub(super) fn able(&self) -> impl Iterator<Item = Member> {
        self.all().filter(|(_, candidate)| candidate.takes())
    }

    fn member(&self, index: u32) -> Member {
        let index = index as usize;
        (index, (self.view)(index))
    }

    /// Any one by weight other than `without`, at a price that does not grow with the group: an index is accepted with
    /// probability weight / largest weight. None when the draws run out, or nothing is known of the weights.
    pub(super) fn draw(&self, draw: &mut Draw, without: Option<usize>) -> Option<Member> {
        let (stamp, mut heaviest) = self.turns.heaviest.get();
        if stamp != self.stamp {
            return None;
        }
        for _ in 0..DRAWS_MAX {
            let (index, candidate) = self.member(*self.members.get(draw.index(self.members.len()))?);
            if without == Some(index) {
                continue;
            }
            if candidate.weight > heaviest {
                heaviest = candidate.weight;
                self.turns.heaviest.set((stamp, heaviest));
            }
            let accepted = candidate.weight == heaviest || draw.below(u64::from(heaviest)) < candidate.weight.into();
            if accepted && candidate.takes() {
                return Some((index, candidate));
            }
        }
        None
    }

    /// Learns the largest weight, for the draws to come.
    pub(super) fn survey(&self) {
        let heaviest = self.all().map(|(_, candidate)| candidate.weight).max().unwrap_or_default();
        self.turns.heaviest.set((self.stamp, heaviest));
    }

    /// Any one by weight other than `without`, in one pass over the group.
    pub(super) fn draw_by_scan(&self, draw: &mut Draw, without: Option<usize>) -> Option<Member> {
        let mut total: u64 = 0;
        let mut held = None;
        for (index, candidate) in self.able().filter(|(index, _)| without != Some(*index)) {
            let weight = u64::from(candidate.weight);
            total += weight;
            if draw.below(total) < weight {
                held = Some((index, candidate));
            }
        }
        held
    }

    /// Whether only one can take a request. It stops at the second.
    pub(super) fn is_alone(&self) -> bool {
        self.able().nth(1).is_none()
    }
}

/// Any one by weight.
pub(super) fn random<V: Fn(usize) -> Candidate>(group: &Group<'_, V>, draw: &mut Draw) -> Option<Picked> {
    if let Some((index, _)) = group.draw(draw, None) {
        return Some((index, Reason::Drawn));
    }
    group.survey();
    let (index, _) = group.draw_by_scan(draw, None)?;
    let reason = if group.is_alone() { Reason::Only(super::Balance::Random) } else { Reason::Drawn };
    Some((index, reason))
}
