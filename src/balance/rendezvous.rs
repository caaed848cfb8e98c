// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted rendezvous hashing: every endpoint scores the key and the best score wins.
//!
//! Taking one endpoint out moves only its own keys, each to its second best. The scores depend on nothing but the key
//! and the addresses: every node, restart and version agrees. It looks at every endpoint: some microseconds for a
//! thousand.

use std::cmp::Ordering;

use super::Candidate;
use super::balancer::Seat;
use super::draw::mix;
use super::group::Group;

/// The identity of an endpoint: the first eight bytes of the BLAKE3 hash of its address as written.
pub fn identity(address: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(address.as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What a rendezvous found.
pub(super) struct Meeting {
    /// The best of those that can take a request.
    pub(super) best: usize,
    /// The best of those that are not full; there always is one.
    pub(super) within: usize,
    pub(super) able: usize,
}

/// Looks at all of a group; `is_full` says who has too much to do.
pub(super) fn meet<V: Fn(usize) -> Candidate>(
    group: &Group<'_, V>,
    seats: &[Seat],
    key: u64,
    is_full: impl Fn(&Candidate) -> bool,
) -> Option<Meeting> {
    let mut best: Option<(usize, u64, u32)> = None;
    let mut within: Option<(usize, u64, u32)> = None;
    let mut able = 0;
    for (index, candidate) in group.able() {
        able += 1;
        let score = (score_of(key, seats.get(index)?), candidate.weight);
        let wins = |held: &Option<(usize, u64, u32)>| {
            held.is_none_or(|(_, hash, weight)| score_order(score, (hash, weight)).is_gt())
        };
        let (leads, leads_within) = (wins(&best), wins(&within));
        if leads {
            best = Some((index, score.0, score.1));
        }
        if leads_within && !is_full(&candidate) {
            within = Some((index, score.0, score.1));
        }
    }
    let (best, ..) = best?;
    Some(Meeting { best, within: within.map_or(best, |(index, ..)| index), able })
}

fn score_of(key: u64, seat: &Seat) -> u64 {
    mix(key ^ seat.identity)
}

/// The score of an endpoint for a key, as a number to show.
pub(super) fn score(key: u64, seat: &Seat, weight: u32) -> f64 {
    f64::from(weight) / 100.0 / minus_ln(score_of(key, seat))
}

/// Orders two endpoints by weight / -ln(hash / 2^64). Both factors grow alone, so the logarithm is only asked when one
/// endpoint has the higher hash and the other the larger weight.
pub(super) fn score_order((a, a_weight): (u64, u32), (b, b_weight): (u64, u32)) -> Ordering {
    let (by_hash, by_weight) = (a.cmp(&b), a_weight.cmp(&b_weight));
    if by_weight.is_eq() || by_hash == by_weight {
        return by_hash;
    }
    let score = |hash: u64, weight: u32| f64::from(weight) / minus_ln(hash);
    score(a, a_weight).total_cmp(&score(b, b_weight))
}

/// -ln((hash + 1/2) / 2^52) over the upper 52 bits, from additions, multiplications and divisions only: these are
/// rounded the same on every machine, the `ln` of the platform is not.
fn minus_ln(hash: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "52 bits and a half fit a double exactly")]
    let value = ((hash >> 12) as f64 + 0.5) / 4_503_599_627_370_496.0;
    let bits = value.to_bits();
    let mut exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1023;
    // The mantissa between 1/sqrt(2) and sqrt(2), where ln(m) = 2 atanh((m - 1) / (m + 1)) converges fast.
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut series = 0.0;
    for odd in (0..10_u32).rev() {
        series = series * square + 1.0 / f64::from(2 * odd + 1);
    }
    -(f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * series)
}

#[cfg(test)]
mod tests {
    use super::minus_ln;

    #[test]
    fn the_logarithm_is_that_of_mathematics() {
        for hash in [0, 1, 1 << 12, 1 << 40, u64::MAX / 3, u64::MAX / 2, u64::MAX - 5000, u64::MAX] {
            #[expect(clippy::cast_precision_loss, reason = "52 bits and a half fit a double exactly")]
            let want = -(((hash >> 12) as f64 + 0.5) / 2f64.powi(52)).ln();
            let got = minus_ln(hash);
            assert!((got - want).abs() <= 1e-12 * want, "hash {hash}: got {got}, want {want}");
        }
    }
}
