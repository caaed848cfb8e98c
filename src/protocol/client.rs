// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client's side of an HTTP/1 connection: read a head, read its body, write a reply, again.
//!
//! One task owns the connection, but two things use it at once: the request body is read from inside the exchange with
//! the endpoint while the connection task waits for that exchange. So the state sits behind an `Rc` and each poll
//! borrows it for its own length only. No timer is armed for a wait that never happens: a deadline is set when a read
//! or write would block.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::buffers::{Buffers, READ_BYTES};
use super::http1::{self, Bad, Decoded, Decoder, Framing, HeadLimits, HeadScanner, RequestLine, Version};
use super::stream::Stream;
use super::taker::Taker;
use crate::clock::{Deadline, Deadlines};
use crate::exchange::Fields;
use crate::fault::Fault;

/// How long one client may take for each thing it does.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimeouts {
    pub idle: Duration,
    pub head: Duration,
    pub body: Duration,
    pub write: Duration,
}

/// What a client still sends after a reply that did not need it is read and dropped up to this, so that the connection
/// can be kept, or so that a close does not destroy the reply on its way (RFC 9112 section 9.6).
const DISCARD_BYTES_MAX: u64 = 256 * 1024;

/// How long that discarding may take.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// The interim reply that lets a waiting client send its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One HTTP/1 connection with a client.
#[derive(Debug)]
pub struct ClientSide {
    io: RefCell<Io>,
    buffers: Rc<Buffers>,
    timeouts: ClientTimeouts,
    reading: Deadline,
    writing: Deadline,
    /// Bytes of bodies and heads, for the record of an exchange.
    received: Cell<u64>,
    sent: Cell<u64>,
}

#[derive(Debug)]
struct Io {
    stream: Stream,
    input: BytesMut,
    decoder: Decoder,
    /// The client waits for `100 Continue`, and has not got it.
    continue_due: bool,
    /// Body bytes that may still come under the limit of the route.
    body_left: u64,
    body_limit: u64,
    broken: bool,
    /// The client of this request understands interim replies.
    takes_interim: bool,
    /// What the socket has not yet taken of them.
    interim: Vec<u8>,
}

impl ClientSide {
    /// A connection that begins with `input` already read.
    pub fn new(
        stream: Stream,
        input: BytesMut,
        buffers: Rc<Buffers>,
        deadlines: &Deadlines,
        timeouts: ClientTimeouts,
    ) -> Self {
        let decoder = Decoder::new(Framing::None);
        let io = Io {
            stream,
            input,
            decoder,
            continue_due: false,
            body_left: 0,
            body_limit: 0,
            broken: false,
            takes_interim: false,
            interim: Vec::new(),
        };
        Self {
            io: RefCell::new(io),
            buffers,
            timeouts,
            reading: deadlines.unarmed(),
            writing: deadlines.unarmed(),
            received: Cell::new(0),
            sent: Cell::new(0),
        }
    }

