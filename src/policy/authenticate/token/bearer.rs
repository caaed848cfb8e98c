// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every policy about tokens does around them: looks for one, tells who it is once it holds, and says why if it does
//! not (RFC 6750). Whether it holds is for the policies themselves.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::presented::Source;
use super::super::{challenge_of, identify};
use super::place;
use super::refusal::Refusal;
use super::told::{Told, Values, tell};
use crate::fault::Fault;
use crate::policy::{Claims, Note, Request, place as at_place};

/// The part of a policy that is the same for all kinds of tokens.
#[derive(Debug)]
pub struct Bearer {
    pub name: Arc<str>,
    /// Where a token may be.
    pub places: Box<[Source]>,
    /// Whether the endpoint does not see it.
    pub is_hidden: bool,
    pub realm: Box<str>,
    /// What a 401 says to one who brings no token; see [`challenge`].
    pub challenge: Arc<str>,
    /// The claim by which a consumer is known.
    pub consumer: Option<Box<str>>,
    pub told: Box<[Told]>,
}

/// Whom a token speaks of.
#[derive(Debug)]
pub struct Bearing<'a> {
    pub claims: &'a Arc<Claims>,
    /// What the claim holds that consumers are known by.
    pub consumer: Option<&'a str>,
    pub values: &'a Values,
}

/// The `WWW-Authenticate` value that only asks for a token (RFC 6750 section 3).
pub fn challenge(realm: &str) -> Arc<str> {
    challenge_of("Bearer", realm, "")
}

impl Bearer {
    /// Whether the request has a token, right or wrong.
    pub(in crate::policy) fn presents(&self, request: &Request<'_>) -> bool {
        let found = place::find(&self.places, &request.head.fields, request.head.query);
        !matches!(found, place::Found::Nothing)
    }

    /// The place of the token, and the token.
    pub(in crate::policy) fn find<'r>(&self, request: &'r Request<'_>) -> Result<(usize, Cow<'r, [u8]>), Fault> {
        match place::find(&self.places, &request.head.fields, request.head.query) {
            place::Found::One(at, token) => Ok((at, token)),
            place::Found::Nothing => Err(self.missing()),
            place::Found::Several => Err(self.repeated()),
            place::Found::Oversized => Err(self.refused(&Refusal::TooLarge)),
        }
    }

    /// The token at that place holds: the endpoint is told of its bearer, and so are the policies that follow.
    pub(in crate::policy) fn accept(
        &self,
        at: usize,
        request: &mut Request<'_>,
        source: usize,
        bearing: &Bearing<'_>,
    ) -> Result<(), Fault> {
        let consumer = match (&self.consumer, bearing.consumer) {
            (None, _) => None,
            (Some(_), None) => return Err(self.refused(&Refusal::Consumer)),
            (Some(_), Some(name)) => {
                let issuer = bearing.claims.all.get("iss").and_then(serde_json::Value::as_str);
                let credentials = request.credentials;
                let found = credentials.find_subject(issuer, name);
                Some(found.ok_or_else(|| self.refused(&Refusal::Consumer))?)
            }
        };
        if let (true, Some(source)) = (self.is_hidden, self.places.get(source)) {
            place::remove(source, &mut request.head.fields, &mut request.head.query);
        }
        tell(&self.told, bearing.values, &mut request.head.fields);
        match consumer {
            Some(consumer) => identify(&self.name, at, request, consumer)?,
            None => request.notes.push(Note::Verified { policy: at_place(at) }),
        }
        request.identity.claims = Some(Arc::clone(bearing.claims));
        Ok(())
    }

    /// Who was let through, as a phrase for explain.
    pub(in crate::policy) fn phrase(&self, request: &Request<'_>) -> String {
        let claims = request.identity.claims.as_ref();
        let subject = claims.and_then(|claims| claims.subject.as_deref()).unwrap_or("a token without subject");
        match &request.identity.consumer {
            Some(consumer) => format!("{} → {} ({subject})", self.name, consumer.name),
            None => format!("{} → {subject}", self.name),
        }
    }

    #[cold]
    fn missing(&self) -> Fault {
        Fault::TokenMissing { policy: Arc::clone(&self.name), challenge: Arc::clone(&self.challenge) }
    }

    #[cold]
    fn repeated(&self) -> Fault {
        let description = "error=\"invalid_request\", error_description=\"the request carries more than one token\"";
        let challenge = format!("Bearer realm=\"{}\", {description}", self.realm).into();
        Fault::TokenRepeated { policy: Arc::clone(&self.name), challenge }
    }

    #[cold]
    pub(in crate::policy) fn refused(&self, why: &Refusal) -> Fault {
        let challenge = why.challenge(&self.realm).into();
        Fault::TokenInvalid { policy: Arc::clone(&self.name), why: why.to_string().into(), challenge }
    }

    #[cold]
    pub(in crate::policy) fn unavailable(&self) -> Fault {
        Fault::IssuerUnavailable { policy: Arc::clone(&self.name) }
    }
}
