// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a checked model to running it, in two steps: everything that can fail, then everything that cannot.

use std::collections::HashSet;
use std::sync::Arc;

use weirgate_store::model::{self, ListenerProtocol, Model};
use weirgate_store::wire::{Effects, Problem, ProblemCode};

use super::{Gateway, Listening};
use crate::clock;
use crate::config::compile::{Given, compile};
use crate::config::snapshot::{Snapshot, Upstream};
use crate::listener::handover;
use crate::listener::socket::{Ours, Reserved, Transport, bind_remedy, reserve};
use crate::observe::Metered;
use crate::runtime::logs;

/// A model that is ready to run.
#[expect(missing_debug_implementations, reason = "it holds the gateway")]
pub struct Ready {
    gateway: Arc<Gateway>,
    model: Arc<Model>,
    snapshot: Snapshot,
    opened: Vec<(Arc<str>, Reserved)>,
    closed: Vec<Arc<str>>,
    effects: Effects,
    logs: logs::Prepared,
}

impl Gateway {
    /// Compiles a model and binds the listeners it adds. Dropping the result undoes it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn prepare(self: &Arc<Self>, model: Arc<Model>, revision: u64) -> Result<Ready, Vec<Problem>> {
        let running = self.shared.snapshot();
        let (health, learned) = {
            let state = self.state();
            (state.health.clone(), state.learned.clone())
        };
        let logs = self.writers.prepare(&model);
        let queue = |name: &str| logs.as_ref().ok().and_then(|logs| logs.queue(name));
        let given = Given {
            meters: &self.observer.meters,
            // Before the first model runs there is nothing to carry over but what the store remembers.
            previous: (!running.is_empty()).then_some(&*running),
            private_key: &*self.private_keys,
            restored: &|upstream, address| {
                health.get(&(upstream.to_owned(), address.to_owned())).map(|kept| kept.state)
            },
            sticky_secret: &self.sticky_secret,
            learned: &|upstream| learned.get(upstream).cloned().unwrap_or_default(),
            canary: &|route, plan| self.canaries.reached(route, plan),
            found: &|upstream, source| self.discovered().found(upstream, source),
            queue: &queue,
        };
        let compiled = compile(&model, revision, &given);
        let reserved = self.reserve(&model);
        // What is wrong with the model and what is wrong with the machine, in one answer.
        let (snapshot, (opened, closed), logs) = match (compiled, reserved, logs) {
            (Ok(snapshot), Ok(reserved), Ok(logs)) => (snapshot, reserved, logs),
            (compiled, reserved, logs) => {
                return Err([compiled.err(), reserved.err(), logs.err()].into_iter().flatten().flatten().collect());
            }
        };
        let effects = effects(&running, &snapshot, &opened, &closed);
        Ok(Ready { gateway: Arc::clone(self), model, snapshot, opened, closed, effects, logs })
    }

    /// Binds what is new, all of it or nothing, and names what will be closed.
    #[expect(clippy::type_complexity, reason = "two lists, opened and closed")]
    fn reserve(&self, model: &Model) -> Result<(Vec<(Arc<str>, Reserved)>, Vec<Arc<str>>), Vec<Problem>> {
        let mut state = self.state();
        let (mut opened, mut problems) = (Vec::new(), Vec::new());
        let listening = state.listening.clone();
        for (name, listener) in &model.listeners {
            let transport = transport_of(listener);
            if listening.get(name.as_str()).is_some_and(|open| open.serves(listener)) {
                continue;
            }
            let is_ours =
                |open: &Listening| (open.bound.port(), open.transport) == (listener.address.port(), transport);
            let ours = if listening.values().any(is_ours) { Ours::Yes } else { Ours::No };
            match reserve(listener.address, transport, self.worker_count, &mut state.adopted, ours) {
                Ok(reserved) => opened.push((name.as_str().into(), reserved)),
                Err(error) => problems.push(Problem {
                    code: ProblemCode::Environment,
                    path: format!("listeners.{name}.address"),
                    message: format!("{} cannot be listened on: {error}", listener.address),
                    help: Some(bind_remedy(&error).to_owned()),
                    line: None,
                    column: None,
                }),
            }
        }
        let is_kept = |name: &Arc<str>, open: &Listening| {
            model.listeners.get(&**name).is_some_and(|listener| open.serves(listener))
        };
        let closed = listening.iter().filter(|(name, open)| !is_kept(name, open)).map(|(name, _)| Arc::clone(name));
        if problems.is_empty() { Ok((opened, closed.collect())) } else { Err(problems) }
    }

    /// Opens and closes the listeners of a change.
    async fn change_listeners(&self, opened: Vec<(Arc<str>, Reserved)>, closed: &[Arc<str>], snapshot: &Snapshot) {
        let workers = self.workers.read().await;
        let Some(workers) = workers.as_ref() else { return };
        for name in closed {
            workers.unlisten(name).await;
            if let Some(gone) = self.state().listening.remove(name) {
                handover::forget(gone.bound, gone.transport);
            }
        }
        for (name, reserved) in opened {
            let bound = reserved.address();
            let configured = snapshot.listeners.get(&name).map_or(bound, |listener| listener.address);
            match reserved.listen() {
                Ok(sockets) => {
                    handover::keep(bound, &sockets);
                    let open = Listening { configured, bound, transport: sockets.transport() };
                    self.state().listening.insert(Arc::clone(&name), open);
                    workers.listen(&name, sockets).await;
                    tracing::info!(listener = %name, address = %bound, "listening");
                }
                // Bound and still refused: another process listens on the same address with SO_REUSEPORT.
                Err(error) => tracing::error!(listener = %name, address = %bound, %error, "cannot listen"),
            }
        }
    }
}

