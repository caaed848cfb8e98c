// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection or UDP session that passes unread, from its first byte to its record: what a journey is to an exchange.
//!
//! Whatever happens to it, it is recorded once, when it is dropped. It may live for days, so it holds its listener and
//! its upstream and not the snapshot they came from.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use weirgate_store::model::URGENCY_DEFAULT;

use super::forward::{Outcome, observe_passage, wait_in_turn};
use super::journey::Attempt;
use super::worker::{UpstreamMemory, Worker};
use crate::balance::{Candidate, Choice};
use crate::clock::{self, Deadline};
use crate::config::snapshot::{Listener, Upstream};
use crate::exchange::{Presence, RequestId};
use crate::fault::Fault;
use crate::observe::{Finished, Part, Stage, Timings};
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::limits::OpenConnection;
use crate::upstream::passive::Holds;
use crate::upstream::retry::{self, Decision, Refusal, Tried};

/// Tells everyone who learns from it that an endpoint took a passage.
pub(super) fn reached(endpoint: &Endpoint) {
    observe_passage(endpoint, Outcome::Answered(200, clock::now()));
}

/// What passes, with everything that is known of it.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Arc<Listener>,
    pub(super) presence: Rc<Presence>,
    id: RequestId,
    arrived: Instant,
    /// What a TLS client named.
    pub(super) server_name: Option<Box<str>>,
    upstream: Option<Arc<Upstream>>,
    /// Why this upstream.
    pub(super) because: &'static str,
    attempts: SmallVec<[Attempt; 1]>,
    refusal: Option<Refusal>,
    timings: Timings,
    pub(super) fault: Option<Fault>,
    in_flight: Option<InFlight>,
    /// Its place among the connections to the upstream.
    connection: Option<OpenConnection>,
    /// Whether the last pick met an endpoint that only the limits keep from taking it.
    met_full: bool,
}

impl Passage {
    /// One that begins now.
    pub(super) fn new(worker: Rc<Worker>, listener: Arc<Listener>, presence: Rc<Presence>) -> Self {
        worker.recorder.total().enter(worker.index);
        let id = worker.request_id();
        Self {
            worker,
            listener,
            presence,
            id,
            arrived: clock::now(),
            server_name: None,
            upstream: None,
            because: "",
            attempts: SmallVec::new(),
            refusal: None,
            timings: Timings::default(),
            fault: None,
            in_flight: None,
            connection: None,
            met_full: false,
        }
    }

    /// It goes to an endpoint of this upstream.
    pub(super) fn lead_to(&mut self, upstream: Arc<Upstream>) -> (Arc<Upstream>, Rc<UpstreamMemory>) {
        let memory = self.worker.memory_of(&upstream);
        memory.budget.borrow_mut().record(clock::since_start_ns_at(self.arrived));
        self.upstream = Some(Arc::clone(&upstream));
        (upstream, memory)
    }

    /// Picks an endpoint for a connection, within the limits and if need be after a wait in the queue of the upstream.
    pub(super) async fn pick_in_turn(
        &mut self,
        upstream: &Upstream,
        memory: &UpstreamMemory,
    ) -> Result<Arc<Endpoint>, Fault> {
        let overload = &upstream.overload;
        if !overload.limits.counts_connections() {
            let endpoint = self.pick(upstream, memory)?;
            // Without limits it is only counted.
            self.connection = overload.open(&endpoint);
            return Ok(endpoint);
        }
        let is_first = self.attempts.is_empty();
        if (!is_first || overload.load.queue.waiting() == 0)
            && let Some(endpoint) = self.take(upstream, memory)?
        {
            return Ok(endpoint);
        }
        if !is_first {
            return Err(self.nobody(upstream));
        }
        let (worker, began) = (Rc::clone(&self.worker), clock::now());
        let wait = wait_in_turn(upstream, &worker, URGENCY_DEFAULT, Duration::ZERO, || self.take(upstream, memory));
        let taken = Box::pin(wait).await;
        self.time(Stage::Queue, began);
        taken
    }

    /// An endpoint with a place for one more connection, if there is one.
    fn take(&mut self, upstream: &Upstream, memory: &UpstreamMemory) -> Result<Option<Arc<Endpoint>>, Fault> {
        self.connection = None;
        self.met_full = false;
        let endpoint = match self.pick(upstream, memory) {
            Ok(endpoint) => endpoint,
            Err(_) if self.met_full && self.attempts.is_empty() => return Ok(None),
            Err(fault) => return Err(fault),
        };
        self.connection = upstream.overload.open(&endpoint);
        if self.connection.is_none() {
            // The last place went to another one meanwhile.
            self.attempts.pop();
            self.in_flight = None;
            return Ok(None);
        }
        Ok(Some(endpoint))
    }

