// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for where a route leads: one upstream or a split, what keeps its sides, what moves them, and the mirror.

use std::collections::HashSet;

use super::listen::not_zero;
use super::route::at;
use super::spelling::is_token;
use super::{Findings, gate};
use crate::model::{Canary, HashKey, Kind, Mirror, Name, Percent, Route, WEIGHT_MAX};
use crate::wire::ProblemCode;

/// Most sides of one split: each is looked at for each request.
const SIDES_MAX: usize = 16;

/// Most steps of a canary.
const STEPS_MAX: usize = 100;

/// Longest body of a copy: copies are held in memory while they are under way.
const MIRROR_BODY_MAX: u64 = 1 << 20;

/// The upstreams that a route names.
pub(super) fn upstreams(route: &Route) -> impl Iterator<Item = &Name> {
    let sides = route.split.iter().map(|side| &side.upstream);
    route.upstream.iter().chain(sides).chain(route.mirror.iter().map(|mirror| &mirror.upstream))
}

pub(super) fn check(findings: &mut Findings<'_>, name: &Name, route: &Route) {
    match (&route.upstream, route.split.is_empty()) {
        (Some(upstream), true) => findings.refers(|| at(name, "upstream"), Kind::Upstream, upstream),
        (Some(_), false) => {
            let message = "a route has either an upstream or a split";
            findings.problem(ProblemCode::Conflict, at(name, "upstream"), message, "take one of them out");
        }
        (None, true) if super::route::answers(findings.model, route) => {}
        (None, true) => {
            let help = "write upstream = \"NAME\", a split of several, or a redirect or reply among the policies";
            findings.problem(ProblemCode::MissingField, at(name, "upstream"), "a route needs an upstream", help);
        }
        (None, false) => {}
    }
    sides(findings, name, route);
    split_by(findings, name, route);
    if let Some(field) = &route.testers {
        needs_split(findings, name, route, "testers");
        gate::field_name(findings, at(name, "testers"), field);
    }
    if let Some(written) = &route.canary {
        needs_split(findings, name, route, "canary");
        canary(findings, name, route, written);
    }
    if let Some(written) = &route.mirror {
        mirror(findings, name, route, written);
    }
}

fn needs_split(findings: &mut Findings<'_>, name: &Name, route: &Route, field: &str) {
    if route.split.is_empty() {
        let help = "write a split, or leave it out";
        findings.problem(
            ProblemCode::Conflict,
            at(name, field),
            format!("{field} means nothing without a split"),
            help,
        );
    }
}

fn sides(findings: &mut Findings<'_>, name: &Name, route: &Route) {
    let split = &route.split;
    if split.is_empty() {
        return;
    }
    if split.len() == 1 || split.len() > SIDES_MAX {
        let message = format!("a split has 2 to {SIDES_MAX} sides, and this one has {}", split.len());
        findings.bad(at(name, "split"), message, "write upstream = \"NAME\" where there is only one");
    }
    let mut seen = HashSet::new();
    for (index, side) in split.iter().enumerate() {
        let path = |field: &str| at(name, &format!("split[{index}].{field}"));
        findings.refers(|| path("upstream"), Kind::Upstream, &side.upstream);
        findings.within(|| path("weight"), u64::from(side.weight), 0, u64::from(WEIGHT_MAX));
        if !seen.insert(&side.upstream) {
            let message = format!("\"{}\" is a side already", side.upstream);
            findings.problem(ProblemCode::Duplicate, path("upstream"), message, "name each upstream once");
        }
    }
    if route.canary.is_none() && split.iter().all(|side| side.weight == 0) {
        let message = "no side has a weight, so nothing can take a request";
        findings.problem(ProblemCode::Conflict, at(name, "split"), message, "give one of them a weight above 0");
    }
}

fn split_by(findings: &mut Findings<'_>, name: &Name, route: &Route) {
    let Some(by) = &route.split_by else { return };
    needs_split(findings, name, route, "split_by");
    match by {
        HashKey::Header(field) => gate::field_name(findings, at(name, "split_by.header"), field),
        HashKey::Cookie(cookie) if !is_token(cookie) => {
            let message = format!("\"{}\" is not the name of a cookie", cookie.escape_debug());
            findings.bad(at(name, "split_by.cookie"), message, "use letters, digits, '-' and '_', such as \"sid\"");
        }
        HashKey::Query(parameter) if parameter.is_empty() => {
            findings.bad(at(name, "split_by.query"), "a query parameter needs a name", "write { query = \"user\" }");
        }
        HashKey::SourceIp | HashKey::Path | HashKey::ClientCertificate | HashKey::Cookie(_) | HashKey::Query(_) => {}
    }
}

fn canary(findings: &mut Findings<'_>, name: &Name, route: &Route, written: &Canary) {
    let path = |field: &str| at(name, &format!("canary.{field}"));
    if !route.split.is_empty() {
        if route.split.len() != 2 {
            let message = format!("a canary moves a split of two, and this one has {} sides", route.split.len());
            findings.problem(ProblemCode::Conflict, at(name, "canary"), message, "leave two sides in the split");
        } else if !route.split.iter().any(|side| side.upstream == written.upstream) {
            let message = format!("\"{}\" is no side of the split", written.upstream);
            findings.problem(ProblemCode::Dangling, path("upstream"), message, "name the side that is new");
        }
    }
    steps(findings, &path("steps"), &written.steps);
    not_zero(findings, || path("every"), written.every);
    findings.within(|| path("errors_max"), u64::from(written.errors_max.0), 0, 100);
    if let Some(most) = written.latency_max {
        not_zero(findings, || path("latency_max"), most);
    }
    findings.within(|| path("requests"), u64::from(written.requests), 1, u64::from(u32::MAX));
}

fn steps(findings: &mut Findings<'_>, path: &str, steps: &[Percent]) {
    let help = "write rising shares such as [\"5%\", \"25%\", \"100%\"]";
    if steps.is_empty() || steps.len() > STEPS_MAX {
        findings.bad(path, format!("a canary has 1 to {STEPS_MAX} steps, and this one has {}", steps.len()), help);
    }
    let mut last = 0;
    for (index, step) in steps.iter().enumerate() {
        if step.0 <= last || step.0 > 100 {
            let message = format!("{step} is not above the step before it and at most 100%");
            return findings.bad(format!("{path}[{index}]"), message, help);
        }
        last = step.0;
    }
}

fn mirror(findings: &mut Findings<'_>, name: &Name, route: &Route, written: &Mirror) {
    let path = |field: &str| at(name, &format!("mirror.{field}"));
    findings.refers(|| path("upstream"), Kind::Upstream, &written.upstream);
    findings.within(|| path("share"), u64::from(written.share.0), 1, 100);
    if written.max_body.0 > MIRROR_BODY_MAX {
        let message = format!("copies are held in memory, so {} is too much", written.max_body);
        findings.bad(path("max_body"), message, "write at most \"1MiB\"");
    }
    let taking = route.upstream.iter().chain(route.split.iter().map(|side| &side.upstream));
    if taking.into_iter().any(|upstream| *upstream == written.upstream) {
        let message =
            format!("\"{}\" takes the requests themselves, so it would get each of these twice", written.upstream);
        findings.warn(ProblemCode::Conflict, path("upstream"), message, "name another upstream");
    }
}
