// SPDX-License-Identifier: MIT OR Apache-2.0
//! A limit of requests in flight that finds itself: it grows while replies come as fast as without load, and falls as
//! they get slower (a gradient, as in Netflix's concurrency-limits and Envoy's adaptive concurrency).
//!
//! [`Gradient`] is the rule, pure and without a clock; [`Adaptive`] collects replies of all workers into windows and
//! lets one worker at a time apply it. What is known of the latency without load is the least that was ever seen. That
//! can be wrong both ways: too much if there was never little enough in flight to see less, too little if the service
//! got slower for good. So from time to time the limit is halved for a moment. If replies get faster by that, there is
//! a queue at the service, and what is seen then counts if it is less; if they do not, there is none, and what is seen
//! is the latency without load.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long replies are collected before the limit is looked at again.
const WINDOW_NS: u64 = 100_000_000;

/// Fewest replies in a window for it to say anything.
const SAMPLES_MIN: u32 = 10;

/// Latency may be so much above that without load before the limit falls: less is noise.
const TOLERANCE: f64 = 1.5;

/// The limit falls by no more than this in one step.
const GRADIENT_MIN: f64 = 0.5;

/// The part of each step that is taken: one odd window does not halve the limit.
const SMOOTHING: f64 = 0.5;

/// Windows between two looks at what replies take with half as many requests in flight, and how long a look is.
const LOOK_EVERY: u32 = 100;
const LOOK_WINDOWS: u32 = 3;

/// A look has found faster replies if they take less than this share of what they took before.
const FASTER: f64 = 0.8;

/// How fast the latency without load follows what is measured while the limit holds nobody back.
const DRIFT: f64 = 0.05;

/// Between which values the limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: u32,
    pub most: u32,
}

/// Replies of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Their mean latency.
    pub mean_us: f64,
    /// Most requests in flight at a time.
    pub busiest: u32,
}

/// The rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient {
    /// 0 until the first window.
    limit: f64,
    /// The latency without load; 0 until the first window.
    unloaded_us: f64,
    windows: u32,
    /// The latency of late, smoothed.
    mean_us: f64,
    look: Option<Look>,
}

/// A look at what replies take with half as many in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    windows: u32,
    /// The limit before, and what replies took under it.
    limit: f64,
    mean_us: f64,
    /// The least that was seen.
    least_us: f64,
}

impl Gradient {
    /// The limit after a window.
    pub fn update(&mut self, bounds: Bounds, seen: Seen) -> u32 {
        let (least, most) = (f64::from(bounds.least.max(1)), f64::from(bounds.most.max(bounds.least).max(1)));
        self.limit = self.limit.clamp(least, most);
        let mean = seen.mean_us.max(1.0);
        if self.unloaded_us == 0.0 || mean < self.unloaded_us {
            self.unloaded_us = mean;
        }
        if let Some(look) = self.look {
            self.go_on_looking(look, mean);
            return self.rounded();
        }
        self.mean_us = if self.mean_us == 0.0 { mean } else { self.mean_us + (mean - self.mean_us) * SMOOTHING };
        if f64::from(seen.busiest) * 2.0 < self.limit {
            // Nobody was held back, so this is the latency without load, and it says nothing about the limit.
            self.unloaded_us += (mean - self.unloaded_us) * DRIFT;
            return self.rounded();
        }
        let gradient = (TOLERANCE * self.unloaded_us / mean).clamp(GRADIENT_MIN, 1.0);
        // The root is the room in which a queue of ours may form and show that there is more to get.
        let target = self.limit * gradient + self.limit.sqrt();
        self.limit = (self.limit + (target - self.limit) * SMOOTHING).clamp(least, most);
        self.begin_to_look(least);
        self.rounded()
    }

    fn begin_to_look(&mut self, least: f64) {
        self.windows += 1;
        if self.windows >= LOOK_EVERY {
            let look = Look { windows: 0, limit: self.limit, mean_us: self.mean_us, least_us: f64::INFINITY };
            (self.windows, self.look) = (0, Some(look));
            self.limit = (self.limit / 2.0).max(least);
        }
    }

    fn go_on_looking(&mut self, mut look: Look, mean: f64) {
        look.windows += 1;
        if look.windows > 1 {
            // Not the first: what it saw was begun under the limit before.
            look.least_us = look.least_us.min(mean);
        }
        if look.windows < LOOK_WINDOWS {
            self.look = Some(look);
            return;
        }
        let is_faster = look.least_us < look.mean_us * FASTER;
        self.unloaded_us = if is_faster { self.unloaded_us.min(look.least_us) } else { look.least_us };
        (self.limit, self.look) = (look.limit, None);
    }

