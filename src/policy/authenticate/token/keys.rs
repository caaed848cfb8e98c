// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of an issuer as the request path reads them, and how it asks for newer ones.
//!
//! The control side fetches and swaps; workers load a pointer. A token that names an unknown key rings for one fetch, which
//! all who wait share, and no sooner than [`COOLDOWN`] after the last one ended, whatever strangers send. A name that a fetch
//! did not bring is remembered as absent for a while, in a table of fixed size.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, watch};
use weirgate_store::model::JwtAlgorithm as Algorithm;

use super::key::Key;
use crate::policy::wait::{Answer, Waiting};

/// The shortest time between the end of a fetch and the next that a request may ask for.
pub const COOLDOWN: Duration = Duration::from_secs(30);

/// Requests that wait for one fetch; more are told to come again.
pub const WAITING_MAX: u32 = 1_024;

/// Names of keys that are remembered as absent.
const ABSENT_MAX: usize = 64;

/// How long they are.
const ABSENT_S: u32 = 60;

/// A set of keys.
#[derive(Debug, Default)]
pub struct KeySet {
    pub keys: Vec<Key>,
}

impl KeySet {
    /// The key that a token is to be verified with: the one it names, or the only one that fits.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fit = self.keys.iter().filter(|key| {
            let is_named = match (&key.kid, kid) {
                (Some(own), Some(kid)) => **own == *kid,
                // A key that nobody named is the only one there is.
                (None, _) | (_, None) => true,
            };
            is_named && key.algorithms().any(|own| own == algorithm)
        });
        let first = fit.next()?;
        (kid.is_some() || fit.next().is_none()).then_some(first)
    }
}

/// Where keys are fetched from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySource {
    pub url: Arc<str>,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca: Option<Arc<str>>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Keys {
    set: ArcSwap<KeySet>,
    /// Counts the sets that differ; 0 until there is one.
    generation: AtomicU64,
    remote: Option<Remote>,
}

/// What is needed where keys are fetched.
#[derive(Debug)]
struct Remote {
    source: KeySource,
    /// Rung for the one who fetches.
    bell: Arc<Notify>,
    state: AtomicU8,
    /// When a request may ask again, since the start of the process.
    again_ns: AtomicU64,
    /// Changes when a fetch has ended.
    rounds: watch::Sender<u64>,
    waiting: Arc<AtomicU32>,
    /// Upper bits of the hash of a name, and the second from which it is forgotten.
    absent: [AtomicU64; ABSENT_MAX],
}

/// Nobody fetches.
const IDLE: u8 = 0;
/// Somebody asked.
const WANTED: u8 = 1;
/// Under way.
const UNDER_WAY: u8 = 2;

/// What comes of asking for newer keys.
#[derive(Debug)]
pub enum Asked {
    /// They come; wait.
    Wait(Waiting),
    /// What is known is all there is for now.
    No,
    /// Too many wait already.
    Full,
}

impl Keys {
    /// Keys that are written in the configuration.
    pub fn written(keys: Vec<Key>) -> Self {
        Self { set: ArcSwap::from_pointee(KeySet { keys }), generation: AtomicU64::new(1), remote: None }
    }

    /// Keys that somebody fetches who listens to `bell`.
    pub fn remote(source: KeySource, bell: Arc<Notify>) -> Self {
        let remote = Remote {
            source,
            bell,
            state: AtomicU8::new(IDLE),
            again_ns: AtomicU64::new(0),
            rounds: watch::Sender::new(0),
            waiting: Arc::default(),
            absent: [const { AtomicU64::new(0) }; ABSENT_MAX],
        };
        Self { set: ArcSwap::default(), generation: AtomicU64::new(0), remote: Some(remote) }
    }

    /// Where they are fetched from, if they are.
    pub fn source(&self) -> Option<&KeySource> {
        self.remote.as_ref().map(|remote| &remote.source)
    }

