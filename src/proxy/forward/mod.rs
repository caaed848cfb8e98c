// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request to an endpoint and back to the head of its reply.
//!
//! The steps are files in the order they happen: `side` says which upstream, `sticky` who was served before, `admit`
//! whether it takes a request now, `attempt` tries endpoints until one answers or another try cannot help, `pick` says
//! which endpoint, `going` makes one attempt: `connect` gets a connection and sends what `head` or (over HTTP/2) `pseudo`
//! wrote and the body that `replay` gives it, `outcome` tells everyone who learns from it how it went, and `measure` how
//! long it took. `hedge` is what may run beside an attempt, `turn` the wait in the queue of a full upstream. `mirror`
//! sends a copy elsewhere, beside all that.
//!
//! Every request waits for its reply at the bottom of these functions, and each of them holds the future of the next one.
//! So what is rare is boxed where it is called, and what is common is written in as few of them as can be read.

mod admit;

mod attempt;

mod connect;

mod going;

mod head;

mod hedge;

mod measure;

mod mirror;

mod outcome;

mod pick;

mod pseudo;

mod replay;

mod side;

mod sticky;

mod turn;

use std::rc::Rc;
use std::time::Instant;

use super::http::RequestBody;
use super::journey::Journey;
use crate::fault::Fault;
use crate::protocol::http1::RequestFraming;
use crate::upstream::connection::Reply;
use crate::upstream::transport::Speech;

use going::Going;

pub(super) use admit::{Admitted, explain as explain_limits};
pub(super) use head::render;
pub(super) use measure::ended;
pub(super) use mirror::WholeBody;
pub use mirror::{COPIES_MAX, COPY_BYTES_MAX, UnderWay};
pub(super) use outcome::{Outcome, cut, observe_passage};
pub(super) use pick::nobody_of;
pub use replay::Sendable;
pub use sticky::Kept;
pub(super) use sticky::{answered, choose as choose_kept, read as read_kept, side as side_kept};
pub(super) use turn::wait as wait_in_turn;

/// What came back.
#[derive(Debug)]
pub struct Forwarded<B> {
    pub reply: Reply<B>,
    /// When the attempt that was answered began.
    pub sent: Instant,
    /// When the head of the reply was in hand: read once for everyone who measures.
    pub replied: Instant,
}

/// Chooses the upstream, with what that means for the request: where its client was before, and who gets a copy.
pub fn begin<B: RequestBody>(journey: &mut Journey, framing: &RequestFraming, body: &mut B) -> Result<(), Fault> {
    side::choose(journey)?;
    sticky::begin(journey);
    mirror::begin(journey, framing, body);
    Ok(())
}

/// Sends the request to an endpoint of the upstream that was chosen and waits for the head of the reply: a request, a copy
/// that a mirror makes, and what a policy asks.
pub async fn forward<B>(
    journey: &mut Journey,
    framing: &RequestFraming,
    body: B,
) -> Result<Forwarded<Sendable<B>>, Fault>
where
    B: RequestBody,
{
    let snapshot = Rc::clone(&journey.snapshot);
    let upstream = journey.upstream.and_then(|index| snapshot.upstreams.get(index as usize));
    let upstream = upstream.ok_or(Fault::Internal("a route without an upstream"))?;
    admit::enter(journey, upstream)?;
    let memory = journey.worker.memory_of(upstream);
    memory.budget.borrow_mut().record(journey.arrived_ns);
    let mut head = journey.worker.buffers.output();
    if upstream.transport.speech == Speech::Http1 {
        head::write(&mut head, &journey.x, framing);
    }
    let going = Going { upstream, memory: &memory, framing, head: &head };
    let outcome = attempt::all(journey, going, body).await;
    journey.worker.buffers.return_output(head);
    admit::leave(journey, upstream, outcome.as_ref().map(|forwarded| forwarded.reply.line.status));
    outcome
}
