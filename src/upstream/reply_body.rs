// SPDX-License-Identifier: MIT OR Apache-2.0
//! The body of a reply, handed on as it is read, without copying.
//!
//! It owns the connection until the last byte: a clean end gives it back to its pool, everything else (a cut, a drop
//! half way, an upload that is not over) closes it. An upload that the reply overtook is driven from here.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::connection::Connection;
use super::http2::Incoming;
use super::upload::{Stopped, Upload};
use crate::fault::Fault;
use crate::protocol::http1::{Decoded, Decoder};

/// Why a reply ends whose endpoint was drained for long enough.
pub(super) const CUT_OFF: &str = "its drain deadline passed";

/// A reply body.
#[derive(Debug)]
pub struct ReplyBody<B> {
    /// What is already here of it.
    next: Next,
    /// Boxed: most replies are here whole with their head, and a reply is passed through several hands.
    live: Option<Box<Live<B>>>,
    /// The same of a stream of HTTP/2; at most one of the two is there.
    multiplexed: Option<Box<Incoming<B>>>,
    /// The request body of a reply that is here whole, if nothing of it was taken.
    request: Option<B>,
}

/// A frame that is handed on next. The rare ones are boxed, so that a reply stays small.
#[derive(Debug)]
enum Next {
    Nothing,
    Data(Bytes),
    Other(Box<Result<Frame<Bytes>, Fault>>),
}

impl Next {
    fn of(frame: Frame<Bytes>) -> Self {
        frame.into_data().map_or_else(|trailers| Self::Other(Box::new(Ok(trailers))), Self::Data)
    }

    fn take(&mut self) -> Option<Result<Frame<Bytes>, Fault>> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => None,
            Self::Data(data) => Some(Ok(Frame::data(data))),
            Self::Other(other) => Some(*other),
        }
    }
}

#[derive(Debug)]
struct Live<B> {
    connection: Connection,
    decoder: Decoder,
    upload: Upload<B>,
    keep_alive: bool,
    stated: Option<Duration>,
    silence: Duration,
    /// Whether the deadline runs: only while we wait for the endpoint.
    is_waiting: bool,
}

/// What comes next of a body that is still being read.
enum Step {
    Frame(Frame<Bytes>),
    End,
}

impl<B> ReplyBody<B> {
    /// A body of which nothing is still to be read.
    pub(super) fn whole(data: Bytes, request: Option<B>) -> Self {
        let next = if data.is_empty() { Next::Nothing } else { Next::Data(data) };
        Self { next, live: None, multiplexed: None, request }
    }

    pub(super) fn streaming(
        connection: Connection,
        decoder: Decoder,
        upload: Upload<B>,
        keep_alive: bool,
        stated: Option<Duration>,
        silence: Duration,
    ) -> Self {
        let live = Live { connection, decoder, upload, keep_alive, stated, silence, is_waiting: false };
        Self { next: Next::Nothing, live: Some(Box::new(live)), multiplexed: None, request: None }
    }

