// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of the list of client connections and of the past of an upstream.

use weirgate_store::wire::{ConnectionInfo, EndpointHealth, HealthEvent};

use super::{left, right};
use crate::app::{App, Scope, Screen};
use crate::list::{Cell, Column, Row};
use crate::text;
use crate::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    left("CLIENT", 18, 24),
    left("SPEAKS", 9, 10),
    right("OPEN FOR", 9),
    right("FROM IT", 9),
    right("TO IT", 9),
    left("ENDS AT", 16, 40),
    left("LISTENER", 10, 20),
];

pub(super) const TIMELINE: &[Column] =
    &[left("", 1, 1), left("WHEN", 19, 19), left("ENDPOINT", 16, 24), left("BECAME", 7, 7), left("WHY", 20, 160)];

/// The connections that a screen is about.
pub(crate) fn of_screen<'a>(app: &'a App, screen: &'a Screen) -> impl Iterator<Item = &'a ConnectionInfo> {
    let known = app.live.connections.iter().flatten().flatten();
    known.filter(move |connection| match screen {
        Screen::Endpoint(view) => {
            connection.upstream.as_ref() == Some(&view.upstream) && connection.endpoint.as_ref() == Some(&view.address)
        }
        Screen::Connections(Scope::Upstream(name)) => connection.upstream.as_ref() == Some(name),
        Screen::Connections(Scope::Listener(name)) => connection.listener == *name,
        _ => true,
    })
}

/// The oldest first: it is the one that a drain waits for.
pub(super) fn rows(app: &App, screen: &Screen) -> Vec<Row> {
    let mut found: Vec<&ConnectionInfo> = of_screen(app, screen).collect();
    found.sort_by_key(|connection| (connection.since_ms, connection.id));
    found.into_iter().map(|connection| (connection.id.to_string(), cells(app, connection))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sort keys need three digits")]
fn cells(app: &App, connection: &ConnectionInfo) -> Vec<Cell> {
    let age = app.now_ms - connection.since_ms;
    let ends = match (&connection.upstream, &connection.endpoint) {
        (Some(upstream), Some(endpoint)) => format!("{upstream} {endpoint}"),
        (Some(upstream), None) => upstream.clone(),
        // HTTP: each request may go elsewhere.
        _ => "by request".to_owned(),
    };
    vec![
        Cell::text(connection.client.clone()).tone(Tone::Strong),
        Cell::text(connection.protocol.clone()),
        Cell::number(age as f64, text::span(age)),
        Cell::number(connection.bytes_in as f64, text::bytes(connection.bytes_in)),
        Cell::number(connection.bytes_out as f64, text::bytes(connection.bytes_out)),
        Cell::text(ends),
        Cell::text(connection.listener.clone()),
    ]
}

/// The newest first.
pub(crate) fn timeline(app: &App, upstream: &str) -> Vec<Row> {
    let known = app.live.timeline.as_ref().filter(|(name, _)| name == upstream);
    let Some((_, Ok(events))) = known else { return Vec::new() };
    let mut events: Vec<&HealthEvent> = events.iter().collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.time_ms));
    let mut rows: Vec<Row> = Vec::new();
    for event in events {
        // Two things can happen to an endpoint in one millisecond: its second row needs a name of its own.
        let id = format!("{} {} {}", event.time_ms, event.address, rows.len());
        rows.push((id, event_cells(app, event)));
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "times are below 2^52 milliseconds")]
fn event_cells(app: &App, event: &HealthEvent) -> Vec<Cell> {
    let (mark, tone, word) = match event.health {
        EndpointHealth::Up => ("✓", Tone::Good, "up"),
        EndpointHealth::Down => ("✗", Tone::Bad, "down"),
        EndpointHealth::Unknown => ("?", Tone::Dim, "unknown"),
    };
    vec![
        Cell::text(mark).tone(tone),
        Cell::number(event.time_ms as f64, text::second(event.time_ms, &app.zone)),
        Cell::text(event.address.clone()).tone(Tone::Strong),
        Cell::text(word).tone(tone),
        Cell::text(event.reason.clone()),
    ]
}
