// SPDX-License-Identifier: MIT OR Apache-2.0
//! A JSON Web Token (RFC 7519) that an issuer signed, verified here with the issuer's keys.
//!
//! A token counts if its signature holds under a key of the issuer and with an algorithm that is the key's and ours, and if
//! its claims say so; then the endpoint is told what the policy names, and never what the client wrote under those names.
//! What was verified is remembered by the hash of the token until it expires or the keys change. Keys that are not known
//! yet are asked for and waited for ([`Keys`]); an issuer that is down takes nothing away from the keys that are known.

use std::sync::Arc;

use weirgate_store::model::JwtAlgorithm as Algorithm;

use super::token::bearer::{Bearer, Bearing};
use super::token::cache::{Cache, Lasting, TokenHash, hash_of};
use super::token::claims::{Rules, find};
use super::token::jws;
use super::token::key::Key;
use super::token::keys::{Asked, Keys};
use super::token::refusal::Refusal;
use super::token::told::{Values, values};
use crate::fault::Fault;
use crate::policy::wait::Answer;
use crate::policy::{Claims, Request, Verdict};

/// What a policy is made of. Checked where it is compiled.
#[derive(Debug)]
pub struct Jwt {
    pub bearer: Bearer,
    pub keys: Arc<Keys>,
    /// What the operator accepts; whatever fits the key if empty.
    pub algorithms: Box<[Algorithm]>,
    pub rules: Rules,
    pub cache: Cache<Arc<Verified>>,
}

/// What is remembered of a token that was verified.
#[derive(Debug)]
pub struct Verified {
    /// Of the keys it was verified with.
    generation: u64,
    until_s: i64,
    claims: Arc<Claims>,
    /// What the claim holds that consumers are known by.
    consumer: Option<Box<str>>,
    values: Values,
}

impl Lasting for Arc<Verified> {
    fn until_s(&self) -> i64 {
        self.until_s
    }
}

/// How a token is judged without asking anybody.
enum Judged {
    Verified(Arc<Verified>),
    /// Its key is not among those that are known.
    UnknownKey(Option<String>),
}

/// A policy that asks for a token.
#[derive(Clone, Debug)]
pub struct JwtPolicy(pub Arc<Jwt>);

impl JwtPolicy {
    pub fn name(&self) -> &str {
        &self.0.bearer.name
    }

    pub(in crate::policy) fn check(
        &self,
        at: usize,
        request: &mut Request<'_>,
        answer: Option<&Answer>,
    ) -> Result<Verdict, Fault> {
        match self.judge(request)? {
            (source, Judged::Verified(verified)) => {
                self.0.bearer.accept(at, request, source, &verified.bearing())?;
                Ok(Verdict::Continue)
            }
            (_, Judged::UnknownKey(kid)) => self.ask(kid.as_deref(), request, answer),
        }
    }

    /// As [`check`](Self::check), but asks nobody.
    pub(in crate::policy) fn explain(&self, at: usize, request: &mut Request<'_>) -> Result<String, Fault> {
        let bearer = &self.0.bearer;
        match self.judge(request)? {
            (source, Judged::Verified(verified)) => {
                bearer.accept(at, request, source, &verified.bearing())?;
                Ok(bearer.phrase(request))
            }
            (_, Judged::UnknownKey(_)) if self.0.keys.is_known() => Err(bearer.refused(&Refusal::Key)),
            (_, Judged::UnknownKey(_)) => Err(bearer.unavailable()),
        }
    }

    /// The place of the token, and what is thought of it.
    fn judge(&self, request: &Request<'_>) -> Result<(usize, Judged), Fault> {
        let jwt = &*self.0;
        let (at, token) = jwt.bearer.find(request)?;
        let generation = jwt.keys.generation();
        let hash = hash_of(&token);
        if let Some(known) = jwt.cache.find(&hash, request.now_s).filter(|known| known.generation == generation) {
            return Ok((at, Judged::Verified(known)));
        }
        let judged = jwt.verify(&token, hash, generation, request.now_s).map_err(|why| jwt.bearer.refused(&why))?;
        Ok((at, judged))
    }

    /// Asks for newer keys, once for each request.
    #[cold]
    fn ask(&self, kid: Option<&str>, request: &Request<'_>, answer: Option<&Answer>) -> Result<Verdict, Fault> {
        let Jwt { keys, bearer, .. } = &*self.0;
        if answer.is_some() {
            keys.note_absent(kid, request.now_s);
            return Err(if keys.is_known() { bearer.refused(&Refusal::Key) } else { bearer.unavailable() });
        }
        match keys.ask(kid, request.now_ns, request.now_s) {
            Asked::Wait(waiting) => Ok(Verdict::Wait(waiting)),
            Asked::No if keys.is_known() => Err(bearer.refused(&Refusal::Key)),
            Asked::No | Asked::Full => Err(bearer.unavailable()),
        }
    }
}

impl Verified {
    fn bearing(&self) -> Bearing<'_> {
        Bearing { claims: &self.claims, consumer: self.consumer.as_deref(), values: &self.values }
    }
}

impl Jwt {
    fn verify(&self, token: &[u8], hash: TokenHash, generation: u64, now_s: i64) -> Result<Judged, Refusal> {
        let unverified = jws::read(token)?;
        let algorithm = unverified.algorithm;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&algorithm) {
            return Err(Refusal::Algorithm);
        }
        let set = self.keys.set();
        let Some(key) = set.find(unverified.kid.as_deref(), algorithm) else {
            // A key of that name that is not for this algorithm: no other key will do.
            let is_its = |key: &Key| key.kid.is_none() || key.kid.as_deref() == unverified.kid.as_deref();
            let is_confused = unverified.kid.is_some() && set.keys.iter().any(is_its);
            return if is_confused { Err(Refusal::Algorithm) } else { Ok(Judged::UnknownKey(unverified.kid)) };
        };
        if !key.verifies(algorithm, unverified.signed, &unverified.signature) {
            return Err(Refusal::Signature);
        }
        let all = unverified.claims()?;
        let until_s = self.rules.check(&all, now_s)?;
        let values = values(&self.bearer.told, &all);
        let consumer = self.bearer.consumer.as_ref().and_then(|claim| find(&all, claim)?.as_str().map(Into::into));
        let claims = Arc::new(self.rules.told(all));
        let verified = Arc::new(Verified { generation, until_s, claims, consumer, values });
        self.cache.keep(hash, Arc::clone(&verified), now_s);
        Ok(Judged::Verified(verified))
    }
}
