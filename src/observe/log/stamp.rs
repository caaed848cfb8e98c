// SPDX-License-Identifier: MIT OR Apache-2.0
//! When something happened, as text: RFC 3339 in UTC, and the way of Apache. Pure arithmetic, and no allocation.

/// A time of day in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: u8,
    day: u8,
    second_of_day: u32,
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The date of a number of days since 1970-01-01, by shifted years that end in February, so that the leap day is the
/// last of its year (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: u8::try_from(month).unwrap_or(1),
        day: u8::try_from(day).unwrap_or(1),
        second_of_day: u32::try_from(seconds.rem_euclid(86_400)).unwrap_or(0),
    }
}

fn two(out: &mut Vec<u8>, number: u32) {
    out.extend([digit(number / 10), digit(number)]);
}

fn digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

fn year(out: &mut Vec<u8>, year: i64) {
    let year = u32::try_from(year).unwrap_or(0);
    two(out, year / 100);
    two(out, year);
}

fn clock_of(out: &mut Vec<u8>, second_of_day: u32) {
    two(out, second_of_day / 3_600);
    out.push(b':');
    two(out, second_of_day / 60 % 60);
    out.push(b':');
    two(out, second_of_day % 60);
}

/// `2026-11-30T20:06:50.123Z`.
pub fn rfc3339(out: &mut Vec<u8>, wall_ms: i64) {
    let date = civil(wall_ms.div_euclid(1_000));
    year(out, date.year);
    out.push(b'-');
    two(out, date.month.into());
    out.push(b'-');
    two(out, date.day.into());
    out.push(b'T');
    clock_of(out, date.second_of_day);
    let ms = u32::try_from(wall_ms.rem_euclid(1_000)).unwrap_or(0);
    out.extend([b'.', digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
}

/// `30/Nov/2026:20:06:50 +0000`.
pub(super) fn apache(out: &mut Vec<u8>, wall_ms: i64) {
    let date = civil(wall_ms.div_euclid(1_000));
    two(out, date.day.into());
    out.push(b'/');
    let month = MONTHS.get(usize::from(date.month).saturating_sub(1)).copied().unwrap_or(b"Jan");
    out.extend_from_slice(month);
    out.push(b'/');
    year(out, date.year);
    out.push(b':');
    clock_of(out, date.second_of_day);
    out.extend_from_slice(b" +0000");
}

/// `Nov 30 20:06:50`, the day padded with a space (RFC 3164 section 4.1.2).
pub fn syslog_time(out: &mut Vec<u8>, wall_ms: i64) {
    let date = civil(wall_ms.div_euclid(1_000));
    let month = MONTHS.get(usize::from(date.month).saturating_sub(1)).copied().unwrap_or(b"Jan");
    out.extend_from_slice(month);
    let tens = if date.day < 10 { b' ' } else { digit(u32::from(date.day) / 10) };
    out.extend([b' ', tens, digit(date.day.into()), b' ']);
    clock_of(out, date.second_of_day);
}

#[cfg(test)]
mod tests {
    use super::{apache, rfc3339};

    #[test]
    fn dates_of_the_calendar() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z", "28/Feb/2000:23:59:59 +0000"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z", "29/Feb/2024:23:59:59 +0000"),
            (1_796_069_210_123, "2026-11-30T20:06:50.123Z", "30/Nov/2026:20:06:50 +0000"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
        ];
        for (ms, iso, common) in rows {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            rfc3339(&mut one, ms);
            apache(&mut other, ms);
            assert_eq!(String::from_utf8(one).expect("ASCII"), iso, "row {ms}");
            assert_eq!(String::from_utf8(other).expect("ASCII"), common, "row {ms}");
        }
    }
}
