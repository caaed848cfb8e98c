// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of routes: built once when a configuration is compiled, then only read.
//!
//! A look-up is a hash of the host, one step per path segment, and the conditions of the routes that end there; it
//! does not depend on the number of routes. Regexes are the exception: those of a host are tried one by one, so their
//! number is bounded, and a host without any pays nothing.

use std::convert::Infallible;
use std::ops::ControlFlow;

use http::Method;

use super::condition::Failure;
use super::host::{domains, labels};
use super::path::segments;
use super::tree::{Index, Key, Kind, NodeId, Offer, RouteId, Tree};
use super::{Captures, Found, HostPattern, PathPattern, Query, Route};

/// The most routes of one table.
pub const ROUTES_MAX: usize = 1_000_000;
/// The most regexes on one host.
pub const REGEXES_PER_HOST_MAX: usize = 1_000;

/// Why a table cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("more than {ROUTES_MAX} routes")]
    Routes,
    #[error("host {host} has more than {REGEXES_PER_HOST_MAX} routes with a regex, and each one is tried in turn")]
    Regexes { host: String },
}

/// Routes in the form in which they are found.
#[derive(Debug)]
pub struct Table<T> {
    /// Best first among routes with the same host and path.
    routes: Vec<Route<()>>,
    /// What they lead to, in the same order and apart: most look-ups need nothing else of a route.
    values: Vec<T>,
    tree: Tree,
    exact: Index<Site>,
    under: Index<Site>,
    /// The labels of the longest wildcard: longer domains need no look-up.
    under_labels_max: usize,
    any: Option<Site>,
}

/// The paths of one host pattern.
#[derive(Debug)]
struct Site {
    root: NodeId,
    has_templates: bool,
    /// Best first.
    regexes: Vec<RouteId>,
}

impl<T> Default for Table<T> {
    /// No routes.
    fn default() -> Self {
        let (exact, under) = (Index::default(), Index::default());
        let (routes, values) = (Vec::new(), Vec::new());
        Self { routes, values, tree: Tree::default(), exact, under, under_labels_max: 0, any: None }
    }
}

impl<T> Table<T> {
    /// Builds the table.
    pub fn build(mut routes: Vec<Route<T>>) -> Result<Self, TableError> {
        if routes.len() > ROUTES_MAX {
            return Err(TableError::Routes);
        }
        routes.sort_by(|a, b| rank(a).cmp(&rank(b)));
        let (routes, values): (Vec<_>, Vec<_>) = routes.into_iter().map(Route::split).unzip();
        let mut table = Self { values, ..Self::default() };
        // Lists grow at the head, so the worst comes first.
        for (at, route) in routes.iter().enumerate().rev() {
            let id = RouteId::try_from(at).map_err(|_| TableError::Routes)?;
            let every = [HostPattern::Any];
            let hosts = if route.hosts.is_empty() { &every[..] } else { &route.hosts };
            for host in hosts {
                table.add(host, route, id)?;
            }
        }
        table.routes = routes;
        table.sort_regexes();
        Ok(table)
    }

    fn add(&mut self, host: &HostPattern, route: &Route<()>, id: RouteId) -> Result<(), TableError> {
        let tree = &mut self.tree;
        let offer =
            Offer { id, is_bare: route.conditions.is_empty() && !matches!(route.path, PathPattern::Template(_)) };
        let site = match host {
            HostPattern::Any => self.any.get_or_insert_with(|| Site::new(tree)),
            HostPattern::Exact(name) => self.exact.entry(Key::from_slice(name)).or_insert_with(|| Site::new(tree)),
            HostPattern::Under(name) => {
                self.under_labels_max = self.under_labels_max.max(labels(name));
                self.under.entry(Key::from_slice(name)).or_insert_with(|| Site::new(tree))
            }
        };
        match &route.path {
            PathPattern::Exact(path) => tree.add(site.root, segments(path).map(Some), Kind::Exact, offer),
            PathPattern::Prefix(path) => tree.add(site.root, segments(path).map(Some), Kind::Prefix, offer),
            PathPattern::Template(template) => {
                site.has_templates = true;
                tree.add(site.root, template.segments.iter().map(Option::as_deref), Kind::Template, offer);
            }
            PathPattern::Regex { .. } if site.regexes.len() == REGEXES_PER_HOST_MAX => {
                return Err(TableError::Regexes { host: host.to_string() });
            }
            PathPattern::Regex { .. } => site.regexes.push(id),
        }
        Ok(())
    }

