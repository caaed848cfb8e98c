// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker threads: one tokio `LocalRuntime` each, told what to do by a queue of commands.

use std::collections::HashMap;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};

use crate::listener::accept::accept;
use crate::proxy::worker::{Shared, Worker};
use crate::proxy::{connection, warm};

/// Commands that wait for one worker. It is emptied between two polls, so this is never reached in practice.
const COMMANDS_MAX: usize = 256;

/// How often a draining worker looks whether its last connection is gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Accept on these sockets for the listener of that name.
    Listen { name: Arc<str>, sockets: Vec<TcpListener> },
    /// Close the sockets of that listener; its connections live on.
    Unlisten { name: Arc<str> },
    /// Accept no more, finish what is under way, and end after at most this time.
    Drain { limit: Duration },
}

/// All workers.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` workers over the same shared state.
    pub fn start(count: usize, shared: &Arc<Shared>) -> std::io::Result<Self> {
        let start = |index: usize| {
            let (commands, queue) = mpsc::channel(COMMANDS_MAX);
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            let thread = thread.spawn(move || run(index, shared, queue))?;
            Ok(Handle { commands, thread })
        };
        Ok(Self { handles: (0..count).map(start).collect::<std::io::Result<_>>()? })
    }

    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Gives each worker its share of the sockets of a listener.
    pub async fn listen(&self, name: &Arc<str>, sockets: Vec<TcpListener>) {
        let mut shares: Vec<Vec<TcpListener>> = self.handles.iter().map(|_| Vec::new()).collect();
        let count = shares.len().max(1);
        for (at, socket) in sockets.into_iter().enumerate() {
            if let Some(share) = shares.get_mut(at % count) {
                share.push(socket);
            }
        }
        for (handle, sockets) in self.handles.iter().zip(shares) {
            handle.tell(Command::Listen { name: Arc::clone(name), sockets }).await;
        }
    }

    /// Stops accepting for a listener.
    pub async fn unlisten(&self, name: &Arc<str>) {
        for handle in &self.handles {
            handle.tell(Command::Unlisten { name: Arc::clone(name) }).await;
        }
    }

    /// Lets all workers finish what is under way, for at most `limit`, and waits for their end.
    pub async fn drain(self, limit: Duration) {
        for handle in &self.handles {
            handle.tell(Command::Drain { limit }).await;
        }
        let joined = tokio::task::spawn_blocking(move || {
            for handle in self.handles {
                if handle.thread.join().is_err() {
                    tracing::error!("a worker ended by a panic");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the wait for the workers was cut short");
        }
    }
}

impl Handle {
    async fn tell(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::error!("a worker is gone");
        }
    }
}

fn run(index: usize, shared: Arc<Shared>, queue: mpsc::Receiver<Command>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(live(index, shared, queue)),
        Err(error) => tracing::error!(worker = index, %error, "a worker could not start"),
    }
}

async fn live(index: usize, shared: Arc<Shared>, mut queue: mpsc::Receiver<Command>) {
    let worker = Rc::new(Worker::new(index, shared, fastrand::u64(..)));
    tokio::task::spawn_local(worker.deadlines.clone().drive());
    tokio::task::spawn_local(Rc::clone(&worker).prune_pools());
    tokio::task::spawn_local(warm::keep(Rc::clone(&worker)));
    let mut listeners: HashMap<Arc<str>, Rc<Notify>> = HashMap::new();
    while let Some(command) = queue.recv().await {
        match command {
            Command::Listen { name, sockets } => {
                let stop = listeners.entry(Arc::clone(&name)).or_default();
                sockets.into_iter().for_each(|socket| listen(&worker, &name, socket, stop));
            }
            Command::Unlisten { name } => {
                if let Some(stop) = listeners.remove(&name) {
                    stop.notify_waiters();
                }
            }
            Command::Drain { limit } => {
                listeners.values().for_each(|stop| stop.notify_waiters());
                return drain(&worker, limit).await;
            }
        }
    }
}

fn listen(worker: &Rc<Worker>, name: &Arc<str>, socket: TcpListener, stop: &Rc<Notify>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(listener = %name, %error, "a socket cannot be used"),
    };
    let (worker, name) = (Rc::clone(worker), Arc::clone(name));
    let on_connection = move |stream, peer| connection::serve(&worker, &name, stream, peer);
    tokio::task::spawn_local(accept(socket, Rc::clone(stop), on_connection));
}

/// Ends idle connections at once and waits for the others. The runtime drops what is left after `limit`.
async fn drain(worker: &Rc<Worker>, limit: Duration) {
    worker.drain();
    let deadline = worker.deadlines.guard(limit);
    while worker.connections() > 0 && !deadline.is_expired() {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    if worker.connections() > 0 {
        tracing::warn!(worker = worker.index, left = worker.connections(), "the drain limit cuts connections");
    }
}
