// SPDX-License-Identifier: MIT OR Apache-2.0
//! The less loaded endpoint: of two drawn by weight (the power of two choices), or of all.
//!
//! A draw costs the same whatever the length of the list. Groups of up to [`SCAN_MAX`] endpoints are compared whole, and
//! a group in which the draws did not find one that can take the request is scanned. A tie goes to the first drawn: an
//! idle upstream is shared by weight. What load is, requests in flight or latency as well, is [`Load`].

use super::draw::Draw;
use super::group::{Group, Member, Picked};
use super::peak_ewma::{self, Latency};
use super::{Balance, Candidate, Reason};

/// Up to this many endpoints, comparing all of them costs little more than drawing two, and a slow one gets no request
/// by the luck of the draw.
const SCAN_MAX: usize = 8;

/// What makes an endpoint less inviting than another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Requests in flight per weight; the balance that says so.
    InFlight(Balance),
    /// Latency times requests in flight per weight, at this time.
    Latency { now_ms: u32 },
}

pub(super) fn pick<V: Fn(usize) -> Candidate>(load: Load, group: &Group<'_, V>, draw: &mut Draw) -> Option<Picked> {
    if group.len() <= SCAN_MAX {
        return of_all(load, group, draw);
    }
    let first = group.draw(draw, None);
    if let Some(first) = first
        && let Some(second) = group.draw(draw, Some(first.0))
    {
        return Some(load.better(first, second));
    }
    group.survey();
    // A first one that was already drawn stays: dropping it because no second was found would favour light endpoints.
    let first = first.or_else(|| group.draw_by_scan(draw, None))?;
    let second = group.draw_by_scan(draw, Some(first.0));
    Some(second.map_or_else(|| load.picked(first, None), |second| load.better(first, second)))
}

/// The least loaded of all; ties are drawn by weight.
pub(super) fn of_all<V: Fn(usize) -> Candidate>(load: Load, group: &Group<'_, V>, draw: &mut Draw) -> Option<Picked> {
    let like = load.like(group.able().map(|(_, candidate)| candidate));
    let mut best: Option<(Member, f64)> = None;
    let mut second: Option<(Member, f64)> = None;
    let mut tied: u64 = 0;
    for member in group.able() {
        let (cost, weight) = (load.cost(&member.1, like), u64::from(member.1.weight));
        let order = best.as_ref().map_or(std::cmp::Ordering::Less, |(_, held)| cost.total_cmp(held));
        tied = match order {
            std::cmp::Ordering::Less => weight,
            std::cmp::Ordering::Equal => tied + weight,
            std::cmp::Ordering::Greater => tied,
        };
        if order.is_lt() || (order.is_eq() && draw.below(tied) < weight) {
            second = best.replace((member, cost));
        } else if second.as_ref().is_none_or(|(_, held)| cost < *held) {
            second = Some((member, cost));
        }
    }
    best.map(|(best, _)| load.picked(best, second.map(|(member, _)| member)))
}

impl Load {
    fn better(self, first: Member, second: Member) -> Picked {
        let like = self.like([first.1, second.1].into_iter());
        if self.cost(&second.1, like) < self.cost(&first.1, like) {
            self.picked(second, Some(first))
        } else {
            self.picked(first, Some(second))
        }
    }

    /// What an endpoint that was never measured is taken to be like.
    fn like(self, candidates: impl Iterator<Item = Candidate>) -> Latency {
        match self {
            Self::InFlight(_) => Latency::default(),
            Self::Latency { now_ms } => peak_ewma::least(candidates, now_ms),
        }
    }

    /// Equal quotients are equal numbers, because a division is rounded correctly.
    fn cost(self, candidate: &Candidate, like: Latency) -> f64 {
        match self {
            Self::InFlight(_) => f64::from(candidate.in_flight) / f64::from(candidate.weight),
            Self::Latency { now_ms } => peak_ewma::cost(candidate, now_ms, like),
        }
    }

    fn picked(self, best: Member, over: Option<Member>) -> Picked {
        let reason = match (self, over) {
            (Self::InFlight(balance), None) => Reason::Only(balance),
            (Self::Latency { .. }, None) => Reason::Only(Balance::PeakEwma),
            (Self::InFlight(balance), Some((over, other))) => {
                Reason::LessBusy { balance, in_flight: best.1.in_flight, over, over_in_flight: other.in_flight }
            }
            (Self::Latency { now_ms }, Some((over, other))) => Reason::Cheaper {
                latency_us: best.1.estimate.micros(now_ms, best.1.in_flight),
                in_flight: best.1.in_flight,
                over,
                over_latency_us: other.estimate.micros(now_ms, other.in_flight),
                over_in_flight: other.in_flight,
            },
        };
        (best.0, reason)
    }
}
