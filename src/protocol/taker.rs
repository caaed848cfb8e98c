// SPDX-License-Identifier: MIT OR Apache-2.0
//! A copy of a request body, taken while the body passes: bounded, and given to whoever waits for it only if it came
//! whole.
//!
//! The bytes are copied and not shared, because a shared piece would keep the whole buffer alive that it was read into:
//! a body that drips would then cost a buffer for each of its bytes. The reader of the body notices nothing.

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::oneshot;

use crate::fault::Fault;

/// What a body polls to.
type Polled = Poll<Option<Result<Frame<Bytes>, Fault>>>;

/// Takes a copy of a body of at most so many bytes.
#[derive(Debug)]
pub struct Taker {
    body: Vec<u8>,
    bytes_max: usize,
    /// Gone once the copy is given or given up.
    whole: Option<oneshot::Sender<Vec<u8>>>,
}

impl Taker {
    /// A taker, and where the copy will be; an error there says that it is too long or did not come whole.
    pub fn new(bytes_max: usize) -> (Self, oneshot::Receiver<Vec<u8>>) {
        let (whole, copy) = oneshot::channel();
        (Self { body: Vec::new(), bytes_max, whole: Some(whole) }, copy)
    }

    /// Sees what was polled. `is_end` says that nothing follows.
    pub fn see(&mut self, polled: &Polled, is_end: bool) {
        if self.whole.is_none() {
            return;
        }
        match polled {
            Poll::Pending => return,
            Poll::Ready(Some(Err(_))) => return self.give_up(),
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.data_ref().map(|data| &**data).unwrap_or_default();
                if self.body.len().saturating_add(data.len()) > self.bytes_max {
                    return self.give_up();
                }
                self.body.extend_from_slice(data);
            }
            Poll::Ready(None) => {}
        }
        if (is_end || matches!(polled, Poll::Ready(None)))
            && let Some(whole) = self.whole.take()
        {
            // An error only says that nobody waits any more.
            let _gone = whole.send(std::mem::take(&mut self.body)).is_err();
        }
    }

    fn give_up(&mut self) {
        self.whole = None;
        self.body = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::{Bytes, Fault, Frame, Taker};

    /// Rows: the pieces of a body, whether the last is known to be the last, and the copy.
    #[test]
    fn a_copy_is_whole_or_none() {
        type Row = (&'static [&'static [u8]], bool, Option<&'static [u8]>);
        let rows: [Row; 6] = [
            (&[], false, Some(b"")),
            (&[b"ab", b"", b"cd"], false, Some(b"abcd")),
            (&[b"ab", b"cd"], true, Some(b"abcd")),
            (&[b"ab", b"cde"], false, None),
            (&[b"abcde"], true, None),
            (&[b"abcde", b""], false, None),
        ];
        for (pieces, is_told, want) in rows {
            let (mut taker, mut copy) = Taker::new(4);
            for (at, piece) in pieces.iter().enumerate() {
                let frame = Frame::data(Bytes::copy_from_slice(piece));
                taker.see(&Poll::Ready(Some(Ok(frame))), is_told && at + 1 == pieces.len());
            }
            if !is_told {
                taker.see(&Poll::Pending, false);
                taker.see(&Poll::Ready(None), true);
            }
            assert_eq!(copy.try_recv().ok().as_deref(), want, "row {pieces:?}");
        }
        let (mut taker, mut copy) = Taker::new(4);
        taker.see(&Poll::Ready(Some(Err(Fault::ClientClosed))), true);
        taker.see(&Poll::Ready(None), true);
        assert!(copy.try_recv().is_err(), "a body that broke off is none");
        let (taker, mut copy) = Taker::new(4);
        drop(taker);
        assert!(copy.try_recv().is_err(), "one that nobody read is none");
    }
}
