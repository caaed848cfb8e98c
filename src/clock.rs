// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only source of `now()`.
//!
//! Two clocks: [`now`] is monotonic and for measuring and deadlines; [`wall_ms`] is for what a person or another
//! machine reads. Pure cores (route, balance, limits, retry) take time as an argument and never call this module.
//! [`Deadlines`] is the third: the coarse clock of one worker, for the timeouts of its connections.
#![expect(clippy::disallowed_methods, reason = "this file is the one place that may read a clock")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slab::Slab;

/// A monotonic instant. Reading it costs about 25 ns (vDSO), so a stage takes it once and passes it on.
pub fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since the process first asked: a monotonic time that fits an atomic, as the limit table needs.
pub fn since_start_ns() -> u64 {
    since_start_ns_at(Instant::now())
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// The nanoseconds of [`since_start_ns`] at an instant already in hand.
pub fn since_start_ns_at(instant: Instant) -> u64 {
    u64::try_from(instant.saturating_duration_since(start()).as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// How often a worker looks for expired deadlines, and so their precision.
pub const TICK: Duration = Duration::from_millis(100);

/// The tick of a deadline that is not armed.
const NEVER: u64 = u64::MAX;

/// The deadlines of one worker. Arming one writes a number into a slab: no timer, no syscall, no clock read. That is
/// why every request and every idle connection can have one. The price is precision: a deadline passes up to two
/// [`TICK`]s late and never early, as long as the worker itself is not held up.
#[derive(Clone, Debug)]
pub struct Deadlines {
    wheel: Rc<Wheel>,
}

#[derive(Debug)]
struct Wheel {
    origin: Instant,
    now: Cell<Instant>,
    tick: Cell<u64>,
    /// No armed deadline lies before this tick, so a tick before it looks at nothing.
    earliest: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    /// Whether it guards a wait for work that need not come, so that [`Deadlines::expire_idle`] may end it.
    is_idle: bool,
    /// What it waits for, as a number of its owner's, so that [`Deadlines::cut`] may end it.
    group: u64,
    /// Whether it was cut: it has passed and cannot be armed again.
    is_cut: bool,
    waker: Option<Waker>,
}

/// The group of a deadline that nobody cuts.
const NO_GROUP: u64 = 0;

impl Deadlines {
    /// A worker's deadlines, counted from `now`. Nothing passes until [`Deadlines::drive`] or [`Deadlines::tick`] runs.
    pub fn new(now: Instant) -> Self {
        let wheel = Wheel {
            origin: now,
            now: Cell::new(now),
            tick: Cell::new(0),
            earliest: Cell::new(NEVER),
            entries: RefCell::new(Slab::new()),
        };
        Self { wheel: Rc::new(wheel) }
    }

    /// A deadline that passes after `after`.
    pub fn guard(&self, after: Duration) -> Deadline {
        let deadline = self.unarmed();
        deadline.reset(after);
        deadline
    }

    /// A deadline that never passes until it is [`Deadline::reset`]: what a connection keeps for its whole life.
    pub fn unarmed(&self) -> Deadline {
        let key = self.wheel.entries.borrow_mut().insert(Entry {
            at: NEVER,
            is_idle: false,
            group: NO_GROUP,
            is_cut: false,
            waker: None,
        });
        Deadline { wheel: Rc::clone(&self.wheel), key }
    }

    /// The instant of the last tick: a free clock for ages and idle times that need no better than [`TICK`].
    pub fn now(&self) -> Instant {
        self.wheel.now.get()
    }

    /// How many deadlines exist, armed or not.
    pub fn len(&self) -> usize {
        self.wheel.entries.borrow().len()
    }

    /// Whether no deadline exists.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the coarse clock to `now` and wakes every task whose deadline has passed.
    pub fn tick(&self, now: Instant) {
        let wheel = &*self.wheel;
        let elapsed = now.saturating_duration_since(wheel.origin);
        let tick = u64::try_from(elapsed.as_nanos() / TICK.as_nanos()).unwrap_or(NEVER - 1);
        wheel.now.set(now);
        wheel.tick.set(tick);
        if wheel.earliest.get() > tick {
            return;
        }
        for waker in wheel.take_expired(tick) {
            waker.wake();
        }
    }

    /// Ends every wait that was armed with [`Deadline::reset_idle`], now. Whoever waits looks once more for work first.
    pub fn expire_idle(&self) {
        for waker in self.wheel.take_idle() {
            waker.wake();
        }
    }

    /// Ends every wait of a group for good, now: its deadlines have passed and cannot be armed again.
    pub fn cut(&self, group: u64) {
        let mut wakers = Vec::new();
        for (_, entry) in self.wheel.entries.borrow_mut().iter_mut().filter(|(_, entry)| entry.group == group) {
            (entry.at, entry.is_cut) = (0, true);
            wakers.extend(entry.waker.take());
        }
        for waker in wakers {
            waker.wake();
        }
    }

    /// Ticks for ever: the one timer of a worker. The worker spawns it.
    pub async fn drive(self) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            self.tick(now());
        }
    }
}

impl Wheel {
    fn take_idle(&self) -> Vec<Waker> {
        let tick = self.tick.get();
        let mut entries = self.entries.borrow_mut();
        let idle = entries.iter_mut().map(|(_, entry)| entry).filter(|entry| entry.is_idle && entry.at != NEVER);
        let ended = idle.filter_map(|entry| {
            entry.at = tick;
            entry.waker.take()
        });
        ended.collect()
    }

    /// Collected before they are woken, so that whatever a waker does may arm a deadline again.
    fn take_expired(&self, tick: u64) -> Vec<Waker> {
        let mut earliest = NEVER;
        let mut expired = Vec::new();
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if entry.at > tick {
                earliest = earliest.min(entry.at);
            } else if let Some(waker) = entry.waker.take() {
                expired.push(waker);
            }
        }
        self.earliest.set(earliest);
        expired
    }
}

