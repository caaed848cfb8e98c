// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service of the operator's decides: it is asked with a GET that says what the client wants, 2xx lets the request
//! through, 5xx is no answer, and whatever else it says goes to the client as it is.
//!
//! What must stay true: the fields that the endpoint believes because the service wrote them are removed from what the
//! client sent, on every way through, also where nobody was asked. A no is a no even if its body did not come. What
//! is remembered is only what the service said, never that it did not answer.

mod ask;

mod judge;

mod key;

mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use crate::exchange::Fields;
use crate::fault::Fault;
use crate::policy::{Answer, Note, Reply, Request, Steps, Verdict, Waiting, place};

pub use key::KeyPart;
pub use verdicts::{Lead, Verdicts};

use verdicts::Look;

/// What happens to a request about which nobody decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 403.
    Deny,
    /// 503.
    Unavailable,
    Allow,
}

/// What is asked of whom, and what is made of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuthSpec {
    /// By place in the snapshot.
    pub upstream: u32,
    /// The same for people.
    pub upstream_name: Arc<str>,
    pub path: Box<str>,
    pub query: Option<Box<str>>,
    /// Fields that the service gets; all if empty.
    pub request_fields: Box<[Box<str>]>,
    /// Fields of its answer that the endpoint gets.
    pub reply_fields: Box<[Box<str>]>,
    pub timeout: Duration,
    pub failure: Failure,
    pub memory: Option<Memory>,
}

/// How long which answers count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    pub key: Box<[KeyPart]>,
    pub ttl: Duration,
    /// Nothing if zero.
    pub negative_ttl: Duration,
    /// Whether `Cache-Control` of the answer counts before these.
    pub trusts_cache_control: bool,
    /// Field of the answer that names the subject.
    pub subject: Option<Box<str>>,
    pub entries: usize,
}

/// A policy that has a service decide.
#[derive(Debug)]
pub struct ForwardAuth {
    pub name: Arc<str>,
    pub spec: ForwardAuthSpec,
    pub verdicts: Option<Arc<Verdicts>>,
}

/// What the service decided.
#[derive(Debug)]
pub enum Outcome {
    /// With these fields for the endpoint.
    Allowed(Fields),
    /// With this for the client.
    Denied(Reply),
    /// A no that cannot be passed on, or no answer at all.
    Undecided(Cause),
}

/// Why there is nothing to pass on.
#[derive(Clone, Debug)]
pub enum Cause {
    /// It said no, with that status, and its body did not come.
    DeniedWithout(u16),
    NoAnswer(Arc<str>),
}

/// Where a decision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Asked,
    /// Another request with the same key asked at that moment.
    Shared,
    Remembered,
}

impl Source {
    pub(in crate::policy) fn words(self) -> &'static str {
        match self {
            Self::Asked => "",
            Self::Shared => ", as it did another request at that moment",
            Self::Remembered => ", as remembered",
        }
    }
}

impl ForwardAuth {
    /// A policy that goes on with what `previous` remembers, which asks the same in the same way.
    pub fn new(name: Arc<str>, spec: ForwardAuthSpec, previous: Option<&Self>) -> Self {
        let same = previous.and_then(|same| same.verdicts.clone());
        let verdicts = spec.memory.as_ref().map(|memory| same.unwrap_or_else(|| Verdicts::new(memory.entries).into()));
        Self { name, spec, verdicts }
    }

    pub(in crate::policy) fn check(
        &self,
        at: usize,
        request: &mut Request<'_>,
        steps: &mut Steps,
    ) -> Result<Verdict, Fault> {
        match steps.answer.take() {
            Some(Answer::Called(called)) => {
                let (outcome, lasts) = judge::judge(&self.spec, called);
                let outcome = Arc::new(outcome);
                if let Some(lead) = steps.lead.take() {
                    let subject = judge::subject(&self.spec, &outcome, request);
                    lead.settle(&outcome, lasts, subject, request.now_ns);
                }
                self.apply(at, &outcome, Source::Asked, request)
            }
            Some(Answer::Told(outcome)) => self.apply(at, &outcome, Source::Shared, request),
            Some(Answer::Late) => {
                let cause = Cause::NoAnswer("whoever asked at the same time got no answer".into());
                self.apply(at, &Outcome::Undecided(cause), Source::Shared, request)
            }
            Some(_) | None => self.begin(at, request, steps),
        }
    }

