// SPDX-License-Identifier: MIT OR Apache-2.0
//! When so little of an upstream is usable that what is known of health does more harm than good. Pure.
//!
//! Below the threshold all endpoints are used, whatever checks and ejections say: the few that are left would break under
//! the load of all. What must stay true: a threshold of 0 never panics, and an empty upstream has nothing to panic about.

use std::sync::Arc;

use super::endpoint::Endpoint;

/// How many endpoints are well, of how many that an operator has not set aside. Backups count only where nobody else
/// would.
pub fn count(endpoints: &[Arc<Endpoint>]) -> (usize, usize) {
    let only_backups = endpoints.iter().all(|endpoint| endpoint.backup);
    let counted = endpoints.iter().filter(|endpoint| endpoint.is_in_service() && (only_backups || !endpoint.backup));
    counted.fold((0, 0), |(well, all), endpoint| (well + usize::from(endpoint.is_well()), all + 1))
}

/// Whether fewer endpoints are usable than the threshold.
pub fn is_panic(threshold_percent: u32, usable: usize, total: usize) -> bool {
    total > 0 && usable * 100 < total * threshold_percent as usize
}

/// The state of the upstream as a sentence.
pub fn words(threshold_percent: u32, usable: usize, total: usize) -> String {
    format!(
        "only {usable} of {total} endpoints are usable, fewer than {threshold_percent}%: health is ignored and all are used"
    )
}

#[cfg(test)]
mod tests {
    use super::is_panic;

    #[test]
    fn panic_is_below_the_threshold_and_never_at_zero() {
        for (threshold, usable, total, want) in [
            (0, 0, 4, false),
            (50, 1, 4, true),
            (50, 2, 4, false),
            (100, 3, 4, true),
            (100, 4, 4, false),
            (50, 0, 0, false),
        ] {
            assert_eq!(is_panic(threshold, usable, total), want, "{usable} of {total} at {threshold}%");
        }
    }
}
