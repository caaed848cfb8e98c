// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is due when: a heap of times, so that ten thousand endpoints cost nothing until one of them is due.
//!
//! An entry is never taken out but when it is due. One that was overtaken, because its endpoint is due at another time
//! now, is told apart by that and passed over by whoever takes it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The check of an endpoint, by the number of its live state.
    Check(u64),
    /// The question to its agent.
    Agent(u64),
    /// The end of an ejection, a step of a slow start, or a look at one that hangs.
    Tend(u64),
    /// The failure rates of an upstream, by its number.
    Rates(u64),
}

/// Everything that is due some day.
#[derive(Debug, Default)]
pub(super) struct Queue(BinaryHeap<Reverse<(u64, Due)>>);

impl Queue {
    pub(super) fn push(&mut self, at_ns: u64, due: Due) {
        self.0.push(Reverse((at_ns, due)));
    }

    /// When the earliest is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at_ns, _))| *at_ns)
    }

    /// The earliest, if it is due.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<(u64, Due)> {
        let is_due = self.next_ns()? <= now_ns;
        is_due.then(|| self.0.pop()).flatten().map(|Reverse(entry)| entry)
    }

    /// Forgets everything, to be filled anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Queue};

    #[test]
    fn the_earliest_comes_first_and_nothing_before_its_time() {
        let mut queue = Queue::default();
        queue.push(30, Due::Check(1));
        queue.push(10, Due::Tend(2));
        queue.push(20, Due::Check(3));
        assert_eq!(queue.take(9), None);
        assert_eq!(queue.take(25), Some((10, Due::Tend(2))));
        assert_eq!(queue.take(25), Some((20, Due::Check(3))));
        assert_eq!((queue.take(25), queue.next_ns()), (None, Some(30)));
    }
}
