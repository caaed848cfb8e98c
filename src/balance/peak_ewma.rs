// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long an endpoint takes, with peaks remembered: an exponentially weighted moving average that jumps up at once
//! and comes down with the time constant [`TAU_MS`].
//!
//! An [`Estimate`] is one word, so that workers can share it without a lock. Three traps are closed here. An endpoint
//! that was never measured is as good as its rival, not free: it gets its first request and no herd behind it. One
//! that has nothing in flight decays as time passes, and after `STALE_MS` counts as never measured, so no penalty
//! starves the request that would lift it; one that has something in flight keeps its estimate until it answers, so
//! that a long idle upstream does not look free after its first reply. A failure is never a fast answer.

use super::Candidate;

/// An old peak counts 1/e after this time.
const TAU_MS: u32 = 10_000;

/// An endpoint that is idle and was not measured for so long is tried again.
const STALE_MS: u32 = 2 * TAU_MS;

/// What a refusal (429, or 503 with Retry-After, or no answer at all) counts as.
const PENALTY_US: u32 = 1_000_000;

/// The shortest answer that counts, in microseconds: an estimate is never 0, which would hide what is in flight.
const LEAST_US: f32 = 1.0;

/// A latency in microseconds that endpoints are compared by.
pub(super) type Latency = f64;

/// What is known about the latency of one endpoint: microseconds as `f32` in the upper half, and when they were
/// measured in the lower half, in milliseconds of a clock that wraps after 49 days. 0 is never measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate(u64);

impl Estimate {
    /// The estimate that is stored as this word.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub fn bits(self) -> u64 {
        self.0
    }

    /// The estimate after an answer that took `micros`.
    #[must_use]
    pub fn after(self, micros: u32, now_ms: u32) -> Self {
        let rtt = as_float(micros).max(LEAST_US);
        let Some((estimate, at_ms)) = self.parts() else { return Self::new(rtt, now_ms) };
        let age = age(at_ms, now_ms);
        if rtt >= estimate || age >= STALE_MS {
            return Self::new(rtt, now_ms);
        }
        if age == 0 {
            // Many answers within a millisecond: the first speaks for all, else none would ever count.
            return self;
        }
        let kept = decay(age);
        Self::new(estimate * kept + rtt * (1.0 - kept), now_ms)
    }

    /// The estimate after an answer that says nothing good: it may raise the estimate and never lower it.
    #[must_use]
    pub fn after_failure(self, micros: u32, now_ms: u32) -> Self {
        match self.parts() {
            Some((estimate, at_ms)) if as_float(micros) < estimate * decay(age(at_ms, now_ms)) => self,
            _ => Self::new(as_float(micros).max(LEAST_US), now_ms),
        }
    }

    /// The estimate after a refusal: a penalty, and a next try when an idle endpoint has been left alone for `wait_ms`,
    /// at most `STALE_MS`. It is as if the endpoint had been worse some time ago, so the clock of the decay is ahead.
    #[must_use]
    pub fn after_refusal(self, micros: u32, now_ms: u32, wait_ms: u32) -> Self {
        let ahead = STALE_MS - wait_ms.min(STALE_MS);
        let now = self.reading(now_ms, 0).unwrap_or_default();
        let penalty = as_float(micros.max(PENALTY_US)).max(now);
        Self::new(penalty / decay(ahead), now_ms.wrapping_sub(ahead))
    }

    /// The latency to reckon with, in microseconds, of an endpoint with so much in flight; none if it is not known.
    fn reading(self, now_ms: u32, in_flight: u32) -> Option<f32> {
        let (estimate, at_ms) = self.parts()?;
        let age = age(at_ms, now_ms);
        match in_flight {
            0 if age >= STALE_MS => None,
            0 => Some((estimate * decay(age)).max(LEAST_US)),
            _ => Some(estimate),
        }
    }

    /// `Self::reading` in whole microseconds; 0 if it is not known.
    pub fn micros(self, now_ms: u32, in_flight: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it came from 32 bits above 0")]
        self.reading(now_ms, in_flight).map_or(0, |micros| micros.round() as u32)
    }

    fn new(micros: f32, now_ms: u32) -> Self {
        Self(u64::from(micros.to_bits()) << 32 | u64::from(now_ms))
    }

    fn parts(self) -> Option<(f32, u32)> {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
        let (micros, at_ms) = (f32::from_bits((self.0 >> 32) as u32), self.0 as u32);
        (micros > 0.0).then_some((micros, at_ms))
    }
}

#[expect(clippy::cast_precision_loss, reason = "24 bits of a latency are enough")]
fn as_float(micros: u32) -> f32 {
    micros as f32
}

/// Milliseconds from one time to another; 0 if another worker's clock was ahead.
fn age(at_ms: u32, now_ms: u32) -> u32 {
    let age = now_ms.wrapping_sub(at_ms);
    if age > u32::MAX / 2 { 0 } else { age }
}

