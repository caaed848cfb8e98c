// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of issued API keys: keyed BLAKE3 hashes, never a key, immutable and shared by all workers.
//!
//! One sorted array with an index over the upper bits of the hash: 42 bytes per key, so a million keys are 42 MB,
//! and two or three cache misses per look-up whatever their number. Adding and revoking one key makes a new [`Credentials`]
//! that shares the array and carries a small sorted overlay ([`OVERLAY_MAX`]); only a full overlay rebuilds the
//! array. Where a hash stands says nothing about a key without the secret, and the match itself is constant-time.

use std::fmt;
use std::sync::Arc;

use foldhash::HashMap;
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq};

use super::Consumer;
use super::authenticate::proofs::Proofs;
use super::last_used::LastUsed;

/// A keyed hash of an API key.
pub type Hash = [u8; 32];

/// Changes kept beside the array before it is rebuilt. An overlay is copied by each change: 180 KB at most.
pub const OVERLAY_MAX: usize = 4096;

/// Hashes per place in the index, on average at most.
const PER_PLACE: usize = 2;

/// One issued key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    pub hash: Hash,
    /// The index of its consumer in the list given with the table.
    pub consumer: u32,
    /// Seconds since 1970-01-01 UTC from which it is refused; 0 for never.
    pub expires_s: u32,
}

/// One change to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialChange {
    Issue(Credential),
    Revoke(Hash),
}

impl CredentialChange {
    fn hash(&self) -> &Hash {
        match self {
            Self::Issue(credential) => &credential.hash,
            Self::Revoke(hash) => hash,
        }
    }
}

/// All issued keys and whom they belong to.
#[derive(Clone)]
pub struct Credentials {
    secret: [u8; 32],
    consumers: Arc<[Option<Arc<Consumer>>]>,
    base: Arc<Base>,
    overlay: Arc<[CredentialChange]>,
    proofs: Arc<Proofs>,
    subjects: Arc<Subjects>,
    used: Arc<LastUsed>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, changes) = (self.base.sorted.len(), self.overlay.len());
        f.debug_struct("Credentials").field("keys", &keys).field("changes", &changes).finish_non_exhaustive()
    }
}

/// The hash of `key` under the secret of this installation.
pub fn hash_of(secret: &[u8; 32], key: &[u8]) -> Hash {
    *blake3::keyed_hash(secret, key).as_bytes()
}

impl Credentials {
    /// A table without keys.
    pub fn empty(secret: [u8; 32]) -> Self {
        Self::build(secret, Arc::new([]), std::iter::empty())
    }

    /// Builds the array. Give an iterator that knows its length and it is built in place. Of two credentials with
    /// the same hash the last counts.
    pub fn build(
        secret: [u8; 32],
        consumers: Arc<[Option<Arc<Consumer>>]>,
        credentials: impl Iterator<Item = Credential>,
    ) -> Self {
        let base = Arc::new(Base::build(credentials.collect()));
        Self {
            secret,
            consumers,
            base,
            overlay: Arc::new([]),
            proofs: Arc::default(),
            subjects: Arc::default(),
            used: Arc::new(LastUsed::new()),
        }
    }

    /// The same keys over another list of consumers; an index that is `None` there no longer opens anything.
    pub fn with_consumers(&self, consumers: Arc<[Option<Arc<Consumer>>]>) -> Self {
        Self { consumers, ..self.clone() }
    }

    /// The same keys, and what tokens call the consumers.
    pub fn with_subjects(&self, subjects: Subjects) -> Self {
        Self { subjects: Arc::new(subjects), ..self.clone() }
    }

    /// The consumer that tokens of this issuer call `subject`, else the one whose name that is.
    pub fn find_subject(&self, issuer: Option<&str>, subject: &str) -> Option<&Arc<Consumer>> {
        let named = self.subjects.by_subject.get(subject).into_iter().flatten();
        let place = named.filter(|(of, _)| of.is_none() || of.as_deref() == issuer).max_by_key(|(of, _)| of.is_some());
        let place = place.map(|(_, place)| place).or_else(|| self.subjects.by_name.get(subject))?;
        self.consumer(*place)
    }

    /// The same keys for one who only asks what would happen: no use of them is noted.
    pub fn unobserved(&self) -> Self {
        Self { used: Arc::default(), ..self.clone() }
    }

    /// When keys were used.
    pub fn used(&self) -> &LastUsed {
        &self.used
    }

    /// The same keys beside other proofs.
    pub fn with_proofs(&self, proofs: Arc<Proofs>) -> Self {
        Self { proofs, ..self.clone() }
    }

