// SPDX-License-Identifier: MIT OR Apache-2.0
//! The live stream: what happens, as it happens, as server-sent events.
//!
//! A reader takes events at its own speed from bounded queues; what it is too slow for is left out and counted in a
//! `dropped` event. Nothing here can make a worker or another reader wait. Streams end when the daemon shuts down.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Method;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use weirgate_store::wire::{Event, ExchangeRecord};

use super::extract::Asked;
use super::operation::{Operation, Parameter};
use crate::control::Control;
use crate::control::refusal::Refusal;
use crate::observe::{Filter, Watch};

/// A comment is sent after so long a silence, so that both ends notice a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const QUERY: &[Parameter] = &[
    Parameter {
        name: "topics",
        kind: "string",
        about: "Some of traffic, exchanges, health, revision, audit, with commas; all but exchanges if absent.",
    },
    Parameter { name: "status", kind: "string", about: "Only exchanges with this status: 404, 5xx or 400-499." },
    Parameter { name: "route", kind: "string", about: "Only exchanges of this route." },
    Parameter { name: "upstream", kind: "string", about: "Only exchanges of this upstream." },
    Parameter { name: "consumer", kind: "string", about: "Only exchanges of this consumer." },
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EventsQuery {
    topics: Option<String>,
    status: Option<String>,
    route: Option<String>,
    upstream: Option<String>,
    consumer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Traffic,
    Exchanges,
    Health,
    Revision,
    Audit,
}

impl Topic {
    const ALL: [(&'static str, Self); 5] = [
        ("traffic", Self::Traffic),
        ("exchanges", Self::Exchanges),
        ("health", Self::Health),
        ("revision", Self::Revision),
        ("audit", Self::Audit),
    ];

    fn of(event: &Event) -> Self {
        match event {
            Event::Traffic(_) => Self::Traffic,
            Event::Exchange(_) | Event::Dropped { .. } => Self::Exchanges,
            Event::Health(_) => Self::Health,
            Event::Revision(_) => Self::Revision,
            Event::Audit { .. } => Self::Audit,
        }
    }
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::GET, "/v1/events", "What happens, as it happens", get(events))
            .query(QUERY)
            .gives_events::<Event>(),
    ]
}

async fn events(
    State(control): State<Arc<Control>>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Refusal> {
    let topics = topics(query.topics.as_deref())?;
    let status = query.status.map(|text| text.parse()).transpose().map_err(Refusal::Malformed)?;
    let filter = Filter { status, route: query.route, upstream: query.upstream, consumer: query.consumer };
    let watch = if topics.contains(&Topic::Exchanges) {
        let busy = || Refusal::Busy("too many already watch exchanges; close one of them".to_owned());
        Some(control.observer.tap.watch(filter).ok_or_else(busy)?)
    } else {
        None
    };
    let reader =
        Reader { topics, events: control.observer.subscribe(), watch, stop: control.stopping(), missed: 0, held: None };
    let stream = unfold(reader, |mut reader| async move { reader.next().await.map(|event| (Ok(event), reader)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn topics(named: Option<&str>) -> Result<BTreeSet<Topic>, Refusal> {
    let Some(named) = named else {
        return Ok(Topic::ALL.into_iter().map(|(_, topic)| topic).filter(|t| *t != Topic::Exchanges).collect());
    };
    let parse = |word: &str| {
        let found = Topic::ALL.into_iter().find(|(name, _)| *name == word).map(|(_, topic)| topic);
        let names: Vec<_> = Topic::ALL.into_iter().map(|(name, _)| name).collect();
        let word = word.escape_debug();
        found.ok_or_else(|| Refusal::Malformed(format!("\"{word}\" is no topic; there are {}", names.join(", "))))
    };
    named.split(',').map(|word| parse(word.trim())).collect()
}

/// One open stream.
#[derive(Debug)]
struct Reader {
    topics: BTreeSet<Topic>,
    events: broadcast::Receiver<Arc<Event>>,
    watch: Option<Watch>,
    stop: watch::Receiver<bool>,
    /// Events that this reader was too slow for and has not been told of.
    missed: u64,
    /// An event that waits for what has to be said first.
    held: Option<Arc<Event>>,
}

impl Reader {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<SseEvent> {
        if let Some(event) = self.held.take() {
            return encode(&event);
        }
        loop {
            let event = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return None,
                event = self.events.recv() => match event {
                    Ok(event) => Some(event),
                    Err(RecvError::Lagged(missed)) => {
                        self.missed += missed;
                        None
                    }
                    Err(RecvError::Closed) => return None,
                },
                Some(record) = record(&mut self.watch) => Some(Arc::new(Event::Exchange(record))),
            };
            // A frame comes every second, wanted or not: the moment to say what was left out meanwhile.
            let tells = event.as_deref().is_none_or(|event| matches!(event, Event::Traffic(_)));
            let wanted = event.filter(|event| self.topics.contains(&Topic::of(event)));
            if tells && let Some(dropped) = self.dropped() {
                self.held = wanted;
                return encode(&dropped);
            }
            if let Some(event) = wanted {
                return encode(&event);
            }
        }
    }

    fn dropped(&mut self) -> Option<Event> {
        let exchanges = self.watch.as_ref().map_or(0, Watch::take_dropped) + std::mem::take(&mut self.missed);
        (exchanges > 0).then_some(Event::Dropped { exchanges })
    }
}

/// The next record of a watch; never, if there is none.
async fn record(watch: &mut Option<Watch>) -> Option<ExchangeRecord> {
    match watch {
        Some(watch) => watch.next().await.map(|record| ExchangeRecord::clone(&record)),
        None => std::future::pending().await,
    }
}

fn encode(event: &Event) -> Option<SseEvent> {
    let data = serde_json::to_string(event).ok()?;
    Some(SseEvent::default().event(name(event)).data(data))
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Traffic(_) => "traffic",
        Event::Exchange(_) => "exchange",
        Event::Health(_) => "health",
        Event::Revision(_) => "revision",
        Event::Audit { .. } => "audit",
        Event::Dropped { .. } => "dropped",
    }
}
