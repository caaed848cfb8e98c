// SPDX-License-Identifier: MIT OR Apache-2.0
//! The palette `:`: a registry of verbs in words, matched as letters in order, so that `drsh13` finds
//! `drain shop 10.0.0.13:8080`.

use crossterm::event::KeyEvent;
use weirgate_store::model::Kind;
use weirgate_store::wire::CanaryVerb;

use super::form::edit;
use super::screens::{enter, go};
use super::{endpoint, form, popup, verbs};
use crate::app::{App, NoticeTone, Popup, Scope, Screen, Tab};
use crate::event::{Ask, Effect};
use crate::form as forms;
use crate::keymap::Verb;
use crate::theme::Theme;

/// Entries shown at most; typing narrows.
const ENTRIES_MAX: usize = 50;

/// Something the palette can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Go(Tab),
    Object(Kind, String),
    New(Kind),
    Edit(Kind, String),
    Issue(String),
    Endpoint { verb: Verb, upstream: String, address: String },
    Canary { route: String, verb: CanaryVerb },
    Connections,
    Timeline(String),
    Theme(&'static str),
    Reload,
    Help,
    Quit,
}

/// A command in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub words: String,
    pub meaning: &'static str,
    pub command: Command,
}

impl Command {
    fn writes(&self) -> bool {
        matches!(self, Self::New(_) | Self::Edit(..) | Self::Issue(_) | Self::Endpoint { .. } | Self::Canary { .. })
    }
}

/// What matches, best first.
pub fn entries(app: &App, typed: &str) -> Vec<Entry> {
    let typed = typed.to_lowercase();
    let writable = app.write_refusal().is_none();
    let offered = all(app).filter(|entry| writable || !entry.command.writes());
    let mut scored: Vec<(i32, usize, Entry)> = offered
        .enumerate()
        .filter_map(|(at, entry)| score(&entry.words, &typed).map(|score| (score, at, entry)))
        .collect();
    scored.sort_by_key(|(score, at, _)| (-score, *at));
    scored.truncate(ENTRIES_MAX);
    scored.into_iter().map(|(_, _, entry)| entry).collect()
}

fn entry(words: impl Into<String>, meaning: &'static str, command: Command) -> Entry {
    Entry { words: words.into(), meaning, command }
}

fn all(app: &App) -> impl Iterator<Item = Entry> {
    let tabs = Tab::ALL.into_iter().map(|tab| entry(tab.name(), "go to this screen", Command::Go(tab)));
    let fixed = [
        entry("new route", "make one", Command::New(Kind::Route)),
        entry("new upstream", "make one", Command::New(Kind::Upstream)),
        entry("new consumer", "make one", Command::New(Kind::Consumer)),
        entry("new listener", "make one", Command::New(Kind::Listener)),
        entry("connections", "client connections that are open now", Command::Connections),
        entry("theme color", "colours of your terminal", Command::Theme("color")),
        entry("theme mono", "no colours", Command::Theme("mono")),
        entry("theme ascii", "no colours, no symbols beyond ASCII", Command::Theme("ascii")),
        entry("reload", "ask the daemon for everything again", Command::Reload),
        entry("help", "explain this screen", Command::Help),
        entry("quit", "leave the console; the daemon keeps running", Command::Quit),
    ];
    tabs.chain(fixed).chain(objects(app)).chain(endpoints(app)).chain(canaries(app))
}

fn objects(app: &App) -> impl Iterator<Item = Entry> {
    let shown = [Kind::Route, Kind::Upstream, Kind::Consumer, Kind::Certificate, Kind::Listener];
    let opened = shown.into_iter().flat_map(|kind| {
        app.live.objects(kind).map(move |(name, _)| {
            entry(format!("{} {name}", kind.singular()), "open", Command::Object(kind, name.clone()))
        })
    });
    let edited = [Kind::Route, Kind::Upstream, Kind::Listener, Kind::Consumer].into_iter().flat_map(|kind| {
        app.live.objects(kind).map(move |(name, _)| {
            entry(format!("edit {} {name}", kind.singular()), "edit", Command::Edit(kind, name.clone()))
        })
    });
    let consumers = app.live.objects(Kind::Consumer);
    let issued =
        consumers.map(|(name, _)| entry(format!("issue key {name}"), "make a new key", Command::Issue(name.clone())));
    let pasts = app.live.objects(Kind::Upstream).map(|(name, _)| {
        entry(format!("history {name}"), "when its endpoints went down and up", Command::Timeline(name.clone()))
    });
    opened.chain(edited).chain(issued).chain(pasts)
}

fn canaries(app: &App) -> impl Iterator<Item = Entry> {
    let routes = app.live.objects(Kind::Route).filter(|(_, object)| object.get("canary").is_some());
    routes.flat_map(|(route, _)| {
        let verbs = [
            ("start", CanaryVerb::Start, "from the first step"),
            ("stop", CanaryVerb::Stop, "stay at the step reached"),
            ("resume", CanaryVerb::Resume, "go on from there"),
            ("back", CanaryVerb::Back, "no share for the new side"),
        ];
        verbs.map(|(word, verb, meaning)| {
            entry(format!("canary {word} {route}"), meaning, Command::Canary { route: route.clone(), verb })
        })
    })
}

