// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was decided, remembered for all workers, and who is asking right now.
//!
//! Keys hash to sets of eight. A set is locked for as long as it takes to look at eight keys, never over a wait. Both the
//! number of verdicts and the bytes they hold are bounded: a full set forgets the verdict that ends soonest, and where
//! the bytes of all are used up, whole sets are emptied one after the other until there is room. Of requests with one
//! key that come together one asks ([`Lead`]); the others are told what came of it, and if the one that asks goes away,
//! one of them asks in its place. A flush forgets what is remembered and what is being asked for, too.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::key::{self, Key};
use super::{KeyPart, Outcome};
use crate::exchange::Fields;
use crate::policy::Request;

/// Bytes that all verdicts of one policy may hold.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Bytes that one verdict may hold; a longer one is not remembered.
pub(super) const VERDICT_BYTES_MAX: usize = 16 << 10;

/// What a verdict takes besides its texts.
const VERDICT_BYTES: usize = 256;

const WAYS: usize = 8;

type News = watch::Receiver<Option<Arc<Outcome>>>;

/// The verdicts of one policy.
#[derive(Debug)]
pub struct Verdicts {
    sets: Box<[Mutex<Set>]>,
    secret: [u8; 32],
    bytes: AtomicUsize,
    /// The set that is emptied next when there is no room.
    hand: AtomicUsize,
    /// Counts flushes.
    epoch: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    kept: Vec<Kept>,
    /// As many as requests are waiting for the service with a key of this set.
    flights: Vec<(Key, News)>,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    outcome: Arc<Outcome>,
    until_ns: u64,
    subject: Option<Arc<str>>,
    bytes: usize,
}

/// What is known of a key.
pub(super) enum Look {
    Found(Arc<Outcome>),
    /// Nobody asks: ask, and settle it.
    Lead(Lead),
    /// Somebody asks; this is where it will be told.
    Follow(News),
}

/// The one that asks for a key. Dropping it says that nobody does any more.
#[derive(Debug)]
pub struct Lead {
    verdicts: Arc<Verdicts>,
    key: Key,
    epoch: u64,
    news: watch::Sender<Option<Arc<Outcome>>>,
}

impl Verdicts {
    /// Room for so many.
    pub fn new(entries: usize) -> Self {
        let sets = (entries / WAYS).max(1);
        // Random and of this process: keys are never kept.
        let random = RandomState::new();
        let mut secret = [0; 32];
        for (at, piece) in secret.chunks_exact_mut(8).enumerate() {
            piece.copy_from_slice(&random.hash_one(at).to_le_bytes());
        }
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            secret,
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    pub(super) fn key(&self, parts: &[KeyPart], request: &Request<'_>) -> Key {
        key::of_request(&self.secret, parts, request)
    }

    fn set(&self, key: Key) -> MutexGuard<'_, Set> {
        let at = usize::try_from(key.0 % self.sets.len() as u128).unwrap_or(0);
        lock(self.sets.get(at).expect("a remainder is below the number of sets, and there is one at least"))
    }

    pub(super) fn look(self: &Arc<Self>, key: Key, now_ns: u64) -> Look {
        let mut set = self.set(key);
        if let Some(kept) = set.find(key, now_ns) {
            return Look::Found(kept);
        }
        if let Some((_, news)) = set.flights.iter().find(|(flying, _)| *flying == key) {
            return Look::Follow(news.clone());
        }
        let (news, told) = watch::channel(None);
        set.flights.push((key, told));
        Look::Lead(Lead { verdicts: Arc::clone(self), key, epoch: self.epoch.load(Ordering::Acquire), news })
    }

    /// The same, without asking for anything.
    pub(super) fn peek(&self, key: Key, now_ns: u64) -> Option<Arc<Outcome>> {
        self.set(key).find(key, now_ns)
    }

    fn keep(&self, kept: Kept, now_ns: u64) {
        if kept.bytes > VERDICT_BYTES_MAX {
            return;
        }
        self.make_room(kept.bytes);
        self.bytes.fetch_add(kept.bytes, Ordering::Relaxed);
        let freed = self.set(kept.key).put(kept, now_ns);
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
    }

    /// Empties sets until so many bytes more would fit.
    fn make_room(&self, bytes: usize) {
        for _ in 0..self.sets.len() {
            if self.bytes.load(Ordering::Relaxed) + bytes <= BYTES_MAX {
                return;
            }
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % self.sets.len();
            if let Some(set) = self.sets.get(at) {
                let freed = lock(set).forget(|_| true).1;
                self.bytes.fetch_sub(freed, Ordering::Relaxed);
            }
        }
    }

