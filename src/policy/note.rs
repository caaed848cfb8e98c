// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy decided about one exchange: a few bytes on the way, a phrase when somebody looks.
//!
//! A note names its policy by its place among the policies of the route, so that leaving one costs no name and no
//! reference count. Explain, the tail and the verdict card all read the same phrases.

use super::forward_auth::Source;
use super::{Consumer, Policy};
use crate::exchange::Span;

/// Policies of one route that notes can name.
pub const POLICIES_MAX: usize = u16::MAX as usize;

/// A decision. `policy` is the place of the policy in the list of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Knew that the caller may, by this of its rules.
    Authorized { policy: u16, rule: Option<u16> },
    /// A service decided; the status is that of its answer.
    Decided { policy: u16, status: u16, source: Source },
    /// Took a caller without credentials for the anonymous consumer.
    Anonymous { policy: u16 },
    /// Answered by itself.
    Answered { policy: u16 },
    /// Changed header fields.
    Edited { policy: u16 },
    /// Knew the consumer.
    Identified { policy: u16 },
    /// Knew the caller by the method at this place of its list.
    IdentifiedBy { policy: u16, method: u8 },
    /// Let it through and has so much left; the whole burst is back in `reset_s`.
    /// `part` says which limit of the policy.
    Limited { policy: u16, part: u16, left: u32, reset_s: u32 },
    /// Found the page of another origin that calls.
    Origin { policy: u16, origin: Span },
    /// Found nothing to refuse.
    Passed { policy: u16 },
    /// Refused it until `retry_s` from now.
    Refused { policy: u16, part: u16, retry_s: u32 },
    /// Changed where it goes at its endpoint.
    Rewrote { policy: u16 },
    /// Placed it in a trace, which may have begun here.
    Traced { policy: u16, begun: bool },
    /// The service did not answer, and that is no reason to refuse.
    Undecided { policy: u16 },
    /// Found that the token holds, and asks for no consumer.
    Verified { policy: u16 },
}

impl Note {
    /// The decision as a phrase, such as "gold-limit 41 of 200 left".
    pub fn phrase(self, policies: &[Policy], consumer: Option<&Consumer>) -> String {
        let name = |at: u16| policies.get(usize::from(at)).map_or("a policy", Policy::name);
        match self {
            Self::Authorized { policy, rule: None } => format!("{} let it through", name(policy)),
            Self::Authorized { policy, rule: Some(rule) } => {
                format!("{} let it through by rule {}", name(policy), u32::from(rule) + 1)
            }
            Self::Decided { policy, status, source } => {
                let verdict = if status < 300 { "let it through".to_owned() } else { format!("denied with {status}") };
                format!("{} {verdict}{}", name(policy), source.words())
            }
            Self::Passed { policy } => format!("{} has nothing against it", name(policy)),
            Self::Undecided { policy } => format!("{} got no answer and let it through", name(policy)),
            Self::Answered { policy } => format!("{} answered", name(policy)),
            Self::Edited { policy } => format!("{} changed header fields", name(policy)),
            Self::Identified { policy } => {
                format!("{} → {}", name(policy), consumer.map_or("a consumer", |consumer| &consumer.name))
            }
            Self::Verified { policy } => format!("{} accepted the token", name(policy)),
            Self::Anonymous { policy } => {
                format!("{} → {}, anonymous", name(policy), consumer.map_or("a consumer", |consumer| &consumer.name))
            }
            Self::IdentifiedBy { policy, method } => {
                let method = match policies.get(usize::from(policy)) {
                    Some(Policy::AnyOf(any_of)) => any_of.method_name(method),
                    _ => "a method",
                };
                match consumer {
                    Some(consumer) => format!("{} by {method} → {}", name(policy), consumer.name),
                    None => format!("{} by {method}", name(policy)),
                }
            }
            Self::Limited { policy, part, left, .. } => {
                let (name, of) = limit(policies.get(usize::from(policy)), part, consumer);
                format!("{name} {left} of {of} left")
            }
            Self::Origin { policy, .. } => format!("{} saw a call from another origin", name(policy)),
            Self::Rewrote { policy } => format!("{} rewrote where it goes", name(policy)),
            Self::Traced { policy, begun: true } => format!("{} began a trace", name(policy)),
            Self::Traced { policy, begun: false } => format!("{} went on with a trace", name(policy)),
            Self::Refused { policy, part, retry_s } => {
                let (name, _) = limit(policies.get(usize::from(policy)), part, consumer);
                format!("{name} refused, next allowed in {retry_s} s")
            }
        }
    }
}

/// The name of a limit and what it allows.
pub(super) fn limit<'a>(policy: Option<&'a Policy>, part: u16, consumer: Option<&'a Consumer>) -> (&'a str, u64) {
    match policy {
        Some(Policy::RateLimit(limit)) => (&limit.name, limit.rate.burst().into()),
        Some(Policy::Quota(quota)) => (&quota.name, quota.requests),
        Some(Policy::Concurrency(limit)) => (&limit.name, limit.max.into()),
        Some(Policy::Plan) => match consumer.and_then(|consumer| consumer.part(part)) {
            Some(part) => (&part.name, part.allows()),
            None => ("a plan", 0),
        },
        _ => ("a policy", 0),
    }
}

/// All decisions as one line: "policies: partner-key → alice, gold-limit 41 of 200 left". Empty without any.
pub fn line(notes: &[Note], policies: &[Policy], consumer: Option<&Consumer>) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let phrases: Vec<_> = notes.iter().map(|note| note.phrase(policies, consumer)).collect();
    format!("policies: {}", phrases.join(", "))
}