    /// What consumers prove themselves by besides keys.
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// The consumer with this number, if there still is one.
    pub fn consumer(&self, id: u32) -> Option<&Arc<Consumer>> {
        self.consumers.get(id as usize)?.as_ref()
    }

    /// The consumer of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Consumer>> {
        self.consumer(*self.proofs.names.get(name)?)
    }

    /// The table after these changes. Costs a copy of the overlay, or, when that is full, a rebuild of the array
    /// (about 0.2 s for a million keys), so it belongs on the control runtime.
    pub fn with(&self, changes: &[CredentialChange]) -> Self {
        let mut overlay = self.overlay.to_vec();
        for change in changes {
            match overlay.binary_search_by(|held| held.hash().cmp(change.hash())) {
                Ok(at) => overlay.splice(at..=at, [*change]).for_each(drop),
                Err(at) => overlay.insert(at, *change),
            }
        }
        if overlay.len() <= OVERLAY_MAX {
            return Self { overlay: overlay.into(), ..self.clone() };
        }
        let kept = |held: &&Credential| overlay.binary_search_by(|change| change.hash().cmp(&held.hash)).is_err();
        let issued = overlay.iter().filter_map(|change| match change {
            CredentialChange::Issue(credential) => Some(*credential),
            CredentialChange::Revoke(_) => None,
        });
        let mut all = Vec::with_capacity(self.base.sorted.len() + overlay.len());
        all.extend(self.base.sorted.iter().filter(kept).copied());
        all.extend(issued);
        Self { base: Arc::new(Base::build(all)), overlay: Arc::new([]), ..self.clone() }
    }

    /// Whom the key belongs to at this time; none if it is unknown, revoked or expired, or its consumer is gone.
    pub fn find(&self, key: &[u8], now_s: i64) -> Option<&Arc<Consumer>> {
        self.find_hash(&hash_of(&self.secret, key), now_s)
    }

    fn find_hash(&self, hash: &Hash, now_s: i64) -> Option<&Arc<Consumer>> {
        let credential = match self.overlay.binary_search_by(|change| change.hash().cmp(hash)).ok() {
            Some(at) => match self.overlay.get(at)? {
                CredentialChange::Issue(credential) => *credential,
                CredentialChange::Revoke(_) => return None,
            },
            None => *self.base.find(hash)?,
        };
        if credential.expires_s != 0 && now_s >= i64::from(credential.expires_s) {
            return None;
        }
        let consumer = self.consumers.get(credential.consumer as usize)?.as_ref()?;
        self.used.note(hash, now_s);
        Some(consumer)
    }
}

/// The only issuer that calls a consumer so, and its place in the list.
type Called = (Option<Box<str>>, u32);

/// What tokens call consumers, by their places in the list.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    by_subject: HashMap<Box<str>, SmallVec<[Called; 1]>>,
    by_name: HashMap<Box<str>, u32>,
}

impl Subjects {
    /// A consumer and, if it has one, what tokens call it: all issuers' or only one's.
    pub fn add(&mut self, place: u32, name: &str, subject: Option<(&str, Option<&str>)>) {
        match subject {
            Some((subject, issuer)) => {
                self.by_subject.entry(subject.into()).or_default().push((issuer.map(Into::into), place));
            }
            // Who has a subject is known by nothing else.
            None => drop(self.by_name.insert(name.into(), place)),
        }
    }
}

/// The sorted array and the index over it.
struct Base {
    sorted: Box<[Credential]>,
    /// Where the hashes begin whose upper bits are the place; one more entry closes the last.
    places: Box<[u32]>,
    shift: u32,
}