    /// The set that counts now.
    pub fn set(&self) -> Guard<Arc<KeySet>> {
        self.set.load()
    }

    /// Its number; what was verified with another one has to be verified again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there is a set at all.
    pub fn is_known(&self) -> bool {
        self.generation() > 0
    }

    /// Asks for newer keys because of this name.
    pub fn ask(&self, kid: Option<&str>, now_ns: u64, now_s: i64) -> Asked {
        let Some(remote) = &self.remote else { return Asked::No };
        if self.is_known() && remote.is_absent(kid, now_s) {
            return Asked::No;
        }
        // Subscribed before anything is looked at: a fetch that ends meanwhile is seen.
        let mut rounds = remote.rounds.subscribe();
        if !remote.begin(now_ns) {
            return Asked::No;
        }
        let Some(place) = Place::take(&remote.waiting) else { return Asked::Full };
        Asked::Wait(Waiting::new(async move {
            let _place = place;
            // The sender lives as long as the keys; gone with them, it is an answer too.
            _ = rounds.changed().await;
            Answer::Keys
        }))
    }

    /// Remembers that a fetch brought no key of this name.
    pub fn note_absent(&self, kid: Option<&str>, now_s: i64) {
        if let (Some(remote), Some(kid)) = (&self.remote, kid) {
            let (place, tag) = remote.place_of(kid);
            let until = seconds(now_s).saturating_add(ABSENT_S);
            place.store((u64::from(tag) << 32) | u64::from(until), Ordering::Relaxed);
        }
    }

    /// Whether a request asks for a fetch. For the one who fetches.
    pub fn is_wanted(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.state.load(Ordering::Acquire) == WANTED)
    }

    /// A fetch begins.
    pub fn begin(&self) {
        if let Some(remote) = &self.remote {
            remote.state.store(UNDER_WAY, Ordering::Release);
        }
    }

    /// A fetch has ended: with these keys, or with none that count. Whether they differ from the last.
    pub fn end(&self, keys: Option<Vec<Key>>, now_ns: u64) -> bool {
        let is_new = keys.is_some_and(|keys| self.replace(keys));
        if let Some(remote) = &self.remote {
            let cooldown = u64::try_from(COOLDOWN.as_nanos()).unwrap_or(u64::MAX);
            remote.again_ns.store(now_ns.saturating_add(cooldown), Ordering::Release);
            remote.state.store(IDLE, Ordering::Release);
            remote.rounds.send_modify(|round| *round = round.wrapping_add(1));
        }
        is_new
    }

    /// Puts other keys in place; false if they are the same.
    pub fn replace(&self, keys: Vec<Key>) -> bool {
        let identity = |keys: &[Key]| {
            let mut all: Vec<_> = keys.iter().map(|key| (key.kid.clone(), key.fingerprint)).collect();
            all.sort();
            all
        };
        if self.is_known() && identity(&self.set.load().keys) == identity(&keys) {
            return false;
        }
        self.set.store(Arc::new(KeySet { keys }));
        self.generation.fetch_add(1, Ordering::Release);
        true
    }
}

impl Remote {
    /// Makes sure that a fetch is under way; false if it may not be yet.
    fn begin(&self, now_ns: u64) -> bool {
        if self.state.load(Ordering::Acquire) != IDLE {
            return true;
        }
        if now_ns < self.again_ns.load(Ordering::Acquire) {
            return false;
        }
        if self.state.compare_exchange(IDLE, WANTED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.bell.notify_one();
        }
        true
    }

    fn place_of(&self, kid: &str) -> (&AtomicU64, u32) {
        let hash = blake3::hash(kid.as_bytes());
        let [at, a, b, c, d, ..] = *hash.as_bytes();
        let place = self.absent.get(usize::from(at) % ABSENT_MAX).unwrap_or(&NOWHERE);
        (place, u32::from_le_bytes([a, b, c, d]))
    }

