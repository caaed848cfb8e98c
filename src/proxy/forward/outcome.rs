// SPDX-License-Identifier: MIT OR Apache-2.0
//! What everyone who learns from attempts is told about one: the health of the endpoint now, and whatever measures.
//!
//! An attempt is told of twice: when the head of its reply is here or will never be ([`observe`]), and when it is over
//! and was cut before its end ([`cut`]). What counts against an endpoint is one list, [`blames`].

use std::time::Instant;

use super::super::journey::Journey;
use super::Forwarded;
use crate::fault::Fault;
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::passive::Ending;

/// How an attempt went.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Outcome<'a> {
    /// The endpoint answered with this status, at that instant.
    Answered(u16, Instant),
    /// It did not.
    Failed(&'a Fault),
}

impl<'a> Outcome<'a> {
    /// How the attempt went that ended like this.
    pub(super) fn of<B>(result: &'a Result<Forwarded<B>, Fault>) -> Self {
        match result {
            Ok(forwarded) => Self::Answered(forwarded.reply.line.status, forwarded.replied),
            Err(fault) => Self::Failed(fault),
        }
    }
}

/// Tells them. Called once for each attempt that was sent at `sent`, answered or not.
pub(super) fn observe(endpoint: &Endpoint, in_flight: Option<&InFlight>, sent: Instant, outcome: Outcome<'_>) {
    let passive = &endpoint.live.passive;
    let ending = match outcome {
        Outcome::Answered(status, replied) => {
            passive.answered(replied.saturating_duration_since(sent));
            Some(if status >= 500 { Ending::Bad } else { Ending::Good })
        }
        Outcome::Failed(fault) => {
            if matches!(fault, Fault::Connect { .. } | Fault::ConnectTimeout { .. }) {
                endpoint.live.suspect();
            }
            if !matches!(fault, Fault::ConnectTimeout { .. } | Fault::ReplyTimeout { .. } | Fault::TryTimeout { .. }) {
                passive.not_silent();
            }
            blames(fault).then_some(Ending::Bad)
        }
    };
    if let (Some(in_flight), Some(ending)) = (in_flight, ending) {
        in_flight.ends(ending);
    }
}

/// The same for a connection or session that passes unread. It is over for this purpose once it is open: what happens on
/// it later, for days perhaps, is between its two ends.
pub(in super::super) fn observe_passage(endpoint: &Endpoint, outcome: Outcome<'_>) {
    let passive = &endpoint.live.passive;
    match outcome {
        Outcome::Answered(..) => passive.settle(Ending::Good),
        Outcome::Failed(fault) => {
            if matches!(fault, Fault::Connect { .. } | Fault::ConnectTimeout { .. }) {
                endpoint.live.suspect();
            }
            if blames(fault) {
                passive.settle(Ending::Bad);
            }
        }
    }
}

/// A reply ended before its end. What it had said before counts no more.
pub(in super::super) fn cut(journey: &Journey, fault: &Fault) {
    if let Some(in_flight) = &journey.in_flight
        && blames(fault)
    {
        in_flight.ends(Ending::Bad);
    }
}

/// Whether a fault is a failure of the endpoint. An idle connection that died before a byte of reply is nobody's: it
/// says that we were late, not that the endpoint is ill.
fn blames(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Connect { .. }
            | Fault::ConnectTimeout { .. }
            | Fault::Closed { .. }
            | Fault::ReplyTimeout { .. }
            | Fault::TryTimeout { .. }
            | Fault::BadReply { .. }
            | Fault::ReplyCut { .. }
    )
}
