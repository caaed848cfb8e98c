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

pub mod answers;

pub mod authenticate;

pub mod authorize;

pub mod call;

pub mod concurrency;
pub mod cors;

mod credentials;

pub mod deprecation;

mod explain;

pub mod forward_auth;

pub mod headers;

mod identity;

pub mod ids;

pub mod last_used;

mod limits;

mod mistake;

pub mod note;

pub mod plan;

pub mod quota;

pub mod rate_limit;

pub mod redirect;

pub mod rewrite;

pub mod security_headers;

pub mod template;

pub mod wait;

#[cfg(test)]
mod tests;

pub use access::bots::Bots;
pub use access::ip::Ip;
pub use access::methods::Methods;
pub use answers::{FixedReply, Maintenance};
pub use authenticate::any_of::AnyOf;
pub use authenticate::api_key::ApiKey;
pub use authenticate::basic::Basic;
pub use authenticate::jwt::JwtPolicy;
pub use authenticate::mtls::Mtls;
pub use authenticate::oauth2::OAuth2Policy;
pub use authenticate::signature::HttpSignature;
pub use authorize::Authorize;
pub use call::{Call, Called};
pub use concurrency::Concurrency;
pub use cors::Cors;
pub use credentials::{Credential, CredentialChange, Credentials, Hash, OVERLAY_MAX, Subjects, hash_of};
pub use deprecation::Deprecation;
pub use explain::{Explained, explain};
pub use forward_auth::{ForwardAuth, Verdicts};
pub use headers::Edits;
pub use identity::{Claims, Consumer, Identity, is_certificate, is_identity, strip_identity};
pub use ids::{IdField, TraceContinued};
pub use limits::limit_fields;
pub use mistake::Mistake;
pub use note::Note;
pub use quota::Quota;
pub use rate_limit::RateLimit;
pub use redirect::Redirect;
pub use rewrite::Rewrite;
pub use security_headers::SecurityHeaders;
pub use template::Template;
pub use wait::{Answer, Slots, Steps, Waiting};

/// Notes of one exchange; more of them go to the heap.
pub type Notes = SmallVec<[Note; 4]>;

/// Declared in running order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before anybody is known: by address and method, then limits by client address, so that guessing keys is limited
    /// too.
    Access,
    /// What a browser asks before it asks.
    Preflight,
    /// Who is it?
    Authenticate,
    /// May they?
    Authorize,
    /// Is it still there?
    Version,
    /// How often may they?
    Limit,
    /// What the endpoint sees.
    Transform,
    /// What is answered here.
    Respond,
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
    Concurrency(Concurrency),
    Cors(Cors),
    Deprecation(Deprecation),
    FixedReply(FixedReply),
    ForwardAuth(Arc<ForwardAuth>),
    HttpSignature(HttpSignature),
    IdField(IdField),
    Ip(Arc<Ip>),
    Jwt(JwtPolicy),
    Maintenance(Maintenance),
    Methods(Arc<Methods>),
    Mtls(Mtls),
    OAuth2(OAuth2Policy),
    /// The limits of the caller's own plan; wherever somebody finds out who calls.
    Plan,
    Quota(Quota),
    RateLimit(RateLimit),
    Redirect(Redirect),
    ReplyHeaders(Edits),
    RequestHeaders(Edits),
    Rewrite(Box<Rewrite>),
    SecurityHeaders(SecurityHeaders),
    Trace(TraceContinued),
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
    /// Where the parts of the matched path are that the path of the route names, if a policy asks for them.
    pub captured: &'a [(u32, u32)],
    pub credentials: &'a Credentials,
    /// Written by the policies of [`Phase::Authenticate`] only.
    pub identity: &'a mut Identity,
    pub notes: &'a mut Notes,
    /// `clock::since_start_ns`, for limits.
    pub now_ns: u64,
    /// Seconds since 1970-01-01 UTC, for what expires.
    pub now_s: i64,
}

