// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams: those of one client address are a session, and a session stays on one endpoint.
//!
//! Each worker has its own socket of a listener, and the kernel gives all datagrams of a client to the same one, so no
//! session is shared. A session has a socket of its own to its endpoint, connected, so that the kernel tells of an
//! endpoint that refuses. Datagrams are taken many to a system call and answered many to a system call. What must stay
//! true: sessions are bounded by the listener, a datagram that cannot be passed on at once is dropped and never queued,
//! and a reply leaves from the address that the client sent to.

mod flow;

mod outbox;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use self::flow::Flow;
use self::outbox::Outbox;
use super::connection::Slot;
use super::passage::Passage;
use super::worker::Worker;
use crate::clock;
use crate::exchange::Presence;
use crate::fault::Fault;

/// The largest datagram, and what the kernel joins to one piece at most.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// A shutdown waits for sessions in which something passed that lately.
const DRAIN_QUIET: Duration = Duration::from_secs(1);

/// A socket that wakes its task when there is something to read, and only then: the kernel would tell of every datagram
/// that has left, too, and nobody waits for that.
type Watched = AsyncFd<UdpSocket>;

#[expect(
    deprecated,
    reason = "the safe constructor; what makes it unsound, a descriptor that closes, std's socket is not"
)]
fn watch(socket: UdpSocket) -> io::Result<Watched> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Who sent to which of our addresses; the address is known only where the socket has several.
type Key = (SocketAddr, Option<IpAddr>);

/// One listening socket of one worker, and its sessions.
#[derive(Debug)]
pub(super) struct Gate {
    worker: Rc<Worker>,
    name: Arc<str>,
    socket: Watched,
    state: UdpSocketState,
    /// The socket has every address of the machine, so that replies must say which one they are from.
    is_wild: bool,
    flows: RefCell<HashMap<Key, Rc<Flow>>>,
    outbox: RefCell<Outbox>,
    /// There is something in the outbox.
    filled: Notify,
    /// What one read of a reply takes.
    reply: RefCell<Box<[u8]>>,
    is_draining: Cell<bool>,
}

/// Serves a listening socket until `stop` is notified. It spawns and returns at once.
pub fn serve(worker: &Rc<Worker>, name: &Arc<str>, socket: UdpSocket, stop: Rc<Notify>) -> io::Result<()> {
    let is_wild = socket.local_addr()?.ip().is_unspecified();
    let state = prepare(&socket)?;
    let gate = Rc::new(Gate {
        worker: Rc::clone(worker),
        name: Arc::clone(name),
        socket: watch(socket)?,
        state,
        is_wild,
        flows: RefCell::new(HashMap::new()),
        outbox: RefCell::default(),
        filled: Notify::new(),
        reply: RefCell::new(vec![0; DATAGRAM_BYTES_MAX].into_boxed_slice()),
        is_draining: Cell::new(false),
    });
    let answering = Rc::clone(&gate);
    let answers = tokio::task::spawn_local(async move { answering.flush_for_ever().await }).abort_handle();
    tokio::task::spawn_local(async move {
        gate.listen(&stop).await;
        gate.close().await;
        answers.abort();
    });
    Ok(())
}

/// Asks the kernel for many datagrams at a time. What the library sets besides is taken back: it forbids fragments,
/// which a protocol that we do not know may need.
fn prepare(socket: &UdpSocket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(socket.into())?;
    if socket.local_addr()?.is_ipv4() {
        rustix::net::sockopt::set_ip_mtu_discover(socket, rustix::net::sockopt::Ipv4PathMtuDiscovery::WANT)?;
    }
    Ok(state)
}

