// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker threads: one tokio `LocalRuntime` each, told what to do by a queue of commands.

use std::collections::HashMap;
use std::net::{TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot};
use weirgate_store::wire::ConnectionInfo;

use crate::listener::accept::accept;
use crate::listener::socket::Sockets;
use crate::observe::log::outbox;
use crate::proxy::census::{Census, Wanted};
use crate::proxy::worker::{Shared, Worker};
use crate::proxy::{connection, udp, warm};

/// Commands that wait for one worker. It is emptied between two polls, so this is never reached in practice.
const COMMANDS_MAX: usize = 256;

/// How often a draining worker looks whether its last connection is gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Accept on these sockets for the listener of that name.
    Listen { name: Arc<str>, sockets: Sockets },
    /// Close the sockets of that listener; its connections live on.
    Unlisten { name: Arc<str> },
    /// List connections.
    Connections { wanted: Wanted, reply: oneshot::Sender<Vec<ConnectionInfo>> },
    /// End the connection with this number, and say whether there was one.
    Kill { id: u64, reply: oneshot::Sender<bool> },
    /// End what is in flight to the endpoint with this [`Live::id`](crate::upstream::endpoint::Live::id).
    Cut { endpoint: u64 },
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
    pub async fn listen(&self, name: &Arc<str>, sockets: Sockets) {
        for (handle, sockets) in self.handles.iter().zip(sockets.divide(self.handles.len())) {
            handle.tell(Command::Listen { name: Arc::clone(name), sockets }).await;
        }
    }

    /// Stops accepting for a listener.
    pub async fn unlisten(&self, name: &Arc<str>) {
        for handle in &self.handles {
            handle.tell(Command::Unlisten { name: Arc::clone(name) }).await;
        }
    }

    /// Client connections of all workers, the newest first.
    pub async fn connections(&self, wanted: &Wanted) -> Vec<ConnectionInfo> {
        let mut all = Vec::new();
        for handle in &self.handles {
            let (reply, answer) = oneshot::channel();
            handle.tell(Command::Connections { wanted: wanted.clone(), reply }).await;
            all.extend(answer.await.unwrap_or_default());
        }
        all.sort_by_key(|info: &ConnectionInfo| std::cmp::Reverse((info.since_ms, info.id)));
        all.truncate(wanted.limit);
        all
    }

    /// Ends a client connection; whether there was one with that number.
    pub async fn kill(&self, id: u64) -> bool {
        let Some(handle) = self.handles.get(Census::worker_of(id)) else { return false };
        let (reply, answer) = oneshot::channel();
        handle.tell(Command::Kill { id, reply }).await;
        answer.await.unwrap_or(false)
    }

    /// Ends what is in flight to an endpoint.
    pub async fn cut(&self, endpoint: u64) {
        for handle in &self.handles {
            handle.tell(Command::Cut { endpoint }).await;
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
    tokio::task::spawn_local(hand_over(Rc::clone(&worker)));
    let mut listeners: HashMap<Arc<str>, Rc<Notify>> = HashMap::new();
    while let Some(command) = queue.recv().await {
        match command {
            Command::Listen { name, sockets } => {
                let stop = listeners.entry(Arc::clone(&name)).or_default();
                match sockets {
                    Sockets::Stream(all) => all.into_iter().for_each(|socket| listen(&worker, &name, socket, stop)),
                    Sockets::Datagram(all) => all.into_iter().for_each(|socket| receive(&worker, &name, socket, stop)),
                }
            }
            Command::Unlisten { name } => {
                if let Some(stop) = listeners.remove(&name) {
                    stop.notify_waiters();
                }
            }
            // Whoever asked may have stopped waiting.
            Command::Connections { wanted, reply } => drop(reply.send(worker.census.list(&wanted))),
            Command::Kill { id, reply } => drop(reply.send(worker.census.kill(id))),
            Command::Cut { endpoint } => worker.cut(endpoint),
            Command::Drain { limit } => {
                listeners.values().for_each(|stop| stop.notify_waiters());
                return drain(&worker, limit).await;
            }
        }
    }
}

/// Hands over what the worker recorded, a moment after it began to collect, for ever.
async fn hand_over(worker: Rc<Worker>) {
    loop {
        worker.recorder.filled().await;
        tokio::time::sleep(outbox::WAIT).await;
        worker.recorder.flush();
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

fn receive(worker: &Rc<Worker>, name: &Arc<str>, socket: UdpSocket, stop: &Rc<Notify>) {
    if let Err(error) = udp::serve(worker, name, socket, Rc::clone(stop)) {
        tracing::error!(listener = %name, %error, "a socket cannot be used");
    }
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
