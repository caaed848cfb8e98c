// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request on its way to the endpoint: the encoded head and the frames of the body, in as few writes as there are.
//!
//! It owns how a frame looks on the wire and how much of the request has left; it never reads and keeps no time. It
//! always says for whom it waits, so that an endpoint is not blamed for a slow client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;
use tokio::io::AsyncWrite;

use super::stream::Stream;
use crate::fault::{Fault, Sent};
use crate::protocol::http1::{CHUNK_SIZE_MAX, Framing, LAST_CHUNK, chunk_size, last_chunk};

const LINE_END: Bytes = Bytes::from_static(b"\r\n");

/// The end of the last data and of the body in one.
const LINE_END_AND_LAST_CHUNK: Bytes = Bytes::from_static(b"\r\n0\r\n\r\n");

/// Why an upload cannot go on.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The client's body failed; nobody will ever have the whole request.
    Client(Fault),
    /// The socket failed; a reply may still be there to read.
    Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The body is held back until the endpoint asks for it.
    Held,
    /// More frames may come.
    Open,
    /// No frame will come; what is queued may still have to leave.
    Over,
    /// It was given up.
    Stopped,
}

#[derive(Debug)]
pub(super) struct Upload<B> {
    stage: Stage,
    body: B,
    is_touched: bool,
    waits_for_client: bool,
    head_left: usize,
    written: u64,
    /// Of a body with a length, what may still come.
    left: Option<u64>,
    line: [u8; CHUNK_SIZE_MAX],
    line_start: usize,
    data: Bytes,
    tail: Bytes,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Upload<B> {
    /// An upload of a head of so many bytes and a body that is framed so; `held` if the head says `100-continue`.
    pub(super) fn new(head_len: usize, body: B, framing: Framing, held: bool) -> Self {
        let stage = match framing {
            Framing::None | Framing::Length(0) => Stage::Over,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose if held => Stage::Held,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => Stage::Open,
        };
        Self {
            stage,
            body,
            is_touched: false,
            waits_for_client: false,
            head_left: head_len,
            written: 0,
            left: if let Framing::Length(len) = framing { Some(len) } else { None },
            line: [0; CHUNK_SIZE_MAX],
            line_start: CHUNK_SIZE_MAX,
            data: Bytes::new(),
            tail: Bytes::new(),
        }
    }

    /// Whether the whole request has left.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Over && self.is_flushed()
    }

    /// Whether the head has left.
    pub(super) fn has_sent_head(&self) -> bool {
        self.head_left == 0
    }

    /// Whether it can make no progress before the client does.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    /// Whether the body is held back.
    pub(super) fn is_held(&self) -> bool {
        self.stage == Stage::Held
    }

    /// Lets a held body go.
    pub(super) fn release(&mut self) {
        if self.stage == Stage::Held {
            self.stage = Stage::Open;
        }
    }

    /// Gives up: nothing more is taken from the body or written.
    pub(super) fn stop(&mut self) {
        self.stage = Stage::Stopped;
        self.waits_for_client = false;
    }

    /// Bytes that have left so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How much of the request an endpoint can have seen.
    pub(super) fn sent(&self) -> Sent {
        match self.written {
            0 => Sent::Nothing,
            _ if self.is_done() => Sent::Wholly,
            _ => Sent::Partly,
        }
    }

    /// The body, however much of it is left.
    pub(super) fn body(&self) -> &B {
        &self.body
    }

    /// Whether a frame of the body was taken.
    pub(super) fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// The body, if no frame of it was taken.
    pub(super) fn into_untouched(self) -> Option<B> {
        if self.is_touched { None } else { Some(self.body) }
    }

    /// Writes as much as the socket and the client allow. `head` is the head that [`Upload::new`] was told of. Ready
    /// when the whole request has left, or when it was stopped.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        head: &[u8],
    ) -> Poll<Result<(), Stopped>> {
        loop {
            // Before the head leaves, too: a first frame that is ready shares its write.
            self.waits_for_client =
                self.stage == Stage::Open && self.is_loaded_out() && self.poll_load(cx)?.is_pending();
            if self.is_flushed() {
                // TLS holds back what the socket did not take.
                ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(|_| Stopped::Endpoint)?;
                return match self.stage {
                    Stage::Over | Stage::Stopped => Poll::Ready(Ok(())),
                    Stage::Held | Stage::Open => Poll::Pending,
                };
            }
            if self.stage == Stage::Stopped {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write(cx, stream, head)).map_err(|_| Stopped::Endpoint)?;
        }
    }

    fn is_loaded_out(&self) -> bool {
        self.line_start == CHUNK_SIZE_MAX && self.data.is_empty() && self.tail.is_empty()
    }

    fn is_flushed(&self) -> bool {
        self.head_left == 0 && self.is_loaded_out()
    }

    /// Queues the next frame. Pending only if the client has to send it first.
    fn poll_load(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(self.end(None)),
                Some(frame) => frame.map_err(Stopped::Client)?,
            };
            self.is_touched = true;
            return match frame.into_data() {
                Ok(data) if data.is_empty() => continue,
                Ok(data) => Poll::Ready(self.queue(data)),
                Err(frame) => Poll::Ready(self.end(frame.into_trailers().ok())),
            };
        }
    }

    fn queue(&mut self, data: Bytes) -> Result<(), Stopped> {
        match &mut self.left {
            Some(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Stopped::Client(LENGTH_BROKEN))?;
                if *left == 0 {
                    self.stage = Stage::Over;
                }
            }
            None => {
                self.line_start = CHUNK_SIZE_MAX - chunk_size(data.len(), &mut self.line).len();
                if self.body.is_end_stream() {
                    self.stage = Stage::Over;
                    self.tail = LINE_END_AND_LAST_CHUNK;
                } else {
                    self.tail = LINE_END;
                }
            }
        }
        self.data = data;
        Ok(())
    }

    /// The body is over. Trailers travel only in a chunked body.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Stopped> {
        self.stage = Stage::Over;
        match (self.left, trailers) {
            (Some(0), _) => {}
            (Some(_), _) => return Err(Stopped::Client(LENGTH_BROKEN)),
            (None, None) => self.tail = Bytes::from_static(LAST_CHUNK),
            (None, Some(trailers)) => {
                let mut tail = Vec::new();
                last_chunk(&mut tail, &trailers);
                self.tail = tail.into();
            }
        }
        Ok(())
    }

    /// One write of all that is queued; ready after it.
    fn poll_write(&mut self, cx: &mut Context<'_>, stream: &mut Stream, head: &[u8]) -> Poll<io::Result<()>> {
        let head = head.get(head.len().saturating_sub(self.head_left)..).unwrap_or_default();
        let written = if self.is_loaded_out() {
            ready!(Pin::new(stream).poll_write(cx, head))?
        } else {
            let line = self.line.get(self.line_start..).unwrap_or_default();
            let queued = [head, line, &self.data, &self.tail].map(IoSlice::new);
            ready!(Pin::new(stream).poll_write_vectored(cx, &queued))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.written += written as u64;
        let mut rest = written;
        let mut step = |len: usize| {
            let taken = rest.min(len);
            rest -= taken;
            taken
        };
        self.head_left -= step(self.head_left);
        self.line_start += step(CHUNK_SIZE_MAX - self.line_start);
        self.data.advance(step(self.data.len()));
        self.tail.advance(step(self.tail.len()));
    }
}

/// Whoever frames a body by a length also decodes it by that length, so this cannot be a client's doing.
const LENGTH_BROKEN: Fault = Fault::Internal("a request body that is not as long as it was framed");
