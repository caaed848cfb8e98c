// SPDX-License-Identifier: MIT OR Apache-2.0
//! When an endpoint is checked next: pure, with time and chance as arguments.
//!
//! Regular checks are spread and jittered, so that a thousand endpoints are not checked at once. Doubt quickens them:
//! an endpoint that began to fail, one that began to recover, and every endpoint of an upstream with nothing healthy.
//! The task that runs the checks keeps one [`Schedule`] per endpoint, sleeps until the earliest is due, tells it when
//! the check is done, calls [`Schedule::hasten`] for all endpoints of an upstream when the last one goes out, and
//! [`Schedule::suspect`] when a request to one has failed.

use std::time::Duration;

use super::{Around, Health, Rules, State};
use crate::balance::Draw;

/// Checks in doubt, or of an upstream with nothing healthy, are never closer together than this.
const EAGER_MIN: Duration = Duration::from_millis(200);

/// An upstream with nothing healthy is checked at least this often, so that traffic flows within 0.6 s of a return.
const DARK_MAX: Duration = Duration::from_millis(500);

/// Between the first good check of an endpoint that was out and the ones that confirm it: back within 0.2 s.
const CONFIRM: Duration = Duration::from_millis(150);

/// Regular checks are moved by up to a tenth of the interval either way.
const JITTER_PARTS: u32 = 10;

/// When one endpoint is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    due_ns: u64,
    /// When the last check was done; 0 before the first.
    checked_ns: u64,
    draw: Draw,
}

impl Schedule {
    /// Spreads first checks over one interval by the seed, but checks a new endpoint at once: it waits for that.
    pub fn new(rules: Rules, state: State, now_ns: u64, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let wait = match state {
            State::New => Duration::ZERO,
            State::Unknown | State::Healthy => share(rules.interval, &mut draw),
            State::Unhealthy => share(eager(rules), &mut draw),
        };
        Self { due_ns: after(now_ns, wait), checked_ns: 0, draw }
    }

    /// The time from which the next check is due.
    pub fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Sets the next check after one is done and observed.
    pub fn checked(&mut self, rules: Rules, health: &Health, around: Around, now_ns: u64) {
        self.due_ns = after(now_ns, wait(rules, health, around, &mut self.draw));
        self.checked_ns = now_ns;
    }

    /// Brings the next check forward to now, because a request has just failed; not closer to the last check than an
    /// eager one.
    pub fn suspect(&mut self, now_ns: u64) {
        self.due_ns = self.due_ns.min(after(self.checked_ns, EAGER_MIN).max(now_ns));
    }

    /// Brings the next check forward if the state of things has become more doubtful since it was set.
    pub fn hasten(&mut self, rules: Rules, health: &Health, around: Around, now_ns: u64) {
        self.due_ns = self.due_ns.min(after(now_ns, wait(rules, health, around, &mut self.draw)));
    }
}

fn wait(rules: Rules, health: &Health, around: Around, draw: &mut Draw) -> Duration {
    if health.is_rising() {
        return CONFIRM.min(eager(rules));
    }
    if around == Around::Dark {
        return eager(rules).min(DARK_MAX);
    }
    if health.is_in_doubt() {
        return eager(rules);
    }
    let jitter = rules.interval / JITTER_PARTS;
    (rules.interval - jitter) + share(jitter * 2, draw)
}

fn eager(rules: Rules) -> Duration {
    rules.fast.unwrap_or_else(|| (rules.interval / 4).max(EAGER_MIN)).min(rules.interval)
}

/// A part of `whole`, drawn.
fn share(whole: Duration, draw: &mut Draw) -> Duration {
    Duration::from_nanos(draw.below(u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX)))
}

fn after(now_ns: u64, wait: Duration) -> u64 {
    now_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{CheckOutcome, Failure};
    use super::{Around, Health, Rules, Schedule, State};

    /// The wait in milliseconds after a check that left the endpoint like this.
    fn wait(rules: Rules, health: &Health, around: Around) -> u64 {
        let mut schedule = Schedule::new(rules, State::Unknown, 0, 5);
        schedule.checked(rules, health, around, 1_000_000);
        schedule.due_ns() / 1_000_000 - 1
    }

    #[test]
    fn doubt_and_darkness_quicken_the_checks() {
        let rules = Rules::default();
        let mut health = Health::new(State::Healthy, 0);
        assert!((1800..=2200).contains(&wait(rules, &health, Around::Lit)));
        let failed = CheckOutcome::Failed(Failure::Closed);
        assert_eq!(health.observe(rules, failed, Around::Lit, 1), None);
        assert_eq!(wait(rules, &health, Around::Lit), 500, "in doubt");
        let mut health = Health::new(State::Unhealthy, 0);
        assert!(wait(rules, &health, Around::Lit) >= 1800);
        assert_eq!(wait(rules, &health, Around::Dark), 500);
        let passed = CheckOutcome::Passed { took: Duration::ZERO, note: None };
        assert_eq!(health.observe(rules, passed, Around::Lit, 1), None);
        assert_eq!(wait(rules, &health, Around::Lit), 150, "confirmed within 0.2 s");
        for (interval_ms, want) in [(30_000, 500), (1_000, 250), (400, 200), (100, 100)] {
            let rules = Rules { interval: Duration::from_millis(interval_ms), ..rules };
            let wait = wait(rules, &Health::new(State::Unhealthy, 0), Around::Dark);
            assert_eq!(wait, want, "in the dark, with an interval of {interval_ms} ms");
        }
        for (fast_ms, want) in [(50, 50), (400, 400), (9_000, 500)] {
            let rules = Rules { fast: Some(Duration::from_millis(fast_ms)), ..rules };
            let wait = wait(rules, &Health::new(State::Unhealthy, 0), Around::Dark);
            assert_eq!(wait, want, "in the dark, with a fast interval of {fast_ms} ms");
        }
    }

    #[test]
    fn first_checks_are_spread_over_one_interval() {
        let rules = Rules::default();
        let dues: Vec<_> = (0..1000).map(|seed| Schedule::new(rules, State::Unknown, 7, seed).due_ns()).collect();
        assert!(dues.iter().all(|due| (7..2_000_000_007).contains(due)));
        let early = dues.iter().filter(|due| **due < 1_000_000_000).count();
        assert!((400..600).contains(&early), "{early} of 1000 in the first half");
        assert_eq!(Schedule::new(rules, State::New, 7, 9).due_ns(), 7);
    }

    #[test]
    fn hastening_never_delays() {
        let (rules, health) = (Rules::default(), Health::new(State::Unhealthy, 0));
        let mut schedule = Schedule::new(rules, State::New, 0, 1);
        schedule.hasten(rules, &health, Around::Dark, 0);
        assert_eq!(schedule.due_ns(), 0);
        schedule.checked(rules, &health, Around::Lit, 0);
        schedule.hasten(rules, &health, Around::Dark, 1);
        assert_eq!(schedule.due_ns(), 500_000_001);
        schedule.suspect(100_000_000);
        assert_eq!(schedule.due_ns(), 200_000_000, "not closer than an eager check");
        schedule.suspect(900_000_000);
        assert_eq!(schedule.due_ns(), 200_000_000);
    }
}
