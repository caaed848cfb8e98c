// SPDX-License-Identifier: MIT OR Apache-2.0
//! One UDP session: a client address, an endpoint, a socket between us and it, and the silence that ends it.
//!
//! Its task waits for replies. Datagrams of the client do not pass through the task: whoever took them sends them.
//! Until the first reply a copy of the last datagram is kept, so that another endpoint can have it if this one refuses.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::net::{MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, sendmmsg};
use smallvec::SmallVec;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::task::AbortHandle;

use super::{Gate, Key, Watched, watch};
use crate::clock::Deadline;
use crate::config::snapshot::Upstream;
use crate::exchange::Presence;
use crate::fault::Fault;
use crate::proxy::census::Open;
use crate::proxy::connection::Slot;
use crate::proxy::passage::{self, Passage};
use crate::upstream::connect::ConnectError;
use crate::upstream::endpoint::{Endpoint, Mode};

/// The largest datagram of which a copy is kept until there is a reply: what fits one packet of Ethernet.
const KEPT_BYTES_MAX: usize = 1472;

/// Datagrams of one client that one call sends.
const JOINED_MAX: usize = 32;

/// Replies that one session passes on before others have their turn.
const TURN_REPLIES: usize = 64;

/// What a session holds for as long as it lives, whichever endpoint it is on.
#[derive(Debug)]
pub(super) struct Held {
    #[expect(dead_code, reason = "it counts by being there")]
    pub(super) slot: Slot,
    pub(super) open: Open,
}

/// One session on one endpoint.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: Key,
    socket: Watched,
    pub(super) upstream: Arc<Upstream>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) session: Duration,
    pub(super) deadline: Deadline,
    presence: Rc<Presence>,
    /// Gone when the session has ended or moved on.
    life: RefCell<Option<(Passage, Held)>>,
    kept: RefCell<Option<Box<[u8]>>>,
    is_answered: Cell<bool>,
    task: RefCell<Option<AbortHandle>>,
}

/// A socket that talks to this endpoint only.
pub(super) fn connect(address: SocketAddr) -> io::Result<Watched> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.connect(&address.into())?;
    watch(socket.into())
}

/// What it means that a datagram did not get there.
pub(super) fn refused(endpoint: &Endpoint, error: &io::Error) -> Fault {
    let cause = ConnectError::Failed(io::Error::from(error.kind())).to_string();
    Fault::Connect { endpoint: Arc::clone(&endpoint.name), cause }
}

/// Starts the task of a session.
pub(super) fn spawn(gate: &Rc<Gate>, flow: &Rc<Flow>) {
    let serving = Ending { gate: Rc::clone(gate), flow: Rc::clone(flow) };
    let task = tokio::task::spawn_local(async move { serving.run().await }).abort_handle();
    if let Some((_, held)) = &*flow.life.borrow() {
        gate.worker.census.served_by(held.open.key, task.clone());
    }
    *flow.task.borrow_mut() = Some(task);
}

impl Flow {
    pub(super) fn new(
        key: Key,
        socket: Watched,
        passage: Passage,
        held: Held,
        upstream: Arc<Upstream>,
        endpoint: Arc<Endpoint>,
    ) -> Rc<Self> {
        let session = passage.listener.session;
        let deadline = passage.worker.deadlines.guard(session);
        deadline.join(endpoint.live.id);
        Rc::new(Self {
            key,
            socket,
            upstream,
            endpoint,
            session,
            deadline,
            presence: Rc::clone(&passage.presence),
            life: RefCell::new(Some((passage, held))),
            kept: RefCell::new(None),
            is_answered: Cell::new(false),
            task: RefCell::new(None),
        })
    }

    /// Whether its endpoint can still serve it. One that drains can.
    pub(super) fn is_fit(&self) -> bool {
        let live = &self.endpoint.live;
        live.mode() != Mode::Maintenance && live.state().is_usable()
    }

    /// Sends datagrams of `size` each, which lie side by side, to the endpoint. An error says that the endpoint refuses;
    /// what the socket has no room for is dropped.
    pub(super) fn send(&self, bytes: &[u8], size: usize, patience: Duration) -> io::Result<()> {
        self.deadline.reset(patience);
        match self.send_now(bytes, size).map_err(io::Error::from) {
            Ok(()) => self.presence.took(bytes.len() as u64),
            Err(error) if is_refusal(&error) => return Err(error),
            Err(error) => {
                tracing::debug!(endpoint = %self.endpoint.name, %error, "a datagram is dropped");
                return Ok(());
            }
        }
        if !self.is_answered.get() && bytes.len() <= size.min(KEPT_BYTES_MAX) {
            *self.kept.borrow_mut() = Some(bytes.into());
        }
        Ok(())
    }

