// SPDX-License-Identifier: MIT OR Apache-2.0
//! Smooth weighted round robin, exactly as nginx does it: weights 5, 1, 1 give a a b a c a a.
//!
//! At each pick every endpoint that can take the request gains its weight, the highest score wins and pays the total.
//! Scores belong to an identity, not to an index: when the list changes, those who stay keep theirs.

use std::collections::HashMap;

use super::balancer::Seat;
use super::group::{Group, Picked};
use super::{Balance, Candidate, Reason};

/// The running scores of the endpoints of an upstream.
#[derive(Debug, Default)]
pub(super) struct Scores {
    /// The balancer that they are in the order of.
    balancer: u64,
    scores: Vec<Score>,
}

/// The running score of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    identity: u64,
    current: i64,
}

impl Scores {
    /// Makes the scores match the list. Nothing moves and nothing is allocated while the list stays as it was.
    pub(super) fn align(&mut self, balancer: u64, seats: &[Seat]) {
        if self.balancer == balancer {
            return;
        }
        let before: HashMap<u64, i64> = self.scores.iter().map(|score| (score.identity, score.current)).collect();
        self.balancer = balancer;
        self.scores.clear();
        self.scores.extend(seats.iter().map(|seat| Score {
            identity: seat.identity,
            current: before.get(&seat.identity).copied().unwrap_or_default(),
        }));
    }
}

pub(super) fn pick<V: Fn(usize) -> Candidate>(scores: &mut Scores, group: &Group<'_, V>) -> Option<Picked> {
    let mut total: i64 = 0;
    let mut best: Option<(usize, i64, u32)> = None;
    let mut able = 0;
    for (index, candidate) in group.able() {
        let Some(score) = scores.scores.get_mut(index) else { continue };
        able += 1;
        let weight = i64::from(candidate.weight);
        score.current = score.current.saturating_add(weight);
        total = total.saturating_add(weight);
        if best.is_none_or(|(_, current, _)| score.current > current) {
            best = Some((index, score.current, candidate.weight));
        }
    }
    let (index, _, weight) = best?;
    if let Some(score) = scores.scores.get_mut(index) {
        score.current = score.current.saturating_sub(total);
    }
    let reason = match able {
        1 => Reason::Only(Balance::Weighted),
        _ => Reason::WeightedTurn { weight, of: total.unsigned_abs() },
    };
    Some((index, reason))
}
