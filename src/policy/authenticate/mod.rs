// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that find out who is calling. They are the only writers of the consumer of an exchange, and each of
//! them replaces whatever the client said about itself.
//!
//! Several of them in one route are all asked for, and must know the caller as the same consumer: `identify` sees to
//! that. [`any_of`] asks the one that the request has credentials for, which is what `presents` tells without
//! judging them.

use std::sync::Arc;

use super::{Consumer, Note, Policy, Request, Steps, Verdict, place};
use crate::exchange::Fields;
use crate::fault::{Fault, Refusal};

pub mod any_of;

pub mod api_key;

pub mod basic;

pub mod jwt;

pub mod mtls;

pub mod oauth2;

pub mod passwords;

pub mod proofs;

pub mod signature;

mod presented;

pub mod token;

#[cfg(test)]
mod tests;

/// Asks one policy of this sort.
pub(super) fn check(
    policy: &Policy,
    at: usize,
    request: &mut Request<'_>,
    steps: &mut Steps,
) -> Result<Verdict, Fault> {
    match policy {
        Policy::AnyOf(policy) => policy.check(at, request, steps),
        Policy::ApiKey(policy) => policy.check(at, request),
        Policy::Basic(policy) => policy.check(at, request, steps),
        Policy::HttpSignature(policy) => policy.check(at, request),
        Policy::Jwt(policy) => policy.check(at, request, steps.answer.take().as_ref()),
        Policy::Mtls(policy) => policy.check(at, request),
        Policy::OAuth2(policy) => policy.check(at, request, steps.answer.take().as_ref()),
        _ => Ok(Verdict::Continue),
    }
}

/// Whether the request has credentials of the kind that this policy looks for, right or wrong.
fn presents(policy: &Policy, request: &Request<'_>) -> bool {
    match policy {
        Policy::ApiKey(policy) => policy.presents(request),
        Policy::Basic(_) => basic::presents(&request.head.fields),
        Policy::HttpSignature(_) => signature::presents(&request.head.fields),
        Policy::Jwt(policy) => policy.0.bearer.presents(request),
        Policy::Mtls(_) => request.client.certificate.is_some(),
        Policy::OAuth2(policy) => policy.0.bearer.presents(request),
        _ => false,
    }
}

/// Removes the fields in which this policy would tell the endpoint of a caller, for the case that it does not decide.
fn cleanse(policy: &Policy, fields: &mut Fields) {
    match policy {
        Policy::Jwt(policy) => token::told::cleanse(&policy.0.bearer.told, fields),
        Policy::OAuth2(policy) => token::told::cleanse(&policy.0.bearer.told, fields),
        _ => {}
    }
}

/// What a 401 of this policy says of how to do better; none for one that does not authenticate.
pub fn challenge(policy: &Policy) -> Option<&Arc<str>> {
    match policy {
        Policy::AnyOf(policy) => Some(policy.challenges()),
        Policy::ApiKey(policy) => Some(policy.challenge()),
        Policy::Basic(policy) => Some(policy.challenge()),
        Policy::HttpSignature(policy) => Some(policy.challenge()),
        Policy::Jwt(policy) => Some(&policy.0.bearer.challenge),
        Policy::Mtls(policy) => Some(policy.challenge()),
        Policy::OAuth2(policy) => Some(&policy.0.bearer.challenge),
        _ => None,
    }
}

/// What a policy of this sort would say, as a phrase, without asking anybody.
pub(super) fn explain(
    policy: &Policy,
    at: usize,
    policies: &[Policy],
    request: &mut Request<'_>,
) -> Result<String, Fault> {
    match policy {
        Policy::AnyOf(policy) => policy.explain(at, request),
        Policy::Basic(policy) => policy.explain(at, request),
        Policy::Jwt(policy) => policy.explain(at, request),
        Policy::OAuth2(policy) => policy.explain(at, request),
        policy => {
            check(policy, at, request, &mut Steps::default())?;
            Ok(Note::Identified { policy: place(at) }.phrase(policies, request.identity.consumer.as_deref()))
        }
    }
}

/// Takes the caller for this consumer and tells the endpoint so. A second proof must be of the same consumer.
fn identify(policy: &Arc<str>, at: usize, request: &mut Request<'_>, consumer: &Arc<Consumer>) -> Result<(), Fault> {
    if request.identity.consumer.as_ref().is_some_and(|known| known.id != consumer.id) {
        let (policy, challenge) = (Arc::clone(policy), "".into());
        return Err(Fault::Unauthenticated { policy, refusal: Refusal::TwoConsumers, challenge });
    }
    consumer.announce(&mut request.head.fields);
    request.identity.consumer = Some(Arc::clone(consumer));
    request.notes.push(Note::Identified { policy: place(at) });
    Ok(())
}

/// A `WWW-Authenticate` value (RFC 9110 section 11.6.1); what a quoted string cannot hold is left out of the realm.
fn challenge_of(scheme: &str, realm: &str, more: &str) -> Arc<str> {
    let realm = if realm.is_empty() { "weirgate" } else { realm };
    let clean: String =
        realm.chars().filter(|letter| matches!(letter, ' '..='~') && !"\"\\".contains(*letter)).collect();
    format!("{scheme} realm=\"{clean}\"{more}").into()
}
