// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP message signatures (RFC 9421): a request is signed by a key of a consumer.
//!
//! What has to be signed is the operator's choice and not the client's, or a signature over nothing would do. A
//! signature holds for a short time after it was made, and one with a nonce only once. The body is not looked at: a
//! signed `Content-Digest` says what it should be, and nobody here compares.

mod base;

mod input;

pub mod key;

pub mod nonces;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use self::input::Input;
use self::key::SigningKey;
use self::nonces::Use;
use super::{challenge_of, identify};
use crate::exchange::Fields;
use crate::fault::{Fault, Refusal};
use crate::policy::{Request, Verdict};

/// How far the clock of a client may be ahead of ours, in seconds.
const AHEAD_S: i64 = 30;

const INPUT: &[u8] = b"Signature-Input";
const SIGNATURE: &[u8] = b"Signature";

/// Whether a signature must have a nonce; if it has one, it counts once in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    Optional,
    Required,
}

/// What the operator wrote.
#[derive(Clone, Debug)]
pub struct HttpSignatureSpec {
    /// Components that a signature must cover.
    pub components: Vec<String>,
    /// For how long after it was made a signature holds.
    pub max_age: Duration,
    /// What the signature is for; any if absent.
    pub tag: Option<String>,
    pub nonce: Nonce,
    pub realm: String,
}

/// Asks for a signed request.
#[derive(Clone, Debug)]
pub struct HttpSignature {
    pub name: Arc<str>,
    components: Arc<[Box<str>]>,
    max_age_s: i64,
    tag: Option<Arc<str>>,
    nonce: Nonce,
    challenge: Arc<str>,
}

impl HttpSignature {
    pub fn new(name: Arc<str>, spec: &HttpSignatureSpec) -> Self {
        Self {
            name,
            components: spec.components.iter().map(|component| component.as_str().into()).collect(),
            max_age_s: i64::try_from(spec.max_age.as_secs()).unwrap_or(i64::MAX),
            tag: spec.tag.as_deref().map(Into::into),
            nonce: spec.nonce,
            challenge: challenge_of("Signature", &spec.realm, ""),
        }
    }

    pub(super) fn challenge(&self) -> &Arc<str> {
        &self.challenge
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let credentials = request.credentials;
        let proofs = credentials.proofs();
        if !presents(&request.head.fields) {
            return Err(self.refused(Refusal::SignatureMissing));
        }
        let text = input::joined(&request.head.fields, INPUT).map_err(Fault::Malformed)?;
        let inputs = input::parse(&text).map_err(Fault::Malformed)?;
        let chosen = inputs.iter().filter(|input| self.is_meant(input)).find_map(|input| {
            let (key, consumer) = proofs.signing_keys.get(input.key_id.as_deref()?)?;
            Some((input, key, *consumer))
        });
        let (input, key, consumer) = chosen.ok_or_else(|| self.refused(Refusal::SignatureUnknown))?;
        self.judge(input, key, request)?;
        self.once(input, request)?;
        let consumer = credentials.consumer(consumer).ok_or_else(|| self.refused(Refusal::SignatureUnknown))?;
        identify(&self.name, at, request, consumer)?;
        Ok(Verdict::Continue)
    }

    fn is_meant(&self, input: &Input<'_>) -> bool {
        self.tag.as_ref().is_none_or(|tag| input.tag.as_deref() == Some(&**tag))
    }

    /// Whether this signature is of now, over enough, and right.
    fn judge(&self, input: &Input<'_>, key: &SigningKey, request: &Request<'_>) -> Result<(), Fault> {
        let now_s = request.now_s;
        let created = input.created.ok_or_else(|| self.refused(Refusal::SignatureStale))?;
        let is_current = created <= now_s.saturating_add(AHEAD_S)
            && now_s.saturating_sub(created) <= self.max_age_s
            && input.expires.is_none_or(|expires| expires > now_s);
        if !is_current {
            return Err(self.refused(Refusal::SignatureStale));
        }
        if self.components.iter().any(|component| !base::covers(&input.components, component))
            || (self.nonce == Nonce::Required && input.nonce.is_none())
        {
            return Err(self.refused(Refusal::SignatureIncomplete));
        }
        let named = input.algorithm.as_deref().is_none_or(|name| name == key.algorithm().name());
        let fields = &request.head.fields;
        let signature = input::signature(&input::joined(fields, SIGNATURE).map_err(Fault::Malformed)?, input.label)
            .map_err(Fault::Malformed)?;
        let text = base::of(input, request.head, request.client.scheme).map_err(Fault::Malformed)?;
        if !named || !key.verifies(&text, &signature) {
            return Err(self.refused(Refusal::SignatureWrong));
        }
        Ok(())
    }

    /// A nonce is remembered for as long as its signature could be used. Only those of right signatures are.
    fn once(&self, input: &Input<'_>, request: &Request<'_>) -> Result<(), Fault> {
        let (Some(nonce), Some(key)) = (input.nonce.as_deref(), input.key_id.as_deref()) else { return Ok(()) };
        let until_s = request.now_s.saturating_add(self.max_age_s).saturating_add(AHEAD_S);
        match request.credentials.proofs().nonces.take(key, nonce, until_s, request.now_s) {
            Use::First => Ok(()),
            Use::Again => Err(self.refused(Refusal::SignatureReplayed)),
            Use::Full => Err(Fault::NoncesFull { policy: Arc::clone(&self.name) }),
        }
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Fault {
        Fault::Unauthenticated { policy: Arc::clone(&self.name), refusal, challenge: Arc::clone(&self.challenge) }
    }
}

/// Whether the request says that it is signed.
pub(super) fn presents(fields: &Fields) -> bool {
    fields.named(INPUT).next().is_some()
}
