// SPDX-License-Identifier: MIT OR Apache-2.0
//! An exchange under way together with the stages' own facts, from its head to its record.
//!
//! Whatever happens to it, it is recorded once: when its reply is gone, or when it is dropped because the client went
//! away or the connection was cut.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::forward::{Admitted, Kept};
use super::worker::{LocalSnapshot, Worker};
use crate::balance::Choice;
use crate::clock;
use crate::config::snapshot::{Route, Turn, Upstream};
use crate::exchange::{Exchange, Trace};
use crate::fault::Fault;
use crate::observe::{Finished, Part, Stage, Timings};
use crate::policy::{Identity, Notes, note};
use crate::upstream::endpoint::InFlight;
use crate::upstream::retry::Refusal;
use weirgate_store::wire::TryRecord;

/// The field that names a trace and a place in it (W3C Trace Context section 3.2).
const TRACEPARENT: &[u8] = b"traceparent";

/// An attempt at an endpoint.
#[derive(Debug)]
pub struct Attempt {
    pub choice: Choice,
    /// What came of it, if it failed.
    pub fault: Option<Fault>,
    /// What else is to be told of it.
    pub note: Option<&'static str>,
    pub began: Instant,
    /// When it failed; one that was answered ended with the head of its reply.
    pub ended: Option<Instant>,
}

/// An exchange with everything that is known of it.
#[derive(Debug)]
pub struct Journey {
    pub x: Exchange,
    pub worker: Rc<Worker>,
    pub snapshot: LocalSnapshot,
    pub route: Option<u32>,
    /// The upstream that takes it, by place in the snapshot.
    pub upstream: Option<u32>,
    /// The side of the route's split, if it has one.
    pub turn: Option<Turn>,
    /// What the request says of one before it.
    pub kept: Kept,
    /// Who is calling, as far as a policy asked.
    pub identity: Identity,
    pub notes: Notes,
    pub attempts: SmallVec<[Attempt; 1]>,
    /// Why a failed attempt was the last.
    pub refusal: Option<Refusal>,
    timings: Cell<Timings>,
    pub fault: Option<Fault>,
    /// Its place in a trace, where one is kept.
    pub trace: Option<Trace>,
    /// What the client was answered; 0 until then.
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// When the head of the reply was in hand.
    pub replied: Option<Instant>,
    pub in_flight: Option<InFlight>,
    /// Its place in the upstream; after `in_flight`, so that the endpoint has room when the next one is called.
    pub admitted: Admitted,
    /// When the attempt began that was answered, if the endpoint is to be measured to the last byte.
    pub measured: Cell<Option<Instant>>,
    /// Nobody waits for it, so it is nobody's exchange and is not recorded.
    pub is_copy: bool,
}

impl Journey {
    /// The journey of `x` begins.
    pub fn new(x: Exchange, worker: Rc<Worker>, snapshot: LocalSnapshot) -> Self {
        worker.recorder.total().enter(worker.index);
        Self::blank(x, worker, snapshot)
    }

    /// Another journey of the same request, to another upstream, for which nobody waits.
    pub fn copy(&self, upstream: u32) -> Self {
        let x = Exchange { arrived: clock::now(), attempts: 0, ..self.x.clone() };
        let mut copy = Self::blank(x, Rc::clone(&self.worker), Rc::clone(&self.snapshot));
        (copy.route, copy.upstream, copy.is_copy) = (self.route, Some(upstream), true);
        copy
    }

    fn blank(x: Exchange, worker: Rc<Worker>, snapshot: LocalSnapshot) -> Self {
        Self {
            x,
            worker,
            snapshot,
            route: None,
            upstream: None,
            turn: None,
            kept: Kept::default(),
            identity: Identity::default(),
            notes: Notes::new(),
            attempts: SmallVec::new(),
            refusal: None,
            timings: Cell::default(),
            fault: None,
            trace: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            replied: None,
            in_flight: None,
            admitted: Admitted::default(),
            measured: Cell::new(None),
            is_copy: false,
        }
    }

    /// The route that was found.
    pub fn route(&self) -> Option<&Route> {
        self.snapshot.routes.get(self.route? as usize)
    }

