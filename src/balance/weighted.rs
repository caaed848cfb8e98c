// SPDX-License-Identifier: MIT OR Apache-2.0
//! Smooth weighted round robin, exactly as nginx does it: weights 5, 1, 1 give a a b a c a a.
//!
//! At each pick every endpoint that can take the request gains its weight, the highest score wins and pays the total.
//! Scores belong to an identity, not to an index: when the list changes, those who stay keep theirs.

use super::{Balance, Candidate, Choice, Reason, TIERS, Tier, Turns};

/// The running score of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    identity: u64,
    current: i64,
}

pub(super) fn pick(turns: &Turns, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let mut scores = turns.scores.borrow_mut();
    align(&mut scores, n, view);
    TIERS.into_iter().find_map(|tier| pick_in(&mut scores, tier, view))
}

fn pick_in(scores: &mut [Score], tier: Tier, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let mut total: i64 = 0;
    let mut best: Option<(usize, i64, u32)> = None;
    let mut able = 0;
    for (index, score) in scores.iter_mut().enumerate() {
        let candidate = view(index);
        if !candidate.takes(tier) {
            continue;
        }
        able += 1;
        let weight = i64::from(candidate.weight);
        score.current = score.current.saturating_add(weight);
        total = total.saturating_add(weight);
        if best.is_none_or(|(_, current, _)| score.current > current) {
            best = Some((index, score.current, candidate.weight));
        }
    }
    let (index, _, weight) = best?;
    if let Some(score) = scores.get_mut(index) {
        score.current = score.current.saturating_sub(total);
    }
    let reason = match able {
        1 => Reason::Only(Balance::Weighted),
        _ => Reason::WeightedTurn { weight, of: total.unsigned_abs() },
    };
    Some(Choice { index, reason })
}

/// Makes `scores` match the list. Nothing moves and nothing is allocated while the list stays as it was.
fn align(scores: &mut Vec<Score>, n: usize, view: &impl Fn(usize) -> Candidate) {
    let same = scores.len() == n && scores.iter().enumerate().all(|(i, s)| s.identity == view(i).identity);
    if same {
        return;
    }
    let before: std::collections::HashMap<u64, i64> = scores.iter().map(|s| (s.identity, s.current)).collect();
    scores.clear();
    scores.extend((0..n).map(|index| {
        let identity = view(index).identity;
        Score { identity, current: before.get(&identity).copied().unwrap_or_default() }
    }));
}
