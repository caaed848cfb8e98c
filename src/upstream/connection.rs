// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection to an endpoint and one exchange on it at a time: write the request, read the reply head.
//!
//! A request without a body that is answered in one segment is one write and one read and allocates nothing. What happens
//! until there is a reply is [`Sending`]. Reply bodies are read by [`ReplyBody`], which also goes on with an upload that
//! the reply overtook. Whether to try again is decided by whoever reads the fault; here only what was sent and seen is
//! stated.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::limits::OpenConnection;
use super::pool::{Open, Pool, Socket};
use super::reply_body::ReplyBody;
pub use super::sending::{Outgoing, Patience, Sending};
use super::stream::Stream;
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::protocol::http1::{Bad, Framing, ReplyLine};

/// The first read, and every read while no more has ever come at once. Idle connections hold no buffer, so this costs
/// memory only where something is being read.
pub const READ_BYTES_MIN: usize = 16 * 1024;

/// The largest read.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Informational replies (1xx) to one request; an endpoint that sends more is not answering.
pub const INFORMATIONAL_MAX: u32 = 8;

/// How long a body is held back for a `100 Continue` before it is sent unasked (RFC 9110 section 10.1.1).
pub const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A final reply.
#[derive(Debug)]
pub struct Reply<B> {
    pub line: ReplyLine,
    pub fields: Fields,
    /// How the endpoint framed the body, for whoever frames it anew.
    pub framing: Framing,
    pub body: ReplyBody<B>,
    /// What the connection became, after a 101 that was asked for.
    pub tunnel: Option<Box<Tunnel>>,
}

/// A connection that no longer speaks HTTP.
#[derive(Debug)]
pub struct Tunnel {
    pub stream: Stream,
    /// What the endpoint has already sent.
    pub leftover: Bytes,
    /// Counts the connection until the tunnel is over.
    pub open: Open,
}

/// There was no reply.
#[derive(Debug)]
pub struct SendError<B> {
    pub fault: Fault,
    /// The body, if no frame of it was taken, so that the request can be sent again.
    pub body: Option<B>,
}

/// A connection to an endpoint that is in use.
#[derive(Debug)]
pub struct Connection {
    /// Boxed for life: it is handed from hand to hand at every request.
    pub(super) socket: Box<Socket>,
    pub(super) buf: BytesMut,
    read_bytes: usize,
    pool: Rc<Pool>,
    generation: u32,
    pub(super) is_kept: bool,
}

impl Connection {
    pub(super) fn new(socket: Box<Socket>, pool: Rc<Pool>, generation: u32) -> Self {
        let buf = pool.buffers().take(READ_BYTES_MIN);
        Self { socket, buf, read_bytes: READ_BYTES_MIN, pool, generation, is_kept: false }
    }

    pub(super) fn kept(socket: Box<Socket>, pool: Rc<Pool>, generation: u32) -> Self {
        Self { is_kept: true, ..Self::new(socket, pool, generation) }
    }

    /// Holds its place among the connections of all workers for as long as it is open.
    #[must_use]
    pub fn counted(mut self, everywhere: OpenConnection) -> Self {
        self.socket.open.everywhere = Some(everywhere);
        self
    }

    /// Whether it has served a request before, so that it may be stale.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The length of the body if all of it has been read.
    pub(super) fn has_whole(&self, framing: Framing) -> Option<usize> {
        match framing {
            Framing::None => Some(0),
            Framing::Length(len) => usize::try_from(len).ok().filter(|len| *len <= self.buf.len()),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// Reads as much at once as a body of that length can bring.
    pub(super) fn expect(&mut self, framing: Framing) {
        if let Framing::Length(len) = framing {
            let len = usize::try_from(len).unwrap_or(READ_BYTES_MAX);
            self.read_bytes = self.read_bytes.max(len.min(READ_BYTES_MAX));
        }
    }

    /// The reply is over. The connection is kept if both sides want it and nothing came after the end.
    pub(super) fn finish(self, keep_alive: bool, stated: Option<Duration>) {
        if !keep_alive || !self.buf.is_empty() {
            return;
        }
        let Self { socket, buf, read_bytes, pool, generation, .. } = self;
        if read_bytes == READ_BYTES_MIN {
            pool.buffers().give(buf);
        }
        pool.checkin(socket, generation, stated);
    }

    pub(super) fn into_tunnel(self) -> Tunnel {
        let Socket { stream, open, .. } = *self.socket;
        Tunnel { stream, leftover: self.buf.freeze(), open }
    }

    /// Reads once; 0 is the end. A read that filled its room is followed by a larger one.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buf.reserve(self.read_bytes);
        let room = self.buf.capacity() - self.buf.len();
        // `poll_read` under this clears tokio's readiness after a partial read, so that the next wait costs no EAGAIN.
        let read = ready!(pin!(self.socket.stream.read_buf(&mut self.buf)).poll(cx))?;
        if read == room {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(Ok(read))
    }

    pub(super) fn endpoint(&self) -> Arc<str> {
        Arc::clone(self.pool.endpoint())
    }

    #[cold]
    pub(super) fn bad_reply(&self, bad: Bad) -> Fault {
        Fault::BadReply { endpoint: self.endpoint(), what: bad.0 }
    }

    #[cold]
    pub(super) fn reply_cut(&self, what: &'static str) -> Fault {
        Fault::ReplyCut { endpoint: self.endpoint(), what }
    }
}
