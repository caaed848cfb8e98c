// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys, as data. Footer, help and dispatch read the same tables, so they cannot disagree.
//!
//! A key means the same on every screen where it means anything: enter goes deeper, esc comes back, `/` narrows, `:`
//! does anything, `?` explains. Keys that write are marked, and are neither shown nor obeyed when nothing can be
//! written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::{App, Popup, PreviewStage, Screen, Tab};
use crate::form::Stage;

/// Everything a key can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Quit,
    Back,
    Help,
    Palette,
    Filter,
    Go(Tab),
    NextTab,
    PreviousTab,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Sort,
    SortReverse,
    Edit,
    New,
    Delete,
    Drain,
    Maintenance,
    Ready,
    Weight,
    Issue,
    Revoke,
    Rollback,
    Pause,
    Traffic,
    Upstream,
    Explain,
    Copy,
    Yes,
    Apply,
    NextField,
    PreviousField,
    Clear,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    pub code: KeyCode,
    pub control: bool,
}

/// A key, what it does, and what is said about it.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub keys: &'static [Press],
    pub verb: Verb,
    /// In the footer; empty where it is only in the help.
    pub label: &'static str,
    pub help: &'static str,
    pub writes: bool,
}

const fn ch(c: char) -> Press {
    Press { code: KeyCode::Char(c), control: false }
}

const fn ctrl(c: char) -> Press {
    Press { code: KeyCode::Char(c), control: true }
}

const fn on(code: KeyCode) -> Press {
    Press { code, control: false }
}

const fn read(keys: &'static [Press], verb: Verb, label: &'static str, help: &'static str) -> Binding {
    Binding { keys, verb, label, help, writes: false }
}

const fn write(keys: &'static [Press], verb: Verb, label: &'static str, help: &'static str) -> Binding {
    Binding { keys, verb, label, help, writes: true }
}

const OPEN: Binding = read(&[on(KeyCode::Enter)], Verb::Open, "open", "open what is under the cursor");
const SORT: Binding = read(&[ch('s')], Verb::Sort, "sort", "sort by the next column; after the last, as it came");
const REVERSE: Binding = read(&[ch('S')], Verb::SortReverse, "", "reverse the order");
const COPY: Binding = read(&[ch('y')], Verb::Copy, "copy", "copy what is under the cursor to the clipboard");
const TRAFFIC: Binding = read(&[ch('t')], Verb::Traffic, "traffic", "its requests, live");
const FILTER: Binding = read(&[ch('/')], Verb::Filter, "filter", "show only what contains a text");

/// On every screen without a text cursor.
pub const EVERYWHERE: &[Binding] = &[
    read(&[on(KeyCode::Esc)], Verb::Back, "back", "back to where you came from; on a list, forget the filter"),
    read(&[ch(':')], Verb::Palette, "command", "do anything by name: go to a screen, open a route, drain an endpoint"),
    read(&[ch('?'), on(KeyCode::F(1))], Verb::Help, "help", "explain this screen and its keys"),
    read(&[ch('q'), ctrl('c')], Verb::Quit, "quit", "leave the console; the daemon keeps running"),
    read(&[ch('1')], Verb::Go(Tab::Overview), "", "overview: is it healthy, and if not, who"),
    read(&[ch('2')], Verb::Go(Tab::Traffic), "", "traffic: requests as they finish"),
    read(&[ch('3')], Verb::Go(Tab::Routes), "", "routes: conditions, policies, upstream"),
    read(&[ch('4')], Verb::Go(Tab::Upstreams), "", "upstreams and their endpoints"),
    read(&[ch('5')], Verb::Go(Tab::Consumers), "", "consumers and their keys"),
    read(&[ch('6')], Verb::Go(Tab::Certificates), "", "certificates"),
    read(&[ch('7')], Verb::Go(Tab::Changes), "", "changes: history, differences, rollback"),
    read(&[ch('8')], Verb::Go(Tab::System), "", "system: listeners, workers, store"),
    read(&[on(KeyCode::Tab)], Verb::NextTab, "", "next screen"),
    read(&[on(KeyCode::BackTab)], Verb::PreviousTab, "", "previous screen"),
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "", "down"),
    read(&[on(KeyCode::PageUp), ctrl('b')], Verb::PageUp, "", "a page up"),
    read(&[on(KeyCode::PageDown), ctrl('f')], Verb::PageDown, "", "a page down"),
    read(&[on(KeyCode::Home), ch('g')], Verb::First, "", "to the first"),
    read(&[on(KeyCode::End), ch('G')], Verb::Last, "", "to the last"),
];

const OVERVIEW: &[Binding] = &[OPEN];

const TRAIL: &[Binding] = &[
    OPEN,
    read(&[ch(' ')], Verb::Pause, "pause", "hold the tail, and let it run again"),
    read(
        &[ch('/')],
        Verb::Filter,
        "filter",
        "terms that must all hold: status>=500 route=orders path~/pages !consumer=bob",
    ),
    COPY,
];

