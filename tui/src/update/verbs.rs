// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs of the screens: what each key does once `keymap` has found it. One arm, one function.

use weirgate_store::model::Kind;
use weirgate_store::wire::{ChangeRequest, Edit, ExchangeRecord, ExplainRequest};

use super::lists::{Step, step};
use super::screens::{back, enter, go};
use super::{endpoint, form, popup};
use crate::app::{Action, App, Confirm, NoticeTone, Popup, RevisionView, Scope, Screen, Tab};
use crate::attention::{Lead, attention};
use crate::event::{Ask, Effect};
use crate::form as forms;
use crate::keymap::Verb;
use crate::list::ListId;
use crate::rows;
use crate::traffic::Query;
use tui_input::Input;

pub(super) fn act(app: &mut App, verb: Verb) -> Vec<Effect> {
    match verb {
        Verb::Quit => vec![Effect::Quit],
        Verb::Back => escape(app),
        Verb::Help => popup::push(app, Popup::Help { scroll: 0 }),
        Verb::Palette => popup::push(app, Popup::Palette { input: Input::default(), at: 0 }),
        Verb::Filter => filter(app),
        Verb::Go(tab) => go(app, tab),
        Verb::NextTab => neighbour(app, 1),
        Verb::PreviousTab => neighbour(app, Tab::ALL.len() - 1),
        Verb::Up => moved(app, Step::Row(-1)),
        Verb::Down => moved(app, Step::Row(1)),
        Verb::PageUp => moved(app, Step::Page(-1)),
        Verb::PageDown => moved(app, Step::Page(1)),
        Verb::First => moved(app, Step::End(-1)),
        Verb::Last => moved(app, Step::End(1)),
        Verb::Open => open(app),
        Verb::Sort | Verb::SortReverse => sort(app, verb),
        Verb::Edit => edit(app),
        Verb::New => new(app),
        Verb::Delete => delete(app),
        Verb::Drain | Verb::Maintenance | Verb::Ready | Verb::Weight => endpoint::form(app, verb),
        Verb::Timeline => timeline(app),
        Verb::Connections => connections(app),
        Verb::Cut => endpoint::cut(app),
        Verb::Longer => endpoint::longer(app),
        Verb::Kill => endpoint::kill(app),
        Verb::Canary => canary(app),
        Verb::Issue => issue(app),
        Verb::Revoke => revoke(app),
        Verb::ResetUsage => reset_usage(app),
        Verb::Rollback => rollback(app),
        Verb::Pause => pause(app),
        Verb::Traffic => traffic(app),
        Verb::Upstream => upstream(app),
        Verb::Explain => explain(app),
        Verb::Copy => copy(app),
        // These belong to forms and popups.
        Verb::Yes
        | Verb::Apply
        | Verb::NextField
        | Verb::PreviousField
        | Verb::Clear
        | Verb::Leave
        | Verb::NextSection
        | Verb::PreviousSection => Vec::new(),
    }
}

fn moved(app: &mut App, by: Step) -> Vec<Effect> {
    step(app, by);
    Vec::new()
}

fn neighbour(app: &mut App, by: usize) -> Vec<Effect> {
    let at = Tab::ALL.iter().position(|tab| *tab == app.tab()).unwrap_or(0);
    let tab = Tab::ALL.iter().cycle().nth(at + by).copied();
    tab.map(|tab| go(app, tab)).unwrap_or_default()
}

/// Forgets the filter of a list first, then goes back.
fn escape(app: &mut App) -> Vec<Effect> {
    if let Some(list) = app.list_id()
        && !app.lists.of(list).filter.is_empty()
    {
        app.lists.of_mut(list).filter.clear();
        return Vec::new();
    }
    if matches!(app.screen, Screen::Tab(Tab::Traffic)) && app.trail.is_empty() {
        app.traffic.query = Query::default();
    }
    back(app)
}

fn filter(app: &mut App) -> Vec<Effect> {
    let before = match app.list_id() {
        Some(list) => app.lists.of(list).filter.clone(),
        None => app.traffic.query.text.clone(),
    };
    popup::push(app, Popup::Filter { input: Input::new(before.clone()), before, error: None })
}

