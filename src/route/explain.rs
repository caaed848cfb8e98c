// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a request goes where it goes, in sentences, for `weirgate explain` and the console.
//!
//! It walks the very candidates that `find` walks, in the same order, so that it cannot tell another story. Cold: it
//! allocates freely and is never on the request path.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use http::Method;

use super::tree::Offer;
use super::{Conditions, HostPattern, PathPattern, Query, Route, Table, host};

/// The most routes that are listed as having lost.
pub const EXPLAINED_MAX: usize = 8;

/// What a look-up would find and what it would pass over.
#[derive(Clone, Debug)]
pub struct Explanation<'t, T> {
    pub winner: Option<Winner<'t, T>>,
    /// Without a winner: the methods that would have found one.
    pub allowed: Vec<Method>,
    /// Routes whose host and path match as well, in order of precedence.
    pub losers: Vec<Loser<'t>>,
    /// How many more there are than the list holds.
    pub more: usize,
}

/// The route that takes the request.
#[derive(Clone, Debug)]
pub struct Winner<'t, T> {
    pub route: &'t Route<()>,
    pub value: &'t T,
    pub why: String,
}

/// A route that does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser<'t> {
    pub name: &'t str,
    pub why: String,
}

impl<T> Table<T> {
    /// The same answer as [`Table::find`], with reasons.
    pub fn explain(&self, query: &Query<'_>) -> Explanation<'_, T> {
        let mut seen = HashSet::new();
        let mut explanation = Explanation { winner: None, allowed: Vec::new(), losers: Vec::new(), more: 0 };
        let ControlFlow::<Infallible>::Continue(()) = self.visit(query, &mut |Offer { id, .. }| {
            // A route with several hosts is offered once for each that fits.
            if let (Some(route), Some(value), true) = (self.route(id), self.value(id), seen.insert(id)) {
                explanation.judge(route, value, query);
            }
            ControlFlow::Continue(())
        });
        if explanation.winner.is_none() {
            explanation.allowed = self.allowed(query);
        }
        explanation
    }
}

impl<'t, T> Explanation<'t, T> {
    fn judge(&mut self, route: &'t Route<()>, value: &'t T, query: &Query<'_>) {
        let why = match (route.conditions.failure(query), &self.winner) {
            (Some(failure), _) => failure.sentence(query),
            (None, Some(winner)) => behind(route, winner.route, query),
            (None, None) => {
                self.winner = Some(Winner { route, value, why: praise(route, query) });
                return;
            }
        };
        if self.losers.len() < EXPLAINED_MAX {
            self.losers.push(Loser { name: &route.name, why });
        } else {
            self.more += 1;
        }
    }
}

fn praise(route: &Route<()>, query: &Query<'_>) -> String {
    let host = best_host(route, query.host);
    let Conditions { methods, headers, query, cookies, media, window, share } = &route.conditions;
    let sets = [!methods.is_empty(), !media.is_empty(), window.is_some(), share.is_some()];
    let sets = sets.into_iter().filter(|is_there| *is_there).count();
    let count = sets + headers.len() + query.len() + cookies.len();
    let rest = match count {
        0 => "it has no other condition".to_owned(),
        1 => "its one other condition holds".to_owned(),
        _ => format!("its {count} other conditions hold"),
    };
    format!("host {host} and {} match, and {rest}", route.path)
}

/// Why a route whose conditions hold too comes after the winner: the first rule of precedence that tells them apart.
fn behind(route: &Route<()>, winner: &Route<()>, query: &Query<'_>) -> String {
    let (own, best) = (best_host(route, query.host), best_host(winner, query.host));
    if own != best {
        return format!("host {own} is less specific than {best}");
    }
    if let Some(why) = path_behind(&route.path, &winner.path) {
        return why;
    }
    let (own, best) = (&route.conditions, &winner.conditions);
    if matches!(route.path, PathPattern::Regex { .. }) {
        let is_lower = route.priority < winner.priority;
        return if is_lower { "its priority is lower" } else { "it comes later in the configuration" }.to_owned();
    }
    if own.methods.is_empty() != best.methods.is_empty() {
        "it has no condition on the method".to_owned()
    } else if own.headers.len() != best.headers.len() {
        "it has fewer conditions on headers".to_owned()
    } else if own.query.len() != best.query.len() {
        "it has fewer conditions on the query".to_owned()
    } else if own.cookies.len() != best.cookies.len() {
        "it has fewer conditions on cookies".to_owned()
    } else if own.media.is_empty() != best.media.is_empty() {
        "it has no condition on the media type".to_owned()
    } else if own.window.is_none() != best.window.is_none() {
        "it has no condition on the time".to_owned()
    } else if own.share.is_none() != best.share.is_none() {
        "it has no condition on a share".to_owned()
    } else if route.order != winner.order {
        "it comes later in the configuration".to_owned()
    } else {
        "its name comes later".to_owned()
    }
}

fn path_behind(own: &PathPattern, best: &PathPattern) -> Option<String> {
    use PathPattern::{Exact, Prefix, Regex, Template};
    match (own, best) {
        (Exact(_), _) | (Regex { .. }, Regex { .. }) => None,
        (Prefix(own), Prefix(best)) => (own != best).then(|| "its prefix is shorter".to_owned()),
        (Template(own), Template(best)) => {
            let literals = |segments: &[Option<Box<[u8]>>]| segments.iter().flatten().count();
            if literals(&own.segments) < literals(&best.segments) {
                return Some("its template has fewer literal segments".to_owned());
            }
            (own.segments != best.segments)
                .then(|| "its template has a parameter where the other is literal".to_owned())
        }
        _ => Some(format!("{} comes before {}", class(best), class(own))),
    }
}

fn class(path: &PathPattern) -> &'static str {
    match path {
        PathPattern::Exact(_) => "an exact path",
        PathPattern::Prefix(_) => "a prefix",
        PathPattern::Regex { .. } => "a regex",
        PathPattern::Template(_) => "a template",
    }
}

/// The most specific pattern of a route that takes `name`.
fn best_host(route: &Route<()>, name: &[u8]) -> HostPattern {
    let is_named = |pattern: &&HostPattern| matches!(pattern, HostPattern::Exact(own) if **own == *name);
    if let Some(pattern) = route.hosts.iter().find(is_named) {
        return pattern.clone();
    }
    let has = |domain: &[u8]| route.hosts.iter().any(|p| matches!(p, HostPattern::Under(own) if **own == *domain));
    let domain = host::domains(name, usize::MAX).find(|domain| has(domain));
    domain.map_or(HostPattern::Any, |domain| HostPattern::Under(domain.into()))
}
