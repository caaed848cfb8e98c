// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of an open form: typing, moving between fields, and the way check → diff → apply. The first press of the
//! apply key never writes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::InputRequest;
use weirgate_store::wire::{ChangeRequest, Checked};

use super::lists::roll;
use super::popup;
use super::screens::{enter, leave_form};
use crate::app::{App, Popup, Screen};
use crate::event::{Ask, Effect};
use crate::form::{self, Form, Level, Stage, Subject, Value};
use crate::keymap::Verb;

pub(super) fn open(app: &mut App, form: Form) -> Vec<Effect> {
    enter(app, Screen::Form(Box::new(form)))
}

pub(super) fn press(app: &mut App, key: KeyEvent, verb: Option<Verb>) -> Vec<Effect> {
    let Screen::Form(form) = &mut app.screen else { return Vec::new() };
    match verb {
        Some(Verb::Help) => return popup::push(app, Popup::Help { scroll: 0 }),
        Some(Verb::Apply) => return apply(app),
        _ if !form.editing() => reading(form, verb),
        Some(Verb::Leave) => return leave_form(app, None),
        Some(Verb::Back) => {
            if !form.up() {
                return leave_form(app, None);
            }
        }
        _ => return editing(app, key, verb),
    }
    Vec::new()
}

/// Keys while a diff or a wait is shown.
fn reading(form: &mut Form, verb: Option<Verb>) {
    match verb {
        Some(Verb::Back) => form.stage = Stage::Editing,
        Some(Verb::Up) => roll(&mut form.scroll, -1),
        Some(Verb::Down) => roll(&mut form.scroll, 1),
        _ => {}
    }
}

/// Keys that move in the form or go into a field.
fn editing(app: &mut App, key: KeyEvent, verb: Option<Verb>) -> Vec<Effect> {
    let Screen::Form(form) = &mut app.screen else { return Vec::new() };
    match (verb, form.level) {
        (Some(Verb::NextSection), _) => form.enter((form.section + 1) % form.sections.len().max(1)),
        (Some(Verb::PreviousSection), _) => {
            let count = form.sections.len().max(1);
            form.enter((form.section + count - 1) % count);
        }
        (Some(Verb::NextField), Level::Sections) => move_in(&mut form.section, form.sections.len(), 1),
        (Some(Verb::PreviousField), Level::Sections) => move_in(&mut form.section, form.sections.len(), -1),
        (Some(Verb::Open), Level::Sections) => form.enter(form.section),
        (Some(verb), Level::Page) if form.rows().is_some() => rows(form, &app.live, verb),
        (Some(Verb::NextField), _) => return next_field(app, key),
        (Some(Verb::PreviousField), _) => step_field(form, -1),
        (Some(Verb::Clear), _) => clear(form),
        _ => type_into(form, key),
    }
    Vec::new()
}

/// Keys on a list of rows.
fn rows(form: &mut Form, live: &crate::live::Live, verb: Verb) {
    let count = form.rows().map_or(0, |rows| rows.rows.len());
    match verb {
        Verb::NextField => move_in(&mut form.row, count, 1),
        Verb::PreviousField => move_in(&mut form.row, count, -1),
        Verb::Open if count > 0 => form.enter_row(form.row),
        Verb::Open | Verb::New => form.add_row(live),
        Verb::Delete => form.remove_row(),
        _ => {}
    }
}

fn move_in(at: &mut usize, count: usize, by: isize) {
    let last = count.saturating_sub(1);
    *at = match by {
        1 if *at >= last => 0,
        -1 if *at == 0 => last,
        by => at.saturating_add_signed(by),
    };
}

/// The next field; enter on the last one goes on: to the next section, out of the row, or to the check.
fn next_field(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Screen::Form(form) = &mut app.screen else { return Vec::new() };
    let last = form.shown().last().is_none_or(|last| form.at >= *last);
    if !(last && key.code == KeyCode::Enter) {
        step_field(form, 1);
    } else if form.level == Level::Row {
        form.up();
    } else if form.section + 1 < form.sections.len() {
        form.enter(form.section + 1);
    } else {
        return apply(app);
    }
    Vec::new()
}

/// The field after or before, among those that are shown.
fn step_field(form: &mut Form, by: isize) {
    let shown = form.shown();
    let mut place = shown.iter().position(|at| *at == form.at).unwrap_or(0);
    move_in(&mut place, shown.len(), by);
    form.at = shown.get(place).copied().unwrap_or(0);
}

