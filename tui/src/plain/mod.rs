// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--plain`: the console for a screen reader or a line that cannot draw. Only whole lines, only appended, no boxes;
//! numbered menus instead of a cursor. State, keys to the daemon and sentences are those of the drawn console. What
//! changes something is asked for question by question in `operate`.

mod operate;

use std::io::{BufRead, Write};
use std::time::Duration;

use operate::Wait;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, Link};
use crate::attention::attention;
use crate::clock;
use crate::console::{Signals, World};
use crate::event::{Effect, Event};
use crate::link::Order;
use crate::list::{ListId, Row};
use crate::theme::Theme;
use crate::update::update;
use crate::{rows, text};

/// Seconds between two lines of numbers.
const LINE_EVERY_S: u64 = 10;

/// Lines an operator may have typed ahead.
const TYPED_MAX: usize = 16;

/// Rows of one table that are read out.
const ROWS_MAX: usize = 50;

const MENU: [&str; 3] = [
    "1 status  2 attention  3 routes  4 endpoints  5 consumers  6 changes  u upstreams  l listeners",
    "7 drain  8 maintenance  9 ready  w weight  k canary  h history of an upstream",
    "c connections  x close a connection  p pause or resume the numbers  q quit",
];

struct Plain {
    app: App,
    /// What the next line that is typed means.
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
        let said = event.clone();
        let was = self.app.link.clone();
        let effects = update(&mut self.app, event);
        self.carry(world, effects);
        let mut lines = operate::spoken(self, &said);
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
        let (lines, effects) = match std::mem::replace(&mut self.wait, Wait::Choice) {
            Wait::Choice => self.choose(line),
            wait => operate::answer(self, wait, line),
        };
        self.carry(world, effects);
        lines
    }

    fn choose(&mut self, line: &str) -> (Vec<String>, Vec<Effect>) {
        let lines = match line {
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
            "u" => self.table(ListId::Upstreams),
            "l" => self.table(ListId::Listeners),
            "p" => {
                self.numbers = !self.numbers;
                vec![if self.numbers { "Numbers resumed." } else { "Numbers paused." }.to_owned()]
            }
            other => return operate::begin(self, other).unwrap_or_else(|| (menu(), Vec::new())),
        };
        (lines, Vec::new())
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

    fn table(&self, list: ListId) -> Vec<String> {
        sentences(list, rows::rows(&self.app, list))
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
}

/// A table as numbered sentences: the heading before each cell.
fn sentences(list: ListId, rows: Vec<Row>) -> Vec<String> {
    let columns = rows::columns(list);
    let total = rows.len();
    let sentence = |(at, (_, cells)): (usize, Row)| {
        let cells =
            columns.iter().zip(&cells).filter(|(column, cell)| !column.title.is_empty() && !cell.text.is_empty());
        let cells = cells.map(|(column, cell)| format!("{} {}", column.title.to_lowercase(), cell.text));
        format!("{} {}", at + 1, cells.collect::<Vec<_>>().join(", "))
    };
    let mut lines: Vec<String> = rows.into_iter().take(ROWS_MAX).enumerate().map(sentence).collect();
    lines.push(format!("{} in all.", text::count(total as u64)));
    lines
}
