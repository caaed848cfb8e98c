// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one worker remembers of one upstream between picks. It grows with the list of endpoints, once, and no more.
//!
//! It outlives configurations: what was learnt about another list is told apart by [`Stamp`] and forgotten.

use std::cell::{Cell, RefCell};

use super::weighted::Scores;

/// One group of one compiled balancer: a number that no other has in this process.
pub(super) type Stamp = u64;

/// The memory.
#[derive(Debug, Default)]
pub struct Turns {
    /// Endpoints in the preferred zone, and the others; without zones all are in the first.
    pub(super) sides: [SideTurns; 2],
    /// The running scores of smooth weighted round robin.
    pub(super) scores: RefCell<Scores>,
    /// What is known of the preferred zone: of which tier, how many picks ago, its share of the requests.
    pub(super) zone: Cell<(Stamp, u32, f64)>,
}

/// What is remembered of the endpoints on one side of a zone.
#[derive(Debug, Default)]
pub(super) struct SideTurns {
    /// The index served last by round robin.
    pub(super) cursor: Cell<Option<usize>>,
    /// The largest weight that was seen in a group.
    pub(super) heaviest: Cell<(Stamp, u32)>,
}

impl Turns {
    /// Starts at a place given by `seed`, so that workers do not all begin with the first endpoint; 0 begins there.
    pub fn new(seed: u64) -> Self {
        let turns = Self::default();
        for side in &turns.sides {
            side.cursor.set(usize::try_from(seed >> 1).unwrap_or_default().checked_sub(1));
        }
        turns
    }
}
