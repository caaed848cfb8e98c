// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one worker thread owns: its view of the snapshot, its pools and turns, its clock and its dice.
//!
//! Nothing here is shared with another worker but what [`Shared`] holds, and of that the request path only reads. The
//! snapshot is looked at once per exchange: one atomic load says whether there is a new one.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use foldhash::{HashMap, HashMapExt};
use tokio::sync::Notify;

use super::census::Census;
use super::forward::UnderWay;
use super::tcp::Pipes;
use crate::balance::{Ask, Balancer, Key, Turns};
use crate::clock::{self, Deadlines};
use crate::config::consumers::Directory;
use crate::config::snapshot::{Snapshot, Upstream};
use crate::exchange::RequestId;
use crate::observe::{Observer, Recorder};
use crate::protocol::buffers::Buffers;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::hedge::Recent;
use crate::upstream::latency;
use crate::upstream::pool::{self, Pool};
use crate::upstream::retry::RetryBudget;

/// How often unused connections to endpoints are looked through.
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// What all workers read and the control side replaces.
#[derive(Debug)]
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// Counts the snapshots, so that a worker knows of a new one by one load.
    generation: AtomicU64,
    directory: ArcSwap<Directory>,
    pub observer: Arc<Observer>,
    /// Notified when a request waits for a connection that another worker keeps unused.
    pub wanted: Notify,
}

impl Shared {
    pub fn new(snapshot: Arc<Snapshot>, directory: Arc<Directory>, observer: Arc<Observer>) -> Self {
        Self {
            snapshot: ArcSwap::new(snapshot),
            generation: AtomicU64::new(0),
            directory: ArcSwap::new(directory),
            observer,
            wanted: Notify::new(),
        }
    }

    /// The snapshot that runs now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Makes `snapshot` the one that new exchanges see.
    pub fn swap(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Consumers and their keys.
    pub fn directory(&self) -> Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Makes other consumers and keys count from now on.
    pub fn set_directory(&self, directory: Arc<Directory>) {
        self.directory.store(directory);
    }
}

/// A worker's own handle to a snapshot: cloning it touches no memory that another worker writes.
pub type LocalSnapshot = Rc<Arc<Snapshot>>;

/// What a worker learns about an upstream; it outlives snapshots.
#[derive(Debug)]
pub struct UpstreamMemory {
    pub turns: Turns,
    pub budget: RefCell<RetryBudget>,
    /// Its last replies, where a second copy of a slow request may be sent.
    pub recent: RefCell<Recent>,
    /// Copies of a mirror on their way to it.
    pub copies: Rc<UnderWay>,
}

/// The state of one worker.
#[derive(Debug)]
pub struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub deadlines: Deadlines,
    pub buffers: Rc<Buffers>,
    pub recorder: Recorder,
    current: RefCell<(u64, LocalSnapshot)>,
    memory: RefCell<HashMap<u64, Rc<UpstreamMemory>>>,
    pools: RefCell<HashMap<u64, Rc<Pool>>>,
    pool_buffers: pool::Buffers,
    dice: RefCell<fastrand::Rng>,
    wall: Cell<(Instant, i64)>,
    draining: Cell<bool>,
    /// Notified when draining begins, for whoever cannot be woken by its deadline.
    pub drained: Notify,
    pub census: Rc<Census>,
    pub pipes: Rc<Pipes>,
}

impl Worker {
    /// The worker with this index. Called on its own thread.
    pub fn new(index: usize, shared: Arc<Shared>, seed: u64) -> Self {
        let recorder = shared.observer.recorder(index);
        let snapshot = Rc::new(shared.snapshot());
        let now = clock::now();
        Self {
            index,
            deadlines: Deadlines::new(now),
            buffers: Rc::default(),
            recorder,
            current: RefCell::new((shared.generation.load(Ordering::Acquire), snapshot)),
            memory: RefCell::new(HashMap::new()),
            pools: RefCell::new(HashMap::new()),
            pool_buffers: pool::Buffers::default(),
            dice: RefCell::new(fastrand::Rng::with_seed(seed)),
            wall: Cell::new((now, clock::wall_ms() / 1000)),
            draining: Cell::new(false),
            drained: Notify::new(),
            census: Rc::new(Census::new(index)),
            pipes: Rc::default(),
            shared,
        }
    }

