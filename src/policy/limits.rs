// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits of all kinds as one transaction: all are charged, or none is.
//!
//! Limits that run together are first looked at, then charged; if a charge is lost to another worker in between, those
//! before it are given back. So a refused request is charged nothing. In the moment between charge and give-back
//! another request may be refused that would have just fitted; none is ever let through that should not be.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

mod fields;

pub use fields::limit_fields;

use super::concurrency::{self, Flights, Slot};
use super::plan::{Entitlement, Limit, Part, Usage};
use super::quota::{Calendar, Moment, QuotaTable};
use super::rate_limit::{Key, Limiter, Per, Rate, seconds};
use super::{Consumer, Note, Phase, Policy, Request, Steps, Verdict, note, place};
use crate::exchange::Fields;
use crate::fault::Fault;

const SECOND: u64 = 1_000_000_000;

/// A limit that a request meets, and the key it has there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The place of the policy among those of the route.
    pub(super) policy: u16,
    /// Which limit of the policy, if it has several.
    pub(super) part: u16,
    what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Rate { limiter: &'a Limiter, key: Key, rate: Rate },
    Quota { table: &'a QuotaTable, key: u64, requests: u64 },
    Concurrency { flights: &'a Arc<Flights>, key: u64, max: u32 },
    OwnRate { usage: &'a Usage, unit: usize, rate: Rate },
    OwnQuota { usage: &'a Usage, calendar: &'a Calendar, requests: u64 },
    OwnConcurrency { usage: &'a Arc<Usage>, max: u32 },
}

/// Limits of one route; more than this go to the heap.
pub(super) type Asks<'a> = SmallVec<[Ask<'a>; 4]>;

/// The time of a request by both clocks: rates follow the one that never jumps, calendars the one on the wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) ns: u64,
    pub(super) s: i64,
}

/// What a limit has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) requests: u64,
    /// Seconds until all of it is there again; 0 where that depends on requests under way.
    pub(super) reset_s: u32,
}

/// The first of several limits that refuses, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// Its place among those that were asked.
    pub(super) at: usize,
    pub(super) retry_ns: u64,
}

/// What was charged, so that it can be given back without what it was charged from at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) policy: u16,
    part: u16,
    of: Of,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Rate(Key),
    Quota { key: u64, start_min: u32 },
    OwnRate,
    OwnQuota { start_min: u32 },
}

/// What came of charging all.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) left: SmallVec<[Left; 4]>,
    pub(super) charges: SmallVec<[Charge; 4]>,
    pub(super) slots: SmallVec<[Slot; 1]>,
}

/// When a limit that counts by `per` runs: those by address before anybody is known.
pub(super) fn phase(per: &Per) -> Phase {
    if *per == Per::Ip { Phase::Access } else { Phase::Limit }
}

/// The limits of a phase are one transaction: the first of a run charges them all, the others have nothing to do. A
/// refusal also gives back what an earlier phase charged, so that a refused request is charged nothing at all.
pub(super) fn check(
    policies: &[Policy],
    at: usize,
    request: &mut Request<'_>,
    steps: &mut Steps,
) -> Result<Verdict, Fault> {
    let run = run(policies, at);
    if run.is_empty() {
        return Ok(Verdict::Continue);
    }
    let now = Now { ns: request.now_ns, s: request.now_s };
    let consumer = request.identity.consumer.as_deref();
    let caller = Caller { consumer, client_ip: request.client_ip, route: request.route, fields: &request.head.fields };
    let mut all = Asks::new();
    run.iter().zip(at..).for_each(|(policy, at)| asks(policy, place(at), &caller, &mut all));
    match charge_all(&all, now) {
        Ok(granted) => {
            request.notes.extend(all.iter().zip(&granted.left).map(|(ask, left)| ask.note(*left)));
            steps.charged.extend(granted.charges);
            steps.slots.extend(granted.slots);
            Ok(Verdict::Continue)
        }
        Err(denied) => {
            steps.refund(policies, consumer);
            let Some(ask) = all.get(denied.at) else { return Err(NO_LIMIT) };
            let retry_s = seconds(denied.retry_ns);
            request.notes.push(Note::Refused { policy: ask.policy, part: ask.part, retry_s });
            Err(ask.fault(policies, consumer, denied.retry_ns))
        }
    }
}

