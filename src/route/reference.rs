// SPDX-License-Identifier: MIT OR Apache-2.0
//! The precedence rules once more, written as naively as they read, to hold the table against: look at every route,
//! keep those that match, take the best. Tests only.

use std::cmp::Reverse;

use super::{HostPattern, PathPattern, Query, Route};

/// How well a host pattern fits: greater is better.
fn host(pattern: &HostPattern, host: &[u8]) -> Option<usize> {
    match pattern {
        HostPattern::Any => Some(0),
        HostPattern::Exact(own) => (**own == *host).then_some(usize::MAX),
        HostPattern::Under(own) => host.ends_with(&[b".", &**own].concat()).then_some(own.len()),
    }
}

/// How well a path pattern fits; less is better. The fields: class, then what orders the class.
type PathRank = (u8, Reverse<usize>, Vec<bool>, i64, usize);

fn path(route: &Route<usize>, path: &[u8]) -> Option<PathRank> {
    let text = std::str::from_utf8(path).expect("tests use ASCII");
    match &route.path {
        PathPattern::Exact(own) => (**own == *path).then(|| (0, Reverse(0), vec![], 0, 0)),
        PathPattern::Template(own) => {
            let parts: Vec<_> = text.strip_prefix('/')?.split('/').collect();
            let fits = |(own, part): (&Option<Box<[u8]>>, &&str)| match own {
                Some(literal) => **literal == *part.as_bytes(),
                None => !part.is_empty(),
            };
            let fits = parts.len() == own.segments.len() && own.segments.iter().zip(&parts).all(fits);
            let parameters: Vec<_> = own.segments.iter().map(Option::is_none).collect();
            let literals = parameters.iter().filter(|is_parameter| !**is_parameter).count();
            fits.then_some((1, Reverse(literals), parameters, 0, 0))
        }
        PathPattern::Regex { regex, .. } => {
            regex.is_match(path).then(|| (2, Reverse(0), vec![], -i64::from(route.priority), route.order))
        }
        PathPattern::Prefix(own) => {
            let own = std::str::from_utf8(own).expect("tests use ASCII");
            let fits = own.is_empty() || text == own || text.starts_with(&format!("{own}/"));
            fits.then(|| (3, Reverse(own.matches('/').count()), vec![], 0, 0))
        }
    }
}

/// Whether the conditions hold: `None` if more than the method fails, `Some(false)` if only the method does.
fn conditions(route: &Route<usize>, query: &Query<'_>) -> Option<bool> {
    let has = |name: &str| query.fields.named(name.as_bytes()).next().is_some();
    let parameter = |name: &str| {
        let text = std::str::from_utf8(query.query.unwrap_or_default()).expect("tests use ASCII");
        text.split('&').any(|pair| pair == format!("{name}=1"))
    };
    let own = &route.conditions;
    let rest = own.headers.iter().all(|(name, _)| has(name)) && own.query.iter().all(|(name, _)| parameter(name));
    rest.then(|| own.methods.is_empty() || own.methods.contains(query.method))
}

/// The value of the best route, or whether only methods stood in the way.
pub(super) fn find(routes: &[Route<usize>], query: &Query<'_>) -> Result<usize, bool> {
    let mut best = None;
    let mut is_only_method = false;
    for route in routes {
        let every = [HostPattern::Any];
        let hosts = if route.hosts.is_empty() { &every[..] } else { &route.hosts };
        let fit = hosts.iter().filter_map(|pattern| host(pattern, query.host)).max().zip(path(route, query.path));
        let (Some((host, path)), Some(is_allowed)) = (fit, conditions(route, query)) else { continue };
        if !is_allowed {
            is_only_method = true;
            continue;
        }
        let own = &route.conditions;
        let counts = (own.methods.is_empty(), Reverse(own.headers.len()), Reverse(own.query.len()));
        let key = (Reverse(host), path, counts, route.order, route.name.clone());
        if best.as_ref().is_none_or(|(best, _)| key < *best) {
            best = Some((key, route.value));
        }
    }
    best.map(|(_, value)| value).ok_or(is_only_method)
}
