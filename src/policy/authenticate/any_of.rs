// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of several ways to prove who one is: the first that the request has credentials for decides.
//!
//! It decides alone: wrong credentials are refused and no other way is tried, so nobody learns by which of them a guess
//! failed, and none falls to the anonymous consumer unless the operator wrote that failed ones do. A 401 carries the
//! challenge of every way.

use std::sync::Arc;

use super::{challenge, check, cleanse, explain, identify, presents};
use crate::fault::{Fault, Refusal};
use crate::policy::{Mistake, Note, Policy, Request, Steps, Verdict, place};

/// Most ways; a note holds the place of one in a byte.
pub const METHODS_MAX: usize = 8;

/// The field that tells an endpoint that nobody proved anything.
const ANONYMOUS: &[u8] = b"X-Anonymous-Consumer";

/// When a caller is taken for the anonymous consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousOn {
    /// Without credentials.
    Missing,
    /// With wrong ones, too.
    Failed,
}

/// Asks for one of several proofs.
#[derive(Clone, Debug)]
pub struct AnyOf {
    pub name: Arc<str>,
    methods: Arc<[Policy]>,
    /// The name of a consumer, and when it is.
    anonymous: Option<(Arc<str>, AnonymousOn)>,
    /// Those of all methods, a line each.
    challenges: Arc<str>,
}

impl AnyOf {
    /// From policies that authenticate, in the order in which their credentials are looked for.
    pub fn new(
        name: Arc<str>,
        methods: Vec<Policy>,
        anonymous: Option<(Arc<str>, AnonymousOn)>,
    ) -> Result<Self, Vec<Mistake>> {
        if methods.is_empty() || methods.len() > METHODS_MAX {
            return Err(vec![Mistake::TooMany { what: "ways to authenticate, or none", max: METHODS_MAX }]);
        }
        let challenges: Vec<&str> = methods.iter().filter_map(challenge).map(|text| &**text).collect();
        let challenges = challenges.join("\n").into();
        Ok(Self { name, methods: methods.into(), anonymous, challenges })
    }

    pub(super) fn challenges(&self) -> &Arc<str> {
        &self.challenges
    }

    pub(in crate::policy) fn methods(&self) -> &[Policy] {
        &self.methods
    }

    /// The name of the method at this place.
    pub(in crate::policy) fn method_name(&self, at: u8) -> &str {
        self.methods.get(usize::from(at)).map_or("a method", Policy::name)
    }

    fn chosen(&self, request: &Request<'_>) -> Option<(u8, &Policy)> {
        (0..).zip(&*self.methods).find(|(_, method)| presents(method, request))
    }

    pub(in crate::policy) fn check(
        &self,
        at: usize,
        request: &mut Request<'_>,
        steps: &mut Steps,
    ) -> Result<Verdict, Fault> {
        let Some((method, policy)) = self.chosen(request) else { return self.nobody(at, request) };
        // What the others would tell the endpoint, the client may not.
        let others = (0..).zip(&*self.methods).filter(|(place, _)| *place != method);
        others.for_each(|(_, other)| cleanse(other, &mut request.head.fields));
        match check(policy, at, request, steps) {
            Ok(Verdict::Continue) => {
                decided(at, method, request);
                Ok(Verdict::Continue)
            }
            Err(fault) => self.failed(at, request, fault),
            verdict => verdict,
        }
    }

    fn nobody(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let Some((consumer, _)) = &self.anonymous else { return Err(self.refused()) };
        self.anonymous(at, request, consumer)
    }

    /// Only a refusal can make somebody anonymous, not that nobody could tell.
    fn failed(&self, at: usize, request: &mut Request<'_>, fault: Fault) -> Result<Verdict, Fault> {
        match &self.anonymous {
            Some((consumer, AnonymousOn::Failed)) if matches!(fault.facts().status, 400 | 401) => {
                self.anonymous(at, request, consumer)
            }
            _ => Err(fault.challenged(&self.challenges)),
        }
    }

    fn anonymous(&self, at: usize, request: &mut Request<'_>, consumer: &str) -> Result<Verdict, Fault> {
        // A consumer that is gone is a change under way: nobody is let in by it.
        let Some(consumer) = request.credentials.named(consumer) else { return Err(self.refused()) };
        self.methods.iter().for_each(|method| cleanse(method, &mut request.head.fields));
        identify(&self.name, at, request, consumer)?;
        request.head.fields.push(ANONYMOUS, b"true");
        request.identity.anonymous = true;
        if let Some(note) = request.notes.last_mut() {
            *note = Note::Anonymous { policy: place(at) };
        }
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refused(&self) -> Fault {
        let (policy, challenge) = (Arc::clone(&self.name), Arc::clone(&self.challenges));
        Fault::Unauthenticated { policy, refusal: Refusal::NoCredentials, challenge }
    }

    /// Who decided, and why the others did not.
    pub(super) fn explain(&self, at: usize, request: &mut Request<'_>) -> Result<String, Fault> {
        let Some((chosen, policy)) = self.chosen(request) else {
            self.nobody(at, request)?;
            let consumer = request.identity.consumer.as_ref().map_or("a consumer", |consumer| &consumer.name);
            let names: Vec<_> = self.methods.iter().map(Policy::name).collect();
            return Ok(format!("{} → {consumer}, anonymous: no credentials for {}", self.name, names.join(", ")));
        };
        let mut others = Vec::new();
        for (place, method) in (0..).zip(&*self.methods) {
            match place.cmp(&chosen) {
                std::cmp::Ordering::Less => others.push(format!("{}: no credentials of its kind", method.name())),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => {
                    others.push(format!("{}: not asked, {} decides", method.name(), policy.name()))
                }
            }
        }
        let decision = match explain(policy, at, &self.methods, request) {
            Ok(phrase) => {
                let Some(consumer) = request.identity.consumer.as_ref().map(|consumer| &consumer.name) else {
                    return Ok(format!("{}: {phrase}", self.name));
                };
                let proviso = if matches!(policy, Policy::Basic(_)) { ", if the password is right" } else { "" };
                format!("{} by {} → {consumer}{proviso}", self.name, policy.name())
            }
            Err(fault) => {
                let why = fault.to_string();
                self.failed(at, request, fault)?;
                let consumer = request.identity.consumer.as_ref().map_or("a consumer", |consumer| &consumer.name);
                format!("{} → {consumer}, anonymous: {why}", self.name)
            }
        };
        Ok(if others.is_empty() { decision } else { format!("{decision} ({})", others.join("; ")) })
    }
}

/// The note of the method names us, so it is completed by which method it was.
fn decided(at: usize, method: u8, request: &mut Request<'_>) {
    if let Some(note @ (Note::Identified { .. } | Note::Verified { .. })) = request.notes.last_mut() {
        *note = Note::IdentifiedBy { policy: place(at), method };
    }
}
