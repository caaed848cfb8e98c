// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bodies of one HTTP/2 stream: what the client sends, with its deadline and limit, and what it gets, with the
//! journey that ends when it does.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Active;
use super::stream::{note_frame, note_wait};
use crate::clock::{Deadline, Deadlines};
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::protocol::taker::Taker;
use crate::proxy::forward::Sendable;
use crate::proxy::http::RequestBody;
use crate::proxy::journey::Journey;
use crate::proxy::reply::Content;

/// A request body.
#[derive(Debug)]
pub(super) struct InBody {
    incoming: Incoming,
    deadline: Deadline,
    patience: Duration,
    is_waiting: bool,
    limit: Cell<u64>,
    received: Rc<Cell<u64>>,
    copy: Option<Box<Taker>>,
}

impl InBody {
    pub(super) fn new(incoming: Incoming, deadlines: &Deadlines, patience: Duration) -> Self {
        let deadline = deadlines.unarmed();
        Self {
            incoming,
            deadline,
            patience,
            is_waiting: false,
            limit: Cell::new(u64::MAX),
            received: Rc::default(),
            copy: None,
        }
    }

    /// Counts the bytes that came.
    pub(super) fn received(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.received)
    }

    fn admit(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Fault> {
        if let Some(data) = frame.data_ref() {
            self.received.set(self.received.get() + data.len() as u64);
            let limit = self.limit.get();
            if self.received.get() > limit {
                return Err(Fault::BodyTooLarge { limit });
            }
        }
        Ok(frame)
    }
}

impl RequestBody for InBody {
    fn limit(&self, limit: u64) -> Result<(), Fault> {
        self.limit.set(limit);
        if self.incoming.size_hint().lower() > limit { Err(Fault::BodyTooLarge { limit }) } else { Ok(()) }
    }

    fn copy_to(&mut self, taker: Taker) {
        self.copy = Some(Box::new(taker));
    }

    /// hyper offers no way to send one.
    fn inform(&self, _status: u16, _fields: &Fields) {}
}

impl Body for InBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let polled = self.poll_incoming(cx);
        let is_end = self.incoming.is_end_stream();
        if let Some(copy) = &mut self.copy {
            copy.see(&polled, is_end);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl InBody {
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.is_waiting = false;
                Poll::Ready(frame.map(|frame| match frame {
                    Ok(frame) => self.admit(frame),
                    Err(_) => Err(Fault::ClientClosed),
                }))
            }
            Poll::Pending => {
                if !std::mem::replace(&mut self.is_waiting, true) {
                    self.deadline.reset(self.patience);
                }
                let patience = self.patience;
                self.deadline.poll_expired(cx).map(|()| Some(Err(Fault::BodyTimeout(patience))))
            }
        }
    }
}

/// A reply body.
#[derive(Debug)]
pub(super) struct OutBody {
    content: Content<Sendable<InBody>>,
    journey: Box<Journey>,
    received: Rc<Cell<u64>>,
    active: Active,
    is_bodiless: bool,
}

impl OutBody {
    pub(super) fn new(
        content: Content<Sendable<InBody>>,
        journey: Box<Journey>,
        received: Rc<Cell<u64>>,
        mut active: Active,
        is_bodiless: bool,
    ) -> Self {
        active.is_finished = is_bodiless || content.is_end_stream();
        Self { content, journey, received, active, is_bodiless }
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.is_bodiless {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.content).poll_frame(cx);
        match &polled {
            Poll::Pending => note_wait(),
            Poll::Ready(None) => self.active.is_finished = true,
            Poll::Ready(Some(Ok(frame))) => {
                note_frame();
                self.journey.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                // hyper asks no further once the end is known.
                self.active.is_finished |= self.content.is_end_stream();
            }
            Poll::Ready(Some(Err(fault))) => {
                // The client did not cancel: the endpoint broke off.
                self.active.is_finished = true;
                self.journey.cut(fault.clone());
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_bodiless || self.content.is_end_stream()
    }
}

impl Drop for OutBody {
    fn drop(&mut self) {
        self.journey.bytes_in += self.received.get();
        if !self.active.is_finished {
            self.journey.cut(Fault::ClientClosed);
        }
    }
}
