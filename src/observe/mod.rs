// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the operator can see: counts, latencies, single exchanges, and the numbers of each second.
//!
//! Workers write plain cells of their own (`cells`) and offer finished exchanges to whoever watches (`tap`), both only
//! through [`Recorder::record`]. The control side merges and publishes (`frame`, `metrics`). No other module counts or
//! logs a request, and nothing here can make a worker wait.

mod brake;

mod cells;

mod copies;

pub mod frame;

mod histogram;

pub mod log;

mod meters;

pub mod metrics;

mod names;

mod process;

mod record;

mod redact;

mod tap;

mod timings;

mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::sync::broadcast;
use weirgate_store::wire::Event;

pub use cells::{Meter, Outcome, Totals};
pub use copies::{Copied, Copies};
pub use histogram::{BUCKETS, Buckets};
pub use meters::{CONSUMERS_MAX, Metered, Meters};
pub use record::{ACCESS, Finished, Part, Recorder};
pub use tap::{Facts, Filter, Tap, Watch};
pub use timings::{Stage, Timings};
pub use usage::{Used, UsedBy};
pub use weirgate_store::model::StatusRange;

/// Events that wait for one reader of the event stream; a slower one is told how many it missed.
pub const EVENTS_MAX: usize = 1_024;

/// Where everything that is seen comes together. One for the whole daemon.
#[derive(Debug)]
pub struct Observer {
    pub meters: Arc<Meters>,
    pub tap: Arc<Tap>,
    /// What consumers used and nobody has rolled up yet.
    pub used: Used,
    events: broadcast::Sender<Arc<Event>>,
    /// The thread of each worker as the kernel knows it; 0 until the worker has begun.
    threads: Box<[AtomicI32]>,
}

impl Observer {
    /// An observer of so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            meters: Arc::new(Meters::new(workers)),
            tap: Arc::new(Tap::default()),
            used: Used::new(workers),
            events: broadcast::channel(EVENTS_MAX).0,
            threads: (0..workers).map(|_| AtomicI32::new(0)).collect(),
        }
    }

    /// The recorder of one worker. Called once, on the thread of that worker, whose CPU time is observed from then on.
    pub fn recorder(&self, worker: usize) -> Recorder {
        if let Some(slot) = self.threads.get(worker) {
            slot.store(rustix::thread::gettid().as_raw_pid(), Ordering::Relaxed);
        }
        Recorder::new(self, worker)
    }

    /// Tells everybody who listens. Never waits.
    pub fn publish(&self, event: Event) {
        // An error only says that nobody listens.
        let _nobody = self.events.send(Arc::new(event)).is_err();
    }

    /// All events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// How many listen to the events.
    pub fn subscribers(&self) -> usize {
        self.events.receiver_count()
    }

    fn threads(&self) -> impl Iterator<Item = i32> {
        self.threads.iter().map(|slot| slot.load(Ordering::Relaxed))
    }
}