    pub(super) fn multiplexed(incoming: Incoming<B>) -> Self {
        Self { next: Next::Nothing, live: None, multiplexed: Some(Box::new(incoming)), request: None }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> ReplyBody<B> {
    /// Whether the request could be sent again in place of this reply, because nothing of its body was taken.
    pub fn has_request(&self) -> bool {
        self.request.is_some()
            || self.live.as_ref().is_some_and(|live| !live.upload.is_touched())
            || self.multiplexed.as_ref().is_some_and(|incoming| incoming.has_request())
    }

    /// The body of the request, if nothing of it was taken. The reply is given up.
    pub fn into_request(self) -> Option<B> {
        let of_live = || self.live.and_then(|live| live.upload.into_untouched());
        self.request.or_else(of_live).or_else(|| self.multiplexed.and_then(|incoming| incoming.into_request()))
    }

    /// Asks for the frame after one that is about to be handed on, if it costs no waiting. So the last frame is known
    /// to be the last, and the connection is free for the next request before the client has this one's reply.
    fn look_ahead(&mut self) {
        let Some(live) = &mut self.live else { return };
        match live.decode() {
            Ok(Some(Step::Frame(frame))) => self.next = Next::of(frame),
            Ok(Some(Step::End)) => self.end(),
            Ok(None) => {}
            Err(fault) => {
                self.next = Next::Other(Box::new(Err(fault)));
                self.live = None;
            }
        }
    }

    fn poll_multiplexed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(incoming) = &mut self.multiplexed else { return Poll::Ready(None) };
        let frame = ready!(incoming.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.multiplexed = None;
        }
        Poll::Ready(frame)
    }

    fn end(&mut self) {
        let Some(live) = self.live.take() else { return };
        let Live { connection, upload, keep_alive, stated, .. } = *live;
        connection.finish(keep_alive && upload.is_done(), stated);
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let step = match (this.next.take(), &mut this.live) {
            (Some(next), _) => next.map(Step::Frame),
            (None, Some(live)) => ready!(live.poll_step(cx)),
            (None, None) => return this.poll_multiplexed(cx),
        };
        match step {
            Ok(Step::Frame(frame)) => {
                this.look_ahead();
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(Step::End) => {
                this.end();
                Poll::Ready(None)
            }
            Err(fault) => {
                this.live = None;
                Poll::Ready(Some(Err(fault)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
            && self.live.is_none()
            && self.multiplexed.as_ref().is_none_or(|incoming| incoming.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        let next = match &self.next {
            Next::Data(data) => data.len() as u64,
            Next::Nothing | Next::Other(_) => 0,
        };
        if self.multiplexed.is_some() {
            return SizeHint::default();
        }
        match self.live.as_ref().map(|live| live.decoder.left()) {
            None => SizeHint::with_exact(next),
            Some(Some(left)) => SizeHint::with_exact(next.saturating_add(left)),
            Some(None) => SizeHint::default(),
        }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Live<B> {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Fault>> {
        if self.connection.socket.deadline.is_cut() {
            return Poll::Ready(Err(self.connection.reply_cut(CUT_OFF)));
        }
        self.send_on(cx)?;
        loop {
            if let Some(step) = self.decode()? {
                return Poll::Ready(Ok(step));
            }
            match self.connection.poll_read(cx) {
                Poll::Ready(Ok(read)) if read > 0 => self.is_waiting = false,
                Poll::Ready(Ok(_)) => return Poll::Ready(self.end_of_input()),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(self.connection.reply_cut("the connection was reset"))),
                Poll::Pending => return self.poll_silence(cx),
            }
        }
    }

    fn decode(&mut self) -> Result<Option<Step>, Fault> {
        match self.decoder.decode(&mut self.connection.buf) {
            Ok(Decoded::Data(data)) => Ok(Some(Step::Frame(Frame::data(data)))),
            Ok(Decoded::Trailers(trailers)) => Ok(Some(Step::Frame(Frame::trailers(trailers)))),
            Ok(Decoded::End) => Ok(Some(Step::End)),
            Ok(Decoded::NeedMore) => Ok(None),
            Err(bad) => Err(self.connection.reply_cut(bad.0)),
        }
    }

    /// Goes on with an upload that the reply overtook. An endpoint that has replied may refuse the rest.
    fn send_on(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let before = self.upload.written();
        let outcome = self.upload.poll_send(cx, &mut self.connection.socket.stream, &[]);
        self.is_waiting &= before == self.upload.written();
        match outcome {
            Poll::Ready(Err(Stopped::Client(fault))) => Err(fault),
            Poll::Ready(Err(Stopped::Endpoint)) => {
                self.upload.stop();
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn end_of_input(&mut self) -> Result<Step, Fault> {
        self.keep_alive = false;
        match self.decoder.end_of_input() {
            Ok(()) => Ok(Step::End),
            Err(bad) => Err(self.connection.reply_cut(bad.0)),
        }
    }

    fn poll_silence(&mut self, cx: &Context<'_>) -> Poll<Result<Step, Fault>> {
        if self.upload.waits_for_client() {
            // The endpoint may be waiting for the client, whose own deadline runs. Ours only passes if it is cut off.
            self.is_waiting = false;
            self.connection.socket.deadline.disarm();
            return self.connection.socket.deadline.poll_expired(cx).map(|()| Err(self.connection.reply_cut(CUT_OFF)));
        }
        let deadline = &self.connection.socket.deadline;
        if !self.is_waiting {
            deadline.reset(self.silence);
            self.is_waiting = true;
        }
        let why = if deadline.is_cut() { CUT_OFF } else { "it was silent for too long" };
        deadline.poll_expired(cx).map(|()| Err(self.connection.reply_cut(why)))
    }
}
