// SPDX-License-Identifier: MIT OR Apache-2.0
//! The circuit breaker of an upstream: refuses at once while everything fails, and lets one request through from time to
//! time to see.
//!
//! One breaker for all workers, atomics only: while it is closed a request costs one load before and one after. It takes
//! the time as an argument. What must stay true: at most one probe is out at any time, and a probe that ends without
//! an answer (its client left) makes room for another.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The time over which the rate of failures is counted.
const WINDOW_S: u64 = 10;

/// One slot per second of the window.
const SLOTS: usize = 10;

const _: () = assert!(SLOTS as u64 == WINDOW_S, "a slot is reused just when it has left the window");

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row; 0 does not count them.
    pub consecutive: u32,
    /// Failures of the window in per cent; 0 does not look.
    pub percent: u32,
    /// Fewest requests of the window for the rate to say anything.
    pub requests: u32,
    pub open: Duration,
    pub open_max: Duration,
}

/// What a request is told.
#[derive(Debug)]
pub enum Admission {
    Pass,
    /// It is the one that shows whether the upstream is back.
    Probe(Probe),
    Refuse {
        /// Until the next probe may go.
        left: Duration,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Good,
    Failed,
}

/// A change of state, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Opened { why: Why, open: Duration },
    Closed,
}

/// What opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Consecutive(u32),
    Rate { failures: u32, requests: u32 },
    Probe,
}

impl Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive(count) => write!(f, "{count} requests failed in a row"),
            Self::Rate { failures, requests } => {
                write!(f, "{failures} of {requests} requests failed in {WINDOW_S} s")
            }
            Self::Probe => f.write_str("the request that was let through failed as well"),
        }
    }
}

impl Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { why, open } => write!(f, "the circuit breaker is open for {open:?}: {why}"),
            Self::Closed => f.write_str("the circuit breaker is closed: the request that was let through succeeded"),
        }
    }
}

/// Set in [`Breaker::gate`] while a probe is out.
const PROBING: u64 = 1;

/// The state that all workers share.
#[derive(Debug, Default)]
pub struct Breaker {
    /// 0 while it is closed; else the nanosecond from which a probe may go, its lowest bit being [`PROBING`].
    gate: AtomicU64,
    /// Times it was opened since it last closed.
    opened: AtomicU32,
    failures: AtomicU32,
    window: Window,
    /// What opened it last, as a code for [`Breaker::why`].
    reason: AtomicU64,
}

impl Breaker {
    /// Whether requests pass as if there were no breaker.
    pub fn is_closed(&self) -> bool {
        self.gate.load(Ordering::Acquire) == 0
    }

    /// Whether a request may go.
    pub fn admit(self: &Arc<Self>, now_ns: u64) -> Admission {
        let gate = self.gate.load(Ordering::Acquire);
        if gate == 0 {
            return Admission::Pass;
        }
        if gate & PROBING == 0 && now_ns >= gate {
            let taken = self.gate.compare_exchange(gate, gate | PROBING, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                return Admission::Probe(Probe { breaker: Some(Arc::clone(self)) });
            }
        }
        Admission::Refuse { left: Duration::from_nanos(gate.saturating_sub(now_ns)) }
    }

    /// How long until a probe may go; none while it is closed.
    pub fn left(&self, now_ns: u64) -> Option<Duration> {
        let gate = self.gate.load(Ordering::Acquire);
        (gate != 0).then(|| Duration::from_nanos(gate.saturating_sub(now_ns)))
    }

    /// What opened it last.
    pub fn why(&self) -> Why {
        let code = self.reason.load(Ordering::Relaxed);
        let (failures, requests) = ((code >> 32) as u32, (code & u64::from(u32::MAX)) as u32);
        match (failures, requests) {
            (0, _) => Why::Probe,
            (failures, 0) => Why::Consecutive(failures),
            (failures, requests) => Why::Rate { failures, requests },
        }
    }

