// SPDX-License-Identifier: MIT OR Apache-2.0
//! What operators have set over the configuration of endpoints, and when that ends.
//!
//! An override is of an upstream and an address, so it waits for an endpoint that is away and comes back. Who set it and
//! why is kept beside it; that it is durable is the control side's concern.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use weirgate_store::wire::{EndpointOverride, OverrideMode};

use super::Gateway;
use crate::config::snapshot::Upstream;
use crate::control::seam::{Due, DueOverride};
use crate::upstream::endpoint::{Endpoint, Mode};

/// Upstream and address.
type Key = (String, String);

/// All overrides.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    set: HashMap<Key, EndpointOverride>,
    /// Drains whose deadline has passed and was told.
    cut: HashSet<Key>,
}

impl Overrides {
    pub(super) fn restored(set: HashMap<Key, EndpointOverride>) -> Self {
        // What was in flight when the process stopped is gone: their deadlines have nothing to cut any more.
        let cut = set.iter().filter(|(_, set)| set.deadline_ms.is_some()).map(|(key, _)| key.clone()).collect();
        Self { set, cut }
    }

    pub(super) fn of(&self, upstream: &str, address: &str) -> Option<&EndpointOverride> {
        if self.set.is_empty() {
            return None;
        }
        self.set.get(&(upstream.to_owned(), address.to_owned()))
    }

    fn put(&mut self, key: Key, set: EndpointOverride) {
        self.cut.remove(&key);
        if set.mode == OverrideMode::Ready && set.weight.is_none() {
            self.set.remove(&key);
        } else {
            self.set.insert(key, set);
        }
    }

    /// The configured weight counts, unless an operator said otherwise.
    pub(super) fn apply<'a>(&self, upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>) {
        for upstream in upstreams {
            for endpoint in &upstream.endpoints {
                let set = self.of(&upstream.name, &endpoint.name);
                endpoint.live.set_weight(set.and_then(|set| set.weight).unwrap_or(endpoint.weight));
                if let Some(set) = set {
                    endpoint.live.set_mode(mode_of(set.mode));
                }
            }
            upstream.follow_weights();
        }
    }

    /// What has expired, and the deadlines that have passed since this was asked last.
    fn due(&mut self, now_ms: i64) -> Vec<DueOverride> {
        let mut all = Vec::new();
        let is_over = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        for (key, set) in &self.set {
            let due = if is_over(set.expires_ms) {
                Due::Expired
            } else if is_over(set.deadline_ms) && self.cut.insert(key.clone()) {
                Due::Deadline
            } else {
                continue;
            };
            let (upstream, address) = key.clone();
            all.push(DueOverride { upstream, address, set: set.clone(), due });
        }
        all
    }
}

impl Gateway {
    /// Sets an endpoint aside, gives it another weight, or takes that back. False if there is no such endpoint; then only
    /// what is taken back counts.
    pub fn set_override(&self, upstream: &str, address: &str, set: EndpointOverride) -> bool {
        let endpoint = self.endpoint_of(upstream, address);
        if let Some(endpoint) = &endpoint {
            endpoint.live.set_mode(mode_of(set.mode));
            endpoint.live.set_weight(set.weight.unwrap_or(endpoint.weight));
            if let Some(upstream) = self.snapshot().upstream(upstream) {
                upstream.follow_weights();
            }
        }
        let is_taken_back = set.mode == OverrideMode::Ready && set.weight.is_none();
        if endpoint.is_some() || is_taken_back {
            self.state().overrides.put((upstream.to_owned(), address.to_owned()), set);
        }
        endpoint.is_some()
    }

    /// Overrides whose time has come.
    pub fn due_overrides(&self, now_ms: i64) -> Vec<DueOverride> {
        self.state().overrides.due(now_ms)
    }

    /// Ends what is in flight to an endpoint, on every worker; how much that was.
    pub async fn cut(&self, upstream: &str, address: &str) -> u32 {
        let Some(endpoint) = self.endpoint_of(upstream, address) else { return 0 };
        let in_flight = endpoint.live.in_flight();
        if let Some(workers) = self.workers.read().await.as_ref() {
            workers.cut(endpoint.live.id).await;
        }
        in_flight
    }

    fn endpoint_of(&self, upstream: &str, address: &str) -> Option<Arc<Endpoint>> {
        let snapshot = self.snapshot();
        let upstream = snapshot.upstream(upstream)?;
        upstream.endpoints.iter().find(|endpoint| &*endpoint.name == address).cloned()
    }
}

fn mode_of(mode: OverrideMode) -> Mode {
    match mode {
        OverrideMode::Ready => Mode::Ready,
        OverrideMode::Drain => Mode::Drain,
        OverrideMode::Maint => Mode::Maintenance,
    }
}

#[cfg(test)]
mod tests {
    use weirgate_store::wire::{EndpointOverride, OverrideMode};

    use super::{Due, Overrides};

    #[test]
    fn times_come_once_and_a_new_override_has_its_own() {
        let key = || ("shop".to_owned(), "127.0.0.1:1".to_owned());
        let set = |deadline_ms, expires_ms| EndpointOverride {
            mode: OverrideMode::Drain,
            deadline_ms,
            expires_ms,
            ..EndpointOverride::default()
        };
        let mut all = Overrides::default();
        let due = |all: &mut Overrides, now_ms| all.due(now_ms).into_iter().map(|due| due.due).collect::<Vec<_>>();
        all.put(key(), set(Some(100), Some(200)));
        assert_eq!(due(&mut all, 99), []);
        assert_eq!(due(&mut all, 100), [Due::Deadline]);
        assert_eq!(due(&mut all, 150), []);
        assert_eq!(due(&mut all, 200), [Due::Expired]);
        all.put(key(), set(Some(300), None));
        assert_eq!(due(&mut all, 300), [Due::Deadline]);
        let mut again = Overrides::restored(all.set.clone());
        assert_eq!(due(&mut again, 400), [], "nothing is in flight after a restart");
        all.put(key(), EndpointOverride::default());
        assert_eq!((due(&mut all, 500), all.set.len(), all.cut.len()), (vec![], 0, 0));
    }
}
