// SPDX-License-Identifier: MIT OR Apache-2.0
//! So many in a second and no more, and how many were held back: what keeps a storm of failures from becoming a storm
//! of log lines. It takes the second as an argument and belongs to one thread.

use std::cell::Cell;

/// A number of things that may happen in a second.
#[derive(Debug)]
pub(super) struct Brake {
    per_second: u32,
    second: Cell<u64>,
    used: Cell<u32>,
    /// Held back since the last one that passed.
    held: Cell<u64>,
}

impl Brake {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, second: Cell::new(0), used: Cell::new(0), held: Cell::new(0) }
    }

    /// `Some(how many were held back before)` if one more may happen in this second.
    pub(super) fn pass(&self, second: u64) -> Option<u64> {
        if self.second.replace(second) != second {
            self.used.set(0);
        }
        if self.used.get() >= self.per_second {
            self.held.set(self.held.get() + 1);
            return None;
        }
        self.used.set(self.used.get() + 1);
        Some(self.held.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Brake;

    #[test]
    fn a_brake_opens_again_and_says_what_it_held() {
        let brake = Brake::new(2);
        let passed: Vec<_> = [5, 5, 5, 5, 6].into_iter().map(|second| brake.pass(second)).collect();
        assert_eq!(passed, [Some(0), Some(0), None, None, Some(2)]);
    }
}
