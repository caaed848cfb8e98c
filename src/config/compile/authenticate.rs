// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that authenticate: by password, by certificate, and by one or all of several others.
//!
//! "All of" needs nothing of its own: it is its methods, one after the other, as if they stood in the route.

use std::sync::Arc;

use weirgate_store::model::{self, AuthenticatePolicy, BasicPolicy, HttpSignaturePolicy, MtlsPolicy, Name};

use super::policy::{Named, all};
use crate::config::problems::Problems;
use crate::policy::authenticate::any_of::AnonymousOn;
use crate::policy::authenticate::signature::{HttpSignatureSpec, Nonce};
use crate::policy::authenticate::{basic, mtls};
use crate::policy::{AnyOf, Basic, HttpSignature, Mtls, Policy};

pub(super) fn authenticate(
    name: Arc<str>,
    policy: &AuthenticatePolicy,
    path: &str,
    named: &Named,
    problems: &mut Problems,
) -> Vec<Policy> {
    // A name that leads nowhere was found by the check, and what it names has problems of its own.
    let methods = |names: &[Name]| -> Vec<Policy> {
        names.iter().filter_map(|name| named.get(name.as_str())).flatten().cloned().collect()
    };
    if !policy.all_of.is_empty() {
        return methods(&policy.all_of);
    }
    let methods = methods(&policy.any_of);
    if methods.len() < policy.any_of.len() {
        return Vec::new();
    }
    let on = match policy.anonymous_on {
        model::AnonymousOn::Missing => AnonymousOn::Missing,
        model::AnonymousOn::Failed => AnonymousOn::Failed,
    };
    let anonymous = policy.anonymous.as_ref().map(|consumer| (consumer.as_str().into(), on));
    all(problems, path, AnyOf::new(name, methods, anonymous)).map(Policy::AnyOf).into_iter().collect()
}

pub(super) fn basic(name: Arc<str>, policy: &BasicPolicy) -> Policy {
    let hide = if policy.hide { basic::Hide::Yes } else { basic::Hide::No };
    Policy::Basic(Basic::new(name, &policy.realm, hide))
}

pub(super) fn mtls(name: Arc<str>, policy: &MtlsPolicy) -> Policy {
    let forward = if policy.forward { mtls::Forward::Yes } else { mtls::Forward::No };
    Policy::Mtls(Mtls::new(name, &policy.realm, forward))
}

pub(super) fn http_signature(name: Arc<str>, policy: &HttpSignaturePolicy) -> Policy {
    let spec = HttpSignatureSpec {
        components: policy.components.clone(),
        max_age: policy.max_age.0,
        tag: policy.tag.clone(),
        nonce: if policy.nonce { Nonce::Required } else { Nonce::Optional },
        realm: policy.realm.clone(),
    };
    Policy::HttpSignature(HttpSignature::new(name, &spec))
}
