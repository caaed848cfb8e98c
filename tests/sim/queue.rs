// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queue of an upstream and its limits through random arrivals, departures and ends: never more in flight than the
//! limit, never more waiting than the bound, calls in order of urgency and arrival, no waiter lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use weirgate::upstream::limits::{Load, Place};
use weirgate::upstream::queue::{Line, Ticket, Waiter};

const STEPS: u32 = 300_000;

/// The line against a sorted list of who waits, with calls on the way.
#[test]
fn the_line_is_ordered_and_bounded() {
    super::simulate("line", |random| {
        let mut line = Line::<()>::default();
        // Who waits: by urgency and arrival, with whether it was called.
        let mut want: BTreeMap<(u8, u32), (Ticket, bool)> = BTreeMap::new();
        for step in 0..STEPS {
            match random.u8(0..10) {
                0..4 => {
                    let (urgency, most) = (random.u8(0..8), random.usize(0..50));
                    let joined = line.join(urgency, most);
                    assert_eq!(joined.is_some(), want.len() < most, "step {step}");
                    want.extend(joined.map(|ticket| ((urgency, step), (ticket, false))));
                }
                4..7 => {
                    let called = line.call(None).map(|(ticket, _)| ticket);
                    let next = want.values_mut().find(|(_, is_called)| !*is_called);
                    assert_eq!(called, next.as_ref().map(|(ticket, _)| *ticket), "step {step}");
                    if let Some((_, is_called)) = next {
                        *is_called = true;
                    }
                }
                turn => {
                    let Some(key) = want.keys().nth(random.usize(0..want.len().max(1))).copied() else { continue };
                    let (ticket, is_called) = want[&key];
                    assert_eq!(line.is_first(ticket), want.keys().next() == Some(&key), "step {step}");
                    if turn == 7 {
                        assert_eq!(line.hear(ticket, || ()), is_called, "step {step}");
                        want.insert(key, (ticket, false));
                    } else {
                        assert_eq!(line.leave(ticket), is_called, "step {step}: a call must not leave with it");
                        want.remove(&key);
                    }
                }
            }
            assert_eq!(line.len(), want.len(), "step {step}");
        }
    });
}

#[derive(Default)]
struct Task {
    is_woken: AtomicBool,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
    }
}

/// A request that waits, as the gateway lets it wait.
struct Waiting<'q> {
    waiter: Waiter<'q>,
    task: Arc<Task>,
}

impl Waiting<'_> {
    /// Tries as often as it was called; its place if it got one.
    fn poll(&self, load: &Arc<Load>, limit: u32) -> Option<Place> {
        let waker = Waker::from(Arc::clone(&self.task));
        while self.waiter.poll_called(&Context::from_waker(&waker)).is_ready() {
            if let Some(place) = load.take(limit) {
                return Some(place);
            }
        }
        None
    }
}

