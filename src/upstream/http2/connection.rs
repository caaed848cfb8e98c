// SPDX-License-Identifier: MIT OR Apache-2.0
//! One HTTP/2 connection: a task that drives it, and what its streams and the pool share with that task.
//!
//! A connection that is left takes no new request and ends with its last stream. It is left when the endpoint says
//! GOAWAY, when a PING is not answered, when it has been idle for too long, and when its pool is closed.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::sync::Notify;

use super::{CONNECTION_WINDOW, SEND_BUFFER, STREAM_WINDOW, STREAMS_MAX};
use crate::clock::{Deadline, Deadlines};
use crate::protocol::http1::HeadLimits;
use crate::upstream::pool::{Named, Open};
use crate::upstream::stream::Stream;

/// How long an endpoint may take to answer a PING on a connection that it has already spoken on.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be silent before a request that must not run twice asks first whether it lives.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// What the task, the streams and the pool know of one connection.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) endpoint: Arc<str>,
    /// Larger than that of every connection that was opened before it.
    pub(super) number: u64,
    pub(super) named: Option<Named>,
    /// What the deadlines of its streams are cut by.
    pub(super) group: u64,
    /// Nothing once it takes no more requests.
    requests: RefCell<Option<SendRequest<Bytes>>>,
    active: Cell<usize>,
    /// Whether a reply has come on it, so that it may be stale.
    has_replied: Cell<bool>,
    /// When the endpoint was last heard, as of the worker's coarse clock.
    heard: Cell<Instant>,
    asked: Cell<u64>,
    answered: Cell<u64>,
    ended: RefCell<Option<String>>,
    driver: RefCell<Option<Waker>>,
    changed: Notify,
    pub(super) deadlines: Deadlines,
}

impl Shared {
    /// Whether it takes another request.
    pub(super) fn has_room(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut requests = self.requests.borrow_mut();
        let Some(sender) = requests.as_mut() else { return false };
        match sender.poll_ready(&mut cx) {
            Poll::Ready(Ok(())) => self.active.get() < STREAMS_MAX.min(sender.current_max_send_streams()),
            Poll::Pending => false,
            Poll::Ready(Err(_)) => {
                *requests = None;
                false
            }
        }
    }

    /// Whether it will take requests again.
    pub(super) fn is_open(&self) -> bool {
        self.requests.borrow().is_some()
    }

    /// Takes no more requests; those on it finish.
    pub(super) fn leave(&self) {
        let gone = self.requests.borrow_mut().take();
        drop(gone);
        self.wake();
    }

    fn end(&self, why: String) {
        self.leave();
        self.ended.borrow_mut().get_or_insert(why);
        self.changed.notify_waiters();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.driver.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Notes that the endpoint said something.
    pub(super) fn hear(&self) {
        self.heard.set(self.deadlines.now());
    }

    /// Asks the endpoint whether it is there.
    pub(super) fn ask(&self) -> u64 {
        let question = self.answered.get() + 1;
        self.asked.set(self.asked.get().max(question));
        self.wake();
        question
    }

    /// Waits until it has answered; the reason if it does not.
    pub(super) async fn prove(&self) -> Result<(), String> {
        let question = self.ask();
        loop {
            let changed = self.changed.notified();
            if self.answered.get() >= question {
                return Ok(());
            }
            if let Some(why) = &*self.ended.borrow() {
                return Err(why.clone());
            }
            changed.await;
        }
    }
}

/// One request's place on a connection.
#[derive(Debug)]
pub struct Slot {
    pub(super) shared: Rc<Shared>,
    /// Whether the connection had served before this request, so that it may be stale.
    pub(super) is_kept: bool,
}

impl Slot {
    pub(super) fn take(shared: Rc<Shared>) -> Self {
        shared.active.set(shared.active.get() + 1);
        let is_kept = shared.has_replied.get();
        Self { shared, is_kept }
    }

    /// Whether the endpoint has been silent for so long that it may be gone.
    pub(super) fn is_quiet(&self) -> bool {
        let shared = &self.shared;
        shared.deadlines.now().saturating_duration_since(shared.heard.get()) >= QUIET_MAX
    }

