// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes: the table that finds one, and what each leads to.
//!
//! A route refers to its upstream by place in a list, so that the request path looks up no name.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use http::Method;
use weirgate_store::model::{self, Model, Name, PolicyRef};

use super::policy::{self, Named};
use super::{Given, Indices, split};
use crate::config::problems::Problems;
use crate::config::snapshot::Route;
use crate::observe::Metered;
use crate::policy::Policy;
use crate::route::{self, Conditions, HostPattern, PathPattern, PatternError, Table, ValueMatch};

pub(super) fn routes(
    model: &Model,
    upstreams: &Indices,
    named: &Named,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Vec<Route> {
    let canaries = split::earlier(given);
    let compile = |(name, route): (&Name, &model::Route)| Route {
        name: name.as_str().into(),
        identity: identity(name),
        policies: policies(name, route, (upstreams, named), given, problems),
        // A dangling name was found by the check; until then an index past the end finds nothing.
        upstream: route.upstream.as_ref().and_then(|u| upstreams.get(u.as_str())).copied().unwrap_or(u32::MAX),
        urgency: route.urgency,
        split: split::split(name, route, upstreams, &canaries, given),
        mirror: split::mirror(name, route, upstreams, given),
        max_body: route.max_body.map(|size| size.0),
        connect: route.connect,
        meter: given.meters.meter(Metered::Route, name.as_str()),
    };
    model.routes.iter().map(compile).collect()
}

fn identity(name: &Name) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(name.as_str().as_bytes());
    hasher.finish()
}

fn policies(
    name: &Name,
    route: &model::Route,
    (upstreams, named): (&Indices, &Named),
    given: &Given<'_>,
    problems: &mut Problems,
) -> Vec<Policy> {
    let mut all: Vec<Policy> = Vec::with_capacity(route.policies.len());
    for (at, reference) in route.policies.iter().enumerate() {
        let compiled = match reference {
            PolicyRef::Named(policy) => named.get(policy.as_str()).cloned().unwrap_or_default(),
            PolicyRef::Inline(policy) => {
                let path = format!("routes.{name}.policies[{at}].{}", policy.kind());
                let own: Arc<str> = format!("{name}.{}", policy.kind()).into();
                let around = policy::Around { named, upstreams, given };
                policy::in_place(&own, policy, &path, around, problems)
            }
        };
        all.extend(compiled);
    }
    crate::policy::sort(&mut all);
    all
}

/// The table over all routes; the value of each is its place in the list.
pub(super) fn table(model: &Model, problems: &mut Problems) -> Option<Table<u32>> {
    let mut rules = Vec::with_capacity(model.routes.len());
    for (at, (name, route)) in (0..).zip(&model.routes) {
        rules.extend(rule(at, name, route, problems));
    }
    problems.keep("routes", "write fewer regex paths on one host", Table::build(rules))
}

fn rule(at: u32, name: &Name, route: &model::Route, problems: &mut Problems) -> Option<route::Route<u32>> {
    let written = &route.matches;
    let path_of = |field: &str| format!("routes.{name}.match.{field}");
    let hosts: Vec<_> = written
        .hosts
        .iter()
        .filter_map(|host| problems.keep(&path_of("hosts"), HOST_HELP, HostPattern::parse(&host.0)))
        .collect();
    let path = problems.keep(&path_of("path"), PATH_HELP, path_pattern(&written.path));
    let method = |text: &String| Method::from_bytes(text.as_bytes());
    let methods: Vec<_> = (written.methods.iter())
        .filter_map(|text| problems.keep(&path_of("methods"), "write methods as \"GET\"", method(text)))
        .collect();
    let mut values = |field: &str, map: &std::collections::BTreeMap<String, model::ValueMatch>| -> Vec<_> {
        let compile = |(key, value): (&String, &model::ValueMatch)| {
            let value = problems.keep(&format!("{}.{key}", path_of(field)), REGEX_HELP, value_match(value))?;
            Some((key.as_str().into(), value))
        };
        map.iter().filter_map(compile).collect()
    };
    let conditions =
        Conditions { methods, headers: values("headers", &written.headers), query: values("query", &written.query) };
    Some(route::Route {
        name: name.as_str().to_owned(),
        hosts,
        path: path?,
        conditions,
        priority: route.priority,
        order: at as usize,
        value: at,
    })
}

const HOST_HELP: &str = "write a name, \"*.example.com\" for its subdomains, or \"*\"";
pub(super) const PATH_HELP: &str =
    "begin the path with \"/\"; { template = \"/a/{id}\" } and { regex = \"…\" } are the other forms";
const REGEX_HELP: &str = "see the syntax of the regex crate; look-around and back references do not exist there";

pub(super) fn path_pattern(written: &model::PathPattern) -> Result<PathPattern, PatternError> {
    match written {
        model::PathPattern::Prefix(text) => PathPattern::prefix(text),
        model::PathPattern::Exact { exact } => PathPattern::exact(exact),
        model::PathPattern::Template { template } => PathPattern::template(template),
        model::PathPattern::Regex { regex } => PathPattern::regex(regex),
    }
}

fn value_match(written: &model::ValueMatch) -> Result<ValueMatch, PatternError> {
    Ok(match written {
        model::ValueMatch::Exact(text) => ValueMatch::exact(text),
        model::ValueMatch::Regex { regex } => ValueMatch::regex(regex)?,
        model::ValueMatch::Present { present: true } => ValueMatch::Present,
        model::ValueMatch::Present { present: false } => ValueMatch::Absent,
    })
}