    /// The snapshot for a new exchange.
    pub fn snapshot(&self) -> LocalSnapshot {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut current = self.current.borrow_mut();
        if current.0 != generation {
            *current = (generation, Rc::new(self.shared.snapshot()));
            drop(current);
            self.forget_the_gone();
            return Rc::clone(&self.current.borrow().1);
        }
        Rc::clone(&current.1)
    }

    /// Drops pools and memories of what the snapshot no longer holds.
    #[cold]
    fn forget_the_gone(&self) {
        let snapshot = Rc::clone(&self.current.borrow().1);
        let upstreams: foldhash::HashSet<u64> = snapshot.upstreams.iter().map(|upstream| upstream.id).collect();
        let endpoints = snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        let endpoints: foldhash::HashSet<u64> = endpoints.map(|endpoint| endpoint.live.id).collect();
        self.memory.borrow_mut().retain(|id, _| upstreams.contains(id));
        self.pools.borrow_mut().retain(|id, pool| {
            let keep = endpoints.contains(id);
            if !keep {
                pool.close_all();
            }
            keep
        });
    }

    /// What this worker knows of an upstream.
    pub fn memory_of(&self, upstream: &Upstream) -> Rc<UpstreamMemory> {
        let mut all = self.memory.borrow_mut();
        let new = || {
            let turns = Turns::new(self.dice.borrow_mut().u64(..));
            Rc::new(UpstreamMemory {
                turns,
                budget: RefCell::default(),
                recent: RefCell::default(),
                copies: Rc::default(),
            })
        };
        Rc::clone(all.entry(upstream.id).or_insert_with(new))
    }

    /// The pool of an endpoint.
    pub fn pool_of(&self, upstream: &Upstream, endpoint: &Endpoint) -> Rc<Pool> {
        let mut all = self.pools.borrow_mut();
        if let Some(pool) = all.get(&endpoint.live.id)
            && Arc::ptr_eq(pool.transport(), &upstream.transport)
        {
            return Rc::clone(pool);
        }
        let (deadlines, buffers) = (self.deadlines.clone(), self.pool_buffers.clone());
        let transport = Arc::clone(&upstream.transport);
        let pool = Pool::new(Arc::clone(&endpoint.name), endpoint.address, transport, deadlines, buffers);
        pool.join(endpoint.live.id);
        if let Some(before) = all.insert(endpoint.live.id, Rc::clone(&pool)) {
            before.close_all();
        }
        pool
    }

    /// Ends what is in flight to an endpoint, by its [`Live::id`](crate::upstream::endpoint::Live::id), and closes what
    /// is not.
    pub fn cut(&self, endpoint: u64) {
        if let Some(pool) = self.pools.borrow().get(&endpoint) {
            pool.close_all();
        }
        self.deadlines.cut(endpoint);
    }

    /// Closes connections that have been unused too long, for ever. The worker spawns it.
    pub async fn prune_pools(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let now = self.deadlines.now();
                    self.pools.borrow().values().for_each(|pool| pool.close_idle(now));
                }
                () = self.shared.wanted.notified() => {
                    self.pools.borrow().values().for_each(|pool| pool.close_wanted());
                }
            }
        }
    }

    /// A new name for an exchange.
    pub fn request_id(&self) -> RequestId {
        RequestId(self.dice.borrow_mut().u128(..))
    }

    /// A number that is another one each time.
    pub fn draw(&self) -> u64 {
        self.dice.borrow_mut().u64(..)
    }

    /// What a balancer may look at for a client, whose address is the key.
    pub fn ask(&self, source: IpAddr, balance: &Balancer) -> Ask {
        let now = || latency::millis(clock::since_start_ns_at(self.deadlines.now()));
        let now_ms = if balance.kind().measures() { now() } else { 0 };
        Ask { source, seed: self.draw(), now_ms, key: Key::Source }
    }

    /// Seconds since 1970 UTC, at most a tick old.
    pub fn wall_s(&self) -> i64 {
        let (at, seconds) = self.wall.get();
        let now = self.deadlines.now();
        if at == now {
            return seconds;
        }
        let seconds = clock::wall_ms() / 1000;
        self.wall.set((now, seconds));
        seconds
    }

    /// Takes no more requests on kept connections; those in flight finish.
    pub fn drain(&self) {
        self.draining.set(true);
        self.deadlines.expire_idle();
        self.drained.notify_waiters();
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Client connections of this worker.
    pub fn connections(&self) -> usize {
        self.census.len()
    }
}