/// Empties a text; a choice goes back to its first answer, which is the default.
fn clear(form: &mut Form) {
    let at = form.at;
    let Some(field) = form.fields_mut().get_mut(at) else { return };
    match &mut field.value {
        Value::Text(input) => input.reset(),
        Value::Choice { at, .. } => *at = 0,
    }
    field.error = None;
}

fn type_into(form: &mut Form, key: KeyEvent) {
    let at = form.at;
    let Some(field) = form.fields_mut().get_mut(at) else { return };
    let before = field.current().to_owned();
    match &mut field.value {
        Value::Text(input) => edit(input, key),
        Value::Choice { options, at } => choose(options, at, key),
    }
    if before != field.current() {
        field.error = None;
    }
}

/// Left and right choose; a letter jumps to the next option that begins with it.
fn choose(options: &[String], at: &mut usize, key: KeyEvent) {
    let count = options.len().max(1);
    match key.code {
        KeyCode::Left => *at = (*at + count - 1) % count,
        KeyCode::Right => *at = (*at + 1) % count,
        KeyCode::Char(' ') => *at = (*at + 1) % count,
        KeyCode::Char(c) => {
            let next = (1..=count).map(|by| (*at + by) % count);
            let mut begins = next.filter(|i| options.get(*i).is_some_and(|option| option.starts_with(c)));
            *at = begins.next().unwrap_or(*at);
        }
        _ => {}
    }
}

/// Longest text of one field, in characters.
const FIELD_MAX: usize = 4_096;

/// One key into a line of text. Control characters cannot be typed.
pub(super) fn edit(input: &mut Input, key: KeyEvent) {
    let control = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let request = match key.code {
        KeyCode::Char(c) if !control && !c.is_control() && input.value().chars().count() < FIELD_MAX => {
            InputRequest::InsertChar(c)
        }
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left if control => InputRequest::GoToPrevWord,
        KeyCode::Right if control => InputRequest::GoToNextWord,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return,
    };
    input.handle(request);
}

/// First press: check. After the diff has been seen: apply.
fn apply(app: &mut App) -> Vec<Effect> {
    let ticket = app.next_ticket();
    let Screen::Form(form) = &mut app.screen else { return Vec::new() };
    form.ticket = ticket;
    form.scroll = 0;
    match (form.stage.clone(), form.subject.clone()) {
        (Stage::Editing, Subject::Object { .. }) => check(form),
        (Stage::Editing, Subject::Endpoint { .. }) => {
            if form::override_request(form).is_some() {
                form.stage = Stage::Review(None);
            }
            Vec::new()
        }
        // Nothing is running yet that a new key could change, so there is nothing to review.
        (Stage::Editing, Subject::Key { consumer }) => issue(form, consumer),
        (Stage::Review(checked), Subject::Object { .. }) => send(form, checked),
        (Stage::Review(_), Subject::Endpoint { upstream, address }) => override_endpoint(form, upstream, address),
        (Stage::Review(_) | Stage::Checking | Stage::Applying(_), _) => Vec::new(),
    }
}

fn check(form: &mut Form) -> Vec<Effect> {
    let Some(change) = form.change() else { return Vec::new() };
    form.stage = Stage::Checking;
    vec![Effect::Ask(Ask::Check { ticket: form.ticket, change })]
}

fn send(form: &mut Form, checked: Option<Box<Checked>>) -> Vec<Effect> {
    let Some(change) = form.change() else { return Vec::new() };
    form.stage = Stage::Applying(checked);
    vec![Effect::Ask(Ask::Apply { ticket: form.ticket, change: commented(form, change) })]
}

/// A revision says in its history what it was about.
fn commented(form: &Form, change: ChangeRequest) -> ChangeRequest {
    let comment = match &form.subject {
        Subject::Object { name: None, .. } => format!("{} {}", form.title, form.object_name()),
        _ => form.title.clone(),
    };
    ChangeRequest { comment: Some(comment), ..change }
}

fn issue(form: &mut Form, consumer: String) -> Vec<Effect> {
    let Some(expires) = form::key_expires(form) else { return Vec::new() };
    form.stage = Stage::Applying(None);
    let comment = form.field("comment").map(|field| field.current().trim().to_owned()).unwrap_or_default();
    vec![Effect::Ask(Ask::IssueKey { ticket: form.ticket, consumer, comment, expires })]
}

fn override_endpoint(form: &mut Form, upstream: String, address: String) -> Vec<Effect> {
    let Some(request) = form::override_request(form) else { return Vec::new() };
    form.stage = Stage::Applying(None);
    vec![Effect::Ask(Ask::Override { ticket: form.ticket, upstream, address, request })]
}
