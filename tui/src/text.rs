// SPDX-License-Identifier: MIT OR Apache-2.0
//! How numbers, times and names are written, the same everywhere: grouped thousands, a unit after a space, at most
//! three significant digits. Nothing here knows a colour or a screen.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::text::Span;

/// `3,412`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many a second: one decimal below ten, whole above.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^52")]
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 => "0".to_owned(),
        r if r < 9.95 => format!("{r:.1}"),
        r => count(r.round() as u64),
    }
}

/// `0.4 %`; `–` when there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "a share needs three digits")]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        0.0 => "0 %".to_owned(),
        s if s < 0.1 => "<0.1 %".to_owned(),
        s if s < 9.95 => format!("{s:.1} %"),
        s => format!("{s:.0} %"),
    }
}

/// A duration in microseconds: `0.02 ms`, `4.1 ms`, `61 ms`, `1.00 s`; `–` for none.
#[expect(clippy::cast_precision_loss, reason = "a latency needs three digits")]
pub fn micros(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    match us {
        0 => "–".to_owned(),
        1..100 => format!("{ms:.2} ms"),
        100..9_950 => format!("{ms:.1} ms"),
        9_950..999_500 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1_000.0),
    }
}

/// Bytes of one second as a line speed: `41 Mbit/s`.
pub fn speed(bytes: u64) -> String {
    let (value, unit) = scaled(bytes.saturating_mul(8), 1_000, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
    format!("{value} {unit}")
}

/// Bytes at rest: `96 MiB`.
pub fn bytes(n: u64) -> String {
    let (value, unit) = scaled(n, 1_024, &["B", "KiB", "MiB", "GiB", "TiB"]);
    format!("{value} {unit}")
}

#[expect(clippy::cast_precision_loss, reason = "a size needs three digits")]
fn scaled(n: u64, step: u64, units: &[&'static str]) -> (String, &'static str) {
    let mut divisor = 1u64;
    let mut rest = units.iter().copied();
    let mut unit = rest.next().unwrap_or("");
    for next in rest {
        if n / divisor < step {
            break;
        }
        divisor = divisor.saturating_mul(step);
        unit = next;
    }
    let value = n as f64 / divisor as f64;
    if divisor > 1 && value < 9.95 { (format!("{value:.1}"), unit) } else { (format!("{value:.0}"), unit) }
}

/// A length of time: `12 s`, `3 m 12 s`, `4 h 5 m`, `12 d 4 h`.
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} m {} s", s / 60, s % 60),
        s @ 3_600..86_400 => format!("{} h {} m", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// `14:02:05` in the zone.
pub fn clock(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%H:%M:%S")
}

/// `14:02` in the zone.
pub fn clock_short(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%H:%M")
}

/// `14:36:58.204` in the zone.
pub fn clock_ms(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%H:%M:%S%.3f")
}

/// `2026-03-01 14:02` in the zone.
pub fn day(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%Y-%m-%d %H:%M")
}

/// `2026-03-01 14:02:05` in the zone.
pub fn second(ms: i64, zone: &TimeZone) -> String {
    moment(ms, zone, "%Y-%m-%d %H:%M:%S")
}

fn moment(ms: i64, zone: &TimeZone, format: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| "–".to_owned(),
        |at| jiff::fmt::strtime::format(format, &at.to_zoned_datetime(zone.clone())).unwrap_or_else(|_| "–".to_owned()),
    )
}

/// How many cells a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text cut to a width, with `…` where something is missing.
pub fn fit(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    for ch in text.chars() {
        out.push(ch);
        if width(&out) >= cells {
            out.pop();
            break;
        }
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// Cut and padded to exactly a width.
pub fn pad(text: &str, cells: usize) -> String {
    let text = fit(text, cells);
    let missing = cells.saturating_sub(width(&text));
    text + &" ".repeat(missing)
}

/// Like [`pad`], at the right edge.
pub fn pad_left(text: &str, cells: usize) -> String {
    let text = fit(text, cells);
    " ".repeat(cells.saturating_sub(width(&text))) + &text
}

/// Words broken into lines no wider than `cells`.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > cells {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&fit(word, cells));
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// A text in pieces no wider than `cells`, blanks and all.
pub fn pieces(text: &str, cells: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for ch in text.chars() {
        let wide = width(ch.encode_utf8(&mut [0; 4]));
        if taken + wide > cells.max(1) && taken > 0 {
            pieces.push(String::new());
            taken = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(ch);
        }
        taken += wide;
    }
    pieces
}

/// Control characters made visible, for output that is not a ratatui buffer.
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// `1 route`, `3 routes`.
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Copy + std::fmt::Debug>(write: impl Fn(T) -> String, rows: &[(T, &str)]) {
        for (value, want) in rows {
            assert_eq!(write(*value), *want, "row {value:?}");
        }
    }

    #[test]
    fn numbers() {
        check(count, &[(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]);
        check(rate, &[(0.0, "0"), (0.25, "0.2"), (9.9, "9.9"), (9.99, "10"), (3_412.0, "3,412")]);
        check(micros, &[(0, "–"), (20, "0.02 ms"), (4_100, "4.1 ms"), (61_000, "61 ms"), (1_004_000, "1.00 s")]);
        check(bytes, &[(0, "0 B"), (1_536, "1.5 KiB"), (96 << 20, "96 MiB")]);
        check(speed, &[(5_125_000, "41 Mbit/s"), (10, "80 bit/s")]);
        check(span, &[(-5, "0 s"), (12_000, "12 s"), (192_000, "3 m 12 s"), (90_000_000, "1 d 1 h")]);
        check(
            |(a, b)| percent(a, b),
            &[((1, 0), "–"), ((4, 1_000), "0.4 %"), ((1, 9_999), "<0.1 %"), ((1, 2), "50 %")],
        );
    }

    #[test]
    fn fitting() {
        check(|(t, n)| fit(t, n), &[(("orders", 6), "orders"), (("orders", 5), "orde…"), (("orders", 0), "")]);
        check(|t| wrap(t, 10).join("|"), &[("one two three four", "one two|three four"), ("", "")]);
        check(|t| pieces(t, 4).join("|"), &[("+a = [1, 2]", "+a =| [1,| 2]"), ("", "")]);
        check(clean, &[("a\u{1b}[2Jb", "a\\u{1b}[2Jb")]);
    }
}
