// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies, named and written in place.
//!
//! The order in which a request passes them is made here, from their kinds; a model cannot change it. A named
//! limit that counts by the same as before keeps its cells, so a change gives nobody a fresh allowance; one written in
//! place starts anew.

use std::fmt::Display;
use std::sync::Arc;

use foldhash::HashMap;
use weirgate_store::model::{self, ApiKeyPolicy, FieldEdits, LimitKey, Model, RateLimitPolicy};

use super::{
    Given, Indices, authenticate, limit, policy_access, policy_answer as answer, policy_authorize, policy_forward_auth,
    policy_token,
};
use crate::config::problems::Problems;
use crate::policy::authenticate::api_key::{ApiKeySpec, Hide};
use crate::policy::headers::EditSpec;
use crate::policy::rate_limit::CELLS_DEFAULT;
use crate::policy::{ApiKey, Edits, Policy, RateLimit};

/// Cells of a limit that is written in place: it belongs to one route, of which there may be very many.
const CELLS_IN_PLACE: usize = 4_096;

/// Cells of a limit that counts all requests of a route together.
const CELLS_PER_ROUTE: usize = 64;

/// Policies by the name in the model. One that asks for all of several others is those others.
pub(super) type Named = HashMap<Arc<str>, Vec<Policy>>;

/// What else a policy may need to be compiled.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The named policies that are compiled already.
    pub(super) named: &'a Named,
    pub(super) upstreams: &'a Indices,
    pub(super) given: &'a Given<'a>,
}

pub(super) fn named(model: &Model, upstreams: &Indices, given: &Given<'_>, problems: &mut Problems) -> Named {
    let mut all = Named::default();
    // Those that name others come after those.
    let (choices, others): (Vec<_>, Vec<_>) =
        model.policies.iter().partition(|(_, policy)| matches!(policy, model::Policy::Authenticate(_)));
    for (name, policy) in others.into_iter().chain(choices) {
        let name: Arc<str> = name.as_str().into();
        let path = format!("policies.{name}.{}", policy.kind());
        let compiled = one(&name, policy, &path, CELLS_DEFAULT, Around { named: &all, upstreams, given }, problems);
        if !compiled.is_empty() {
            all.insert(name, compiled);
        }
    }
    all
}

/// The limits among them, for the next snapshot to take the counters from.
pub(super) fn limits(named: &Named) -> HashMap<Arc<str>, RateLimit> {
    let limit = |(name, policies): (&Arc<str>, &Vec<Policy>)| match policies.as_slice() {
        [Policy::RateLimit(limit)] => Some((Arc::clone(name), limit.clone())),
        _ => None,
    };
    named.iter().filter_map(limit).collect()
}

/// A policy written in place at `path`; `name` is what replies and records call it.
pub(super) fn in_place(
    name: &Arc<str>,
    policy: &model::Policy,
    path: &str,
    around: Around<'_>,
    problems: &mut Problems,
) -> Vec<Policy> {
    one(name, policy, path, CELLS_IN_PLACE, around, problems)
}

fn one(
    name: &Arc<str>,
    policy: &model::Policy,
    path: &str,
    cells: usize,
    around: Around<'_>,
    problems: &mut Problems,
) -> Vec<Policy> {
    let Around { named, upstreams, given } = around;
    let name = Arc::clone(name);
    let compiled = match policy {
        model::Policy::Authenticate(policy) => return authenticate::authenticate(name, policy, path, named, problems),
        model::Policy::Basic(policy) => Some(authenticate::basic(name, policy)),
        model::Policy::Cors(found) => Some(answer::cors(name, found)),
        model::Policy::Deprecation(found) => Some(answer::deprecation(name, found)),
        model::Policy::HttpSignature(policy) => Some(authenticate::http_signature(name, policy)),
        model::Policy::Maintenance(found) => Some(answer::maintenance(name, found)),
        model::Policy::Mtls(policy) => Some(authenticate::mtls(name, policy)),
        model::Policy::Reply(found) => Some(answer::reply(name, found)),
        model::Policy::RequestId(found) => Some(answer::request_id(name, found)),
        model::Policy::SecurityHeaders(found) => Some(answer::security_headers(name, found)),
        model::Policy::Trace(found) => Some(answer::trace(name, found)),
        // What the names stand for is asked for each route.
        model::Policy::Redirect(_) | model::Policy::Rewrite(_) => {
            answer::templated(&name, policy, path, &|_| Some(0), problems)
        }
        model::Policy::ApiKey(key) => all(problems, path, ApiKey::new(name, &key_spec(key))).map(Policy::ApiKey),
        model::Policy::Jwt(jwt) => policy_token::jwt(name, jwt, path, given, problems).map(Policy::Jwt),
        model::Policy::OAuth2(oauth2) => policy_token::oauth2(name, oauth2, path, given, problems).map(Policy::OAuth2),
        model::Policy::Authorize(written) => policy_authorize::authorize(name, written, path, problems),
        model::Policy::Bots(written) => policy_access::bots(name, written, path, problems),
        model::Policy::ForwardAuth(written) => Some(policy_forward_auth::forward_auth(name, written, upstreams, given)),
        model::Policy::Ip(written) => Some(policy_access::ip(name, written)),
        model::Policy::Methods(written) => Some(policy_access::methods(name, written)),
        model::Policy::RateLimit(limit) => rate_limit(name, limit, path, cells, given, problems),
        model::Policy::Quota(quota) => limit::quota(name, quota, path, given, problems),
        model::Policy::Concurrency(limit) => Some(limit::concurrency(name, limit, path, given)),
        model::Policy::RequestHeaders(edits) => {
            all(problems, path, Edits::new(name, &edit_spec(edits))).map(Policy::RequestHeaders)
        }
        model::Policy::ReplyHeaders(edits) => {
            all(problems, path, Edits::new(name, &edit_spec(edits))).map(Policy::ReplyHeaders)
        }
    };
    compiled.into_iter().collect()
}

pub(super) fn all<T, M: Display>(problems: &mut Problems, path: &str, result: Result<T, Vec<M>>) -> Option<T> {
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
    let cells = if policy.per == LimitKey::Route { cells.min(CELLS_PER_ROUTE) } else { cells };
    let per = limit::per(&policy.per);
    let previous = given.previous.and_then(|snapshot| previous_limit(snapshot, &name));
    Some(Policy::RateLimit(RateLimit::new(name, per, rate, cells, previous)))
}

fn previous_limit<'s>(snapshot: &'s crate::config::Snapshot, name: &str) -> Option<&'s RateLimit> {
    snapshot.limits.get(name)
}
