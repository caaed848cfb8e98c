// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of the copies that a route's mirror was to make. A copy is no exchange: nobody waits for it, so it is
//! counted here and nowhere else, and recorded by nobody.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The endpoint answered, whatever it said.
    Sent,
    /// It did not.
    Failed,
    /// None was made: its body was too long or did not come whole, or too many were under way.
    Skipped,
}

impl Copied {
    pub(super) const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Skipped];

    /// The word for it in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The counts of one mirror. Copies are rarer than requests, so all workers share them.
#[derive(Debug, Default)]
pub struct Copies {
    sent: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

impl Copies {
    fn cell(&self, copied: Copied) -> &AtomicU64 {
        match copied {
            Copied::Sent => &self.sent,
            Copied::Failed => &self.failed,
            Copied::Skipped => &self.skipped,
        }
    }

    /// Counts one.
    pub fn count(&self, copied: Copied) {
        self.cell(copied).fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn of(&self, copied: Copied) -> u64 {
        self.cell(copied).load(Ordering::Relaxed)
    }
}
