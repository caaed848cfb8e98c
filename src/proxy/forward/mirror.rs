// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of requests to another upstream, whose replies nobody sees.
//!
//! A copy is a journey of its own that no client waits for: it is balanced, connected and tried again as any other, and
//! counted as a copy and not as an exchange. What must stay true: the request itself waits for nothing here and fails
//! of nothing here. So a copy begins when the body has passed, is given up when that was too long or broke off, and is
//! not made at all while too many are under way.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::super::http::RequestBody;
use super::super::journey::Journey;
use super::{Forwarded, forward};
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::observe::{Copied, Copies};
use crate::protocol::http1::{Framing, RequestFraming};
use crate::protocol::taker::Taker;

/// Copies under way to one upstream, of one worker.
pub const COPIES_MAX: u32 = 128;

/// Bytes of bodies that copies under way to one upstream may hold, of one worker.
pub const COPY_BYTES_MAX: usize = 16 << 20;

/// What is read of a reply so that its connection can be used again; a longer one costs the connection.
const REPLY_BYTES_MAX: u64 = 256 << 10;

/// The copies under way to one upstream.
#[derive(Debug, Default)]
pub struct UnderWay {
    copies: Cell<u32>,
    bytes: Cell<usize>,
}

/// One of them.
struct Place {
    all: Rc<UnderWay>,
    bytes: usize,
}

impl UnderWay {
    fn take(self: &Rc<Self>, bytes: usize) -> Option<Place> {
        let held = self.bytes.get().saturating_add(bytes);
        if self.copies.get() >= COPIES_MAX || held > COPY_BYTES_MAX {
            return None;
        }
        self.copies.set(self.copies.get() + 1);
        self.bytes.set(held);
        Some(Place { all: Rc::clone(self), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.copies.set(self.all.copies.get().saturating_sub(1));
        self.all.bytes.set(self.all.bytes.get().saturating_sub(self.bytes));
    }
}

/// Has a request copied if its route has a mirror and its share takes it.
pub(super) fn begin<B: RequestBody>(journey: &Journey, framing: &RequestFraming, body: &mut B) {
    let Some(mirror) = journey.route().and_then(|route| route.mirror.as_deref()) else { return };
    let draw = journey.worker.draw() % 100;
    if draw >= u64::from(mirror.share) {
        return;
    }
    let copies = Arc::clone(&mirror.copies);
    match prepare(journey, framing, body) {
        Some(copy) => _ = tokio::task::spawn_local(copy.make(copies)),
        None => copies.count(Copied::Skipped),
    }
}

/// A copy that waits for its body.
struct Copy {
    journey: Box<Journey>,
    /// How the request says that it has no body, where it has none.
    framing: Framing,
    body: Option<oneshot::Receiver<Vec<u8>>>,
    _place: Place,
}

fn prepare<B: RequestBody>(journey: &Journey, framing: &RequestFraming, body: &mut B) -> Option<Copy> {
    let mirror = journey.route()?.mirror.as_deref()?;
    // What follows these is no message that could be copied.
    if framing.upgrade.is_some() || journey.x.request.method == http::Method::CONNECT {
        return None;
    }
    let upstream = journey.snapshot.upstreams.get(mirror.upstream as usize)?;
    let bytes = match framing.framing {
        framing if framing.is_empty() => 0,
        Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= mirror.body_bytes_max)?,
        Framing::Chunked | Framing::UntilClose | Framing::None => mirror.body_bytes_max,
    };
    let place = journey.worker.memory_of(upstream).copies.take(bytes)?;
    let awaited = (bytes > 0).then(|| {
        let (taker, whole) = Taker::new(mirror.body_bytes_max);
        body.copy_to(taker);
        whole
    });
    Some(Copy { journey: journey.copy(mirror.upstream), framing: framing.framing, body: awaited, _place: place })
}

impl Copy {
    async fn make(mut self, copies: Arc<Copies>) {
        let (framing, body) = match self.body.take() {
            None => (self.framing, Bytes::new()),
            Some(whole) => match whole.await {
                Ok(body) => (Framing::Length(body.len() as u64), Bytes::from(body)),
                Err(_) => return copies.count(Copied::Skipped),
            },
        };
        copies.count(match send(&mut self.journey, framing, body).await {
            Ok(()) => Copied::Sent,
            Err(_) => Copied::Failed,
        });
    }
}

async fn send(journey: &mut Journey, framing: Framing, body: Bytes) -> Result<(), Fault> {
    let framing = RequestFraming { framing, keep_alive: true, expect_continue: false, upgrade: None };
    let body = WholeBody::new(body);
    let Forwarded { reply, .. } = forward(journey, &framing, body).await?;
    drop_reply(reply.body).await
}

/// Reads a reply to its end and forgets it.
async fn drop_reply<B>(mut body: B) -> Result<(), Fault>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let mut read = 0_u64;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        read += frame?.data_ref().map_or(0, |data| data.len() as u64);
        if read > REPLY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// A body that is all there.
#[derive(Debug)]
pub(in super::super) struct WholeBody(Option<Bytes>);

impl WholeBody {
    pub(in super::super) fn new(body: Bytes) -> Self {
        Self(Some(body).filter(|body| !body.is_empty()))
    }
}

impl RequestBody for WholeBody {
    fn limit(&self, _limit: u64) -> Result<(), Fault> {
        Ok(())
    }

    fn inform(&self, _status: u16, _fields: &Fields) {}

    fn copy_to(&mut self, _taker: Taker) {}
}

impl Body for WholeBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{COPIES_MAX, COPY_BYTES_MAX, UnderWay};

    #[test]
    fn copies_under_way_are_bounded_in_number_and_in_bytes() {
        let all = Rc::<UnderWay>::default();
        let mut places: Vec<_> = (0..COPIES_MAX).map(|_| all.take(0).expect("room")).collect();
        assert!(all.take(0).is_none());
        places.truncate(1);
        places.push(all.take(COPY_BYTES_MAX - 1).expect("room"));
        assert!(all.take(2).is_none());
        assert!(all.take(1).is_some(), "and what is given back can be taken again");
        places.clear();
        assert_eq!((all.copies.get(), all.bytes.get()), (0, 0));
    }
}
