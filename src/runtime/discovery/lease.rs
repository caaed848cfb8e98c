// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that registered themselves, and until when.
//!
//! Time is wall time, because a lease outlives the process: what is left of it at a stop is left of it at the next
//! start. Nothing here asks a clock or the store.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use weirgate_store::model::Endpoint;

use crate::upstream::discovery::{FOUND_MAX, Found};

/// Most leases over all upstreams.
const LEASES_MAX: usize = 20_000;

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) endpoint: Endpoint,
    pub(crate) expires_ms: i64,
    /// Who registered it.
    pub(crate) owner: String,
}

/// What a registration changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It is new, or has another weight or zone.
    Changed,
    Renewed,
    /// There are too many already.
    Refused,
}

/// All leases, by upstream and address.
#[derive(Debug, Default)]
pub(crate) struct Leases(HashMap<String, BTreeMap<SocketAddr, Lease>>);

impl Leases {
    pub(crate) fn put(&mut self, upstream: &str, lease: Lease) -> Registered {
        let address = lease.endpoint.address;
        if let Some(held) = self.0.get_mut(upstream).and_then(|held| held.get_mut(&address)) {
            let changed = held.endpoint != lease.endpoint;
            *held = lease;
            return if changed { Registered::Changed } else { Registered::Renewed };
        }
        let here = self.0.get(upstream).map_or(0, BTreeMap::len);
        if here >= FOUND_MAX || self.len() >= LEASES_MAX {
            return Registered::Refused;
        }
        self.0.entry(upstream.to_owned()).or_default().insert(address, lease);
        Registered::Changed
    }

    pub(crate) fn remove(&mut self, upstream: &str, address: SocketAddr) -> Option<Lease> {
        self.0.get_mut(upstream)?.remove(&address)
    }

    /// Ends what has not been renewed in time; the upstream and address of each.
    pub(crate) fn expire(&mut self, now_ms: i64) -> Vec<(String, SocketAddr)> {
        let mut ended = Vec::new();
        for (upstream, held) in &mut self.0 {
            held.retain(|address, lease| {
                let lives = lease.expires_ms > now_ms;
                if !lives {
                    ended.push((upstream.clone(), *address));
                }
                lives
            });
        }
        ended
    }

    /// Forgets the upstreams that take no leases any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|upstream, _| keep(upstream));
    }

    pub(crate) fn found(&self, upstream: &str) -> Found {
        self.of(upstream).map(|lease| lease.endpoint.clone()).collect()
    }

    /// The leases of one upstream, by address.
    pub(crate) fn of(&self, upstream: &str) -> impl Iterator<Item = &Lease> {
        self.0.get(upstream).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Lease)> {
        self.0.iter().flat_map(|(upstream, held)| held.values().map(move |lease| (upstream.as_str(), lease)))
    }

    fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use weirgate_store::model::Endpoint;

    use super::{Lease, Leases, Registered};
    use crate::upstream::discovery::FOUND_MAX;

    fn lease(n: u16, weight: u32, expires_ms: i64) -> Lease {
        let [high, low] = n.to_be_bytes();
        let endpoint = Endpoint { weight, ..Endpoint::plain(([10, 0, high, low], 80).into()) };
        Lease { endpoint, expires_ms, owner: "test".to_owned() }
    }

    #[test]
    fn a_lease_lives_until_it_is_not_renewed() {
        let mut leases = Leases::default();
        assert_eq!(leases.put("a", lease(1, 1, 100)), Registered::Changed);
        assert_eq!(leases.put("a", lease(1, 1, 200)), Registered::Renewed);
        assert_eq!(leases.put("a", lease(1, 2, 200)), Registered::Changed);
        assert_eq!(leases.put("b", lease(1, 1, 150)), Registered::Changed);
        assert!(leases.expire(149).is_empty());
        assert_eq!(leases.expire(150), [("b".to_owned(), ([10, 0, 0, 1], 80).into())]);
        assert_eq!(leases.found("a").len(), 1);
        assert!(leases.remove("a", ([10, 0, 0, 1], 80).into()).is_some());
        assert!(leases.remove("a", ([10, 0, 0, 1], 80).into()).is_none());
        assert_eq!((leases.all().count(), leases.found("b").len()), (0, 0));
    }

    #[test]
    fn they_are_bounded_and_a_renewal_always_fits() {
        let mut leases = Leases::default();
        for n in 0..FOUND_MAX {
            assert_eq!(leases.put("a", lease(u16::try_from(n).expect("small"), 1, 1)), Registered::Changed);
        }
        assert_eq!(leases.put("a", lease(9_999, 1, 1)), Registered::Refused);
        assert_eq!(leases.put("a", lease(7, 1, 2)), Registered::Renewed);
        assert_eq!(leases.put("b", lease(9_999, 1, 1)), Registered::Changed);
    }
}