    /// The upstream that was chosen.
    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.snapshot.upstreams.get(self.upstream? as usize)
    }

    /// The names of the upstream and the endpoint that have it.
    pub fn destination(&self) -> Option<(Arc<str>, Arc<str>)> {
        let (upstream, attempt) = (self.upstream()?, self.attempts.last()?);
        let endpoint = upstream.endpoints.get(attempt.choice.index)?;
        Some((Arc::clone(&upstream.name), Arc::clone(&endpoint.name)))
    }

    /// When the attempt under way began: the first begins with the request, as far as anyone can measure, unless it had to
    /// wait for a place. Later ones read the clock.
    pub fn attempt_began(&self) -> Instant {
        let is_first = self.x.attempts <= 1 && self.admitted.waited.is_none();
        if is_first { self.x.arrived } else { clock::now() }
    }

    /// Adds the time from `from` to `to` to a stage.
    pub fn time(&self, stage: Stage, from: Instant, to: Instant) {
        let micros = u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX);
        let mut timings = self.timings.get();
        timings.add(stage, micros);
        self.timings.set(timings);
    }

    /// Takes up the trace of the client, or begins one, and tells the endpoint.
    #[cold]
    pub fn continue_trace(&mut self) {
        let fields = &mut self.x.request.fields;
        let trace = Trace::of(self.x.id.0, fields.named(TRACEPARENT).next());
        fields.set_named(TRACEPARENT, &trace.traceparent());
        self.trace = Some(trace);
    }

    /// The client has not got, or not got all of, an answer.
    pub fn cut(&mut self, fault: Fault) {
        super::forward::cut(self, &fault);
        self.fault.get_or_insert(fault);
    }

    fn why(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let policies = self.route().map(|route| route.policies.as_slice()).unwrap_or_default();
        if !self.notes.is_empty() {
            lines.push(note::line(&self.notes, policies, self.identity.consumer.as_deref()));
        }
        if let Some((split, turn)) = self.route().and_then(|route| route.split.as_ref()).zip(self.turn) {
            lines.push(split.explain(turn).to_string());
        }
        let name = |at: usize| {
            let endpoint = self.upstream().and_then(|upstream| upstream.endpoints.get(at));
            endpoint.map_or("?", |endpoint| &*endpoint.name)
        };
        if let (Some(waited), Some(upstream)) = (self.admitted.waited, self.upstream()) {
            lines.push(format!("waited {} ms in the queue of {}", waited.as_millis(), upstream.name));
        }
        for attempt in &self.attempts {
            lines.push(attempt.choice.explain(name).to_string());
            lines.extend(attempt.note.map(ToOwned::to_owned));
            lines.extend(attempt.fault.as_ref().map(ToString::to_string));
        }
        lines.extend(self.refusal.as_ref().map(ToString::to_string));
        lines
    }

    fn tries(&self) -> Vec<TryRecord> {
        let Some(upstream) = self.upstream() else { return Vec::new() };
        let micros = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
        };
        let record = |(at, attempt): (usize, &Attempt)| {
            let is_last = at + 1 == self.attempts.len();
            let fault = attempt.fault.as_ref().or(self.fault.as_ref().filter(|_| is_last));
            let ended = attempt.ended.or(self.replied.filter(|_| is_last));
            TryRecord {
                endpoint: upstream.endpoints.get(attempt.choice.index).map_or("?", |e| &*e.name).to_owned(),
                began_us: micros(self.x.arrived, attempt.began),
                micros: ended.map(|ended| micros(attempt.began, ended)),
                fault: fault.map(ToString::to_string),
            }
        };
        self.attempts.iter().enumerate().map(record).collect()
    }

    fn record(&mut self) {
        let now = clock::now();
        if let Some(replied) = self.replied {
            self.time(Stage::Reply, replied, now);
        }
        let x = &self.x;
        x.client.presence.took(self.bytes_in);
        x.client.presence.gave(self.bytes_out);
        let target = x.request.query().map_or_else(
            || std::borrow::Cow::Borrowed(x.request.path()),
            |query| [x.request.path(), b"?", query].concat().into(),
        );
        let route = self.route();
        let upstream = self.upstream().filter(|_| !self.attempts.is_empty());
        let endpoint = upstream.zip(self.attempts.last()).and_then(|(upstream, attempt)| {
            let name = &*upstream.endpoints.get(attempt.choice.index)?.name;
            Some(Part { name, meter: upstream.endpoint_meters.get(attempt.choice.index)? })
        });
        let side = route.and_then(|route| route.split.as_ref()).zip(self.turn).and_then(|(split, turn)| {
            let side = split.sides.get(turn.side)?;
            Some(Part { name: &side.meter_name, meter: &side.meter })
        });
        let directory = self.identity.consumer.as_ref().map(|_| self.worker.shared.directory());
        let consumer = self.identity.consumer.as_ref().zip(directory.as_ref()).and_then(|(consumer, directory)| {
            let meter = directory.meters.get(consumer.id as usize)?.as_ref()?;
            Some(Part { name: &consumer.name, meter })
        });
        let micros = u64::try_from(now.saturating_duration_since(x.arrived).as_micros()).unwrap_or(u64::MAX);
        self.worker.recorder.record(&Finished {
            id: x.id,
            trace: self.trace,
            second: clock::since_start_ns_at(now) / 1_000_000_000,
            client: x.client_ip,
            listener: &x.client.listener,
            protocol: x.request.protocol.name(),
            scheme: x.client.scheme.name(),
            fields: Some(&x.request.fields),
            method: x.request.method.as_str().as_bytes(),
            host: x.request.host(),
            target: &target,
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            micros,
            timings: &self.timings.get(),
            route: route.map(|route| Part { name: &route.name, meter: &route.meter }),
            upstream: upstream.map(|upstream| Part { name: &upstream.name, meter: &upstream.meter }),
            endpoint,
            consumer,
            side,
            attempts: x.attempts,
            fault: self.fault.as_ref(),
            version: "",
            logs: &self.snapshot.logs,
            tries: &|| self.tries(),
            why: &|| self.why(),
        });
        self.worker.recorder.total().leave(self.worker.index);
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        if self.is_copy {
            super::forward::ended(self);
        } else {
            self.finish();
        }
        let fields = std::mem::take(&mut self.x.request.fields);
        self.worker.buffers.return_fields(fields);
    }
}

impl Journey {
    fn finish(&mut self) {
        if self.status == 0 {
            let killed = self.x.client.presence.killed.get();
            let fault = self.fault.get_or_insert(if killed { Fault::Killed } else { Fault::ClientClosed });
            self.status = fault.facts().status;
        }
        super::forward::ended(self);
        self.record();
    }
}
