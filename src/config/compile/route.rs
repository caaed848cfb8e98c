// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes: the table that finds one, and what each leads to.
//!
//! A route refers to its upstream by place in a list, so that the request path looks up no name.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use http::Method;
use weirgate_store::model::{self, Model, Name, PolicyRef};

use super::policy::{self, Named};
use super::{Given, Indices, limit, policy_answer as answer, split};
use crate::config::problems::Problems;
use crate::config::snapshot::Route;
use crate::observe::Metered;
use crate::policy::{Phase, Policy};
use crate::route::{
    self, Conditions, DAY_MINUTES, HostPattern, MediaPattern, PathPattern, PatternError, ShareOf, Table, ValueMatch,
    Window,
};

pub(super) fn routes(
    model: &Model,
    upstreams: &Indices,
    named: &Named,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Vec<Route> {
    let canaries = split::earlier(given);
    let around = policy::Around { named, upstreams, given };
    let sources = Sources { model, around, has_plans: limit::has_plans(model) };
    let compile = |(name, route): (&Name, &model::Route)| {
        // What is wrong with a path is told with the table.
        let path = path_pattern(&route.matches.path()).ok();
        let policies = policies(name, route, path.as_ref(), &sources, problems);
        let captures = path.filter(|_| policies.iter().any(Policy::holds_capture)).map(Box::new);
        Route {
            name: name.as_str().into(),
            identity: identity(name),
            policies,
            captures,
            // A dangling name was found by the check; until then an index past the end finds nothing.
            upstream: route.upstream.as_ref().and_then(|u| upstreams.get(u.as_str())).copied().unwrap_or(u32::MAX),
            urgency: route.urgency,
            split: split::split(name, route, upstreams, &canaries, given),
            mirror: split::mirror(name, route, upstreams, given),
            max_body: route.max_body.map(|size| size.0),
            connect: route.connect,
            meter: given.meters.meter(Metered::Route, name.as_str()),
        }
    };
    model.routes.iter().map(compile).collect()
}

fn identity(name: &Name) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(name.as_str().as_bytes());
    hasher.finish()
}

/// Where the policies of a route come from.
#[derive(Clone, Copy)]
struct Sources<'a> {
    model: &'a Model,
    around: policy::Around<'a>,
    /// Whether there are plans at all.
    has_plans: bool,
}

fn policies(
    name: &Name,
    route: &model::Route,
    pattern: Option<&PathPattern>,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Vec<Policy> {
    let Sources { model, around, has_plans } = *sources;
    let place_of = |capture: &str| pattern.and_then(|pattern| pattern.place_of(capture));
    let mut all: Vec<Policy> = Vec::with_capacity(route.policies.len());
    for (at, reference) in route.policies.iter().enumerate() {
        let compiled = match reference {
            PolicyRef::Named(policy) => {
                match model.policies.get(policy).filter(|policy| answer::is_templated(policy)) {
                    Some(written) => {
                        let path = format!("routes.{name}.policies[{at}]");
                        let name = policy.as_str().into();
                        answer::templated(&name, written, &path, &place_of, problems).into_iter().collect()
                    }
                    None => around.named.get(policy.as_str()).cloned().unwrap_or_default(),
                }
            }
            PolicyRef::Inline(policy) => {
                let path = format!("routes.{name}.policies[{at}].{}", policy.kind());
                let own: Arc<str> = format!("{name}.{}", policy.kind()).into();
                match answer::is_templated(policy) {
                    true => answer::templated(&own, policy, &path, &place_of, problems).into_iter().collect(),
                    false => policy::in_place(&own, policy, &path, around, problems),
                }
            }
        };
        all.extend(compiled);
    }
    // A plan counts wherever somebody finds out who calls.
    if has_plans && all.iter().any(|policy| policy.phase() == Phase::Authenticate) {
        all.push(Policy::Plan);
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
    let path = problems.keep(&path_of("path"), PATH_HELP, path_pattern(&written.path()));
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
    let grpc = written.grpc.iter().map(|_| MediaPattern::Grpc);
    let conditions = Conditions {
        methods,
        headers: values("headers", &written.headers),
        query: values("query", &written.query),
        cookies: values("cookies", &written.cookies),
        window: written.window.as_ref().map(|window| Box::new(compile_window(window))),
        share: written.share.map(|share| {
            let by = written.share_by.as_ref().map(split::part);
            Box::new(ShareOf { percent: share.0, by, seed: identity(name) })
        }),
        media: written.content_type.iter().map(|text| MediaPattern::new(text)).chain(grpc).collect(),
    };
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

fn compile_window(written: &model::TimeWindow) -> Window {
    let model::TimeWindow { days, from, to, offset } = written;
    let bits = days.iter().fold(0, |bits, day| bits | 1 << (*day as u8));
    let time = |text: &Option<String>| text.as_deref().and_then(model::minutes);
    let names: Vec<_> = days.iter().map(|day| format!("{day:?}")).collect();
    let days = if names.is_empty() { "any day".to_owned() } else { names.join(", ") };
    let part = |text: &Option<String>, usual: &str| text.clone().unwrap_or_else(|| usual.to_owned());
    let text = format!("{days} from {} to {} (UTC{})", part(from, "00:00"), part(to, "24:00"), part(offset, ""));
    Window {
        days: if bits == 0 { 0x7f } else { bits },
        from: time(from).unwrap_or(0),
        to: time(to).unwrap_or(DAY_MINUTES),
        offset_s: offset.as_deref().and_then(model::offset_s).unwrap_or(0),
        text: text.into(),
    }
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
