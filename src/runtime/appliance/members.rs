// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that come and go between two revisions: the upstream they belong to is compiled anew, and nothing else.
//!
//! A change that was prepared against other endpoints catches up with them when it is committed, under the same turn
//! that every swap of the snapshot takes, so neither ever undoes the other.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use weirgate_store::engine::{FoundRecord, LeaseRecord};
use weirgate_store::model::{Discovery, Endpoint, Model};

use super::Gateway;
use super::prepare::prune_endpoints;
use crate::clock;
use crate::config::Snapshot;
use crate::config::compile::{Given, compile_upstream};
use crate::control::seam::{NotRegistered, Registration};
use crate::runtime::discovery::{Discovered, Lease, Registered};

impl Gateway {
    pub(in crate::runtime) fn discovered(&self) -> MutexGuard<'_, Discovered> {
        self.discovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to swap the snapshot; never held over a wait.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what is found now of these upstreams.
    pub(in crate::runtime) fn rejoin(&self, names: &[Arc<str>]) {
        self.are_found_kept.store(false, Ordering::Relaxed);
        let _turn = self.turn();
        let running = self.shared.snapshot();
        let model = Arc::clone(&self.state().model);
        let mut next = Snapshot::clone(&running);
        for name in names {
            self.renew(&mut next, &running, &model, name);
        }
        self.state().overrides.apply(names.iter().filter_map(|name| next.upstream(name)));
        let next = Arc::new(next);
        self.shared.swap(Arc::clone(&next));
        self.snapshots.send_replace(Arc::clone(&next));
        prune_endpoints(self, &next);
    }

    /// Brings a prepared snapshot up to what was found since.
    pub(super) fn catch_up(&self, prepared: &mut Snapshot, model: &Model) {
        let running = self.shared.snapshot();
        let is_behind = |upstream: &Arc<crate::config::snapshot::Upstream>| {
            let membership = &upstream.membership;
            let source = membership.source.as_ref()?;
            let now = self.discovered().found(&upstream.name, source);
            (*now != *membership.found).then(|| Arc::clone(&upstream.name))
        };
        let behind: Vec<_> = prepared.upstreams.iter().filter_map(is_behind).collect();
        for name in &behind {
            self.renew(prepared, &running, model, name);
        }
        self.discovered().retain(|name| model.upstreams.get(name)?.discovery.clone());
    }

    /// Compiles one upstream of `next` anew; what its endpoints have lived through is in `running`.
    fn renew(&self, next: &mut Snapshot, running: &Snapshot, model: &Model, name: &Arc<str>) {
        let found = |name: &str, source: &Discovery| self.discovered().found(name, source);
        let learned = |upstream: &str| self.state().learned.get(upstream).cloned().unwrap_or_default();
        let given = Given {
            meters: &self.observer.meters,
            previous: Some(running),
            private_key: &*self.private_keys,
            restored: &|_, _| None,
            found: &found,
            sticky_secret: &self.sticky_secret,
            learned: &learned,
            canary: &|_, _| None,
            queue: &|_| None,
        };
        let Some(at) = next.upstreams.iter().position(|upstream| upstream.name == *name) else { return };
        let (Some(place), Some(upstream)) = (next.upstreams.get_mut(at), compile_upstream(model, name, &given)) else {
            return;
        };
        *place = Arc::new(upstream);
    }

    /// An endpoint registers itself, or renews that, until `expires_ms`.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn register(
        &self,
        upstream: &str,
        endpoint: Endpoint,
        expires_ms: i64,
        owner: &str,
    ) -> Result<Registration, NotRegistered> {
        let name = self.takes_leases(upstream).ok_or(NotRegistered::NoLease)?;
        let lease = Lease { endpoint, expires_ms, owner: owner.to_owned() };
        let registered = self.discovered().leases.put(upstream, lease);
        match registered {
            Registered::Refused => Err(NotRegistered::TooMany),
            Registered::Renewed => {
                self.are_found_kept.store(false, Ordering::Relaxed);
                Ok(Registration::Renewed)
            }
            Registered::Changed => {
                self.rejoin(&[name]);
                Ok(Registration::New)
            }
        }
    }

    /// An endpoint goes before its lease ends; false if it holds none.
    pub fn unregister(&self, upstream: &str, address: SocketAddr) -> bool {
        let Some(name) = self.takes_leases(upstream) else { return false };
        let gone = self.discovered().leases.remove(upstream, address).is_some();
        if gone {
            self.rejoin(&[name]);
        }
        gone
    }

    fn takes_leases(&self, upstream: &str) -> Option<Arc<str>> {
        let snapshot = self.snapshot();
        let upstream = snapshot.upstream(upstream)?;
        matches!(upstream.membership.source, Some(Discovery::Lease(_))).then(|| Arc::clone(&upstream.name))
    }

    /// Ends the leases that were not renewed in time.
    pub(in crate::runtime) fn end_leases(&self) {
        let ended = self.discovered().leases.expire(clock::wall_ms());
        let mut names: Vec<Arc<str>> = Vec::new();
        for (upstream, address) in ended {
            tracing::info!(upstream, endpoint = %address, "a lease ended: it was not renewed");
            names.push(upstream.into());
        }
        names.dedup();
        if !names.is_empty() {
            self.rejoin(&names);
        }
    }

    /// What another process may begin with, if it has changed since this was asked last.
    pub fn found_to_keep(&self) -> Option<(Vec<FoundRecord>, Vec<LeaseRecord>)> {
        let is_kept = self.are_found_kept.swap(true, Ordering::Relaxed);
        (!is_kept).then(|| self.discovered().records())
    }
}
