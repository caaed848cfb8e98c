// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of every exchange: the only place that counts one, logs one, or shows one to a watcher.
//!
//! The data path fills in [`Finished`] with borrowed facts and calls [`Recorder::record`] once. Counting is a handful
//! of plain stores; a record with text is made only for a watcher, a failure or a debug log, and secrets are hidden on
//! the way. A storm of failures costs a bounded number of records and log lines a second.

use std::net::IpAddr;
use std::sync::Arc;

use tracing::Level;
use weirgate_store::wire::{ExchangeRecord, TryRecord};

use super::brake::Brake;
use super::cells::{Meter, Outcome};
use super::log::Log;
use super::log::outbox::Outbox;
use super::tap::{Facts, Tap};
use super::timings::{Stage, Timings};
use super::usage::{Tally, UsedBy};
use super::{Observer, redact};
use crate::exchange::{Fields, RequestId, Trace};
use crate::fault::{Blame, Fault};

/// The target of the access log.
pub const ACCESS: &str = "weirgate::access";

/// Failures of one worker that are kept in a second.
pub(super) const FAILURES_PER_SECOND: u32 = 100;

/// Exchanges of one worker that are remembered in a second, whatever became of them: all on a quiet gateway.
pub(super) const REMEMBERED_PER_SECOND: u32 = 20;

/// Failures of one worker that are logged in a second; the rest is counted and named in the next line.
pub(super) const WARNINGS_PER_SECOND: u32 = 10;

/// The field that names a trace.
const TRACEPARENT: &[u8] = b"traceparent";

/// An object of the snapshot that took part: its name and where it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub name: &'a str,
    pub meter: &'a Meter,
}

/// Everything that is known of an exchange at its end. Text from the network is as it came; it is cleaned here.
#[derive(Clone, Copy)]
pub struct Finished<'a> {
    pub id: RequestId,
    /// The place in a trace, where one is kept.
    pub trace: Option<Trace>,
    /// Seconds since the process started.
    pub second: u64,
    pub client: IpAddr,
    pub listener: &'a str,
    /// `HTTP/1.1`, `HTTP/2`, `tcp`, `tls`, `udp`.
    pub protocol: &'a str,
    /// `http` or `https`; empty of what passes unread.
    pub scheme: &'a str,
    /// The header fields of the request as an endpoint got them.
    pub fields: Option<&'a Fields>,
    /// Empty of what passes unread.
    pub method: &'a [u8],
    pub host: &'a [u8],
    /// Path and query as they were sent.
    pub target: &'a [u8],
    /// What the client was answered; of what passes unread, 0 or what its fault is worth.
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// From the first byte of the request to the last of the reply.
    pub micros: u64,
    pub timings: &'a Timings,
    pub route: Option<Part<'a>>,
    pub upstream: Option<Part<'a>>,
    /// Named by its address.
    pub endpoint: Option<Part<'a>>,
    pub consumer: Option<Part<'a>>,
    /// Of a split, named `route/upstream`.
    pub side: Option<Part<'a>>,
    /// How often the request was sent to an endpoint.
    pub attempts: u32,
    pub fault: Option<&'a Fault>,
    /// The version of the API that was asked for; empty where a route has none.
    pub version: &'a str,
    /// Logs of the snapshot.
    pub logs: &'a [Arc<Log>],
    /// Each time it was sent to an endpoint; asked only when a record or a span is made.
    pub tries: &'a dyn Fn() -> Vec<TryRecord>,
    /// What each policy decided and why this endpoint; asked only when a record is made.
    pub why: &'a dyn Fn() -> Vec<String>,
}

