// SPDX-License-Identifier: MIT OR Apache-2.0
//! An argon2id hash of a password as text (the PHC string format), with bounds on what checking it may cost.
//!
//! It computes nothing: the engine makes such hashes, the daemon checks passwords against them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Kibibytes of memory for a new hash (OWASP's first choice for argon2id).
pub const MEMORY_KIB: u32 = 19 * 1024;

/// Most memory that a hash may ask for: so much is taken for each check at once.
pub const MEMORY_KIB_MAX: u32 = 64 * 1024;

/// Passes over the memory for a new hash.
pub const PASSES: u32 = 2;

/// Most passes.
pub const PASSES_MAX: u32 = 10;

/// Most lanes.
pub const LANES_MAX: u32 = 4;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// Bytes of a new salt.
pub const SALT_BYTES: usize = 16;

const SALT_BYTES_MIN: usize = 8;
const SALT_BYTES_MAX: usize = 64;

/// Longest text that is looked at.
const TEXT_BYTES_MAX: usize = 256;

/// What a password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    pub salt: Vec<u8>,
    pub hash: [u8; HASH_BYTES],
}

impl PasswordHash {
    /// One with the costs of today; `hash` is what argon2id makes of the password, the salt and these costs.
    pub fn new(salt: [u8; SALT_BYTES], hash: [u8; HASH_BYTES]) -> Self {
        Self { memory_kib: MEMORY_KIB, passes: PASSES, lanes: 1, salt: salt.to_vec(), hash }
    }
}

impl fmt::Debug for PasswordHash {
    /// Never prints the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(m={},t={},p={})", self.memory_kib, self.passes, self.lanes)
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_kib, passes, lanes, salt, hash } = self;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
    }
}

impl FromStr for PasswordHash {
    type Err = String;

    /// Reads `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`, or says what is wrong with it.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "it is not of the form $argon2id$v=19$m=…,t=…,p=…$SALT$HASH".to_owned();
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let parts: Vec<&str> = text.split('$').collect();
        let ["", "argon2id", "v=19", costs, salt, hash] = parts.as_slice() else { return Err(form()) };
        let cost = |part: Option<&str>, key: &str| -> Option<u32> { part?.strip_prefix(key)?.parse().ok() };
        let mut costs = costs.split(',');
        let memory_kib = cost(costs.next(), "m=").ok_or_else(form)?;
        let passes = cost(costs.next(), "t=").ok_or_else(form)?;
        let lanes = cost(costs.next(), "p=").ok_or_else(form)?;
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| form())?;
        let hash = STANDARD_NO_PAD.decode(hash).map_err(|_| form())?;
        let hash = hash.try_into().map_err(|_| format!("its hash has not {HASH_BYTES} bytes"))?;
        if costs.next().is_some() || !(SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&salt.len()) {
            return Err(form());
        }
        // Argon2 wants 8 KiB for each lane (RFC 9106 section 3.1).
        let costly = memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX;
        if costly || lanes == 0 || passes == 0 || memory_kib < 8 * lanes {
            return Err(format!(
                "its costs are out of bounds: m up to {MEMORY_KIB_MAX} (and 8 for each lane), t up to {PASSES_MAX}, \
                 p up to {LANES_MAX}"
            ));
        }
        Ok(Self { memory_kib, passes, lanes, salt, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::PasswordHash;

    #[test]
    fn a_hash_is_written_as_it_was_read_and_bounded() {
        let good = PasswordHash::new([7; 16], [9; 32]).to_string();
        assert!(good.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{good}");
        assert_eq!(good.parse::<PasswordHash>().map(|hash| hash.to_string()), Ok(good.clone()));
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=19456", "m=4000000000"),
            ("m=19456", "m=1"),
            ("t=2", "t=0"),
            ("t=2", "t=99"),
            ("p=1", "p=1,x=2"),
            ("p=1", "p=9"),
            ("$argon", "argon"),
            ("BwcHBwcHBwcHBwcHBwcHBw", "Bw"),
            ("BwcHBwcHBwcHBwcHBwcHBw", "!!!!"),
        ] {
            assert!(good.contains(from), "row {from}: {good}");
            assert!(good.replace(from, to).parse::<PasswordHash>().is_err(), "row {from} → {to}");
        }
        assert!(!format!("{:?}", good.parse::<PasswordHash>()).contains("CQkJ"));
    }
}
