// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many requests a key has had in its window: one number, changed by compare-and-swap.
//!
//! The number holds the first minute of the window, the count, and whether the store lacks it. A count of an earlier
//! window is none. Workers read the clock each for themselves, so one may be in the next window while another is not:
//! a counter never goes back for that. It does if its window is further ahead than clocks of one machine can differ,
//! for then the clock was set back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::calendar::{Period, Window, minutes};

/// Most requests of a quota.
pub const REQUESTS_MAX: u64 = 30_000_000_000;

/// How far ahead the window of a counter may be before the clock must have been set back.
const AHEAD_MINUTES_MAX: u32 = 10;

const COUNT_BITS: u32 = 35;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The store lacks what has happened since.
const DIRTY: u64 = 1 << COUNT_BITS;

const WINDOW_SHIFT: u32 = COUNT_BITS + 1;

const _: () = assert!(REQUESTS_MAX < COUNT_MASK, "a count never runs into the bits above it");

/// When a counter is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now_s: i64,
    pub window: Window,
}

/// What a look or a charge found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Requests that are left.
    pub left: u64,
    /// The window it counts in.
    pub start_min: u32,
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Charges one request, unless all `requests` of the window are used.
    pub fn charge(&self, moment: Moment, requests: u64) -> Option<Charged> {
        let mut state = self.0.load(Ordering::Acquire);
        loop {
            let (start_min, count) = current(state, moment);
            let left = requests.checked_sub(count + 1)?;
            match self.0.compare_exchange_weak(
                state,
                pack(start_min, count + 1) | DIRTY,
                Ordering::SeqCst,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(Charged { left, start_min }),
                Err(other) => state = other,
            }
        }
    }

    /// What [`charge`](Self::charge) would find before it.
    pub fn peek(&self, moment: Moment, requests: u64) -> Option<Charged> {
        let (start_min, count) = current(self.0.load(Ordering::Acquire), moment);
        requests.checked_sub(count).filter(|left| *left > 0).map(|left| Charged { left, start_min })
    }

    /// Requests that were counted in the window.
    pub fn used(&self, moment: Moment) -> u64 {
        current(self.0.load(Ordering::Acquire), moment).1
    }

    /// Takes back one charge of the window that began in that minute.
    pub fn refund(&self, start_min: u32) {
        let back = |state: u64| {
            let (window, count) = unpack(state);
            (window == start_min).then_some(())?;
            count.checked_sub(1).map(|count| pack(window, count) | DIRTY)
        };
        // None to take back is no failure: the window is over, or an operator has reset it.
        self.0.fetch_update(Ordering::SeqCst, Ordering::Acquire, back).ok();
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        let none = |state: u64| Some(pack(unpack(state).0, 0) | DIRTY);
        self.0.fetch_update(Ordering::SeqCst, Ordering::Acquire, none).ok();
    }

    /// What the store remembered, if it is more than what is known. It is to be kept again: its place may be another.
    pub fn restore(&self, state: u64) {
        let more = |now: u64| (unpack(state) > unpack(now)).then_some(state | DIRTY);
        self.0.fetch_update(Ordering::SeqCst, Ordering::Acquire, more).ok();
    }

    /// Whether it may still count something of a period at a time.
    pub fn may_count(&self, period: Period, now_s: i64) -> bool {
        let (start_min, count) = unpack(self.state());
        count > 0 && start_min.saturating_add(period.minutes_max()) > minutes(now_s)
    }

    /// What is to be kept, if that has changed since the last call.
    pub fn take_changed(&self) -> Option<u64> {
        let is_changed = self.0.load(Ordering::Acquire) & DIRTY != 0;
        is_changed.then(|| self.0.fetch_and(!DIRTY, Ordering::SeqCst) & !DIRTY)
    }

    /// It could not be kept.
    pub fn keep_again(&self) {
        self.0.fetch_or(DIRTY, Ordering::SeqCst);
    }

    pub(super) fn state(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The state as the store keeps it.
    pub(super) fn state_to_keep(&self) -> u64 {
        self.state() & !DIRTY
    }

    /// Makes it that of another key, if it is still in the state that was looked at.
    pub(super) fn take_over(&self, from: u64, start_min: u32) -> bool {
        self.0.compare_exchange(from, pack(start_min, 0) | DIRTY, Ordering::SeqCst, Ordering::Acquire).is_ok()
    }
}

