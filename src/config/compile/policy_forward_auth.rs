// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that ask a service. One that asks the same as before goes on with what it remembers.

use std::sync::Arc;

use foldhash::HashMap;

use weirgate_store::model::{AuthFailure, ForwardAuthPolicy, VerdictCache, VerdictKey};

use super::{Given, Indices};
use crate::config::snapshot::{Askers, Route};
use crate::policy::Policy;
use crate::policy::forward_auth::{Failure, ForwardAuth, ForwardAuthSpec, KeyPart, Memory};

pub(super) fn forward_auth(
    name: Arc<str>,
    policy: &ForwardAuthPolicy,
    upstreams: &Indices,
    given: &Given<'_>,
) -> Policy {
    let (path, query) = policy.path.split_once('?').map_or((&*policy.path, None), |(path, query)| (path, Some(query)));
    let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let spec = ForwardAuthSpec {
        // A dangling name was found by the check; until then an index past the end finds nothing.
        upstream: upstreams.get(policy.upstream.as_str()).copied().unwrap_or(u32::MAX),
        upstream_name: policy.upstream.as_str().into(),
        path: path.into(),
        query: query.map(Into::into),
        request_fields: boxed(&policy.request_headers),
        reply_fields: boxed(&policy.reply_headers),
        timeout: policy.timeout.0,
        failure: match policy.failure {
            AuthFailure::Deny => Failure::Deny,
            AuthFailure::Unavailable => Failure::Unavailable,
            AuthFailure::Allow => Failure::Allow,
        },
        memory: policy.cache.as_ref().map(memory),
    };
    let earlier = given.previous.and_then(|snapshot| snapshot.askers.get(&name)).map(Vec::as_slice).unwrap_or_default();
    let same = earlier.iter().find(|earlier| earlier.spec.is_like(&spec));
    Policy::ForwardAuth(ForwardAuth::new(name, spec, same.map(|same| &**same)).into())
}

fn memory(cache: &VerdictCache) -> Memory {
    let part = |part: &VerdictKey| match part {
        VerdictKey::Consumer => KeyPart::Consumer,
        VerdictKey::Host => KeyPart::Host,
        VerdictKey::Method => KeyPart::Method,
        VerdictKey::Path => KeyPart::Path,
        VerdictKey::Query => KeyPart::Query,
        VerdictKey::SourceIp => KeyPart::SourceIp,
        VerdictKey::Header(name) => KeyPart::Header(name.as_bytes().into()),
        VerdictKey::Cookie(name) => KeyPart::Cookie(name.as_bytes().into()),
    };
    Memory {
        key: cache.key.iter().map(part).collect(),
        ttl: cache.ttl.0,
        negative_ttl: cache.negative_ttl.0,
        trusts_cache_control: cache.cache_control,
        subject: cache.subject.as_deref().map(Into::into),
        entries: cache.entries as usize,
    }
}

/// All of them by name. Those of one name that are written in place twice in a route are different ones.
pub(super) fn askers(routes: &[Route]) -> Askers {
    let mut all: Askers = HashMap::default();
    for policy in routes.iter().flat_map(|route| &route.policies) {
        let Policy::ForwardAuth(asker) = policy else { continue };
        let known = all.entry(Arc::clone(&asker.name)).or_default();
        if !known.iter().any(|other| Arc::ptr_eq(other, asker)) {
            known.push(Arc::clone(asker));
        }
    }
    all
}