impl std::fmt::Debug for Finished<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finished").field("status", &self.status).field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl Finished<'_> {
    fn outcome(&self) -> Outcome {
        Outcome { status: self.status, bytes_in: self.bytes_in, bytes_out: self.bytes_out, micros: self.micros }
    }

    /// What a side of a split is judged by: a reply that broke off is a failure whatever its status, and its time is
    /// that to the head of the reply, which no slow client and no long body moves.
    fn side_outcome(&self) -> Outcome {
        let cut = self.fault.is_some_and(|fault| fault.facts().blame == Blame::Endpoint);
        let status = if cut { self.status.max(502) } else { self.status };
        let micros = [Stage::Connect, Stage::Wait].into_iter().filter_map(|stage| self.timings.of(stage)).sum();
        Outcome { status, micros, ..self.outcome() }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            status: self.status,
            route: self.route.map(|part| part.name),
            upstream: self.upstream.map(|part| part.name),
            consumer: self.consumer.map(|part| part.name),
        }
    }

    /// A header field of the request.
    pub(super) fn header(&self, name: &'_ [u8]) -> Option<&[u8]> {
        let fields = self.fields?;
        fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The trace it belongs to, its own if nobody named one.
    pub(super) fn trace(&self) -> Trace {
        self.trace.unwrap_or_else(|| Trace::of(self.id.0, self.header(TRACEPARENT)))
    }

    /// The trace that somebody named.
    pub(super) fn trace_id(&self) -> Option<u128> {
        let said = || Trace::continued(self.id.0, self.header(TRACEPARENT)?);
        self.trace.or_else(said).map(|trace| trace.trace_id)
    }

    /// What decides by chance: the same for all logs, and of a trace for all who take part in it.
    pub(super) fn lot(&self) -> u64 {
        self.trace.map_or(self.id.0, |trace| trace.trace_id) as u64
    }

    /// Whether the operator has to see this one: the endpoint or weirgate failed, not the client. What an operator
    /// ended is no news to one.
    pub(super) fn is_failure(&self) -> bool {
        let blamed_elsewhere = |fault: &Fault| fault.facts().blame != Blame::Client && !matches!(fault, Fault::Killed);
        self.status >= 500 || self.fault.is_some_and(blamed_elsewhere)
    }

    /// Whether it is a connection or UDP session that passed unread: it had no request, and nobody was answered.
    fn is_passage(&self) -> bool {
        self.method.is_empty()
    }

    fn verdict(&self) -> String {
        if self.is_passage() {
            return self.passage_verdict();
        }
        if let Some(fault) = self.fault {
            return format!("{}: {}", self.status, redact::plain(fault.to_string().as_bytes()));
        }
        let tries = match self.attempts {
            0 | 1 => String::new(),
            n => format!(", at try {n}"),
        };
        match self.endpoint {
            Some(endpoint) => format!("{} from endpoint {}{tries}", self.status, endpoint.name),
            None => format!("{} from weirgate itself", self.status),
        }
    }

    fn passage_verdict(&self) -> String {
        let passed = format!("{} bytes from the client, {} to it", self.bytes_in, self.bytes_out);
        let good = if self.protocol == "udp" { "ended by silence" } else { "ended by both sides" };
        let end = self.fault.map_or_else(|| good.to_owned(), ToString::to_string);
        let end = redact::plain(end.as_bytes());
        match self.endpoint {
            Some(endpoint) => format!("passed to endpoint {}, {end}: {passed}", endpoint.name),
            None => format!("not passed on: {end}"),
        }
    }

    fn to_record(self) -> ExchangeRecord {
        let failure = self.is_failure();
        let name = |part: Option<Part<'_>>| part.map(|part| part.name.to_owned());
        ExchangeRecord {
            id: self.id.to_string(),
            time_ms: crate::clock::wall_ms(),
            client: self.client.to_string(),
            listener: self.listener.to_owned(),
            protocol: self.protocol.to_owned(),
            method: redact::plain(self.method),
            host: redact::plain(self.host),
            path: redact::target(self.target),
            status: self.status,
            duration_us: self.micros,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            route: name(self.route),
            upstream: name(self.upstream),
            endpoint: name(self.endpoint),
            consumer: name(self.consumer),
            attempts: self.attempts,
            fault: self.fault.map(|fault| fault.facts().token.to_owned()),
            verdict: self.verdict(),
            timeline: self.timings.timeline(),
            why: (self.why)(),
            tries: (self.tries)(),
            request: if failure { self.fields.map(redact::fields).unwrap_or_default() } else { Vec::new() },
            trace: self.trace_id().map(|id| format!("{id:032x}")),
        }
    }
}

impl Drop for Recorder {
    /// What the last exchanges of a worker left is handed over.
    fn drop(&mut self) {
        self.flush();
    }
}

