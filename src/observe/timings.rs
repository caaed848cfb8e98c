// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long an exchange spent in each stage. The stages are those of the journey, in travel order; the words for them
//! are an interface: they stand on every timeline.

use std::cell::Cell;

use weirgate_store::wire::TimelineStep;

/// The stages that are timed, in travel order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Route,
    Policies,
    /// Waiting for a free connection.
    Queue,
    Connect,
    /// Sending the request.
    Send,
    /// From the end of the request to the head of the reply.
    Wait,
    /// Passing the reply on.
    Reply,
}

impl Stage {
    /// All stages in travel order; the index of a stage is its discriminant.
    pub const ALL: [Self; 7] =
        [Self::Route, Self::Policies, Self::Queue, Self::Connect, Self::Send, Self::Wait, Self::Reply];

    /// The number of stages.
    pub const COUNT: usize = Self::ALL.len();

    /// The word for it on a timeline.
    pub fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Policies => "policies",
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Reply => "reply",
        }
    }
}

/// Microseconds per stage; `None` for a stage the exchange did not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings([Cell<Option<u64>>; Stage::COUNT]);

impl Timings {
    /// Adds time to a stage: a retry passes some stages twice.
    pub fn add(&self, stage: Stage, micros: u64) {
        if let Some(slot) = self.0.get(stage as usize) {
            slot.set(Some(slot.get().unwrap_or(0) + micros));
        }
    }

    /// The time of a stage.
    pub fn of(&self, stage: Stage) -> Option<u64> {
        self.0.get(stage as usize).and_then(Cell::get)
    }

    pub(super) fn timeline(&self) -> Vec<TimelineStep> {
        let step = |stage: Stage| Some(TimelineStep { stage: stage.name().to_owned(), micros: self.of(stage)? });
        Stage::ALL.into_iter().filter_map(step).collect()
    }
}
