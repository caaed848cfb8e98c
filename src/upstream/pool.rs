// SPDX-License-Identifier: MIT OR Apache-2.0
//! The idle connections of one worker to one endpoint, last used first.
//!
//! It owns which idle connection may still be used and for which request; opening one is `connect`, speaking on one is
//! `connection`. An idle connection holds a socket and a deadline but no buffer. Every connection is counted from the
//! first SYN to the close, whoever holds it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::connect::{self, ConnectError};
use super::connection::Connection;
use super::http2::Multiplexed;
use super::limits::OpenConnection;
use super::stream::{Liveness, Look, Stream};
use super::transport::{Speech, Transport};
use crate::clock::{Deadline, Deadlines};
use crate::fault::Fault;

/// Default bound of idle connections to one endpoint in one worker.
pub const IDLE_PER_ENDPOINT_MAX: usize = 64;

/// Default age at which an idle connection is closed.
pub const IDLE_AGE_MAX: Duration = Duration::from_secs(60);

/// How young an idle connection must be for a request that must not run twice, while nothing is known of the
/// endpoint's own limit. The shortest default in the wild is 5 s (Node, uvicorn), and a quarter of that leaves no race.
const YOUNG_WHILE_UNKNOWN: Duration = Duration::from_secs(1);

/// Nothing is learnt from a close below this age: an endpoint that restarts closes young connections, too.
const LEARNED_MIN: Duration = Duration::from_secs(1);

/// What was learnt from a close counts for so long, so that one odd close does not shape the pool for ever.
const LEARNED_FOR: Duration = Duration::from_secs(300);

/// Read buffers that a worker keeps for the next connection that reads.
const SPARE_BUFFERS_MAX: usize = 32;

/// What a request asks of a connection that was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Any that seems alive: if it is not, the request may be sent again.
    Any,
    /// Only one so young, and looked at just now, that it cannot be about to die: the request must not run twice.
    Young,
}

/// Whether a connection that exists will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Any,
    /// One that is opened from now on: those that exist are not believed any more.
    Fresh,
}

/// The client that a connection was named after, and the address it had connected to. Such a connection serves nobody
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// How a pool is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    pub idle_max: usize,
    pub idle_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { idle_max: IDLE_PER_ENDPOINT_MAX, idle_age: IDLE_AGE_MAX }
    }
}

/// Read buffers of one worker that are between two connections. With them, a request on a kept connection allocates
/// nothing for reading although an idle connection holds no buffer.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    spare: Rc<RefCell<Vec<BytesMut>>>,
}

impl Buffers {
    /// An empty buffer with room for `bytes`.
    pub(super) fn take(&self, bytes: usize) -> BytesMut {
        if let Some(mut buf) = self.spare.borrow_mut().pop() {
            // Fails if a client is still being sent the last data read into it; then that data keeps it alive.
            if buf.try_reclaim(bytes) {
                return buf;
            }
        }
        BytesMut::with_capacity(bytes)
    }

    pub(super) fn give(&self, buf: BytesMut) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BUFFERS_MAX {
            spare.push(buf);
        }
    }
}

/// The connections of one worker to one endpoint.
#[derive(Debug)]
pub struct Pool {
    endpoint: Arc<str>,
    address: SocketAddr,
    transport: Arc<Transport>,
    deadlines: Deadlines,
    buffers: Buffers,
    idle: RefCell<Vec<Idle>>,
    multiplexed: Multiplexed,
    open: Rc<Cell<usize>>,
    /// Connections that are being opened ahead of need.
    warming: Cell<usize>,
    /// What the deadlines of its connections are cut by.
    group: Cell<u64>,
    /// Connections of an earlier generation are not taken back.
    generation: Cell<u32>,
    /// The idle limit that the endpoint stated in its `Keep-Alive` field.
    stated: Cell<Option<Duration>>,
    /// The idle limit seen in its closes, and until when that counts.
    observed: Cell<Option<(Duration, Instant)>>,
}

#[derive(Debug)]
struct Idle {
    socket: Box<Socket>,
    parked_at: Instant,
}

/// A socket with what it keeps for life.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: Stream,
    pub(super) deadline: Deadline,
    pub(super) open: Open,
    pub(super) named: Option<Named>,
}

/// Counts one connection while it exists.
#[derive(Debug)]
pub struct Open {
    count: Rc<Cell<usize>>,
    /// Its place among the connections of all workers.
    pub(super) everywhere: Option<OpenConnection>,
}

impl Open {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self { count: Rc::clone(count), everywhere: None }
    }

    /// Whether it has to be closed instead of kept unused, because another worker has requests and no connection.
    fn is_wanted(&self) -> bool {
        self.everywhere.as_ref().is_some_and(OpenConnection::is_wanted)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
    }
}

