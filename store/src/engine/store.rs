// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handle: every call is a job for the one store thread, over a bounded queue.
//!
//! The calls are async and need no particular runtime; [`wait`] runs one where there is none. Whoever drops the last
//! handle ends the thread once its queue is empty.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};

use tokio::sync::{mpsc, oneshot};

use super::credential::{
    About, CredentialCursor, CredentialPage, CredentialRecord, Entry, ID_DIGITS, KeepError, Kept, PAGE, owner,
};
use super::keeper::{Keeper, Started};
use super::keyring::{prefix, random, unhex};
use super::lock::Held;
use super::{AuditEntry, Batch, EngineError, HealthRecord, Keyring, Options, OverrideRecord, StoreError, Tree, audit};
use crate::model::{Model, Name};
use crate::wire::{EndpointOverride, IssuedKey, KeyInfo, RevisionInfo, StoreHealth, StoreStatus};

/// Jobs that may wait for the store thread; a caller beyond that waits itself.
const QUEUE_MAX: usize = 256;

/// Most keys of one consumer that are listed.
const KEYS_LISTED_MAX: usize = 10_000;

/// Most overrides, and most states of health, that are kept.
const RECORDS_MAX: usize = 100_000;

/// Shortest key that may be imported.
const SECRET_BYTES_MIN: usize = 16;

/// Longest key that may be imported.
const SECRET_BYTES_MAX: usize = 256;

/// Longest comment of a key.
const COMMENT_BYTES_MAX: usize = 256;

/// What an issued key begins with, so that it can be recognised where it should not be.
const SECRET_PREFIX: &str = "wg_";

type Work = Box<dyn FnOnce(&mut Keeper) + Send>;