/// Records the exchanges of one worker. Belongs to the thread of that worker.
#[derive(Debug)]
pub struct Recorder {
    worker: usize,
    total: Arc<Meter>,
    tap: Arc<Tap>,
    failures: Brake,
    warnings: Brake,
    remembered: Brake,
    tally: Tally,
    outbox: Outbox,
}

impl Recorder {
    pub(super) fn new(observer: &Observer, worker: usize) -> Self {
        Self {
            worker,
            total: Arc::clone(observer.meters.total()),
            tap: Arc::clone(&observer.tap),
            failures: Brake::new(FAILURES_PER_SECOND),
            warnings: Brake::new(WARNINGS_PER_SECOND),
            remembered: Brake::new(REMEMBERED_PER_SECOND),
            tally: Tally::new(&observer.used),
            outbox: Outbox::default(),
        }
    }

    /// The number of the worker, for the meters.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The meter of every exchange, for its number in flight.
    pub fn total(&self) -> &Meter {
        &self.total
    }

    /// Counts, logs and shows one finished exchange.
    pub fn record(&self, finished: &Finished<'_>) {
        self.count(finished);
        let failure = finished.is_failure();
        if !finished.logs.is_empty() {
            self.outbox.write(finished.logs, finished, failure);
        }
        let remember = !failure && self.remembered.pass(finished.second).is_some();
        if failure || remember || self.tap.is_watched() || tracing::enabled!(target: ACCESS, Level::DEBUG) {
            self.tell(finished, failure, remember);
        }
    }

    /// Returns when something waits to be handed over with [`flush`](Self::flush).
    pub async fn filled(&self) {
        self.outbox.filled().await;
    }

    /// Hands lines to the writers of logs, and counts to whoever rolls them up.
    pub fn flush(&self) {
        self.outbox.flush();
        self.tally.flush();
    }

    fn count(&self, finished: &Finished<'_>) {
        let outcome = finished.outcome();
        self.total.record(self.worker, &outcome);
        let parts = [finished.route, finished.upstream, finished.endpoint, finished.consumer];
        for part in parts.into_iter().flatten() {
            part.meter.record(self.worker, &outcome);
        }
        if let Some(side) = finished.side {
            side.meter.record(self.worker, &finished.side_outcome());
        }
        if let Some(consumer) = finished.consumer {
            let route = finished.route.map_or("", |part| part.name);
            self.tally.count(UsedBy { consumer: consumer.name, route, version: finished.version }, &outcome);
            self.outbox.touch();
        }
    }

    /// The rare and the asked-for: everything that needs text.
    #[cold]
    fn tell(&self, finished: &Finished<'_>, failure: bool, remember: bool) {
        let second = finished.second;
        let mut made: Option<Arc<ExchangeRecord>> = None;
        if failure {
            if self.failures.pass(second).is_some() {
                let record = Arc::new(finished.to_record());
                self.tap.keep_failure(Arc::clone(&record));
                made = Some(record);
            }
            if let Some(held) = self.warnings.pass(second) {
                let record = made.get_or_insert_with(|| Arc::new(finished.to_record()));
                warn(record, held);
            }
        } else if tracing::enabled!(target: ACCESS, Level::DEBUG) {
            debug(made.get_or_insert_with(|| Arc::new(finished.to_record())));
        }
        if remember {
            self.tap.remember(Arc::clone(made.get_or_insert_with(|| Arc::new(finished.to_record()))));
        }
        self.tap.offer(&finished.facts(), second, || made.unwrap_or_else(|| Arc::new(finished.to_record())));
    }
}

fn warn(record: &ExchangeRecord, held_back: u64) {
    tracing::warn!(
        target: ACCESS,
        id = record.id,
        client = record.client,
        method = record.method,
        host = record.host,
        path = record.path,
        status = record.status,
        duration_us = record.duration_us,
        route = record.route,
        upstream = record.upstream,
        endpoint = record.endpoint,
        fault = record.fault,
        held_back,
        "{}",
        record.verdict
    );
}