/// What one policy would say, as a phrase; it charges nothing.
pub(super) fn explain(policies: &[Policy], at: usize, request: &Request<'_>) -> Result<String, Fault> {
    let Some(policy) = policies.get(at) else { return Err(NO_LIMIT) };
    let consumer = request.identity.consumer.as_deref();
    let caller = Caller { consumer, client_ip: request.client_ip, route: request.route, fields: &request.head.fields };
    let mut all = Asks::new();
    asks(policy, place(at), &caller, &mut all);
    match peek_all(&all, Now { ns: request.now_ns, s: request.now_s }) {
        Ok(_) if all.is_empty() => Ok("the caller has no plan".to_owned()),
        Ok(left) => {
            let phrase = |(ask, left): (&Ask<'_>, &Left)| ask.note(*left).phrase(policies, consumer);
            Ok(all.iter().zip(&left).map(phrase).collect::<Vec<_>>().join(", "))
        }
        Err(denied) => Err(all.get(denied.at).map_or(NO_LIMIT, |ask| ask.fault(policies, consumer, denied.retry_ns))),
    }
}

const NO_LIMIT: Fault = Fault::Internal("a limit refused that is not there");

/// The limits from `at` on that belong to the same phase; none if those before it have charged them.
fn run(policies: &[Policy], at: usize) -> &[Policy] {
    let rest = policies.get(at..).unwrap_or_default();
    let phase = rest.first().map(Policy::phase);
    let is_one = |policy: &Policy| is_limit(policy) && Some(policy.phase()) == phase;
    if at.checked_sub(1).and_then(|before| policies.get(before)).is_some_and(is_one) {
        return &[];
    }
    let length = rest.iter().take_while(|policy| is_one(policy)).count();
    rest.get(..length).unwrap_or_default()
}

pub(super) fn is_limit(policy: &Policy) -> bool {
    matches!(policy, Policy::Concurrency(_) | Policy::Plan | Policy::Quota(_) | Policy::RateLimit(_))
}

/// What the keys of limits are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) consumer: Option<&'a Consumer>,
    pub(super) client_ip: IpAddr,
    pub(super) route: u64,
    pub(super) fields: &'a Fields,
}

/// What a policy would have charged.
pub(super) fn asks<'a>(policy: &'a Policy, at: u16, caller: &Caller<'a>, into: &mut Asks<'a>) {
    let ask = |what| Ask { policy: at, part: 0, what };
    match policy {
        Policy::RateLimit(limit) => {
            let (limiter, key) = limit.key(caller);
            into.push(ask(What::Rate { limiter, key, rate: limit.rate }));
        }
        Policy::Quota(quota) => {
            let (key, requests) = (quota.key(caller), quota.requests);
            into.push(ask(What::Quota { table: &quota.table, key, requests }));
        }
        Policy::Concurrency(limit) => {
            let (flights, key) = (limit.flights(), limit.key(caller));
            into.push(ask(What::Concurrency { flights, key, max: limit.max }));
        }
        Policy::Plan => {
            let Some(entitlement) = caller.consumer.and_then(|consumer| consumer.entitlement.as_ref()) else { return };
            let parts = entitlement.plan.parts.iter().zip(0..);
            into.extend(parts.map(|(part, index)| Ask { part: index, ..ask(own(part, entitlement)) }));
        }
        _ => {}
    }
}

fn own<'a>(part: &'a Part, entitlement: &'a Entitlement) -> What<'a> {
    let usage = &entitlement.usage;
    match &part.limit {
        Limit::Rate { rate, unit, .. } => What::OwnRate { usage, unit: *unit, rate: *rate },
        Limit::Quota { requests, calendar } => What::OwnQuota { usage, calendar, requests: *requests },
        Limit::Concurrency { max } => What::OwnConcurrency { usage, max: *max },
    }
}

