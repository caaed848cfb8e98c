// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables of keys: one for each place, in the order the footer shows them. Nothing is decided here.

use crossterm::event::KeyCode;

use super::{Binding, Press, Verb};
use crate::app::Tab;

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

pub(super) const OVERVIEW: &[Binding] = &[OPEN];

pub(super) const TRAIL: &[Binding] = &[
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

pub(super) const VERDICT: &[Binding] = &[
    read(&[ch('y')], Verb::Copy, "copy as curl", "copy a curl command that sends the same request line and host"),
    read(&[ch('e')], Verb::Explain, "explain again", "what would happen to this request now"),
    read(&[ch('u')], Verb::Upstream, "upstream", "go to the endpoint that answered"),
];

pub(super) const ROUTES: &[Binding] = &[
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

pub(super) const ROUTE: &[Binding] = &[
    write(&[ch('e'), on(KeyCode::Enter)], Verb::Edit, "edit", "edit this route"),
    write(&[ch('c')], Verb::Canary, "canary", "start, stop, resume or take back its canary"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this route, after showing what that changes"),
    TRAFFIC,
    read(&[ch('u')], Verb::Upstream, "upstream", "go to its upstream"),
    COPY,
];

pub(super) const UPSTREAMS: &[Binding] = &[
    OPEN,
    write(
        &[ch('e')],
        Verb::Edit,
        "edit",
        "edit endpoints, balance, health, failover, limits: everything about this upstream",
    ),
    write(&[ch('n')], Verb::New, "new", "make a new upstream"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this upstream, after showing what that changes"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const UPSTREAM: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Open, "watch", "this endpoint: how a drain goes, and the tunnels that end at it"),
    write(&[ch('d')], Verb::Drain, "drain", "no new requests to this endpoint; those in flight finish"),
    write(&[ch('m')], Verb::Maintenance, "maint", "no requests and no health checks"),
    write(&[ch('r')], Verb::Ready, "ready", "back to what is configured"),
    write(&[ch('w')], Verb::Weight, "weight", "its share of the work"),
    write(
        &[ch('e')],
        Verb::Edit,
        "edit",
        "edit endpoints, balance, health, failover, limits: everything about this upstream",
    ),
    read(&[ch('h')], Verb::Timeline, "history", "when its endpoints went down and up, and why"),
    read(&[ch('c')], Verb::Connections, "connections", "tunnels that end at this upstream (tcp, tls, udp, websocket)"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

/// One endpoint: the drain under way, and who is still connected to it.
pub(super) const ENDPOINT: &[Binding] = &[
    write(&[ch('x')], Verb::Cut, "cut rest", "cut what is still in flight now; asks first"),
    write(&[ch('+')], Verb::Longer, "longer", "five more minutes until what is left is cut"),
    write(&[ch('r')], Verb::Ready, "ready", "cancel: back to what is configured"),
    write(&[ch('d')], Verb::Drain, "drain", "no new requests to this endpoint; those in flight finish"),
    write(&[ch('m')], Verb::Maintenance, "maint", "no requests and no health checks"),
    write(&[ch('w')], Verb::Weight, "", "its share of the work"),
    write(&[ch('K')], Verb::Kill, "close one", "close the connection under the cursor; asks first"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const CONNECTIONS: &[Binding] = &[
    write(&[ch('K')], Verb::Kill, "close it", "close the connection under the cursor; asks first"),
    FILTER,
    SORT,
    REVERSE,
    read(&[ch('u')], Verb::Upstream, "upstream", "go to the endpoint it ends at"),
    COPY,
];

pub(super) const TIMELINE: &[Binding] = &[FILTER, SORT, REVERSE, COPY];

pub(super) const CONSUMERS: &[Binding] = &[
    OPEN,
    write(&[ch('e')], Verb::Edit, "edit", "edit groups, plan and quota of this consumer"),
    write(&[ch('i')], Verb::Issue, "issue key", "make a new key for this consumer"),
    write(&[ch('n')], Verb::New, "new", "make a new consumer"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this consumer, after showing what that changes"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const CONSUMER: &[Binding] = &[
    write(&[ch('i')], Verb::Issue, "issue key", "make a new key; its secret is shown once"),
    write(&[ch('x')], Verb::Revoke, "revoke", "revoke the key under the cursor, for ever"),
    write(&[ch('z')], Verb::ResetUsage, "reset usage", "forget what this consumer has used of its plan and quotas"),
    write(&[ch('e')], Verb::Edit, "edit", "edit groups, plan and quota of this consumer"),
    TRAFFIC,
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const CERTIFICATES: &[Binding] = &[OPEN, SORT, REVERSE, FILTER, COPY];

pub(super) const CERTIFICATE: &[Binding] = &[COPY];

pub(super) const CHANGES: &[Binding] = &[
    OPEN,
    write(&[ch('b')], Verb::Rollback, "roll back", "go back to this revision, after showing what that changes"),
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const REVISION: &[Binding] = &[
    write(&[ch('b')], Verb::Rollback, "roll back", "go back to this revision, after showing what that changes"),
    COPY,
];

pub(super) const SYSTEM: &[Binding] = &[
    OPEN,
    read(&[ch('c')], Verb::Connections, "connections", "client connections and UDP sessions that are open now"),
    write(&[ch('e')], Verb::Edit, "edit", "edit this listener; you see the difference before it is applied"),
    write(&[ch('n')], Verb::New, "new listener", "make a new listener"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this listener, after showing what that changes"),
    SORT,
    REVERSE,
    FILTER,
    COPY,
];

pub(super) const LISTENER: &[Binding] = &[
    write(&[ch('e'), on(KeyCode::Enter)], Verb::Edit, "edit", "edit this listener"),
    write(&[ch('D')], Verb::Delete, "delete", "remove this listener, after showing what that changes"),
    read(&[ch('c')], Verb::Connections, "connections", "client connections that came through it"),
    COPY,
];

pub(super) const POPUP_CANARY: &[Binding] = &[
    write(&[ch('s')], Verb::Canary, "start", "from the first step"),
    write(&[ch('x')], Verb::Pause, "stop", "stay at the step reached"),
    write(&[ch('r')], Verb::Ready, "resume", "go on from there"),
    write(&[ch('b')], Verb::Rollback, "back", "no share at all for the new side, at once"),
    read(&[on(KeyCode::Esc), ctrl('c')], Verb::Back, "close", "do nothing"),
];

const CHECK: Binding = write(&[ctrl('s')], Verb::Apply, "check", "check the form and show what would change");
const ISSUE: Binding = write(&[ctrl('s')], Verb::Apply, "issue the key", "issue the key and show its secret, once");
const NEXT_FIELD: Binding =
    read(&[on(KeyCode::Down), on(KeyCode::Tab), on(KeyCode::Enter)], Verb::NextField, "next", "next field");
const PREVIOUS_FIELD: Binding =
    read(&[on(KeyCode::Up), on(KeyCode::BackTab)], Verb::PreviousField, "", "previous field");
const CLEAR: Binding = read(&[ctrl('u')], Verb::Clear, "clear", "empty the field: what holds by default then");
const FORM_HELP: Binding = read(&[on(KeyCode::F(1))], Verb::Help, "help", "explain these keys");
const LEAVE: Binding =
    read(&[on(KeyCode::Esc), ctrl('c')], Verb::Leave, "leave", "leave the form; asks first if something was changed");
const GO_LEAVE: Binding = read(&[ctrl('c')], Verb::Leave, "", "leave the form; asks first if something was changed");
const TO_LIST: Binding = read(&[on(KeyCode::Esc)], Verb::Back, "all sections", "back to the list of sections");
const TO_ROWS: Binding = read(&[on(KeyCode::Esc)], Verb::Back, "done", "back to the list of rows");
const NEXT_SECTION: Binding =
    read(&[on(KeyCode::PageDown), ctrl('f')], Verb::NextSection, "next section", "the next section");
const PREVIOUS_SECTION: Binding =
    read(&[on(KeyCode::PageUp), ctrl('b')], Verb::PreviousSection, "", "the section before");

pub(super) const FORM_EDIT: &[Binding] = &[CHECK, NEXT_FIELD, PREVIOUS_FIELD, CLEAR, FORM_HELP, LEAVE];

pub(super) const FORM_KEY: &[Binding] = &[ISSUE, NEXT_FIELD, PREVIOUS_FIELD, CLEAR, FORM_HELP, LEAVE];

/// The list of sections of a form.
pub(super) const FORM_SECTIONS: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Open, "open", "open this section"),
    CHECK,
    read(&[on(KeyCode::Down), on(KeyCode::Tab), ch('j')], Verb::NextField, "choose", "the next section"),
    read(&[on(KeyCode::Up), on(KeyCode::BackTab), ch('k')], Verb::PreviousField, "", "the section before"),
    read(&[on(KeyCode::F(1)), ch('?')], Verb::Help, "help", "explain these keys"),
    LEAVE,
];

/// One section of several.
pub(super) const FORM_SECTION: &[Binding] =
    &[CHECK, NEXT_FIELD, PREVIOUS_FIELD, NEXT_SECTION, PREVIOUS_SECTION, TO_LIST, CLEAR, FORM_HELP, GO_LEAVE];

/// A section of rows.
pub(super) const FORM_ROWS: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Open, "edit", "edit this row; the first one if there is none"),
    read(&[ch('n')], Verb::New, "add", "add a row"),
    read(&[ch('D'), on(KeyCode::Delete)], Verb::Delete, "remove", "remove this row from the form"),
    CHECK,
    TO_LIST,
    NEXT_SECTION,
    PREVIOUS_SECTION,
    read(&[on(KeyCode::Down), on(KeyCode::Tab), ch('j')], Verb::NextField, "", "the next row"),
    read(&[on(KeyCode::Up), on(KeyCode::BackTab), ch('k')], Verb::PreviousField, "", "the row before"),
    read(&[on(KeyCode::F(1)), ch('?')], Verb::Help, "help", "explain these keys"),
    GO_LEAVE,
];

/// One row.
pub(super) const FORM_ROW: &[Binding] = &[CHECK, NEXT_FIELD, PREVIOUS_FIELD, TO_ROWS, CLEAR, FORM_HELP, GO_LEAVE];

pub(super) const FORM_REVIEW: &[Binding] = &[
    write(&[ch('a'), ctrl('s')], Verb::Apply, "apply", "apply what is shown"),
    read(&[ch('e'), on(KeyCode::Esc), ctrl('c')], Verb::Back, "edit on", "back to the fields"),
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[ch('?'), on(KeyCode::F(1))], Verb::Help, "help", "explain these keys"),
];

pub(super) const FORM_WAIT: &[Binding] =
    &[read(&[on(KeyCode::Esc), ctrl('c')], Verb::Back, "stop waiting", "back to the fields")];

pub(super) const POPUP_TEXT: &[Binding] = &[
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::PageUp)], Verb::PageUp, "", "a page up"),
    read(&[on(KeyCode::PageDown)], Verb::PageDown, "", "a page down"),
    read(&[on(KeyCode::Esc), on(KeyCode::Enter), ch('q'), ch('?'), ctrl('c')], Verb::Back, "close", "close"),
];

pub(super) const POPUP_PALETTE: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Yes, "do it", "do what is under the cursor"),
    read(&[on(KeyCode::Up), on(KeyCode::BackTab)], Verb::Up, "", "up"),
    read(&[on(KeyCode::Down), on(KeyCode::Tab)], Verb::Down, "choose", "down"),
    read(&[on(KeyCode::Esc), ctrl('c')], Verb::Back, "close", "close"),
];

pub(super) const POPUP_FILTER: &[Binding] = &[
    read(&[on(KeyCode::Enter)], Verb::Yes, "keep", "keep the filter"),
    read(&[ctrl('u')], Verb::Clear, "clear", "empty it"),
    read(&[on(KeyCode::Esc), ctrl('c')], Verb::Back, "as before", "back to the filter before"),
];

pub(super) const POPUP_CONFIRM: &[Binding] =
    &[read(&[ch('y')], Verb::Yes, "yes", "do it"), read(&[on(KeyCode::Esc), ch('n')], Verb::Back, "no", "do nothing")];

pub(super) const POPUP_PREVIEW: &[Binding] = &[
    write(&[ch('a'), ctrl('s')], Verb::Apply, "apply", "apply what is shown"),
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::Esc), ctrl('c')], Verb::Back, "cancel", "do nothing"),
];

pub(super) const POPUP_REFUSED: &[Binding] = &[
    read(&[on(KeyCode::Up), ch('k')], Verb::Up, "", "scroll up"),
    read(&[on(KeyCode::Down), ch('j')], Verb::Down, "scroll", "scroll down"),
    read(&[on(KeyCode::Esc), on(KeyCode::Enter), ctrl('c')], Verb::Back, "close", "do nothing"),
];

pub(super) const POPUP_SECRET: &[Binding] = &[
    read(&[ch('y')], Verb::Copy, "copy", "copy the secret to the clipboard"),
    read(&[on(KeyCode::Esc)], Verb::Back, "I have kept it", "close; the secret cannot be shown again"),
];
