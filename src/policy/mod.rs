// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a route makes a request and its reply pass: a closed set, in one fixed order, with one loop.
//!
//! The order is that of [`Phase`]; `config` sorts by it, so no file can put a limit per consumer before the policy
//! that knows the consumer. Policies see a [`Request`], not the whole exchange: they cannot choose an endpoint or
//! touch a body. They allocate nothing while they let a request pass, unless a key has to be cut out of a long
//! query or cookie. Each decision leaves a [`Note`]; nobody here logs.
//!
//! A policy that has to ask somebody says so ([`Verdict::Wait`]) and is called again with the answer, so [`on_request`]
//! is no `async fn`, and a route whose policies ask nobody costs no state machine.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::exchange::{self, Client, Fields, RequestId};
use crate::fault::Fault;
use authenticate::token::keys::Keys;

pub mod authenticate;

mod credentials;

pub mod headers;

mod identity;

mod mistake;

pub mod note;

pub mod rate_limit;

pub mod wait;

#[cfg(test)]
mod tests;

pub use authenticate::api_key::ApiKey;
pub use authenticate::jwt::JwtPolicy;
pub use authenticate::oauth2::OAuth2Policy;
pub use credentials::{Credential, CredentialChange, Credentials, Hash, OVERLAY_MAX, Subjects, hash_of};
pub use headers::Edits;
pub use identity::{Claims, Consumer, Identity, is_identity, strip_identity};
pub use mistake::Mistake;
pub use note::Note;
pub use rate_limit::{RateLimit, limit_fields};
pub use wait::{Answer, Steps, Waiting};

/// Notes of one exchange; more of them go to the heap.
pub type Notes = SmallVec<[Note; 4]>;

/// Declared in running order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before anybody is known: limits by client address, so that guessing keys is limited too.
    Access,
    /// Who is it?
    Authenticate,
    /// How often may they?
    Limit,
    /// What the endpoint sees.
    Transform,
    /// What the client sees.
    Reply,
}

/// A policy of a route.
#[derive(Clone, Debug)]
pub enum Policy {
    ApiKey(ApiKey),
    Jwt(JwtPolicy),
    OAuth2(OAuth2Policy),
    RateLimit(RateLimit),
    ReplyHeaders(Edits),
    RequestHeaders(Edits),
}

/// What a policy wants next.
#[derive(Debug)]
pub enum Verdict {
    Continue,
    /// Answer with this and go no further.
    Reply(Box<Reply>),
    /// Somebody has to be asked first; call again with the answer in [`Steps::answer`].
    Wait(Waiting),
}

/// An answer that a policy gives itself.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub fields: Fields,
    pub body: Cow<'static, [u8]>,
}

/// What policies see of a request and may change.
#[derive(Debug)]
pub struct Request<'a> {
    pub head: &'a mut exchange::Request,
    pub id: RequestId,
    pub client: &'a Client,
    /// Who asks: the peer, or what a trusted proxy says.
    pub client_ip: IpAddr,
    /// What stays the same for a route while its name does, for limits per route.
    pub route: u64,
    pub credentials: &'a Credentials,
    /// Written by the policies of [`Phase::Authenticate`] only.
    pub identity: &'a mut Identity,
    pub notes: &'a mut Notes,
    /// `clock::since_start_ns`, for limits.
    pub now_ns: u64,
    /// Seconds since 1970-01-01 UTC, for what expires.
    pub now_s: i64,
}

impl Policy {
    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        match self {
            Self::ApiKey(policy) => &policy.name,
            Self::Jwt(policy) => policy.name(),
            Self::OAuth2(policy) => policy.name(),
            Self::RateLimit(policy) => &policy.name,
            Self::ReplyHeaders(policy) | Self::RequestHeaders(policy) => &policy.name,
        }
    }

    /// When it runs.
    pub fn phase(&self) -> Phase {
        match self {
            Self::ApiKey(_) | Self::Jwt(_) | Self::OAuth2(_) => Phase::Authenticate,
            Self::RateLimit(limit) if limit.per == rate_limit::Per::Ip => Phase::Access,
            Self::RateLimit(_) => Phase::Limit,
            Self::ReplyHeaders(_) => Phase::Reply,
            Self::RequestHeaders(_) => Phase::Transform,
        }
    }
}

impl Policy {
    /// Names every set of keys that it verifies with.
    pub fn each_issuer(&self, visit: &mut dyn FnMut(&Arc<Keys>)) {
        match self {
            Self::Jwt(policy) => visit(&policy.0.keys),
            Self::ApiKey(_)
            | Self::OAuth2(_)
            | Self::RateLimit(_)
            | Self::ReplyHeaders(_)
            | Self::RequestHeaders(_) => {}
        }
    }
}

/// Puts policies in running order; those of one phase stay as they were written.
pub fn sort(policies: &mut [Policy]) {
    policies.sort_by_key(Policy::phase);
}

/// Runs the policies over a request, from where `steps` stands. `policies` are in running order.
pub fn on_request(policies: &[Policy], steps: &mut Steps, request: &mut Request<'_>) -> Result<Verdict, Fault> {
    while let Some(policy) = policies.get(steps.next) {
        let at = steps.next;
        let verdict = match policy {
            Policy::ApiKey(policy) => policy.check(at, request)?,
            Policy::Jwt(policy) => policy.check(at, request, steps.answer.take().as_ref())?,
            Policy::OAuth2(policy) => policy.check(at, request, steps.answer.take().as_ref())?,
            Policy::RateLimit(_) => limit(policies, at, request, steps)?,
            Policy::RequestHeaders(edits) => edit(edits, at, request),
            Policy::ReplyHeaders(_) => Verdict::Continue,
        };
        match verdict {
            Verdict::Continue => steps.next += 1,
            Verdict::Reply(_) | Verdict::Wait(_) => return Ok(verdict),
        }
    }
    Ok(Verdict::Continue)
}

