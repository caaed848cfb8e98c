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

use super::keeper::{Keeper, Started};
use super::lock::Held;
use super::{
    AuditEntry, Batch, EngineError, FoundRecord, HealthRecord, Keyring, LeaseRecord, Options, OverrideRecord, Pair,
    StoreError, Tree, audit,
};
use crate::model::Model;
use crate::wire::{EndpointOverride, RevisionInfo, StoreStatus};

/// Jobs that may wait for the store thread; a caller beyond that waits itself.
const QUEUE_MAX: usize = 256;

/// Most overrides, and most states of health, that are kept.
const RECORDS_MAX: usize = 100_000;

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

    /// Sets an override of an endpoint.
    pub async fn put_override(
        &self,
        upstream: &str,
        address: &str,
        entry: &EndpointOverride,
    ) -> Result<(), StoreError> {
        let mut entry = entry.clone();
        audit::shorten(&mut entry.owner);
        audit::shorten(&mut entry.reason);
        let mut batch = Batch::default();
        batch.put(Tree::Overrides, place(upstream, address), serde_json::to_vec(&entry).unwrap_or_default());
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
        let pair = |record: &HealthRecord| {
            (place(&record.upstream, &record.address), serde_json::to_vec(record).unwrap_or_default())
        };
        let pairs = records.iter().take(RECORDS_MAX).map(pair).collect();
        self.call(move |keeper| replace(keeper, vec![(Tree::Health, pairs)])).await
    }

    /// Remembers what discovery has found, and forgets the rest. Not synced: what is lost is found again.
    pub async fn put_found(&self, found: Vec<FoundRecord>, leases: Vec<LeaseRecord>) -> Result<(), StoreError> {
        let of_found = |record: &FoundRecord| {
            (record.upstream.clone().into_bytes(), serde_json::to_vec(record).unwrap_or_default())
        };
        let of_lease = |record: &LeaseRecord| {
            let key = place(&record.upstream, &record.endpoint.address.to_string());
            (key, serde_json::to_vec(record).unwrap_or_default())
        };
        let found = found.iter().take(RECORDS_MAX).map(of_found).collect();
        let leases = leases.iter().take(RECORDS_MAX).map(of_lease).collect();
        self.call(move |keeper| replace(keeper, vec![(Tree::Found, found), (Tree::Leases, leases)])).await
    }

    pub async fn found(&self) -> Result<Vec<FoundRecord>, StoreError> {
        let found = self.all(Tree::Found).await?;
        Ok(found.into_iter().filter_map(|(_, value)| serde_json::from_slice(&value).ok()).collect())
    }

    pub async fn leases(&self) -> Result<Vec<LeaseRecord>, StoreError> {
        let found = self.all(Tree::Leases).await?;
        Ok(found.into_iter().filter_map(|(_, value)| serde_json::from_slice(&value).ok()).collect())
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

    pub(super) async fn all(&self, tree: Tree) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.call(move |keeper| keeper.engine.scan(tree, &[], None, RECORDS_MAX).map_err(io)).await
    }

    pub(super) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let written = keeper.engine.write(batch).and_then(|()| keeper.engine.sync());
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |keeper| drop(reply.send(work(keeper))));
        self.jobs.send(Job::Do(work)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
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
pub(super) fn io(error: EngineError) -> StoreError {
    StoreError::Io(error.to_string())
}

/// Makes trees hold these records and no others.
fn replace(keeper: &mut Keeper, trees: Vec<(Tree, Vec<Pair>)>) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for (tree, pairs) in trees {
        for (key, _) in keeper.engine.scan(tree, &[], None, RECORDS_MAX).map_err(io)? {
            batch.delete(tree, key);
        }
        pairs.into_iter().for_each(|(key, value)| batch.put(tree, key, value));
    }
    let written = keeper.engine.write(batch);
    keeper.after(written.clone());
    written.map_err(io)
}

fn place(upstream: &str, address: &str) -> Vec<u8> {
    format!("{upstream}\0{address}").into_bytes()
}
