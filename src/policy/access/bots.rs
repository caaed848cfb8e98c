// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a caller has to say of itself: fields that browsers and clients of good manners send, and a `User-Agent` that is
//! not on a list. It stops who does not hide.

use std::sync::Arc;

use regex::bytes::RegexSet;

use crate::fault::Fault;
use crate::policy::{Note, Request, Verdict, place};

/// What is looked at of a `User-Agent`, in bytes.
const AGENT_MAX: usize = 1_024;

/// A policy that looks at `User-Agent` and at which fields are there.
#[derive(Clone, Debug)]
pub struct Bots {
    pub name: Arc<str>,
    deny: RegexSet,
    allow: RegexSet,
    require: Box<[Box<str>]>,
}

impl Bots {
    pub fn new(name: Arc<str>, deny: RegexSet, allow: RegexSet, require: &[String]) -> Self {
        Self { name, deny, allow, require: require.iter().map(|field| field.as_str().into()).collect() }
    }

    pub(in crate::policy) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let fields = &request.head.fields;
        let is_there = |name: &str| fields.named(name.as_bytes()).any(|value| !value.is_empty());
        if let Some(missing) = self.require.iter().find(|name| !is_there(name)) {
            return Err(self.refuse(format!("there is no {missing}")));
        }
        for agent in fields.named(b"user-agent") {
            let agent = agent.get(..AGENT_MAX).unwrap_or(agent);
            if self.deny.is_match(agent) && !self.allow.is_match(agent) {
                return Err(self.refuse_agent(agent));
            }
        }
        request.notes.push(Note::Passed { policy: place(at) });
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refuse_agent(&self, agent: &[u8]) -> Fault {
        let first = self.deny.matches(agent).iter().next();
        let pattern = first.and_then(|at| self.deny.patterns().get(at)).map_or("", String::as_str);
        self.refuse(format!("its User-Agent matches \"{pattern}\""))
    }

    #[cold]
    fn refuse(&self, why: String) -> Fault {
        Fault::AgentRefused { policy: Arc::clone(&self.name), why }
    }
}
