// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a reply is late enough for a second copy of its request: later than most of the last replies of the upstream.
//!
//! Pure, and local to a worker: each has its own last replies, so learning costs a store.

use std::time::Duration;

/// Replies that are remembered.
const REMEMBERED: usize = 256;

/// Replies that must be known before anything is called slow.
const KNOWN_MIN: usize = 20;

/// Replies after which the percentile is reckoned anew.
const RECKON_EVERY: usize = 32;

/// What is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub percentile: u32,
    pub after: Duration,
}

/// The last replies.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    micros: Vec<u32>,
    at: usize,
    fresh: usize,
    /// What was reckoned last, and for which percentile.
    slow: Option<(u32, Duration)>,
}

impl Recent {
    /// Learns from a reply.
    pub fn record(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match self.micros.get_mut(self.at) {
            Some(slot) => *slot = micros,
            None => self.micros.push(micros),
        }
        self.at = (self.at + 1) % REMEMBERED;
        self.fresh += 1;
    }

    /// How long to wait for a reply before a second copy goes; none while too little is known.
    pub fn delay(&mut self, rules: Rules) -> Option<Duration> {
        if self.micros.len() < KNOWN_MIN {
            return None;
        }
        let slow = match self.slow {
            Some((percentile, slow)) if percentile == rules.percentile && self.fresh < RECKON_EVERY => slow,
            _ => self.reckon(rules.percentile),
        };
        Some(slow.max(rules.after))
    }

    fn reckon(&mut self, percentile: u32) -> Duration {
        let mut sorted = self.micros.clone();
        let place = (sorted.len() * percentile as usize / 100).min(sorted.len() - 1);
        let (_, micros, _) = sorted.select_nth_unstable(place);
        let slow = Duration::from_micros(u64::from(*micros));
        self.fresh = 0;
        self.slow = Some((percentile, slow));
        slow
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{REMEMBERED, Recent, Rules};

    #[test]
    fn slow_is_slower_than_most_of_the_last() {
        let rules = Rules { percentile: 90, after: Duration::from_millis(10) };
        let mut recent = Recent::default();
        for ms in 1..20 {
            recent.record(Duration::from_millis(ms));
            assert_eq!(recent.delay(rules), None, "{ms} replies say too little");
        }
        (20..=100).for_each(|ms| recent.record(Duration::from_millis(ms)));
        assert_eq!(recent.delay(rules), Some(Duration::from_millis(91)));
        (0..REMEMBERED).for_each(|_| recent.record(Duration::from_millis(1)));
        assert_eq!(recent.delay(rules), Some(rules.after), "never sooner");
    }
}