    /// Learns from a request that passed and was no probe.
    pub fn observe(&self, rules: &Rules, ending: Ending, now_ns: u64) -> Option<Transition> {
        if rules.percent > 0 {
            self.window.count(ending, now_ns);
        }
        match ending {
            Ending::Good => {
                // Read before it is written: while all is well the line stays shared between the workers.
                if self.failures.load(Ordering::Relaxed) != 0 {
                    self.failures.store(0, Ordering::Relaxed);
                }
                None
            }
            Ending::Failed => self.observe_failure(rules, now_ns),
        }
    }

    #[cold]
    fn observe_failure(&self, rules: &Rules, now_ns: u64) -> Option<Transition> {
        let in_a_row = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let why = if rules.consecutive > 0 && in_a_row >= rules.consecutive {
            Why::Consecutive(in_a_row)
        } else {
            let (requests, failures) = if rules.percent > 0 { self.window.counted(now_ns) } else { return None };
            let share = u64::from(failures) * 100 >= u64::from(requests) * u64::from(rules.percent);
            if requests < rules.requests.max(1) || !share {
                return None;
            }
            Why::Rate { failures, requests }
        };
        self.open(rules, 0, why, now_ns)
    }

    /// Opens it if its gate is still `from`.
    fn open(&self, rules: &Rules, from: u64, why: Why, now_ns: u64) -> Option<Transition> {
        let times = self.opened.load(Ordering::Relaxed);
        let open = rules.open.saturating_mul(1 << times.min(20)).min(rules.open_max.max(rules.open));
        let until = now_ns.saturating_add(u64::try_from(open.as_nanos()).unwrap_or(u64::MAX));
        // Never 0, which would be closed, and without the bit of a probe.
        let gate = (until & !PROBING).max(PROBING << 1);
        self.gate.compare_exchange(from, gate, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.opened.store(times.saturating_add(1), Ordering::Relaxed);
        self.reason.store(code_of(why), Ordering::Relaxed);
        Some(Transition::Opened { why, open })
    }

    fn close(&self) -> Transition {
        self.opened.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.window.forget();
        self.gate.store(0, Ordering::Release);
        Transition::Closed
    }
}

fn code_of(why: Why) -> u64 {
    match why {
        Why::Probe => 0,
        Why::Consecutive(failures) => u64::from(failures) << 32,
        Why::Rate { failures, requests } => u64::from(failures) << 32 | u64::from(requests),
    }
}

/// The one request that may go while it is open.
#[derive(Debug)]
pub struct Probe {
    /// None once it has ended.
    breaker: Option<Arc<Breaker>>,
}

impl Probe {
    /// It has ended, so the breaker closes or stays open for longer.
    pub fn end(mut self, rules: &Rules, ending: Ending, now_ns: u64) -> Option<Transition> {
        let breaker = self.breaker.take()?;
        match ending {
            Ending::Good => Some(breaker.close()),
            Ending::Failed => {
                let gate = breaker.gate.load(Ordering::Acquire);
                breaker.open(rules, gate, Why::Probe, now_ns)
            }
        }
    }
}

impl Drop for Probe {
    /// It ended without an answer, which says nothing: another may go.
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.gate.fetch_and(!PROBING, Ordering::AcqRel);
        }
    }
}

/// Requests and failures of the last seconds. A slot is one word: second (24 bits), requests (20), failures (20).
#[derive(Debug, Default)]
struct Window {
    slots: [AtomicU64; SLOTS],
}

const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MAX: u64 = (1 << 24) - 1;