/// Runs the policies over a reply, whether it came from an endpoint or is one of ours.
pub fn on_reply(policies: &[Policy], notes: &[Note], reply: &mut Fields) {
    limit_fields(policies, notes, reply);
    for policy in policies {
        match policy {
            Policy::ReplyHeaders(edits) => edits.apply(reply),
            Policy::ApiKey(_)
            | Policy::Jwt(_)
            | Policy::OAuth2(_)
            | Policy::RateLimit(_)
            | Policy::RequestHeaders(_) => {}
        }
    }
}

/// The limits of a phase are one transaction: the first of a run charges them all, the others have nothing to do. A
/// refusal also gives back what an earlier phase charged, so that a refused request is charged nothing at all; a
/// refused key does not, or guessing would be free.
fn limit(policies: &[Policy], at: usize, request: &mut Request<'_>, steps: &mut Steps) -> Result<Verdict, Fault> {
    let follows =
        at.checked_sub(1).and_then(|before| policies.get(before)).is_some_and(|before| limit_of(before).is_some());
    if follows && policies.get(at).map(Policy::phase) == policies.get(at - 1).map(Policy::phase) {
        return Ok(Verdict::Continue);
    }
    let run = run_of_limits(policies, at);
    let asks: rate_limit::Asks<'_> = run.iter().map(|limit| limit.ask(request)).collect();
    match rate_limit::charge_all(&asks, request.now_ns) {
        Ok(all) => {
            for (left, policy) in all.iter().zip(at..) {
                let reset_s = rate_limit::seconds(left.reset_ns);
                request.notes.push(Note::Limited { policy: place(policy), left: left.requests, reset_s });
            }
            steps.charged.extend(asks.iter().zip(at..).map(|(ask, policy)| (place(policy), ask.key())));
            Ok(Verdict::Continue)
        }
        Err(denied) => {
            steps.refund(policies);
            let retry_s = rate_limit::seconds(denied.retry_ns);
            request.notes.push(Note::Refused { policy: place(at + denied.at), retry_s });
            Err(run
                .get(denied.at)
                .map_or(Fault::Internal("a limit refused that is not there"), |limit| limit.fault(denied.retry_ns)))
        }
    }
}

/// The limits from `at` on that belong to the same phase.
fn run_of_limits(policies: &[Policy], at: usize) -> SmallVec<[&RateLimit; 4]> {
    let rest = policies.get(at..).unwrap_or_default();
    let phase = rest.first().map(Policy::phase);
    rest.iter().take_while(|policy| Some(policy.phase()) == phase).map_while(limit_of).collect()
}

fn limit_of(policy: &Policy) -> Option<&RateLimit> {
    match policy {
        Policy::RateLimit(limit) => Some(limit),
        Policy::ApiKey(_)
        | Policy::Jwt(_)
        | Policy::OAuth2(_)
        | Policy::ReplyHeaders(_)
        | Policy::RequestHeaders(_) => None,
    }
}

fn edit(edits: &Edits, at: usize, request: &mut Request<'_>) -> Verdict {
    edits.apply(&mut request.head.fields);
    request.notes.push(Note::Edited { policy: place(at) });
    Verdict::Continue
}

/// The place of a policy as a note holds it.
fn place(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// What each policy would do with this request, in running order, as phrases; the last is the refusal if there is
/// one. It charges no limit. The request is changed as it would be, so give it a copy.
pub fn explain(policies: &[Policy], request: &mut Request<'_>) -> Result<Vec<String>, (Vec<String>, Fault)> {
    let mut phrases = Vec::new();
    for (at, policy) in policies.iter().enumerate() {
        let outcome = match policy {
            Policy::ApiKey(key) => key
                .check(at, request)
                .map(|_| Note::Identified { policy: place(at) }.phrase(policies, request.identity.consumer.as_deref())),
            Policy::Jwt(policy) => policy.explain(at, request),
            Policy::OAuth2(policy) => policy.explain(at, request),
            Policy::RateLimit(limit) => match rate_limit::peek_all(&[limit.ask(request)], request.now_ns) {
                Ok(left) => {
                    let left = left.first().map_or(0, |left| left.requests);
                    Ok(Note::Limited { policy: place(at), left, reset_s: 0 }.phrase(policies, None))
                }
                Err(denied) => Err(limit.fault(denied.retry_ns)),
            },
            Policy::RequestHeaders(edits) => {
                edits.apply(&mut request.head.fields);
                Ok(format!("{} {} on the request", edits.name, edits.phrase()))
            }
            Policy::ReplyHeaders(edits) => Ok(format!("{} {} on the reply", edits.name, edits.phrase())),
        };
        match outcome {
            Ok(phrase) => phrases.push(phrase),
            Err(fault) => {
                phrases.push(format!("{fault}; {} more not reached", policies.len() - at - 1));
                return Err((phrases, fault));
            }
        }
    }
    Ok(phrases)
}