impl Base {
    fn build(mut all: Vec<Credential>) -> Self {
        all.reverse();
        all.sort_by_key(|credential| credential.hash);
        all.dedup_by(|later, kept| later.hash == kept.hash);
        let sorted = all.into_boxed_slice();
        let count = (sorted.len() / PER_PLACE).max(2).next_power_of_two();
        let shift = u64::BITS - count.trailing_zeros();
        let mut places = Vec::with_capacity(count + 1);
        let mut at = 0;
        for place in 0..count as u64 {
            at += sorted.iter().skip(at).take_while(|held| upper(&held.hash) >> shift < place).count();
            places.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        places.push(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
        Self { sorted, places: places.into(), shift }
    }

    fn find(&self, hash: &Hash) -> Option<&Credential> {
        let place = usize::try_from(upper(hash) >> self.shift).ok()?;
        let (from, to) = (*self.places.get(place)?, *self.places.get(place + 1)?);
        let few = self.sorted.get(from as usize..to as usize)?;
        few.iter().find(|held| is_same(&held.hash, hash))
    }
}

/// Compares in constant time, by words: byte by byte it takes as long as the hashing.
fn is_same(a: &Hash, b: &Hash) -> bool {
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let pairs = a.iter().zip(b).map(|(a, b)| u64::from_le_bytes(*a).ct_eq(&u64::from_le_bytes(*b)));
    pairs.fold(Choice::from(1), |all, same| all & same).into()
}

fn upper(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Consumer, Credential, CredentialChange, Credentials, OVERLAY_MAX, hash_of};

    const SECRET: [u8; 32] = [7; 32];

    fn consumers() -> Arc<[Option<Arc<Consumer>>]> {
        ["ana", "ben"].iter().zip(0..).map(|(name, id)| Some(Arc::new(Consumer::new(id, name, &[])))).collect()
    }

    fn credential(key: &str, consumer: u32, expires_s: u32) -> Credential {
        Credential { hash: hash_of(&SECRET, key.as_bytes()), consumer, expires_s }
    }

    fn name(table: &Credentials, key: &str, now_s: i64) -> String {
        table.find(key.as_bytes(), now_s).map_or_else(|| "-".into(), |consumer| consumer.name.to_string())
    }

    #[test]
    fn keys_are_found_until_they_expire() {
        let keys = [credential("one", 0, 0), credential("two", 1, 100), credential("gone", 7, 0)];
        let table = Credentials::build(SECRET, consumers(), keys.into_iter());
        let got = [("one", 0), ("one", i64::MAX), ("two", 99), ("two", 100), ("gone", 0), ("three", 0), ("", 0)];
        assert_eq!(got.map(|(key, now)| name(&table, key, now)), ["ana", "ana", "ben", "-", "-", "-", "-"]);
        assert_eq!(name(&Credentials::empty(SECRET), "one", 0), "-");
        assert_eq!(name(&table.with_consumers(Arc::new([None])), "one", 0), "-");
    }

    #[test]
    fn changes_lie_over_the_array() {
        let table = Credentials::build(SECRET, consumers(), [credential("one", 0, 0)].into_iter());
        let revoke = |key: &str| CredentialChange::Revoke(hash_of(&SECRET, key.as_bytes()));
        let issue = |key: &str, consumer| CredentialChange::Issue(credential(key, consumer, 0));
        let changed = table.with(&[revoke("one"), issue("two", 1)]);
        assert_eq!(["one", "two"].map(|key| name(&changed, key, 0)), ["-", "ben"]);
        assert_eq!(["one", "two"].map(|key| name(&table, key, 0)), ["ana", "-"], "the old table stays as it was");
        let again = changed.with(&[issue("one", 1), revoke("two")]);
        assert_eq!(["one", "two"].map(|key| name(&again, key, 0)), ["ben", "-"]);
        assert!(!format!("{again:?}").contains("secret"));
    }

    #[test]
    fn a_full_overlay_is_merged() {
        let keys = (0..5000).map(|n| credential(&format!("old-{n}"), 0, 0));
        let table = Credentials::build(SECRET, consumers(), keys);
        let new = (0..OVERLAY_MAX).map(|n| CredentialChange::Issue(credential(&format!("new-{n}"), 1, 0)));
        let full = table.with(&new.collect::<Vec<_>>());
        assert_eq!(full.overlay.len(), OVERLAY_MAX);
        let merged = full.with(&[CredentialChange::Revoke(hash_of(&SECRET, b"old-17"))]);
        assert_eq!((merged.overlay.len(), merged.base.sorted.len()), (0, 5000 + OVERLAY_MAX - 1));
        assert_eq!(
            ["old-16", "old-17", "new-0", "new-4095"].map(|key| name(&merged, key, 0)),
            ["ana", "-", "ben", "ben"]
        );
    }

    #[test]
    fn the_last_of_two_equal_hashes_counts_and_every_key_is_found() {
        let keys = (0..20_000).map(|n| credential(&(n % 10_000).to_string(), n / 10_000, 0));
        let table = Credentials::build(SECRET, consumers(), keys);
        assert_eq!(table.base.sorted.len(), 10_000);
        assert!((0..10_000).all(|n| name(&table, &n.to_string(), 0) == "ben"));
        assert!((0..10_000).all(|n| name(&table, &format!("no-{n}"), 0) == "-"));
        assert!(size_of::<Credential>() <= 40, "a million keys stay below 60 MB");
    }
}
