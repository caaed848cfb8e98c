// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of the handle that are about issued keys: make, take over, take back, list, and walk over all of them.
//!
//! A secret exists here only between the random source and the caller; what goes on is its keyed hash.

use super::credential::{
    About, CredentialCursor, CredentialPage, CredentialRecord, Entry, ID_DIGITS, KeepError, Kept, PAGE, owner,
};
use super::keeper::Keeper;
use super::keyring::{prefix, random, unhex};
use super::store::io;
use super::{Store, StoreError, Tree};
use crate::model::Name;
use crate::wire::{IssuedKey, KeyInfo, RotatedKey, StoreHealth};

/// Most keys of one consumer that are listed.
pub const KEYS_LISTED_MAX: usize = 10_000;

/// Shortest key that may be imported.
const SECRET_BYTES_MIN: usize = 16;

/// Longest key that may be imported.
const SECRET_BYTES_MAX: usize = 256;

/// Longest comment of a key.
const COMMENT_BYTES_MAX: usize = 256;

/// What an issued key begins with, so that it can be recognised where it should not be.
const SECRET_PREFIX: &str = "wg_";

/// What came of a rotation: what to tell, and the old key with its end, for the one who looks keys up.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub rotated: RotatedKey,
    pub replaced: CredentialRecord,
}

impl Store {
    /// Makes a new key. This is the only time its secret is seen.
    pub async fn issue_key(
        &self,
        consumer: &Name,
        comment: &str,
        expires_ms: Option<i64>,
        time_ms: i64,
    ) -> Result<IssuedKey, StoreError> {
        let bytes = random().map_err(|error| StoreError::Io(error.to_string()))?;
        let secret = format!("{SECRET_PREFIX}{}", base62(&bytes));
        let about = About(prefix(&secret), time_ms, expires_ms, checked_comment(comment)?);
        let kept = self.kept(consumer, &secret, about);
        let key = kept.info();
        self.keep(vec![Entry::Issued(kept)]).await?;
        Ok(IssuedKey { secret, key })
    }

    /// Makes a new key in place of another, which holds on until `overlap_end_ms`, or its own end if that is earlier. Both
    /// at once or neither.
    pub async fn rotate_key(
        &self,
        consumer: &Name,
        id: &str,
        overlap_end_ms: i64,
        expires_ms: Option<i64>,
        time_ms: i64,
    ) -> Result<Rotated, StoreError> {
        let mut old = self.kept_key(consumer, id).await?;
        if old.about.2.is_some_and(|end| end <= time_ms) {
            return Err(StoreError::BadKey(format!("key {id} has expired; issue a new one")));
        }
        let bytes = random().map_err(|error| StoreError::Io(error.to_string()))?;
        let secret = format!("{SECRET_PREFIX}{}", base62(&bytes));
        let new = self.kept(consumer, &secret, About(prefix(&secret), time_ms, expires_ms, old.about.3.clone()));
        let end = old.about.2.map_or(overlap_end_ms, |end| end.min(overlap_end_ms));
        old.about.2 = Some(end);
        let record = CredentialRecord { hash: old.hash, consumer: old.consumer.clone(), expires_ms: Some(end) };
        let rotated = RotatedKey { secret, key: new.info(), replaced: old.info() };
        self.keep(vec![Entry::Issued(new), Entry::Issued(old)]).await?;
        Ok(Rotated { rotated, replaced: record })
    }

    /// Takes over keys that clients have already. All of them or none.
    pub async fn import_keys(
        &self,
        consumer: &Name,
        secrets: &[String],
        time_ms: i64,
    ) -> Result<Vec<KeyInfo>, StoreError> {
        let fits = |secret: &String| {
            (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len())
                && secret.bytes().all(|b| b.is_ascii_graphic())
        };
        if let Some(position) = secrets.iter().position(|secret| !fits(secret)) {
            let text = format!(
                "key {} is not {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} visible ASCII characters",
                position + 1
            );
            return Err(StoreError::BadKey(text));
        }
        let about = |secret: &String| About(prefix(secret), time_ms, None, String::new());
        let kept: Vec<Kept> = secrets.iter().map(|secret| self.kept(consumer, secret, about(secret))).collect();
        let infos = kept.iter().map(Kept::info).collect();
        self.keep(kept.into_iter().map(Entry::Issued).collect()).await?;
        Ok(infos)
    }