fn transport_of(listener: &model::Listener) -> Transport {
    match listener.protocol {
        ListenerProtocol::Udp => Transport::Datagram,
        ListenerProtocol::Http | ListenerProtocol::Https | ListenerProtocol::Tcp | ListenerProtocol::Tls => {
            Transport::Stream
        }
    }
}

impl Listening {
    /// Whether the sockets that are open are those that a listener needs.
    fn serves(&self, listener: &model::Listener) -> bool {
        self.configured == listener.address && self.transport == transport_of(listener)
    }
}

impl Ready {
    /// What running it will do to live traffic.
    pub fn effects(&self) -> Effects {
        self.effects.clone()
    }

    /// Runs it.
    pub async fn commit(self) {
        let Self { gateway, model, snapshot, opened, closed, logs, .. } = self;
        gateway.writers.adopt(logs);
        let snapshot = gateway.make_current(&model, snapshot);
        gateway.change_listeners(opened, &closed, &snapshot).await;
    }
}

impl Gateway {
    /// Everything of a commit that does not wait.
    fn make_current(&self, model: &Arc<Model>, mut snapshot: Snapshot) -> Arc<Snapshot> {
        let _turn = self.turn();
        self.catch_up(&mut snapshot, model);
        let snapshot = Arc::new(snapshot);
        let directory = {
            let mut state = self.state();
            state.overrides.apply(&snapshot.upstreams);
            state.health.clear();
            state.learned.clear();
            state.model = Arc::clone(model);
            state.consumers.adopt(model, &self.observer.meters)
        };
        self.shared.set_directory(Arc::new(directory));
        self.canaries.adopt(&snapshot, clock::wall_ms());
        self.shared.swap(Arc::clone(&snapshot));
        self.snapshots.send_replace(Arc::clone(&snapshot));
        prune_meters(self, &snapshot, model);
        snapshot
    }
}

fn prune_meters(gateway: &Gateway, snapshot: &Snapshot, model: &Model) {
    let meters = &gateway.observer.meters;
    let upstreams: HashSet<&str> = snapshot.upstreams.iter().map(|upstream| &*upstream.name).collect();
    meters.prune(Metered::Route, |name| model.routes.contains_key(name));
    meters.prune(Metered::Upstream, |name| upstreams.contains(name));
    meters.prune(Metered::Consumer, |name| model.consumers.contains_key(name));
    let sides = snapshot.routes.iter().filter_map(|route| route.split.as_ref()).flat_map(|split| &split.sides);
    let sides: HashSet<&str> = sides.map(|side| &*side.meter_name).collect();
    meters.prune(Metered::Side, |name| sides.contains(name));
    meters.prune_mirrors(|name| model.routes.get(name).is_some_and(|route| route.mirror.is_some()));
    prune_endpoints(gateway, snapshot);
}

/// Forgets the counters of endpoints that are gone.
pub(super) fn prune_endpoints(gateway: &Gateway, snapshot: &Snapshot) {
    let endpoint_names = |upstream: &Arc<Upstream>| {
        let of = |endpoint: &Arc<crate::upstream::endpoint::Endpoint>| format!("{}/{}", upstream.name, endpoint.name);
        upstream.endpoints.iter().map(of).collect::<Vec<_>>()
    };
    let endpoints: HashSet<String> = snapshot.upstreams.iter().flat_map(endpoint_names).collect();
    gateway.observer.meters.prune(Metered::Endpoint, |name| endpoints.contains(name));
}

fn effects(running: &Snapshot, next: &Snapshot, opened: &[(Arc<str>, Reserved)], closed: &[Arc<str>]) -> Effects {
    let ids = |snapshot: &Snapshot| -> HashSet<u64> {
        let endpoints = snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        endpoints.map(|endpoint| endpoint.live.id).collect()
    };
    let (before, after) = (ids(running), ids(next));
    let count =
        |set: std::collections::hash_set::Difference<'_, u64, _>| u32::try_from(set.count()).unwrap_or(u32::MAX);
    Effects {
        listeners_opened: opened.iter().map(|(name, _)| name.to_string()).collect(),
        listeners_closed: closed.iter().map(ToString::to_string).collect(),
        endpoints_added: count(after.difference(&before)),
        endpoints_removed: count(before.difference(&after)),
        routes_changed: 0,
    }
}