fn sort(app: &mut App, verb: Verb) -> Vec<Effect> {
    if let Some(list) = app.list_id() {
        let columns = rows::columns(list).len();
        let state = app.lists.of_mut(list);
        if verb == Verb::Sort { state.sort_next(columns) } else { state.sort_reverse() }
    }
    Vec::new()
}

fn open(app: &mut App) -> Vec<Effect> {
    if matches!(app.screen, Screen::Tab(Tab::Traffic)) {
        let record = app.traffic.selected().map(|seen| seen.record.clone());
        return record.map(|record| verdict(app, record)).unwrap_or_default();
    }
    let Some(name) = app.selected().map(str::to_owned) else { return Vec::new() };
    let screen = match app.list_id() {
        Some(ListId::Attention) => return follow_lead(app, &name),
        Some(ListId::Routes) => Screen::Route { name, scroll: 0 },
        Some(ListId::Upstreams) => Screen::Upstream { name },
        Some(ListId::Consumers) => Screen::Consumer { name },
        Some(ListId::Certificates) => Screen::Certificate { name, scroll: 0 },
        Some(ListId::Revisions) => match name.parse() {
            Ok(newer) => Screen::Revision(RevisionView { older: before(app, newer), newer, diff: None, scroll: 0 }),
            Err(_) => return Vec::new(),
        },
        Some(ListId::Listeners) => Screen::Listener { name, scroll: 0 },
        Some(ListId::Endpoints) => return endpoint::open(app, name),
        Some(ListId::Keys | ListId::Connections | ListId::Timeline) | None => return Vec::new(),
    };
    enter(app, screen)
}

/// Opening an exchange holds the tail, so that coming back finds the same row.
fn verdict(app: &mut App, record: ExchangeRecord) -> Vec<Effect> {
    app.traffic.pause();
    enter(app, Screen::Verdict { record: Box::new(record), scroll: 0 })
}

/// The revision before one, as far as the history reaches.
fn before(app: &App, newer: u64) -> u64 {
    let list = app.live.revisions.iter().flat_map(|list| &list.revisions);
    list.map(|info| info.number).filter(|number| *number < newer).max().unwrap_or(newer.saturating_sub(1))
}

fn follow_lead(app: &mut App, id: &str) -> Vec<Effect> {
    let found = attention(&app.live, app.now_ms).into_iter().find(|item| item.id == id);
    match found.map(|item| item.lead) {
        Some(Lead::Upstream { name, address }) => to_upstream(app, name, address),
        Some(Lead::Route(name)) => enter(app, Screen::Route { name, scroll: 0 }),
        Some(Lead::Consumer(name)) => enter(app, Screen::Consumer { name }),
        Some(Lead::System) => enter(app, Screen::Tab(Tab::System)),
        None => Vec::new(),
    }
}

/// Goes to an upstream, with the cursor on an endpoint if one is named.
pub(super) fn to_upstream(app: &mut App, name: String, address: Option<String>) -> Vec<Effect> {
    let effects = enter(app, Screen::Upstream { name });
    super::lists::refresh(app);
    if address.is_some() {
        app.lists.of_mut(ListId::Endpoints).selected = address;
    }
    effects
}

/// The object the keys of this screen act on.
fn subject(app: &App) -> Option<(Kind, String)> {
    let selected = || app.selected().map(str::to_owned);
    match &app.screen {
        Screen::Tab(Tab::Routes) => selected().map(|name| (Kind::Route, name)),
        Screen::Tab(Tab::Upstreams) => selected().map(|name| (Kind::Upstream, name)),
        Screen::Tab(Tab::Consumers) => selected().map(|name| (Kind::Consumer, name)),
        Screen::Tab(Tab::System) => selected().map(|name| (Kind::Listener, name)),
        Screen::Listener { name, .. } => Some((Kind::Listener, name.clone())),
        Screen::Route { name, .. } => Some((Kind::Route, name.clone())),
        Screen::Upstream { name } => Some((Kind::Upstream, name.clone())),
        Screen::Consumer { name } => Some((Kind::Consumer, name.clone())),
        _ => None,
    }
}

