// SPDX-License-Identifier: MIT OR Apache-2.0
//! A gateway without a data path, for the tests of this module: it does what it is asked and remembers it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use weirgate_store::engine::{CanaryRecord, Store, StoreError, UsageBucket};
use weirgate_store::model::{Endpoint, Kind, Model};
use weirgate_store::wire::{
    CanaryVerb, ConnectionInfo, Effects, EndpointHealth, EndpointOverride, EndpointStatus, ExplainReply,
    ExplainRequest, Problem, ProblemCode, UsagePoint,
};

use super::seam::{
    Appliance, DueOverride, KeyChange, Later, NotRegistered, Prepared, Registration, UsageAsked, Vitals,
};

/// A listener of this name cannot be bound.
pub(super) const TAKEN: &str = "taken";

/// A gateway that forwards nothing.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    /// Every revision that was run, in order.
    pub(super) ran: Arc<Mutex<Vec<u64>>>,
    pub(super) keys: Mutex<Vec<KeyChange>>,
    pub(super) overrides: Mutex<Vec<(String, EndpointOverride)>>,
    /// Every listener can be bound, also the one that is taken.
    pub(super) all_free: bool,
}

struct Ready {
    revision: u64,
    ran: Arc<Mutex<Vec<u64>>>,
}

impl Prepared for Ready {
    fn effects(&self) -> Effects {
        Effects { routes_changed: 1, ..Effects::default() }
    }

    fn commit(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move { self.ran.lock().expect("whole").push(self.revision) })
    }
}

impl Appliance for Gateway {
    fn prepare(
        self: Arc<Self>,
        model: Arc<Model>,
        revision: u64,
    ) -> Later<'static, Result<Box<dyn Prepared>, Vec<Problem>>> {
        let (ran, all_free) = (Arc::clone(&self.ran), self.all_free);
        Box::pin(async move {
            if !all_free && model.names(Kind::Listener).contains(&TAKEN) {
                return Err(vec![Problem {
                    code: ProblemCode::Environment,
                    path: format!("listeners.{TAKEN}.address"),
                    message: "the address is in use".to_owned(),
                    help: None,
                    line: None,
                    column: None,
                }]);
            }
            Ok(Box::new(Ready { revision, ran }) as Box<dyn Prepared>)
        })
    }

    fn connections(&self) -> u64 {
        3
    }

    fn vitals(&self) -> Vitals {
        Vitals { connections: 3, connections_max: 100, workers: 2, ..Vitals::default() }
    }

    fn list_connections(
        &self,
        listener: Option<String>,
        upstream: Option<String>,
        limit: usize,
    ) -> Later<'_, Vec<ConnectionInfo>> {
        let info = |id| ConnectionInfo {
            id,
            listener: listener.clone().unwrap_or_default(),
            upstream: upstream.clone(),
            ..ConnectionInfo::default()
        };
        let all = (1..=3).rev().map(info).take(limit).collect();
        Box::pin(std::future::ready(all))
    }

    fn kill_connection(&self, id: u64) -> Later<'_, bool> {
        Box::pin(std::future::ready((1..=3).contains(&id)))
    }

    fn set_override(&self, _: &str, address: &str, set: EndpointOverride) -> Option<EndpointStatus> {
        self.overrides.lock().expect("whole").push((address.to_owned(), set.clone()));
        Some(EndpointStatus {
            address: address.to_owned(),
            health: EndpointHealth::Up,
            reason: String::new(),
            since_ms: 0,
            weight: set.weight.unwrap_or(1),
            configured_weight: 1,
            backup: false,
            in_flight: 0,
            requests: 0,
            errors: 0,
            overridden: Some(set),
            ..EndpointStatus::default()
        })
    }

    fn endpoint(&self, _: &str, _: &str) -> Option<EndpointStatus> {
        None
    }

    fn due_overrides(&self, _: i64) -> Vec<DueOverride> {
        Vec::new()
    }

    fn cut(&self, _: &str, _: &str) -> Later<'_, u32> {
        Box::pin(async { 0 })
    }

    fn register(&self, _: &str, _: Endpoint, _: i64, _: &str) -> Result<Registration, NotRegistered> {
        Err(NotRegistered::TooMany)
    }

    fn unregister(&self, _: &str, _: SocketAddr) -> bool {
        false
    }

    fn move_canary(&self, route: &str, verb: CanaryVerb, author: &str) -> Result<CanaryRecord, String> {
        if verb == CanaryVerb::Resume {
            return Err("it is not stopped".to_owned());
        }
        Ok(CanaryRecord { route: route.to_owned(), author: author.to_owned(), ..CanaryRecord::default() })
    }

    fn explain(&self, request: &ExplainRequest) -> Result<ExplainReply, String> {
        if request.url.is_empty() {
            return Err("the URL is empty".to_owned());
        }
        let verdict = format!("{} {} goes nowhere", request.method, request.url);
        Ok(ExplainReply { revision: 1, steps: Vec::new(), verdict, status: Some(404), route: None, upstream: None })
    }

    fn usage(&self, store: &Store, asked: UsageAsked) -> Later<'_, Result<Vec<UsagePoint>, StoreError>> {
        let store = store.clone();
        Box::pin(async move {
            let UsageAsked { step, from_s, to_s, consumer } = asked;
            let buckets = store.usage(step, from_s, to_s, consumer).await?;
            let point = |bucket: UsageBucket| UsagePoint { start_ms: 0, rows: bucket.rows };
            Ok(buckets.into_iter().map(point).collect())
        })
    }

    fn change_keys(&self, change: KeyChange) -> Later<'_, ()> {
        Box::pin(async move { self.keys.lock().expect("whole").push(change) })
    }
}
