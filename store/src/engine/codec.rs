// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame around every value on disk: `schema, length, checksum, payload`.
//!
//! sled checks its own pages, but a value that comes back must also be the whole value that was written, in a format
//! that this version knows. A payload too large for one value is written in parts beside a head that counts them.

use super::EngineError;

/// The format of frames.
const SCHEMA: u8 = 1;

/// A head whose payload counts parts instead of being the value.
const SCHEMA_PARTS: u8 = 0x80 | SCHEMA;

/// Bytes of checksum: enough against accidents, which is all it is for.
const CHECKSUM_BYTES: usize = 8;

const HEADER_BYTES: usize = 1 + 4 + CHECKSUM_BYTES;

/// Largest value on disk; sled writes much larger ones into files of their own, and leaks them.
pub(super) const VALUE_BYTES_MAX: usize = 64 << 10;

/// Largest payload in one frame.
pub(super) const PAYLOAD_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES;

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framed<'a> {
    Whole(&'a [u8]),
    /// The value is in this many parts.
    Parts(u32),
}

pub(super) fn whole(payload: &[u8]) -> Vec<u8> {
    frame(SCHEMA, payload)
}

pub(super) fn parts(count: u32) -> Vec<u8> {
    frame(SCHEMA_PARTS, &count.to_be_bytes())
}

fn frame(schema: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(HEADER_BYTES + payload.len());
    framed.push(schema);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&checksum(schema, payload));
    framed.extend_from_slice(payload);
    framed
}

pub(super) fn open(framed: &[u8]) -> Result<Framed<'_>, EngineError> {
    let damaged = |what: &str| EngineError::Damaged(format!("a value {what}"));
    let (schema, rest) = framed.split_first().ok_or_else(|| damaged("is empty"))?;
    match *schema {
        SCHEMA | SCHEMA_PARTS => {}
        newer if newer & 0x7f > SCHEMA => return Err(EngineError::Newer),
        _ => return Err(damaged("has no schema")),
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("is cut short"))?;
    let (sum, payload) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("is cut short"))?;
    if payload.len() != u32::from_be_bytes(*length) as usize {
        return Err(damaged("has another length than written"));
    }
    if *sum != checksum(*schema, payload) {
        return Err(damaged("has another checksum than written"));
    }
    if *schema == SCHEMA {
        return Ok(Framed::Whole(payload));
    }
    let count = payload.first_chunk::<4>().ok_or_else(|| damaged("counts no parts"))?;
    Ok(Framed::Parts(u32::from_be_bytes(*count)))
}

fn checksum(schema: u8, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[schema]).update(payload);
    let mut sum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::{EngineError, Framed, open, parts, whole};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_framed_comes_back_and_a_flipped_bit_does_not(
            payload in proptest::collection::vec(any::<u8>(), 0..200), bit in any::<proptest::sample::Index>()
        ) {
            let mut framed = whole(&payload);
            prop_assert_eq!(open(&framed), Ok(Framed::Whole(&payload)));
            let bit = bit.index(framed.len() * 8);
            framed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&framed).is_err());
            prop_assert!(open(&framed[..framed.len() - 1]).is_err());
        }

        #[test]
        fn strangers_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _either_way = open(&bytes).is_ok();
        }
    }

    #[test]
    fn a_newer_schema_is_told_apart_from_damage() {
        assert_eq!(open(&parts(7)), Ok(Framed::Parts(7)));
        let mut framed = whole(b"x");
        framed[0] = 2;
        assert_eq!(open(&framed), Err(EngineError::Newer));
    }
}