    fn begin(&self, at: usize, request: &mut Request<'_>, steps: &mut Steps) -> Result<Verdict, Fault> {
        let (Some(memory), Some(verdicts)) = (&self.spec.memory, &self.verdicts) else {
            return Ok(Verdict::Call(Box::new(ask::call(&self.spec, request.head))));
        };
        let key = verdicts.key(&memory.key, request);
        match verdicts.look(key, request.now_ns) {
            Look::Found(outcome) => self.apply(at, &outcome, Source::Remembered, request),
            Look::Lead(lead) => {
                steps.lead = Some(lead);
                Ok(Verdict::Call(Box::new(ask::call(&self.spec, request.head))))
            }
            Look::Follow(mut news) => Ok(Verdict::Wait(Waiting::new(async move {
                let told = news.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
                told.map_or(Answer::Abandoned, Answer::Told)
            }))),
        }
    }

    fn apply(&self, at: usize, outcome: &Outcome, source: Source, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        self.strip(&mut request.head.fields);
        match outcome {
            Outcome::Allowed(fields) => {
                for field in fields.iter() {
                    request.head.fields.push(field.name, field.value);
                }
                request.notes.push(Note::Decided { policy: place(at), status: 200, source });
                Ok(Verdict::Continue)
            }
            Outcome::Denied(reply) => {
                request.notes.push(Note::Decided { policy: place(at), status: reply.status, source });
                Ok(Verdict::Reply(Box::new(reply.clone())))
            }
            Outcome::Undecided(Cause::DeniedWithout(status)) => Err(self.denied(*status)),
            Outcome::Undecided(Cause::NoAnswer(why)) => match self.spec.failure {
                Failure::Allow => {
                    request.notes.push(Note::Undecided { policy: place(at) });
                    Ok(Verdict::Continue)
                }
                Failure::Deny => Err(self.undecided(why, 403)),
                Failure::Unavailable => Err(self.undecided(why, 503)),
            },
        }
    }

    /// Removes what the endpoint would take for the words of the service. An underscore counts as a hyphen, because many
    /// endpoints make both the same variable.
    fn strip(&self, fields: &mut Fields) {
        let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || matches!((a, b), (b'_', b'-') | (b'-', b'_'));
        let is = |own: &[u8], name: &[u8]| own.len() == name.len() && own.iter().zip(name).all(same);
        if !self.spec.reply_fields.is_empty() {
            fields.retain(|field| !self.spec.reply_fields.iter().any(|own| is(own.as_bytes(), field.name)));
        }
    }

    #[cold]
    fn denied(&self, status: u16) -> Fault {
        let why = format!("{} said {status}, and the body of that cannot be passed on", self.spec.upstream_name);
        Fault::NotAllowed { policy: Arc::clone(&self.name), why }
    }

    #[cold]
    fn undecided(&self, why: &Arc<str>, status: u16) -> Fault {
        Fault::Undecided { policy: Arc::clone(&self.name), why: Arc::clone(why), status }
    }

    /// What it would do, without asking.
    pub(in crate::policy) fn explain(&self, request: &mut Request<'_>) -> Result<String, Fault> {
        let kept = self.spec.memory.as_ref().zip(self.verdicts.as_ref()).and_then(|(memory, verdicts)| {
            let key = verdicts.key(&memory.key, request);
            verdicts.peek(key, request.now_ns)
        });
        let asks = format!("{} asks {} for {}", self.name, self.spec.upstream_name, self.spec.path);
        self.strip(&mut request.head.fields);
        Ok(match kept.as_deref() {
            Some(Outcome::Allowed(_)) => format!("{} let it through, as remembered", self.name),
            Some(Outcome::Denied(reply)) => {
                let endpoint = format!("{} of policy {}, as remembered,", self.spec.upstream_name, self.name).into();
                return Err(Fault::Answered { endpoint, status: reply.status });
            }
            Some(Outcome::Undecided(_)) | None => format!("{asks}; what it says is not asked here"),
        })
    }
}

impl ForwardAuthSpec {
    /// Whether answers to the one are answers to the other. The place of the upstream may differ.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { upstream: 0, ..self.clone() } == Self { upstream: 0, ..other.clone() }
    }
}
