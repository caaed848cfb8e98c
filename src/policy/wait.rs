// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a request is among its policies, and what a policy waits for.
//!
//! A policy that has to ask somebody gives back a [`Waiting`] and keeps nothing of the request; the proxy waits and calls
//! it again with the [`Answer`]. It waits no longer than [`WAIT_MAX`], whatever the policy says, and a client that goes
//! away ends the wait by dropping it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;

use super::authenticate::passwords::Checked;
use super::authenticate::token::introspection::Said;
use super::concurrency::Slot;
use super::forward_auth::{Lead, Outcome};
use super::limits::Charge;
use super::{Called, Consumer, Policy};
use crate::fault::Fault;

/// The longest that one policy may wait for an answer.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Places among requests under way, given back when they are dropped.
pub type Slots = SmallVec<[Slot; 1]>;

/// Where a request is among its policies.
#[derive(Debug, Default)]
pub struct Steps {
    /// The place of the policy that is next.
    pub(super) next: usize,
    /// What the policies before it charged, to be given back if a later one refuses.
    pub(super) charged: SmallVec<[Charge; 4]>,
    /// The places among requests under way that it has.
    pub slots: Slots,
    /// What the policy that is next waited for.
    pub answer: Option<Answer>,
    /// What others wait for this request to find out.
    pub(super) lead: Option<Lead>,
}

impl Steps {
    /// Gives back what was charged.
    pub(super) fn refund(&mut self, policies: &[Policy], consumer: Option<&Consumer>) {
        self.charged.drain(..).for_each(|charge| charge.refund(policies, consumer));
    }

    /// Gives back what was charged to quotas, as a policy refuses that is none of them.
    pub(super) fn refund_quotas(&mut self, policies: &[Policy], consumer: Option<&Consumer>) {
        self.charged.drain(..).filter(Charge::is_quota).for_each(|charge| charge.refund(policies, consumer));
    }
}

/// What came of waiting.
#[derive(Debug)]
pub enum Answer {
    /// A fetch of keys has ended.
    Keys,
    /// What an issuer says of a token.
    Introspected(Said),
    /// The one that was to ask went away without an answer.
    Abandoned,
    /// What an upstream said to a [`Call`](super::Call).
    Called(Result<Called, Box<Fault>>),
    /// Nobody answered in [`WAIT_MAX`].
    Late,
    /// What a service said to another request, and is said to this one, too.
    Told(Arc<Outcome>),
    /// A password was checked, or could not be.
    Password(Checked),
}

/// An answer that is on its way.
pub struct Waiting(Pin<Box<dyn Future<Output = Answer>>>);

impl Waiting {
    pub fn new(answer: impl Future<Output = Answer> + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