/// What is left of an old estimate after `age` milliseconds.
fn decay(age: u32) -> f32 {
    if age == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
    let left = (-f64::from(age) / f64::from(TAU_MS)).exp() as f32;
    left
}

/// The least latency of these that is known.
pub(super) fn least(candidates: impl Iterator<Item = Candidate>, now_ms: u32) -> Latency {
    let known = candidates.filter_map(|candidate| candidate.estimate.reading(now_ms, candidate.in_flight));
    known.reduce(f32::min).map_or(Latency::from(LEAST_US), Latency::from)
}

/// Latency × (in flight + 1) / weight. One that is not known is taken to be `like` the best.
pub(super) fn cost(candidate: &Candidate, now_ms: u32, like: Latency) -> f64 {
    let latency = candidate.estimate.reading(now_ms, candidate.in_flight).map_or(like, Latency::from);
    latency * (f64::from(candidate.in_flight) + 1.0) / f64::from(candidate.weight)
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Estimate, PENALTY_US, cost, least};

    #[test]
    fn peaks_jump_up_and_come_down_by_the_formula() {
        let after = |estimate: Estimate, micros, now_ms| estimate.after(micros, now_ms);
        let first = after(Estimate::default(), 1000, 5);
        assert_eq!(first.micros(5, 0), 1000);
        let peak = after(first, 8000, 10);
        assert_eq!(peak.micros(10, 1), 8000, "a peak counts at once");
        // 8000 e^-1 + 1000 (1 - e^-1) after one time constant.
        assert_eq!(after(peak, 1000, 10_010).micros(10_010, 1), 3575);
        assert_eq!(after(peak, 1000, 10), peak, "within the same millisecond nothing has decayed");
        assert_eq!(after(peak, 1000, 9), peak, "a clock that is behind does no harm");
        let mut low = peak;
        for now in 11..100_010 {
            low = low.after(1000, now);
        }
        assert!((1000..1005).contains(&low.micros(100_009, 1)), "{}", low.micros(100_009, 1));
        let wrapped = after(after(Estimate::default(), 8000, u32::MAX - 4999), 1000, 5000);
        assert_eq!(wrapped.micros(5000, 1), 3575, "the clock wraps");
    }

    #[test]
    fn what_is_idle_decays_and_what_is_busy_does_not() {
        let estimate = Estimate::default().after(8000, 0);
        assert_eq!([0, 5000, 19_999, 20_000].map(|now| estimate.micros(now, 0)), [8000, 4852, 1083, 0]);
        assert_eq!([0, 5000, 19_999, 20_000].map(|now| estimate.micros(now, 1)), [8000; 4]);
        assert_eq!(estimate.after(1000, 20_000).micros(20_000, 1), 1000, "what is stale has no say");
    }

    #[test]
    fn a_failure_never_lowers_an_estimate() {
        let estimate = Estimate::default().after(8000, 0);
        assert_eq!(estimate.after_failure(10, 1), estimate);
        assert_eq!(estimate.after_failure(9000, 1).micros(1, 1), 9000);
    }

    #[test]
    fn a_refusal_is_a_penalty_that_ends_when_it_was_asked_to() {
        for known in [Estimate::default(), Estimate::default().after(8000, 0)] {
            let refused = known.after_refusal(100, 7, 3000);
            assert_eq!(refused.micros(7, 0), PENALTY_US);
            assert!(refused.micros(3006, 0) > 700_000, "{}", refused.micros(3006, 0));
            assert_eq!(refused.micros(3007, 0), 0, "now it may be tried");
            assert!(refused.micros(3007, 1) >= PENALTY_US, "and not by more than one");
            assert_eq!(refused.after(2000, 3010).micros(3010, 1), 2000, "an answer lifts the penalty");
        }
        let long = Estimate::default().after_refusal(100, 0, u32::MAX);
        assert_eq!([0, 19_999, 20_000].map(|now| long.micros(now, 0)), [1_000_000, 135_349, 0]);
        assert!(Estimate::default().after_refusal(30_000_000, 0, 0).micros(0, 1) >= 30_000_000);
    }

    #[test]
    fn the_unmeasured_is_as_good_as_the_best_and_no_better() {
        let of = |estimate, in_flight| Candidate { weight: 100, usable: true, in_flight, estimate };
        let (known, unknown) = (Estimate::default().after(2000, 0), Estimate::default());
        let all = [of(known, 1), of(unknown, 1), of(unknown, 2)];
        let like = least(all.into_iter(), 0);
        let costs = all.map(|candidate| cost(&candidate, 0, like));
        assert!(costs[0] == costs[1] && costs[1] < costs[2], "{costs:?}");
        let never = least([of(unknown, 0)].into_iter(), 0);
        assert!(never > 0.0);
    }
}
