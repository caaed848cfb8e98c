// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoints an upstream has: those that are written, and after them those that were found.
//!
//! An endpoint is its address, so one that is written and found is the written one. Who looks for more is
//! `runtime::discovery`; nothing here asks anybody.

use std::collections::HashSet;

use weirgate_store::model::{self, Discovery};

use crate::upstream::discovery::Found;

/// Where the endpoints of an upstream come from.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// Where more are looked for.
    pub source: Option<Discovery>,
    /// What was found there, those included that are written as well.
    pub found: Found,
    /// So many of the endpoints are written; those after them were found.
    pub written: usize,
}

impl Membership {
    /// All endpoints of an upstream, the written ones first.
    pub fn of(
        name: &str,
        upstream: &model::Upstream,
        found: &dyn Fn(&str, &Discovery) -> Found,
    ) -> (Vec<model::Endpoint>, Self) {
        let mut members = upstream.endpoints.clone();
        let Some(source) = &upstream.discovery else {
            return (members, Self { written: upstream.endpoints.len(), ..Self::default() });
        };
        let found = found(name, source);
        let written: HashSet<_> = upstream.endpoints.iter().map(|endpoint| endpoint.address).collect();
        members.extend(found.iter().filter(|endpoint| !written.contains(&endpoint.address)).cloned());
        (members, Self { source: Some(source.clone()), found, written: upstream.endpoints.len() })
    }

    /// How the endpoint at a place came, in one word of the control API.
    pub fn origin(&self, at: usize) -> &'static str {
        match &self.source {
            Some(source) if at >= self.written => source.word(),
            Some(_) | None => "written",
        }
    }

    /// Why there is no endpoint at all.
    pub fn nobody(&self) -> String {
        match &self.source {
            None => "it has no endpoint".to_owned(),
            Some(Discovery::Dns(name) | Discovery::Srv(name)) => format!("DNS has given no address for {name} yet"),
            Some(Discovery::File(file)) => format!("{} has named no endpoint yet", file.path),
            Some(Discovery::Lease(_)) => "no endpoint holds a lease".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use weirgate_store::model::{Discovery, Endpoint, Upstream};

    use super::Membership;

    #[test]
    fn the_written_one_of_two_with_the_same_address_wins() {
        let endpoint = |last: u8, weight| Endpoint { weight, ..Endpoint::plain(([10, 0, 0, last], 80).into()) };
        let upstream = Upstream {
            endpoints: vec![endpoint(2, 7)],
            discovery: Some(Discovery::Dns("a.test:80".to_owned())),
            ..Upstream::default()
        };
        let found = |_: &str, _: &Discovery| [endpoint(1, 1), endpoint(2, 1)].into();
        let (members, membership) = Membership::of("a", &upstream, &found);
        let brief: Vec<_> =
            (0..).zip(&members).map(|(at, e)| (e.address.to_string(), e.weight, membership.origin(at))).collect();
        assert_eq!(brief, [("10.0.0.2:80".to_owned(), 7, "written"), ("10.0.0.1:80".to_owned(), 1, "dns")]);
    }
}
