// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long an endpoint takes to answer: one word that all workers write without a lock.
//!
//! What the word means and how an answer changes it is the balancer's ([`Estimate`]); two workers that write at the same
//! moment both count, because the one that comes second reckons anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::balance::Estimate;

/// Milliseconds of the clock that measurements are taken with; it wraps after 49 days.
pub fn millis(since_start_ns: u64) -> u32 {
    u32::try_from(since_start_ns / 1_000_000 % (1 << 32)).unwrap_or_default()
}

/// The latency of one endpoint.
#[derive(Debug, Default)]
pub struct Latency(AtomicU64);

impl Latency {
    pub fn estimate(&self) -> Estimate {
        Estimate::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// An answer took so long.
    pub fn answered(&self, took: Duration, now_ms: u32) {
        self.change(|estimate| estimate.after(micros(took), now_ms));
    }

    /// An answer that says nothing good took so long: it is no fast answer.
    pub fn erred(&self, took: Duration, now_ms: u32) {
        self.change(|estimate| estimate.after_failure(micros(took), now_ms));
    }

    /// The endpoint refused, or did not answer: that counts as slow, and decays. When it has been left alone for `wait`
    /// it is tried again.
    pub fn refused(&self, took: Duration, now_ms: u32, wait: Duration) {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.change(|estimate| estimate.after_refusal(micros(took), now_ms, wait_ms));
    }

    fn change(&self, next: impl Fn(Estimate) -> Estimate) {
        let mut held = self.0.load(Ordering::Relaxed);
        loop {
            let wanted = next(Estimate::from_bits(held)).bits();
            if wanted == held {
                return;
            }
            match self.0.compare_exchange_weak(held, wanted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => held = other,
            }
        }
    }
}

fn micros(took: Duration) -> u32 {
    u32::try_from(took.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, millis};

    #[test]
    fn answers_errors_and_refusals() {
        let latency = Latency::default();
        let read = || latency.estimate().micros(7, 1);
        latency.erred(Duration::from_millis(2), 7);
        assert_eq!(read(), 2000, "an error is better than nothing to go by");
        latency.answered(Duration::from_millis(3), 7);
        latency.erred(Duration::from_micros(1), 7);
        assert_eq!(read(), 3000);
        let (wait, idle) = (Duration::from_secs(5), || latency.estimate().micros(7, 0));
        latency.refused(Duration::from_micros(1), 7, wait);
        assert_eq!(idle(), 1_000_000);
        latency.refused(Duration::from_secs(30), 7, wait);
        assert_eq!(idle(), 30_000_000, "a timeout is as slow as it was");
        assert_eq!(millis(5_999_999 + (1 << 32) * 1_000_000), 5);
    }
}