/// One deadline. It is re-armed for each wait rather than made anew, and belongs to one task at a time.
#[derive(Debug)]
pub struct Deadline {
    wheel: Rc<Wheel>,
    key: usize,
}

impl Deadline {
    /// Arms it like [`Deadline::reset`], for a wait that [`Deadlines::expire_idle`] may end.
    pub fn reset_idle(&self, after: Duration) {
        self.reset(after);
        if let Some(entry) = self.wheel.entries.borrow_mut().get_mut(self.key) {
            entry.is_idle = true;
        }
    }

    /// Arms it, or arms it again, to pass after `after` from now.
    pub fn reset(&self, after: Duration) {
        // One tick more than the quotient: the coarse clock lags by up to a tick, and a deadline must not be early.
        let ticks = u64::try_from(after.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(NEVER);
        let at = self.wheel.tick.get().saturating_add(ticks).saturating_add(1);
        self.set(at);
        self.wheel.earliest.set(self.wheel.earliest.get().min(at));
    }

    /// It does not pass until it is armed again.
    pub fn disarm(&self) {
        self.set(NEVER);
    }

    /// Disarms it and lets go of the task that polled it last, so that what is kept idle keeps no finished task alive.
    pub fn release(&self) {
        if let Some(entry) = self.wheel.entries.borrow_mut().get_mut(self.key) {
            (entry.at, entry.waker) = (NEVER, None);
        }
    }

    fn set(&self, at: u64) {
        if let Some(entry) = self.wheel.entries.borrow_mut().get_mut(self.key).filter(|entry| !entry.is_cut) {
            entry.at = at;
            entry.is_idle = false;
        }
    }

    /// Makes it one of a group, any number but 0, that [`Deadlines::cut`] ends together.
    pub fn join(&self, group: u64) {
        if let Some(entry) = self.wheel.entries.borrow_mut().get_mut(self.key) {
            entry.group = group;
        }
    }

    /// Whether its group was cut.
    pub fn is_cut(&self) -> bool {
        self.wheel.entries.borrow().get(self.key).is_some_and(|entry| entry.is_cut)
    }

    /// Whether it has passed.
    pub fn is_expired(&self) -> bool {
        self.wheel.entries.borrow().get(self.key).is_none_or(|entry| entry.at <= self.wheel.tick.get())
    }

    /// Ready once it has passed; until then the task of `cx` is the one that will be woken.
    pub fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        let mut entries = self.wheel.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else { return Poll::Ready(()) };
        if entry.at <= self.wheel.tick.get() {
            return Poll::Ready(());
        }
        // A connection polls this on every wait: the waker of the same task is not cloned twice.
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until it has passed.
    pub async fn expired(&self) {
        poll_fn(|cx| self.poll_expired(cx)).await;
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.wheel.entries.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use super::{Deadlines, TICK, now};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One deadline armed for `after_ms` at `armed_ms`, and the times at which it has not and has passed.
    fn check(after_ms: u64, armed_ms: u64, pending_ms: u64, passed_ms: u64) {
        let (start, count) = (now(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let deadlines = Deadlines::new(start);
        deadlines.tick(start + Duration::from_millis(armed_ms));
        let deadline = deadlines.guard(Duration::from_millis(after_ms));
        assert!(deadline.poll_expired(&cx).is_pending(), "{after_ms} at {armed_ms}: passed at once");
        deadlines.tick(start + Duration::from_millis(pending_ms));
        assert!(!deadline.is_expired(), "{after_ms} at {armed_ms}: early");
        for _ in 0..2 {
            deadlines.tick(start + Duration::from_millis(passed_ms));
        }
        assert!(deadline.poll_expired(&cx).is_ready(), "{after_ms} at {armed_ms}: late");
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "{after_ms} at {armed_ms}: woken once");
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        check(0, 0, 99, 100);
        check(100, 0, 199, 200);
        check(150, 0, 299, 300);
        check(1_000, 550, 1_599, 1_600);
        check(60_000, 12_345, 72_399, 72_400);
    }

    #[test]
    fn reset_and_disarm_move_the_one_entry() {
        let start = now();
        let deadlines = Deadlines::new(start);
        let deadline = deadlines.guard(TICK);
        deadline.reset(TICK * 10);
        deadlines.tick(start + TICK * 5);
        assert!(!deadline.is_expired());
        deadline.disarm();
        deadlines.tick(start + TICK * 500);
        assert!(!deadline.is_expired());
        deadline.reset(Duration::MAX);
        assert!(!deadline.is_expired());
        assert_eq!(deadlines.len(), 1);
        drop(deadline);
        assert!(deadlines.is_empty());
    }

    #[test]
    fn a_group_is_cut_for_good_and_no_other() {
        let (count, deadlines) = (Arc::new(Count::default()), Deadlines::new(now()));
        let waker = Waker::from(Arc::clone(&count));
        let (cut, other) = (deadlines.unarmed(), deadlines.guard(TICK));
        cut.join(7);
        other.join(8);
        assert!(cut.poll_expired(&Context::from_waker(&waker)).is_pending());
        deadlines.cut(7);
        assert!(cut.is_cut() && cut.is_expired() && !other.is_cut() && !other.is_expired());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        cut.reset(TICK * 100);
        cut.disarm();
        assert!(cut.is_expired(), "it cannot be armed again");
    }

    #[test]
    fn a_released_deadline_holds_no_task() {
        let (count, deadlines) = (Arc::new(Count::default()), Deadlines::new(now()));
        let waker = Waker::from(Arc::clone(&count));
        let deadline = deadlines.guard(TICK);
        assert!(deadline.poll_expired(&Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 2);
        deadline.release();
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn the_clock_follows_the_ticks() {
        let start = now();
        let deadlines = Deadlines::new(start);
        deadlines.tick(start + TICK);
        assert_eq!(deadlines.now(), start + TICK);
    }
}