impl Pool {
    /// An empty pool. `endpoint` is the name that faults carry; `deadlines` and `buffers` are those of the worker.
    pub fn new(
        endpoint: Arc<str>,
        address: SocketAddr,
        transport: Arc<Transport>,
        deadlines: Deadlines,
        buffers: Buffers,
    ) -> Rc<Self> {
        Rc::new(Self {
            endpoint,
            address,
            transport,
            deadlines,
            buffers,
            idle: RefCell::default(),
            multiplexed: Multiplexed::default(),
            open: Rc::default(),
            warming: Cell::new(0),
            group: Cell::new(0),
            generation: Cell::new(0),
            stated: Cell::new(None),
            observed: Cell::new(None),
        })
    }

    /// The name of the endpoint.
    pub fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    /// The buffers of the worker.
    pub(super) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// How it speaks to the endpoint.
    pub fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    pub(super) fn group(&self) -> u64 {
        self.group.get()
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// The connections that many requests share.
    pub(super) fn multiplexed(&self) -> &Multiplexed {
        &self.multiplexed
    }

    /// Counts a connection from its first packet on.
    pub(super) fn count_open(&self) -> Open {
        Open::new(&self.open)
    }

    /// Connections that exist now: in use, idle, or being opened.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Connections that are idle now.
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Connections that are opened from now on end when this group of deadlines is cut.
    pub fn join(&self, group: u64) {
        self.group.set(group);
    }

    /// Opens a connection.
    pub async fn connect(self: &Rc<Self>, timeout: Duration) -> Result<Connection, Fault> {
        self.connect_as(None, timeout).await
    }

    /// Opens a connection that names this client.
    pub async fn connect_as(self: &Rc<Self>, named: Option<Named>, timeout: Duration) -> Result<Connection, Fault> {
        let generation = self.generation.get();
        let socket = self.open_socket(named, timeout).await?;
        Ok(Connection::new(socket, Rc::clone(self), generation))
    }

    async fn open_socket(&self, named: Option<Named>, timeout: Duration) -> Result<Box<Socket>, Fault> {
        let open = Open::new(&self.open);
        let deadline = self.deadlines.guard(timeout);
        deadline.join(self.group.get());
        let opened = connect::open(self.address, &self.transport, named, &deadline).await;
        let stream = opened.map_err(|error| self.unconnected(error, timeout))?;
        deadline.disarm();
        Ok(Box::new(Socket { stream, deadline, open, named }))
    }

    /// The youngest idle connection that is fit for such a request.
    pub fn checkout(self: &Rc<Self>, now: Instant, reuse: Reuse) -> Option<Connection> {
        let limit = self.age_limit(now);
        let young = self.known_limit(now).map_or(YOUNG_WHILE_UNKNOWN, |known| known / 4);
        loop {
            let Idle { mut socket, parked_at } = self.idle.borrow_mut().pop()?;
            let age = now.saturating_duration_since(parked_at);
            if age >= limit {
                // The list is ordered by age: whatever lies below is older still.
                self.idle.borrow_mut().clear();
                return None;
            }
            if reuse == Reuse::Young && age >= young {
                self.idle.borrow_mut().push(Idle { socket, parked_at });
                return None;
            }
            let look = if reuse == Reuse::Young { Look::Socket } else { Look::Known };
            match socket.stream.liveness(look) {
                Liveness::Alive => {
                    return Some(Connection::kept(socket, Rc::clone(self), self.generation.get()));
                }
                Liveness::Closed => self.observe_close(age, now),
                // Bytes that nobody asked for: whatever they are, the next reply would be read wrongly.
                Liveness::Unasked => {}
            }
        }
    }

    /// The same, of the connections that name this client.
    pub fn checkout_as(self: &Rc<Self>, named: Option<Named>, now: Instant, reuse: Reuse) -> Option<Connection> {
        if named.is_none() {
            return self.checkout(now, reuse);
        }
        let at = self.idle.borrow().iter().rposition(|idle| idle.socket.named == named)?;
        let Idle { mut socket, parked_at } = self.idle.borrow_mut().remove(at);
        let is_young = reuse == Reuse::Any || now.saturating_duration_since(parked_at) < YOUNG_WHILE_UNKNOWN;
        let is_fit = is_young && socket.stream.liveness(Look::Socket) == Liveness::Alive;
        is_fit.then(|| Connection::kept(socket, Rc::clone(self), self.generation.get()))
    }

    #[cold]
    pub(super) fn unconnected(&self, error: ConnectError, after: Duration) -> Fault {
        let endpoint = Arc::clone(&self.endpoint);
        match error {
            ConnectError::TimedOut => Fault::ConnectTimeout { endpoint, after },
            failed => Fault::Connect { endpoint, cause: failed.to_string() },
        }
    }

    /// Takes a connection back after a whole reply. `stated` is the idle limit that the reply stated.
    pub(super) fn checkin(&self, socket: Box<Socket>, generation: u32, stated: Option<Duration>) {
        if stated.is_some() {
            self.stated.set(stated);
        }
        if socket.open.is_wanted() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if generation == self.generation.get() && idle.len() < self.transport.limits.idle_max {
            socket.deadline.release();
            idle.push(Idle { socket, parked_at: self.deadlines.now() });
        }
    }

    /// Closes idle connections that are too old or were closed by the endpoint, and learns from the latter. Called
    /// about once a second; it costs a syscall only for connections on which something happened.
    pub fn close_idle(&self, now: Instant) {
        let limit = self.age_limit(now);
        self.idle.borrow_mut().retain_mut(|idle| {
            let age = now.saturating_duration_since(idle.parked_at);
            let liveness = idle.socket.stream.liveness(Look::Known);
            if liveness == Liveness::Closed {
                self.observe_close(age, now);
            }
            age < limit && liveness == Liveness::Alive
        });
    }

    /// Opens what is missing of the connections that are kept ahead of need, as far as `permit` allows. It spawns and
    /// returns at once.
    pub fn warm_up(self: &Rc<Self>, permit: impl Fn() -> Option<OpenConnection>) {
        let there = match self.transport.speech {
            Speech::Http1 => self.idle(),
            Speech::Http2 => self.multiplexed.count(),
        };
        for _ in (there + self.warming.get())..self.transport.warm {
            let Some(everywhere) = permit() else { return };
            self.warming.set(self.warming.get() + 1);
            let pool = Rc::clone(self);
            tokio::task::spawn_local(async move {
                if let Err(fault) = pool.open_ahead(everywhere).await {
                    tracing::debug!(%fault, "a connection that would be kept warm cannot be opened");
                }
                pool.warming.set(pool.warming.get() - 1);
            });
        }
    }

    async fn open_ahead(&self, everywhere: OpenConnection) -> Result<(), Fault> {
        let timeout = self.transport.timeout;
        match self.transport.speech {
            Speech::Http1 => {
                let generation = self.generation.get();
                let mut socket = self.open_socket(None, timeout).await?;
                socket.open.everywhere = Some(everywhere);
                self.checkin(socket, generation, None);
                Ok(())
            }
            Speech::Http2 => self.open_multiplexed(None, Some(everywhere), &self.deadlines.guard(timeout)).await,
        }
    }

    /// Closes idle connections, the oldest first, for as long as requests on other workers wait for one.
    pub fn close_wanted(&self) {
        loop {
            let is_wanted = self.idle.borrow().first().is_some_and(|idle| idle.socket.open.is_wanted());
            if !is_wanted {
                return;
            }
            // Out of the list first: closing one calls whoever waits.
            let oldest = self.idle.borrow_mut().remove(0);
            drop(oldest);
        }
    }

    /// Closes the oldest idle connection, so that a new one may take its place; whether there was one.
    pub fn close_oldest(&self) -> bool {
        let oldest = {
            let mut idle = self.idle.borrow_mut();
            if idle.is_empty() { None } else { Some(idle.remove(0)) }
        };
        oldest.is_some()
    }

    /// Closes all idle connections now, and those in use once their reply is over.
    pub fn close_all(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
        self.idle.borrow_mut().clear();
        self.multiplexed.close_all();
    }

    /// The endpoint's own idle limit, as far as it is known.
    fn known_limit(&self, now: Instant) -> Option<Duration> {
        let observed = self.observed.get().filter(|(_, until)| now < *until).map(|(limit, _)| limit);
        match (self.stated.get(), observed) {
            (Some(stated), Some(observed)) => Some(stated.min(observed)),
            (stated, observed) => stated.or(observed),
        }
    }

    fn age_limit(&self, now: Instant) -> Duration {
        self.known_limit(now).map_or(self.transport.limits.idle_age, |known| known.min(self.transport.limits.idle_age))
    }

    /// An endpoint that closes at some age will do so again: next time we are an eighth earlier.
    #[cold]
    fn observe_close(&self, age: Duration, now: Instant) {
        if age < LEARNED_MIN {
            return;
        }
        let limit = age - age / 8;
        let shortest = self.known_limit(now).map_or(limit, |known| known.min(limit));
        self.observed.set(Some((shortest, now + LEARNED_FOR)));
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
