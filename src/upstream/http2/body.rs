// SPDX-License-Identifier: MIT OR Apache-2.0
//! The body of a reply on one HTTP/2 stream, and the rest of the request that the reply overtook.
//!
//! The endpoint's window opens as the frames are taken, so that no more than a window is ever read ahead. Dropping it
//! half way resets the stream.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Error, Reason, RecvStream};
use http_body::{Body, Frame};

use super::connection::Slot;
use super::upload::Upload;
use crate::clock::Deadline;
use crate::fault::Fault;
use crate::protocol::http1::may_trail;
use crate::upstream::reply_body::CUT_OFF;

#[derive(Debug)]
pub(in crate::upstream) struct Incoming<B> {
    slot: Slot,
    stream: RecvStream,
    upload: Upload<B>,
    deadline: Deadline,
    silence: Duration,
    /// Whether the deadline runs: only while we wait for the endpoint.
    is_waiting: bool,
    has_trailers_next: bool,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Incoming<B> {
    pub(super) fn new(
        slot: Slot,
        stream: RecvStream,
        upload: Upload<B>,
        deadline: Deadline,
        silence: Duration,
    ) -> Self {
        deadline.disarm();
        Self { slot, stream, upload, deadline, silence, is_waiting: false, has_trailers_next: false }
    }

    /// Whether nothing of the request body was taken.
    pub(in crate::upstream) fn has_request(&self) -> bool {
        !self.upload.is_touched()
    }

    pub(in crate::upstream) fn into_request(self) -> Option<B> {
        self.upload.into_untouched()
    }

    /// Whether the last frame was handed out.
    pub(in crate::upstream) fn is_over(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.deadline.is_cut() {
            return Poll::Ready(Some(Err(self.silenced(CUT_OFF))));
        }
        let before = self.upload.pieces();
        if let Err(fault) = self.upload.poll_send(cx) {
            return Poll::Ready(Some(Err(fault)));
        }
        self.is_waiting &= before == self.upload.pieces();
        let polled = self.poll_stream(cx);
        match polled {
            Poll::Ready(_) => {
                self.is_waiting = false;
                self.slot.shared.hear();
                polled
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        while !self.has_trailers_next {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    // An error here means that the stream is gone, which the next poll tells.
                    drop(self.stream.flow_control().release_capacity(data.len()));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.cut(&error)))),
                None => self.has_trailers_next = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(None) => Poll::Ready(None),
            Ok(Some(mut trailers)) => {
                let never: Vec<_> =
                    trailers.keys().filter(|name| !may_trail(name.as_str().as_bytes())).cloned().collect();
                never.into_iter().for_each(|name| drop(trailers.remove(name)));
                if trailers.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::trailers(trailers)))) }
            }
            Err(error) => Poll::Ready(Some(Err(self.cut(&error)))),
        }
    }

    #[cold]
    fn cut(&self, error: &Error) -> Fault {
        let what = match error.reason() {
            None => "the connection was lost",
            Some(Reason::CANCEL) => "it cancelled the stream",
            Some(_) if error.is_remote() => "it reset the stream",
            Some(_) => "its frames are not HTTP/2",
        };
        Fault::ReplyCut { endpoint: self.slot.endpoint(), what }
    }

    fn poll_silence(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.upload.waits_for_client() {
            // The endpoint may be waiting for the client, whose own deadline runs.
            self.is_waiting = false;
            self.deadline.disarm();
            return self.deadline.poll_expired(cx).map(|()| Some(Err(self.silenced(CUT_OFF))));
        }
        if !self.is_waiting {
            self.deadline.reset(self.silence);
            self.is_waiting = true;
        }
        ready!(self.deadline.poll_expired(cx));
        let what = if self.deadline.is_cut() { CUT_OFF } else { "it was silent for too long" };
        Poll::Ready(Some(Err(self.silenced(what))))
    }

    #[cold]
    fn silenced(&self, what: &'static str) -> Fault {
        Fault::ReplyCut { endpoint: self.slot.endpoint(), what }
    }
}
