// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the console: carries events to `update`, effects to the world, and draws when something has changed.
//!
//! Nothing here decides anything about the state. There is no frame rate: a picture is drawn after an event, at most
//! every [`PICTURE_EVERY`] when events come fast, and an idle console sleeps until the next second.

use std::time::Duration;

use crossterm::event::{Event as Terminal, EventStream};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use weirgate_store::wire::ErrorReply;

use crate::app::App;
use crate::cli::ConsoleOptions;
use crate::event::{Effect, Event};
use crate::link::{self, EVENTS_QUEUED, ORDERS_QUEUED, Order};
use crate::terminal::Screen;
use crate::theme::Theme;
use crate::update::update;
use crate::{clock, plain};

/// Shortest time between two pictures that no key asked for.
pub const PICTURE_EVERY: Duration = Duration::from_millis(100);

/// Events taken in one go before the next picture.
const BATCH_MAX: usize = 512;

/// Opens the console and returns when the operator leaves it.
pub fn console(options: ConsoleOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_console(options))
}

/// The console inside a runtime that is already there, such as the demo's.
pub async fn run_console(options: ConsoleOptions) -> anyhow::Result<()> {
    let mut world = World::start(options.socket);
    if options.plain {
        return plain::run(&mut world, options.read_only).await;
    }
    let mut app = App::new(Theme::of_environment(), clock::zone(), options.read_only, clock::now_ms());
    let mut screen = Screen::take()?;
    app.size = screen.size();
    run(&mut app, &mut screen, &mut world).await
}

/// Ways to the link, and the link itself, which ends with them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) orders: Sender<Order>,
    pub(crate) events: Receiver<Event>,
    link: JoinHandle<()>,
}

impl World {
    fn start(socket: std::path::PathBuf) -> Self {
        let (orders, taken) = channel(ORDERS_QUEUED);
        let (sent, events) = channel(EVENTS_QUEUED);
        Self { orders, events, link: tokio::spawn(link::run(socket, taken, sent)) }
    }

    /// Hands a question over; if the queue is full the answer is that nobody was asked.
    pub(crate) fn order(&self, order: Order) -> Option<Event> {
        match self.orders.try_send(order) {
            Err(TrySendError::Full(Order::Ask(ask)) | TrySendError::Closed(Order::Ask(ask))) => {
                let refusal = ErrorReply {
                    status: 0,
                    title: "busy".to_owned(),
                    detail: "too many questions are waiting for the daemon; try again".to_owned(),
                    problems: Vec::new(),
                };
                Some(Event::Answered { ask, outcome: Err(refusal) })
            }
            _ => None,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.link.abort();
    }
}

/// The signals that end a program; each must find the terminal given back.
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let [term, hup, int] = kinds.map(signal);
        Ok(Self([term?, hup?, int?]))
    }

    pub(crate) async fn any(&mut self) {
        let [term, hup, int] = &mut self.0;
        tokio::select! {
            _ = term.recv() => {}
            _ = hup.recv() => {}
            _ = int.recv() => {}
        }
    }
}

/// Whether the console goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Go,
    Leave,
}

async fn run(app: &mut App, screen: &mut Screen, world: &mut World) -> anyhow::Result<()> {
    let mut keys = EventStream::new();
    let mut signals = Signals::listen()?;
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut pictured = clock::instant();
    let mut dirty = true;
    loop {
        let due = pictured + PICTURE_EVERY;
        if dirty && clock::instant() >= due {
            screen.draw(app)?;
            (pictured, dirty) = (clock::instant(), false);
        }
        let next = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(event)) => {
                    // An operator must see at once what a key did.
                    pictured = long_ago(pictured);
                    typed(app, screen, world, event)?
                }
                // The line is gone: there is nobody left to draw for.
                Some(Err(_)) | None => Next::Leave,
            },
            event = world.events.recv() => match event {
                Some(event) => news(app, screen, world, event)?,
                None => Next::Leave,
            },
            _ = seconds.tick() => happen(app, screen, world, Event::Tick { now_ms: clock::now_ms() })?,
            () = sleep_until(due), if dirty => Next::Go,
            () = signals.any() => Next::Leave,
        };
        if next == Next::Leave {
            return Ok(());
        }
        dirty = true;
    }
}

fn long_ago(pictured: Instant) -> Instant {
    pictured.checked_sub(PICTURE_EVERY).unwrap_or(pictured)
}

/// What the terminal says, as an event of the console.
fn typed(app: &mut App, screen: &mut Screen, world: &World, event: Terminal) -> anyhow::Result<Next> {
    let event = match event {
        Terminal::Key(key) => Event::Key(key),
        Terminal::Resize(width, height) => Event::Resize { width, height },
        Terminal::Paste(text) => Event::Paste(text),
        Terminal::FocusGained | Terminal::FocusLost | Terminal::Mouse(_) => return Ok(Next::Go),
    };
    happen(app, screen, world, event)
}

/// Takes all that has come, so that a burst is one picture.
fn news(app: &mut App, screen: &mut Screen, world: &mut World, first: Event) -> anyhow::Result<Next> {
    let mut event = Some(first);
    for _ in 0..BATCH_MAX {
        let Some(now) = event else { break };
        if happen(app, screen, world, now)? == Next::Leave {
            return Ok(Next::Leave);
        }
        event = world.events.try_recv().ok();
    }
    match event {
        Some(event) => happen(app, screen, world, event),
        None => Ok(Next::Go),
    }
}

/// One event through the state, and its effects into the world.
fn happen(app: &mut App, screen: &mut Screen, world: &World, event: Event) -> anyhow::Result<Next> {
    let mut effects = update(app, event);
    while !effects.is_empty() {
        let mut more = Vec::new();
        for effect in effects {
            let order = match effect {
                Effect::Quit => return Ok(Next::Leave),
                Effect::Copy(text) => {
                    screen.copy(&text)?;
                    continue;
                }
                Effect::Ask(ask) => Order::Ask(ask),
                Effect::Follow { exchanges } => Order::Follow { exchanges },
            };
            if let Some(refused) = world.order(order) {
                more.extend(update(app, refused));
            }
        }
        effects = more;
    }
    Ok(Next::Go)
}
