// SPDX-License-Identifier: MIT OR Apache-2.0
//! A token that only its issuer can read: weirgate asks the issuer whether it is active (RFC 7662).
//!
//! An answer holds for a time, and never longer than the token lives. While the issuer is down, answers that still hold go
//! on; a token that nobody can judge is 503 and not 401, because its bearer has done nothing wrong.

use std::sync::Arc;

use serde_json::Map;

use super::token::bearer::{Bearer, Bearing};
use super::token::cache::hash_of;
use super::token::claims::{Rules, find};
use super::token::introspection::{Active, Introspection, Said};
use super::token::refusal::Refusal;
use super::token::told::values;
use crate::fault::Fault;
use crate::policy::wait::Answer;
use crate::policy::{Request, Verdict};

/// What a policy is made of. Checked where it is compiled.
#[derive(Debug)]
pub struct OAuth2 {
    pub bearer: Bearer,
    pub introspection: Arc<Introspection>,
    pub rules: Rules,
    /// For explain.
    pub url: Box<str>,
}

/// A policy that asks for a token.
#[derive(Clone, Debug)]
pub struct OAuth2Policy(pub Arc<OAuth2>);

impl OAuth2Policy {
    pub fn name(&self) -> &str {
        &self.0.bearer.name
    }

    pub(in crate::policy) fn check(
        &self,
        at: usize,
        request: &mut Request<'_>,
        answer: Option<&Answer>,
    ) -> Result<Verdict, Fault> {
        let OAuth2 { bearer, introspection, .. } = &*self.0;
        let (source, token) = bearer.find(request)?;
        let hash = hash_of(&token);
        let said = match (answer, introspection.find(&hash, request.now_s)) {
            (_, Some(known)) => known,
            (Some(Answer::Introspected(said)), None) => said.clone(),
            (Some(_), None) => Said::Unavailable,
            (None, None) => {
                return introspection.ask(hash, &token).map(Verdict::Wait).ok_or_else(|| bearer.unavailable());
            }
        };
        self.judge(at, request, source, &said)?;
        Ok(Verdict::Continue)
    }

    /// As [`check`](Self::check), but asks nobody.
    pub(in crate::policy) fn explain(&self, at: usize, request: &mut Request<'_>) -> Result<String, Fault> {
        let OAuth2 { bearer, introspection, url, .. } = &*self.0;
        let (source, token) = bearer.find(request)?;
        let Some(said) = introspection.find(&hash_of(&token), request.now_s) else {
            return Ok(format!("{} would ask {url} whether the token is active", bearer.name));
        };
        self.judge(at, request, source, &said)?;
        Ok(bearer.phrase(request))
    }

    fn judge(&self, at: usize, request: &mut Request<'_>, source: usize, said: &Said) -> Result<(), Fault> {
        let OAuth2 { bearer, rules, .. } = &*self.0;
        let all: &Active = match said {
            Said::Active(claims) => claims,
            Said::Inactive => return Err(bearer.refused(&Refusal::Inactive)),
            Said::Unavailable => return Err(bearer.unavailable()),
        };
        rules.check(all, request.now_s).map_err(|why| bearer.refused(&why))?;
        let consumer = bearer.consumer.as_ref().and_then(|claim| find(all, claim)?.as_str());
        let claims = Arc::new(rules.told(Map::clone(all)));
        let bearing = Bearing { claims: &claims, consumer, values: &values(&bearer.told, all) };
        bearer.accept(at, request, source, &bearing)
    }
}