    fn rounded(&self) -> u32 {
        self.limit as u32
    }
}

/// The limit that all workers share.
#[derive(Debug, Default)]
pub struct Adaptive {
    /// 0 until the first window.
    limit: AtomicU32,
    began_ns: AtomicU64,
    sum_us: AtomicU64,
    count: AtomicU32,
    busiest: AtomicU32,
    gradient: Mutex<Gradient>,
}

impl Adaptive {
    /// The limit now.
    pub fn limit(&self, bounds: Bounds) -> u32 {
        self.limit.load(Ordering::Relaxed).clamp(bounds.least.max(1), bounds.most.max(bounds.least).max(1))
    }

    /// Learns from one reply: how long its head took, and how many requests were in flight. True if the limit moved up.
    pub fn sample(&self, bounds: Bounds, micros: u64, in_flight: u32, now_ns: u64) -> bool {
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
        self.busiest.fetch_max(in_flight, Ordering::Relaxed);
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let began = self.began_ns.load(Ordering::Relaxed);
        count >= SAMPLES_MIN && now_ns.saturating_sub(began) >= WINDOW_NS && self.close_window(bounds, now_ns)
    }

    #[cold]
    fn close_window(&self, bounds: Bounds, now_ns: u64) -> bool {
        // Whoever finds it locked goes on: another worker closes this window.
        let Ok(mut gradient) = self.gradient.try_lock() else { return false };
        if now_ns.saturating_sub(self.began_ns.load(Ordering::Relaxed)) < WINDOW_NS {
            return false;
        }
        self.began_ns.store(now_ns, Ordering::Relaxed);
        let (count, sum) = (self.count.swap(0, Ordering::Relaxed), self.sum_us.swap(0, Ordering::Relaxed));
        let seen =
            Seen { mean_us: sum as f64 / f64::from(count.max(1)), busiest: self.busiest.swap(0, Ordering::Relaxed) };
        let limit = gradient.update(bounds, seen);
        self.limit.swap(limit, Ordering::Relaxed) < limit
    }
}

#[cfg(test)]
mod tests {
    use super::{Adaptive, Bounds, Gradient, Seen};

    const BOUNDS: Bounds = Bounds { least: 10, most: 1000 };

    fn after(gradient: &mut Gradient, windows: u32, mean_us: f64, busy: bool) -> u32 {
        (0..windows).fold(0, |_, _| {
            let busiest = if busy { gradient.rounded().max(10) } else { 1 };
            gradient.update(BOUNDS, Seen { mean_us, busiest })
        })
    }

    #[test]
    fn it_grows_while_replies_stay_fast_and_falls_when_they_do_not() {
        let mut gradient = Gradient::default();
        assert_eq!(after(&mut gradient, 1, 1_000.0, true), 11);
        let grown = after(&mut gradient, 40, 1_400.0, true);
        assert!(grown > 150, "within the tolerance it grows: {grown}");
        let fallen = after(&mut gradient, 10, 4_000.0, true);
        assert!(fallen < grown / 3, "four times as slow: {grown} to {fallen}");
        assert_eq!(after(&mut gradient, 500, 1_000.0, true), 1000, "never above its bound");
    }

    #[test]
    fn without_load_it_stays() {
        let mut gradient = Gradient::default();
        let grown = after(&mut gradient, 20, 1_000.0, true);
        assert_eq!(after(&mut gradient, 20, 5_000.0, false), grown);
    }

    #[test]
    fn a_service_that_got_slower_for_good_is_learnt_anew() {
        let mut gradient = Gradient::default();
        after(&mut gradient, 40, 1_000.0, true);
        let floor = (0..15).map(|_| after(&mut gradient, 1, 9_000.0, true)).min().expect("some");
        assert!(floor <= 20, "it falls to its floor first: {floor}");
        let grown = after(&mut gradient, 180, 9_000.0, true);
        assert!(grown > 100, "and grows once it was looked at: {grown}");
    }

    #[test]
    fn a_window_is_closed_once() {
        let adaptive = Adaptive::default();
        assert_eq!(adaptive.limit(BOUNDS), 10, "its floor before anything is known");
        let rose = (0..20).filter(|n| adaptive.sample(BOUNDS, 1_000, 10, 1_000_000_000 + n)).count();
        assert_eq!((rose, adaptive.limit(BOUNDS)), (1, 11));
    }
}