/// Charges all limits, or none of them.
pub(super) fn charge_all(asks: &[Ask<'_>], now: Now) -> Result<Granted, Denied> {
    // With one limit the charge itself is the check.
    if asks.len() > 1 {
        peek_all(asks, now)?;
    }
    let mut granted = Granted::default();
    for (at, ask) in asks.iter().enumerate() {
        if let Err(retry_ns) = ask.charge(now, &mut granted) {
            // Slots give themselves back.
            for charge in granted.charges {
                let its = asks.iter().find(|ask| (ask.policy, ask.part) == (charge.policy, charge.part));
                its.into_iter().for_each(|ask| ask.refund(charge));
            }
            return Err(Denied { at, retry_ns });
        }
    }
    Ok(granted)
}

/// What [`charge_all`] would say, without charging. Of several that refuse it names the one that refuses longest.
pub(super) fn peek_all(asks: &[Ask<'_>], now: Now) -> Result<SmallVec<[Left; 4]>, Denied> {
    let mut left = SmallVec::new();
    let mut denied: Option<Denied> = None;
    for (at, ask) in asks.iter().enumerate() {
        match ask.peek(now) {
            Ok(now) => left.push(now),
            Err(retry_ns) if denied.is_none_or(|held| held.retry_ns < retry_ns) => {
                denied = Some(Denied { at, retry_ns });
            }
            Err(_) => {}
        }
    }
    denied.map_or(Ok(left), Err)
}

impl Ask<'_> {
    fn note(&self, left: Left) -> Note {
        let Left { requests, reset_s } = left;
        Note::Limited {
            policy: self.policy,
            part: self.part,
            left: u32::try_from(requests).unwrap_or(u32::MAX),
            reset_s,
        }
    }

    fn fault(&self, policies: &[Policy], consumer: Option<&Consumer>, retry_ns: u64) -> Fault {
        let (name, _) = note::limit(policies.get(usize::from(self.policy)), self.part, consumer);
        let policy: Arc<str> = name.into();
        // In whole milliseconds, rounded up, as a person reads it.
        let retry_after = Duration::from_millis(retry_ns.div_ceil(1_000_000));
        match self.what {
            What::Rate { .. } | What::OwnRate { .. } => Fault::LimitExceeded { policy, retry_after },
            What::Quota { .. } | What::OwnQuota { .. } => Fault::QuotaExceeded { policy, retry_after },
            What::Concurrency { .. } => {
                let limit = policies.get(usize::from(self.policy));
                let shared = matches!(limit, Some(Policy::Concurrency(limit)) if limit.per == Per::Route);
                Fault::TooManyAtOnce { policy, shared }
            }
            What::OwnConcurrency { .. } => Fault::TooManyAtOnce { policy, shared: false },
        }
    }

    fn charge(&self, now: Now, granted: &mut Granted) -> Result<(), u64> {
        let (left, of) = match self.what {
            What::Rate { limiter, key, rate } => (limiter.charge(key, rate, now.ns)?.into(), Some(Of::Rate(key))),
            What::Quota { table, key, requests } => {
                let moment = table.moment(now.s);
                let charged = table.charge(key, moment, requests).ok_or_else(|| wait(moment))?;
                (rest(charged.left, moment), Some(Of::Quota { key, start_min: charged.start_min }))
            }
            What::OwnRate { usage, unit, rate } => (usage.charge_rate(unit, rate, now.ns)?.into(), Some(Of::OwnRate)),
            What::OwnQuota { usage, calendar, requests } => {
                let moment = Moment { now_s: now.s, window: calendar.at(now.s) };
                let counter = usage.counter(calendar.period());
                let charged = counter.charge(moment, requests).ok_or_else(|| wait(moment))?;
                (rest(charged.left, moment), Some(Of::OwnQuota { start_min: charged.start_min }))
            }
            What::Concurrency { flights, key, max } => {
                let (slot, left) = flights.enter(key, max).ok_or(SECOND)?;
                granted.slots.push(slot);
                (Left { requests: left.into(), reset_s: 0 }, None)
            }
            What::OwnConcurrency { usage, max } => {
                let left = concurrency::add(&usage.in_flight, max).ok_or(SECOND)?;
                granted.slots.push(Slot::of(usage));
                (Left { requests: left.into(), reset_s: 0 }, None)
            }
        };
        granted.left.push(left);
        granted.charges.extend(of.map(|of| Charge { policy: self.policy, part: self.part, of }));
        Ok(())
    }

    fn peek(&self, now: Now) -> Result<Left, u64> {
        Ok(match self.what {
            What::Rate { limiter, key, rate } => limiter.peek(key, rate, now.ns)?.into(),
            What::Quota { table, key, requests } => {
                let moment = table.moment(now.s);
                rest(table.peek(key, moment, requests).ok_or_else(|| wait(moment))?.left, moment)
            }
            What::OwnRate { usage, unit, rate } => usage.peek_rate(unit, rate, now.ns)?.into(),
            What::OwnQuota { usage, calendar, requests } => {
                let moment = Moment { now_s: now.s, window: calendar.at(now.s) };
                let counter = usage.counter(calendar.period());
                rest(counter.peek(moment, requests).ok_or_else(|| wait(moment))?.left, moment)
            }
            What::Concurrency { flights, key, max } => room(max, flights.count(key))?,
            What::OwnConcurrency { usage, max } => room(max, usage.in_flight())?,
        })
    }

    fn refund(&self, charge: Charge) {
        match (self.what, charge.of) {
            (What::Rate { limiter, rate, .. }, Of::Rate(key)) => limiter.refund(key, rate),
            (What::Quota { table, .. }, Of::Quota { key, start_min }) => table.refund(key, start_min),
            (What::OwnRate { usage, unit, rate }, Of::OwnRate) => usage.refund_rate(unit, rate),
            (What::OwnQuota { usage, calendar, .. }, Of::OwnQuota { start_min }) => {
                usage.counter(calendar.period()).refund(start_min);
            }
            _ => {}
        }
    }
}

impl Charge {
    /// Whether it is of a quota, which is given back whoever refuses later.
    pub(super) fn is_quota(&self) -> bool {
        matches!(self.of, Of::Quota { .. } | Of::OwnQuota { .. })
    }

    /// Gives it back to the policy it was charged by.
    pub(super) fn refund(&self, policies: &[Policy], consumer: Option<&Consumer>) {
        match (policies.get(usize::from(self.policy)), self.of) {
            (Some(Policy::RateLimit(limit)), Of::Rate(key)) => limit.refund(key),
            (Some(Policy::Quota(quota)), Of::Quota { key, start_min }) => quota.table.refund(key, start_min),
            (Some(Policy::Plan), Of::OwnRate | Of::OwnQuota { .. }) => {
                let Some(entitlement) = consumer.and_then(|consumer| consumer.entitlement.as_ref()) else { return };
                if let Some(part) = entitlement.plan.parts.get(usize::from(self.part)) {
                    let ask = Ask { policy: self.policy, part: self.part, what: own(part, entitlement) };
                    ask.refund(*self);
                }
            }
            _ => {}
        }
    }
}

impl From<super::rate_limit::Left> for Left {
    fn from(left: super::rate_limit::Left) -> Self {
        Self { requests: left.requests.into(), reset_s: seconds(left.reset_ns) }
    }
}

fn room(max: u32, count: u32) -> Result<Left, u64> {
    let requests = u64::from(max.saturating_sub(count));
    if requests == 0 { Err(SECOND) } else { Ok(Left { requests, reset_s: 0 }) }
}

fn rest(requests: u64, moment: Moment) -> Left {
    Left { requests, reset_s: moment.window.seconds_left(moment.now_s) }
}

fn wait(moment: Moment) -> u64 {
    u64::from(moment.window.seconds_left(moment.now_s)) * SECOND
}
