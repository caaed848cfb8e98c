// SPDX-License-Identifier: MIT OR Apache-2.0
//! The power of two choices: draw two endpoints by weight and take the one with fewer requests in flight per weight.
//!
//! A draw is an index accepted with probability weight / largest weight, so its cost does not grow with the list.
//! Lists of up to [`SCAN_MAX`] endpoints are compared whole, and a list in which [`DRAWS_MAX`] draws
//! did not find one that can take the request is scanned. A tie goes to the first drawn: an idle upstream is shared by weight.

use super::{Balance, Candidate, Choice, Draw, Reason, TIERS, Tier, Turns};

/// Up to this many endpoints, comparing all of them is as cheap as drawing two.
const SCAN_MAX: usize = 3;

/// Draws before the list is scanned: with half of a list down, 16 draws find none in one of 65,000.
const DRAWS_MAX: u32 = 16;

pub(super) fn pick(turns: &Turns, seed: u64, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let mut draw = Draw::new(seed);
    if n <= SCAN_MAX {
        return TIERS.into_iter().find_map(|tier| least_of_all(tier, &mut draw, n, view));
    }
    let known = turns.scanned.get().0 == n;
    let first = if known { by_draw(turns, &mut draw, n, None, view) } else { None };
    if let Some(first) = first
        && let Some(second) = by_draw(turns, &mut draw, n, Some(first.0), view)
    {
        return Some(better(first, second));
    }
    turns.scanned.set((n, (0..n).map(|index| view(index).weight).max().unwrap_or_default()));
    TIERS.into_iter().find_map(|tier| two_by_scan(tier, &mut draw, n, first, view))
}

/// Fewest in flight per weight of all; ties are drawn by weight, in one pass.
fn least_of_all(tier: Tier, draw: &mut Draw, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let mut best: Option<(usize, Candidate)> = None;
    let mut second: Option<(usize, Candidate)> = None;
    let mut tied: u64 = 0;
    for (index, candidate) in (0..n).map(|index| (index, view(index))).filter(|(_, c)| c.takes(tier)) {
        let weight = u64::from(candidate.weight);
        let order = best.as_ref().map_or(std::cmp::Ordering::Less, |(_, held)| load_order(&candidate, held));
        tied = match order {
            std::cmp::Ordering::Less => weight,
            std::cmp::Ordering::Equal => tied + weight,
            std::cmp::Ordering::Greater => tied,
        };
        let wins = order.is_lt() || (order.is_eq() && draw.below(tied) < weight);
        if wins {
            second = best.replace((index, candidate));
        } else if second.as_ref().is_none_or(|(_, held)| load_order(&candidate, held).is_lt()) {
            second = Some((index, candidate));
        }
    }
    best.map(|best| choice(best, second))
}

/// One primary other than `without`, by rejection; none when the draws run out.
fn by_draw(
    turns: &Turns,
    draw: &mut Draw,
    n: usize,
    without: Option<usize>,
    view: &impl Fn(usize) -> Candidate,
) -> Option<(usize, Candidate)> {
    for _ in 0..DRAWS_MAX {
        let index = draw.index(n);
        if without == Some(index) {
            continue;
        }
        let candidate = view(index);
        let (_, heaviest) = turns.scanned.get();
        if candidate.weight > heaviest {
            turns.scanned.set((n, candidate.weight));
        }
        let accepted = candidate.weight >= heaviest || draw.below(u64::from(heaviest)) < u64::from(candidate.weight);
        if accepted && candidate.takes(Tier::Primary) {
            return Some((index, candidate));
        }
    }
    None
}

/// Two different endpoints of one tier by weight, in two passes over the list. A first one that was already drawn
/// stays: dropping it because no second was found would favour light endpoints.
fn two_by_scan(
    tier: Tier,
    draw: &mut Draw,
    n: usize,
    first: Option<(usize, Candidate)>,
    view: &impl Fn(usize) -> Candidate,
) -> Option<Choice> {
    let first = first.or_else(|| by_weight(tier, draw, n, None, view))?;
    let second = by_weight(tier, draw, n, Some(first.0), view);
    Some(second.map_or_else(|| choice(first, None), |second| better(first, second)))
}

fn by_weight(
    tier: Tier,
    draw: &mut Draw,
    n: usize,
    without: Option<usize>,
    view: &impl Fn(usize) -> Candidate,
) -> Option<(usize, Candidate)> {
    let mut total: u64 = 0;
    let mut held = None;
    for (index, candidate) in (0..n).map(|index| (index, view(index))).filter(|(_, c)| c.takes(tier)) {
        if without == Some(index) {
            continue;
        }
        let weight = u64::from(candidate.weight);
        total += weight;
        if draw.below(total) < weight {
            held = Some((index, candidate));
        }
    }
    held
}

fn better(first: (usize, Candidate), second: (usize, Candidate)) -> Choice {
    if load_order(&second.1, &first.1).is_lt() { choice(second, Some(first)) } else { choice(first, Some(second)) }
}

/// Orders by in-flight / weight, without dividing.
fn load_order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    let load = |mine: &Candidate, other: &Candidate| u64::from(mine.in_flight) * u64::from(other.weight);
    load(a, b).cmp(&load(b, a))
}

fn choice(best: (usize, Candidate), over: Option<(usize, Candidate)>) -> Choice {
    let reason = match over {
        None => Reason::Only(Balance::LeastRequest),
        Some((over, other)) => Reason::LessBusy { in_flight: best.1.in_flight, over, over_in_flight: other.in_flight },
    };
    Choice { index: best.0, reason }
}
