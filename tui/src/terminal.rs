// SPDX-License-Identifier: MIT OR Apache-2.0
//! The terminal: taken over once, given back on every way out (end, error, panic, signal, lost line).
//!
//! A picture is written as one synchronized update, so that it never tears. Whether there is something to draw is not
//! decided here.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::app::App;
use crate::view;

/// Largest text put on the clipboard, in bytes: many terminals drop longer ones without a word.
pub const COPY_BYTES_MAX: usize = 50_000;

/// Whether the terminal is ours now. The terminal is one for the process, so this is too.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// The terminal while it is ours.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub fn take() -> anyhow::Result<Self> {
        anyhow::ensure!(
            io::stdout().is_terminal(),
            "the console needs a terminal; without one use `weirgate status`, or `weirgate console --plain`"
        );
        give_back_on_panic();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        // From here on a failure must give the terminal back too: the guard exists before the next step.
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let screen = terminal.map(|terminal| Self { terminal }).inspect_err(|_| give_back())?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        Ok(screen)
    }

    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view::draw(app, frame))?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Puts a text on the clipboard, cut to what terminals take.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut end = text.len().min(COPY_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once. The line may be gone already: nothing here can fail in a way that matters.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    drop(execute!(out, EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show));
    drop(disable_raw_mode());
    drop(out.flush());
}

/// The message of a panic must be readable, so the terminal goes back first. In the demo the daemon runs in the same
/// process; a panic of one of its threads is not the console's end and leaves the terminal alone.
fn give_back_on_panic() {
    HOOK.call_once(|| {
        let console = std::thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == console {
                give_back();
            }
            before(panic);
        }));
    });
}
