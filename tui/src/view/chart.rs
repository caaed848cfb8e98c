// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small pictures of numbers: sparklines, bars, and the heat map of latency.

use weirgate_store::wire::LatencyHistogram;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest values, as many as there are cells, the newest at the right.
pub(super) fn sparkline(values: &[u64], cells: usize) -> String {
    let shown = values.get(values.len().saturating_sub(cells)..).unwrap_or_default();
    let max = shown.iter().copied().max().unwrap_or(0);
    let bars: String = shown.iter().map(|value| bar(*value, max)).collect();
    " ".repeat(cells.saturating_sub(shown.len())) + &bars
}

fn bar(value: u64, max: u64) -> char {
    let step = (value.saturating_mul(7)).div_ceil(max.max(1));
    usize::try_from(step).ok().and_then(|at| BARS.get(at)).copied().unwrap_or('█')
}

/// A share as filled and empty cells.
pub(super) fn gauge(part: u64, whole: u64, cells: usize) -> String {
    let filled = (part.min(whole).saturating_mul(cells as u64)).div_ceil(whole.max(1));
    let filled = usize::try_from(filled).unwrap_or(cells).min(cells);
    "▓".repeat(filled) + &"░".repeat(cells - filled)
}

/// Rows of the heat map, slowest first: the label, and above which latency in microseconds a row begins.
pub(super) const DECADES: [(&str, u64); 4] = [("1 s", 1_000_000), ("100ms", 100_000), ("10 ms", 10_000), ("1 ms", 0)];

/// How many requests of a second fell into each row of the heat map.
pub(super) fn decades(histogram: &LatencyHistogram) -> [u64; 4] {
    let mut rows = [0; 4];
    for (upper, count) in histogram.upper_us.iter().zip(&histogram.counts) {
        let at = DECADES.iter().position(|(_, above)| upper > above).unwrap_or(3);
        if let Some(row) = rows.get_mut(at) {
            *row += count;
        }
    }
    rows
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
        assert_eq!(sparkline(&[0, 1, 7, 14], 6), "  ▁▂▅█");
        assert_eq!(sparkline(&[1, 2, 3], 2), "▆█");
        assert_eq!(gauge(1, 10, 5), "▓░░░░");
        assert_eq!(gauge(0, 0, 3), "░░░");
        let histogram = LatencyHistogram { upper_us: vec![500, 50_000, 2_000_000], counts: vec![3, 2, 1] };
        assert_eq!(decades(&histogram), [1, 0, 2, 3]);
    }
}
