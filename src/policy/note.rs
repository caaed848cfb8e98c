// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy decided about one exchange: a few bytes on the way, a phrase when somebody looks.
//!
//! A note names its policy by its place among the policies of the route, so that leaving one costs no name and no
//! reference count. Explain, the tail and the verdict card all read the same phrases.

use super::forward_auth::Source;
use super::{Consumer, Policy};

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
    /// Changed header fields.
    Edited { policy: u16 },
    /// Knew the consumer.
    Identified { policy: u16 },
    /// Knew the caller by the method at this place of its list.
    IdentifiedBy { policy: u16, method: u8 },
    /// Let it through and has so much left; the whole burst is back in `reset_s`.
    Limited { policy: u16, left: u32, reset_s: u32 },
    /// Found nothing to refuse.
    Passed { policy: u16 },
    /// Refused it until `retry_s` from now.
    Refused { policy: u16, retry_s: u32 },
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
            Self::Limited { policy, left, .. } => match policies.get(usize::from(policy)) {
                Some(Policy::RateLimit(limit)) => format!("{} {left} of {} left", limit.name, limit.rate.burst()),
                _ => format!("{} {left} left", name(policy)),
            },
            Self::Refused { policy, retry_s } => format!("{} refused, next allowed in {retry_s} s", name(policy)),
        }
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