/// What policies see of an exchange when its reply is there.
#[derive(Clone, Copy, Debug)]
pub struct Replied<'a> {
    pub head: &'a exchange::Request,
    pub id: RequestId,
    pub client: &'a Client,
    pub consumer: Option<&'a Consumer>,
    pub notes: &'a [Note],
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
            Self::Concurrency(policy) => &policy.name,
            Self::ForwardAuth(policy) => &policy.name,
            Self::HttpSignature(policy) => &policy.name,
            Self::Ip(policy) => &policy.name,
            Self::Methods(policy) => &policy.name,
            Self::Mtls(policy) => &policy.name,
            Self::Cors(policy) => &policy.name,
            Self::Deprecation(policy) => &policy.name,
            Self::FixedReply(policy) => &policy.name,
            Self::IdField(policy) => &policy.name,
            Self::Maintenance(policy) => &policy.name,
            Self::Plan => "plan",
            Self::Quota(policy) => &policy.name,
            Self::RateLimit(policy) => &policy.name,
            Self::Redirect(policy) => &policy.name,
            Self::ReplyHeaders(policy) | Self::RequestHeaders(policy) => &policy.name,
            Self::Rewrite(policy) => &policy.name,
            Self::SecurityHeaders(policy) => &policy.name,
            Self::Trace(policy) => &policy.name,
        }
    }

    /// Whether it asks for parts of the path.
    pub fn holds_capture(&self) -> bool {
        match self {
            Self::Redirect(policy) => policy.to.holds_capture(),
            Self::Rewrite(policy) => policy.holds_capture(),
            _ => false,
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
            Self::Cors(_) => Phase::Preflight,
            Self::Deprecation(_) => Phase::Version,
            Self::FixedReply(_) | Self::Redirect(_) => Phase::Respond,
            Self::IdField(_) | Self::Maintenance(_) | Self::Trace(_) => Phase::Access,
            Self::RateLimit(RateLimit { per, .. })
            | Self::Quota(Quota { per, .. })
            | Self::Concurrency(Concurrency { per, .. }) => limits::phase(per),
            Self::Plan => Phase::Limit,
            Self::ReplyHeaders(_) | Self::SecurityHeaders(_) => Phase::Reply,
            Self::RequestHeaders(_) | Self::Rewrite(_) => Phase::Transform,
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
    let is_late = |policy: &Policy| matches!(policy, Policy::ForwardAuth(_)) || limits::is_limit(policy);
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
            | Policy::OAuth2(_) => authenticate::check(policy, at, request, steps),
            Policy::Authorize(policy) => policy.check(at, request),
            Policy::Bots(policy) => policy.check(at, request),
            Policy::Concurrency(_) | Policy::Plan | Policy::Quota(_) | Policy::RateLimit(_) => {
                limits::check(policies, at, request, steps)
            }
            Policy::Cors(policy) => Ok(policy.check(at, request)),
            Policy::Deprecation(policy) => policy.check(request),
            Policy::FixedReply(policy) => Ok(policy.check(at, request)),
            Policy::ForwardAuth(policy) => policy.check(at, request, steps),
            Policy::IdField(policy) => Ok(policy.check(request)),
            Policy::Ip(policy) => policy.check(at, request),
            Policy::Maintenance(policy) => policy.check(at, request),
            Policy::Methods(policy) => policy.check(at, request),
            Policy::Redirect(policy) => policy.check(at, request),
            Policy::RequestHeaders(edits) => Ok(edit(edits, at, request)),
            Policy::Rewrite(policy) => policy.check(at, request),
            Policy::Trace(policy) => Ok(policy.check(at, request)),
            Policy::ReplyHeaders(_) | Policy::SecurityHeaders(_) => Ok(Verdict::Continue),
        };
        // A refused key is charged, or guessing would be free; but no quota is for what was refused.
        let verdict = verdict.inspect_err(|_| steps.refund_quotas(policies, request.identity.consumer.as_deref()))?;
        match verdict {
            Verdict::Continue => steps.next += 1,
            Verdict::Reply(_) => {
                // Before any limit by consumer a reply is a denial.
                if policy.phase() < Phase::Limit {
                    steps.refund_quotas(policies, request.identity.consumer.as_deref());
                }
                return Ok(verdict);
            }
            Verdict::Wait(_) | Verdict::Call(_) => return Ok(verdict),
        }
    }
    Ok(Verdict::Continue)
}

/// Runs the policies over a reply, whether it came from an endpoint or is one of ours.
pub fn on_reply(policies: &[Policy], replied: &Replied<'_>, reply: &mut Fields) {
    limit_fields(policies, replied.notes, replied.consumer, reply);
    for (at, policy) in policies.iter().enumerate() {
        match policy {
            Policy::Cors(cors) => cors.annotate(at, replied, reply),
            Policy::Deprecation(policy) => policy.annotate(reply),
            Policy::IdField(id) => id.annotate(replied, reply),
            Policy::ReplyHeaders(edits) => edits.apply(reply),
            Policy::SecurityHeaders(headers) => headers.annotate(replied, reply),
            _ => {}
        }
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