const VERDICT: &[Binding] = &[
    read(&[ch('y')], Verb::Copy, "copy as curl", "copy a curl command that sends the same request line and host"),
    read(&[ch('e')], Verb::Explain, "explain again", "what would happen to this request now"),
    read(&[ch('u')], Verb::Upstream, "upstream", "go to the endpoint that answered"),
];

const ROUTES: &[Binding] = &[
    OPEN,
    write(&[ch('e')], Verb::Edit, "edit", "edit this route; you see the difference before it is applied"),
    write(&[ch('n')], Verb::New, "new", "make a new route"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this route, after showing what that changes"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const ROUTE: &[Binding] = &[
    write(&[ch('e'), on(KeyCode::Enter)], Verb::Edit, "edit", "edit this route"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this route, after showing what that changes"),
    TRAFFIC,
    read(&[ch('u')], Verb::Upstream, "upstream", "go to its upstream"),
    COPY,
];

const UPSTREAMS: &[Binding] = &[
    OPEN,
    write(&[ch('e')], Verb::Edit, "edit", "edit the endpoints, the balance and the health check of this upstream"),
    write(&[ch('n')], Verb::New, "new", "make a new upstream"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this upstream, after showing what that changes"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const UPSTREAM: &[Binding] = &[
    write(&[ch('d')], Verb::Drain, "drain", "no new requests to this endpoint; those in flight finish"),
    write(&[ch('m')], Verb::Maintenance, "maint", "no requests and no health checks"),
    write(&[ch('r')], Verb::Ready, "ready", "back to what is configured"),
    write(&[ch('w'), on(KeyCode::Enter)], Verb::Weight, "weight", "its share of the work"),
    write(&[ch('e')], Verb::Edit, "edit", "edit the endpoints, the balance and the health check of this upstream"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const CONSUMERS: &[Binding] = &[
    OPEN,
    write(&[ch('i')], Verb::Issue, "issue key", "make a new key for this consumer"),
    write(&[ch('n')], Verb::New, "new", "make a new consumer"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this consumer, after showing what that changes"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const CONSUMER: &[Binding] = &[
    write(&[ch('i')], Verb::Issue, "issue key", "make a new key; its secret is shown once"),
    write(&[ch('x')], Verb::Revoke, "revoke", "revoke the key under the cursor, for ever"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const CERTIFICATES: &[Binding] = &[OPEN, SORT, REVERSE, FILTER, COPY];

const CERTIFICATE: &[Binding] = &[COPY];

const CHANGES: &[Binding] = &[
    OPEN,
    write(&[ch('b')], Verb::Rollback, "roll back", "go back to this revision, after showing what that changes"),
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

const REVISION: &[Binding] = &[
    write(&[ch('b')], Verb::Rollback, "roll back", "go back to this revision, after showing what that changes"),
    COPY,
];

const SYSTEM: &[Binding] = &[SORT, REVERSE, FILTER, COPY];

const FORM_EDIT: &[Binding] = &[
    write(&[ctrl('s')], Verb::Apply, "check", "check the form and show what would change"),
    read(&[on(KeyCode::Down), on(KeyCode::Tab), on(KeyCode::Enter)], Verb::NextField, "next", "next field"),
    read(&[on(KeyCode::Up), on(KeyCode::BackTab)], Verb::PreviousField, "", "previous field"),
    read(&[ctrl('u')], Verb::Clear, "clear", "empty the field"),
    read(&[on(KeyCode::F(1))], Verb::Help, "help", "explain these keys"),
    read(&[on(KeyCode::Esc)], Verb::Back, "leave", "leave the form; asks first if something was changed"),
];

const FORM_REVIEW: &[Binding] = &[
    write(&[ch('a'), ctrl('s')], Verb::Apply, "apply", "apply what is shown"),
    read(&[ch('e'), on(KeyCode::Esc)], Verb::Back, "edit on", "back to the fields"),
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[ch('?'), on(KeyCode::F(1))], Verb::Help, "help", "explain these keys"),
];

const FORM_WAIT: &[Binding] = &[read(&[on(KeyCode::Esc)], Verb::Back, "stop waiting", "back to the fields")];

const POPUP_TEXT: &[Binding] = &[
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::PageUp)], Verb::PageUp, "", "a page up"),
    read(&[on(KeyCode::PageDown)], Verb::PageDown, "", "a page down"),
    read(&[on(KeyCode::Esc), on(KeyCode::Enter), ch('q'), ch('?')], Verb::Back, "close", "close"),
];

const POPUP_PALETTE: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Yes, "do it", "do what is under the cursor"),
    read(&[on(KeyCode::Up), on(KeyCode::BackTab)], Verb::Up, "", "up"),
    read(&[on(KeyCode::Down), on(KeyCode::Tab)], Verb::Down, "choose", "down"),
    read(&[on(KeyCode::Esc)], Verb::Back, "close", "close"),
];

const POPUP_FILTER: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Yes, "keep", "keep the filter"),
    read(&[ctrl('u')], Verb::Clear, "clear", "empty it"),
    read(&[on(KeyCode::Esc)], Verb::Back, "as before", "back to the filter before"),
];

const POPUP_CONFIRM: &[Binding] =
    &[read(&[ch('y')], Verb::Yes, "yes", "do it"), read(&[on(KeyCode::Esc), ch('n')], Verb::Back, "no", "do nothing")];

const POPUP_PREVIEW: &[Binding] = &[
    write(&[ch('a'), ctrl('s')], Verb::Apply, "apply", "apply what is shown"),
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::Esc)], Verb::Back, "cancel", "do nothing"),
];

