// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is demanded of a caller in one place, and what it lacks.

use super::claim::ClaimTest;
use crate::policy::Request;

/// Names of which some have to be there and others must not.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub any: Box<[Box<str>]>,
    pub all: Box<[Box<str>]>,
    pub none: Box<[Box<str>]>,
}

/// What is demanded. Everything has to hold.
#[derive(Debug, Default)]
pub struct Demand {
    pub consumers: Option<Names>,
    pub groups: Option<Names>,
    pub scopes: Option<Names>,
    pub claims: Box<[ClaimTest]>,
}

/// What a caller does not meet.
#[derive(Debug)]
pub(super) enum Lack {
    /// Nobody is known.
    Caller,
    /// These scopes, as a challenge lists them.
    Scopes(String),
    Other(String),
}

impl Lack {
    pub(super) fn of(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

/// What a set of names does not meet.
enum Missing<'n> {
    AnyOf(&'n [Box<str>]),
    One(&'n str),
    Unwanted(&'n str),
}

impl Names {
    fn missing<'s, 'i>(&'s self, mut has: impl FnMut(&str) -> bool + 'i) -> Option<Missing<'s>> {
        if !self.any.is_empty() && !self.any.iter().any(|name| has(name)) {
            return Some(Missing::AnyOf(&self.any));
        }
        if let Some(name) = self.all.iter().find(|name| !has(name)) {
            return Some(Missing::One(name));
        }
        self.none.iter().find(|name| has(name)).map(|name| Missing::Unwanted(name))
    }
}

impl Missing<'_> {
    fn words(&self, what: &str) -> String {
        match self {
            Self::AnyOf(names) => format!("{what} is none of {}", names.join(", ")),
            Self::One(name) => format!("{what} lacks {name}"),
            Self::Unwanted(name) => format!("{what} has {name}, which may not"),
        }
    }
}

impl Demand {
    /// Whether somebody has to be known.
    fn asks_who(&self) -> bool {
        self.consumers.is_some() || self.groups.is_some() || self.scopes.is_some() || !self.claims.is_empty()
    }

    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), Lack> {
        let identity = &*request.identity;
        let is_known = identity.consumer.is_some() || identity.claims.is_some();
        if self.asks_who() && !is_known {
            return Err(Lack::Caller);
        }
        let (consumer, claims) = (identity.consumer.as_deref(), identity.claims.as_deref());
        let name = consumer.map(|consumer| &*consumer.name);
        let of = |names: &Option<Names>, what: &str, has: &dyn Fn(&str) -> bool| {
            let missing = names.as_ref().and_then(|names| names.missing(has));
            missing.map_or(Ok(()), |missing| Err(Lack::Other(missing.words(what))))
        };
        of(&self.consumers, "the consumer", &|wanted| name == Some(wanted))?;
        let groups = consumer.map(super::super::Consumer::groups).unwrap_or_default();
        of(&self.groups, "its set of groups", &|wanted| groups.iter().any(|group| **group == *wanted))?;
        for test in &self.claims {
            if !claims.is_some_and(|claims| test.holds(&claims.all)) {
                return Err(Lack::Other(format!("its claim {} has none of the values that may", test.name)));
            }
        }
        let scopes = claims.map(|claims| &*claims.scopes).unwrap_or_default();
        self.lacks_scope(scopes)
    }

    fn lacks_scope(&self, scopes: &[Box<str>]) -> Result<(), Lack> {
        let Some(names) = &self.scopes else { return Ok(()) };
        match names.missing(|wanted| scopes.iter().any(|scope| **scope == *wanted)) {
            None => Ok(()),
            Some(Missing::AnyOf(names)) => Err(Lack::Scopes(listed(names))),
            Some(Missing::One(_)) => Err(Lack::Scopes(listed(&names.all))),
            Some(unwanted @ Missing::Unwanted(_)) => Err(Lack::Other(unwanted.words("its set of scopes"))),
        }
    }
}

/// Scopes as a challenge may hold them (RFC 6750 section 3).
fn listed(names: &[Box<str>]) -> String {
    let fits = |b: u8| b == b'!' || matches!(b, b'#'..=b'[' | b']'..=b'~');
    let names: Vec<&str> = names.iter().map(|name| &**name).filter(|name| name.bytes().all(fits)).collect();
    names.join(" ")
}
