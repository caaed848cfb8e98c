// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker and the limit that finds itself, in virtual time: exactly one probe is out at a time, a breaker is open
//! for as long as it says, and a limit settles where latency begins to rise.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use weirgate::upstream::adaptive::{Bounds, Gradient, Seen};
use weirgate::upstream::breaker::{Admission, Breaker, Ending, Probe, Rules, Transition};

const MS: u64 = 1_000_000;

/// What the breaker must be, told by a reference that counts.
#[derive(Default)]
struct Reference {
    in_a_row: u32,
    /// Open until then, for the length before.
    open: Option<(u64, Duration)>,
}

#[test]
fn one_probe_at_a_time_and_no_request_while_it_is_open() {
    super::simulate("breaker", |random| {
        for _ in 0..50 {
            let open = Duration::from_millis(random.u64(1..2_000));
            let open_max = open * random.u32(1..20);
            let rules = Rules { consecutive: random.u32(1..10), percent: 0, requests: 1, open, open_max };
            let (breaker, mut reference) = (Arc::new(Breaker::default()), Reference::default());
            let (mut probe, mut now): (Option<Probe>, u64) = (None, 1_000 * MS);
            let mut under_way: VecDeque<()> = VecDeque::new();
            for step in 0..10_000 {
                now += random.u64(0..50) * MS;
                let badness = if step / 500 % 2 == 0 { 250 } else { 5 };
                let ending = if random.u8(..) < badness { Ending::Failed } else { Ending::Good };
                match random.u8(0..10) {
                    0..6 => match breaker.admit(now) {
                        Admission::Pass => {
                            assert!(reference.open.is_none(), "step {step}: passed while it is open");
                            under_way.push_back(());
                        }
                        Admission::Probe(one) => {
                            assert!(probe.is_none(), "step {step}: two probes");
                            let (until, _) = reference.open.expect("a probe only while it is open");
                            assert!(now + 1 >= until, "step {step}: {} ns too early", until - now);
                            probe = Some(one);
                        }
                        Admission::Refuse { left } => {
                            let (until, _) = reference.open.expect("refused only while it is open");
                            let is_over = now >= until;
                            assert!(!is_over || probe.is_some(), "step {step}: refused and nobody probes");
                            assert!(left <= open_max.max(open), "step {step}: {left:?}");
                        }
                    },
                    6..8 if under_way.pop_front().is_some() => {
                        let turned = breaker.observe(&rules, ending, now);
                        reference.end(&rules, ending, now, turned, step);
                    }
                    8 => drop(probe.take()),
                    _ => {
                        let Some(ended) = probe.take().map(|probe| probe.end(&rules, ending, now)) else { continue };
                        reference.probed(&rules, ending, now, ended, step);
                    }
                }
                assert_eq!(breaker.is_closed(), reference.open.is_none(), "step {step}");
            }
        }
    });
}

impl Reference {
    fn end(&mut self, rules: &Rules, ending: Ending, now: u64, turned: Option<Transition>, step: u32) {
        self.in_a_row = if ending == Ending::Good { 0 } else { self.in_a_row + 1 };
        let opens = self.open.is_none() && self.in_a_row >= rules.consecutive && ending == Ending::Failed;
        assert_eq!(turned.is_some(), opens, "step {step}: {turned:?} after {} in a row", self.in_a_row);
        if opens {
            self.open = Some((now + nanos(rules.open), rules.open));
        }
    }

    fn probed(&mut self, rules: &Rules, ending: Ending, now: u64, turned: Option<Transition>, step: u32) {
        let (_, length) = self.open.expect("a probe only while it is open");
        if ending == Ending::Good {
            assert_eq!(turned, Some(Transition::Closed), "step {step}");
            (self.in_a_row, self.open) = (0, None);
            return;
        }
        let longer = (length * 2).min(rules.open_max);
        assert!(matches!(turned, Some(Transition::Opened { open, .. }) if open == longer), "step {step}: {turned:?}");
        self.open = Some((now + nanos(longer), longer));
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("short")
}

/// A service that carries `capacity` requests at once in `base` µs, and more of them in proportionally more time.
fn latency(in_flight: u32, capacity: u32, base: f64) -> f64 {
    base * (f64::from(in_flight) / f64::from(capacity)).max(1.0)
}

/// Under any load the limit settles between what the service carries and a few times that, and stays within its bounds.
#[test]
fn the_limit_settles_where_latency_rises() {
    super::simulate("adaptive", |random| {
        for _ in 0..200 {
            let bounds = Bounds { least: random.u32(1..10), most: random.u32(200..2_000) };
            let (mut gradient, mut limit) = (Gradient::default(), bounds.least);
            let (mut capacity, mut base) = (random.u32(20..150), random.u32(500..50_000).into());
            for window in 0..4_000 {
                if window == 2_000 {
                    // Another service, faster or slower, larger or smaller.
                    (capacity, base) = (random.u32(20..150), random.u32(500..50_000).into());
                }
                let noise = 0.9 + random.f64() * 0.2;
                let mean_us = latency(limit, capacity, base) * noise;
                limit = gradient.update(bounds, Seen { mean_us, busiest: limit });
                assert!((bounds.least..=bounds.most).contains(&limit), "{limit} is out of {bounds:?}");
                if window % 2_000 > 1_800 {
                    // Half of it while it is halved for a look.
                    assert!(limit * 3 >= capacity, "window {window}: {limit} of {capacity} that it carries");
                    assert!(limit <= capacity * 4, "window {window}: {limit} for {capacity} that it carries");
                }
            }
        }
    });
}
