// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writers of logs: one thread for each, which takes batches of lines from its queue and puts them where they are to
//! go. A writer may wait as long as it likes; what piles up before it is bounded, and workers know nothing of it.
//!
//! `output` is where lines go, by kind; `otlp` speaks to a collector; `writer` is the thread.

mod datagram;

mod file;

mod otlp;

mod output;

mod tcp;

mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use weirgate_store::model::{LogSink, Model};
use weirgate_store::wire::{LogStatus, Problem, ProblemCode};

use self::output::Output;
use crate::observe::log::queue::{Order, Queue};

/// A log and its writer.
#[derive(Debug)]
struct Running {
    to: LogSink,
    queue: Arc<Queue>,
    /// Until its writer starts.
    waiting: Option<Receiver<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// The queues that a model needs: those that run already, and those whose writers start when the model runs.
#[derive(Debug, Default)]
pub struct Prepared {
    queues: HashMap<Arc<str>, Arc<Queue>>,
    new: HashMap<Arc<str>, Running>,
}

impl Prepared {
    /// The queue of the log of that name.
    pub fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.get(name).cloned()
    }
}

/// All writers.
#[derive(Debug, Default)]
pub struct Writers {
    running: Mutex<HashMap<Arc<str>, Running>>,
}

impl Writers {
    /// Does what can fail about the logs of a model, and touches nothing.
    ///
    /// # Errors
    /// Files that could not be written.
    pub fn prepare(&self, model: &Model) -> Result<Prepared, Vec<Problem>> {
        let running = self.running();
        let (mut prepared, mut problems) = (Prepared::default(), Vec::new());
        for (name, log) in &model.logs {
            let name: Arc<str> = name.as_str().into();
            if let Some(same) = running.get(&name).filter(|running| running.to == log.to) {
                prepared.queues.insert(name, Arc::clone(&same.queue));
                continue;
            }
            if let LogSink::File(file) = &log.to
                && let Err(error) = file::check(&file.path)
            {
                problems.push(unwritable(&name, &file.path, &error));
            }
            let (queue, waiting) = Queue::new(&name);
            prepared.queues.insert(Arc::clone(&name), Arc::clone(&queue));
            prepared.new.insert(name, Running { to: log.to.clone(), queue, waiting: Some(waiting), thread: None });
        }
        if problems.is_empty() { Ok(prepared) } else { Err(problems) }
    }

    /// Starts the writers of a model, and ends those that it no longer has once they have written what they got.
    pub fn adopt(&self, prepared: Prepared) {
        let mut running = self.running();
        let Prepared { queues, new } = prepared;
        let is_kept =
            |name: &Arc<str>, log: &mut Running| queues.get(name).is_some_and(|queue| Arc::ptr_eq(queue, &log.queue));
        running.retain(|name, log| {
            let keep = is_kept(name, log);
            if !keep {
                log.queue.close();
            }
            keep
        });
        for (name, mut log) in new {
            start(&mut log);
            running.insert(name, log);
        }
    }

    /// Opens files again that were moved.
    pub fn reopen(&self) {
        self.running().values().for_each(|log| log.queue.reopen());
    }

    /// Ends all writers and waits until each has written what it got, or has given up. Blocks.
    pub fn close(&self) {
        let all: Vec<Running> = self.running().drain().map(|(_, log)| log).collect();
        all.iter().for_each(|log| log.queue.close());
        for thread in all.into_iter().filter_map(|log| log.thread) {
            if thread.join().is_err() {
                tracing::error!("the writer of a log ended by a panic");
            }
        }
    }

    /// How each is doing, by name.
    pub fn statuses(&self) -> Vec<LogStatus> {
        let running = self.running();
        let status = |(name, log): (&Arc<str>, &Running)| LogStatus {
            name: name.to_string(),
            to: log.to.kind().to_owned(),
            written: log.queue.written(),
            dropped: log.queue.dropped(),
            trouble: log.queue.trouble(),
        };
        let mut all: Vec<LogStatus> = running.iter().map(status).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(log: &mut Running) {
    let Some(orders) = log.waiting.take() else { return };
    let (queue, output) = (Arc::clone(&log.queue), Output::new(&log.queue.name, &log.to));
    let thread = std::thread::Builder::new().name(format!("log-{}", queue.name));
    match thread.spawn(move || writer::run(output, &queue, &orders)) {
        Ok(thread) => log.thread = Some(thread),
        Err(error) => {
            log.queue.set_trouble(Some(format!("no thread for its writer: {error}")));
        }
    }
}

fn unwritable(name: &str, path: &str, error: &std::io::Error) -> Problem {
    Problem {
        code: ProblemCode::Environment,
        path: format!("logs.{name}.to.file.path"),
        message: format!("{path} cannot be written: {error}"),
        help: Some("make its directory, and let the user that runs weirgate write there".to_owned()),
        line: None,
        column: None,
    }
}
