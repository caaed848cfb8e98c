// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies, named and written in place.
//!
//! The order in which a request passes them is made here, from their kinds; a model cannot change it. A named
//! limit that counts by the same as before keeps its cells, so a change gives nobody a fresh allowance; one written in
//! place starts anew.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use weirgate_store::model::{self, ApiKeyPolicy, FieldEdits, LimitKey, Model, RateLimitPolicy};

use super::{Given, policy_token};
use crate::config::problems::Problems;
use crate::policy::authenticate::api_key::{ApiKeySpec, Hide};
use crate::policy::headers::EditSpec;
use crate::policy::rate_limit::{CELLS_DEFAULT, Per};
use crate::policy::{ApiKey, Edits, Policy, RateLimit};

/// Cells of a limit that is written in place: it belongs to one route, of which there may be very many.
const CELLS_IN_PLACE: usize = 4_096;

/// Cells of a limit that counts all requests of a route together.
const CELLS_PER_ROUTE: usize = 64;

/// Policies by the name in the model.
pub(super) type Named = HashMap<Arc<str>, Policy>;

pub(super) fn named(model: &Model, given: &Given<'_>, problems: &mut Problems) -> Named {
    let mut all = Named::new();
    for (name, policy) in &model.policies {
        let name: Arc<str> = name.as_str().into();
        let path = format!("policies.{name}.{}", policy.kind());
        if let Some(compiled) = one(&name, policy, &path, CELLS_DEFAULT, given, problems) {
            all.insert(name, compiled);
        }
    }
    all
}

/// The limits among them, for the next snapshot to take the counters from.
pub(super) fn limits(named: &Named) -> HashMap<Arc<str>, RateLimit> {
    let limit = |(name, policy): (&Arc<str>, &Policy)| match policy {
        Policy::RateLimit(limit) => Some((Arc::clone(name), limit.clone())),
        Policy::ApiKey(_)
        | Policy::Jwt(_)
        | Policy::OAuth2(_)
        | Policy::ReplyHeaders(_)
        | Policy::RequestHeaders(_) => None,
    };
    named.iter().filter_map(limit).collect()
}

/// A policy written in place at `path`; `name` is what replies and records call it.
pub(super) fn in_place(
    name: &Arc<str>,
    policy: &model::Policy,
    path: &str,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Policy> {
    one(name, policy, path, CELLS_IN_PLACE, given, problems)
}

fn one(
    name: &Arc<str>,
    policy: &model::Policy,
    path: &str,
    cells: usize,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Policy> {
    let name = Arc::clone(name);
    match policy {
        model::Policy::ApiKey(key) => all(problems, path, ApiKey::new(name, &key_spec(key))).map(Policy::ApiKey),
        model::Policy::Jwt(jwt) => policy_token::jwt(name, jwt, path, given, problems).map(Policy::Jwt),
        model::Policy::OAuth2(oauth2) => policy_token::oauth2(name, oauth2, path, given, problems).map(Policy::OAuth2),
        model::Policy::RateLimit(limit) => rate_limit(name, limit, path, cells, given, problems),
        model::Policy::RequestHeaders(edits) => {
            all(problems, path, Edits::new(name, &edit_spec(edits))).map(Policy::RequestHeaders)
        }
        model::Policy::ReplyHeaders(edits) => {
            all(problems, path, Edits::new(name, &edit_spec(edits))).map(Policy::ReplyHeaders)
        }
    }
}

fn all<T, M: Display>(problems: &mut Problems, path: &str, result: Result<T, Vec<M>>) -> Option<T> {
    let mistakes = match result {
        Ok(value) => return Some(value),
        Err(mistakes) => mistakes,
    };
    for mistake in mistakes {
        problems.invalid(path, mistake, "see the policy's section in the manual for what it takes");
    }
    None
}

fn key_spec(policy: &ApiKeyPolicy) -> ApiKeySpec {
    ApiKeySpec {
        headers: policy.header.iter().cloned().collect(),
        queries: policy.query.iter().cloned().collect(),
        cookies: policy.cookie.iter().cloned().collect(),
        hide: if policy.hide { Hide::Yes } else { Hide::No },
        realm: policy.realm.clone(),
    }
}

fn edit_spec(edits: &FieldEdits) -> EditSpec {
    let pairs = |map: &std::collections::BTreeMap<String, String>| map.clone().into_iter().collect();
    EditSpec { remove: edits.remove.clone(), set: pairs(&edits.set), add: pairs(&edits.add) }
}

fn rate_limit(
    name: Arc<str>,
    policy: &RateLimitPolicy,
    path: &str,
    cells: usize,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Policy> {
    let burst = policy.burst.unwrap_or(policy.rate.count);
    let rate = RateLimit::rate(u64::from(policy.rate.count), policy.rate.period, burst);
    let rate = problems.keep(path, "write a rate such as \"100/s\" and a burst of at least 1", rate)?;
    let (per, cells) = match &policy.per {
        LimitKey::Consumer => (Per::Consumer, cells),
        LimitKey::Ip => (Per::Ip, cells),
        LimitKey::Route => (Per::Route, cells.min(CELLS_PER_ROUTE)),
        LimitKey::Header(field) => (Per::Header(field.as_bytes().into()), cells),
    };
    let previous = given.previous.and_then(|snapshot| previous_limit(snapshot, &name));
    Some(Policy::RateLimit(RateLimit::new(name, per, rate, cells, previous)))
}

fn previous_limit<'s>(snapshot: &'s crate::config::Snapshot, name: &str) -> Option<&'s RateLimit> {
    snapshot.limits.get(name)
}
