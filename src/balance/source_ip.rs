// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same client address to the same endpoint, by weighted rendezvous hashing.
//!
//! Every endpoint scores the address and the best score wins, so taking one endpoint out moves only its own clients,
//! each to its second best. The scores depend on nothing but the addresses: every node, restart and version agrees.
//! It looks at every endpoint: some microseconds for a thousand. IPv6 counts by its /64, because a host
//! changes the rest at will.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::draw::mix;
use super::{Balance, Candidate, Choice, Reason, TIERS, Tier};

/// The identity of an endpoint: the first eight bytes of the BLAKE3 hash of its address as written.
pub fn identity(address: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(address.as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

pub(super) fn pick(source: IpAddr, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let key = mix(source_key(source));
    TIERS.into_iter().find_map(|tier| pick_in(tier, key, n, view))
}

fn source_key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or_default(),
    }
}

fn pick_in(tier: Tier, key: u64, n: usize, view: &impl Fn(usize) -> Candidate) -> Option<Choice> {
    let mut best: Option<(usize, u64, u32)> = None;
    let mut able = 0;
    for (index, candidate) in (0..n).map(|index| (index, view(index))).filter(|(_, c)| c.takes(tier)) {
        able += 1;
        let hash = mix(key ^ candidate.identity);
        if best.is_none_or(|(_, held, weight)| score_order((hash, candidate.weight), (held, weight)).is_gt()) {
            best = Some((index, hash, candidate.weight));
        }
    }
    let reason = if able == 1 { Reason::Only(Balance::SourceIp) } else { Reason::Source };
    best.map(|(index, ..)| Choice { index, reason })
}

/// Orders two endpoints by weight / -ln(hash / 2^64). Both factors grow alone, so the logarithm is only asked when one
/// endpoint has the higher hash and the other the larger weight.
fn score_order((a, a_weight): (u64, u32), (b, b_weight): (u64, u32)) -> Ordering {
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
