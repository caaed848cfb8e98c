// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for limits: quotas, requests at once, and the plans that put them together.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::gate::field_name;
use crate::model::{
    ConcurrencyPolicy, Kind, LimitKey, Model, Name, PLAN_DEFAULT, Period, Plan, Policy, PolicyRef, Quota, QuotaPolicy,
};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most requests of a quota: what its counter can hold.
const QUOTA_MAX: u64 = 30_000_000_000;

/// Most requests at once that a limit may allow.
const CONCURRENCY_MAX: u64 = 1_000_000_000;

/// Most requests at once that a rate of a plan may allow.
const BURST_MAX: u64 = 1_000_000_000;

/// Longest name of a time zone.
const TIMEZONE_BYTES_MAX: usize = 64;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, found) in &model.plans {
        plan(findings, name, found);
    }
    for (name, consumer) in &model.consumers {
        let at = |field: &str| format!("consumers.{}.{field}", quoted(name.as_str()));
        if let Some(plan) = &consumer.plan {
            findings.refers(|| at("plan"), Kind::Plan, plan);
        }
        if let Some(found) = &consumer.quota {
            quota(findings, &at("quota"), found.requests, found.timezone.as_deref());
        }
    }
    for (name, route) in &model.routes {
        in_place(findings, name, &route.policies);
    }
    unread(findings);
}

/// The plans that some consumer has; the default one belongs to all that name none.
pub(super) fn used_plans(model: &Model) -> BTreeSet<&str> {
    let named = model.consumers.values().filter_map(|consumer| consumer.plan.as_ref()).map(Name::as_str);
    named.chain([PLAN_DEFAULT]).collect()
}

/// A quota as a policy.
pub(super) fn quota_policy(findings: &mut Findings<'_>, path: &str, policy: &QuotaPolicy) {
    quota(findings, path, policy.requests, policy.timezone.as_deref());
    key(findings, &format!("{path}.key"), &policy.key);
}

pub(super) fn concurrency(findings: &mut Findings<'_>, path: &str, policy: &ConcurrencyPolicy) {
    findings.within(|| format!("{path}.max"), u64::from(policy.max), 1, CONCURRENCY_MAX);
    key(findings, &format!("{path}.per"), &policy.per);
}

/// What a policy is counted by, if it is a limit.
pub(super) fn counted_by(policy: &Policy) -> Option<&LimitKey> {
    match policy {
        Policy::RateLimit(limit) => Some(&limit.per),
        Policy::Quota(quota) => Some(&quota.key),
        Policy::Concurrency(limit) => Some(&limit.per),
        _ => None,
    }
}

fn key(findings: &mut Findings<'_>, path: &str, key: &LimitKey) {
    if let LimitKey::Header(name) = key {
        field_name(findings, format!("{path}.header"), name);
    }
}

/// Whether a time zone exists is for the machine to say; here only what cannot be one is refused.
fn quota(findings: &mut Findings<'_>, path: &str, requests: u64, timezone: Option<&str>) {
    findings.within(|| format!("{path}.requests"), requests, 1, QUOTA_MAX);
    let is_name = |zone: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
        (1..=TIMEZONE_BYTES_MAX).contains(&zone.len()) && zone.bytes().all(allowed)
    };
    if timezone.is_some_and(|zone| !is_name(zone)) {
        let help = "write a name of the IANA database, such as \"Europe/Berlin\", or leave it out for UTC";
        findings.bad(format!("{path}.timezone"), "this is not a time zone", help);
    }
}

fn plan(findings: &mut Findings<'_>, name: &Name, plan: &Plan) {
    let at = |field: &str| format!("plans.{}.{field}", quoted(name.as_str()));
    if *plan == Plan::default() {
        let path = format!("plans.{}", quoted(name.as_str()));
        let help = "write rate_limits, quotas or concurrency";
        findings.warn(ProblemCode::MissingField, path, "this plan limits nothing", help);
    }
    let mut units = BTreeSet::new();
    for (index, limit) in plan.rate_limits.iter().enumerate() {
        let path = at(&format!("rate_limits[{index}]"));
        if let Some(burst) = limit.burst {
            findings.within(|| format!("{path}.burst"), u64::from(burst), 1, BURST_MAX);
        }
        if !units.insert(limit.rate.period) {
            let help = "write one rate for each of /s, /m, /h and /d";
            findings.problem(ProblemCode::Duplicate, path, "the plan has another rate for this unit of time", help);
        }
    }
    let mut periods = BTreeSet::new();
    for (index, found) in plan.quotas.iter().enumerate() {
        let path = at(&format!("quotas[{index}]"));
        let Quota { requests, per, timezone } = found;
        quota(findings, &path, *requests, timezone.as_deref());
        if !periods.insert(*per) {
            let message = format!("the plan has another quota for each {}", per.word());
            findings.problem(ProblemCode::Duplicate, path, message, "write one quota for each period");
        }
    }
    if let Some(max) = plan.concurrency {
        findings.within(|| at("concurrency"), u64::from(max), 1, CONCURRENCY_MAX);
    }
}

/// Two quotas in one place that count the same would be one counter that counts twice.
fn in_place(findings: &mut Findings<'_>, name: &Name, policies: &[PolicyRef]) {
    let mut seen: BTreeMap<(Period, String), usize> = BTreeMap::new();
    for (index, reference) in policies.iter().enumerate() {
        let PolicyRef::Inline(Policy::Quota(quota)) = reference else { continue };
        if seen.insert((quota.per, format!("{:?}", quota.key)), index).is_some() {
            let path = format!("routes.{}.policies[{index}].quota", quoted(name.as_str()));
            let message = format!("the route has another quota for each {} by the same key", quota.per.word());
            findings.problem(ProblemCode::Duplicate, path, message, "write one of them");
        }
    }
}

/// A plan counts only where some route finds out who calls.
fn unread(findings: &mut Findings<'_>) {
    let model = findings.model;
    let limited = model.consumers.iter().find(|(_, it)| it.plan.is_some() || it.quota.is_some());
    let Some((name, consumer)) = limited else { return };
    let authenticates = |reference: &PolicyRef| match reference {
        PolicyRef::Named(name) => model.policies.get(name).is_some_and(Policy::authenticates),
        PolicyRef::Inline(policy) => policy.authenticates(),
    };
    if !model.routes.values().flat_map(|route| &route.policies).any(authenticates) {
        let field = if consumer.plan.is_some() { "plan" } else { "quota" };
        let path = format!("consumers.{}.{field}", quoted(name.as_str()));
        let message = "no route finds out which consumer calls, so this never counts";
        findings.warn(ProblemCode::Conflict, path, message, "give the routes an api_key policy");
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
