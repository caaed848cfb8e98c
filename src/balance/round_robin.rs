// SPDX-License-Identifier: MIT OR Apache-2.0
//! Equal turns in the order of the list.
//!
//! The cursor remembers whom it served, not a count, so an endpoint that is stepped over does not hand its turn twice
//! to the same neighbour.

use super::{Balance, Candidate, Choice, Reason, TIERS, Turns};

pub(super) fn pick(turns: &Turns, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let start = turns.cursor.get().map_or(0, |last| last.wrapping_add(1));
    for tier in TIERS {
        let mut able = (0..n).map(|step| start.wrapping_add(step) % n).filter(|&index| view(index).takes(tier));
        if let Some(index) = able.next() {
            turns.cursor.set(Some(index));
            let alone = n == 1 || able.next().is_none();
            return Some(Choice {
                index,
                reason: if alone { Reason::Only(Balance::RoundRobin) } else { Reason::Turn },
            });
        }
    }
    None
}
