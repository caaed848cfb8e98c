// SPDX-License-Identifier: MIT OR Apache-2.0
//! The running gateway as the control side uses it: prepare a model, run it, look at it, set endpoints aside.
//!
//! Preparing does everything that can fail and touches nothing live; committing cannot fail. One change is prepared and
//! committed at a time: the control side's owner of changes sees to that.

mod members;

mod overrides;

mod prepare;

mod seam;

mod status;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weirgate_store::engine::CanaryRecord;
use weirgate_store::model::Model;
use weirgate_store::wire::{ConnectionInfo, EndpointOverride, HealthEvent};

pub use self::prepare::Ready;
use super::canary::{self, Canaries};
use super::checker::{Checker, Restored as Known, Tellings};
use super::discovery::{self, Discovered, Finder};
use super::logs::Writers;
use super::usage::Roller;
use super::workers::Workers;
use crate::clock;
use crate::config::consumers::{Consumers, Directory, Issued, Restored};
use crate::config::snapshot::Snapshot;
use crate::listener::handover::Adopted;
use crate::listener::socket::Transport;
use crate::observe::Observer;
use crate::policy::Hash;
use crate::proxy::census::Wanted;
use crate::proxy::worker::Shared;
use crate::upstream::sticky::learned::Entry;

/// Changes of health that wait to be kept; the store takes them once a second.
const TIMELINE_WAITING_MAX: usize = 65_536;

/// Reads the private key with a fingerprint, in PEM form.
pub type PrivateKeys = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// What is known from before the process started.
#[expect(missing_debug_implementations, reason = "it holds a function and keys")]
pub struct Remembered {
    pub sockets: Adopted,
    pub private_keys: PrivateKeys,
    /// What hashes of keys are keyed with.
    pub key_secret: [u8; 32],
    pub issued: Restored,
    pub health: Known,
    /// By upstream and address.
    pub overrides: HashMap<(String, String), EndpointOverride>,
    pub discovery: discovery::Remembered,
    pub traffic: Traffic,
}

/// What traffic left behind before the process started.
#[derive(Debug, Default)]
pub struct Traffic {
    pub canaries: Vec<CanaryRecord>,
    /// By upstream.
    pub learned: HashMap<String, Vec<Entry>>,
}

/// The running gateway.
#[expect(missing_debug_implementations, reason = "it holds a function and keys")]
pub struct Gateway {
    shared: Arc<Shared>,
    observer: Arc<Observer>,
    workers: tokio::sync::RwLock<Option<Workers>>,
    worker_count: usize,
    private_keys: PrivateKeys,
    control: Mutex<ControlState>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    tellings: watch::Receiver<Tellings>,
    /// What has become of endpoints and is not kept yet.
    timeline: Mutex<mpsc::Receiver<HealthEvent>>,
    draining: AtomicBool,
    /// What discovery knows; its lock is held for a few map operations and never over a wait.
    discovered: Mutex<Discovered>,
    /// Whether the store has all of that.
    are_found_kept: AtomicBool,
    /// Whose turn it is to swap the snapshot. Taken before any other lock.
    turn: Mutex<()>,
    /// What sticky sessions are sealed and remembered with.
    sticky_secret: [u8; 32],
    pub canaries: Arc<Canaries>,
    /// The writers of logs.
    pub writers: Writers,
    /// What consumers used.
    pub usage: Arc<Roller>,
    /// Since when an endpoint is as it is that no check has told anything about yet.
    started_ms: i64,
}