/// The window and the count that a state means at a moment.
fn current(state: u64, moment: Moment) -> (u32, u64) {
    let (start_min, count) = unpack(state);
    let now = moment.window.start_min;
    if start_min == now {
        return (now, count);
    }
    let next = start_min > now && start_min <= minutes(moment.now_s).saturating_add(AHEAD_MINUTES_MAX);
    if next { (start_min, count) } else { (now, 0) }
}

/// Whether a state counts anything at a moment.
pub(super) fn is_live(state: u64, moment: Moment) -> bool {
    current(state, moment).1 > 0
}

/// First minute of the window, and count.
pub(super) fn unpack(state: u64) -> (u32, u64) {
    (u32::try_from(state >> WINDOW_SHIFT).unwrap_or(u32::MAX), state & COUNT_MASK)
}

fn pack(start_min: u32, count: u64) -> u64 {
    u64::from(start_min) << WINDOW_SHIFT | count.min(COUNT_MASK)
}

#[cfg(test)]
mod tests {
    use super::{Charged, Counter, Moment, Window, pack, unpack};

    /// Windows of an hour.
    fn at(minute: u32) -> Moment {
        let start_min = minute / 60 * 60;
        Moment { now_s: i64::from(minute) * 60, window: Window { start_min, end_min: start_min + 60 } }
    }

    #[test]
    fn a_window_has_its_requests_and_the_next_one_again() {
        let counter = Counter::default();
        let charge = |minute| counter.charge(at(minute), 3).map(|charged| charged.left);
        assert_eq!([600, 601, 659].map(charge), [Some(2), Some(1), Some(0)]);
        assert_eq!([659, 659].map(charge), [None, None]);
        assert_eq!(counter.used(at(659)), 3, "a refused request is not counted");
        assert_eq!([660, 720].map(charge), [Some(2), Some(2)]);
        // A quota that shrinks below what is used refuses; nothing wraps.
        assert_eq!(counter.charge(at(720), 1), None);
        assert_eq!(counter.peek(at(720), 5).map(|charged| charged.left), Some(4));
    }

    #[test]
    fn a_worker_that_is_late_counts_in_the_next_window_and_a_clock_set_back_begins_anew() {
        let counter = Counter::default();
        assert_eq!(counter.charge(at(660), 3), Some(Charged { left: 2, start_min: 660 }));
        assert_eq!(counter.charge(at(659), 3), Some(Charged { left: 1, start_min: 660 }));
        assert_eq!(counter.charge(at(300), 3), Some(Charged { left: 2, start_min: 300 }));
    }

    #[test]
    fn a_refund_is_for_its_window_alone() {
        let counter = Counter::default();
        let first = counter.charge(at(600), 9).unwrap();
        counter.refund(first.start_min);
        counter.refund(first.start_min);
        assert_eq!(counter.used(at(600)), 0, "not below none");
        counter.charge(at(660), 9).unwrap();
        counter.refund(first.start_min);
        assert_eq!(counter.used(at(660)), 1);
        counter.reset();
        assert_eq!(counter.used(at(660)), 0);
    }

    #[test]
    fn what_changed_is_told_once() {
        let counter = Counter::default();
        assert_eq!(counter.take_changed(), None);
        counter.charge(at(600), 9).unwrap();
        counter.charge(at(600), 9).unwrap();
        assert_eq!(counter.take_changed().map(unpack), Some((600, 2)));
        assert_eq!(counter.take_changed(), None);
        counter.keep_again();
        let kept = counter.take_changed().unwrap();
        let restored = Counter::default();
        restored.charge(at(600), 9).unwrap();
        restored.restore(kept);
        restored.restore(pack(600, 1));
        restored.restore(pack(540, 7));
        assert_eq!((restored.used(at(600)), restored.take_changed()), (2, Some(kept)));
        assert_eq!(unpack(pack(u32::MAX >> 4, super::REQUESTS_MAX)), (u32::MAX >> 4, super::REQUESTS_MAX));
    }
}
