// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of whatever lies on top. A popup takes all keys; what it does not know does nothing.

use crossterm::event::KeyEvent;
use weirgate_store::wire::{CanaryVerb, ChangeRequest};

use super::form::edit;
use super::lists::roll;
use super::{palette, screens};
use crate::app::{Action, App, NoticeTone, POPUPS_MAX, Popup, Preview, PreviewStage};
use crate::event::{Ask, Effect};
use crate::keymap::Verb;
use crate::traffic::Query;

/// Rows a page scrolls a text by.
const PAGE: isize = 10;

pub(super) fn push(app: &mut App, popup: Popup) -> Vec<Effect> {
    if app.popups.len() < POPUPS_MAX {
        app.popups.push(popup);
    }
    Vec::new()
}

/// Opens a change that has no form: its diff first.
pub(super) fn preview(app: &mut App, title: String, change: ChangeRequest) -> Vec<Effect> {
    let ticket = app.next_ticket();
    let ask = Ask::Check { ticket, change: change.clone() };
    let preview = Preview { title, change, ticket, stage: PreviewStage::Checking, scroll: 0 };
    push(app, Popup::Preview(Box::new(preview)));
    vec![Effect::Ask(ask)]
}

pub(super) fn press(app: &mut App, key: KeyEvent, verb: Option<Verb>) -> Vec<Effect> {
    if verb == Some(Verb::Back) {
        return close(app);
    }
    match app.popups.last_mut() {
        Some(Popup::Help { scroll } | Popup::Explain { scroll, .. }) => {
            scroll_by(scroll, verb);
            Vec::new()
        }
        Some(Popup::Palette { .. }) => palette::press(app, key, verb),
        Some(Popup::Filter { .. }) => filter(app, key, verb),
        Some(Popup::Confirm(_)) if verb == Some(Verb::Yes) => confirmed(app),
        Some(Popup::Canary { .. }) => canary(app, verb),
        Some(Popup::Preview(preview)) => match verb {
            Some(Verb::Apply) => apply(app),
            _ => {
                scroll_by(&mut preview.scroll, verb);
                Vec::new()
            }
        },
        Some(Popup::Secret { issued, copied }) if verb == Some(Verb::Copy) => {
            *copied = true;
            vec![Effect::Copy(issued.secret.clone())]
        }
        Some(Popup::Confirm(_) | Popup::Secret { .. }) | None => Vec::new(),
    }
}

/// One verb to the canary of the route; the popup stays for keys that mean nothing.
fn canary(app: &mut App, verb: Option<Verb>) -> Vec<Effect> {
    let verb = match verb {
        Some(Verb::Canary) => CanaryVerb::Start,
        Some(Verb::Pause) => CanaryVerb::Stop,
        Some(Verb::Ready) => CanaryVerb::Resume,
        Some(Verb::Rollback) => CanaryVerb::Back,
        _ => return Vec::new(),
    };
    let Some(Popup::Canary { route }) = app.popups.pop() else { return Vec::new() };
    vec![Effect::Ask(Ask::Canary { route, verb })]
}

fn scroll_by(scroll: &mut u16, verb: Option<Verb>) {
    match verb {
        Some(Verb::Up) => roll(scroll, -1),
        Some(Verb::Down) => roll(scroll, 1),
        Some(Verb::PageUp) => roll(scroll, -PAGE),
        Some(Verb::PageDown) => roll(scroll, PAGE),
        _ => {}
    }
}

/// Closes the popup on top; a filter goes back to what it was.
fn close(app: &mut App) -> Vec<Effect> {
    if let Some(Popup::Filter { before, .. }) = app.popups.pop() {
        narrow(app, &before);
    }
    Vec::new()
}

fn filter(app: &mut App, key: KeyEvent, verb: Option<Verb>) -> Vec<Effect> {
    let Some(Popup::Filter { input, error, .. }) = app.popups.last_mut() else { return Vec::new() };
    match verb {
        Some(Verb::Yes) if error.is_none() => {
            app.popups.pop();
            return Vec::new();
        }
        Some(Verb::Clear) => input.reset(),
        _ => edit(input, key),
    }
    let text = input.value().to_owned();
    let said = narrow(app, &text);
    if let Some(Popup::Filter { error, .. }) = app.popups.last_mut() {
        *error = said;
    }
    Vec::new()
}

/// Applies a filter as it is typed; what is wrong with it comes back, and the last good one stays.
fn narrow(app: &mut App, text: &str) -> Option<String> {
    if let Some(list) = app.list_id() {
        let state = app.lists.of_mut(list);
        text.clone_into(&mut state.filter);
        state.moved_ms = None;
        return None;
    }
    match Query::parse(text) {
        Ok(query) => app.traffic.query = query,
        Err(error) => return Some(error),
    }
    None
}

fn confirmed(app: &mut App) -> Vec<Effect> {
    let Some(Popup::Confirm(confirm)) = app.popups.pop() else { return Vec::new() };
    match confirm.action {
        Action::Send(ask) => vec![Effect::Ask(*ask)],
        Action::Quit => vec![Effect::Quit],
        Action::Discard(Some(tab)) => screens::go(app, tab),
        Action::Discard(None) => screens::back(app),
    }
}

fn apply(app: &mut App) -> Vec<Effect> {
    let ticket = app.next_ticket();
    let Some(Popup::Preview(preview)) = app.popups.last_mut() else { return Vec::new() };
    let PreviewStage::Checked(checked) = &preview.stage else { return Vec::new() };
    if !checked.problems.is_empty() || checked.diff.is_empty() {
        let why = if checked.diff.is_empty() { "nothing would change" } else { "it cannot be applied like this" };
        app.say(NoticeTone::Failed, why);
        return Vec::new();
    }
    preview.ticket = ticket;
    let change = preview.change.clone();
    preview.stage = PreviewStage::Applying(checked.clone());
    vec![Effect::Ask(Ask::Apply { ticket, change })]
}
