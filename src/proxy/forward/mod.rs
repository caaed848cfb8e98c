// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request to an endpoint and back to the head of its reply.
//!
//! The steps are files in the order they happen: `side` says which upstream, `sticky` who was served before, `admit`
//! whether it takes a request now, `attempt` tries endpoints until one answers or another try cannot help, `pick` says
//! which endpoint, `hedge` runs one attempt and what may run beside it, `connect` gets a connection and sends what `head`
//! or (over HTTP/2) `pseudo` wrote and the body that `replay` gives it, `outcome` tells everyone who learns from it how it
//! went, and `measure` how long it took. `turn` is the wait in the queue of a full upstream. `mirror` sends a copy
//! elsewhere, beside all that.

mod admit;

mod attempt;

mod connect;

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

use std::time::Instant;

use super::http::RequestBody;
use super::journey::Journey;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::protocol::http1::RequestFraming;
use crate::upstream::connection::Reply;
use crate::upstream::transport::Speech;

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
    pub sent: Option<Instant>,
    /// When the head of the reply was in hand: read once for everyone who measures.
    pub replied: Instant,
}

/// Sends the request to an endpoint of its route's upstream and waits for the head of the reply.
pub async fn forward<B>(
    journey: &mut Journey,
    framing: &RequestFraming,
    mut body: B,
) -> Result<Forwarded<Sendable<B>>, Fault>
where
    B: RequestBody,
{
    let upstream = side::choose(journey)?;
    sticky::begin(journey, &upstream);
    mirror::begin(journey, framing, &mut body);
    to_upstream(journey, &upstream, framing, body).await
}

/// The same once it is known which upstream: of a request, of a copy that a mirror makes, and of what a policy asks.
pub(super) async fn to_upstream<B>(
    journey: &mut Journey,
    upstream: &Upstream,
    framing: &RequestFraming,
    body: B,
) -> Result<Forwarded<Sendable<B>>, Fault>
where
    B: RequestBody,
{
    admit::enter(journey, upstream)?;
    let memory = journey.worker.memory_of(upstream);
    memory.budget.borrow_mut().record(clock::since_start_ns_at(journey.x.arrived));
    let mut head = journey.worker.buffers.output();
    if upstream.transport.speech == Speech::Http1 {
        head::write(&mut head, &journey.x, framing);
    }
    let going = hedge::Going { upstream, memory: &memory, framing, head: &head };
    let outcome = attempt::all(journey, going, body).await;
    journey.worker.buffers.return_output(head);
    admit::leave(journey, upstream, outcome.as_ref().map(|forwarded| forwarded.reply.line.status));
    outcome
}
