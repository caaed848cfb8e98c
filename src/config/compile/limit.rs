// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotas, limits on requests under way, and plans.
//!
//! What a quota has counted belongs to the place it is written in, its period, its zone and its key: while these are the
//! same, a change of the configuration forgets nothing, whatever the number of requests becomes.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use jiff::tz::TimeZone;
use weirgate_store::model::{self, ConcurrencyPolicy, LimitKey, Model, Name, PLAN_DEFAULT, QuotaPolicy};

use super::Given;
use super::policy::Named;
use crate::config::problems::Problems;
use crate::config::snapshot::{Counted, Plans, Route};
use crate::policy::plan::{Part, Plan};
use crate::policy::quota::{Calendar, KEYS_DEFAULT, Period, QuotaTable};
use crate::policy::rate_limit::{Per, RateLimit};
use crate::policy::{Concurrency, Policy, Quota, concurrency};

/// Keys of a quota that is written in place, unless more consumers are configured.
const KEYS_IN_PLACE: usize = 4_096;

pub(super) fn per(key: &LimitKey) -> Per {
    match key {
        LimitKey::Consumer => Per::Consumer,
        LimitKey::Ip => Per::Ip,
        LimitKey::Route => Per::Route,
        LimitKey::Header(field) => Per::Header(field.as_bytes().into()),
    }
}

