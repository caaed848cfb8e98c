// SPDX-License-Identifier: MIT OR Apache-2.0
//! `update(&mut App, Event) -> Vec<Effect>`: the only code that changes the state. It neither waits nor talks; what it
//! wants from the world it returns as data.
//!
//! `screens` moves between screens, the files named like a screen hold its verbs, `form` and `popup` take the keys
//! while they are open, `answers` and `stream` take what the daemon says.

mod answers;

mod endpoint;

mod form;

mod lists;

mod palette;

mod popup;

mod screens;

mod stream;

mod verbs;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::app::{App, Link, NoticeTone, Popup, Screen};
use crate::event::{Ask, Effect, Event};
use crate::keymap::{self, Verb};
use weirgate_store::model::Kind;

pub use palette::{Command, Entry, entries};

/// Seconds between two questions for the status while nothing else asks for it.
const STATUS_EVERY_MS: i64 = 2_000;

/// Characters of a paste that are taken.
const PASTE_MAX: usize = 4_096;

/// Changes the state by one event; what the world should do comes back.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let moved = only_moves(app, &event);
    let effects = match event {
        Event::Key(key) => press(app, key),
        Event::Paste(text) => {
            paste(app, &text);
            Vec::new()
        }
        Event::Resize { width, height } => {
            app.size = (width, height);
            Vec::new()
        }
        Event::Tick { now_ms } => tick(app, now_ms),
        Event::Connected => connected(app),
        Event::Lost { reason } => lost(app, reason),
        Event::Answered { ask, outcome } => answers::take(app, ask, outcome),
        Event::Stream(event) => stream::take(app, *event),
    };
    if !moved {
        lists::refresh(app);
    }
    effects
}

/// A step of the cursor changes no row, and a long table is dear to make anew for each.
fn only_moves(app: &App, event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let verb = keymap::find(app, *key).map(|binding| binding.verb);
    let moves = matches!(verb, Some(Verb::Up | Verb::Down | Verb::PageUp | Verb::PageDown | Verb::First | Verb::Last));
    moves && app.popups.is_empty()
}

fn press(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let found = keymap::find(app, key);
    if let Some(binding) = found
        && binding.writes
        && let Some(refusal) = app.write_refusal()
    {
        app.say(NoticeTone::Failed, refusal);
        return Vec::new();
    }
    let verb = found.map(|binding| binding.verb);
    if !app.popups.is_empty() {
        return popup::press(app, key, verb);
    }
    if matches!(app.screen, Screen::Form(_)) {
        return form::press(app, key, verb);
    }
    verb.map(|verb| verbs::act(app, verb)).unwrap_or_default()
}

/// Letters where text is typed; a line end is a blank.
fn paste(app: &mut App, text: &str) {
    let typing = match app.popups.last() {
        Some(popup) => matches!(popup, Popup::Palette { .. } | Popup::Filter { .. }),
        None => matches!(&app.screen, Screen::Form(form) if form.takes_text()),
    };
    if !typing {
        return;
    }
    for c in text.trim_end().chars().take(PASTE_MAX) {
        let c = if c.is_control() { ' ' } else { c };
        // Typing asks for nothing.
        drop(press(app, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
}

fn tick(app: &mut App, now_ms: i64) -> Vec<Effect> {
    app.now_ms = now_ms;
    if app.notice.as_ref().is_some_and(|notice| notice.until_ms <= now_ms) {
        app.notice = None;
    }
    if app.link != Link::Up {
        return Vec::new();
    }
    let unread = app.unread_revision > app.read_revision;
    let due = unread || now_ms - app.status_ms >= STATUS_EVERY_MS;
    let mut effects = if due { ask_status(app) } else { Vec::new() };
    if !effects.is_empty() && matches!(app.screen, Screen::Connections(_) | Screen::Endpoint(_)) {
        effects.extend(screens::questions(&app.screen));
    }
    if unread {
        app.read_revision = app.unread_revision;
        effects.extend(reload());
    }
    effects
}

/// One question at a time: a slow daemon is not asked more often.
fn ask_status(app: &mut App) -> Vec<Effect> {
    if std::mem::replace(&mut app.status_asked, true) {
        return Vec::new();
    }
    app.status_ms = app.now_ms;
    vec![Effect::Ask(Ask::Status)]
}

fn connected(app: &mut App) -> Vec<Effect> {
    if matches!(app.link, Link::Lost { .. }) {
        app.say(NoticeTone::Done, "the daemon answers again");
    }
    app.link = Link::Up;
    app.status_asked = false;
    let mut effects = ask_status(app);
    effects.extend(reload());
    effects.extend(screens::questions(&app.screen));
    effects
}

/// Everything that a revision can change.
fn reload() -> Vec<Effect> {
    let lists = Kind::ALL.into_iter().map(Ask::List);
    lists.chain([Ask::Revisions]).map(Effect::Ask).collect()
}

fn lost(app: &mut App, reason: String) -> Vec<Effect> {
    app.status_asked = false;
    app.link = match std::mem::replace(&mut app.link, Link::Connecting) {
        Link::Lost { since_ms, .. } => Link::Lost { since_ms, reason },
        Link::Connecting | Link::Up => Link::Lost { since_ms: app.now_ms, reason },
    };
    Vec::new()
}
