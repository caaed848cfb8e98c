// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--plain`: the console for a screen reader or a line that cannot draw. Only whole lines, only appended, no boxes;
//! numbered menus instead of a cursor. State, keys to the daemon and sentences are those of the drawn console.

use std::io::{BufRead, Write};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};
use weirgate_store::wire::{OverrideMode, OverrideRequest};

use crate::app::{App, Link};
use crate::attention::attention;
use crate::clock;
use crate::console::{Signals, World};
use crate::event::{Answer, Ask, Effect, Event};
use crate::link::Order;
use crate::list::ListId;
use crate::theme::Theme;
use crate::update::update;
use crate::{rows, text};

/// Seconds between two lines of numbers.
const LINE_EVERY_S: u64 = 10;

/// Lines an operator may have typed ahead.
const TYPED_MAX: usize = 16;

/// Rows of one table that are read out.
const ROWS_MAX: usize = 50;

const MENU: [&str; 2] = [
    "1 status  2 attention  3 routes  4 endpoints  5 consumers  6 history",
    "7 drain  8 maintenance  9 ready  p pause or resume the numbers  q quit",
];

/// What the next line that is typed means.
enum Wait {
    Choice,
    Endpoint(OverrideMode),
    Reason { mode: OverrideMode, upstream: String, address: String },
}

struct Plain {
    app: App,
    wait: Wait,
    /// What was said to need attention, so that only news is said.
    said: Vec<String>,
    numbers: bool,
}

pub(crate) async fn run(world: &mut World, read_only: bool) -> anyhow::Result<()> {
    let app = App::new(Theme::MONO, clock::zone(), read_only, clock::now_ms());
    let mut plain = Plain { app, wait: Wait::Choice, said: Vec::new(), numbers: true };
    let mut typed = lines()?;
    let mut signals = Signals::listen()?;
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut since_line = 0;
    say(&["weirgate console, plain.".to_owned()])?;
    say(&menu())?;
    loop {
        let lines = tokio::select! {
            line = typed.recv() => match line {
                Some(line) if line.trim() == "q" => return Ok(()),
                Some(line) => plain.typed(world, line.trim()),
                None => return Ok(()),
            },
            event = world.events.recv() => match event {
                Some(event) => plain.happen(world, event),
                None => return Ok(()),
            },
            _ = seconds.tick() => {
                let mut lines = plain.happen(world, Event::Tick { now_ms: clock::now_ms() });
                since_line += 1;
                if since_line >= LINE_EVERY_S && plain.numbers {
                    since_line = 0;
                    lines.push(plain.numbers());
                }
                lines
            }
            () = signals.any() => return Ok(()),
        };
        say(&lines)?;
    }
}

fn menu() -> Vec<String> {
    MENU.map(str::to_owned).to_vec()
}

