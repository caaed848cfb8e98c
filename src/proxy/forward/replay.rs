// SPDX-License-Identifier: MIT OR Apache-2.0
//! The body of a request as attempts take it: as it comes, or from its beginning again as often as one is needed.
//!
//! Where nothing may need it twice a body is passed through and this costs nothing. Else what attempts take of it is
//! kept, up to a bound; a longer one is passed on like any other and is gone once it was. Only one attempt at a time
//! reads a body; two at a time have none.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::super::http::RequestBody;
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::protocol::taker::Taker;

/// A request body in the hands of one attempt.
#[derive(Debug)]
pub enum Sendable<B> {
    /// Passed on as it comes, once.
    Once(B),
    Kept(Replay<B>),
}

/// A reader of a kept body.
#[derive(Debug)]
pub struct Replay<B> {
    source: Rc<RefCell<Source<B>>>,
    /// Frames that this reader has taken.
    at: usize,
}

#[derive(Debug)]
struct Source<B> {
    body: B,
    kept: Vec<Bytes>,
    /// Bytes that may still be kept.
    room: u64,
    /// Whether something was passed on that is not kept.
    is_spent: bool,
    is_over: bool,
}

/// Where attempts get the body from.
#[derive(Debug)]
pub(super) enum Supply<B> {
    Once(Option<B>),
    Kept(Replay<B>),
}

impl<B> Supply<B> {
    /// A body that is sent once.
    pub(super) fn once(body: B) -> Self {
        Self::Once(Some(body))
    }

    /// A body of which so many bytes are kept.
    pub(super) fn kept(body: B, bytes: u64) -> Self {
        let source = Source { body, kept: Vec::new(), room: bytes, is_spent: false, is_over: false };
        Self::Kept(Replay { source: Rc::new(RefCell::new(source)), at: 0 })
    }

    /// Whether [`Supply::next`] has one.
    pub(super) fn is_left(&self) -> bool {
        match self {
            Self::Once(body) => body.is_some(),
            Self::Kept(replay) => !replay.source.borrow().is_spent,
        }
    }

    /// The body from its beginning, if that can be had.
    pub(super) fn next(&mut self) -> Option<Sendable<B>> {
        match self {
            Self::Once(body) => body.take().map(Sendable::Once),
            Self::Kept(_) if !self.is_left() => None,
            Self::Kept(replay) => Some(Sendable::Kept(Replay { source: Rc::clone(&replay.source), at: 0 })),
        }
    }

    /// Takes back a body that an attempt did not touch.
    pub(super) fn put_back(&mut self, body: Option<Sendable<B>>) {
        if let (Self::Once(place), Some(Sendable::Once(body))) = (self, body) {
            *place = Some(body);
        }
    }
}

impl<B: RequestBody> Replay<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let source = &mut *self.source.borrow_mut();
        if let Some(data) = source.kept.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if source.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut source.body).poll_frame(cx));
        match &frame {
            None => source.is_over = true,
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) if data.len() as u64 <= source.room && !source.is_spent => {
                    source.room -= data.len() as u64;
                    source.kept.push(data.clone());
                    self.at += 1;
                }
                // Too long, or trailers: passed on and gone.
                Some(_) | None => source.spend(&mut self.at),
            },
            Some(Err(_)) => source.spend(&mut self.at),
        }
        Poll::Ready(frame)
    }
}

impl<B> Source<B> {
    fn spend(&mut self, at: &mut usize) {
        self.is_spent = true;
        self.kept = Vec::new();
        *at = 0;
    }
}

impl<B: RequestBody> Body for Sendable<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Self::Once(body) => Pin::new(body).poll_frame(cx),
            Self::Kept(replay) => replay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(body) => body.is_end_stream(),
            Self::Kept(replay) => {
                let source = replay.source.borrow();
                replay.at >= source.kept.len() && (source.is_over || source.body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Once(body) => body.size_hint(),
            Self::Kept(_) => SizeHint::default(),
        }
    }
}

impl<B: RequestBody> RequestBody for Sendable<B> {
    fn limit(&self, limit: u64) -> Result<(), Fault> {
        match self {
            Self::Once(body) => body.limit(limit),
            Self::Kept(replay) => replay.source.borrow().body.limit(limit),
        }
    }

    fn copy_to(&mut self, taker: Taker) {
        match self {
            Self::Once(body) => body.copy_to(taker),
            Self::Kept(replay) => replay.source.borrow_mut().body.copy_to(taker),
        }
    }

    fn inform(&self, status: u16, fields: &Fields) {
        match self {
            Self::Once(body) => body.inform(status, fields),
            Self::Kept(replay) => replay.source.borrow().body.inform(status, fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use http_body::{Body, Frame};

    use super::{Sendable, Supply};
    use crate::exchange::Fields;
    use crate::fault::Fault;
    use crate::proxy::http::RequestBody;

    struct Pieces(VecDeque<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    impl RequestBody for Pieces {
        fn limit(&self, _limit: u64) -> Result<(), Fault> {
            Ok(())
        }

        fn inform(&self, _status: u16, _fields: &Fields) {}

        fn copy_to(&mut self, _taker: crate::protocol::taker::Taker) {}
    }

    /// Takes so many frames.
    fn read(body: &mut Sendable<Pieces>, frames: usize) -> String {
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        for _ in 0..frames {
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut cx) else { break };
            text.push_str(std::str::from_utf8(frame.data_ref().expect("data")).expect("text"));
        }
        text
    }

    fn pieces() -> Pieces {
        Pieces(["ab", "cd", "ef"].into())
    }

    #[test]
    fn a_kept_body_can_be_had_again() {
        let mut supply = Supply::kept(pieces(), 6);
        let mut first = supply.next().expect("from the start");
        assert_eq!(read(&mut first, 2), "abcd");
        let mut second = supply.next().expect("again");
        assert_eq!(read(&mut second, 9), "abcdef");
        assert!(second.is_end_stream());
        assert_eq!(read(&mut supply.next().expect("and again"), 9), "abcdef");
    }

    #[test]
    fn a_longer_one_is_sent_once() {
        let mut supply = Supply::kept(pieces(), 3);
        let mut first = supply.next().expect("from the start");
        assert_eq!(read(&mut first, 1), "ab");
        assert!(supply.is_left());
        assert_eq!(read(&mut first, 9), "cdef");
        assert!(!supply.is_left() && supply.next().is_none());
    }

    #[test]
    fn without_keeping_an_untouched_body_comes_back() {
        let mut supply = Supply::once(pieces());
        let body = supply.next();
        assert!(!supply.is_left() && supply.next().is_none());
        supply.put_back(body);
        assert_eq!(read(&mut supply.next().expect("put back"), 9), "abcdef");
    }
}
