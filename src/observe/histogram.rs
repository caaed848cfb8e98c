// SPDX-License-Identifier: MIT OR Apache-2.0
//! How latencies are counted: fixed log-linear buckets in microseconds, from 1 µs to about two minutes.
//!
//! Four buckets to an octave keep the error of a percentile under 12 % with 104 buckets, whatever the spread. Pure
//! arithmetic: the counters themselves are in `cells`.

/// Buckets of one histogram.
pub const BUCKETS: usize = 104;

/// Buckets to a doubling; the values below it have a bucket each.
const PER_OCTAVE: u64 = 4;

/// The bucket that counts a latency. Longer ones than the last edge count in the last bucket.
pub(super) fn bucket(micros: u64) -> usize {
    if micros < PER_OCTAVE {
        return usize::try_from(micros).unwrap_or(0);
    }
    let exponent = 63 - micros.leading_zeros();
    let within = (micros >> (exponent - 2)) & (PER_OCTAVE - 1);
    let index = u64::from(exponent - 1) * PER_OCTAVE + within;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The smallest latency that counts in a bucket.
pub(super) fn lower_us(bucket: usize) -> u64 {
    let index = bucket as u64;
    if index < PER_OCTAVE {
        return index;
    }
    let shift = index / PER_OCTAVE - 1;
    (PER_OCTAVE + index % PER_OCTAVE) << shift
}

/// The largest latency that counts in a bucket.
pub(super) fn upper_us(bucket: usize) -> u64 {
    lower_us(bucket + 1) - 1
}

/// The value that stands for a bucket: the one with the smallest relative error to both of its edges.
fn middle_us(bucket: usize) -> u64 {
    let (low, high) = (lower_us(bucket), upper_us(bucket));
    if low == high {
        return low;
    }
    2 * low * high / (low + high)
}

/// Plain counts, as merged from the cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets(pub [u64; BUCKETS]);

impl Default for Buckets {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Buckets {
    /// How many latencies were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The latency that `share` (0 to 1) of all counted did not exceed; 0 when none was counted.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let total = self.count();
        let wanted = ((total as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return middle_us(bucket);
            }
        }
        0
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = [0; BUCKETS];
        for (out, (now, then)) in counts.iter_mut().zip(self.0.iter().zip(&earlier.0)) {
            *out = now.saturating_sub(*then);
        }
        Self(counts)
    }

    /// Adds the counts of another histogram.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Buckets, bucket, lower_us, upper_us};

    #[test]
    fn buckets_meet_without_a_gap() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(lower_us(index)), index, "lower edge of {index}");
            assert_eq!(bucket(upper_us(index)), index, "upper edge of {index}");
        }
        assert!(upper_us(BUCKETS - 1) > 100_000_000, "reaches 100 s");
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    /// Each row: a latency that is alone in the histogram, so every quantile is near to it.
    #[test]
    fn a_quantile_is_within_twelve_percent() {
        for micros in (1..40).chain([100, 250, 1_000, 9_999, 123_456, 1_000_000, 99_000_000]) {
            let mut buckets = Buckets::default();
            buckets.0[bucket(micros)] += 1;
            let got = buckets.quantile_us(0.99) as f64;
            let error = (got - micros as f64).abs() / micros as f64;
            assert!(error <= 0.12, "{micros} µs was reported as {got} µs");
        }
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.quantile_us(0.5), 0, "nothing counted");
        buckets.0[bucket(2)] = 98;
        buckets.0[bucket(3)] = 2;
        assert_eq!(buckets.quantile_us(0.5), 2);
        assert_eq!(buckets.quantile_us(0.99), 3);
    }
}
