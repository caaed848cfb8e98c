// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of users and hashes of passwords, and the bounded work of checking one.
//!
//! A check is argon2id: some 30 ms of a processor and 19 MiB. So it runs on a few threads of its own behind a bounded
//! queue ([`WAITING_MAX`]), and what was right is remembered for a while ([`VERIFIED_MAX`], [`VERIFIED_S`]) in a table
//! that goes with the users: another password, another table. A user that does not exist is checked against a hash that
//! no password has, so that it takes as long.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use weirgate_store::model::PasswordHash;
use weirgate_store::model::password::HASH_BYTES;

use crate::policy::Hash;

/// Passwords that wait to be checked; a request with one more is told to come back.
pub const WAITING_MAX: usize = 64;

/// Most passwords that are checked at once; half the processors if those are fewer.
pub const AT_ONCE_MAX: usize = 4;

/// Right passwords that are remembered.
pub const VERIFIED_MAX: usize = 4_096;

/// Seconds for which they are.
pub const VERIFIED_S: i64 = 300;

/// Places where one of them may be.
const WAYS: usize = 4;

/// What a password of an unknown user is checked against. Its costs are those of new hashes.
static NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash::new([0x5a; 16], [0; HASH_BYTES]));

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the password of a user of the consumer with this number.
    Matched(u32),
    /// There is no such user, or it has another password.
    Wrong,
    /// Too many wait.
    Full,
}

/// The users, by name.
pub type Users = HashMap<Box<[u8]>, (PasswordHash, u32)>;

/// All users and what is known of their passwords.
#[derive(Default)]
pub struct Passwords {
    users: Users,
    secret: [u8; 32],
    hasher: Option<Hasher>,
    verified: Box<[ArcSwapOption<Verified>]>,
}

#[derive(Debug)]
struct Verified {
    tag: Hash,
    consumer: u32,
    until_s: i64,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl Passwords {
    /// The secret keys what is remembered; `hasher` leads to the threads that check.
    pub fn new(users: Users, secret: [u8; 32], hasher: Option<Hasher>) -> Self {
        let places = if users.is_empty() { 0 } else { VERIFIED_MAX };
        let verified = (0..places).map(|_| ArcSwapOption::empty()).collect();
        Self { users, secret, hasher, verified }
    }

    /// Whether these are its users.
    pub fn has(&self, users: &Users) -> bool {
        self.users == *users
    }

    /// Whether there is anybody to check, and somebody to do it.
    pub fn can_check(&self) -> bool {
        !self.users.is_empty() && self.hasher.is_some()
    }

    /// The consumer of a user, whatever its password.
    pub fn consumer_of(&self, user: &[u8]) -> Option<u32> {
        self.users.get(user).map(|(_, consumer)| *consumer)
    }

    /// The consumer, if this password was right a while ago.
    pub fn verified(&self, user: &[u8], password: &[u8], now_s: i64) -> Option<u32> {
        if self.verified.is_empty() {
            return None;
        }
        self.recall(&self.tag(user, password), now_s)
    }

    /// A user holds no zero byte, so no two pairs are one text.
    fn tag(&self, user: &[u8], password: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"weirgate verified password\0").update(user).update(&[0]).update(password);
        *hasher.finalize().as_bytes()
    }

    fn places(&self, tag: &Hash) -> &[ArcSwapOption<Verified>] {
        let sets = (self.verified.len() / WAYS).max(1);
        let [a, b, c, d, ..] = *tag;
        let first = u32::from_le_bytes([a, b, c, d]) as usize % sets * WAYS;
        self.verified.get(first..first + WAYS).unwrap_or_default()
    }

    fn recall(&self, tag: &Hash, now_s: i64) -> Option<u32> {
        self.places(tag).iter().find_map(|place| {
            let held = place.load();
            let held = held.as_ref()?;
            let is_it = bool::from(held.tag.ct_eq(tag)) && held.until_s > now_s;
            is_it.then_some(held.consumer)
        })
    }

    /// Keeps it in the place of the one that ends first.
    fn remember(&self, tag: Hash, consumer: u32, now_s: i64) {
        let ends = |place: &&ArcSwapOption<Verified>| place.load().as_ref().map_or(i64::MIN, |held| held.until_s);
        if let Some(place) = self.places(&tag).iter().min_by_key(ends) {
            place.store(Some(Arc::new(Verified { tag, consumer, until_s: now_s + VERIFIED_S })));
        }
    }

    /// Takes as long for a user that does not exist.
    fn matches(&self, user: &[u8], password: &[u8]) -> Option<u32> {
        let (hash, consumer) = match self.users.get(user) {
            Some((hash, consumer)) => (hash, Some(*consumer)),
            None => (&*NOBODY, None),
        };
        let is_right = is_password(hash, password);
        consumer.filter(|_| is_right)
    }
}

fn is_password(hash: &PasswordHash, password: &[u8]) -> bool {
    let Ok(costs) = Params::new(hash.memory_kib, hash.passes, hash.lanes, Some(HASH_BYTES)) else { return false };
    let mut made = [0; HASH_BYTES];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
    let done = argon2.hash_password_into(password, &hash.salt, &mut made);
    bool::from(made.ct_eq(&hash.hash)) && done.is_ok()
}