impl Window {
    fn count(&self, ending: Ending, now_ns: u64) {
        let second = (now_ns / 1_000_000_000) & SECOND_MAX;
        let place = usize::try_from(second).unwrap_or_default() % SLOTS;
        let Some(slot) = self.slots.get(place) else { return };
        let failed = u64::from(ending == Ending::Failed);
        let counted = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let (requests, failures) = if old >> (2 * COUNT_BITS) == second {
                ((old >> COUNT_BITS) & COUNT_MAX, old & COUNT_MAX)
            } else {
                (0, 0)
            };
            let (requests, failures) = ((requests + 1).min(COUNT_MAX), (failures + failed).min(COUNT_MAX));
            Some(second << (2 * COUNT_BITS) | requests << COUNT_BITS | failures)
        });
        debug_assert!(counted.is_ok(), "the closure always gives a value");
    }

    /// Requests and failures of the window that ends now.
    fn counted(&self, now_ns: u64) -> (u32, u32) {
        let second = (now_ns / 1_000_000_000) & SECOND_MAX;
        let words = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        let live = words.filter(|word| second.wrapping_sub(word >> (2 * COUNT_BITS)) & SECOND_MAX < WINDOW_S);
        live.fold((0, 0), |(requests, failures), word| {
            (requests + ((word >> COUNT_BITS) & COUNT_MAX) as u32, failures + (word & COUNT_MAX) as u32)
        })
    }

    fn forget(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Admission, Breaker, Ending, Rules, Transition};

    const SECOND: u64 = 1_000_000_000;

    fn rules() -> Rules {
        let (open, open_max) = (Duration::from_secs(1), Duration::from_secs(5));
        Rules { consecutive: 3, percent: 50, requests: 20, open, open_max }
    }

    fn say(transition: Option<Transition>) -> String {
        transition.map_or_else(String::new, |transition| transition.to_string())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_a_good_probe() {
        let (breaker, rules) = (Arc::new(Breaker::default()), rules());
        for ending in [Ending::Failed, Ending::Failed, Ending::Good, Ending::Failed, Ending::Failed] {
            assert_eq!(breaker.observe(&rules, ending, SECOND), None);
        }
        let opened = say(breaker.observe(&rules, Ending::Failed, SECOND));
        assert_eq!(opened, "the circuit breaker is open for 1s: 3 requests failed in a row");
        assert!(breaker.observe(&rules, Ending::Failed, SECOND).is_none(), "it is open already");
        let Admission::Refuse { left } = breaker.admit(SECOND + SECOND / 4) else { panic!("it is open") };
        assert_eq!(left, Duration::from_millis(750));
        let Admission::Probe(probe) = breaker.admit(2 * SECOND) else { panic!("its time is over") };
        assert!(matches!(breaker.admit(9 * SECOND), Admission::Refuse { .. }), "one probe at a time");
        let closed = say(probe.end(&rules, Ending::Good, 3 * SECOND));
        assert_eq!(closed, "the circuit breaker is closed: the request that was let through succeeded");
        assert!(breaker.is_closed() && matches!(breaker.admit(3 * SECOND), Admission::Pass));
        assert_eq!(breaker.observe(&rules, Ending::Failed, 3 * SECOND), None, "the count began anew");
    }

    #[test]
    fn each_failed_probe_doubles_the_time() {
        let (breaker, rules) = (Arc::new(Breaker::default()), rules());
        (0..3).for_each(|_| _ = breaker.observe(&rules, Ending::Failed, SECOND));
        let mut now = SECOND;
        for open in [1, 2, 4, 5, 5] {
            assert_eq!(breaker.left(now), Some(Duration::from_secs(open)), "at {now}");
            now += open * SECOND;
            let Admission::Probe(probe) = breaker.admit(now) else { panic!("its time is over") };
            let why = say(probe.end(&rules, Ending::Failed, now));
            assert!(why.ends_with("the request that was let through failed as well"), "{why}");
        }
        let Admission::Probe(probe) = breaker.admit(now + 5 * SECOND) else { panic!("its time is over") };
        drop(probe);
        assert!(matches!(breaker.admit(now + 5 * SECOND), Admission::Probe(_)), "that one said nothing");
    }

    #[test]
    fn it_opens_by_the_rate_of_ten_seconds() {
        let (breaker, rules) = (Arc::new(Breaker::default()), Rules { consecutive: 0, ..rules() });
        let at = |n: u64| SECOND * n / 2;
        for n in 0..19 {
            let ending = if n % 2 == 0 { Ending::Good } else { Ending::Failed };
            assert_eq!(breaker.observe(&rules, ending, at(n)), None, "too few to say anything: {n}");
        }
        let opened = say(breaker.observe(&rules, Ending::Failed, at(19)));
        assert_eq!(opened, "the circuit breaker is open for 1s: 10 of 20 requests failed in 10 s");
        assert_eq!(breaker.why().to_string(), "10 of 20 requests failed in 10 s");
    }
}