/// Whatever order the tasks of all workers are woken in: the invariants of the file, and in the end all are served.
#[test]
fn no_waiter_is_lost() {
    super::simulate("queue", |random| {
        for _ in 0..200 {
            let (limit, most) = (random.u32(1..20), random.u32(0..40));
            let load = Arc::new(Load::default());
            let (mut waiting, mut places): (Vec<Waiting<'_>>, Vec<Place>) = (Vec::new(), Vec::new());
            for _ in 0..2_000 {
                match random.u8(0..8) {
                    0..3 => arrive(random, &load, (limit, most), &mut waiting, &mut places),
                    3..5 if !places.is_empty() => drop(places.swap_remove(random.usize(0..places.len()))),
                    5 if !waiting.is_empty() && random.u8(..) < 60 => {
                        drop(waiting.swap_remove(random.usize(0..waiting.len())));
                    }
                    _ => run_one(random, &load, limit, &mut waiting, &mut places),
                }
                assert!(load.requests() <= limit, "{} in flight, {limit} may be", load.requests());
                assert_eq!(load.requests() as usize, places.len(), "places are counted");
                assert!(waiting.len() <= most as usize, "{} wait, {most} may", waiting.len());
                assert_eq!(load.queue.waiting() as usize, waiting.len());
            }
            // Nobody new comes: everybody who waits is served, each as soon as there is a place.
            while !waiting.is_empty() {
                let before = waiting.len();
                run_all(&load, limit, &mut waiting, &mut places);
                let is_served = waiting.len() < before || places.pop().is_some();
                assert!(is_served, "{before} wait for ever with {} of {limit} places taken", load.requests());
            }
        }
    });
}

/// A newcomer takes a place only if nobody waits; else it joins the line, if that is not full.
fn arrive<'q>(
    random: &mut fastrand::Rng,
    load: &'q Arc<Load>,
    (limit, most): (u32, u32),
    waiting: &mut Vec<Waiting<'q>>,
    places: &mut Vec<Place>,
) {
    if load.queue.waiting() == 0
        && let Some(place) = load.take(limit)
    {
        places.push(place);
        return;
    }
    let urgency = random.u8(0..8);
    if let Some(waiter) = load.queue.join(urgency, most) {
        let waiting_one = Waiting { waiter, task: Arc::default() };
        // As the gateway does: it looks once when it has joined, if nobody is before it.
        match waiting_one.waiter.is_first().then(|| load.take(limit)).flatten() {
            Some(place) => places.push(place),
            None => {
                places.extend(waiting_one.poll(load, limit));
                waiting.push(waiting_one);
            }
        }
    }
}

/// One of the woken tasks runs.
fn run_one(
    random: &mut fastrand::Rng,
    load: &Arc<Load>,
    limit: u32,
    waiting: &mut Vec<Waiting<'_>>,
    places: &mut Vec<Place>,
) {
    let woken: Vec<_> = (0..waiting.len()).filter(|at| waiting[*at].task.is_woken.load(Ordering::SeqCst)).collect();
    let Some(at) = woken.get(random.usize(0..woken.len().max(1))).copied() else { return };
    waiting[at].task.is_woken.store(false, Ordering::SeqCst);
    if let Some(place) = waiting[at].poll(load, limit) {
        places.push(place);
        waiting.swap_remove(at);
    }
}

fn run_all(load: &Arc<Load>, limit: u32, waiting: &mut Vec<Waiting<'_>>, places: &mut Vec<Place>) {
    let mut at = 0;
    while at < waiting.len() {
        match waiting[at].poll(load, limit) {
            Some(place) => {
                places.push(place);
                waiting.swap_remove(at);
            }
            None => at += 1,
        }
    }
}

/// The same with real threads, where a place is freed while another thread is about to wait for it.
#[test]
fn threads_hand_places_on() {
    super::simulate("queue threads", |_| {
        const THREADS: usize = 4;
        const EACH: usize = 5_000;
        let load = Arc::new(Load::default());
        let served = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| serve_in_turn(&load, EACH))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum::<usize>()
        });
        assert_eq!((served, load.requests(), load.queue.waiting()), (THREADS * EACH, 0, 0));
    });
}

struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// So many requests of one thread through one place that all threads share. There is no timer that would find a lost
/// call: if one is lost, this never ends.
fn serve_in_turn(load: &Arc<Load>, count: usize) -> usize {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    for _ in 0..count {
        if load.queue.waiting() == 0
            && let Some(place) = load.take(1)
        {
            drop(place);
            continue;
        }
        let waiter = load.queue.join(3, 100).expect("there is room for all threads");
        let mut may_try = waiter.is_first();
        loop {
            if may_try && let Some(place) = load.take(1) {
                drop(waiter);
                drop(place);
                break;
            }
            may_try = waiter.poll_called(&Context::from_waker(&waker)).is_ready();
            if !may_try {
                std::thread::park();
                may_try = waiter.poll_called(&Context::from_waker(&waker)).is_ready();
            }
        }
    }
    count
}