fn edit(app: &mut App) -> Vec<Effect> {
    let form = match subject(app) {
        Some((Kind::Route, name)) => forms::edit_route(&app.live, &name),
        Some((Kind::Upstream, name)) => forms::edit_upstream(&app.live, &name),
        Some((Kind::Listener, name)) => forms::edit_listener(&app.live, &name),
        Some((Kind::Consumer, name)) => forms::edit_consumer(&app.live, &name),
        _ => None,
    };
    form.map(|form| form::open(app, form)).unwrap_or_default()
}

fn new(app: &mut App) -> Vec<Effect> {
    let form = match app.screen {
        Screen::Tab(Tab::Routes) => forms::new_route(&app.live),
        Screen::Tab(Tab::Upstreams) => forms::new_upstream(&app.live),
        Screen::Tab(Tab::System) => forms::new_listener(&app.live),
        _ => forms::new_consumer(&app.live),
    };
    form::open(app, form)
}

fn delete(app: &mut App) -> Vec<Effect> {
    let Some((kind, name)) = subject(app) else { return Vec::new() };
    let title = format!("remove {} {name}?", kind.singular());
    let base = app.live.base(kind);
    let comment = None;
    popup::preview(app, title, ChangeRequest { base, comment, edits: vec![Edit::Delete { kind, name }] })
}

/// The past of an upstream.
fn timeline(app: &mut App) -> Vec<Effect> {
    let Screen::Upstream { name } = &app.screen else { return Vec::new() };
    let upstream = name.clone();
    enter(app, Screen::Timeline { upstream })
}

/// The connections of what is on the screen.
fn connections(app: &mut App) -> Vec<Effect> {
    let scope = match &app.screen {
        Screen::Upstream { name } => Scope::Upstream(name.clone()),
        Screen::Listener { name, .. } => Scope::Listener(name.clone()),
        _ => Scope::All,
    };
    enter(app, Screen::Connections(scope))
}

/// What can be done to the canary of the route, if it has one.
fn canary(app: &mut App) -> Vec<Effect> {
    let Screen::Route { name, .. } = &app.screen else { return Vec::new() };
    let route = name.clone();
    if app.live.object(Kind::Route, &route).is_some_and(|object| object.get("canary").is_some()) {
        return popup::push(app, Popup::Canary { route });
    }
    app.say(NoticeTone::Failed, "this route has no canary: edit it to give its split one");
    Vec::new()
}

fn issue(app: &mut App) -> Vec<Effect> {
    let Some((Kind::Consumer, name)) = subject(app) else { return Vec::new() };
    form::open(app, forms::issue_key(&name))
}

fn revoke(app: &mut App) -> Vec<Effect> {
    let Screen::Consumer { name } = &app.screen else { return Vec::new() };
    let (consumer, Some(id)) = (name.clone(), app.selected().map(str::to_owned)) else { return Vec::new() };
    let keys = app.live.keys.iter().flat_map(|(_, keys)| keys);
    if keys.into_iter().any(|key| key.id == id && key.declared) {
        app.say(NoticeTone::Failed, "this key stands in the configuration: remove it from the file and apply that");
        return Vec::new();
    }
    popup::push(
        app,
        Popup::Confirm(Confirm {
            title: format!("revoke key {id} of {consumer}?"),
            lines: vec![
                "Requests with this key get 401 from now on.".to_owned(),
                "A revoked key never comes back, not even by a rollback.".to_owned(),
            ],
            yes: "revoke it",
            action: Action::Send(Box::new(Ask::RevokeKey { consumer, id })),
        }),
    )
}

fn reset_usage(app: &mut App) -> Vec<Effect> {
    let Screen::Consumer { name } = &app.screen else { return Vec::new() };
    let consumer = name.clone();
    let used = app.live.usage.iter().filter(|usage| usage.consumer == consumer).flat_map(|usage| &usage.limits);
    let used: Vec<_> = used.filter(|limit| limit.used > 0).map(|limit| limit.name.as_str()).collect();
    if used.is_empty() {
        app.say(NoticeTone::Failed, "this consumer has used nothing");
        return Vec::new();
    }
    let lines = vec![format!("Whole again: {}.", used.join(", ")), "What was used is not known afterwards.".to_owned()];
    popup::push(
        app,
        Popup::Confirm(Confirm {
            title: format!("forget what {consumer} has used?"),
            lines,
            yes: "forget it",
            action: Action::Send(Box::new(Ask::ResetUsage { consumer })),
        }),
    )
}