pub(super) fn quota(
    name: Arc<str>,
    policy: &QuotaPolicy,
    path: &str,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Policy> {
    let calendar = calendar(policy.per, policy.timezone.as_deref(), path, problems)?;
    let owner = owner(&name, policy, path);
    let keys = match policy.key {
        LimitKey::Route => 1,
        LimitKey::Consumer => keys_of(path).max(given.consumers.next_power_of_two()),
        LimitKey::Ip | LimitKey::Header(_) => keys_of(path),
    };
    let previous = given.previous.and_then(|snapshot| snapshot.counted.quotas.get(&*owner));
    let table = match previous.map(|held| &held.table) {
        Some(table) if table.keys() >= keys => Arc::clone(table),
        Some(small) => {
            let table = QuotaTable::new(owner, calendar, keys, secret(given));
            table.restore(small.all(), given.now_s);
            Arc::new(table)
        }
        None => {
            let counts = (given.counts)(&owner);
            let table = QuotaTable::new(owner, calendar, keys, secret(given));
            table.restore(counts, given.now_s);
            Arc::new(table)
        }
    };
    let quota = Quota::new(name, per(&policy.key), policy.requests, table);
    problems.keep(path, "write a number of requests such as 1_000_000", quota).map(Policy::Quota)
}

/// Keys are hashed with a secret of this installation, which is used for nothing else.
fn secret(given: &Given<'_>) -> [u8; 32] {
    blake3::derive_key("weirgate 2026 keys of quotas", given.sticky_secret)
}

fn keys_of(path: &str) -> usize {
    if is_named(path) { KEYS_DEFAULT } else { KEYS_IN_PLACE }
}

fn is_named(path: &str) -> bool {
    path.starts_with("policies.")
}

/// What a quota is known by to the store and to the next snapshot.
fn owner(name: &str, policy: &QuotaPolicy, path: &str) -> Arc<str> {
    let place = if is_named(path) { "policy" } else { "route" };
    let zone = policy.timezone.as_deref().unwrap_or("UTC");
    let key = match &policy.key {
        LimitKey::Consumer => "consumer".to_owned(),
        LimitKey::Ip => "ip".to_owned(),
        LimitKey::Route => "route".to_owned(),
        LimitKey::Header(field) => format!("header {}", field.to_ascii_lowercase()),
    };
    format!("{place}/{name}/{}/{zone}/{key}", policy.per.word()).into()
}

pub(super) fn concurrency(name: Arc<str>, policy: &ConcurrencyPolicy, path: &str, given: &Given<'_>) -> Policy {
    let keys = match policy.per {
        LimitKey::Route => 64,
        LimitKey::Consumer | LimitKey::Ip | LimitKey::Header(_) if is_named(path) => concurrency::KEYS_DEFAULT,
        LimitKey::Consumer | LimitKey::Ip | LimitKey::Header(_) => KEYS_IN_PLACE,
    };
    let previous = given.previous.and_then(|snapshot| snapshot.counted.concurrency.get(&*name));
    Policy::Concurrency(Concurrency::new(name, per(&policy.per), policy.max, keys, previous))
}

fn calendar(per: model::Period, zone: Option<&str>, path: &str, problems: &mut Problems) -> Option<Calendar> {
    let zone = match zone {
        None => TimeZone::UTC,
        Some(name) => {
            let help = "write a name of the IANA database that this machine has, such as \"Europe/Berlin\"";
            problems.keep(&format!("{path}.timezone"), help, TimeZone::get(name))?
        }
    };
    let period = match per {
        model::Period::Minute => Period::Minute,
        model::Period::Hour => Period::Hour,
        model::Period::Day => Period::Day,
        model::Period::Month => Period::Month,
    };
    Some(Calendar::new(period, zone))
}

/// Everything that counts, for the next snapshot to take over.
pub(super) fn counted(named: &Named, routes: &[Route]) -> Counted {
    let mut counted = Counted::default();
    for policy in named.values().flatten().chain(routes.iter().flat_map(|route| &route.policies)) {
        match policy {
            Policy::Quota(quota) => drop(counted.quotas.insert(Arc::clone(&quota.table.owner), quota.clone())),
            Policy::Concurrency(limit) => drop(counted.concurrency.insert(Arc::clone(&limit.name), limit.clone())),
            _ => {}
        }
    }
    counted
}

/// Whether some consumer may have a plan, so that routes have to look.
pub(super) fn has_plans(model: &Model) -> bool {
    !model.plans.is_empty() || model.consumers.values().any(|consumer| consumer.quota.is_some())
}

/// What each consumer may do.
pub(super) fn plans(model: &Model, problems: &mut Problems) -> Plans {
    let compile = |(name, plan): (&Name, &model::Plan)| {
        let name: Arc<str> = name.as_str().into();
        let parts = parts(&name, plan, problems);
        (Arc::clone(&name), Arc::new(Plan { name, parts }))
    };
    let named: HashMap<_, _> = model.plans.iter().map(compile).collect();
    let mut own = HashMap::default();
    for (name, consumer) in &model.consumers {
        let Some(quota) = &consumer.quota else { continue };
        let path = format!("consumers.{name}.quota");
        let Some(calendar) = calendar(quota.per, quota.timezone.as_deref(), &path, problems) else { continue };
        let part = Part::quota(name.as_str(), quota.requests, Arc::new(calendar));
        let plan = consumer.plan.as_ref().map_or(PLAN_DEFAULT, Name::as_str);
        let plan = named.get(plan).map(|plan| Plan::clone(plan)).unwrap_or_default();
        // Its own quota stands in place of that of the plan for the same period.
        let others = plan.parts.iter().filter(|other| other.period() != part.period()).cloned();
        let parts = others.chain([part.clone()]).collect();
        own.insert(name.as_str().into(), Arc::new(Plan { parts, ..plan }));
    }
    Plans { named, own }
}

fn parts(name: &str, plan: &model::Plan, problems: &mut Problems) -> Box<[Part]> {
    let mut parts = Vec::new();
    for (at, limit) in plan.rate_limits.iter().enumerate() {
        let path = format!("plans.{name}.rate_limits[{at}]");
        let (count, unit): (u32, Duration) = (limit.rate.count, limit.rate.period);
        let rate = RateLimit::rate(u64::from(count), unit, limit.burst.unwrap_or(count));
        let help = "write a rate such as \"100/s\" and a burst of at least 1";
        let rate = problems.keep(&path, help, rate);
        parts.extend(rate.and_then(|rate| Part::rate(name, rate, unit, limit.rate.to_string())));
    }
    for (at, quota) in plan.quotas.iter().enumerate() {
        let path = format!("plans.{name}.quotas[{at}]");
        let calendar = calendar(quota.per, quota.timezone.as_deref(), &path, problems);
        parts.extend(calendar.map(|calendar| Part::quota(name, quota.requests, Arc::new(calendar))));
    }
    parts.extend(plan.concurrency.map(|max| Part::concurrency(name, max)));
    parts.into()
}
