// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint is ejected for failing requests, and for how long: pure, with time as an argument.
//!
//! The counts come from [`super::passive`]; one task decides for all workers, so nothing here is shared. What must stay
//! true: never more than the allowed share is ejected, one that can answer is always left, an ejection ends by itself,
//! each one soon after another is longer, and long good behaviour makes them short again.

use std::time::Duration;

/// What an upstream says about endpoints that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row; 0 does not count them.
    pub consecutive: u32,
    /// Failed requests of an interval in per cent; 0 does not look.
    pub rate: u32,
    /// Fewest requests of an interval for the rate to say anything.
    pub requests: u32,
    pub interval: Duration,
    /// How long the first ejection lasts; each next one so much longer.
    pub eject: Duration,
    pub eject_max: Duration,
    /// Most endpoints ejected at a time, in per cent.
    pub ejected_max: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            consecutive: 5,
            rate: 85,
            requests: 50,
            interval: Duration::from_secs(10),
            eject: Duration::from_secs(30),
            eject_max: Duration::from_secs(300),
            ejected_max: 50,
        }
    }
}

impl Rules {
    /// Whether so many bad ones of so many requests are too many.
    pub fn is_rate_too_high(&self, requests: u32, bad: u32) -> bool {
        self.rate > 0
            && requests >= self.requests.max(1)
            && u64::from(bad) * 100 >= u64::from(requests) * u64::from(self.rate)
    }

    /// Most ejected endpoints of so many. In small groups, which are the usual ones, a share alone would eject nobody:
    /// of two or three, one may go.
    pub fn most_of(&self, total: usize) -> usize {
        if self.ejected_max == 0 {
            return 0;
        }
        let share = total * self.ejected_max as usize / 100;
        share.max(1).min(total.saturating_sub(1))
    }
}

/// An upstream as a decision sees it. The endpoint in question is counted in `total` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub total: usize,
    pub ejected: usize,
    /// Others that take requests and do not fail them.
    pub answering: usize,
}

/// Why an endpoint that fails is not ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spared {
    /// It is out already.
    Ejected,
    /// No other endpoint answers.
    Last,
    /// So many are out already as may be.
    Share { ejected: usize, most: usize },
}

/// The ejections of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ejections {
    /// How many lie so close together that they count.
    times: u32,
    until_ns: Option<u64>,
    /// When the last one ended, or when good behaviour was last rewarded.
    quiet_since_ns: u64,
}

impl Ejections {
    /// What is known from before the process started.
    pub fn restored(times: u32, until_ns: Option<u64>, now_ns: u64) -> Self {
        Self { times, until_ns, quiet_since_ns: now_ns }
    }

    pub fn times(&self) -> u32 {
        self.times
    }

    /// When the current one ends.
    pub fn until_ns(&self) -> Option<u64> {
        self.until_ns
    }

    /// Ejects the endpoint if its group allows it; for how long.
    ///
    /// # Errors
    /// Why it stays.
    pub fn eject(&mut self, rules: &Rules, group: Group, now_ns: u64) -> Result<Duration, Spared> {
        if self.until_ns.is_some() {
            return Err(Spared::Ejected);
        }
        if group.answering == 0 {
            return Err(Spared::Last);
        }
        let most = rules.most_of(group.total);
        if group.ejected >= most {
            return Err(Spared::Share { ejected: group.ejected, most });
        }
        self.forgive(rules, now_ns);
        self.times = self.times.saturating_add(1);
        let lasts = rules.eject.saturating_mul(self.times).min(rules.eject_max.max(rules.eject));
        self.until_ns = Some(now_ns.saturating_add(nanos(lasts)));
        Ok(lasts)
    }

    /// Ends an ejection whose time has come. True if it did.
    pub fn end_if_over(&mut self, now_ns: u64) -> bool {
        let over = self.until_ns.is_some_and(|until_ns| until_ns <= now_ns);
        over && self.end(now_ns)
    }

    /// Ends an ejection, whatever its time. True if there was one.
    pub fn end(&mut self, now_ns: u64) -> bool {
        self.quiet_since_ns = if self.until_ns.is_some() { now_ns } else { self.quiet_since_ns };
        self.until_ns.take().is_some()
    }