fn debug(record: &ExchangeRecord) {
    tracing::debug!(
        target: ACCESS,
        id = record.id,
        client = record.client,
        method = record.method,
        host = record.host,
        path = record.path,
        status = record.status,
        duration_us = record.duration_us,
        bytes_in = record.bytes_in,
        bytes_out = record.bytes_out,
        route = record.route,
        upstream = record.upstream,
        endpoint = record.endpoint,
        consumer = record.consumer,
        fault = record.fault,
        "{}",
        record.verdict
    );
}

#[cfg(test)]
mod tests {
    use super::{FAILURES_PER_SECOND, Finished, Part, Recorder, Timings};
    use crate::exchange::RequestId;
    use crate::fault::{Fault, Sent};
    use crate::observe::Stage;
    use crate::observe::tap::{FAILURES_MAX, Filter};
    use crate::observe::{Metered, Observer};
    use std::net::IpAddr;
    use std::sync::Arc;

    fn finish(recorder: &Recorder, observer: &Observer, status: u16, fault: Option<&Fault>) {
        let route = observer.meters.meter(Metered::Route, "orders");
        let mut timings = Timings::default();
        timings.add(Stage::Route, 3);
        timings.add(Stage::Wait, 400);
        timings.add(Stage::Wait, 100);
        recorder.record(&Finished {
            id: RequestId(0x0192f3),
            trace: None,
            second: crate::clock::since_start_ns() / 1_000_000_000,
            client: IpAddr::from([192, 0, 2, 7]),
            listener: "web",
            protocol: "HTTP/1.1",
            scheme: "http",
            fields: None,
            method: b"GET",
            host: b"api.example.com",
            target: b"/orders?api_key=s3cr3t",
            status,
            bytes_in: 10,
            bytes_out: 20,
            micros: 600,
            timings: &timings,
            route: Some(Part { name: "orders", meter: &route }),
            upstream: None,
            endpoint: None,
            consumer: None,
            side: None,
            attempts: 1,
            fault,
            version: "",
            logs: &[],
            tries: &Vec::new,
            why: &|| vec!["limit gold: 41 of 200 left".to_owned()],
        });
    }

    fn closed() -> Fault {
        Fault::Closed { endpoint: "10.0.0.12:8080".into(), sent: Sent::Wholly }
    }

    #[test]
    fn an_exchange_is_counted_once_everywhere_it_took_part() {
        let observer = Observer::new(1);
        let recorder = observer.recorder(0);
        finish(&recorder, &observer, 200, None);
        assert_eq!(observer.meters.total().requests(), 1);
        assert_eq!(observer.meters.meter(Metered::Route, "orders").sum().bytes_out, 20);
        assert!(observer.tap.failures().is_empty());
    }

    #[test]
    fn a_failure_is_kept_with_its_story_and_without_its_secrets() {
        let observer = Observer::new(1);
        finish(&observer.recorder(0), &observer, 502, Some(&closed()));
        let failures = observer.tap.failures();
        let record = failures.first().expect("kept");
        assert_eq!(record.path, "/orders?api_key=***");
        assert_eq!(record.fault.as_deref(), Some("endpoint-closed"));
        assert!(record.verdict.contains("10.0.0.12:8080 closed the connection"), "{}", record.verdict);
        let steps: Vec<_> = record.timeline.iter().map(|step| (step.stage.as_str(), step.micros)).collect();
        assert_eq!(steps, [("route", 3), ("wait", 500)]);
        assert_eq!(record.why.len(), 1);
    }

    #[test]
    fn a_storm_of_failures_is_counted_and_not_told() {
        let observer = Observer::new(1);
        let recorder = observer.recorder(0);
        let mut watch = observer.tap.watch(Filter::default()).expect("room");
        for _ in 0..FAILURES_MAX * 3 {
            finish(&recorder, &observer, 502, Some(&closed()));
        }
        assert_eq!(observer.meters.total().sum().server_errors, 600);
        // The clock may step into the next seconds while the loop runs.
        assert!(observer.tap.failures().len() >= FAILURES_PER_SECOND as usize);
        assert!(watch.take_dropped() > 0);
        let first = tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(watch.next());
        assert_eq!(first.map(|record| record.status), Some(502));
    }

    #[test]
    fn an_observer_is_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Arc::new(Observer::new(1)));
    }
}
