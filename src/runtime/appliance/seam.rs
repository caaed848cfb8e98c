// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gateway as the control side knows it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use weirgate_store::engine::{CanaryRecord, Store, StoreError};
use weirgate_store::model::{Endpoint, Model};
use weirgate_store::wire::{
    CanaryVerb, ConnectionInfo, Effects, EndpointOverride, EndpointStatus, ExplainReply, ExplainRequest, Problem,
    UsagePoint,
};

use super::{Gateway, Ready};
use crate::clock;
use crate::config::consumers::Issued;
use crate::control::seam::{
    Appliance, DueOverride, KeyChange, Later, NotRegistered, Prepared, Registration, UsageAsked, Vitals,
};
use crate::proxy::census::Wanted;
use crate::proxy::explain::explain;
use crate::runtime::usage;

impl Appliance for Gateway {
    fn prepare(
        self: Arc<Self>,
        model: Arc<Model>,
        revision: u64,
    ) -> Later<'static, Result<Box<dyn Prepared>, Vec<Problem>>> {
        Box::pin(async move {
            // Compiling a large model takes a while of pure work, which must not hold up the control runtime.
            let ready = tokio::task::spawn_blocking(move || Self::prepare(&self, model, revision)).await;
            match ready {
                Ok(ready) => ready.map(|ready| Box::new(ready) as Box<dyn Prepared>),
                Err(_) => Err(Vec::new()),
            }
        })
    }

    fn connections(&self) -> u64 {
        let snapshot = self.snapshot();
        snapshot.listeners.values().map(|listener| listener.open.load(Ordering::Relaxed) as u64).sum()
    }

    fn vitals(&self) -> Vitals {
        let listeners = self.listeners();
        Vitals {
            connections: listeners.iter().map(|listener| listener.connections).sum(),
            connections_max: listeners.iter().map(|listener| listener.connections_max).sum(),
            listeners,
            upstreams: self.upstreams(),
            canaries: self.canaries.statuses(),
            logs: self.writers.statuses(),
            workers: u32::try_from(self.worker_count).unwrap_or(u32::MAX),
            draining: self.is_draining(),
        }
    }

    fn list_connections(
        &self,
        listener: Option<String>,
        upstream: Option<String>,
        limit: usize,
    ) -> Later<'_, Vec<ConnectionInfo>> {
        Box::pin(async move { self.connections(Wanted { listener, upstream, limit }).await })
    }

    fn kill_connection(&self, id: u64) -> Later<'_, bool> {
        Box::pin(self.kill(id))
    }

    fn set_override(&self, upstream: &str, address: &str, set: EndpointOverride) -> Option<EndpointStatus> {
        Self::set_override(self, upstream, address, set).then(|| self.endpoint(upstream, address)).flatten()
    }

    fn endpoint(&self, upstream: &str, address: &str) -> Option<EndpointStatus> {
        Self::endpoint(self, upstream, address)
    }

    fn due_overrides(&self, now_ms: i64) -> Vec<DueOverride> {
        Self::due_overrides(self, now_ms)
    }

    fn cut(&self, upstream: &str, address: &str) -> Later<'_, u32> {
        let (upstream, address) = (upstream.to_owned(), address.to_owned());
        Box::pin(async move { Self::cut(self, &upstream, &address).await })
    }

    fn register(
        &self,
        upstream: &str,
        endpoint: Endpoint,
        expires_ms: i64,
        owner: &str,
    ) -> Result<Registration, NotRegistered> {
        Self::register(self, upstream, endpoint, expires_ms, owner)
    }

    fn unregister(&self, upstream: &str, address: SocketAddr) -> bool {
        Self::unregister(self, upstream, address)
    }

    fn move_canary(&self, route: &str, verb: CanaryVerb, author: &str) -> Result<CanaryRecord, String> {
        self.canaries.ask(route, verb, author, clock::wall_ms())
    }

    fn explain(&self, request: &ExplainRequest) -> Result<ExplainReply, String> {
        explain(&self.snapshot(), &self.shared.directory().credentials, request)
    }

    fn usage(&self, store: &Store, asked: UsageAsked) -> Later<'_, Result<Vec<UsagePoint>, StoreError>> {
        let store = store.clone();
        Box::pin(async move {
            let UsageAsked { step, from_s, to_s, consumer } = asked;
            usage::points(&self.usage, &store, step, (from_s, to_s), consumer.as_deref()).await
        })
    }

    fn change_keys(&self, change: KeyChange) -> Later<'_, ()> {
        Box::pin(async move {
            match change {
                KeyChange::Issued { consumer, hashes, expires_ms } => {
                    let expires_s = expires_ms.map(|ms| u32::try_from(ms / 1000).unwrap_or(u32::MAX));
                    let key = |hash| Issued { hash, consumer: consumer.clone(), expires_s };
                    self.issue(&hashes.into_iter().map(key).collect::<Vec<_>>());
                }
                KeyChange::Revoked { hash } => self.revoke(hash),
            }
        })
    }
}

impl Prepared for Ready {
    fn effects(&self) -> Effects {
        self.effects()
    }

    fn commit(self: Box<Self>) -> Later<'static, ()> {
        Box::pin((*self).commit())
    }
}
