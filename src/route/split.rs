// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which side of a split takes a request: weighted rendezvous hashing over a point that is the caller's, or chance.
//!
//! Pure. Every side draws a number from the point and its own identity, and the draw divided by the weight decides, so
//! the shares are exact in the mean. What must stay true: when weights move, a caller moves only to a side whose share
//! grew or from one whose share shrank. So a canary that rises takes callers and gives none back, whatever else the
//! split holds, and one that falls gives back those it took last.

use std::sync::atomic::{AtomicU16, Ordering};

/// All of a share, in per cent.
pub const WHOLE: u16 = 100;

/// A share that moves while requests read it.
#[derive(Debug)]
pub struct Share(AtomicU16);

impl Share {
    pub fn new(percent: u16) -> Self {
        Self(AtomicU16::new(percent.min(WHOLE)))
    }

    pub fn percent(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, percent: u16) {
        self.0.store(percent.min(WHOLE), Ordering::Relaxed);
    }
}

/// The number that stands for a name or a caller: the same on every node, at every start and in every version.
pub fn point_of(bytes: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(bytes).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The side that `point` falls to, each given by its identity and its weight; none if no side has a weight.
pub fn pick(point: u64, sides: impl Iterator<Item = (u64, u32)>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, (identity, weight)) in sides.enumerate().filter(|(_, (_, weight))| *weight > 0) {
        // The first of several exponential clocks to ring, each running at the speed of its weight.
        let rings = -unit(mix(point ^ identity)).ln() / f64::from(weight);
        if best.is_none_or(|(_, held)| rings < held) {
            best = Some((at, rings));
        }
    }
    best.map(|(at, _)| at)
}

/// A number strictly between 0 and 1.
fn unit(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "52 bits and a half fit a double exactly")]
    let value = ((bits >> 12) as f64 + 0.5) / 4_503_599_627_370_496.0;
    value
}

/// The finaliser of SplitMix64: a bijection that spreads every input bit over all output bits.
pub(super) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Share, pick, point_of};

    const CALLERS: u64 = 20_000;

    fn sides(weights: &[u32]) -> impl Iterator<Item = (u64, u32)> {
        weights.iter().enumerate().map(|(at, weight)| (point_of(format!("side-{at}").as_bytes()), *weight))
    }

    fn all(weights: &[u32]) -> Vec<usize> {
        (0..CALLERS).map(|n| pick(point_of(&n.to_le_bytes()), sides(weights)).expect("one has a weight")).collect()
    }

    /// Rows of weights: each side gets its share of the callers, within one in a hundred of all.
    #[test]
    fn shares_are_those_of_the_weights() {
        for weights in [&[1, 1][..], &[95, 5], &[1, 0], &[0, 7], &[50, 30, 20], &[10_000, 1, 9_999]] {
            let (got, sum) = (all(weights), weights.iter().sum::<u32>());
            for (at, weight) in weights.iter().enumerate() {
                let share = got.iter().filter(|side| **side == at).count() as f64 / CALLERS as f64;
                let want = f64::from(*weight) / f64::from(sum);
                assert!((share - want).abs() < 0.01, "row {weights:?}: side {at} has {share}, not {want}");
                assert!(*weight > 0 || share == 0.0, "row {weights:?}: weight 0 takes nothing");
            }
        }
        assert_eq!(pick(7, sides(&[0, 0])), None);
        assert_eq!(pick(7, sides(&[])), None);
    }

    /// Every step of a canary up and down again: nobody moves against the direction.
    #[test]
    fn a_rising_share_gives_nobody_back() {
        let mut before = all(&[100, 0]);
        for percent in [1, 5, 10, 25, 50, 75, 99, 100] {
            let after = all(&[100 - percent, percent]);
            assert!(before.iter().zip(&after).all(|(old, new)| *old == 0 || *new == 1), "at {percent}%");
            before = after;
        }
        for percent in [90, 50, 1, 0] {
            let after = all(&[100 - percent, percent]);
            assert!(before.iter().zip(&after).all(|(old, new)| *old == 1 || *new == 0), "down to {percent}%");
            before = after;
        }
        assert_eq!(before, all(&[100, 0]), "all are back where they began");
    }

    /// Rows: weights before and after, and the share of callers that has to move.
    #[test]
    fn only_those_move_who_must() {
        for (from, to, must) in [
            (&[50, 30, 20][..], &[40, 30, 30][..], 0.10),
            (&[1, 1, 0], &[1, 1, 1], 1.0 / 3.0),
            (&[1, 1, 1], &[2, 2, 2], 0.0),
        ] {
            let moved = all(from).iter().zip(all(to)).filter(|(a, b)| **a != *b).count() as f64 / CALLERS as f64;
            assert!(moved <= must * 1.2 + 0.01, "row {from:?} to {to:?}: {moved} moved, {must} had to");
        }
    }

    #[test]
    fn a_share_is_at_most_whole() {
        let share = Share::new(250);
        assert_eq!(share.percent(), 100);
        share.set(30);
        assert_eq!(share.percent(), 30);
    }
}
