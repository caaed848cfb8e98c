// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request body on its way to the endpoint over one HTTP/2 stream, as far as the endpoint's window is open.
//!
//! It always says for whom it waits, so that an endpoint is not blamed for a slow client. It keeps no time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http_body::Body;

use crate::fault::{Fault, Sent};

#[derive(Debug)]
pub(super) struct Upload<B> {
    body: B,
    /// Nothing once the last of the body has left, or was given up.
    stream: Option<SendStream<Bytes>>,
    data: Bytes,
    is_touched: bool,
    is_done: bool,
    waits_for_client: bool,
    /// Counts pieces that left, so that progress can be seen.
    pieces: u64,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Upload<B> {
    /// An upload of a body on `stream`, which has ended already if the request has none.
    pub(super) fn new(body: B, stream: SendStream<Bytes>, is_bodiless: bool) -> Self {
        Self {
            body,
            stream: if is_bodiless { None } else { Some(stream) },
            data: Bytes::new(),
            is_touched: false,
            is_done: is_bodiless,
            waits_for_client: false,
            pieces: 0,
        }
    }

    /// Whether it can make no progress before the client does.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    pub(super) fn pieces(&self) -> u64 {
        self.pieces
    }

    pub(super) fn body(&self) -> &B {
        &self.body
    }

    pub(super) fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// The body, if no frame of it was taken.
    pub(super) fn into_untouched(self) -> Option<B> {
        if self.is_touched { None } else { Some(self.body) }
    }

    /// How much of the request an endpoint can have seen.
    pub(super) fn sent(&self) -> Sent {
        if self.is_done { Sent::Wholly } else { Sent::Partly }
    }

    /// Sends what the client has and the endpoint takes. An endpoint that takes nothing any more is no fault here: its
    /// reply says what it means. The fault of a client whose body broke off is.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        self.waits_for_client = false;
        while self.stream.is_some() {
            if self.data.is_empty() {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Pending => {
                        self.waits_for_client = true;
                        return Ok(());
                    }
                    Poll::Ready(None) => self.end(),
                    Poll::Ready(Some(frame)) => {
                        let frame = frame?;
                        self.is_touched = true;
                        match frame.into_data() {
                            Ok(data) => self.data = data,
                            Err(frame) => self.end_with(frame.into_trailers().unwrap_or_default()),
                        }
                    }
                }
            } else if self.poll_piece(cx).is_pending() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(()) };
        stream.reserve_capacity(self.data.len());
        let mut room = stream.capacity();
        if room == 0 {
            room = match ready!(stream.poll_capacity(cx)) {
                Some(Ok(room)) => room,
                Some(Err(_)) | None => {
                    self.stop();
                    return Poll::Ready(());
                }
            };
        }
        let piece = self.data.split_to(room.min(self.data.len()));
        let is_last = self.data.is_empty() && self.body.is_end_stream();
        if stream.send_data(piece, is_last).is_err() {
            self.stop();
            return Poll::Ready(());
        }
        self.pieces += 1;
        if is_last {
            self.finish();
        }
        Poll::Ready(())
    }

    fn end(&mut self) {
        let ended = self.stream.as_mut().map(|stream| stream.send_data(Bytes::new(), true));
        if matches!(ended, Some(Ok(()))) { self.finish() } else { self.stop() }
    }

    fn end_with(&mut self, trailers: http::HeaderMap) {
        let ended = self.stream.as_mut().map(|stream| stream.send_trailers(trailers));
        if matches!(ended, Some(Ok(()))) { self.finish() } else { self.stop() }
    }

    fn finish(&mut self) {
        self.pieces += 1;
        self.is_done = true;
        self.stream = None;
    }

    /// Gives up: nothing more is taken from the client.
    fn stop(&mut self) {
        self.data = Bytes::new();
        self.stream = None;
    }
}
