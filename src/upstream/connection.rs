// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection to an endpoint and one exchange on it at a time: write the request, read the reply head.
//!
//! A request without a body that is answered in one segment is one write and one read and allocates nothing. Reply
//! bodies are read by [`ReplyBody`], which also goes on with an upload that the reply overtook. Whether to try again is
//! decided by whoever reads the fault; here only what was sent and seen is stated.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use http_body::Body;
use tokio::io::AsyncReadExt;

use super::limits::OpenConnection;
use super::pool::{Open, Pool, Socket};
use super::reply_body::ReplyBody;
use super::stream::Stream;
use super::upload::{Stopped, Upload};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;
use crate::protocol::http1::{
    Bad, Decoder, Framing, HeadLimits, HeadScanner, ReplyFraming, ReplyLine, parse_reply, reply_framing,
};
use crate::tls::originate;

/// The first read, and every read while no more has ever come at once. Idle connections hold no buffer, so this costs
/// memory only where something is being read.
pub const READ_BYTES_MIN: usize = 16 * 1024;

/// The largest read.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Informational replies (1xx) to one request; an endpoint that sends more is not answering.
pub const INFORMATIONAL_MAX: u32 = 8;

/// How long a body is held back for a `100 Continue` before it is sent unasked (RFC 9110 section 10.1.1).
pub const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// How long an endpoint may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the last byte of request that it took to the head of its reply.
    pub reply: Duration,
    /// Between two pieces of its reply body.
    pub silence: Duration,
}

/// A request as it goes to an endpoint.
#[derive(Debug)]
pub struct Outgoing<'a, B> {
    pub method: &'a Method,
    /// The whole head as it is written, its framing fields included.
    pub head: &'a [u8],
    /// How the body is written; what `head` says.
    pub framing: Framing,
    /// Whether `head` expects `100-continue`, so that the body waits for it.
    pub expect_continue: bool,
    /// Whether `head` asks for an upgrade, so that a 101 is an answer.
    pub upgrade: bool,
    pub body: B,
    /// Used for the fields of the reply; what it held is forgotten and its memory is reused.
    pub fields: Fields,
    pub limits: HeadLimits,
    pub patience: Patience,
}

