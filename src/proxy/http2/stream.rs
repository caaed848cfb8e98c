// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task of one HTTP/2 stream, with an end to the patience for a client that takes nothing.
//!
//! hyper waits for ever for the client to open its window, and does not say so. But a task is polled alone on its
//! thread: if our reply body handed out a frame during a poll and the task still waits, it waits for the client; if the
//! body itself waits, it waits for the endpoint, which has a deadline of its own. [`Progress`] tells the two apart.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;

use crate::clock::Deadline;
use crate::proxy::worker::Worker;

/// What the reply bodies of one connection did last.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Counts frames handed out.
    frames: Cell<u64>,
    /// Counts polls that found no frame.
    waits: Cell<u64>,
}

thread_local! {
    /// One per worker thread: tasks are polled one at a time, and only differences within one poll matter.
    static PROGRESS: Progress = const { Progress { frames: Cell::new(0), waits: Cell::new(0) } };
}

/// A reply body handed out a frame.
pub(super) fn note_frame() {
    PROGRESS.with(|progress| progress.frames.set(progress.frames.get().wrapping_add(1)));
}

/// A reply body had no frame to hand out.
pub(super) fn note_wait() {
    PROGRESS.with(|progress| progress.waits.set(progress.waits.get().wrapping_add(1)));
}

fn counted() -> (u64, u64) {
    PROGRESS.with(|progress| (progress.frames.get(), progress.waits.get()))
}

/// Spawns the tasks of one connection's streams on its worker.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    worker: Rc<Worker>,
    patience: Duration,
}

impl Streams {
    pub(super) fn new(worker: Rc<Worker>, patience: Duration) -> Self {
        Self { worker, patience }
    }
}

impl<F: Future + 'static> Executor<F> for Streams {
    fn execute(&self, future: F) {
        let deadline = self.worker.deadlines.unarmed();
        tokio::task::spawn_local(StreamTask { future: Box::pin(future), deadline, patience: self.patience });
    }
}

struct StreamTask<F> {
    future: Pin<Box<F>>,
    deadline: Deadline,
    patience: Duration,
}

impl<F: Future> Future for StreamTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (frames, waits) = counted();
        if self.future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let now = counted();
        if now.1 != waits {
            self.deadline.disarm();
        } else if now.0 != frames {
            self.deadline.reset(self.patience);
        }
        // Dropping the task resets the stream, which is all that is left to say to such a client.
        self.deadline.poll_expired(cx)
    }
}
