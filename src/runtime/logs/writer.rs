// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thread of one log. A batch is written whole, or given up once its output says that no try can help or the log is
//! to end; in between it tries again with growing pauses.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::output::{Output, Unwritten};
use crate::observe::log::outbox;
use crate::observe::log::queue::{Batch, Order, Queue};

/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often a pause looks whether the log is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Tries of a batch that is to be given up when they fail. With the pauses between them, a quarter of a minute.
const TRIES_MAX: u32 = 8;

/// Runs until the log is closed and what it got by then is written.
pub(super) fn run(mut output: Output, queue: &Queue, orders: &Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        if queue.take_moved() {
            output.reopen();
        }
        if let Order::Lines(batch) = order {
            deliver(&mut output, queue, &batch);
        }
        if queue.is_closed() {
            break;
        }
    }
    // Workers still hold lines for as long as they collect them.
    loop {
        match orders.recv_timeout(outbox::WAIT * 2) {
            Ok(Order::Lines(batch)) => deliver(&mut output, queue, &batch),
            Ok(Order::Look) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn deliver(output: &mut Output, queue: &Queue, batch: &Batch) {
    let lines = batch.ends.len() as u64;
    let (mut done, mut pause) = (0, PAUSE.0);
    for tries in 1.. {
        let error = match output.write(batch, &mut done) {
            Ok(lost) => {
                queue.lost(lost);
                queue.wrote(lines.saturating_sub(lost));
                if queue.set_trouble(None) {
                    tracing::info!(log = %queue.name, "the log is written again");
                }
                return;
            }
            Err(error) => error,
        };
        let (Unwritten::Later(why) | Unwritten::Never(why)) = &error;
        if queue.set_trouble(Some(why.clone())) {
            tracing::warn!(log = %queue.name, "the log cannot be written: {why}");
        }
        let is_over = matches!(error, Unwritten::Never(_)) || tries >= TRIES_MAX;
        if is_over || queue.is_closed() {
            return queue.lost(lines);
        }
        rest(queue, pause);
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn rest(queue: &Queue, pause: Duration) {
    let mut left = pause;
    while !left.is_zero() && !queue.is_closed() {
        let step = left.min(LOOK);
        std::thread::sleep(step);
        left -= step;
    }
}