    fn sort_regexes(&mut self) {
        let routes = &self.routes;
        let key =
            |id: &RouteId| routes.get(*id as usize).map(|route| (-i64::from(route.priority), route.order, &route.name));
        for site in self.exact.values_mut().chain(self.under.values_mut()).chain(&mut self.any) {
            site.regexes.sort_by(|a, b| key(a).cmp(&key(b)));
        }
    }

    /// The route that takes the request.
    pub fn find(&self, query: &Query<'_>) -> Found<'_, T> {
        let mut is_only_method = false;
        let hit = self.visit(query, &mut |offer| {
            if offer.is_bare {
                return ControlFlow::Break((offer.id, Captures::default()));
            }
            let Some(route) = self.route(offer.id) else { return ControlFlow::Continue(()) };
            match route.conditions.failure(query) {
                None => return ControlFlow::Break((offer.id, route.path.captures(query.path))),
                Some(Failure::Method(_)) => is_only_method = true,
                Some(_) => {}
            }
            ControlFlow::Continue(())
        });
        match hit {
            ControlFlow::Break((id, captures)) => {
                self.value(id).map_or(Found::Miss, |value| Found::Hit(value, captures))
            }
            ControlFlow::Continue(()) if is_only_method => self.not_allowed(query),
            ControlFlow::Continue(()) => Found::Miss,
        }
    }

    #[cold]
    fn not_allowed(&self, query: &Query<'_>) -> Found<'_, T> {
        Found::Method(self.allowed(query))
    }

    /// The methods of the routes that would take the request but for its own, each once, in order.
    pub(super) fn allowed(&self, query: &Query<'_>) -> Vec<Method> {
        let mut allowed = Vec::new();
        let ControlFlow::<Infallible>::Continue(()) = self.visit(query, &mut |offer| {
            if let Some(Failure::Method(methods)) =
                self.route(offer.id).and_then(|route| route.conditions.failure(query))
            {
                allowed.extend_from_slice(methods);
            }
            ControlFlow::Continue(())
        });
        allowed.sort_by(|a: &Method, b| a.as_str().cmp(b.as_str()));
        allowed.dedup();
        allowed
    }

    /// Offers every route whose host and path match, in order of precedence, until the visitor breaks.
    pub(super) fn visit<B>(
        &self,
        query: &Query<'_>,
        visit: &mut impl FnMut(Offer) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if let Some(site) = self.exact.get(query.host) {
            self.visit_site(site, query.path, visit)?;
        }
        if !self.under.is_empty() {
            for site in domains(query.host, self.under_labels_max).filter_map(|name| self.under.get(name)) {
                self.visit_site(site, query.path, visit)?;
            }
        }
        self.any.as_ref().map_or(ControlFlow::Continue(()), |site| self.visit_site(site, query.path, visit))
    }

    fn visit_site<B>(
        &self,
        site: &Site,
        path: &[u8],
        visit: &mut impl FnMut(Offer) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (deepest, is_whole) = self.tree.descend(site.root, path);
        if is_whole {
            self.tree.list(deepest, Kind::Exact, visit)?;
        }
        if site.has_templates {
            self.tree.templates(site.root, path, visit)?;
        }
        for id in &site.regexes {
            if matches!(self.route(*id), Some(Route { path: PathPattern::Regex { regex, .. }, .. }) if regex.is_match(path))
            {
                visit(Offer { id: *id, is_bare: false })?;
            }
        }
        self.tree.prefixes(deepest, visit)
    }

    pub(super) fn route(&self, id: RouteId) -> Option<&Route<()>> {
        self.routes.get(id as usize)
    }

    pub(super) fn value(&self, id: RouteId) -> Option<&T> {
        self.values.get(id as usize)
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl<T> Route<T> {
    /// The conditions and the value apart.
    fn split(self) -> (Route<()>, T) {
        let Self { name, hosts, path, conditions, priority, order, value } = self;
        (Route { name, hosts, path, conditions, priority, order, value: () }, value)
    }
}

impl Site {
    fn new(tree: &mut Tree) -> Self {
        Self { root: tree.plant(), has_templates: false, regexes: Vec::new() }
    }
}

/// Orders routes of the same host and path, best first.
pub(super) fn rank<T>(route: &Route<T>) -> impl Ord {
    let conditions = &route.conditions;
    let count = |n: usize| std::cmp::Reverse(n);
    (
        conditions.methods.is_empty(),
        count(conditions.headers.len()),
        count(conditions.query.len()),
        count(conditions.cookies.len()),
        conditions.media.is_empty(),
        conditions.window.is_none(),
        conditions.share.is_none(),
        route.order,
        &route.name,
    )
}
