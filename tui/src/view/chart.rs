// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small pictures of numbers: sparklines, bars, and the heat map of latency.

use weirgate_store::wire::LatencyHistogram;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest values, as many as there are cells, the newest at the right; so many rows high, the highest row first.
pub(super) fn sparkline(values: &[u64], cells: usize, rows: u64) -> Vec<String> {
    let shown = values.get(values.len().saturating_sub(cells)..).unwrap_or_default();
    let max = shown.iter().copied().max().unwrap_or(0);
    let blank = " ".repeat(cells.saturating_sub(shown.len()));
    let row = |row: u64| shown.iter().map(|value| bar(*value, max, rows, row)).collect::<String>();
    (0..rows).rev().map(|at| blank.clone() + &row(at)).collect()
}

/// One cell of a column that is `rows` cells high; the lowest cell always shows something, so that zero is seen.
fn bar(value: u64, max: u64, rows: u64, row: u64) -> char {
    let eighths = value.saturating_mul(8 * rows).div_ceil(max.max(1));
    match eighths.saturating_sub(8 * row) {
        0 if row == 0 => '▁',
        0 => ' ',
        part => usize::try_from(part - 1).ok().and_then(|at| BARS.get(at)).copied().unwrap_or('█'),
    }
}

/// A share as filled and empty cells.
pub(super) fn gauge(part: u64, whole: u64, cells: usize) -> String {
    let filled = (part.min(whole).saturating_mul(cells as u64)).div_ceil(whole.max(1));
    let filled = usize::try_from(filled).unwrap_or(cells).min(cells);
    "▓".repeat(filled) + &"░".repeat(cells - filled)
}

/// Rows of the heat map, slowest first: the label, and above which latency in microseconds a row begins.
pub(super) const DECADES: &[(&str, u64)] = &[("1 s", 1_000_000), ("100ms", 100_000), ("10 ms", 10_000), ("1 ms", 0)];

/// The same for a tall terminal.
pub(super) const HALVES: &[(&str, u64)] = &[
    ("1 s", 1_000_000),
    ("300ms", 300_000),
    ("100ms", 100_000),
    ("30 ms", 30_000),
    ("10 ms", 10_000),
    ("3 ms", 3_000),
    ("1 ms", 1_000),
    ("less", 0),
];

/// How many requests of a second fell into each row of the heat map.
pub(super) fn bands(histogram: &LatencyHistogram, rows: &[(&str, u64)]) -> Vec<u64> {
    let mut bands = vec![0; rows.len()];
    for (upper, count) in histogram.upper_us.iter().zip(&histogram.counts) {
        let at = rows.iter().position(|(_, above)| upper > above).unwrap_or(rows.len().saturating_sub(1));
        if let Some(band) = bands.get_mut(at) {
            *band += count;
        }
    }
    bands
}

/// A share as one shade.
pub(super) fn shade(part: u64, whole: u64) -> char {
    match part.saturating_mul(100).checked_div(whole) {
        None => ' ',
        Some(_) if part == 0 => ' ',
        Some(0..5) => '░',
        Some(5..30) => '▒',
        Some(30..70) => '▓',
        Some(_) => '█',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures() {
        assert_eq!(sparkline(&[0, 1, 7, 14], 6, 1), ["  ▁▁▄█"]);
        assert_eq!(sparkline(&[1, 2, 3], 2, 1), ["▆█"]);
        assert_eq!(sparkline(&[0, 8, 16], 3, 2), ["  █", "▁██"]);
        assert_eq!(gauge(1, 10, 5), "▓░░░░");
        assert_eq!(gauge(0, 0, 3), "░░░");
        let histogram = LatencyHistogram { upper_us: vec![500, 50_000, 2_000_000], counts: vec![3, 2, 1] };
        assert_eq!(bands(&histogram, DECADES), [1, 0, 2, 3]);
    }
}
