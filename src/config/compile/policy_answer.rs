// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that answer, rewrite, or tell browsers and tracers something.
//!
//! The texts with names in them are compiled once for each route, because a name may stand for a part of its path.

use std::fmt::Display;
use std::sync::Arc;

use weirgate_store::model::{self, CorsPolicy, Frame, Hsts, MaintenancePolicy, ReplyPolicy, SecurityHeadersPolicy};
use weirgate_store::model::{
    Date, DeprecationPolicy, RedirectPolicy, RequestIdPolicy, RewritePolicy, TraceFrom, TracePolicy,
};

use crate::config::problems::Problems;
use crate::policy::cors::{Names, Origins};
use crate::policy::deprecation::Dates;
use crate::policy::template::{Form, Template};
use crate::policy::{
    Cors, Deprecation, FixedReply, IdField, Maintenance, Mistake, Policy, Redirect, Rewrite, SecurityHeaders,
    TraceContinued,
};

/// Says where a part of the route's path is among its captures.
pub(super) type PlaceOf<'a> = &'a dyn Fn(&str) -> Option<usize>;

/// Whether a policy has to be compiled for each route.
pub(super) fn is_templated(policy: &model::Policy) -> bool {
    matches!(policy, model::Policy::Redirect(_) | model::Policy::Rewrite(_))
}

/// A policy with names in it, or nothing for one of another kind.
pub(super) fn templated(
    name: &Arc<str>,
    policy: &model::Policy,
    path: &str,
    place_of: PlaceOf<'_>,
    problems: &mut Problems,
) -> Option<Policy> {
    let name = Arc::clone(name);
    let compiled = match policy {
        model::Policy::Redirect(found) => redirect(name, found, place_of).map(Policy::Redirect),
        model::Policy::Rewrite(found) => rewrite(name, found, place_of).map(|rewrite| Policy::Rewrite(rewrite.into())),
        _ => return None,
    };
    problems.keep(path, "write names of the request, or of the path of the route, in braces", compiled)
}

fn redirect(name: Arc<str>, policy: &RedirectPolicy, place_of: PlaceOf<'_>) -> Result<Redirect, Mistake> {
    let to = Template::new(&policy.to, Form::Url, place_of)?;
    Ok(Redirect { name, to, status: policy.status, keep_query: policy.keep_query })
}

fn rewrite(name: Arc<str>, policy: &RewritePolicy, place_of: PlaceOf<'_>) -> Result<Rewrite, Mistake> {
    let bytes = |text: &str| -> Box<[u8]> { text.trim_end_matches('/').as_bytes().into() };
    let whole =
        |text: &Option<String>, form| text.as_deref().map(|text| Template::new(text, form, place_of)).transpose();
    let values = |map: &std::collections::BTreeMap<String, String>| {
        let value =
            |(key, text): (&String, &String)| Ok((key.as_bytes().into(), Template::new(text, Form::Query, place_of)?));
        map.iter().map(value).collect::<Result<Box<[_]>, Mistake>>()
    };
    Ok(Rewrite {
        name,
        path: whole(&policy.path, Form::Path)?,
        strip: policy.strip_prefix.as_deref().map(bytes),
        add: policy.add_prefix.as_deref().map(bytes),
        host: whole(&policy.host, Form::Host)?,
        remove: policy.query.remove.iter().map(|key| key.as_bytes().into()).collect(),
        set: values(&policy.query.set)?,
        append: values(&policy.query.add)?,
    })
}

pub(super) fn reply(name: Arc<str>, policy: &ReplyPolicy) -> Policy {
    let headers: Vec<_> = policy.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (body, kind) = match (&policy.json, &policy.body) {
        (Some(json), _) => (json.as_str(), Some("application/json")),
        (None, Some(body)) => (body.as_str(), Some("text/plain; charset=utf-8")),
        (None, None) => ("", None),
    };
    Policy::FixedReply(FixedReply::new(name, policy.status, &headers, kind, body))
}

pub(super) fn maintenance(name: Arc<str>, policy: &MaintenancePolicy) -> Policy {
    let after = policy.retry_after.map(|span| span.0);
    Policy::Maintenance(Maintenance::new(name, &policy.allow, after, policy.body.as_deref()))
}

pub(super) fn cors(name: Arc<str>, policy: &CorsPolicy) -> Policy {
    let names = |list: &[String]| match list.iter().any(|name| name == "*") {
        true => Names::Any,
        false => Names::Some(list.join(", ").into()),
    };
    Policy::Cors(Cors {
        name,
        origins: Origins::new(policy.origins.iter().map(String::as_str)),
        methods: names(&policy.methods),
        headers: names(&policy.headers),
        expose: policy.expose.join(", ").into(),
        credentials: policy.credentials,
        max_age: policy.max_age.map(|span| span.0.as_secs()),
        private_network: policy.private_network,
    })
}

pub(super) fn deprecation(name: Arc<str>, policy: &DeprecationPolicy) -> Policy {
    // A date of the model is one that a calendar has.
    let http_date = |date: Date| {
        let at = jiff::Timestamp::from_second(date.0).unwrap_or_default();
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
    };
    let sunset = policy.sunset.map(|sunset| (sunset.0, http_date(sunset)));
    Policy::Deprecation(Deprecation::new(
        name,
        &Dates {
            since: policy.since.map(|since| since.0),
            sunset: sunset.as_ref().map(|(at, text)| (*at, text.as_str())),
            successor: policy.successor.as_deref(),
            docs: policy.docs.as_deref(),
            gone: policy.gone,
        },
    ))
}

pub(super) fn security_headers(name: Arc<str>, policy: &SecurityHeadersPolicy) -> Policy {
    let SecurityHeadersPolicy { hsts, nosniff, frame, referrer, csp, permissions } = policy;
    let own = |value: &dyn Display| value.to_string().into_boxed_str();
    let frame = frame.map(|frame| match frame {
        Frame::Deny => "DENY",
        Frame::SameOrigin => "SAMEORIGIN",
    });
    let fields = [
        nosniff.then(|| ("X-Content-Type-Options", own(&"nosniff"))),
        frame.map(|frame| ("X-Frame-Options", own(&frame))),
        referrer.as_ref().map(|text| ("Referrer-Policy", own(text))),
        csp.as_ref().map(|text| ("Content-Security-Policy", own(text))),
        permissions.as_ref().map(|text| ("Permissions-Policy", own(text))),
    ];
    let hsts = hsts.as_ref().map(|Hsts { max_age, subdomains, preload }| {
        let subdomains = if *subdomains { "; includeSubDomains" } else { "" };
        let preload = if *preload { "; preload" } else { "" };
        format!("max-age={}{subdomains}{preload}", max_age.0.as_secs()).into_boxed_str()
    });
    Policy::SecurityHeaders(SecurityHeaders { name, fields: fields.into_iter().flatten().collect(), hsts })
}

pub(super) fn request_id(name: Arc<str>, policy: &RequestIdPolicy) -> Policy {
    Policy::IdField(IdField { name, header: policy.header.as_bytes().into(), reply: policy.reply })
}

pub(super) fn trace(name: Arc<str>, policy: &TracePolicy) -> Policy {
    let proxies_only = policy.from == TraceFrom::Proxies;
    Policy::Trace(TraceContinued { name, proxies_only, sample: policy.sample.0 })
}
