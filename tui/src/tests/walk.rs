// SPDX-License-Identifier: MIT OR Apache-2.0
//! A random walk: whatever keys and answers come in whatever order, nothing panics, the cursor of a list that has
//! rows is on one of them, and a picture can be drawn.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use weirgate_store::model::Kind;
use weirgate_store::wire;

use crate::app::{App, POPUPS_MAX, TRAIL_MAX};
use crate::event::{Answer, Ask, Effect, Event};
use crate::sample;
use crate::theme::Theme;
use crate::update::update;
use crate::view;

/// Walks, and steps of each.
const WALKS: u64 = 40;
const STEPS: u32 = 120;

/// A small generator (xorshift), so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn random_key(dice: &mut Dice) -> KeyEvent {
    const CODES: [KeyCode; 12] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Tab,
        KeyCode::PageDown,
        KeyCode::PageUp,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Backspace,
    ];
    match dice.roll(10) {
        0..5 => KeyEvent::new(CODES[usize::try_from(dice.roll(12)).unwrap()], KeyModifiers::NONE),
        5 => KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL),
        _ => {
            let letter = u8::try_from(b' ' as u64 + dice.roll(95)).unwrap();
            // Quitting ends a session, not a walk: `update` only asks for it.
            KeyEvent::new(KeyCode::Char(char::from(letter)), KeyModifiers::NONE)
        }
    }
}

/// The world changes: objects come and go, seconds pass, the daemon is lost and found.
fn random_news(dice: &mut Dice, now_ms: &mut i64) -> Event {
    match dice.roll(6) {
        0 => {
            *now_ms += i64::try_from(dice.roll(5_000)).unwrap();
            Event::Tick { now_ms: *now_ms }
        }
        1 => {
            let kind = Kind::ALL[usize::try_from(dice.roll(7)).unwrap()];
            let mut list = sample::objects(kind);
            list.objects.retain(|_| dice.roll(3) > 0);
            Event::Answered { ask: Ask::List(kind), outcome: Ok(Answer::List(list)) }
        }
        2 => {
            let mut status = sample::status();
            status.upstreams.retain(|_| dice.roll(4) > 0);
            Event::Answered { ask: Ask::Status, outcome: Ok(Answer::Status(Box::new(status))) }
        }
        3 => Event::Stream(Box::new(wire::Event::Exchange(sample::exchange(dice.roll(1_000))))),
        4 if dice.roll(4) == 0 => Event::Lost { reason: "connection refused".into() },
        4 => Event::Connected,
        _ => Event::Stream(Box::new(wire::Event::Traffic(sample::frame(dice.roll(60))))),
    }
}

/// An honest answer, a problem or a refusal to what was asked.
fn random_answer(dice: &mut Dice, ask: Ask) -> Option<Event> {
    let refusal = wire::ErrorReply { status: 500, title: String::new(), detail: "no".into(), problems: Vec::new() };
    let mut checked = sample::checked();
    if dice.roll(2) == 0 {
        checked.problems = vec![sample::problem("routes.orders.upstream", "no such upstream")];
    }
    let answer = match &ask {
        _ if dice.roll(5) == 0 => return Some(Event::Answered { ask, outcome: Err(refusal) }),
        Ask::Check { .. } | Ask::Diff { .. } => Answer::Checked(Box::new(checked)),
        Ask::Keys { consumer } => Answer::Keys(sample::keys(consumer)),
        Ask::RevokeKey { .. } => Answer::Revoked,
        Ask::Connections { .. } => Answer::Connections(sample::connections()),
        Ask::Timeline { .. } => Answer::Timeline(sample::timeline()),
        Ask::Usage { consumer } => Answer::Usage(sample::usage(consumer)),
        Ask::Kill { .. } => Answer::Killed,
        Ask::Canary { .. } => Answer::Canary,
        Ask::Override { .. } => Answer::Endpoint(Box::new(sample::status().upstreams[0].endpoints[1].clone())),
        Ask::IssueKey { consumer, .. } => {
            let key = sample::keys(consumer).keys.remove(0);
            Answer::Issued(wire::IssuedKey { secret: "wg_secret".into(), key })
        }
        Ask::Explain(_) => Answer::Explained(sample::explained()),
        Ask::Apply { .. } => Answer::Applied(Box::new(wire::Applied {
            revision: sample::revision(213),
            diff: checked.diff,
            effects: checked.effects,
            warnings: Vec::new(),
            changed: true,
            store_warning: None,
        })),
        _ => return None,
    };
    Some(Event::Answered { ask, outcome: Ok(answer) })
}

fn holds(app: &App, seed: u64, step: u32) {
    if let Some(list) = app.list() {
        assert_eq!(list.position().is_none(), list.order.is_empty(), "seed {seed} step {step}: the cursor is lost");
    }
    assert!(app.popups.len() <= POPUPS_MAX && app.trail.len() <= TRAIL_MAX, "seed {seed} step {step}: a stack grew");
}

#[test]
fn any_keys_in_any_order() {
    for seed in 1..=WALKS {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut app = sample::app(if seed % 5 == 0 { Theme::ASCII } else { Theme::COLOR });
        let mut now_ms = sample::NOW;
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        for step in 0..STEPS {
            let event =
                if dice.roll(4) == 0 { random_news(&mut dice, &mut now_ms) } else { Event::Key(random_key(&mut dice)) };
            let mut effects = update(&mut app, event);
            while let Some(effect) = effects.pop() {
                if let Effect::Ask(ask) = effect
                    && let Some(answer) = random_answer(&mut dice, ask)
                {
                    effects.extend(update(&mut app, answer));
                }
            }
            holds(&app, seed, step);
            if step % 5 == 0 {
                terminal.draw(|frame| view::draw(&app, frame)).unwrap();
            }
        }
    }
}