impl Gate {
    /// Takes datagrams until `stop` is notified.
    async fn listen(self: &Rc<Self>, stop: &Notify) {
        let mut stopped = std::pin::pin!(stop.notified());
        let mut room = vec![0; BATCH_SIZE * DATAGRAM_BYTES_MAX];
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        loop {
            let ready = std::future::poll_fn(|cx| match stopped.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => self.socket.poll_read_ready(cx).map_ok(drop).map(Some),
            });
            match ready.await {
                None => return,
                Some(Err(error)) => return tracing::error!(listener = %self.name, %error, "a UDP socket is broken"),
                Some(Ok(())) => {}
            }
            let count = match self.receive(&mut room, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    tracing::debug!(listener = %self.name, %error, "receiving a datagram failed");
                    continue;
                }
            };
            for (meta, bytes) in metas.iter().take(count).zip(room.chunks(DATAGRAM_BYTES_MAX)) {
                self.take(meta, bytes.get(..meta.len).unwrap_or_default());
            }
            if count == BATCH_SIZE {
                // There may be more, and others want to work, too.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes what is there, many at once. When there was room for more the socket is empty, so its readiness is cleared
    /// without another call that finds nothing.
    fn receive(&self, room: &mut [u8], metas: &mut [RecvMeta; BATCH_SIZE]) -> io::Result<usize> {
        let mut slices: SmallVec<[IoSliceMut<'_>; BATCH_SIZE]> =
            room.chunks_mut(DATAGRAM_BYTES_MAX).map(IoSliceMut::new).collect();
        once(&self.socket, BATCH_SIZE, |socket| self.state.recv(socket.into(), &mut slices, metas))
    }

    /// Passes on what one client sent: one datagram, or several that the kernel joined.
    fn take(self: &Rc<Self>, meta: &RecvMeta, bytes: &[u8]) {
        let key = (meta.addr, meta.dst_ip.filter(|_| self.is_wild));
        let size = meta.stride.clamp(1, DATAGRAM_BYTES_MAX);
        let known = self.flows.borrow().get(&key).cloned();
        let flow = match known {
            Some(flow) if flow.is_fit() => flow,
            Some(_) | None => match self.begin(key) {
                Some(flow) => flow,
                None => return,
            },
        };
        self.pass(flow, bytes, size);
    }

    /// Passes datagrams on; to another endpoint, if this one refuses and the retry rules allow it.
    fn pass(self: &Rc<Self>, mut flow: Rc<Flow>, bytes: &[u8], size: usize) {
        while let Err(error) = flow.send(bytes, size, self.patience(&flow)) {
            match self.fail_over(&flow, &error) {
                Some(other) => flow = other,
                None => return,
            }
        }
    }

    /// A new session for that client, unless there is no room or nobody to serve it.
    fn begin(self: &Rc<Self>, key: Key) -> Option<Rc<Flow>> {
        let snapshot = self.worker.snapshot();
        let listener = snapshot.listeners.get(&self.name).cloned()?;
        let presence = Presence::new(key.0, Arc::clone(&listener.name), "udp", clock::wall_ms());
        let Some(slot) = Slot::take(&listener) else {
            let mut passage = Passage::new(Rc::clone(&self.worker), Arc::clone(&listener), Rc::new(presence));
            passage.fault = Some(Fault::Connections { limit: listener.connections });
            return None;
        };
        let open = self.worker.census.enter(presence);
        let mut passage = Passage::new(Rc::clone(&self.worker), Arc::clone(&listener), Rc::clone(&open.presence));
        passage.because = "as the listener leads there";
        let upstream = listener.lead.upstream.and_then(|at| snapshot.upstreams.get(at as usize)).cloned();
        let Some(upstream) = upstream else {
            passage.fault = Some(Fault::Internal("a listener that leads nowhere"));
            return None;
        };
        self.open(key, passage, flow::Held { slot, open }, &upstream)
    }

    /// Gives a session an endpoint and a task.
    fn open(
        self: &Rc<Self>,
        key: Key,
        mut passage: Passage,
        held: flow::Held,
        upstream: &Arc<crate::config::snapshot::Upstream>,
    ) -> Option<Rc<Flow>> {
        let (upstream, memory) = passage.lead_to(Arc::clone(upstream));
        loop {
            let endpoint = match passage.pick(&upstream, &memory) {
                Ok(endpoint) => endpoint,
                Err(fault) => {
                    passage.fault = Some(fault);
                    return None;
                }
            };
            match flow::connect(endpoint.address) {
                Ok(socket) => {
                    let flow = Flow::new(key, socket, passage, held, upstream, endpoint);
                    self.flows.borrow_mut().insert(key, Rc::clone(&flow));
                    flow::spawn(self, &flow);
                    return Some(flow);
                }
                Err(error) => {
                    let fault = flow::refused(&endpoint, &error);
                    if let Err(fault) = passage.missed(&upstream, &memory, &endpoint, fault) {
                        passage.fault = Some(fault);
                        return None;
                    }
                }
            }
        }
    }

    /// Another endpoint for a session whose endpoint refuses, or the end of it.
    #[cold]
    fn fail_over(self: &Rc<Self>, flow: &Rc<Flow>, error: &io::Error) -> Option<Rc<Flow>> {
        self.forget(flow);
        let (mut passage, held) = flow.end()?;
        let memory = self.worker.memory_of(&flow.upstream);
        let fault = flow::refused(&flow.endpoint, error);
        match passage.missed(&flow.upstream, &memory, &flow.endpoint, fault) {
            Ok(()) => self.open(flow.key, passage, held, &flow.upstream),
            Err(fault) => {
                passage.fault = Some(fault);
                None
            }
        }
    }

    /// How long a session may be silent from now on.
    fn patience(&self, flow: &Flow) -> Duration {
        if self.is_draining.get() { DRAIN_QUIET.min(flow.session) } else { flow.session }
    }

    fn forget(&self, flow: &Rc<Flow>) {
        let mut flows = self.flows.borrow_mut();
        if flows.get(&flow.key).is_some_and(|known| Rc::ptr_eq(known, flow)) {
            flows.remove(&flow.key);
        }
    }

    /// No new sessions. At a shutdown those that are in use may finish; with their listener they end at once.
    async fn close(self: &Rc<Self>) {
        if !self.worker.is_draining() {
            let flows = std::mem::take(&mut *self.flows.borrow_mut());
            flows.values().for_each(|flow| flow.kill());
            return;
        }
        self.is_draining.set(true);
        let flows: Vec<_> = self.flows.borrow().values().cloned().collect();
        flows.iter().for_each(|flow| flow.deadline.reset(self.patience(flow)));
        drop(flows);
        let gone = self.worker.deadlines.unarmed();
        while !self.flows.borrow().is_empty() {
            gone.reset(clock::TICK);
            gone.expired().await;
        }
    }

    /// Keeps a reply for the next flush.
    fn answer(&self, key: Key, bytes: &[u8]) {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            self.filled.notify_one();
        }
        outbox.push(key, bytes);
        if outbox.is_full() {
            outbox.flush(self.socket.get_ref(), &self.state, self.is_wild);
        }
    }

    /// Sends what tasks have answered since the last time: they all run before this one runs again.
    async fn flush_for_ever(&self) {
        loop {
            self.filled.notified().await;
            self.outbox.borrow_mut().flush(self.socket.get_ref(), &self.state, self.is_wild);
        }
    }
}

/// One non-blocking call that takes up to `most`. When it took less, nothing is left, and readiness is cleared with it:
/// the runtime polls the system on this very thread, so whatever comes later wakes us anew.
fn once(socket: &Watched, most: usize, take: impl FnOnce(&UdpSocket) -> io::Result<usize>) -> io::Result<usize> {
    let mut taken = None;
    let result = socket.try_io(Interest::READABLE, |socket| {
        let count = take(socket)?;
        taken = Some(count);
        if count < most { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    });
    taken.map_or(result, Ok)
}