/// A final reply.
#[derive(Debug)]
pub struct Reply<B> {
    pub line: ReplyLine,
    pub fields: Fields,
    /// How the endpoint framed the body, for whoever frames it anew.
    pub framing: Framing,
    pub body: ReplyBody<B>,
    /// What the connection became, after a 101 that was asked for.
    pub tunnel: Option<Tunnel>,
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
    pub(super) socket: Socket,
    pub(super) buf: BytesMut,
    read_bytes: usize,
    pool: Rc<Pool>,
    generation: u32,
    is_kept: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket, pool: Rc<Pool>, generation: u32) -> Self {
        let buf = pool.buffers().take(READ_BYTES_MIN);
        Self { socket, buf, read_bytes: READ_BYTES_MIN, pool, generation, is_kept: false }
    }

    pub(super) fn kept(socket: Socket, pool: Rc<Pool>, generation: u32) -> Self {
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

    /// Sends a request and waits for the head of its final reply. Each informational reply (100, 102, 103) is shown to
    /// `on_informational` as it comes, with the request body, which knows the client.
    pub async fn send<B>(
        mut self,
        request: Outgoing<'_, B>,
        mut on_informational: impl FnMut(u16, &Fields, &B),
    ) -> Result<Reply<B>, SendError<B>>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let Outgoing { method, head, framing, expect_continue, upgrade, body, fields, limits, patience } = request;
        let upload = Upload::new(head.len(), body, framing, expect_continue);
        let mut waiting = Waiting {
            head,
            upload,
            fields,
            limits,
            patience,
            upgrade,
            scanner: HeadScanner::default(),
            informational: 0,
            has_answered: false,
            is_paused: false,
        };
        self.socket.deadline.reset(if waiting.upload.is_held() { CONTINUE_WAIT } else { patience.reply });
        let outcome = poll_fn(|cx| waiting.poll(cx, &mut self, &mut on_informational)).await;
        let judged = outcome.and_then(|line| match reply_framing(method, &line, &waiting.fields) {
            Ok(framing) => Ok((line, framing, becomes_tunnel(method, line.status))),
            Err(bad) => Err(self.bad_reply(bad)),
        });
        match judged {
            Ok((line, framing, is_tunnel)) => Ok(self.answer(line, framing, is_tunnel, waiting)),
            Err(fault) => Err(SendError { fault, body: waiting.upload.into_untouched() }),
        }
    }

    /// The reply that has begun; its body goes on with the connection unless all of it is here.
    fn answer<B>(mut self, line: ReplyLine, said: ReplyFraming, is_tunnel: bool, waiting: Waiting<'_, B>) -> Reply<B>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let Waiting { mut upload, mut fields, patience, .. } = waiting;
        let ReplyFraming { framing, keep_alive } = said;
        let mut tunnel = None;
        let body = if is_tunnel {
            // What follows is no body (RFC 9110 section 9.3.6).
            fields.remove(Known::ContentLength);
            tunnel = Some(self.into_tunnel());
            ReplyBody::whole(Bytes::new(), None)
        } else if let (Some(len), true) = (self.has_whole(framing), upload.is_done()) {
            let data = if len == 0 { Bytes::new() } else { self.buf.split_to(len).freeze() };
            self.finish(keep_alive, stated_idle(&fields));
            ReplyBody::whole(data, upload.into_untouched())
        } else {
            if upload.is_held() || !upload.has_sent_head() {
                upload.stop();
            }
            self.expect(framing);
            let stated = stated_idle(&fields);
            ReplyBody::streaming(self, Decoder::new(framing), upload, keep_alive, stated, patience.silence)
        };
        Reply { line, fields, framing, body, tunnel }
    }

    /// The length of the body if all of it has been read.
    fn has_whole(&self, framing: Framing) -> Option<usize> {
        match framing {
            Framing::None => Some(0),
            Framing::Length(len) => usize::try_from(len).ok().filter(|len| *len <= self.buf.len()),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// Reads as much at once as a body of that length can bring.
    fn expect(&mut self, framing: Framing) {
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

    fn into_tunnel(self) -> Tunnel {
        let Socket { stream, open, .. } = self.socket;
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

    fn endpoint(&self) -> Arc<str> {
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

/// A request that has no final reply yet.
struct Waiting<'a, B> {
    head: &'a [u8],
    upload: Upload<B>,
    fields: Fields,
    limits: HeadLimits,
    patience: Patience,
    upgrade: bool,
    scanner: HeadScanner,
    informational: u32,
    /// Whether a byte of a reply has come.
    has_answered: bool,
    /// Whether the deadline stands still because the client has to send first.
    is_paused: bool,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Waiting<'_, B> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Poll<Result<ReplyLine, Fault>> {
        loop {
            self.write(cx, connection)?;
            match connection.poll_read(cx) {
                Poll::Ready(Ok(read)) if read > 0 => {
                    self.has_answered = true;
                    if let Some(line) = self.take_head(connection, on_informational)? {
                        return Poll::Ready(Ok(line));
                    }
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(self.closed(connection))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.failed(connection, &error))),
                Poll::Pending => ready!(self.poll_patience(cx, connection))?,
            }
        }
    }

    /// Writes what can be written. A socket that takes nothing more may still have a reply, so that is no fault yet.
    fn write(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Result<(), Fault> {
        let before = self.upload.written();
        let stopped = match self.upload.poll_send(cx, &mut connection.socket.stream, self.head) {
            Poll::Ready(Err(stopped)) => Some(stopped),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        if before != 0 && before != self.upload.written() {
            connection.socket.deadline.reset(self.patience.reply);
        }
        match stopped {
            Some(Stopped::Client(fault)) => Err(fault),
            Some(Stopped::Endpoint) => {
                self.upload.stop();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ready with nothing when a held body may go, with a fault when the endpoint took too long; pending while the next
    /// step is the client's, whose own deadline runs.
    fn poll_patience(&mut self, cx: &Context<'_>, connection: &Connection) -> Poll<Result<(), Fault>> {
        let deadline = &connection.socket.deadline;
        if self.upload.waits_for_client() {
            if !self.is_paused {
                deadline.disarm();
                self.is_paused = true;
            }
            // Disarmed, it passes only if the endpoint is cut off.
            ready!(deadline.poll_expired(cx));
            return Poll::Ready(Err(self.cut_off(connection)));
        }
        if self.is_paused {
            deadline.reset(self.patience.reply);
            self.is_paused = false;
        }
        ready!(deadline.poll_expired(cx));
        if deadline.is_cut() {
            return Poll::Ready(Err(self.cut_off(connection)));
        }
        if self.upload.is_held() {
            self.upload.release();
            deadline.reset(self.patience.reply);
            return Poll::Ready(Ok(()));
        }
        let (after, sent) = (self.patience.reply, self.upload.sent());
        Poll::Ready(Err(Fault::ReplyTimeout { endpoint: connection.endpoint(), after, sent }))
    }

    #[cold]
    fn cut_off(&self, connection: &Connection) -> Fault {
        Fault::CutOff { endpoint: connection.endpoint(), sent: self.upload.sent() }
    }

    /// The final head, if it is in the buffer; informational ones before it are taken out on the way.
    fn take_head(
        &mut self,
        connection: &mut Connection,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Result<Option<ReplyLine>, Fault> {
        while self.scanner.is_worth_parsing(&connection.buf, &self.limits) {
            self.fields.reset(self.limits.head_bytes);
            let parsed = parse_reply(&connection.buf, &self.limits, &mut self.fields);
            let Some(line) = parsed.map_err(|bad| connection.bad_reply(bad))? else { return Ok(None) };
            connection.buf.advance(line.head_len);
            self.scanner = HeadScanner::default();
            match line.status {
                101 if self.upgrade && self.upload.is_done() => return Ok(Some(line)),
                101 => return Err(connection.bad_reply(Bad("it switched protocols unasked"))),
                100..=199 => self.inform(line.status, connection, on_informational)?,
                _ => return Ok(Some(line)),
            }
            if connection.buf.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    fn inform(
        &mut self,
        status: u16,
        connection: &Connection,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Result<(), Fault> {
        self.informational += 1;
        if self.informational > INFORMATIONAL_MAX {
            return Err(connection.bad_reply(Bad("too many informational replies")));
        }
        if status == 100 && self.upload.is_held() {
            self.upload.release();
            connection.socket.deadline.reset(self.patience.reply);
        }
        on_informational(status, &self.fields, self.upload.body());
        Ok(())
    }

    /// What it means that nothing can be read before a final reply.
    #[cold]
    fn failed(&self, connection: &Connection, error: &io::Error) -> Fault {
        match originate::refusal(error) {
            Some(cause) if !self.has_answered && !connection.is_kept => {
                Fault::Connect { endpoint: connection.endpoint(), cause }
            }
            _ => self.closed(connection),
        }
    }

    /// What it means that the endpoint closed before a final reply.
    #[cold]
    fn closed(&self, connection: &Connection) -> Fault {
        let (endpoint, sent) = (connection.endpoint(), self.upload.sent());
        match (self.has_answered, connection.is_kept) {
            (true, _) => connection.reply_cut("it closed in the reply head"),
            (false, true) => Fault::Stale { endpoint, sent },
            (false, false) => Fault::Closed { endpoint, sent },
        }
    }
}

/// Whether what follows such a reply is no HTTP any more. A 101 that nobody asked for has been refused before.
fn becomes_tunnel(method: &Method, status: u16) -> bool {
    status == 101 || (*method == Method::CONNECT && (200..300).contains(&status))
}

/// The idle limit in `Keep-Alive: timeout=N`, a second early, as the field is a promise only of the other side's clock.
fn stated_idle(fields: &Fields) -> Option<Duration> {
    let value = fields.find(Known::KeepAlive)?;
    let parameter = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameter.filter_map(|text| text.strip_prefix(b"timeout=")).next()?;
    let seconds: u32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let stated = Duration::from_secs(u64::from(seconds));
    Some(stated.saturating_sub(Duration::from_secs(1)).max(stated / 2))
}
