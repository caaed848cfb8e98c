// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for a place in a full upstream, and who gets the next one.
//!
//! One line for all workers: the more urgent go first, and among equals whoever came first, on whatever worker. No
//! worker has waiters of its own that another could starve. [`Line`] is that order and nothing else; [`Queue`] puts it
//! behind a lock that only requests to a full upstream ever take: everybody else reads one number. A place is not
//! handed over but called out: who is called tries like anybody else, and while anyone waits a newcomer joins the line
//! instead of trying. A call is never lost: it stays with the waiter until that one hears it, and goes on to the next
//! if that one leaves. Calls go out in the order of the line; whoever is called keeps the call though a more urgent one
//! may join before it runs, so an inversion lasts no longer than a task takes to be woken. Who is not urgent has no
//! promise but the end of its time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A place in the line: the lower urgency first, then the lower number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    urgency: u8,
    number: u64,
}

/// The line. `W` is what wakes a waiter.
#[derive(Debug)]
pub struct Line<W> {
    waiting: BTreeMap<Ticket, Slot<W>>,
    next: u64,
}

#[derive(Debug)]
struct Slot<W> {
    is_called: bool,
    waker: Option<W>,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<W> Line<W> {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A place in the line, unless so many wait already.
    pub fn join(&mut self, urgency: u8, most: usize) -> Option<Ticket> {
        if self.waiting.len() >= most {
            return None;
        }
        let ticket = Ticket { urgency, number: self.next };
        self.next += 1;
        self.waiting.insert(ticket, Slot { is_called: false, waker: None });
        Some(ticket)
    }

    /// Whether nobody is before this one.
    pub fn is_first(&self, ticket: Ticket) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    /// Calls the first, after `after`, that is not called yet, and says how to wake it.
    pub fn call(&mut self, after: Option<Ticket>) -> Option<(Ticket, Option<W>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (ticket, slot) = self.waiting.range_mut((from, Bound::Unbounded)).find(|(_, slot)| !slot.is_called)?;
        slot.is_called = true;
        Some((*ticket, slot.waker.take()))
    }

    /// Whether this one was called since it last asked; if not, `waker` will wake it.
    pub fn hear(&mut self, ticket: Ticket, waker: impl FnOnce() -> W) -> bool {
        let Some(slot) = self.waiting.get_mut(&ticket) else { return false };
        if !slot.is_called {
            slot.waker = Some(waker());
        }
        std::mem::take(&mut slot.is_called)
    }

    /// Leaves the line; whether it had been called and did not hear, so that another must be.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(&ticket).is_some_and(|slot| slot.is_called)
    }
}

/// The line of one upstream, over all workers.
#[derive(Debug, Default)]
pub struct Queue {
    /// How long the line is, for those who do not want to lock it.
    waiting: AtomicU32,
    line: Mutex<Line<Waker>>,
    timeouts: AtomicU64,
    waited_us: AtomicU64,
}

impl Queue {
    /// How many wait.
    ///
    /// Whoever frees a place changes the count of what is free before it asks this, and whoever joins is counted here
    /// before it looks for a place. All four are sequentially consistent, so one of the two always sees the other.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Requests that waited in vain.
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// Microseconds that requests have waited, all together.
    pub fn waited_us(&self) -> u64 {
        self.waited_us.load(Ordering::Relaxed)
    }

    /// Counts a wait that is over.
    pub fn note(&self, waited: Duration, is_timeout: bool) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waited_us.fetch_add(micros, Ordering::Relaxed);
        self.timeouts.fetch_add(u64::from(is_timeout), Ordering::Relaxed);
    }

    /// A place in the line, unless `most` wait already.
    pub fn join(&self, urgency: u8, most: u32) -> Option<Waiter<'_>> {
        let mut line = self.line();
        let ticket = line.join(urgency, most as usize)?;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Some(Waiter { queue: self, ticket })
    }

    /// A place became free: calls whoever is next, if anybody waits.
    pub fn call(&self) {
        if self.waiting() > 0 {
            self.call_after(None);
        }
    }

    #[cold]
    fn call_after(&self, after: Option<Ticket>) {
        let called = self.line().call(after);
        // Woken outside the lock: a waker may run code of its own.
        if let Some((_, Some(waker))) = called {
            waker.wake();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<Waker>> {
        // The line is whole between any two of its methods, so a panic elsewhere has not broken it.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits. Dropping it leaves the line.
#[derive(Debug)]
pub struct Waiter<'q> {
    queue: &'q Queue,
    ticket: Ticket,
}

impl Waiter<'_> {
    /// Whether nobody is before it.
    pub fn is_first(&self) -> bool {
        self.queue.line().is_first(self.ticket)
    }

    /// Ready once a place was called out for it.
    pub fn poll_called(&self, cx: &Context<'_>) -> Poll<()> {
        if self.queue.line().hear(self.ticket, || cx.waker().clone()) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// It was called and the place is of no use to it: calls the next one behind it.
    pub fn pass_on(&self) {
        self.queue.call_after(Some(self.ticket));
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let was_called = self.queue.line().leave(self.ticket);
        self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        if was_called {
            self.queue.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{Line, Queue};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_urgent_go_first_and_equals_in_turn() {
        let mut line = Line::<()>::default();
        let [late, early, urgent, last] = [3, 3, 0, 7].map(|urgency| line.join(urgency, 9).expect("there is room"));
        let order: Vec<_> = std::iter::from_fn(|| line.call(None).map(|(ticket, _)| ticket)).collect();
        assert_eq!(order, [urgent, late, early, last]);
        assert!(line.is_first(urgent) && !line.is_first(late));
    }

    #[test]
    fn the_line_is_bounded() {
        let mut line = Line::<()>::default();
        let first = line.join(3, 1).expect("there is room");
        assert!(line.join(0, 1).is_none());
        assert!(!line.leave(first), "nobody called it");
        assert!(line.join(0, 1).is_some());
        assert!(Line::<()>::default().join(0, 0).is_none(), "no queue at all");
    }

    #[test]
    fn a_call_is_heard_once_and_passed_on_by_whoever_leaves() {
        let (queue, count) = (Queue::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let (first, second) = (queue.join(3, 9).expect("room"), queue.join(3, 9).expect("room"));
        assert!(first.poll_called(&cx).is_pending() && second.poll_called(&cx).is_pending());
        queue.call();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(first);
        assert_eq!((queue.waiting(), count.0.load(Ordering::Relaxed)), (1, 2), "its call went to the next");
        assert!(second.poll_called(&cx).is_ready() && second.poll_called(&cx).is_pending());
        drop(second);
        queue.call();
        assert_eq!((queue.waiting(), count.0.load(Ordering::Relaxed)), (0, 2));
    }
}
