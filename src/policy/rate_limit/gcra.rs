// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generic cell rate algorithm as arithmetic on one number per key: the theoretical arrival time (TAT).
//!
//! A request is allowed while the TAT, moved on by one step, lies no further ahead than `burst` steps. In any time t
//! that lets through at most t / step + burst requests. A refused request changes nothing.

/// The largest burst, so that `burst * step` fits 64 bits of nanoseconds with room for the clock.
pub const BURST_MAX: u32 = 1_000_000_000;

/// The longest step: a burst of one per year.
const STEP_MAX: u64 = 366 * 24 * 3600 * 1_000_000_000;

/// The longest time until a full burst is back, about 146 years.
const SPAN_MAX: u64 = u64::MAX / 4;

/// What a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    step_ns: u64,
    burst: u32,
}

/// What a key has left after a look or a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Requests that would be allowed at this moment.
    pub requests: u32,
    /// Nanoseconds until the whole burst is there again.
    pub reset_ns: u64,
}

impl Rate {
    /// `count` requests per `period_ns`, at most `burst` at once. A step that is no whole number of nanoseconds is
    /// rounded up, so that a limit never lets through more than it says. None if a number is out of bounds.
    pub fn new(count: u64, period_ns: u64, burst: u32) -> Option<Self> {
        let step_ns = period_ns.checked_next_multiple_of(count)? / count;
        let sound = (1..=STEP_MAX).contains(&step_ns) && (1..=BURST_MAX).contains(&burst);
        let span = step_ns.checked_mul(u64::from(burst)).filter(|span| *span <= SPAN_MAX);
        (sound && span.is_some()).then_some(Self { step_ns, burst })
    }

    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Nanoseconds per request in the long run.
    pub fn step_ns(self) -> u64 {
        self.step_ns
    }

    /// Nanoseconds in which a whole burst comes back.
    pub fn span_ns(self) -> u64 {
        self.step_ns * u64::from(self.burst)
    }

    /// The TAT after one more request, or how long to wait for it.
    pub(in crate::policy) fn charge(self, tat_ns: u64, now_ns: u64) -> Result<u64, u64> {
        let new = tat_ns.max(now_ns).saturating_add(self.step_ns);
        let ahead = new - now_ns;
        if ahead > self.span_ns() { Err(ahead - self.span_ns()) } else { Ok(new) }
    }

    /// What is left at this TAT.
    pub(in crate::policy) fn left(self, tat_ns: u64, now_ns: u64) -> Left {
        let reset_ns = tat_ns.saturating_sub(now_ns);
        let requests = self.span_ns().saturating_sub(reset_ns) / self.step_ns;
        Left { requests: u32::try_from(requests).unwrap_or(u32::MAX), reset_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_one_per_step() {
        let rate = Rate::new(10, SECOND, 3).unwrap();
        let (mut tat, mut got) = (0, Vec::new());
        for now in [0, 0, 0, 0, 50_000_000, 100_000_000, 100_000_000, 10 * SECOND, 10 * SECOND] {
            let outcome = rate.charge(tat, now);
            tat = outcome.unwrap_or(tat);
            got.push(outcome.map(|_| rate.left(tat, now).requests).map_err(|wait| wait / 1_000_000));
        }
        assert_eq!(got, [Ok(2), Ok(1), Ok(0), Err(100), Err(50), Ok(0), Err(100), Ok(2), Ok(1)]);
    }

    /// Asking twice as often as allowed gets every second request, from the first refusal on.
    #[test]
    fn a_refused_client_at_a_steady_pace_recovers_at_once() {
        let rate = Rate::new(10, SECOND, 1).unwrap();
        let (mut tat, mut got) = (0, Vec::new());
        for now in (0..40).map(|step| step * SECOND / 20) {
            let outcome = rate.charge(tat, now);
            tat = outcome.unwrap_or(tat);
            got.push(outcome.is_ok());
        }
        assert_eq!(got, [true, false].repeat(20));
    }

    #[test]
    fn a_limit_out_of_bounds_is_none() {
        for (count, period, burst) in
            [(0, SECOND, 1), (1, 0, 1), (1, SECOND, 0), (1, u64::MAX, 1), (1, SECOND, u32::MAX)]
        {
            assert_eq!(Rate::new(count, period, burst), None, "{count} per {period}, burst {burst}");
        }
        let third = Rate::new(3, SECOND, 1).unwrap();
        assert_eq!(third.step_ns(), 333_333_334, "never more than it says");
        assert_eq!(Rate::new(5 * SECOND, SECOND, 1).map(Rate::step_ns), Some(1));
        assert!(third.charge(u64::MAX, 0).is_err());
    }
}
