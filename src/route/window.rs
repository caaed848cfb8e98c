// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conditions that are not of the request alone: times of the week, and a share of all requests. The clock and the draw
//! are arguments of the look-up, so both stay pure.

use std::fmt;

use super::Query;
use super::split::{mix, point_of};
use crate::exchange::part::{Part, Seen};

const DAY_S: i64 = 86_400;

/// The day of the week of 1970-01-01, a Thursday, where Monday is 0.
const FIRST_DAY: i64 = 3;

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// Times of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// One bit for each day, Monday the lowest.
    pub days: u8,
    /// Minutes of the day; `to` is no longer part of it. If it is not after `from`, it is of the next day.
    pub from: u16,
    pub to: u16,
    /// What the clock is before UTC, in seconds.
    pub offset_s: i32,
    /// As it was written.
    pub text: Box<str>,
}

impl Window {
    pub(super) fn holds(&self, now_s: i64) -> bool {
        let local = now_s.saturating_add(i64::from(self.offset_s));
        let day = (local.div_euclid(DAY_S) + FIRST_DAY).rem_euclid(7);
        let minute = local.rem_euclid(DAY_S) / 60;
        let is_on = |day: i64| self.days >> day.rem_euclid(7) & 1 == 1;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            return is_on(day) && (from..to).contains(&minute);
        }
        (is_on(day) && minute >= from) || (is_on(day - 1) && minute < to)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A share of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareOf {
    /// Of a hundred.
    pub percent: u16,
    /// What keeps a caller in or out; chance if absent or if the request lacks it.
    pub by: Option<Part>,
    /// The identity of the route, so that the shares of two routes are not of the same callers.
    pub seed: u64,
}

impl ShareOf {
    pub(super) fn holds(&self, query: &Query<'_>) -> bool {
        let Query { fields, path, query: text, source, certificate, draw, .. } = *query;
        let seen = Seen { fields, path, query: text, source, certificate };
        let point = self.by.as_ref().and_then(|part| part.find(&seen)).map_or(draw, |bytes| point_of(&bytes));
        mix(point ^ self.seed) % 100 < u64::from(self.percent)
    }
}

impl fmt::Display for ShareOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(part) => write!(f, "the share of {} of 100, by {part}", self.percent),
            None => write!(f, "the share of {} of 100, by chance", self.percent),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{DAY_MINUTES, Part, Query, ShareOf, Window};
    use crate::exchange::Fields;

    /// 2026-11-30 00:00 UTC, a Monday.
    const MONDAY: i64 = 1_795_996_800;

    /// Rows: days, hours and offset, an hour of the week from Monday on, and whether it is within.
    #[test]
    fn windows_are_of_their_own_clock() {
        let (every, weekdays, friday) = (0x7f, 0x1f, 0x10);
        for (days, from, to, offset_h, hour, want) in [
            (every, 0, 24, 0, 0, true),
            (weekdays, 8, 18, 0, 8, true),
            (weekdays, 8, 18, 0, 17, true),
            (weekdays, 8, 18, 0, 18, false),
            (weekdays, 8, 18, 0, 5 * 24 + 9, false),
            (weekdays, 8, 18, 2, 6, true),
            (weekdays, 8, 18, 2, 16, false),
            (friday, 22, 6, 0, 4 * 24 + 23, true),
            (friday, 22, 6, 0, 5 * 24 + 5, true),
            (friday, 22, 6, 0, 5 * 24 + 6, false),
            (friday, 22, 6, 0, 4 * 24 + 5, false),
            (0x40, 0, 24, -3, 1, true),
            (0x01, 0, 24, -3, 1, false),
        ] {
            let window = Window { days, from: from * 60, to: to * 60, offset_s: offset_h * 3600, text: "".into() };
            assert_eq!(window.holds(MONDAY + hour * 3600), want, "row {days:#x} {from}-{to} {offset_h:+} at {hour}");
        }
        assert_eq!(DAY_MINUTES, 24 * 60);
    }

    #[test]
    fn a_share_is_that_large_and_keeps_its_callers() {
        let method = http::Method::GET;
        let count = |percent, by: Option<Part>, seed| {
            let share = ShareOf { percent, by, seed };
            let takes = |n: u32| {
                let mut fields = Fields::new();
                fields.push(b"X-Id", &n.to_le_bytes());
                let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let draw = u64::from(n) << 7;
                let (host, path, query) = (&b"a"[..], &b"/"[..], None);
                share.holds(&Query {
                    host,
                    path,
                    query,
                    method: &method,
                    fields: &fields,
                    source,
                    certificate: None,
                    now_s: 0,
                    draw,
                })
            };
            (0..10_000).filter(|n| takes(*n)).collect::<Vec<_>>()
        };
        let id = || Some(Part::Header(b"x-id".as_slice().into()));
        for percent in [0, 1, 10, 50, 100] {
            for by in [None, id()] {
                let taken = count(percent, by, 7).len() as f64 / 100.0;
                assert!((taken - f64::from(percent)).abs() < 1.5, "{percent}: {taken}");
            }
        }
        let (small, large, other) = (count(10, id(), 7), count(20, id(), 7), count(10, id(), 8));
        assert!(small.iter().all(|n| large.contains(n)), "a share that grows gives nobody back");
        assert!(small != other, "two routes take other callers");
    }
}