fn rollback(app: &mut App) -> Vec<Effect> {
    let number = match &app.screen {
        Screen::Revision(view) => Some(view.newer),
        _ => app.selected().and_then(|id| id.parse().ok()),
    };
    let Some(revision) = number else { return Vec::new() };
    if app.live.revisions.as_ref().is_some_and(|list| list.running == revision) {
        app.say(NoticeTone::Failed, format!("revision {revision} is the one that runs"));
        return Vec::new();
    }
    let change = ChangeRequest {
        base: None,
        comment: Some(format!("rollback to {revision}")),
        edits: vec![Edit::Rollback { revision }],
    };
    popup::preview(app, format!("go back to revision {revision}?"), change)
}

fn pause(app: &mut App) -> Vec<Effect> {
    if app.traffic.paused() {
        app.traffic.follow()
    } else {
        app.traffic.pause()
    }
    Vec::new()
}

/// The tail of one object: every number can be opened until one reaches single exchanges.
fn traffic(app: &mut App) -> Vec<Effect> {
    let term = match (&app.screen, app.selected()) {
        (Screen::Upstream { .. }, Some(address)) => Some(format!("endpoint={address}")),
        (Screen::Endpoint(view), _) => Some(format!("endpoint={}", view.address)),
        _ => subject(app).map(|(kind, name)| format!("{}={name}", kind.singular())),
    };
    let query = term.and_then(|term| Query::parse(&term).ok());
    let Some(query) = query else { return Vec::new() };
    app.traffic.query = query;
    app.traffic.follow();
    enter(app, Screen::Tab(Tab::Traffic))
}

fn upstream(app: &mut App) -> Vec<Effect> {
    let (name, address) = match &app.screen {
        Screen::Verdict { record, .. } => (record.upstream.clone(), record.endpoint.clone()),
        Screen::Route { name, .. } => {
            let route = app.live.object(Kind::Route, name);
            let upstream = route.and_then(|route| route.get("upstream").or_else(|| route.pointer("/split/0/upstream")));
            (upstream.and_then(serde_json::Value::as_str).map(str::to_owned), None)
        }
        Screen::Connections(_) => match endpoint::selected_connection(app) {
            Some(connection) => (connection.upstream.clone(), connection.endpoint.clone()),
            None => (None, None),
        },
        _ => (None, None),
    };
    match name {
        Some(name) => to_upstream(app, name, address),
        None => {
            app.say(NoticeTone::Failed, "it went to no upstream");
            Vec::new()
        }
    }
}

fn explain(app: &App) -> Vec<Effect> {
    let Screen::Verdict { record, .. } = &app.screen else { return Vec::new() };
    let request = ExplainRequest {
        method: record.method.clone(),
        url: url(record),
        client: record.client.parse::<std::net::SocketAddr>().ok().map(|address| address.ip().to_string()),
        ..ExplainRequest::default()
    };
    vec![Effect::Ask(Ask::Explain(request))]
}

fn url(record: &ExchangeRecord) -> String {
    let host = if record.host.is_empty() { "localhost" } else { &record.host };
    format!("http://{host}{}", record.path)
}

fn copy(app: &mut App) -> Vec<Effect> {
    let text = match &app.screen {
        Screen::Verdict { record, .. } => Some(curl(record)),
        Screen::Tab(Tab::Traffic) => app.traffic.selected().map(|seen| curl(&seen.record)),
        Screen::Revision(view) => view.diff.as_ref().map(|diff| diff.diff_text.clone()),
        Screen::Route { name, .. } | Screen::Listener { name, .. } | Screen::Certificate { name, .. } => {
            Some(name.clone())
        }
        _ => app.selected().map(str::to_owned),
    };
    let Some(text) = text else { return Vec::new() };
    app.say(NoticeTone::Done, "copied");
    vec![Effect::Copy(text)]
}

/// A command a shell takes as one request, whatever stands in the path.
fn curl(record: &ExchangeRecord) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let method = if record.method == "GET" { String::new() } else { format!(" -X {}", quoted(&record.method)) };
    format!("curl -i{method} {}", quoted(&url(record)))
}
