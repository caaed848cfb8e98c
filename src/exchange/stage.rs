// SPDX-License-Identifier: MIT OR Apache-2.0
//! When an exchange passed which point: a few instants, from which the record makes a timeline.

use std::time::Instant;

/// Points in the life of an exchange, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The route is known and its policies have run.
    Decided,
    /// A connection to the endpoint is in hand.
    Connected,
    /// The head of the reply is here.
    Replied,
    /// The last byte of the reply is gone.
    Finished,
}

/// The stages in order with the name of what lies before each.
pub const STAGES: [(Stage, &str); 4] =
    [(Stage::Decided, "decide"), (Stage::Connected, "connect"), (Stage::Replied, "wait"), (Stage::Finished, "reply")];

/// Microseconds from the arrival of the request head to each stage.
#[derive(Clone, Debug)]
pub struct Timeline {
    arrived: Instant,
    marks: [Option<u32>; STAGES.len()],
}

impl Timeline {
    /// A timeline that starts now.
    pub fn new(arrived: Instant) -> Self {
        Self { arrived, marks: [None; STAGES.len()] }
    }

    /// The instant it counts from.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Notes that `stage` was reached at `now`; the last note counts, so a retry overwrites.
    pub fn mark(&mut self, stage: Stage, now: Instant) {
        let micros = u32::try_from(now.saturating_duration_since(self.arrived).as_micros()).unwrap_or(u32::MAX);
        if let Some(mark) = self.marks.get_mut(stage as usize) {
            *mark = Some(micros);
        }
    }

    /// Microseconds from arrival to `stage`, if it was reached.
    pub fn at(&self, stage: Stage) -> Option<u32> {
        self.marks.get(stage as usize).copied().flatten()
    }

    /// The length of every leg that was travelled, with its name.
    pub fn legs(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let mut from = 0;
        STAGES.iter().filter_map(move |(stage, name)| {
            let at = self.at(*stage)?;
            let leg = at.saturating_sub(from);
            from = at;
            Some((*name, leg))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, Timeline};
    use std::time::Duration;

    #[test]
    fn a_leg_that_was_not_travelled_is_left_out() {
        let start = crate::clock::now();
        let mut timeline = Timeline::new(start);
        timeline.mark(Stage::Decided, start + Duration::from_micros(10));
        timeline.mark(Stage::Finished, start + Duration::from_micros(25));
        assert_eq!(timeline.legs().collect::<Vec<_>>(), [("decide", 10), ("reply", 15)]);
    }
}
