// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether somebody who is known may do what is asked: demands that always hold, then the first rule that fits.
//!
//! Nobody known where somebody has to be is 401; known and not enough is 403, with the scopes that would do where only
//! those are missing (RFC 6750 section 3.1). Once there are rules, what none of them is for is refused.

mod claim;

mod demand;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::exchange;
use crate::fault::Fault;
use crate::policy::{Note, Request, Verdict, place};

pub use claim::ClaimTest;
pub use demand::{Demand, Names};

use demand::Lack;

/// What a 401 asks for, as nobody here knows what the operator would take.
const CHALLENGE: &str = "Bearer realm=\"weirgate\"";

/// A policy that asks whether somebody may.
#[derive(Debug)]
pub struct Authorize {
    pub name: Arc<str>,
    pub always: Demand,
    pub rules: Box<[RuleOf]>,
}

/// What is demanded of some requests.
#[derive(Debug)]
pub struct RuleOf {
    /// All if empty.
    pub methods: Box<[Box<str>]>,
    /// All if empty.
    pub paths: Box<[PathTest]>,
    pub then: Then,
}

/// What a rule says of the requests it is for.
#[derive(Debug)]
pub enum Then {
    Deny,
    Demand(Demand),
}

/// Whether a path fits, as whoever knows patterns of paths tests it.
pub struct PathTest(Box<Test>);

type Test = dyn Fn(&[u8]) -> bool + Send + Sync;

impl PathTest {
    pub fn new(test: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(test))
    }
}

impl fmt::Debug for PathTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PathTest")
    }
}

impl RuleOf {
    fn fits(&self, head: &exchange::Request) -> bool {
        let method = head.method.as_str();
        (self.methods.is_empty() || self.methods.iter().any(|own| **own == *method))
            && (self.paths.is_empty() || self.paths.iter().any(|own| (own.0)(head.matched())))
    }
}

impl Authorize {
    pub(in crate::policy) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        self.always.check(request).map_err(|lack| self.refuse(lack, None))?;
        let mut rule = None;
        if !self.rules.is_empty() {
            let found = self.rules.iter().position(|own| own.fits(request.head));
            match found.and_then(|at| self.rules.get(at)).map(|own| &own.then) {
                None => return Err(self.refuse(Lack::of("no rule is for such a request"), None)),
                Some(Then::Deny) => return Err(self.refuse(Lack::of("it denies everybody"), found)),
                Some(Then::Demand(demand)) => {
                    demand.check(request).map_err(|lack| self.refuse(lack, found))?;
                }
            }
            rule = found.map(place);
        }
        request.notes.push(Note::Authorized { policy: place(at), rule });
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refuse(&self, lack: Lack, rule: Option<usize>) -> Fault {
        let policy = Arc::clone(&self.name);
        let by_rule = rule.map(|at| format!("rule {}: ", at + 1)).unwrap_or_default();
        match lack {
            Lack::Caller => Fault::CallerUnknown { policy, challenge: CHALLENGE.into() },
            Lack::Scopes(scopes) => Fault::ScopeMissing {
                policy,
                challenge: format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"{scopes}\"").into(),
                why: format!("{by_rule}the token lacks a scope; it needs {scopes}"),
            },
            Lack::Other(why) => Fault::NotAllowed { policy, why: format!("{by_rule}{why}") },
        }
    }
}