/// What only the control side touches. The lock is held for the length of a few map operations and never over a wait.
struct ControlState {
    /// What runs.
    model: Arc<Model>,
    adopted: Adopted,
    /// Real address of each open listener, and the one in the configuration.
    listening: HashMap<Arc<str>, Listening>,
    consumers: Consumers,
    /// Health from before the start; forgotten after the first model runs.
    health: Known,
    overrides: overrides::Overrides,
    /// Sessions from before the start; forgotten after the first model runs.
    learned: HashMap<String, Vec<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Listening {
    configured: SocketAddr,
    bound: SocketAddr,
    transport: Transport,
}

impl Gateway {
    /// Starts workers and health checks over an empty configuration.
    pub fn start(worker_count: usize, remembered: Remembered) -> std::io::Result<Arc<Self>> {
        let observer = Arc::new(Observer::new(worker_count));
        let consumers = Consumers::new(remembered.key_secret, remembered.issued);
        let discovery::Remembered { resolver, found, leases } = remembered.discovery;
        let mut state = ControlState {
            model: Arc::default(),
            adopted: remembered.sockets,
            listening: HashMap::new(),
            consumers,
            health: remembered.health,
            overrides: overrides::Overrides::restored(remembered.overrides),
            learned: remembered.traffic.learned,
        };
        let directory = state.consumers.adopt(&Model::default(), &observer.meters);
        let nothing = Arc::new(Snapshot::empty());
        let shared = Arc::new(Shared::new(Arc::clone(&nothing), Arc::new(directory), Arc::clone(&observer)));
        let workers = Workers::start(worker_count, &shared)?;
        let (snapshots, seen) = watch::channel(nothing);
        let (told, tellings) = watch::channel(Tellings::new());
        let looked_at = seen.clone();
        let (timeline, kept) = mpsc::channel(TIMELINE_WAITING_MAX);
        Checker::launch(Arc::clone(&observer), seen, told, timeline, state.health.clone())?;
        let canaries = Arc::new(Canaries::new(Arc::clone(&observer), remembered.traffic.canaries));
        tokio::spawn(canary::run(Arc::downgrade(&canaries)));
        let gateway = Arc::new(Self {
            shared,
            observer,
            workers: tokio::sync::RwLock::new(Some(workers)),
            worker_count,
            private_keys: remembered.private_keys,
            control: Mutex::new(state),
            snapshots,
            tellings,
            timeline: Mutex::new(kept),
            draining: AtomicBool::new(false),
            discovered: Mutex::new(Discovered::restored(found, leases)),
            are_found_kept: AtomicBool::new(true),
            turn: Mutex::new(()),
            sticky_secret: remembered.key_secret,
            canaries,
            writers: Writers::default(),
            usage: Arc::default(),
            started_ms: clock::wall_ms(),
        });
        tokio::spawn(Finder::new(Arc::downgrade(&gateway), resolver).run(looked_at));
        Ok(gateway)
    }

    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The snapshot that runs now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Keys that were just issued count from now on.
    pub fn issue(&self, keys: &[Issued]) {
        let counted = Arc::clone(&self.shared.directory().meters);
        let directory = self.state().consumers.issue(keys, counted);
        self.shared.set_directory(Arc::new(directory));
    }

    /// A key that was just revoked counts no more.
    pub fn revoke(&self, hash: Hash) {
        let counted = Arc::clone(&self.shared.directory().meters);
        let directory: Directory = self.state().consumers.revoke(hash, counted);
        self.shared.set_directory(Arc::new(directory));
    }

    /// Client connections and UDP sessions, the newest first.
    pub async fn connections(&self, wanted: Wanted) -> Vec<ConnectionInfo> {
        match &*self.workers.read().await {
            Some(workers) => workers.connections(&wanted).await,
            None => Vec::new(),
        }
    }

    /// Ends one of them; whether there was one with that number.
    pub async fn kill(&self, id: u64) -> bool {
        match &*self.workers.read().await {
            Some(workers) => workers.kill(id).await,
            None => false,
        }
    }

    /// Accepts no more, lets what is under way finish for at most `limit`, and ends the workers.
    pub async fn drain(&self, limit: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        let workers = self.workers.write().await.take();
        if let Some(workers) = workers {
            workers.drain(limit).await;
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What the health checks say, as it changes.
    pub fn tellings(&self) -> watch::Receiver<Tellings> {
        self.tellings.clone()
    }

    /// What has become of endpoints since the last call, for the one who keeps it.
    pub fn take_events(&self) -> Vec<HealthEvent> {
        let mut timeline = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| timeline.try_recv().ok()).take(TIMELINE_WAITING_MAX).collect()
    }

    /// Closes inherited sockets that no listener of the configuration claimed.
    pub fn close_unclaimed(&self) {
        let unclaimed = std::mem::take(&mut self.state().adopted);
        if !unclaimed.is_empty() {
            tracing::warn!(sockets = unclaimed.len(), "inherited sockets that no listener claims are closed");
        }
    }

    /// The real address of a listener.
    pub fn bound(&self, listener: &str) -> Option<SocketAddr> {
        self.state().listening.get(listener).map(|listening| listening.bound)
    }

    fn state(&self) -> MutexGuard<'_, ControlState> {
        // A panic while it was held cannot have left a map half-changed.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
