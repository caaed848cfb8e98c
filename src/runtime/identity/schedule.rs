// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a key set is fetched again: pure, but for the dice that keep many weirgates from asking at once.

use std::time::Duration;

/// How long a set holds of which its issuer says nothing.
const LASTS_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// The bounds of what an issuer may say.
const LASTS_MIN: Duration = Duration::from_secs(60);
const LASTS_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon an issuer that failed is asked again, at first and at most.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// The time until a set that lasts so long is fetched again: 80 per cent of it, a little more or less.
pub(super) fn refresh(lasts: Option<Duration>) -> Duration {
    let lasts = lasts.unwrap_or(LASTS_DEFAULT).clamp(LASTS_MIN, LASTS_MAX);
    lasts.mul_f64(0.78 + fastrand::f64() * 0.04)
}

/// The time until the next try after so many failures.
pub(super) fn again(failures: u32) -> Duration {
    let wait = AGAIN_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(AGAIN_MAX);
    wait.mul_f64(0.9 + fastrand::f64() * 0.2)
}

/// How long a reply says that it holds (RFC 9111 sections 5.2.2.1 and 5.1); `None` if it says nothing.
pub(super) fn lasts(cache_control: Option<&str>, age: Option<&str>) -> Option<Duration> {
    let directives = cache_control?.split(',').map(str::trim);
    let mut lasts = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            lasts = value.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    let age = age.and_then(|age| age.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    lasts.map(|lasts: Duration| lasts.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::{again, lasts, refresh};
    use std::time::Duration;

    /// Rows: `Cache-Control`, `Age`, and the seconds that it holds.
    #[test]
    fn a_reply_says_how_long_it_holds() {
        for (control, age, want) in [
            (None, None, None),
            (Some("public"), None, None),
            (Some("public, max-age=300"), None, Some(300)),
            (Some("MAX-AGE=\"300\""), Some("100"), Some(200)),
            (Some("max-age=300"), Some("900"), Some(0)),
            (Some("max-age=300, no-store"), None, Some(0)),
            (Some("max-age=abc"), None, None),
            (Some("s-max-age=5"), Some("x"), None),
        ] {
            assert_eq!(lasts(control, age), want.map(Duration::from_secs), "row {control:?} {age:?}");
        }
    }

    #[test]
    fn the_next_fetch_lies_within_bounds() {
        let near = |duration: Duration, seconds: f64| (duration.as_secs_f64() / seconds - 1.0).abs() < 0.11;
        for (said, want) in [(None, 480.0), (Some(300), 240.0), (Some(0), 48.0), (Some(10_000_000), 69_120.0)] {
            assert!(near(refresh(said.map(Duration::from_secs)), want), "row {said:?}");
        }
        for (failures, want) in [(1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (u32::MAX, 60.0)] {
            assert!(near(again(failures), want), "row {failures}");
        }
    }
}
