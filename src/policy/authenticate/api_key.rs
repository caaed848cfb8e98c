// SPDX-License-Identifier: MIT OR Apache-2.0
//! An API key in a header, a query parameter or a cookie.
//!
//! Exactly one key opens the door: none, an unknown or expired one, and two anywhere (even the same twice) are three
//! different faults, all 401. On success the consumer is known, the endpoint is told its name and groups
//! (`identity`), and with [`Hide::Yes`] it never sees the key. A key is never copied into a note, a fault or a log.

use std::sync::Arc;

use super::presented::{self, Found};
use super::{challenge_of, identify};
use crate::fault::Fault;
use crate::policy::{Mistake, Request, Verdict, headers};

pub use super::presented::{KEY_MAX, Source};

/// Places in which one policy looks.
pub const SOURCES_MAX: usize = 8;

/// Whether the endpoint sees the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    /// It is removed from the request.
    #[default]
    Yes,
    No,
}

/// What the operator wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeySpec {
    pub headers: Vec<String>,
    pub queries: Vec<String>,
    pub cookies: Vec<String>,
    pub hide: Hide,
    /// Named in the challenge; "weirgate" if empty.
    pub realm: String,
}

/// A policy that asks for an API key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub name: Arc<str>,
    sources: Box<[Source]>,
    hide: Hide,
    challenge: Arc<str>,
}

impl ApiKey {
    /// Checks the names and says everything that is wrong with them at once.
    pub fn new(name: Arc<str>, spec: &ApiKeySpec) -> Result<Self, Vec<Mistake>> {
        let mut mistakes: Vec<_> = spec.headers.iter().filter_map(|header| headers::check_name(header).err()).collect();
        let cookies = spec.cookies.iter().filter(|cookie| !headers::is_token(cookie));
        mistakes.extend(cookies.map(|cookie| Mistake::CookieName(cookie.clone())));
        let sources: Box<[Source]> = (spec.headers.iter().map(|name| Source::Header(name.as_bytes().into())))
            .chain(spec.queries.iter().map(|name| Source::Query(name.as_bytes().into())))
            .chain(spec.cookies.iter().map(|name| Source::Cookie(name.as_bytes().into())))
            .collect();
        match sources.len() {
            0 => mistakes.push(Mistake::NoSource),
            1..=SOURCES_MAX => {}
            _ => mistakes.push(Mistake::TooMany { what: "places for a key", max: SOURCES_MAX }),
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self { name, sources, hide: spec.hide, challenge: challenge_of("Key", &spec.realm, "") })
    }

    pub(in crate::policy) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let (source, key) = match presented::find(&self.sources, &request.head.fields, request.head.query) {
            Found::One(source, key) => (source, key),
            Found::Nothing => return Err(self.missing()),
            Found::Oversized => return Err(self.invalid()),
            Found::Several => return Err(self.repeated()),
        };
        let Some(consumer) = request.credentials.find(&key, request.now_s) else { return Err(self.invalid()) };
        if self.hide == Hide::Yes {
            presented::remove(source, &mut request.head.fields, &mut request.head.query);
        }
        identify(&self.name, at, request, consumer)?;
        Ok(Verdict::Continue)
    }

    pub(super) fn challenge(&self) -> &Arc<str> {
        &self.challenge
    }

    /// Whether there is a key, or what may be one.
    pub(super) fn presents(&self, request: &Request<'_>) -> bool {
        let found = presented::find(&self.sources, &request.head.fields, request.head.query);
        !matches!(found, Found::Nothing)
    }

    #[cold]
    fn missing(&self) -> Fault {
        Fault::CredentialMissing { policy: Arc::clone(&self.name), challenge: Arc::clone(&self.challenge) }
    }

    #[cold]
    fn invalid(&self) -> Fault {
        Fault::CredentialInvalid { policy: Arc::clone(&self.name), challenge: Arc::clone(&self.challenge) }
    }

    #[cold]
    fn repeated(&self) -> Fault {
        Fault::CredentialRepeated { policy: Arc::clone(&self.name), challenge: Arc::clone(&self.challenge) }
    }
}