/// Has a password checked by one of the threads. Nothing is queued before this is polled.
pub async fn check(passwords: Arc<Passwords>, user: &[u8], password: &[u8], now_s: i64) -> Checked {
    let Some(hasher) = passwords.hasher.clone() else { return Checked::Wrong };
    let (reply, answer) = oneshot::channel();
    let (user, password) = (user.into(), password.into());
    if hasher.0.try_send(Job { passwords, user, password, now_s, reply }).is_err() {
        return Checked::Full;
    }
    answer.await.unwrap_or(Checked::Full)
}

/// A password to be checked.
pub struct Job {
    passwords: Arc<Passwords>,
    user: Box<[u8]>,
    password: Box<[u8]>,
    now_s: i64,
    reply: oneshot::Sender<Checked>,
}

impl fmt::Debug for Job {
    /// Never prints a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

impl Job {
    /// Checks it, unless nobody waits any more or the same was found right meanwhile.
    fn run(self) {
        if self.reply.is_closed() {
            return;
        }
        let Self { passwords, user, password, now_s, reply } = self;
        let tag = passwords.tag(&user, &password);
        let found = passwords.recall(&tag, now_s).or_else(|| {
            let found = passwords.matches(&user, &password);
            found.inspect(|consumer| passwords.remember(tag, *consumer, now_s))
        });
        // Who asked may have gone away.
        reply.send(found.map_or(Checked::Wrong, Checked::Matched)).unwrap_or_default();
    }
}

/// Where passwords are sent to be checked.
#[derive(Clone, Debug)]
pub struct Hasher(SyncSender<Job>);

/// Where the threads find them.
#[derive(Debug)]
pub struct Jobs(Mutex<Receiver<Job>>);

/// A queue of [`WAITING_MAX`].
pub fn queue() -> (Hasher, Jobs) {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    (Hasher(sender), Jobs(Mutex::new(receiver)))
}

impl Jobs {
    /// Checks passwords until nobody can send one any more.
    pub fn work(&self) {
        while let Some(job) = self.next() {
            job.run();
        }
    }

    /// One thread at a time waits in the queue, the others for their turn to.
    fn next(&self) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use argon2::{Algorithm, Argon2, Params, Version};
    use weirgate_store::model::PasswordHash;

    use super::{Checked, Passwords, Users, VERIFIED_S, WAITING_MAX, check, queue};

    /// Cheap to check, so that the test is about what is around it.
    fn hash(password: &str) -> PasswordHash {
        let mut hash = PasswordHash { memory_kib: 64, passes: 1, lanes: 1, salt: vec![1; 16], hash: [0; 32] };
        let costs = Params::new(64, 1, 1, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
        argon2.hash_password_into(password.as_bytes(), &hash.salt, &mut hash.hash).unwrap();
        hash
    }

    fn users() -> Users {
        [("ana", "right", 0), ("ben", "other", 1)]
            .map(|(user, password, id)| (user.as_bytes().into(), (hash(password), id)))
            .into()
    }

    /// Asks, lets the queue be worked off, and takes the answer.
    fn ask(passwords: &Arc<Passwords>, jobs: &super::Jobs, user: &str, password: &str, now_s: i64) -> Checked {
        let mut asked = Box::pin(check(Arc::clone(passwords), user.as_bytes(), password.as_bytes(), now_s));
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(checked) = asked.as_mut().poll(&mut cx) {
            return checked;
        }
        jobs.next().expect("it was queued").run();
        let Poll::Ready(checked) = asked.as_mut().poll(&mut cx) else { panic!("no answer") };
        checked
    }

    #[test]
    fn right_ones_are_remembered_for_a_while_and_only_those() {
        let (hasher, jobs) = queue();
        let passwords = Arc::new(Passwords::new(users(), [3; 32], Some(hasher)));
        for (user, password, want) in [
            ("ana", "right", Checked::Matched(0)),
            ("ana", "wrong", Checked::Wrong),
            ("ana", "other", Checked::Wrong),
            ("ben", "other", Checked::Matched(1)),
            ("nobody", "right", Checked::Wrong),
            ("", "", Checked::Wrong),
        ] {
            assert_eq!(ask(&passwords, &jobs, user, password, 1_000), want, "row {user}:{password}");
        }
        let known = |user: &str, password: &str, now| passwords.verified(user.as_bytes(), password.as_bytes(), now);
        assert_eq!(known("ana", "right", 1_000), Some(0));
        assert_eq!(known("ana", "right", 999 + VERIFIED_S), Some(0));
        assert_eq!(known("ana", "right", 1_000 + VERIFIED_S), None);
        assert_eq!(known("ana", "wrong", 1_000), None);
        assert_eq!(known("an", "a\0right", 1_000), None);
        assert!(passwords.has(&users()), "the table is kept while its users stay");
        let mut others = users();
        others.insert(b"ana"[..].into(), (hash("new"), 0));
        assert!(!passwords.has(&others));
    }

    #[test]
    fn only_so_many_wait() {
        let (hasher, jobs) = queue();
        let passwords = Arc::new(Passwords::new(users(), [3; 32], Some(hasher)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(check(Arc::clone(&passwords), b"ana", b"right", 0))).collect();
        assert!(waiting.iter_mut().all(|asked| asked.as_mut().poll(&mut cx).is_pending()));
        let mut late = Box::pin(check(Arc::clone(&passwords), b"ana", b"right", 0));
        assert_eq!(late.as_mut().poll(&mut cx), Poll::Ready(Checked::Full));
        // One who went away costs nothing, and makes room.
        drop(waiting.remove(0));
        jobs.next().expect("it waits").run();
        let mut next = Box::pin(check(passwords, b"ana", b"right", 0));
        assert!(next.as_mut().poll(&mut cx).is_pending());
    }
}