fn endpoints(app: &App) -> impl Iterator<Item = Entry> {
    let upstreams = app.live.status.iter().flat_map(|status| &status.upstreams);
    upstreams.flat_map(|upstream| {
        upstream.endpoints.iter().flat_map(|endpoint| {
            let verbs = [
                ("drain", Verb::Drain, "no new requests"),
                ("ready", Verb::Ready, "as configured"),
                ("maint", Verb::Maintenance, "no requests, no checks"),
                ("weight", Verb::Weight, "share of the work"),
            ];
            verbs.map(|(word, verb, meaning)| {
                let command =
                    Command::Endpoint { verb, upstream: upstream.name.clone(), address: endpoint.address.clone() };
                entry(format!("{word} {} {}", upstream.name, endpoint.address), meaning, command)
            })
        })
    })
}

/// How well letters match words, in order; `None` if they do not. Beginnings of words and runs count more.
fn score(words: &str, typed: &str) -> Option<i32> {
    let words = words.to_lowercase();
    let mut score = if words == typed { 100 } else { 0 };
    let (mut at_start, mut after_hit) = (true, false);
    let mut wanted = typed.chars().filter(|c| !c.is_whitespace()).peekable();
    for c in words.chars() {
        let hit = wanted.peek() == Some(&c);
        if hit {
            wanted.next();
            score += 1 + if at_start { 8 } else { 0 } + if after_hit { 4 } else { 0 };
        }
        after_hit = hit;
        at_start = !c.is_alphanumeric();
    }
    wanted.peek().is_none().then_some(score)
}

pub(super) fn press(app: &mut App, key: KeyEvent, verb: Option<Verb>) -> Vec<Effect> {
    let Some(Popup::Palette { input, at }) = app.popups.last_mut() else { return Vec::new() };
    match verb {
        Some(Verb::Up) => *at = at.saturating_sub(1),
        Some(Verb::Down) => *at = at.saturating_add(1),
        Some(Verb::Yes) => return run_selected(app),
        _ => {
            edit(input, key);
            *at = 0;
        }
    }
    let typed = input.value().to_owned();
    let last = entries(app, &typed).len().saturating_sub(1);
    if let Some(Popup::Palette { at, .. }) = app.popups.last_mut() {
        *at = (*at).min(last);
    }
    Vec::new()
}

fn run_selected(app: &mut App) -> Vec<Effect> {
    let Some(Popup::Palette { input, at }) = app.popups.pop() else { return Vec::new() };
    let chosen = entries(app, input.value()).into_iter().nth(at);
    match chosen {
        Some(entry) => run(app, entry.command),
        None => {
            app.say(NoticeTone::Failed, format!("no command matches \"{}\"", input.value()));
            Vec::new()
        }
    }
}

fn run(app: &mut App, command: Command) -> Vec<Effect> {
    match command {
        Command::Go(tab) => go(app, tab),
        Command::Object(kind, name) => open(app, kind, name),
        Command::New(Kind::Route) => form::open(app, forms::new_route(&app.live)),
        Command::New(Kind::Upstream) => form::open(app, forms::new_upstream(&app.live)),
        Command::New(Kind::Listener) => form::open(app, forms::new_listener(&app.live)),
        Command::New(_) => form::open(app, forms::new_consumer(&app.live)),
        Command::Edit(kind, name) => {
            let form = match kind {
                Kind::Route => forms::edit_route(&app.live, &name),
                Kind::Listener => forms::edit_listener(&app.live, &name),
                Kind::Consumer => forms::edit_consumer(&app.live, &name),
                _ => forms::edit_upstream(&app.live, &name),
            };
            form.map(|form| form::open(app, form)).unwrap_or_default()
        }
        Command::Issue(consumer) => form::open(app, forms::issue_key(&consumer)),
        Command::Endpoint { verb, upstream, address } => endpoint::open_form(app, &upstream, &address, verb),
        Command::Canary { route, verb } => vec![Effect::Ask(Ask::Canary { route, verb })],
        Command::Connections => enter(app, Screen::Connections(Scope::All)),
        Command::Timeline(upstream) => enter(app, Screen::Timeline { upstream }),
        Command::Theme(name) => {
            app.theme = Theme::of_name(name).unwrap_or(app.theme);
            Vec::new()
        }
        Command::Reload => [super::reload(), vec![Effect::Ask(Ask::Status)]].concat(),
        Command::Help => popup::push(app, Popup::Help { scroll: 0 }),
        Command::Quit => vec![Effect::Quit],
    }
}

fn open(app: &mut App, kind: Kind, name: String) -> Vec<Effect> {
    match kind {
        Kind::Route => enter(app, Screen::Route { name, scroll: 0 }),
        Kind::Upstream => verbs::to_upstream(app, name, None),
        Kind::Consumer => enter(app, Screen::Consumer { name }),
        Kind::Certificate => enter(app, Screen::Certificate { name, scroll: 0 }),
        Kind::Listener => enter(app, Screen::Listener { name, scroll: 0 }),
        Kind::Policy | Kind::Log => go(app, Tab::System),
    }
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn letters_match_in_order_and_beginnings_count_more() {
        let rows =
            [("drain shop 10.0.0.13:8080", "drsh13", true), ("route orders", "ordersx", false), ("quit", "", true)];
        for (words, typed, want) in rows {
            assert_eq!(score(words, typed).is_some(), want, "row {words:?} {typed:?}");
        }
        assert!(score("route orders", "ro") > score("theme mono color", "ro"));
    }
}