    /// Whether a good check may end this ejection early. The first one always; a later one only if checks have failed
    /// meanwhile, because an endpoint that is ejected again soon after has shown that its checks see less than requests.
    pub fn believes_checks(&self, has_failed_check: bool) -> bool {
        self.until_ns.is_some() && (self.times <= 1 || has_failed_check)
    }

    /// One ejection less for each eject time without one.
    fn forgive(&mut self, rules: &Rules, now_ns: u64) {
        let quiet_ns = now_ns.saturating_sub(self.quiet_since_ns);
        let steps = quiet_ns / nanos(rules.eject).max(1);
        self.times = self.times.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ejections, Group, Rules, Spared};

    const S: u64 = 1_000_000_000;

    #[test]
    fn small_groups_lose_one_and_never_the_last() {
        let rules = |ejected_max| Rules { ejected_max, ..Rules::default() };
        for (share, total, want) in [
            (50, 0, 0),
            (50, 1, 0),
            (50, 2, 1),
            (50, 3, 1),
            (50, 4, 2),
            (50, 10, 5),
            (10, 5, 1),
            (10, 20, 2),
            (0, 10, 0),
            (100, 1, 0),
            (100, 4, 3),
        ] {
            assert_eq!(rules(share).most_of(total), want, "{share}% of {total}");
        }
    }

    #[test]
    fn a_rate_needs_requests() {
        let rules = Rules { rate: 50, requests: 10, ..Rules::default() };
        for (requests, bad, want) in [(9, 9, false), (10, 4, false), (10, 5, true), (0, 0, false), (1000, 501, true)] {
            assert_eq!(rules.is_rate_too_high(requests, bad), want, "{bad} of {requests}");
        }
        assert!(!Rules { rate: 0, ..rules }.is_rate_too_high(100, 100));
    }

    #[test]
    fn ejections_grow_to_a_bound_and_are_forgiven_with_time() {
        let (rules, mut ejections) = (Rules::default(), Ejections::default());
        let group = Group { total: 4, ejected: 0, answering: 3 };
        let mut now = 0;
        for want in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300] {
            assert_eq!(ejections.eject(&rules, group, now), Ok(Duration::from_secs(want)));
            assert_eq!(ejections.eject(&rules, group, now), Err(Spared::Ejected));
            now = ejections.until_ns().expect("it is out");
            assert!(!ejections.end_if_over(now - 1) && ejections.end_if_over(now) && !ejections.end_if_over(now));
        }
        now += 5 * 30 * S;
        assert_eq!(ejections.eject(&rules, group, now), Ok(Duration::from_secs(240)), "twelve, five less, one more");
        assert!(ejections.end(now));
        now += 3_600 * S;
        assert_eq!(ejections.eject(&rules, group, now), Ok(Duration::from_secs(30)));
    }

    #[test]
    fn the_last_that_answers_stays_and_so_does_who_is_over_the_share() {
        let (rules, mut ejections) = (Rules::default(), Ejections::default());
        let group = |total, ejected, answering| Group { total, ejected, answering };
        assert_eq!(ejections.eject(&rules, group(2, 0, 0), 0), Err(Spared::Last));
        assert_eq!(ejections.eject(&rules, group(4, 2, 1), 0), Err(Spared::Share { ejected: 2, most: 2 }));
        assert!(ejections.eject(&rules, group(3, 0, 1), 0).is_ok());
    }

    #[test]
    fn checks_end_the_first_ejection_and_later_ones_only_if_they_saw_it() {
        let (rules, mut ejections) = (Rules::default(), Ejections::default());
        let group = Group { total: 4, ejected: 0, answering: 3 };
        assert!(!ejections.believes_checks(true));
        ejections.eject(&rules, group, 0).expect("it may");
        assert!(ejections.believes_checks(false));
        ejections.end(S);
        ejections.eject(&rules, group, 2 * S).expect("it may");
        assert!(!ejections.believes_checks(false) && ejections.believes_checks(true));
    }
}