    fn forget(&self, which: impl Fn(&Kept) -> bool) -> u64 {
        self.epoch.fetch_add(1, Ordering::Release);
        let forget = |set: &Mutex<Set>| {
            let (count, freed) = lock(set).forget(&which);
            self.bytes.fetch_sub(freed, Ordering::Relaxed);
            count
        };
        self.sets.iter().map(forget).sum()
    }

    /// Forgets every verdict; how many there were.
    pub fn flush(&self) -> u64 {
        self.forget(|_| true)
    }

    /// Forgets the verdicts about a subject; how many there were.
    pub fn flush_subject(&self, subject: &str) -> u64 {
        self.forget(|kept| kept.subject.as_deref() == Some(subject))
    }

    /// Forgets the verdict of a key whose parts have these values; how many there were.
    pub fn flush_key(&self, values: &[&str]) -> u64 {
        let key = key::of_values(&self.secret, values);
        self.forget(|kept| kept.key == key)
    }

    /// Verdicts that are remembered, of which some may have ended.
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| lock(set).kept.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that they hold.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    // Nothing in here can be left half done.
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Set {
    fn find(&self, key: Key, now_ns: u64) -> Option<Arc<Outcome>> {
        let kept = self.kept.iter().find(|kept| kept.key == key && now_ns < kept.until_ns)?;
        Some(Arc::clone(&kept.outcome))
    }

    /// Puts a verdict in the place of its own earlier one, of one that has ended, or of the one that ends soonest; the
    /// bytes that this freed.
    fn put(&mut self, kept: Kept, now_ns: u64) -> usize {
        let mut freed = self.forget(|old| old.key == kept.key || old.until_ns <= now_ns).1;
        if self.kept.len() >= WAYS
            && let Some(at) = (0..self.kept.len()).min_by_key(|at| self.kept.get(*at).map(|kept| kept.until_ns))
        {
            freed += self.kept.swap_remove(at).bytes;
        }
        self.kept.push(kept);
        freed
    }

    fn forget(&mut self, which: impl Fn(&Kept) -> bool) -> (u64, usize) {
        let (mut count, mut freed) = (0, 0);
        self.kept.retain(|kept| {
            let goes = which(kept);
            if goes {
                count += 1;
                freed += kept.bytes;
            }
            !goes
        });
        (count, freed)
    }
}

impl Lead {
    /// Tells everybody who waits for it, and remembers it for so long.
    pub(super) fn settle(self, outcome: &Arc<Outcome>, lasts: Duration, subject: Option<Arc<str>>, now_ns: u64) {
        // Nobody may be waiting.
        self.news.send_replace(Some(Arc::clone(outcome)));
        // What was asked for before a flush may be what the flush was for.
        let is_current = self.verdicts.epoch.load(Ordering::Acquire) == self.epoch;
        if lasts.is_zero() || !is_current {
            return;
        }
        let until_ns = now_ns.saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX));
        let bytes = bytes_of(outcome) + subject.as_ref().map_or(0, |subject| subject.len());
        let kept = Kept { key: self.key, outcome: Arc::clone(outcome), until_ns, subject, bytes };
        self.verdicts.keep(kept, now_ns);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.verdicts.set(self.key).flights.retain(|(flying, _)| *flying != self.key);
    }
}