    fn is_absent(&self, kid: Option<&str>, now_s: i64) -> bool {
        let Some(kid) = kid else { return false };
        let (place, tag) = self.place_of(kid);
        let held = place.load(Ordering::Relaxed);
        held >> 32 == u64::from(tag) && u64::from(seconds(now_s)) < held & u64::from(u32::MAX)
    }
}

/// Stands in for a place outside the table, which no hash has.
static NOWHERE: AtomicU64 = AtomicU64::new(0);

fn seconds(now_s: i64) -> u32 {
    u32::try_from(now_s).unwrap_or(u32::MAX)
}

/// A place among those who wait.
struct Place(Arc<AtomicU32>);

impl Place {
    fn take(waiting: &Arc<AtomicU32>) -> Option<Self> {
        let taken = waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < WAITING_MAX).then_some(n + 1));
        taken.is_ok().then(|| Self(Arc::clone(waiting)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, COOLDOWN, Key, KeySource, Keys, WAITING_MAX};
    use std::sync::Arc;
    use tokio::sync::Notify;

    const COOLDOWN_NS: u64 = COOLDOWN.as_nanos() as u64;

    fn remote() -> Keys {
        Keys::remote(KeySource { url: "https://id.example.com/keys".into(), ca: None }, Arc::new(Notify::new()))
    }

    fn secret(byte: u8) -> Vec<Key> {
        vec![Key::secret(&[byte; 32]).unwrap()]
    }

    /// How many of many requests with names of their own make somebody fetch, over `seconds`.
    #[test]
    fn a_storm_of_names_is_one_fetch_for_each_cooldown() {
        let keys = remote();
        keys.begin();
        assert!(keys.end(Some(secret(1)), 0));
        let (mut fetches, seconds) = (0, 100);
        for now_s in 0..seconds {
            for n in 0..1_000 {
                let now_ns = u64::try_from(now_s).unwrap() * 1_000_000_000;
                drop(keys.ask(Some(&format!("{now_s}-{n}")), now_ns, now_s));
                if keys.is_wanted() {
                    fetches += 1;
                    keys.begin();
                    keys.end(Some(secret(1)), now_ns);
                }
            }
        }
        assert_eq!(fetches, 3, "at 30, 60 and 90 seconds");
        assert_eq!(keys.generation(), 1, "the same keys are no new set");
    }

    #[test]
    fn all_who_wait_share_one_fetch_and_they_are_not_too_many() {
        let keys = remote();
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|n| match keys.ask(Some(&n.to_string()), 0, 0) {
                Asked::Wait(waiting) => waiting,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(matches!(keys.ask(Some("more"), 0, 0), Asked::Full));
        assert!(keys.is_wanted());
        keys.begin();
        assert!(matches!(keys.ask(Some("more"), COOLDOWN_NS, 0), Asked::Full), "under way");
        drop(waiting);
        assert!(matches!(keys.ask(Some("more"), COOLDOWN_NS, 0), Asked::Wait(_)));
        keys.end(None, 0);
        assert!(!keys.is_known());
        assert!(matches!(keys.ask(Some("more"), COOLDOWN_NS - 1, 0), Asked::No));
        assert!(matches!(keys.ask(Some("more"), COOLDOWN_NS, 0), Asked::Wait(_)));
    }

    #[test]
    fn a_name_that_was_not_brought_is_not_asked_for_again_at_once() {
        let keys = remote();
        keys.end(Some(secret(1)), 0);
        keys.note_absent(Some("gone"), 100);
        assert!(matches!(keys.ask(Some("gone"), COOLDOWN_NS, 159), Asked::No));
        assert!(matches!(keys.ask(Some("gone"), COOLDOWN_NS, 160), Asked::Wait(_)));
        assert!(matches!(Keys::written(secret(1)).ask(Some("x"), COOLDOWN_NS, 0), Asked::No));
    }
}