const POPUP_REFUSED: &[Binding] = &[
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::Esc), on(KeyCode::Enter)], Verb::Back, "close", "do nothing"),
];

const POPUP_SECRET: &[Binding] = &[
    read(&[ch('y')], Verb::Copy, "copy", "copy the secret to the clipboard"),
    read(&[on(KeyCode::Esc)], Verb::Back, "I have kept it", "close; the secret cannot be shown again"),
];

/// The keys of what takes the keys now: the popup on top, else the screen.
pub fn local(app: &App) -> &'static [Binding] {
    match app.popups.last() {
        Some(popup) => of_popup(popup),
        None => of_screen(&app.screen),
    }
}

fn of_popup(popup: &Popup) -> &'static [Binding] {
    match popup {
        Popup::Help { .. } | Popup::Explain { .. } => POPUP_TEXT,
        Popup::Palette { .. } => POPUP_PALETTE,
        Popup::Filter { .. } => POPUP_FILTER,
        Popup::Confirm(_) => POPUP_CONFIRM,
        Popup::Preview(preview) => match preview.stage {
            PreviewStage::Refused(_) => POPUP_REFUSED,
            _ => POPUP_PREVIEW,
        },
        Popup::Secret { .. } => POPUP_SECRET,
    }
}

/// The keys of a screen without those that hold everywhere.
pub fn of_screen(screen: &Screen) -> &'static [Binding] {
    match screen {
        Screen::Tab(Tab::Overview) => OVERVIEW,
        Screen::Tab(Tab::Traffic) => TRAIL,
        Screen::Tab(Tab::Routes) => ROUTES,
        Screen::Tab(Tab::Upstreams) => UPSTREAMS,
        Screen::Tab(Tab::Consumers) => CONSUMERS,
        Screen::Tab(Tab::Certificates) => CERTIFICATES,
        Screen::Tab(Tab::Changes) => CHANGES,
        Screen::Tab(Tab::System) => SYSTEM,
        Screen::Verdict { .. } => VERDICT,
        Screen::Route { .. } => ROUTE,
        Screen::Upstream { .. } => UPSTREAM,
        Screen::Consumer { .. } => CONSUMER,
        Screen::Certificate { .. } => CERTIFICATE,
        Screen::Revision(_) => REVISION,
        Screen::Form(form) => match form.stage {
            Stage::Editing => FORM_EDIT,
            Stage::Review(_) => FORM_REVIEW,
            Stage::Checking | Stage::Applying(_) => FORM_WAIT,
        },
    }
}

/// Whether the keys of [`EVERYWHERE`] hold now: not under a popup and not where letters are typed.
pub fn everywhere(app: &App) -> bool {
    app.popups.is_empty() && !matches!(app.screen, Screen::Form(_))
}

/// What a key asks for now.
pub fn find(app: &App, key: KeyEvent) -> Option<&'static Binding> {
    let shared: &[Binding] = if everywhere(app) { EVERYWHERE } else { &[] };
    local(app).iter().chain(shared).find(|binding| binding.keys.iter().any(|press| press.is(key)))
}

impl Press {
    fn is(self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        self.code == key.code && self.control == control && !key.modifiers.contains(KeyModifiers::ALT)
    }

    /// As it is written in footer and help.
    pub fn name(self) -> String {
        let key = match self.code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => "enter".to_owned(),
            KeyCode::Esc => "esc".to_owned(),
            KeyCode::Tab => "tab".to_owned(),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            KeyCode::Home => "home".to_owned(),
            KeyCode::End => "end".to_owned(),
            KeyCode::F(n) => format!("F{n}"),
            other => format!("{other:?}"),
        };
        if self.control { format!("ctrl-{key}") } else { key }
    }
}

impl Binding {
    /// The first key, for the footer.
    pub fn key(&self) -> String {
        self.keys.first().map(|press| press.name()).unwrap_or_default()
    }

    /// All keys, for the help.
    pub fn all_keys(&self) -> String {
        self.keys.iter().map(|press| press.name()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        let places = [
            OVERVIEW,
            TRAIL,
            VERDICT,
            ROUTES,
            ROUTE,
            UPSTREAMS,
            UPSTREAM,
            CONSUMERS,
            CONSUMER,
            CERTIFICATES,
            CERTIFICATE,
            CHANGES,
            REVISION,
            SYSTEM,
        ];
        for place in places {
            let all: Vec<Press> = place.iter().chain(EVERYWHERE).flat_map(|b| b.keys.iter().copied()).collect();
            for (i, press) in all.iter().enumerate() {
                assert!(!all[..i].contains(press), "{} is bound twice", press.name());
            }
        }
    }
}