    /// Reads the next request head. `None` when the client closed, or stayed idle for its time, between requests, or
    /// when the worker ended all idle waits.
    pub async fn read_head(&self, limits: &HeadLimits, fields: &mut Fields) -> Result<Option<RequestLine>, Fault> {
        let mut scanner = HeadScanner::default();
        if self.io.borrow().input.is_empty() && !self.first_byte().await {
            return Ok(None);
        }
        let mut armed = false;
        loop {
            if let Some(line) = self.parse(&mut scanner, limits, fields)? {
                return Ok(Some(line));
            }
            if !armed {
                self.reading.reset(self.timeouts.head);
                armed = true;
            }
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(0) | Err(Waited::Io) => return Err(Fault::ClientClosed),
                Ok(_) => {}
                Err(Waited::Expired) => return Err(Fault::HeadTimeout(self.timeouts.head)),
            }
        }
    }

    /// Waits for the first byte of a head; false if none will come.
    async fn first_byte(&self) -> bool {
        self.reading.reset_idle(self.timeouts.idle);
        matches!(poll_fn(|cx| self.poll_fill(cx)).await, Ok(count) if count > 0)
    }

    fn parse(
        &self,
        scanner: &mut HeadScanner,
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<RequestLine>, Fault> {
        let io = &mut *self.io.borrow_mut();
        if !scanner.is_worth_parsing(&io.input, limits) {
            return Ok(None);
        }
        fields.reset(usize::MAX);
        let line = http1::parse_request(&io.input, limits, fields)?;
        if let Some(line) = &line {
            bytes::Buf::advance(&mut io.input, line.head_len);
            self.received.set(self.received.get() + line.head_len as u64);
        }
        Ok(line)
    }

    /// Reads what there is into the input buffer; 0 is the end of the stream. The buffer is given back while nothing is
    /// in it and nothing comes.
    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<Result<usize, Waited>> {
        match self.poll_read(&mut self.io.borrow_mut(), cx) {
            Poll::Ready(read) => Poll::Ready(read.map_err(|_| Waited::Io)),
            Poll::Pending => {
                ready!(self.reading.poll_expired(cx));
                Poll::Ready(Err(Waited::Expired))
            }
        }
    }

    fn poll_read(&self, io: &mut Io, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if io.input.capacity() == 0 {
            io.input = self.buffers.input();
        }
        io.input.reserve(READ_BYTES / 4);
        let read = poll_read_buf(Pin::new(&mut io.stream), cx, &mut io.input);
        if read.is_pending() && io.input.is_empty() {
            self.buffers.return_input(std::mem::take(&mut io.input));
        }
        read
    }

    /// Begins the body of the request whose head was just read.
    pub fn begin_body(self: &Rc<Self>, version: Version, framing: Framing, expect_continue: bool) -> RequestBody {
        let io = &mut *self.io.borrow_mut();
        // HTTP/1.0 knows no interim replies (RFC 9110 section 15.2).
        io.takes_interim = version == Version::Http11;
        io.decoder = Decoder::new(framing);
        io.continue_due = expect_continue && !framing.is_empty();
        io.body_left = u64::MAX;
        io.body_limit = u64::MAX;
        self.reading.reset(self.timeouts.body);
        RequestBody { side: Rc::clone(self), copy: None }
    }

    /// Bounds what is still to come of the body; refused at once if the framing already says that it is more.
    pub fn limit_body(&self, limit: u64) -> Result<(), Fault> {
        let io = &mut *self.io.borrow_mut();
        io.body_limit = limit;
        io.body_left = limit;
        if io.decoder.left().is_some_and(|left| left > limit) { Err(Fault::BodyTooLarge { limit }) } else { Ok(()) }
    }

    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            let decoded = {
                let io = &mut *self.io.borrow_mut();
                io.decoder.decode(&mut io.input)
            };
            match decoded {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(self.admit(data))),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(bad) => return Poll::Ready(Some(Err(self.break_off(bad.into())))),
            }
            if let Err(fault) = ready!(self.poll_more_body(cx)) {
                return Poll::Ready(Some(Err(self.break_off(fault))));
            }
        }
    }

    fn poll_more_body(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.io.borrow().continue_due {
            ready!(self.poll_send_continue(cx))?;
        }
        match ready!(self.poll_fill(cx)) {
            Ok(0) => {
                let ended = self.io.borrow_mut().decoder.end_of_input();
                Poll::Ready(ended.map_err(|Bad(_)| Fault::ClientClosed))
            }
            Ok(_) => {
                self.reading.reset(self.timeouts.body);
                Poll::Ready(Ok(()))
            }
            Err(Waited::Io) => Poll::Ready(Err(Fault::ClientClosed)),
            Err(Waited::Expired) => Poll::Ready(Err(Fault::BodyTimeout(self.timeouts.body))),
        }
    }

    /// Nothing after a refused message is read as a request.
    fn break_off(&self, fault: Fault) -> Fault {
        self.io.borrow_mut().broken = true;
        fault
    }

    fn admit(&self, data: Bytes) -> Result<Frame<Bytes>, Fault> {
        let io = &mut *self.io.borrow_mut();
        self.received.set(self.received.get() + data.len() as u64);
        match io.body_left.checked_sub(data.len() as u64) {
            Some(left) => {
                io.body_left = left;
                Ok(Frame::data(data))
            }
            None => {
                io.broken = true;
                Err(Fault::BodyTooLarge { limit: io.body_limit })
            }
        }
    }

    /// Sends `100 Continue` when the body is wanted. It is a few bytes after silence, so it fits the socket buffer; if
    /// the socket takes none of it the client is waiting for something else and the body deadline decides.
    fn poll_send_continue(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let io = &mut *self.io.borrow_mut();
        if !io.interim.is_empty() {
            // It goes behind what is on its way already.
            io.interim.extend_from_slice(CONTINUE);
            io.continue_due = false;
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(&mut io.stream).poll_write(cx, CONTINUE)) {
            Ok(count) if count == CONTINUE.len() => {}
            _ => return Poll::Ready(Err(Fault::ClientClosed)),
        }
        io.continue_due = false;
        Pin::new(&mut io.stream).poll_flush(cx).map_err(|_| Fault::ClientClosed)
    }

    /// Whether interim replies to the request at hand can be passed on.
    pub fn takes_interim(&self) -> bool {
        self.io.borrow().takes_interim
    }

    /// Writes the head of an interim reply at once, as far as the socket takes it; the rest leaves before the reply.
    #[cold]
    pub fn inform(&self, head: &[u8]) {
        let io = &mut *self.io.borrow_mut();
        io.interim.extend_from_slice(head);
        // Nobody waits for this write: what it leaves is written by whoever writes next, and errors show then.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(Ok(count)) = Pin::new(&mut io.stream).poll_write(&mut cx, &io.interim) {
            io.interim.drain(..count.min(io.interim.len()));
            let _flushed_later = Pin::new(&mut io.stream).poll_flush(&mut cx).is_pending();
        }
    }

    /// Ready once the client has closed or reset its connection while it waits for a reply. Until something happens on
    /// the socket this looks at nothing; what else comes is the next request, and is kept for it.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let io = &mut *self.io.borrow_mut();
        if !io.decoder.is_done() || !io.input.is_empty() {
            // Whoever reads the body finds out; and bytes that are already here hide the end.
            return Poll::Pending;
        }
        if ready!(io.stream.tcp().poll_read_ready(cx)).is_err() {
            return Poll::Ready(());
        }
        match ready!(self.poll_read(io, cx)) {
            Ok(count) if count > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// Whether the connection could carry another request after the one whose reply is about to be written.
    pub fn can_keep_alive(&self) -> bool {
        let io = &*self.io.borrow();
        let discardable = io.decoder.left().is_some_and(|left| left <= DISCARD_BYTES_MAX) && !io.continue_due;
        !io.broken && (io.decoder.is_done() || discardable)
    }

    /// Writes all of `head`, then all of `data`, with as few calls as the socket allows.
    pub async fn write_all(&self, head: &[u8], data: &[u8]) -> Result<(), Fault> {
        if !self.io.borrow().interim.is_empty() {
            let interim = std::mem::take(&mut self.io.borrow_mut().interim);
            self.write_pieces(&interim, &[]).await?;
        }
        self.write_pieces(head, data).await
    }

    async fn write_pieces(&self, head: &[u8], data: &[u8]) -> Result<(), Fault> {
        let total = head.len() + data.len();
        let mut done = 0;
        let mut waiting = false;
        while done < total {
            let slices = [
                IoSlice::new(head.get(done..).unwrap_or_default()),
                IoSlice::new(data.get(done.saturating_sub(head.len())..).unwrap_or_default()),
            ];
            let written = poll_fn(|cx| self.poll_write_some(cx, &slices, &mut waiting)).await?;
            done += written;
            waiting = false;
        }
        self.sent.set(self.sent.get() + total as u64);
        Ok(())
    }

    fn poll_write_some(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>; 2],
        waiting: &mut bool,
    ) -> Poll<Result<usize, Fault>> {
        let [head, data] = slices;
        let mut io = self.io.borrow_mut();
        let stream = Pin::new(&mut io.stream);
        let polled = match (head.is_empty(), data.is_empty()) {
            (false, false) => stream.poll_write_vectored(cx, slices),
            (true, _) => stream.poll_write(cx, data),
            (false, true) => stream.poll_write(cx, head),
        };
        match polled {
            Poll::Ready(Ok(count)) if count > 0 => return Poll::Ready(Ok(count)),
            Poll::Ready(_) => return Poll::Ready(Err(Fault::ClientClosed)),
            Poll::Pending => {}
        }
        if !std::mem::replace(waiting, true) {
            self.writing.reset(self.timeouts.write);
        }
        ready!(self.writing.poll_expired(cx));
        Poll::Ready(Err(Fault::ClientStalled(self.timeouts.write)))
    }

    /// Pushes out what TLS may hold back. A no-op on TCP.
    pub async fn flush(&self) -> Result<(), Fault> {
        let mut waiting = false;
        poll_fn(|cx| {
            let flushed = Pin::new(&mut self.io.borrow_mut().stream).poll_flush(cx);
            match flushed {
                Poll::Ready(flushed) => return Poll::Ready(flushed.map_err(|_| Fault::ClientClosed)),
                Poll::Pending => {}
            }
            if !std::mem::replace(&mut waiting, true) {
                self.writing.reset(self.timeouts.write);
            }
            ready!(self.writing.poll_expired(cx));
            Poll::Ready(Err(Fault::ClientStalled(self.timeouts.write)))
        })
        .await
    }

    /// Reads and drops the rest of a body that nobody wanted; true if the connection is at a clean boundary after it.
    pub async fn discard_body(&self) -> bool {
        if !self.can_keep_alive() {
            return false;
        }
        self.reading.reset(DISCARD_TIME);
        loop {
            let done = {
                let io = &mut *self.io.borrow_mut();
                match io.decoder.decode(&mut io.input) {
                    Ok(Decoded::End) => Some(true),
                    Ok(Decoded::Data(_) | Decoded::Trailers(_)) => continue,
                    Ok(Decoded::NeedMore) => None,
                    Err(_) => Some(false),
                }
            };
            if let Some(clean) = done {
                return clean;
            }
            if !matches!(poll_fn(|cx| self.poll_fill(cx)).await, Ok(count) if count > 0) {
                return false;
            }
        }
    }

    /// Closes so that what was written arrives: half-close, then read and drop what the client still sends, bounded.
    pub async fn close(&self) {
        let shut = poll_fn(|cx| Pin::new(&mut self.io.borrow_mut().stream).poll_shutdown(cx)).await;
        if shut.is_err() {
            return;
        }
        self.reading.reset(DISCARD_TIME);
        let mut dropped = 0;
        while dropped < DISCARD_BYTES_MAX {
            self.io.borrow_mut().input.clear();
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(count) if count > 0 => dropped += count as u64,
                _ => return,
            }
        }
    }

    /// Whether a byte of the reply at hand has left.
    pub fn has_sent(&self) -> bool {
        self.sent.get() > 0
    }

    /// Makes the coming close a reset, so that a client that finds the end of a body by it does not take a cut for one.
    #[cold]
    pub fn abort(&self) {
        if let Stream::Tcp(stream) = &self.io.borrow().stream {
            // TLS has its own word for a proper end, which a dropped stream does not say.
            let _still_a_close = SockRef::from(stream).set_linger(Some(Duration::ZERO)).is_err();
        }
    }

    /// Bytes received and sent since the last call.
    pub fn take_counts(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }

    /// The stream and what was read of it, for a tunnel. Nothing else may hold the connection any more.
    pub fn into_stream(self: Rc<Self>) -> Option<(Stream, BytesMut)> {
        let io = Rc::into_inner(self)?.io.into_inner();
        Some((io.stream, io.input))
    }
}

/// Why a wait for bytes ended without any.
enum Waited {
    Io,
    Expired,
}

/// The body of the request at hand.
#[derive(Debug)]
pub struct RequestBody {
    side: Rc<ClientSide>,
    copy: Option<Box<Taker>>,
}

impl RequestBody {
    /// The connection it is read from.
    pub fn side(&self) -> &ClientSide {
        &self.side
    }

    /// Lets a copy be taken of what comes.
    pub fn copy_to(&mut self, taker: Taker) {
        self.copy = Some(Box::new(taker));
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let polled = this.side.poll_body(cx);
        if let Some(copy) = &mut this.copy {
            copy.see(&polled, this.side.io.borrow().decoder.is_done());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.side.io.borrow().decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.side.io.borrow().decoder.left().map(SizeHint::with_exact).unwrap_or_default()
    }
}