    /// What sends requests, while it does.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        self.shared.requests.borrow().clone()
    }

    /// A reply has come.
    pub(super) fn note_reply(&self) {
        self.shared.has_replied.set(true);
        self.shared.hear();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.active.set(shared.active.get().saturating_sub(1));
        if shared.active.get() == 0 {
            shared.wake();
        }
    }
}

/// What a new connection is made of.
pub(super) struct Fresh {
    pub(super) endpoint: Arc<str>,
    pub(super) stream: Stream,
    pub(super) open: Open,
    pub(super) number: u64,
    pub(super) named: Option<Named>,
    pub(super) group: u64,
    pub(super) idle_age: Duration,
    pub(super) deadlines: Deadlines,
}

/// Begins to speak HTTP/2 on a stream, and drives it from now on.
pub(super) async fn start(fresh: Fresh) -> Result<Rc<Shared>, h2::Error> {
    let Fresh { endpoint, stream, open, number, named, group, idle_age, deadlines } = fresh;
    let (requests, mut connection) = builder().handshake(stream).await?;
    let shared = Rc::new(Shared {
        endpoint,
        number,
        named,
        group,
        requests: RefCell::new(Some(requests)),
        active: Cell::new(0),
        has_replied: Cell::new(false),
        heard: Cell::new(deadlines.now()),
        asked: Cell::new(0),
        answered: Cell::new(0),
        ended: RefCell::new(None),
        driver: RefCell::new(None),
        changed: Notify::new(),
        deadlines,
    });
    let pings = connection.ping_pong();
    let (idle, pong) = (shared.deadlines.unarmed(), shared.deadlines.unarmed());
    let is_idle = false;
    tokio::task::spawn_local(Driver {
        connection,
        pings,
        shared: Rc::clone(&shared),
        idle,
        is_idle,
        idle_age,
        pong,
        is_asking: false,
        _open: open,
    });
    Ok(shared)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(HeadLimits::default().head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// The task of one connection.
struct Driver {
    connection: Connection<Stream, Bytes>,
    pings: Option<PingPong>,
    shared: Rc<Shared>,
    idle: Deadline,
    is_idle: bool,
    idle_age: Duration,
    pong: Deadline,
    is_asking: bool,
    /// Counts the connection until it is closed.
    _open: Open,
}

impl Driver {
    /// True if something was sent or done that the connection has to be polled for.
    fn ping(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pings) = &mut self.pings else { return false };
        if self.is_asking && pings.poll_pong(cx).is_ready() {
            self.is_asking = false;
            self.pong.disarm();
            self.shared.answered.set(self.shared.asked.get());
            self.shared.hear();
            self.shared.changed.notify_waiters();
        }
        if !self.is_asking && self.shared.asked.get() > self.shared.answered.get() {
            self.is_asking = pings.send_ping(Ping::opaque()).is_ok();
            self.pong.reset(PING_TIMEOUT);
            return self.is_asking;
        }
        false
    }

    /// True if it has been idle for too long and was left.
    fn rest(&mut self, cx: &Context<'_>) -> bool {
        let is_idle = self.shared.active.get() == 0 && self.shared.is_open();
        if is_idle && !self.is_idle {
            self.idle.reset(self.idle_age);
        } else if !is_idle && self.is_idle {
            self.idle.disarm();
        }
        self.is_idle = is_idle;
        let is_over = is_idle && self.idle.poll_expired(cx).is_ready();
        if is_over {
            self.shared.leave();
        }
        is_over
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        match &mut *this.shared.driver.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        loop {
            if let Poll::Ready(result) = Pin::new(&mut this.connection).poll(cx) {
                let why = result.map_or_else(|error| error.to_string(), |()| "it closed the connection".to_owned());
                this.shared.end(why);
                return Poll::Ready(());
            }
            if this.ping(cx) || this.rest(cx) {
                continue;
            }
            if this.is_asking && this.pong.poll_expired(cx).is_ready() {
                // Dropping the connection ends its streams, which say so.
                this.shared.end("it does not answer any more".to_owned());
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
    }
}
