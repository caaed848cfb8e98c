// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each list contains: its columns, and its rows made from what is known. Pure; the same rows are sorted by
//! `update` and drawn by `view`.

mod connections;

mod consumers;

mod routes;

mod system;

mod upstreams;

use crate::app::{App, Screen};
use crate::attention::{Level, attention};
use crate::list::{Cell, Column, ListId, Row};
use crate::theme::Tone;

pub(crate) use connections::{of_screen, timeline};
pub use routes::{RouteFacts, error_tone, route_facts};
pub use upstreams::{health_mark, health_word, upstream_mark, why};

const fn left(title: &'static str, min: usize, max: usize) -> Column {
    Column { title, min, max, right: false }
}

const fn right(title: &'static str, width: usize) -> Column {
    Column { title, min: width, max: width, right: true }
}

const ATTENTION: &[Column] = &[left("", 1, 1), left("WHAT", 16, 18), left("WHY", 40, 200)];

pub fn columns(list: ListId) -> &'static [Column] {
    match list {
        ListId::Attention => ATTENTION,
        ListId::Routes => routes::COLUMNS,
        ListId::Upstreams => upstreams::COLUMNS,
        ListId::Endpoints => upstreams::ENDPOINTS,
        ListId::Consumers => consumers::COLUMNS,
        ListId::Keys => consumers::KEYS,
        ListId::Certificates => system::CERTIFICATES,
        ListId::Revisions => system::REVISIONS,
        ListId::Listeners => system::LISTENERS,
        ListId::Connections => connections::COLUMNS,
        ListId::Timeline => connections::TIMELINE,
    }
}

/// All rows of a list, in the order they are known.
pub fn rows(app: &App, list: ListId) -> Vec<Row> {
    match (list, &app.screen) {
        (ListId::Attention, _) => attention_rows(app),
        (ListId::Routes, _) => routes::rows(app),
        (ListId::Upstreams, _) => upstreams::rows(app),
        (ListId::Endpoints, Screen::Upstream { name }) => upstreams::endpoints(app, name),
        (ListId::Consumers, _) => consumers::rows(app),
        (ListId::Keys, Screen::Consumer { name }) => consumers::keys(app, name),
        (ListId::Certificates, _) => system::certificates(app),
        (ListId::Revisions, _) => system::revisions(app),
        (ListId::Listeners, _) => system::listeners(app),
        (ListId::Connections, screen) => connections::rows(app, screen),
        (ListId::Timeline, Screen::Timeline { upstream }) => timeline(app, upstream),
        (ListId::Endpoints | ListId::Keys | ListId::Timeline, _) => Vec::new(),
    }
}

/// The cells of one row; `None` once it is gone.
pub fn row(app: &App, list: ListId, id: &str) -> Option<Vec<Cell>> {
    match (list, &app.screen) {
        (ListId::Routes, _) => routes::row(app, id),
        (ListId::Consumers, _) => Some(consumers::row(app, id)),
        // The other lists are short.
        _ => rows(app, list).into_iter().find(|(name, _)| name == id).map(|(_, cells)| cells),
    }
}

fn attention_rows(app: &App) -> Vec<Row> {
    let found = attention(&app.live, app.now_ms).into_iter();
    found
        .map(|item| {
            let (mark, tone) = match item.level {
                Level::Bad => ("✗", Tone::Bad),
                Level::Warn => ("!", Tone::Warn),
                Level::Note => ("~", Tone::Dim),
            };
            let cells =
                vec![Cell::text(mark).tone(tone), Cell::text(item.subject).tone(Tone::Strong), Cell::text(item.text)];
            (item.id, cells)
        })
        .collect()
}
