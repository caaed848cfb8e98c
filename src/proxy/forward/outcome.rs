// SPDX-License-Identifier: MIT OR Apache-2.0
//! What everyone who learns from attempts is told about one: the health of the endpoint now, and whatever measures.

use super::Forwarded;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::upstream::endpoint::Endpoint;

/// How an attempt went.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Outcome<'a> {
    /// The endpoint answered with this status.
    #[expect(dead_code, reason = "the passive checks read it, in the next change")]
    Answered(u16),
    /// It did not.
    Failed(&'a Fault),
}

impl<'a> Outcome<'a> {
    /// How the attempt went that ended like this.
    pub(super) fn of<B>(result: &'a Result<Forwarded<B>, Fault>) -> Self {
        match result {
            Ok(forwarded) => Self::Answered(forwarded.reply.line.status),
            Err(fault) => Self::Failed(fault),
        }
    }
}

/// Tells them. Called once for each attempt, answered or not.
pub(in super::super) fn observe(_upstream: &Upstream, endpoint: &Endpoint, outcome: Outcome<'_>) {
    if let Outcome::Failed(Fault::Connect { .. } | Fault::ConnectTimeout { .. }) = outcome {
        endpoint.live.suspect();
    }
}