/// What the store thread is asked.
enum Job {
    Do(Work),
    /// Other handles may live on; their calls are answered by [`StoreError::Closed`].
    End,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    status: Arc<Mutex<StoreStatus>>,
    keyring: Arc<Keyring>,
    held: Option<Held>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens a state directory, whatever its state; blocks until it is known what can be had.
    ///
    /// # Panics
    /// Only where the system gives no thread or no random bytes at all: nothing could run there.
    pub fn open(dir: &Path, options: Options) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE_MAX);
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let dir = dir.to_owned();
        let work = move || match Keeper::start(&dir, options) {
            Ok(Started { keeper, keyring, held, status }) => {
                drop(ready.send((keyring, held, status)));
                serve(keeper, queue);
            }
            Err(error) => tracing::error!(%error, "the store cannot start"),
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work).expect("a thread can be had");
        let (keyring, held, status) = started.recv().expect("the system has random bytes");
        Self { jobs, shared: Arc::new(Shared { status, keyring, held, thread: Mutex::new(Some(thread)) }) }
    }

    /// How the store is, in a word and a sentence.
    pub fn status(&self) -> StoreStatus {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The other process that holds the directory: a second daemon should say so and end.
    pub fn held_by(&self) -> Option<Held> {
        self.shared.held
    }

    /// What hashes keys and keeps private ones.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.shared.keyring)
    }

    /// Ends the store thread after what is queued, and returns when everything is closed. Blocks.
    pub fn close(self) {
        let Self { jobs, shared } = self;
        // A thread that is gone has ended already.
        drop(wait(jobs.send(Job::End)));
        let thread = shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("the store thread ended by a panic");
        }
    }

    /// The running revision; number 0 and empty if there never was one.
    pub async fn running(&self) -> Result<(RevisionInfo, Arc<Model>), StoreError> {
        self.call(|keeper| Ok(keeper.running())).await
    }

    /// Makes a model the next revision. Acknowledged only when it is on the disk.
    ///
    /// # Errors
    /// `BaseMoved` if `base` is not the running revision any more; `DiskFull` and `Io` if it could not be written,
    /// and then nothing has changed.
    pub async fn append(
        &self,
        base: u64,
        model: Arc<Model>,
        author: &str,
        comment: &str,
        time_ms: i64,
    ) -> Result<RevisionInfo, StoreError> {
        let (author, comment) = (author.to_owned(), comment.to_owned());
        let info = RevisionInfo { number: 0, time_ms, author, comment, added: 0, changed: 0, removed: 0 };
        self.call(move |keeper| keeper.append(base, model, info)).await
    }

    /// Newest first.
    pub async fn history(&self, limit: usize) -> Result<Vec<RevisionInfo>, StoreError> {
        self.call(move |keeper| Ok(keeper.history(limit))).await
    }

    /// One kept revision.
    pub async fn revision(&self, number: u64) -> Result<Option<(RevisionInfo, Model)>, StoreError> {
        self.call(move |keeper| keeper.revision(number)).await
    }

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
        let missing = StoreError::NoSuchKey { consumer: consumer.to_string(), id: id.to_owned() };
        let digits = unhex(id).filter(|digits| 2 * digits.len() == ID_DIGITS).ok_or_else(|| missing.clone())?;
        // The id is how the hash begins, so one of a million keys is found without reading the others.
        let prefix = [owner(consumer).as_slice(), &digits].concat();
        let kept = self.kept_keys(prefix, 1).await?.pop().ok_or(missing)?;
        let record = CredentialRecord { hash: kept.hash, consumer: kept.consumer.clone(), expires_ms: kept.about.2 };
        self.keep(vec![Entry::Revoked(kept)]).await?;
        Ok(record)
    }

    /// The issued keys of a consumer.
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

    /// Sets an override of an endpoint.
    pub async fn put_override(
        &self,
        upstream: &str,
        address: &str,
        entry: &EndpointOverride,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(Tree::Overrides, place(upstream, address), serde_json::to_vec(entry).unwrap_or_default());
        self.write(batch).await
    }

    /// Takes an override back; nothing happens if there is none.
    pub async fn delete_override(&self, upstream: &str, address: &str) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.delete(Tree::Overrides, place(upstream, address));
        self.write(batch).await
    }

    pub async fn overrides(&self) -> Result<Vec<OverrideRecord>, StoreError> {
        let found = self.all(Tree::Overrides).await?;
        let record = |(key, value): (Vec<u8>, Vec<u8>)| {
            let (upstream, address) = std::str::from_utf8(&key).ok()?.split_once('\0')?;
            let (upstream, address) = (upstream.to_owned(), address.to_owned());
            Some(OverrideRecord { upstream, address, entry: serde_json::from_slice(&value).ok()? })
        };
        Ok(found.into_iter().filter_map(record).collect())
    }

    /// Remembers states of health, and forgets the others. Not synced: losing the last moments costs one check.
    pub async fn put_health(&self, records: Vec<HealthRecord>) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let mut batch = Batch::default();
            for (key, _) in keeper.engine.scan(Tree::Health, &[], None, RECORDS_MAX).map_err(io)? {
                batch.delete(Tree::Health, key);
            }
            for record in records.iter().take(RECORDS_MAX) {
                let value = serde_json::to_vec(record).unwrap_or_default();
                batch.put(Tree::Health, place(&record.upstream, &record.address), value);
            }
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    pub async fn health(&self) -> Result<Vec<HealthRecord>, StoreError> {
        let found = self.all(Tree::Health).await?;
        Ok(found.into_iter().filter_map(|(_, value)| serde_json::from_slice(&value).ok()).collect())
    }

    /// Adds to the audit; the oldest entry goes when there are too many.
    pub async fn append_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let written = keeper.audit.append(entry, &mut *keeper.engine).and_then(|()| keeper.engine.sync());
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    /// Newest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.call(move |keeper| audit::newest(&*keeper.engine, limit).map_err(io)).await
    }

    fn kept(&self, consumer: &Name, secret: &str, about: About) -> Kept {
        Kept { consumer: consumer.clone(), hash: self.shared.keyring.hash_key(secret.as_bytes()), about }
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

    async fn all(&self, tree: Tree) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.call(move |keeper| keeper.engine.scan(tree, &[], None, RECORDS_MAX).map_err(io)).await
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let written = keeper.engine.write(batch).and_then(|()| keeper.engine.sync());
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |keeper| drop(reply.send(work(keeper))));
        self.jobs.send(Job::Do(work)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
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

/// The store thread: one job after the other. A job that panics ends alone.
fn serve(mut keeper: Keeper, mut queue: mpsc::Receiver<Job>) {
    while let Some(Job::Do(work)) = queue.blocking_recv() {
        if catch_unwind(AssertUnwindSafe(|| work(&mut keeper))).is_err() {
            tracing::error!("a job of the store panicked");
        }
    }
    if let Err(error) = keeper.engine.sync() {
        tracing::error!(%error, "the store cannot be synced at its end");
    }
}

/// Runs a store call to its end where there is no async runtime: at start-up and in tests.
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn io(error: EngineError) -> StoreError {
    StoreError::Io(error.to_string())
}

fn place(upstream: &str, address: &str) -> Vec<u8> {
    format!("{upstream}\0{address}").into_bytes()
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
