// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines of one worker that are on their way to writers.
//!
//! They are formatted into one buffer per log, which is handed over when it is large, or a quarter of a second after the
//! first line went in: whoever drives the worker waits on [`Outbox::filled`] and then calls [`Outbox::flush`].

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::queue::{BATCH_BYTES, Batch, Queue};
use super::{Log, Severity};
use crate::clock;
use crate::observe::record::Finished;

/// How long a line may wait for others.
pub const WAIT: Duration = Duration::from_millis(250);

/// What a batch is allocated with: the last line may pass the limit at which it is handed over.
const BATCH_CAPACITY: usize = BATCH_BYTES + 4 * 1024;

#[derive(Debug)]
struct Lane {
    queue: Arc<Queue>,
    batch: Batch,
}

/// All lanes of a worker. Belongs to its thread.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: RefCell<Vec<Lane>>,
    holds: Cell<bool>,
    filled: Notify,
}

impl Outbox {
    /// Writes an exchange to the logs that want it.
    pub(crate) fn write(&self, logs: &[Arc<Log>], finished: &Finished<'_>, failure: bool) {
        let wall_ms = clock::wall_ms();
        for log in logs.iter().filter(|log| log.wants(finished, failure)) {
            let mut lanes = self.lanes.borrow_mut();
            let lane = lane_of(&mut lanes, &log.queue);
            let Some(Lane { queue, batch }) = lanes.get_mut(lane) else { continue };
            if batch.bytes.capacity() == 0 {
                batch.bytes.reserve_exact(BATCH_CAPACITY);
            }
            log.write(&mut batch.bytes, finished, wall_ms);
            let end = u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX);
            batch.ends.push((end, Severity::of(finished, failure)));
            if batch.bytes.len() >= BATCH_BYTES {
                queue.put(std::mem::take(batch));
            } else {
                self.touch();
            }
        }
    }

    /// Says that there is something to flush.
    pub(crate) fn touch(&self) {
        if !self.holds.replace(true) {
            self.filled.notify_one();
        }
    }

    /// Returns when something waits to be handed over.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Hands everything over.
    pub fn flush(&self) {
        self.holds.set(false);
        let mut lanes = self.lanes.borrow_mut();
        for lane in lanes.iter_mut().filter(|lane| !lane.batch.ends.is_empty()) {
            lane.queue.put(std::mem::take(&mut lane.batch));
        }
        lanes.retain(|lane| !lane.queue.is_closed());
    }
}

fn lane_of(lanes: &mut Vec<Lane>, queue: &Arc<Queue>) -> usize {
    lanes.iter().position(|lane| Arc::ptr_eq(&lane.queue, queue)).unwrap_or_else(|| {
        lanes.push(Lane { queue: Arc::clone(queue), batch: Batch::default() });
        lanes.len() - 1
    })
}
