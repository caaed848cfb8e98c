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

pub mod access;

pub mod authenticate;

pub mod authorize;

pub mod call;

mod credentials;

pub mod forward_auth;

pub mod headers;

mod identity;

pub mod last_used;

mod mistake;

pub mod note;

pub mod rate_limit;

pub mod wait;

#[cfg(test)]
mod tests;

pub use access::bots::Bots;
pub use access::ip::Ip;
pub use access::methods::Methods;
pub use authenticate::any_of::AnyOf;
pub use authenticate::api_key::ApiKey;
pub use authenticate::basic::Basic;
pub use authenticate::jwt::JwtPolicy;
pub use authenticate::mtls::Mtls;
pub use authenticate::oauth2::OAuth2Policy;
pub use authenticate::signature::HttpSignature;
pub use authorize::Authorize;
pub use call::{Call, Called};
pub use credentials::{Credential, CredentialChange, Credentials, Hash, OVERLAY_MAX, Subjects, hash_of};
pub use forward_auth::{ForwardAuth, Verdicts};
pub use headers::Edits;
pub use identity::{Claims, Consumer, Identity, is_certificate, is_identity, strip_identity};
pub use mistake::Mistake;
pub use note::Note;
pub use rate_limit::{RateLimit, limit_fields};
pub use wait::{Answer, Steps, Waiting};

/// Notes of one exchange; more of them go to the heap.
pub type Notes = SmallVec<[Note; 4]>;

/// Declared in running order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before anybody is known: by address and method, then limits by client address, so that guessing keys is limited
    /// too.
    Access,
    /// Who is it?
    Authenticate,
    /// May they?
    Authorize,
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
    AnyOf(AnyOf),
    ApiKey(ApiKey),
    Authorize(Arc<Authorize>),
    Basic(Basic),
    Bots(Arc<Bots>),
    ForwardAuth(Arc<ForwardAuth>),
    HttpSignature(HttpSignature),
    Ip(Arc<Ip>),
    Jwt(JwtPolicy),
    Methods(Arc<Methods>),
    Mtls(Mtls),
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
    /// The same, and it is an upstream that has to be asked.
    Call(Box<Call>),
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
            Self::AnyOf(policy) => &policy.name,
            Self::ApiKey(policy) => &policy.name,
            Self::Jwt(policy) => policy.name(),
            Self::OAuth2(policy) => policy.name(),
            Self::Authorize(policy) => &policy.name,
            Self::Basic(policy) => &policy.name,
            Self::Bots(policy) => &policy.name,
            Self::ForwardAuth(policy) => &policy.name,
            Self::HttpSignature(policy) => &policy.name,
            Self::Ip(policy) => &policy.name,
            Self::Methods(policy) => &policy.name,
            Self::Mtls(policy) => &policy.name,
            Self::RateLimit(policy) => &policy.name,
            Self::ReplyHeaders(policy) | Self::RequestHeaders(policy) => &policy.name,
        }
    }

    /// When it runs.
    pub fn phase(&self) -> Phase {
        match self {
            Self::AnyOf(_)
            | Self::ApiKey(_)
            | Self::Basic(_)
            | Self::HttpSignature(_)
            | Self::Jwt(_)
            | Self::Mtls(_)
            | Self::OAuth2(_) => Phase::Authenticate,
            Self::Authorize(_) | Self::ForwardAuth(_) => Phase::Authorize,
            Self::Bots(_) | Self::Ip(_) | Self::Methods(_) => Phase::Access,
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
            Self::AnyOf(policy) => policy.methods().iter().for_each(|method| method.each_issuer(visit)),
            Self::Jwt(policy) => visit(&policy.0.keys),
            _ => {}
        }
    }
}

/// Puts policies in running order. In one phase, those come last that charge somebody or ask somebody, so that what is
/// refused for nothing is; the others stay as they were written.
pub fn sort(policies: &mut [Policy]) {
    let is_late = |policy: &Policy| matches!(policy, Policy::ForwardAuth(_) | Policy::RateLimit(_));
    policies.sort_by_key(|policy| (policy.phase(), is_late(policy)));
}

/// Runs the policies over a request, from where `steps` stands. `policies` are in running order.
pub fn on_request(policies: &[Policy], steps: &mut Steps, request: &mut Request<'_>) -> Result<Verdict, Fault> {
    while let Some(policy) = policies.get(steps.next) {
        let at = steps.next;
        let verdict = match policy {
            Policy::AnyOf(_)
            | Policy::ApiKey(_)
            | Policy::Basic(_)
            | Policy::HttpSignature(_)
            | Policy::Jwt(_)
            | Policy::Mtls(_)
            | Policy::OAuth2(_) => authenticate::check(policy, at, request, steps)?,
            Policy::Authorize(policy) => policy.check(at, request)?,
            Policy::Bots(policy) => policy.check(at, request)?,
            Policy::ForwardAuth(policy) => policy.check(at, request, steps)?,
            Policy::Ip(policy) => policy.check(at, request)?,
            Policy::Methods(policy) => policy.check(at, request)?,
            Policy::RateLimit(_) => limit(policies, at, request, steps)?,
            Policy::RequestHeaders(edits) => edit(edits, at, request),
            Policy::ReplyHeaders(_) => Verdict::Continue,
        };
        match verdict {
            Verdict::Continue => steps.next += 1,
            Verdict::Reply(_) | Verdict::Wait(_) | Verdict::Call(_) => return Ok(verdict),
        }
    }
    Ok(Verdict::Continue)
}

/// Runs the policies over a reply, whether it came from an endpoint or is one of ours.
pub fn on_reply(policies: &[Policy], notes: &[Note], reply: &mut Fields) {
    limit_fields(policies, notes, reply);
    for policy in policies {
        if let Policy::ReplyHeaders(edits) = policy {
            edits.apply(reply);
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
        _ => None,
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

/// What the policy that was just asked has noted.
fn last(policies: &[Policy], request: &Request<'_>) -> String {
    let consumer = request.identity.consumer.as_deref();
    request.notes.last().map_or_else(String::new, |note| note.phrase(policies, consumer))
}

/// What each policy would do with this request, in running order, as phrases; the last is the refusal if there is
/// one. It charges no limit. The request is changed as it would be, so give it a copy.
pub fn explain(policies: &[Policy], request: &mut Request<'_>) -> Result<Vec<String>, (Vec<String>, Fault)> {
    let mut phrases = Vec::new();
    for (at, policy) in policies.iter().enumerate() {
        let outcome = match policy {
            Policy::AnyOf(_)
            | Policy::ApiKey(_)
            | Policy::Basic(_)
            | Policy::HttpSignature(_)
            | Policy::Jwt(_)
            | Policy::Mtls(_)
            | Policy::OAuth2(_) => authenticate::explain(policy, at, policies, request),
            Policy::Authorize(policy) => policy.check(at, request).map(|_| last(policies, request)),
            Policy::Bots(policy) => policy.check(at, request).map(|_| last(policies, request)),
            Policy::ForwardAuth(policy) => policy.explain(request),
            Policy::Ip(policy) => policy.check(at, request).map(|_| last(policies, request)),
            Policy::Methods(policy) => policy.check(at, request).map(|_| last(policies, request)),
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
