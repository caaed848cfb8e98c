// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way from workers to the writer of one log: bounded, and nobody waits on it but the writer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::Severity;

/// Batches that wait for one writer, over all workers. With [`BATCH_BYTES`] each, 8 MiB.
pub const BATCHES_MAX: usize = 256;

/// From this size on a batch is handed over without waiting for more.
pub const BATCH_BYTES: usize = 32 * 1024;

/// Lines in one allocation, and where each ends.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub ends: Vec<(u32, Severity)>,
}

impl Batch {
    /// Each line with its severity, without the line feed.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], Severity)> {
        let mut start = 0;
        self.ends.iter().filter_map(move |(end, severity)| {
            let line = self.bytes.get(start..*end as usize)?;
            start = *end as usize;
            Some((line.strip_suffix(b"\n").unwrap_or(line), *severity))
        })
    }
}

/// What a writer is told.
#[derive(Debug)]
pub enum Order {
    Lines(Batch),
    /// Look whether the file was moved or the log is closed.
    Look,
}

/// The side of a queue that workers and the control side see.
#[derive(Debug)]
pub struct Queue {
    pub name: Arc<str>,
    orders: SyncSender<Order>,
    closed: AtomicBool,
    /// Whether the file was moved and its writer has not heard of it.
    moved: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
    /// Why nothing can be written now, as a sentence.
    trouble: Mutex<Option<String>>,
}

impl Queue {
    /// A queue, and the end that its writer reads.
    pub fn new(name: &str) -> (Arc<Self>, Receiver<Order>) {
        let (orders, receiver) = sync_channel(BATCHES_MAX);
        let queue = Self {
            name: name.into(),
            orders,
            closed: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            trouble: Mutex::new(None),
        };
        (Arc::new(queue), receiver)
    }

    /// Hands lines over; those that do not fit are dropped and counted.
    pub fn put(&self, batch: Batch) {
        let lines = batch.ends.len() as u64;
        match self.orders.try_send(Order::Lines(batch)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.lost(lines),
        }
    }

    /// Tells the writer to open its file again: it was moved.
    pub fn reopen(&self) {
        self.moved.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Tells the writer to write what is there and end.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// A writer that has orders waiting looks by itself.
    fn wake(&self) {
        let _full = self.orders.try_send(Order::Look).is_err();
    }

    /// Whether the file was moved since this was asked last.
    pub fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Whether its log is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// So many lines are where they were to go.
    pub fn wrote(&self, lines: u64) {
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// So many lines will never be.
    pub fn lost(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were written, of all time.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lines that were dropped, of all time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What keeps the writer from writing.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what keeps the writer from writing; whether that is news.
    pub fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut now = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = now.is_some() != trouble.is_some();
        *now = trouble;
        is_news
    }
}