    /// Takes a key back, for good. What it was, so that it stops counting at once.
    pub async fn revoke_key(&self, consumer: &Name, id: &str) -> Result<CredentialRecord, StoreError> {
        let kept = self.kept_key(consumer, id).await?;
        let record = CredentialRecord { hash: kept.hash, consumer: kept.consumer.clone(), expires_ms: kept.about.2 };
        self.keep(vec![Entry::Revoked(kept)]).await?;
        Ok(record)
    }

    /// The issued keys of a consumer, at most [`KEYS_LISTED_MAX`].
    pub async fn keys(&self, consumer: &Name) -> Result<Vec<KeyInfo>, StoreError> {
        let found = self.kept_keys(owner(consumer), KEYS_LISTED_MAX).await?;
        Ok(found.iter().map(Kept::info).collect())
    }

    /// A page of all issued keys, from the beginning or after a cursor.
    pub async fn credentials(&self, after: Option<CredentialCursor>) -> Result<CredentialPage, StoreError> {
        self.call(move |keeper| {
            let after = after.as_ref().map(|cursor| cursor.0.as_slice());
            let found = keeper.engine.scan(Tree::Credentials, &[], after, PAGE).map_err(io)?;
            let full = found.len() == PAGE;
            let next = found.last().filter(|_| full).map(|(key, _)| CredentialCursor(key.clone()));
            let record = |pair| {
                Kept::of(pair).map(|kept| CredentialRecord {
                    hash: kept.hash,
                    consumer: kept.consumer,
                    expires_ms: kept.about.2,
                })
            };
            Ok(CredentialPage { records: found.iter().map(record).collect::<Result<_, _>>().map_err(io)?, next })
        })
        .await
    }

    fn kept(&self, consumer: &Name, secret: &str, about: About) -> Kept {
        Kept { consumer: consumer.clone(), hash: self.keyring().hash_key(secret.as_bytes()), about }
    }

    /// The id is how the hash begins, so one of a million keys is found without reading the others.
    async fn kept_key(&self, consumer: &Name, id: &str) -> Result<Kept, StoreError> {
        let missing = StoreError::NoSuchKey { consumer: consumer.to_string(), id: id.to_owned() };
        let digits = unhex(id).filter(|digits| 2 * digits.len() == ID_DIGITS).ok_or_else(|| missing.clone())?;
        let prefix = [owner(consumer).as_slice(), &digits].concat();
        self.kept_keys(prefix, 1).await?.pop().ok_or(missing)
    }

    async fn keep(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.call(move |keeper| keeper.keep(&entries)).await
    }

    async fn kept_keys(&self, prefix: Vec<u8>, limit: usize) -> Result<Vec<Kept>, StoreError> {
        self.call(move |keeper| {
            let found = keeper.engine.scan(Tree::Credentials, &prefix, None, limit).map_err(io)?;
            found.iter().map(Kept::of).collect::<Result<_, _>>().map_err(io)
        })
        .await
    }
}

impl Keeper {
    fn keep(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let failed = self.health() == StoreHealth::Failed;
        let kept = match &mut self.credentials {
            Some(log) => log.keep(entries, &mut *self.engine),
            None if failed => {
                return Err(StoreError::Io("no key can be kept: the state directory cannot be used".to_owned()));
            }
            None => return Err(StoreError::Io("no key can be kept: credentials.log cannot be used".to_owned())),
        };
        match kept {
            Ok(()) => {
                let synced = self.engine.sync();
                self.after(synced);
                Ok(())
            }
            Err(KeepError::Log(error)) => Err(StoreError::Io(error.to_string())),
            // The log has it, so it counts; the engine takes it in when it is opened again.
            Err(KeepError::Engine(error)) => {
                self.after(Err(error));
                Ok(())
            }
        }
    }
}

fn checked_comment(comment: &str) -> Result<String, StoreError> {
    if comment.len() > COMMENT_BYTES_MAX {
        return Err(StoreError::BadKey(format!("a comment has at most {COMMENT_BYTES_MAX} bytes")));
    }
    Ok(comment.to_owned())
}

/// 256 bits as 43 letters and digits.
fn base62(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// Smallest count of digits with which 62^n exceeds 2^256.
    const LENGTH: usize = 43;
    let mut number = *bytes;
    let mut text = String::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        text.push(char::from(DIGITS.get(remainder as usize).copied().unwrap_or(b'0')));
    }
    text
}
