// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on one endpoint and on single connections: the form of an override, the drain that is watched, cutting what is
//! left. What cuts somebody's connection asks first.

use weirgate_store::wire::{ConnectionInfo, EndpointOverride, OverrideMode, OverrideRequest};

use super::screens::enter;
use super::{answers, form, popup};
use crate::app::{Action, App, Confirm, EndpointView, NoticeTone, Popup, Screen};
use crate::event::{Ask, Effect};
use crate::form as forms;
use crate::keymap::Verb;
use crate::text;

/// What "now" is as a deadline.
const CUT_S: u64 = 0;

/// How much longer "longer" is.
const LONGER_S: i64 = 300;

/// The endpoint the keys of this screen act on.
fn subject(app: &App) -> Option<(String, String)> {
    match &app.screen {
        Screen::Upstream { name } => Some((name.clone(), app.selected()?.to_owned())),
        Screen::Endpoint(view) => Some((view.upstream.clone(), view.address.clone())),
        _ => None,
    }
}

pub(super) fn form(app: &mut App, verb: Verb) -> Vec<Effect> {
    let Some((upstream, address)) = subject(app) else { return Vec::new() };
    open_form(app, &upstream, &address, verb)
}

/// The form of an endpoint with what the verb means already chosen and the cursor on what is still open.
pub(super) fn open_form(app: &mut App, upstream: &str, address: &str, verb: Verb) -> Vec<Effect> {
    let Some(form) = forms::endpoint(&app.live, upstream, address) else {
        app.say(NoticeTone::Failed, format!("{address} is not an endpoint of {upstream}"));
        return Vec::new();
    };
    let form = match verb {
        Verb::Drain => form.at_field("mode", Some("drain")).at_field("reason", None),
        Verb::Maintenance => {
            form.at_field("mode", Some("maint")).at_field("deadline", Some("")).at_field("reason", None)
        }
        Verb::Ready => ["weight", "deadline", "expires", "reason"]
            .into_iter()
            .fold(form.at_field("mode", Some("ready")), |form, path| form.at_field(path, Some(""))),
        _ => form.at_field("weight", None),
    };
    form::open(app, form)
}

/// Goes to one endpoint of the upstream on the screen.
pub(super) fn open(app: &mut App, address: String) -> Vec<Effect> {
    let Screen::Upstream { name } = &app.screen else { return Vec::new() };
    let view = EndpointView { upstream: name.clone(), address, ..EndpointView::default() };
    let effects = enter(app, Screen::Endpoint(view));
    answers::watch(app);
    effects
}

/// The drain under way of the endpoint on the screen.
fn drain(app: &mut App) -> Option<(String, String, EndpointOverride)> {
    let (upstream, address) = subject(app)?;
    let over = app.live.endpoint(&upstream, &address)?.overridden.clone();
    match over.filter(|over| over.mode == OverrideMode::Drain) {
        Some(over) => Some((upstream, address, over)),
        None => {
            app.say(NoticeTone::Failed, format!("{address} is not draining: press d to drain it"));
            None
        }
    }
}

/// The same drain with another deadline.
fn redo(app: &mut App, over: EndpointOverride, deadline_s: u64) -> OverrideRequest {
    let left = over.expires_ms.map(|until| u64::try_from((until - app.now_ms) / 1_000).unwrap_or(0).max(1));
    OverrideRequest {
        mode: OverrideMode::Drain,
        weight: over.weight,
        reason: over.reason,
        expires_s: left,
        deadline_s: Some(deadline_s),
    }
}

/// Cuts what a drain has left, once it is confirmed.
pub(super) fn cut(app: &mut App) -> Vec<Effect> {
    let Some((upstream, address, over)) = drain(app) else { return Vec::new() };
    let in_flight = app.live.endpoint(&upstream, &address).map_or(0, |endpoint| endpoint.in_flight);
    let request = redo(app, over, CUT_S);
    let ticket = app.next_ticket();
    let confirm = Confirm {
        title: format!("cut what is left on {address}?"),
        lines: vec![
            format!("{} in flight and every tunnel to it end now.", text::plural(in_flight.into(), "request")),
            "Their clients see a broken reply or a closed connection.".to_owned(),
        ],
        yes: "cut them",
        action: Action::Send(Box::new(Ask::Override { ticket, upstream, address, request })),
    };
    popup::push(app, Popup::Confirm(confirm))
}

/// More time for a drain.
pub(super) fn longer(app: &mut App) -> Vec<Effect> {
    let Some((upstream, address, over)) = drain(app) else { return Vec::new() };
    let left_ms = over.deadline_ms.map_or(0, |deadline| (deadline - app.now_ms).max(0));
    let request = redo(app, over, u64::try_from(left_ms / 1_000 + LONGER_S).unwrap_or(0));
    let ticket = app.next_ticket();
    vec![Effect::Ask(Ask::Override { ticket, upstream, address, request })]
}

/// The connection under the cursor.
pub(super) fn selected_connection(app: &App) -> Option<&ConnectionInfo> {
    let id: u64 = app.selected()?.parse().ok()?;
    app.live.connections.as_ref()?.as_ref().ok()?.iter().find(|connection| connection.id == id)
}

/// Closes one connection, once it is confirmed.
pub(super) fn kill(app: &mut App) -> Vec<Effect> {
    let Some(connection) = selected_connection(app) else { return Vec::new() };
    let id = connection.id;
    let age = text::span(app.now_ms - connection.since_ms);
    let to = match (&connection.upstream, &connection.endpoint) {
        (Some(upstream), Some(endpoint)) => format!(" to {upstream} {endpoint}"),
        (Some(upstream), None) => format!(" to {upstream}"),
        _ => String::new(),
    };
    let confirm = Confirm {
        title: format!("close the connection of {}?", connection.client),
        lines: vec![
            format!("{} on {}{to}, open for {age}.", connection.protocol, connection.listener),
            "What is in flight on it breaks; the client may connect again.".to_owned(),
        ],
        yes: "close it",
        action: Action::Send(Box::new(Ask::Kill { id })),
    };
    popup::push(app, Popup::Confirm(confirm))
}