/// Lines typed, from a thread of their own: reading a terminal cannot be awaited.
fn lines() -> anyhow::Result<Receiver<String>> {
    let (sent, lines) = channel(TYPED_MAX);
    std::thread::Builder::new().name("typed".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sent.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

/// Whole lines, with what came from the network made harmless.
fn say(lines: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", text::clean(line))?;
    }
    out.flush()
}

impl Plain {
    /// One event through the state; what is new is said.
    fn happen(&mut self, world: &World, event: Event) -> Vec<String> {
        let mut lines = spoken(&event);
        let was = self.app.link.clone();
        let effects = update(&mut self.app, event);
        self.carry(world, effects);
        if was != self.app.link {
            lines.push(match &self.app.link {
                Link::Connecting => "Connecting.".to_owned(),
                Link::Up => "The daemon answers.".to_owned(),
                Link::Lost { reason, .. } => format!("The daemon does not answer: {reason}. Trying again."),
            });
        }
        lines.extend(self.news());
        lines
    }

    fn carry(&mut self, world: &World, effects: Vec<Effect>) {
        for effect in effects {
            let order = match effect {
                Effect::Ask(ask) => Order::Ask(ask),
                Effect::Follow { exchanges } => Order::Follow { exchanges },
                Effect::Copy(_) | Effect::Quit => continue,
            };
            if let Some(refused) = world.order(order) {
                drop(update(&mut self.app, refused));
            }
        }
    }

    /// What needs attention since the last time, and what no longer does.
    fn news(&mut self) -> Vec<String> {
        let found = attention(&self.app.live, self.app.now_ms);
        let mut lines = Vec::new();
        for item in found.iter().filter(|item| !self.said.contains(&item.id)) {
            lines.push(format!("Attention, {}: {}", item.subject, item.text));
        }
        for id in self.said.iter().filter(|id| found.iter().all(|item| item.id != **id)) {
            lines.push(format!("Well again: {}", id.split_once(' ').map_or(id.as_str(), |(_, what)| what)));
        }
        self.said = found.into_iter().map(|item| item.id).collect();
        lines
    }

    fn numbers(&self) -> String {
        let live = &self.app.live;
        let total = live.total();
        format!(
            "{}: {} requests a second, {} failed, half within {}, 99 of 100 within {}, {} connections.",
            text::clock(self.app.now_ms, &self.app.zone),
            text::rate(total.requests),
            text::percent(total.errors, total.counted),
            text::micros(total.p50_us),
            text::micros(total.p99_us),
            text::count(live.last.connections),
        )
    }

    fn typed(&mut self, world: &World, line: &str) -> Vec<String> {
        match std::mem::replace(&mut self.wait, Wait::Choice) {
            Wait::Choice => self.choose(line),
            Wait::Endpoint(mode) => self.chosen(mode, line),
            Wait::Reason { mode, upstream, address } => {
                let request =
                    OverrideRequest { mode, weight: None, reason: line.to_owned(), ..OverrideRequest::default() };
                let ticket = self.app.next_ticket();
                self.carry(world, vec![Effect::Ask(Ask::Override { ticket, upstream, address, request })]);
                vec!["Asked.".to_owned()]
            }
        }
    }

    fn choose(&mut self, line: &str) -> Vec<String> {
        match line {
            "1" => vec![self.status(), self.numbers()],
            "2" => {
                let found = attention(&self.app.live, self.app.now_ms);
                let mut lines: Vec<String> = found.iter().map(|i| format!("{}: {}", i.subject, i.text)).collect();
                if lines.is_empty() {
                    lines.push("Nothing needs attention.".to_owned());
                }
                lines
            }
            "3" => self.table(ListId::Routes),
            "4" => self.endpoints(),
            "5" => self.table(ListId::Consumers),
            "6" => self.table(ListId::Revisions),
            "7" => self.ask_endpoint(OverrideMode::Drain),
            "8" => self.ask_endpoint(OverrideMode::Maint),
            "9" => self.ask_endpoint(OverrideMode::Ready),
            "p" => {
                self.numbers = !self.numbers;
                vec![if self.numbers { "Numbers resumed." } else { "Numbers paused." }.to_owned()]
            }
            _ => menu(),
        }
    }

    fn status(&self) -> String {
        match &self.app.live.status {
            Some(status) => format!(
                "weirgate {} on {}, revision {} by {}. Store: {}. Your role: {}.",
                status.version,
                status.instance,
                status.revision.number,
                status.revision.author,
                status.store.message,
                status.role
            ),
            None => "The daemon has not answered yet.".to_owned(),
        }
    }

    /// A table as sentences: the heading before each cell.
    fn table(&self, list: ListId) -> Vec<String> {
        let columns = rows::columns(list);
        let rows = rows::rows(&self.app, list);
        let total = rows.len();
        let mut lines: Vec<String> = rows
            .into_iter()
            .take(ROWS_MAX)
            .map(|(_, cells)| {
                let cells = columns.iter().zip(&cells).filter(|(column, _)| !column.title.is_empty());
                let cells = cells.filter(|(_, cell)| !cell.text.is_empty());
                cells
                    .map(|(c, cell)| format!("{} {}", c.title.to_lowercase(), cell.text))
                    .collect::<Vec<_>>()
                    .join(", ")
            })
            .collect();
        lines.push(format!("{} in all.", text::count(total as u64)));
        lines
    }

    fn all_endpoints(&self) -> Vec<(String, String, String)> {
        let upstreams = self.app.live.status.iter().flat_map(|status| &status.upstreams);
        let each = upstreams.flat_map(|upstream| {
            upstream.endpoints.iter().map(|endpoint| {
                let words = format!("{}, {}", rows::health_word(endpoint), endpoint.reason);
                (upstream.name.clone(), endpoint.address.clone(), words)
            })
        });
        each.collect()
    }

    fn endpoints(&self) -> Vec<String> {
        let rows = self.all_endpoints().into_iter().enumerate();
        rows.map(|(at, (upstream, address, words))| format!("{} {upstream} {address}: {words}", at + 1)).collect()
    }

    fn ask_endpoint(&mut self, mode: OverrideMode) -> Vec<String> {
        if let Some(refusal) = self.app.write_refusal() {
            return vec![refusal.to_owned()];
        }
        self.wait = Wait::Endpoint(mode);
        let mut lines = self.endpoints();
        lines.push("Which? Its number, or an empty line for none.".to_owned());
        lines
    }

    fn chosen(&mut self, mode: OverrideMode, line: &str) -> Vec<String> {
        let at = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let Some((upstream, address, _)) = at.and_then(|at| self.all_endpoints().into_iter().nth(at)) else {
            return vec!["None.".to_owned()];
        };
        let question =
            format!("{} {address} of {upstream}: why? An empty line is no reason.", crate::form::mode_name(mode));
        self.wait = Wait::Reason { mode, upstream, address };
        vec![question]
    }
}

/// What an event says by itself.
fn spoken(event: &Event) -> Vec<String> {
    match event {
        Event::Answered { ask: Ask::Override { upstream, .. }, outcome: Ok(Answer::Endpoint(endpoint)) } => {
            vec![format!("{} of {upstream} is {}.", endpoint.address, rows::health_word(endpoint))]
        }
        Event::Answered { ask: Ask::Override { .. }, outcome: Err(refusal) } => vec![format!("No: {}", refusal.detail)],
        _ => Vec::new(),
    }
}
