// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console as an operator meets it: pictures of every screen at three sizes, and scripts of keys and answers.

mod balancer;

mod forms;

mod pictures;

mod scripts;

mod walk;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::App;
use crate::event::{Effect, Event};
use crate::update::update;

/// `"3"`, `"enter"`, `"ctrl-s"`.
fn key(name: &str) -> KeyEvent {
    let (modifiers, name) = match name.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "space" => KeyCode::Char(' '),
        "pgdn" => KeyCode::PageDown,
        "pgup" => KeyCode::PageUp,
        "backspace" => KeyCode::Backspace,
        one => KeyCode::Char(one.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}

/// Presses keys divided by blanks; what the last of them asked for comes back.
fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in keys.split_whitespace() {
        effects = update(app, Event::Key(key(name)));
    }
    effects
}

/// Types a text letter by letter.
fn write(app: &mut App, text: &str) {
    for c in text.chars() {
        update(app, Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
}

/// The question among the effects.
fn asked(effects: &[Effect]) -> crate::event::Ask {
    let mut asks = effects.iter().filter_map(|effect| match effect {
        Effect::Ask(ask) => Some(ask.clone()),
        _ => None,
    });
    asks.next_back().expect("something is asked")
}
