// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers, times and sizes as people read them. Pure: the present and the time zone are arguments.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A latency: `850 µs`, `4.2 ms`, `61 ms`, `1.04 s`.
pub(crate) fn micros(us: u64) -> String {
    let us_f = us as f64;
    match us {
        0 => "-".to_owned(),
        1..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us_f / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us_f / 1e3),
        1_000_000..60_000_000 => format!("{:.2} s", us_f / 1e6),
        _ => age(i64::try_from(us / 1_000).unwrap_or(i64::MAX)),
    }
}

/// A size: `512 B`, `1.5 KiB`, `96 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" || value >= 10.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// A share of a whole: `0 %`, `0.4 %`, `12 %`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    if share < 10.0 { format!("{share:.1} %") } else { format!("{share:.0} %") }
}

/// How long: the two largest units, `3 m 12 s`, `5 d 2 h`.
pub(crate) fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        let (number, left) = (rest / size, rest % size);
        if number > 0 || !parts.is_empty() {
            parts.push((number, unit));
        }
        rest = left;
    }
    let shown: Vec<String> =
        parts.iter().take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}

/// Date and time of day: `2026-11-24 14:02:05`.
pub(crate) fn date_time(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%Y-%m-%d %H:%M:%S")
}

/// Time of day to the millisecond: `14:36:58.204`.
pub(crate) fn time_of_day(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%H:%M:%S%.3f")
}

fn moment(ms: i64, zone: &TimeZone, form: &str) -> String {
    let stamp = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    stamp.to_zoned_datetime(zone.clone()).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Copy + std::fmt::Debug>(form: impl Fn(T) -> String, rows: &[(T, &str)]) {
        for (value, want) in rows {
            assert_eq!(form(*value), *want, "row {value:?}");
        }
    }

    #[test]
    fn numbers() {
        check(count, &[(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]);
        check(|(a, b)| percent(a, b), &[((0, 0), "0 %"), ((4, 1000), "0.4 %"), ((1, 2), "50 %")]);
        check(bytes, &[(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (96 << 20, "96 MiB"), (1 << 41, "2.0 TiB")]);
    }

    #[test]
    fn times() {
        check(micros, &[(0, "-"), (850, "850 µs"), (4_210, "4.2 ms"), (61_400, "61 ms"), (1_004_000, "1.00 s")]);
        check(micros, &[(192_000_000, "3 m 12 s")]);
        check(age, &[(-5, "0 s"), (999, "0 s"), (192_000, "3 m 12 s"), (3_600_000, "1 h"), (439_200_000, "5 d 2 h")]);
        assert_eq!(date_time(1_795_528_925_204, &TimeZone::UTC), "2026-11-24 14:02:05");
        assert_eq!(time_of_day(1_795_528_925_204, &TimeZone::UTC), "14:02:05.204");
    }
}
