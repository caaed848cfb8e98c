// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords of consumers on their way into a stored model: argon2id hashes, made once for each password.
//!
//! The salt comes from the keyring, the user and the password, so that the same configuration applied twice is the same
//! model. Nobody without the keyring can compute a salt; two users with one password have two.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};

use crate::model::password::{HASH_BYTES, MEMORY_KIB, PASSES, SALT_BYTES};
use crate::model::{BasicCredential, PasswordHash};

/// New passwords in one change. Each costs some 30 ms of a processor.
pub const PASSWORDS_NEW_MAX: usize = 200;

/// Hashes that are remembered, so that a check and the apply after it hash once.
const REMEMBERED_MAX: usize = 2 * PASSWORDS_NEW_MAX;

const SALT_PURPOSE: &[u8] = b"weirgate salt of a password\0";
const MEMORY_PURPOSE: &[u8] = b"weirgate memory of a password\0";

/// Why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotHashed {
    #[error("more than {PASSWORDS_NEW_MAX} new passwords in one change")]
    TooMany,
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

/// Makes hashes of passwords, and remembers those it made.
#[derive(Default)]
pub(super) struct Passwords {
    /// By a keyed hash of user and password, which says nothing without the key.
    made: Mutex<HashMap<[u8; 32], String>>,
}

impl Passwords {
    /// Puts the hash in place of the password; `made` counts those that are new.
    pub(super) fn seal(
        &self,
        key: &[u8; 32],
        credential: &mut BasicCredential,
        made: &mut usize,
    ) -> Result<(), NotHashed> {
        let Some(password) = credential.password.as_deref() else { return Ok(()) };
        let name = keyed(key, MEMORY_PURPOSE, &credential.user, password);
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let hash = match known {
            Some(hash) => hash,
            None if *made >= PASSWORDS_NEW_MAX => return Err(NotHashed::TooMany),
            None => {
                *made += 1;
                let hash = hash_password(key, &credential.user, password).map_err(NotHashed::Failed)?.to_string();
                let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                if all.len() >= REMEMBERED_MAX {
                    all.clear();
                }
                all.insert(name, hash.clone());
                hash
            }
        };
        (credential.password, credential.hash) = (None, Some(hash));
        Ok(())
    }
}

/// The hash of a password under the keyring with that key.
///
/// # Errors
/// What argon2 says, which is that there is not enough memory.
pub fn hash_password(key: &[u8; 32], user: &str, password: &str) -> Result<PasswordHash, String> {
    let mut salt = [0; SALT_BYTES];
    salt.iter_mut().zip(keyed(key, SALT_PURPOSE, user, password)).for_each(|(to, from)| *to = from);
    let costs = Params::new(MEMORY_KIB, PASSES, 1, Some(HASH_BYTES)).map_err(|error| error.to_string())?;
    let mut hash = [0; HASH_BYTES];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
    argon2.hash_password_into(password.as_bytes(), &salt, &mut hash).map_err(|error| error.to_string())?;
    Ok(PasswordHash::new(salt, hash))
}

/// A user name holds no zero byte, so no two pairs are one text.
fn keyed(key: &[u8; 32], purpose: &[u8], user: &str, password: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(purpose).update(user.as_bytes()).update(&[0]).update(password.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::{NotHashed, PASSWORDS_NEW_MAX, Passwords};
    use crate::model::BasicCredential;

    #[test]
    fn a_password_becomes_the_same_hash_again() {
        let (passwords, mut made) = (Passwords::default(), 0);
        let mut seal = |key: u8, user: &str| {
            let mut credential =
                BasicCredential { user: user.into(), password: Some("correct horse".into()), hash: None };
            passwords.seal(&[key; 32], &mut credential, &mut made).expect("it can be hashed");
            assert_eq!(credential.password, None);
            credential.hash.expect("it has one")
        };
        let ana = seal(1, "ana");
        assert!(ana.parse::<crate::model::PasswordHash>().is_ok(), "{ana}");
        assert_eq!(ana, seal(1, "ana"));
        assert_ne!(ana, seal(1, "ben"), "another user has another salt");
        assert_ne!(ana, seal(2, "ana"), "so has another keyring");
        assert_eq!(made, 3, "what is known is not hashed again");
    }

    #[test]
    fn a_change_cannot_keep_the_processor_for_ever() {
        let mut made = PASSWORDS_NEW_MAX;
        let mut credential = BasicCredential { user: "a".into(), password: Some("correct horse".into()), hash: None };
        assert_eq!(Passwords::default().seal(&[1; 32], &mut credential, &mut made), Err(NotHashed::TooMany));
    }
}