fn bytes_of(outcome: &Outcome) -> usize {
    let fields = |fields: &Fields| -> usize {
        // A place in the list of fields takes about as much as a short field.
        fields.iter().map(|field| field.name.len() + field.value.len() + 32).sum()
    };
    VERDICT_BYTES
        + match outcome {
            Outcome::Allowed(all) => fields(all),
            Outcome::Denied(reply) => fields(&reply.fields) + reply.body.len(),
            Outcome::Undecided(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::key::of_values;
    use super::{BYTES_MAX, Look, Outcome, VERDICT_BYTES_MAX, Verdicts};
    use crate::exchange::Fields;
    use crate::policy::Reply;

    const SECOND: Duration = Duration::from_secs(1);

    fn allowed() -> Arc<Outcome> {
        Arc::new(Outcome::Allowed(Fields::new()))
    }

    fn denied(bytes: usize) -> Arc<Outcome> {
        Arc::new(Outcome::Denied(Reply { status: 401, fields: Fields::new(), body: vec![b'x'; bytes].into() }))
    }

    fn learn(all: &Arc<Verdicts>, values: &[&str], outcome: &Arc<Outcome>, lasts: Duration, now_ns: u64) {
        match all.look(of_values(&all.secret, values), now_ns) {
            Look::Lead(lead) => lead.settle(outcome, lasts, values.first().map(|name| Arc::from(*name)), now_ns),
            Look::Found(_) | Look::Follow(_) => panic!("{values:?} is known"),
        }
    }

    fn knows(all: &Arc<Verdicts>, values: &[&str], now_ns: u64) -> bool {
        all.peek(of_values(&all.secret, values), now_ns).is_some()
    }

    #[test]
    fn a_verdict_counts_for_its_time_and_a_flush_ends_it() {
        let all = Arc::new(Verdicts::new(64));
        learn(&all, &["ana", "/a"], &allowed(), SECOND, 10);
        learn(&all, &["ana", "/b"], &allowed(), 2 * SECOND, 10);
        learn(&all, &["bo", "/a"], &denied(3), SECOND, 10);
        learn(&all, &["cy", "/a"], &allowed(), Duration::ZERO, 10);
        assert!(knows(&all, &["ana", "/a"], 1_000_000_009) && !knows(&all, &["ana", "/a"], 1_000_000_010));
        assert!(!knows(&all, &["ana/", "a"], 10) && !knows(&all, &["cy", "/a"], 10), "no time is not kept");
        assert_eq!((all.flush_key(&["ana", "/b"]), all.flush_key(&["ana", "/b"])), (1, 0));
        assert_eq!(all.flush_subject("ana"), 1);
        assert!(knows(&all, &["bo", "/a"], 10));
        assert_eq!((all.flush(), all.len(), all.bytes()), (1, 0, 0));
    }

    #[test]
    fn one_asks_and_the_others_are_told() {
        let all = Arc::new(Verdicts::new(64));
        let key = of_values(&all.secret, &["ana"]);
        let Look::Lead(first) = all.look(key, 0) else { panic!("nobody asks yet") };
        let Look::Follow(news) = all.look(key, 0) else { panic!("somebody asks") };
        drop(first);
        assert!(news.has_changed().is_err(), "it is known that nobody asks any more");
        let Look::Lead(second) = all.look(key, 0) else { panic!("the next one asks") };
        let Look::Follow(news) = all.look(key, 0) else { panic!("somebody asks") };
        assert_eq!(all.flush(), 0);
        second.settle(&denied(1), SECOND, None, 0);
        assert!(matches!(news.borrow().as_deref(), Some(Outcome::Denied(_))));
        assert!(!knows(&all, &["ana"], 0), "what was asked for before a flush is told and not kept");
        assert!(all.sets.iter().all(|set| super::lock(set).flights.is_empty()));
    }

    /// A million callers, each with a key of its own, some with long answers.
    #[test]
    fn memory_is_bounded_whatever_is_asked() {
        let all = Arc::new(Verdicts::new(10_000));
        let mut dice = fastrand::Rng::with_seed(11);
        let mut most = 0;
        for now_ns in 0..1_000_000_u64 {
            let outcome = if dice.u8(..) < 16 { denied(dice.usize(0..2 * VERDICT_BYTES_MAX)) } else { allowed() };
            learn(&all, &[&now_ns.to_string()], &outcome, SECOND, now_ns);
            most = most.max(all.bytes());
        }
        assert!(all.len() <= 10_000, "{}", all.len());
        assert!(all.len() > 9_000, "and it is used: {}", all.len());
        assert!(most <= BYTES_MAX, "{most}");
        let held: usize =
            all.sets.iter().flat_map(|set| super::lock(set).kept.iter().map(|k| k.bytes).collect::<Vec<_>>()).sum();
        assert_eq!(held, all.bytes(), "the count of bytes is right");
        let wide = Arc::new(Verdicts::new(1_000_000));
        for now_ns in 0..20_000_u64 {
            learn(&wide, &[&now_ns.to_string()], &denied(VERDICT_BYTES_MAX / 2), SECOND, now_ns);
            assert!(wide.bytes() <= BYTES_MAX);
        }
        assert!(wide.bytes() > BYTES_MAX / 2);
    }
}
