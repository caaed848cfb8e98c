// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys, as data. Footer, help and dispatch read the same tables, so they cannot disagree.
//!
//! A key means the same on every screen where it means anything: enter goes deeper, esc comes back, `/` narrows, `:`
//! does anything, `?` explains. Keys that write are marked, and are neither shown nor obeyed when nothing can be
//! written.

mod tables;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::{App, Popup, PreviewStage, Screen, Tab};
use crate::form::{Form, Level, Stage, Subject};

pub use tables::EVERYWHERE;
use tables::*;

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
    ResetUsage,
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
    Leave,
    NextSection,
    PreviousSection,
    Timeline,
    Connections,
    Cut,
    Longer,
    Kill,
    Canary,
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
        Popup::Canary { .. } => POPUP_CANARY,
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
        Screen::Endpoint(_) => ENDPOINT,
        Screen::Connections(_) => CONNECTIONS,
        Screen::Timeline { .. } => TIMELINE,
        Screen::Listener { .. } => LISTENER,
        Screen::Form(form) => of_form(form),
    }
}

fn of_form(form: &Form) -> &'static [Binding] {
    match (&form.stage, form.level) {
        (Stage::Review(_), _) => FORM_REVIEW,
        (Stage::Checking | Stage::Applying(_), _) => FORM_WAIT,
        (Stage::Editing, _) if matches!(form.subject, Subject::Key { .. }) => FORM_KEY,
        (Stage::Editing, _) if !form.sectioned() => FORM_EDIT,
        (Stage::Editing, Level::Sections) => FORM_SECTIONS,
        (Stage::Editing, Level::Page) if form.rows().is_some() => FORM_ROWS,
        (Stage::Editing, Level::Page) => FORM_SECTION,
        (Stage::Editing, Level::Row) => FORM_ROW,
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
            ENDPOINT,
            CONNECTIONS,
            TIMELINE,
            LISTENER,
        ];
        let alone = [FORM_SECTIONS, FORM_SECTION, FORM_ROWS, FORM_ROW, FORM_EDIT, FORM_KEY, FORM_REVIEW, POPUP_CANARY];
        for place in places {
            let all: Vec<Press> = place.iter().chain(EVERYWHERE).flat_map(|b| b.keys.iter().copied()).collect();
            for (i, press) in all.iter().enumerate() {
                assert!(!all[..i].contains(press), "{} is bound twice", press.name());
            }
        }
        for place in alone {
            let all: Vec<Press> = place.iter().flat_map(|b| b.keys.iter().copied()).collect();
            for (i, press) in all.iter().enumerate() {
                assert!(!all[..i].contains(press), "{} is bound twice in a form", press.name());
            }
        }
    }
}
