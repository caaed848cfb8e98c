// SPDX-License-Identifier: MIT OR Apache-2.0
//! Periods of the calendar: in which one a moment lies, when that began and when it ends.
//!
//! Pure: the moment is an argument. Only at the turn of a period is anything computed; in between, the answer is two
//! numbers in one atomic.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, ZonedDateTime};

const MINUTE_S: i64 = 60;

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Minute,
    Hour,
    Day,
    Month,
}

/// One period, from its first minute to the first of the next, in minutes since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start_min: u32,
    pub end_min: u32,
}

/// Periods of one length at one place of the world.
#[derive(Debug)]
pub struct Calendar {
    period: Period,
    zone: TimeZone,
    /// The window that was asked for last.
    last: AtomicU64,
}

impl Period {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// No period of this kind is longer, in minutes: a day has up to 25 hours where clocks change.
    pub fn minutes_max(self) -> u32 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 25 * 60,
            Self::Month => 31 * 24 * 60 + 60,
        }
    }
}

impl Calendar {
    pub fn new(period: Period, zone: TimeZone) -> Self {
        Self { period, zone, last: AtomicU64::new(0) }
    }

    pub fn period(&self) -> Period {
        self.period
    }

    /// Seconds of the window that was asked for last.
    pub fn seconds(&self) -> u32 {
        Window::of_bits(self.last.load(Ordering::Relaxed)).seconds()
    }

    /// The window in which a moment lies, given in seconds since 1970-01-01 UTC.
    pub fn at(&self, now_s: i64) -> Window {
        let now_min = minutes(now_s);
        let last = Window::of_bits(self.last.load(Ordering::Relaxed));
        if last.holds(now_min) {
            return last;
        }
        let window = self.find(now_min);
        self.last.store(window.bits(), Ordering::Relaxed);
        window
    }

    #[cold]
    fn find(&self, now_min: u32) -> Window {
        let found = match self.period {
            Period::Minute => None,
            Period::Hour => self.hour(now_min),
            Period::Day => self.between(now_min, |now| now.start_of_day(), |start| start.tomorrow()),
            Period::Month => {
                let first = |now: &ZonedDateTime| now.first_of_month()?.start_of_day();
                self.between(now_min, first, |start| start.checked_add(1.month()))
            }
        };
        // Only times that no calendar knows have none.
        found.filter(|window| window.holds(now_min)).unwrap_or(Window { start_min: now_min, end_min: now_min + 1 })
    }

    /// An hour of the clock on the wall: not all offsets are whole hours.
    fn hour(&self, now_min: u32) -> Option<Window> {
        let offset: Offset = self.zone.to_offset(timestamp(now_min)?);
        let wall = i64::from(now_min) + i64::from(offset.seconds()) / MINUTE_S;
        let start_min = u32::try_from(i64::from(now_min) - wall.rem_euclid(60)).ok()?;
        Some(Window { start_min, end_min: start_min + 60 })
    }

    fn between(
        &self,
        now_min: u32,
        first: impl Fn(&ZonedDateTime) -> Result<ZonedDateTime, jiff::Error>,
        next: impl Fn(&ZonedDateTime) -> Result<ZonedDateTime, jiff::Error>,
    ) -> Option<Window> {
        let start = first(&timestamp(now_min)?.to_zoned_datetime(self.zone.clone())).ok()?;
        // The first instant of the next day, also where midnight is left out.
        let end = next(&start).and_then(|end| end.start_of_day()).ok()?;
        let minutes = |at: &ZonedDateTime| u32::try_from(at.timestamp().as_second() / MINUTE_S).ok();
        Some(Window { start_min: minutes(&start)?, end_min: minutes(&end)? })
    }
}

impl Window {
    /// Seconds from a moment to the end of the window, at least one.
    pub fn seconds_left(self, now_s: i64) -> u32 {
        let left = i64::from(self.end_min) * MINUTE_S - now_s;
        u32::try_from(left.max(1)).unwrap_or(u32::MAX)
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u32 {
        self.end_min.saturating_sub(self.start_min).saturating_mul(60)
    }

    fn holds(self, minute: u32) -> bool {
        (self.start_min..self.end_min).contains(&minute)
    }

    fn bits(self) -> u64 {
        u64::from(self.start_min) << 32 | u64::from(self.end_min)
    }

    fn of_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { start_min: half(bits >> 32), end_min: half(bits) }
    }
}

/// Whole minutes since 1970-01-01 UTC; 0 before.
pub(super) fn minutes(now_s: i64) -> u32 {
    u32::try_from(now_s.div_euclid(MINUTE_S)).unwrap_or(0)
}

fn timestamp(minute: u32) -> Option<Timestamp> {
    Timestamp::from_second(i64::from(minute) * MINUTE_S).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::{Calendar, Period};

    fn check(period: Period, zone: &TimeZone, rows: &[(&str, &str, &str)]) {
        let calendar = Calendar::new(period, zone.clone());
        for (now, start, end) in rows {
            let now: Timestamp = now.parse().unwrap();
            let text = |min: u32| Timestamp::from_second(i64::from(min) * 60).unwrap().to_string();
            // Twice: computed, and from memory.
            for _ in 0..2 {
                let window = calendar.at(now.as_second());
                assert_eq!((text(window.start_min), text(window.end_min)), ((*start).into(), (*end).into()), "{now}");
                assert!(window.end_min - window.start_min <= period.minutes_max(), "{now}");
                let left = i64::from(window.seconds_left(now.as_second()));
                assert_eq!(now.as_second() + left, i64::from(window.end_min) * 60, "{now}");
            }
        }
    }

    #[test]
    fn periods_by_the_calendar_of_utc() {
        let utc = TimeZone::UTC;
        check(Period::Minute, &utc, &[("2026-11-30T20:59:59Z", "2026-11-30T20:59:00Z", "2026-11-30T21:00:00Z")]);
        check(Period::Hour, &utc, &[("2026-11-30T20:59:59Z", "2026-11-30T20:00:00Z", "2026-11-30T21:00:00Z")]);
        check(
            Period::Day,
            &utc,
            &[
                ("2026-11-30T23:59:59Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
                ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"),
            ],
        );
        check(
            Period::Month,
            &utc,
            &[
                ("2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
                ("2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ],
        );
    }

    #[test]
    fn periods_elsewhere_begin_with_their_own_midnight() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        check(
            Period::Day,
            &berlin,
            &[
                ("2026-11-30T23:30:00Z", "2026-11-30T23:00:00Z", "2026-12-01T23:00:00Z"),
                // The days on which clocks change have 23 and 25 hours.
                ("2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
                ("2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ],
        );
        check(Period::Month, &berlin, &[("2026-10-31T23:30:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")]);
        let kolkata = TimeZone::posix("IST-5:30").unwrap();
        check(Period::Hour, &kolkata, &[("2026-11-30T20:45:00Z", "2026-11-30T20:30:00Z", "2026-11-30T21:30:00Z")]);
    }

    #[test]
    fn a_time_outside_of_all_calendars_is_a_window_of_its_own() {
        let calendar = Calendar::new(Period::Month, TimeZone::UTC);
        for now in [i64::MIN, -1, i64::MAX] {
            let window = calendar.at(now);
            assert!(window.end_min > window.start_min, "{now}");
        }
    }
}
