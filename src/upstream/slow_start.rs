// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of its weight and limits an endpoint gets that has just come back: pure, with time as an argument.
//!
//! Linear from nothing to all over the window, in steps. It begins after a failure only, never at the start of the
//! process. What must stay true: the share never falls, is never 0 (an endpoint without traffic never warms up), and is
//! whole at the end of the window.

use std::time::Duration;

use super::endpoint::SHARE_WHOLE;

/// The least share, in per cent.
pub const SHARE_MIN: u8 = 5;

/// The share moves in so many steps at most, and so many steps are told to workers.
const STEPS: u32 = 20;

/// Steps are not closer together than this.
const STEP_MIN: Duration = Duration::from_millis(50);

/// The share in per cent so long after the return, and how long until it is to be asked again; none when it is whole.
pub fn share(window: Duration, elapsed: Duration) -> (u8, Option<Duration>) {
    if elapsed >= window {
        return (SHARE_WHOLE, None);
    }
    let percent = elapsed.as_nanos() * u128::from(SHARE_WHOLE) / window.as_nanos().max(1);
    let percent = u8::try_from(percent).unwrap_or(SHARE_WHOLE).max(SHARE_MIN);
    let step = (window / STEPS).max(STEP_MIN);
    (percent, Some(step.min(window - elapsed)))
}

#[cfg(test)]
mod tests {
    use super::{Duration, SHARE_MIN, share};

    #[test]
    fn the_share_rises_in_a_line_from_a_few_per_cent_to_all() {
        let window = Duration::from_secs(10);
        let mut at = Duration::ZERO;
        let mut shares = Vec::new();
        loop {
            let (percent, next) = share(window, at);
            shares.push(percent);
            let Some(next) = next else { break };
            at += next;
        }
        let mut want = vec![SHARE_MIN];
        want.extend((1..=20_u8).map(|step| step * 5));
        assert_eq!(shares, want);
        assert_eq!(share(Duration::ZERO, Duration::ZERO), (100, None));
    }
}
