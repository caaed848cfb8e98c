// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sealed endpoint: AES-256-GCM-SIV under a key of this installation, with the name of the upstream as associated
//! data, in hexadecimal digits.
//!
//! The key is derived from the secret of the store, so a value is good after a restart and on every node that shares
//! the secret, and worthless anywhere else and for any other upstream. The nonce is random, so two clients of one
//! endpoint have values with nothing in common; GCM-SIV keeps its promise even if one came twice.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

use super::Place;

/// What the derived key is for. Changing it makes every cookie that is out there worthless.
const PURPOSE: &str = "weirgate 2026-11 sticky sessions: sealed endpoint, version 1";

/// Identity and hint.
const PLAIN_BYTES: usize = 8 + 4;

const TAG_BYTES: usize = 16;

const SEALED_BYTES: usize = NONCE_LEN + PLAIN_BYTES + TAG_BYTES;

/// Characters of a sealed value. Any other length is not ours.
pub const SEALED_CHARS: usize = 2 * SEALED_BYTES;

/// A sealed value as text.
pub type Sealed = [u8; SEALED_CHARS];

/// The key that sealed values are made with: of the secret of the store.
pub fn key_of(secret: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(PURPOSE, secret)
}

/// Seals the endpoints of one upstream.
pub struct Seal {
    key: LessSafeKey,
    upstream: Box<[u8]>,
}

impl std::fmt::Debug for Seal {
    /// Never prints the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").field("upstream", &String::from_utf8_lossy(&self.upstream)).finish_non_exhaustive()
    }
}

impl Seal {
    pub fn new(key: &[u8; 32], upstream: &str) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).expect("a key of this algorithm has 32 bytes");
        Self { key: LessSafeKey::new(key), upstream: upstream.as_bytes().into() }
    }

    /// Seals an endpoint; none only where the system has no random bytes.
    pub fn seal(&self, place: Place) -> Option<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut plain = [0; PLAIN_BYTES];
        let (identity, hint) = plain.split_at_mut(8);
        identity.copy_from_slice(&place.identity.to_le_bytes());
        hint.copy_from_slice(&place.hint.to_le_bytes());
        let sealing = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(sealing, Aad::from(&*self.upstream), &mut plain).ok()?;
        let mut text = [0; SEALED_CHARS];
        let bytes = nonce.iter().chain(&plain).chain(tag.as_ref());
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 0xf));
            }
        }
        Some(text)
    }

    /// The endpoint in a value that we sealed for this upstream; none for any other bytes.
    pub fn open(&self, text: &[u8]) -> Option<Place> {
        let text: &Sealed = text.try_into().ok()?;
        let mut bytes = [0; SEALED_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (value(*high)? << 4) | value(*low)?;
        }
        self.open_bytes(&mut bytes).ok()
    }

    fn open_bytes(&self, bytes: &mut [u8; SEALED_BYTES]) -> Result<Place, Unspecified> {
        let (nonce, sealed) = bytes.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let plain = self.key.open_in_place(nonce, Aad::from(&*self.upstream), sealed)?;
        let (identity, hint) = plain.split_first_chunk::<8>().ok_or(Unspecified)?;
        let hint = hint.first_chunk::<4>().ok_or(Unspecified)?;
        Ok(Place { identity: u64::from_le_bytes(*identity), hint: u32::from_le_bytes(*hint) })
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

/// One spelling only: of two texts for one value a cache or a log would make two.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, SEALED_CHARS, Seal, key_of};

    const PLACE: Place = Place { identity: 0x0123_4567_89ab_cdef, hint: 7 };

    #[test]
    fn a_value_is_opened_by_its_own_key_and_upstream_only() {
        let (ours, theirs) = (key_of(&[1; 32]), key_of(&[2; 32]));
        let sealed = Seal::new(&ours, "shop").seal(PLACE).expect("random bytes");
        assert_eq!(Seal::new(&ours, "shop").open(&sealed), Some(PLACE), "also after a restart");
        assert_eq!(Seal::new(&ours, "shop2").open(&sealed), None);
        assert_eq!(Seal::new(&theirs, "shop").open(&sealed), None);
        assert_eq!(Seal::new(&[1; 32], "shop").open(&sealed), None, "the secret itself is not the key");
    }

    #[test]
    fn two_values_of_one_endpoint_have_nothing_in_common() {
        let seal = Seal::new(&key_of(&[1; 32]), "shop");
        let (one, two) = (seal.seal(PLACE).unwrap(), seal.seal(PLACE).unwrap());
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same < SEALED_CHARS / 4, "{same} digits are the same");
    }

    /// Every single change of a value, every length, and other spellings: none opens.
    #[test]
    fn nothing_else_opens() {
        let seal = Seal::new(&key_of(&[1; 32]), "shop");
        let sealed = seal.seal(PLACE).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed;
                changed[at] ^= 1 << bit;
                assert_eq!(seal.open(&changed), None, "byte {at}, bit {bit}");
            }
            assert_eq!(seal.open(&sealed[..at]), None, "the first {at}");
        }
        assert_eq!(seal.open(&[&sealed[..], b"0"].concat()), None);
        assert_eq!(seal.open(&sealed.to_ascii_uppercase()), None);
        assert_eq!(seal.open(&[b'0'; SEALED_CHARS]), None);
        assert_eq!(seal.open(b"127.0.0.1:9001"), None);
    }
}