    fn send_now(&self, bytes: &[u8], size: usize) -> rustix::io::Result<()> {
        let socket = self.socket.get_ref();
        if bytes.len() <= size {
            return rustix::net::send(socket, bytes, SendFlags::DONTWAIT).map(drop);
        }
        let pieces: SmallVec<[[IoSlice<'_>; 1]; JOINED_MAX]> =
            bytes.chunks(size).map(|piece| [IoSlice::new(piece)]).collect();
        let mut controls: SmallVec<[SendAncillaryBuffer<'_, '_, '_>; JOINED_MAX]> =
            pieces.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: SmallVec<[MMsgHdr<'_>; JOINED_MAX]> =
            pieces.iter().zip(&mut controls).map(|(piece, control)| MMsgHdr::new(piece, control)).collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            let sent = sendmmsg(socket, rest, SendFlags::DONTWAIT)?;
            rest = rest.get_mut(sent.max(1)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes the session off this endpoint: its task ends without a record.
    pub(super) fn end(&self) -> Option<(Passage, Held)> {
        self.stop();
        self.life.borrow_mut().take()
    }

    /// Ends the session.
    fn stop(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.abort();
        }
    }

    /// Ends the session because its listener was taken away.
    pub(super) fn kill(&self) {
        self.presence.killed.set(true);
        self.stop();
    }

    /// The first reply: the endpoint is there, and the copy is of no use any more.
    #[cold]
    fn first_reply(&self) {
        self.is_answered.set(true);
        *self.kept.borrow_mut() = None;
        passage::reached(&self.endpoint);
    }
}

/// What the kernel says when an ICMP message came back: nobody is there.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// The task of a session. However it ends, the session is out of the table then.
struct Ending {
    gate: Rc<Gate>,
    flow: Rc<Flow>,
}

impl Ending {
    async fn run(&self) {
        let (gate, flow) = (&self.gate, &self.flow);
        // An error alone wakes no reader. Later ones are found by the next datagram; before the first reply there may be
        // none, and a copy of the last waits for another endpoint.
        let mut failing = std::pin::pin!(flow.socket.ready(Interest::ERROR));
        let refusal = std::future::poll_fn(|cx| {
            if !flow.is_answered.get() && failing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(flow.socket.get_ref().take_error().unwrap_or_else(Some));
            }
            let mut replies = 0;
            loop {
                match flow.socket.poll_read_ready(cx) {
                    Poll::Pending => return flow.deadline.poll_expired(cx).map(|()| None),
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                    Poll::Ready(Ok(_)) if replies >= TURN_REPLIES => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(_)) => {}
                }
                match self.pass_back() {
                    Ok(()) => replies += 1,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Some(error)),
                }
            }
        })
        .await;
        if let Some(error) = refusal {
            let kept = flow.kept.take();
            if let Some(other) = gate.fail_over(flow, &error)
                && let Some(kept) = kept
            {
                gate.pass(other, &kept, kept.len());
            }
        }
    }

    /// Takes one reply and hands it on.
    fn pass_back(&self) -> io::Result<()> {
        let (gate, flow) = (&self.gate, &self.flow);
        let mut reply = gate.reply.borrow_mut();
        let room = &mut **reply;
        let count = flow
            .socket
            .try_io(Interest::READABLE, |socket| Ok(rustix::net::recv(socket, &mut *room, RecvFlags::DONTWAIT)?.0))?;
        if !flow.is_answered.get() {
            flow.first_reply();
        }
        flow.presence.gave(count as u64);
        flow.deadline.reset(gate.patience(flow));
        gate.answer(flow.key, room.get(..count).unwrap_or_default());
        Ok(())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.gate.forget(&self.flow);
        let is_cut = self.flow.deadline.is_expired();
        if let Some((mut passage, held)) = self.flow.life.take() {
            if !is_cut && self.gate.worker.is_draining() {
                passage.fault = Some(Fault::Draining);
            }
            drop(passage);
            drop(held);
        }
    }
}
