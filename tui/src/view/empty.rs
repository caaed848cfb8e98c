// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an empty list says: what would be here, and which key makes the first one.

use ratatui::text::Line;
use weirgate_store::model::Kind;

use super::paint::indented;
use crate::app::App;
use crate::list::ListId;
use crate::theme::Tone;

pub(super) fn lines(app: &App, list: ListId, width: u16) -> Vec<Line<'static>> {
    let state = app.lists.of(list);
    if let Some(refusal) = refused(app, list) {
        return [vec![Line::default()], indented(app.theme, Tone::Warn, &format!("! {refusal}"), 2, width)].concat();
    }
    let (what, how) = if !known(app, list) {
        ("Waiting for the daemon.", "")
    } else if state.total > 0 {
        ("Nothing matches the filter.", "Press esc to see everything again.")
    } else {
        words(list)
    };
    let how = if app.write_refusal().is_some() && list != ListId::Attention { "" } else { how };
    let mut lines = vec![Line::default()];
    lines.extend(indented(app.theme, Tone::Plain, what, 2, width));
    lines.extend(indented(app.theme, Tone::Accent, how, 2, width));
    lines
}

/// Why the daemon did not give the list.
fn refused(app: &App, list: ListId) -> Option<&str> {
    match list {
        ListId::Connections => app.live.connections.as_ref()?.as_ref().err().map(String::as_str),
        ListId::Timeline => app.live.timeline.as_ref()?.1.as_ref().err().map(String::as_str),
        _ => None,
    }
}

fn known(app: &App, list: ListId) -> bool {
    match list {
        ListId::Attention | ListId::Endpoints | ListId::Listeners => app.live.status.is_some(),
        ListId::Routes => app.live.knows(Kind::Route),
        ListId::Upstreams => app.live.status.is_some() || app.live.knows(Kind::Upstream),
        ListId::Consumers => app.live.knows(Kind::Consumer),
        ListId::Keys => app.live.keys.is_some(),
        ListId::Certificates => app.live.knows(Kind::Certificate),
        ListId::Revisions => app.live.revisions.is_some(),
        ListId::Connections => app.live.connections.is_some(),
        ListId::Timeline => app.live.timeline.is_some(),
    }
}

fn words(list: ListId) -> (&'static str, &'static str) {
    match list {
        ListId::Attention => ("Nothing. Every endpoint answers, the store is well, nobody is refused.", ""),
        ListId::Routes => (
            "Here would be routes: each says which requests it takes (host, path, method), what they must pass, and \
             which upstream they go to. Without one every request gets 404.",
            "Press n to make the first route.",
        ),
        ListId::Upstreams => (
            "Here would be upstreams: groups of endpoints that do the work, with their health. A route needs one to \
             send requests to.",
            "Press n to make the first upstream.",
        ),
        ListId::Endpoints => {
            ("This upstream has no endpoints: requests to it get 503.", "Press e to add one, or to have them found.")
        }
        ListId::Consumers => (
            "Here would be consumers: applications or partners that call with a key of their own, each with limits.",
            "Press n to make the first consumer.",
        ),
        ListId::Keys => ("This consumer has no key and cannot call yet.", "Press i to issue the first key."),
        ListId::Certificates => (
            "Here would be certificates for listeners that speak https.",
            "A certificate comes from files: weirgate cert set NAME chain=FILE key=FILE",
        ),
        ListId::Revisions => ("Here would be every change that was applied, newest first.", ""),
        ListId::Listeners => (
            "Here would be listeners: addresses on which clients connect. Without one nobody can.",
            "Press n to make the first listener.",
        ),
        ListId::Connections => ("None is open now. The list is asked for every two seconds.", ""),
        ListId::Timeline => ("No endpoint has gone down or come up as far back as the store reaches.", ""),
    }
}