    /// Picks an endpoint that was not tried yet, and counts the passage as in flight to it.
    pub(super) fn pick(&mut self, upstream: &Upstream, memory: &UpstreamMemory) -> Result<Arc<Endpoint>, Fault> {
        let tried: SmallVec<[usize; 4]> = self.attempts.iter().map(|attempt| attempt.choice.index).collect();
        let met_full = Cell::new(false);
        let view = |at: usize| {
            let Some(endpoint) = upstream.endpoints.get(at) else { return Candidate::default() };
            let mut candidate = endpoint.seen(Holds::Ignored);
            candidate.usable &= !tried.contains(&at);
            if candidate.usable && !upstream.overload.may_open(endpoint) {
                met_full.set(true);
                candidate.usable = false;
            }
            candidate
        };
        let ask = self.worker.ask(self.presence.client.get().ip().to_canonical());
        let choice = upstream.balance.pick(&memory.turns, &ask, view);
        self.met_full = met_full.get();
        let choice: Choice = choice.ok_or_else(|| self.nobody(upstream))?;
        let endpoint = upstream.endpoints.get(choice.index).ok_or(Fault::Internal("picked past the end"))?;
        self.attempts.push(Attempt { choice, fault: None, note: None, began: clock::now(), ended: None });
        self.in_flight = Some(endpoint.live.begin_unread());
        *self.presence.endpoint.borrow_mut() = Some((Arc::clone(&upstream.name), Arc::clone(&endpoint.name)));
        Ok(Arc::clone(endpoint))
    }

    /// Why nobody can take it. After a failed attempt, that failure says more.
    #[cold]
    fn nobody(&self, upstream: &Upstream) -> Fault {
        let last = self.attempts.iter().rev().find_map(|attempt| attempt.fault.clone());
        last.unwrap_or_else(|| super::forward::nobody_of(upstream))
    }

    /// Makes a wait end when what is in flight to the endpoint is cut.
    pub(super) fn join(&self, deadline: &Deadline) {
        if let Some(in_flight) = &self.in_flight {
            deadline.join(in_flight.endpoint());
        }
    }

    /// The endpoint did not take it: whether another may be tried, or the fault that is final.
    pub(super) fn missed(
        &mut self,
        upstream: &Upstream,
        memory: &UpstreamMemory,
        endpoint: &Endpoint,
        fault: Fault,
    ) -> Result<(), Fault> {
        observe_passage(endpoint, Outcome::Failed(&fault));
        self.in_flight = None;
        let attempts = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        // Nothing of the client has left yet, so it may go anywhere.
        let tried = Tried { method: "GET", body: retry::Body::InHand, attempts, stale: 0 };
        let mut budget = memory.budget.borrow_mut();
        let decision = retry::allows(&upstream.retry, &fault, tried, &mut budget, clock::since_start_ns());
        if let Some(last) = self.attempts.last_mut() {
            last.fault = Some(fault.clone());
        }
        match decision {
            Decision::Again | Decision::AgainFresh => Ok(()),
            Decision::Enough(refusal) => {
                self.refusal = Some(refusal);
                Err(fault)
            }
        }
    }

    /// Adds the time since `from` to a stage.
    pub(super) fn time(&mut self, stage: Stage, from: Instant) {
        let micros = clock::now().saturating_duration_since(from).as_micros();
        self.timings.add(stage, u64::try_from(micros).unwrap_or(u64::MAX));
    }

    fn why(&self) -> Vec<String> {
        let Some(upstream) = &self.upstream else { return Vec::new() };
        let name = |at: usize| upstream.endpoints.get(at).map_or("?", |endpoint| &*endpoint.name);
        let mut lines = vec![format!("upstream {}: {}", upstream.name, self.because)];
        for attempt in &self.attempts {
            lines.push(attempt.choice.explain(name).to_string());
            lines.extend(attempt.fault.as_ref().map(ToString::to_string));
        }
        lines.extend(self.refusal.as_ref().map(ToString::to_string));
        lines
    }

    fn record(&self) {
        let upstream = self.upstream.as_ref();
        let endpoint = upstream.zip(self.attempts.last()).and_then(|(upstream, attempt)| {
            let name = &*upstream.endpoints.get(attempt.choice.index)?.name;
            Some(Part { name, meter: upstream.endpoint_meters.get(attempt.choice.index)? })
        });
        let now = clock::now();
        let micros = now.saturating_duration_since(self.arrived).as_micros();
        let presence = &self.presence;
        self.worker.recorder.record(&Finished {
            id: self.id,
            trace: None,
            second: clock::since_start_ns_at(now) / 1_000_000_000,
            client: presence.client.get().ip().to_canonical(),
            listener: &self.listener.name,
            protocol: presence.protocol.get(),
            scheme: "",
            fields: None,
            method: b"",
            host: self.server_name.as_deref().unwrap_or_default().as_bytes(),
            target: b"",
            status: self.fault.as_ref().map_or(0, |fault| fault.facts().status),
            bytes_in: presence.bytes_in.get(),
            bytes_out: presence.bytes_out.get(),
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
            timings: &self.timings,
            route: None,
            upstream: upstream.map(|upstream| Part { name: &upstream.name, meter: &upstream.meter }),
            endpoint,
            consumer: None,
            side: None,
            attempts: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX),
            fault: self.fault.as_ref(),
            version: "",
            logs: &self.worker.snapshot().logs,
            tries: &Vec::new,
            why: &|| self.why(),
        });
        self.worker.recorder.total().leave(self.worker.index);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.presence.killed.get() {
            self.fault = Some(Fault::Killed);
        }
        self.record();
    }
}
