// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies on top of the screen: help, palette, questions, a preview, a secret, an explanation.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use tui_input::Input;
use weirgate_store::wire::{ExplainReply, IssuedKey};

use super::changes::{Tense, checked_lines, problem_lines};
use super::paint::{self, plain, rule, span, wrapped};
use crate::app::{App, Confirm, Popup, Preview, PreviewStage, Screen, Tab};
use crate::keymap::{self, Binding};
use crate::text;
use crate::theme::Tone;
use crate::update::entries;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, popup: &Popup) {
    match popup {
        Popup::Help { scroll } => help(app, frame, area, *scroll),
        Popup::Palette { input, at } => palette(app, frame, area, input, *at),
        // The filter is typed on the last line.
        Popup::Filter { .. } => {}
        Popup::Confirm(confirm) => question(app, frame, area, confirm),
        Popup::Canary { route } => canary(app, frame, area, route),
        Popup::Preview(preview) => preview_window(app, frame, area, preview),
        Popup::Secret { issued, copied } => secret(app, frame, area, issued, *copied),
        Popup::Explain { reply, scroll } => explain(app, frame, area, reply, *scroll),
    }
}

/// A window as tall as its text, up to what fits.
fn text_window(app: &App, frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>, scroll: u16) {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = paint::window(frame, app.theme, area, title, (text_width(area), height));
    paint::scrolled(frame, inner, lines, scroll);
}

/// Long lines are hard to read: no text is wider than this.
fn text_width(area: Rect) -> u16 {
    area.width.saturating_sub(8).min(100)
}

fn help(app: &App, frame: &mut Frame<'_>, area: Rect, scroll: u16) {
    let width = text_width(area);
    let writable = app.write_refusal().is_none();
    let mut lines = wrapped(app.theme, Tone::Plain, purpose(&app.screen), width);
    lines.push(rule(app.theme, "Keys of this screen", "", width));
    let local = keymap::of_screen(&app.screen).iter().filter(|binding| writable || !binding.writes);
    lines.extend(local.flat_map(|binding| key_lines(app, binding, width)));
    if let Some(refusal) = app.write_refusal() {
        lines.extend(wrapped(
            app.theme,
            Tone::Warn,
            &format!("! Keys that change something are hidden. {refusal}."),
            width,
        ));
    }
    if !matches!(app.screen, Screen::Form(_)) {
        lines.push(rule(app.theme, "Keys everywhere", "", width));
        lines.extend(keymap::EVERYWHERE.iter().flat_map(|binding| key_lines(app, binding, width)));
    }
    lines.push(rule(app.theme, "Signs", "", width));
    lines.push(Line::from(plain("✓ well   ✗ wrong   ! worth a look   ~ changed by hand   ? not known yet")));
    text_window(app, frame, area, "help", lines, scroll);
}

fn key_lines(app: &App, binding: &Binding, width: u16) -> Vec<Line<'static>> {
    const KEYS: usize = 14;
    let parts = text::wrap(binding.help, usize::from(width).saturating_sub(KEYS + 1));
    let parts = parts.into_iter().enumerate();
    parts
        .map(|(i, part)| {
            let keys = if i == 0 { binding.all_keys() } else { String::new() };
            Line::from(vec![span(app.theme, Tone::Accent, text::pad(&keys, KEYS)), plain(part)])
        })
        .collect()
}

/// What a screen is for.
fn purpose(screen: &Screen) -> &'static str {
    match screen {
        Screen::Tab(Tab::Overview) => {
            "Is it healthy, and if not, who. Every line under \"needs attention\" can be opened."
        }
        Screen::Tab(Tab::Traffic) => {
            "Requests as they finish, newest first. Moving the cursor pauses; enter opens one with its whole story. \
             Fields of a filter: status ms attempts method host path route upstream endpoint consumer client fault id. \
             Signs: = != ~ (contains) >= <= > <, and ! before a term turns it around."
        }
        Screen::Verdict { .. } => "One request: what happened, where the time went, and why it went there.",
        Screen::Tab(Tab::Routes) | Screen::Route { .. } => {
            "A route says which requests it takes, what they must pass, and which upstream they go to. Numbers are \
             averages of the last five seconds."
        }
        Screen::Tab(Tab::Upstreams) | Screen::Upstream { .. } => {
            "An upstream is a group of endpoints that do the same work. Drain, maintenance and weight act at once, make \
             no revision, and stand until they are taken back."
        }
        Screen::Tab(Tab::Consumers) | Screen::Consumer { .. } => {
            "A consumer is who calls. It proves itself by a key, of which only a hash is kept."
        }
        Screen::Tab(Tab::Certificates) | Screen::Certificate { .. } => "Certificates for listeners that speak https.",
        Screen::Tab(Tab::Changes) | Screen::Revision(_) => {
            "Every change that was applied, newest first. Going back makes a new revision; nothing is lost."
        }
        Screen::Endpoint(_) => {
            "One endpoint. A drain sends no new requests to it; what is in flight finishes, or is cut at the deadline. \
             You may leave this screen: the drain goes on."
        }
        Screen::Connections(_) => {
            "Client connections and UDP sessions that are open now, the oldest first; of more than a thousand the newest. \
             FROM IT and TO IT count bytes of the client so far. HTTP ends at no endpoint: each request chooses one."
        }
        Screen::Timeline { .. } => "When each endpoint went down and up, and why, newest first. It survives a restart.",
        Screen::Listener { .. } => "A listener is an address on which clients connect, and what is spoken there.",
        Screen::Tab(Tab::System) => "The daemon itself: listeners, workers, memory, store, and what happened lately.",
        Screen::Form(_) => {
            "Nothing is applied while you type. The check shows what would change; a second key applies it."
        }
    }
}

fn palette(app: &App, frame: &mut Frame<'_>, area: Rect, input: &Input, at: usize) {
    let width = area.width.saturating_sub(8).min(70);
    let height = area.height.saturating_sub(4).min(16);
    let inner = paint::window(frame, app.theme, area, "command", (width, height));
    let found = entries(app, input.value());
    let rows = usize::from(inner.height.saturating_sub(2)).max(1);
    let mut lines = vec![
        Line::from(vec![span(app.theme, Tone::Accent, ": "), plain(input.value().to_owned())]),
        Line::from(span(app.theme, Tone::Dim, "─".repeat(usize::from(inner.width)))),
    ];
    let words = usize::from(inner.width) / 2;
    for (i, entry) in found.iter().enumerate().skip(at / rows * rows).take(rows) {
        let mark = if i == at { "▸ " } else { "  " };
        let tone = if i == at { Tone::Selected } else { Tone::Plain };
        lines.push(Line::from(vec![
            span(app.theme, Tone::Accent, mark),
            span(app.theme, tone, text::pad(&entry.words, words)),
            span(app.theme, Tone::Dim, format!(" {}", text::fit(entry.meaning, words.saturating_sub(4)))),
        ]));
    }
    if found.is_empty() {
        lines.push(Line::from(span(app.theme, Tone::Dim, "  nothing matches")));
    }
    paint::lines(frame, inner, lines);
    let x = inner.x.saturating_add(2).saturating_add(u16::try_from(input.visual_cursor()).unwrap_or(0));
    frame.set_cursor_position(Position { x: x.min(inner.right().saturating_sub(1)), y: inner.y });
}

fn question(app: &App, frame: &mut Frame<'_>, area: Rect, confirm: &Confirm) {
    let width = text_width(area).min(64);
    let mut lines: Vec<Line<'static>> =
        confirm.lines.iter().flat_map(|line| wrapped(app.theme, Tone::Plain, line, width)).collect();
    lines.push(Line::default());
    lines.push(Line::from(vec![
        span(app.theme, Tone::Accent, "y"),
        plain(format!(" {}      ", confirm.yes)),
        span(app.theme, Tone::Accent, "esc"),
        plain(" do nothing"),
    ]));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = paint::window(frame, app.theme, area, &confirm.title, (width, height));
    paint::lines(frame, inner, lines);
}

/// The canary of a route: how it stands, and what each key would do.
fn canary(app: &App, frame: &mut Frame<'_>, area: Rect, route: &str) {
    let width = text_width(area).min(64);
    let theme = app.theme;
    let words = match app.live.canary(route) {
        Some(status) => format!(
            "{} gets {} % ({}, {}): {}",
            status.upstream,
            status.percent,
            status.state,
            text::span(app.now_ms - status.since_ms),
            status.reason
        ),
        None => "The daemon has not said yet how it stands.".to_owned(),
    };
    let mut lines = wrapped(theme, Tone::Plain, &words, width);
    lines.push(Line::default());
    for binding in keymap::local(app) {
        let label = text::pad(binding.label, 8);
        lines.push(Line::from(vec![
            span(theme, Tone::Accent, text::pad(&binding.key(), 4)),
            plain(format!("{label} {}", binding.help)),
        ]));
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = paint::window(frame, theme, area, &format!("canary of {route}"), (width, height));
    paint::lines(frame, inner, lines);
}

fn preview_window(app: &App, frame: &mut Frame<'_>, area: Rect, preview: &Preview) {
    let width = text_width(area);
    let theme = app.theme;
    let lines = match &preview.stage {
        PreviewStage::Checking => vec![Line::from(span(theme, Tone::Dim, "asking the daemon what this would change…"))],
        PreviewStage::Refused(refusal) => {
            let mut lines = wrapped(theme, Tone::Bad, &format!("✗ {}", refusal.detail), width);
            lines.extend(refusal.problems.iter().flat_map(|p| problem_lines(theme, p, Tone::Bad, "✗", width)));
            lines
        }
        PreviewStage::Checked(checked) => {
            let mut lines = checked_lines(theme, checked, width, Tense::IfApplied);
            lines.push(Line::default());
            lines.push(choice(app, checked.problems.is_empty() && !checked.diff.is_empty()));
            lines
        }
        PreviewStage::Applying(checked) => {
            let mut lines = checked_lines(theme, checked, width, Tense::IfApplied);
            lines.push(Line::from(span(theme, Tone::Dim, "applying…")));
            lines
        }
    };
    text_window(app, frame, area, &preview.title, lines, preview.scroll);
}

fn choice(app: &App, applicable: bool) -> Line<'static> {
    if !applicable {
        return Line::from(span(app.theme, Tone::Dim, "esc close"));
    }
    Line::from(vec![
        span(app.theme, Tone::Accent, "a"),
        plain(" apply      "),
        span(app.theme, Tone::Accent, "esc"),
        plain(" do nothing"),
    ])
}

fn secret(app: &App, frame: &mut Frame<'_>, area: Rect, issued: &IssuedKey, copied: bool) {
    let width = text_width(area).min(72);
    let theme = app.theme;
    let mut lines = wrapped(
        theme,
        Tone::Plain,
        "This is the only time the secret is shown. Hand it over now; the daemon keeps only a hash of it.",
        width,
    );
    lines.push(Line::default());
    lines.push(Line::from(span(theme, Tone::Strong, issued.secret.clone())));
    lines.push(Line::default());
    lines.push(Line::from(span(theme, Tone::Dim, format!("key {} (to revoke it)", issued.key.id))));
    lines.push(Line::from(vec![
        span(theme, Tone::Accent, "y"),
        plain(if copied { " copied ✓ (if your terminal allows it)     " } else { " copy      " }),
        span(theme, Tone::Accent, "esc"),
        plain(" I have kept it"),
    ]));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let title = format!("new key of {}", issued.key.consumer);
    let inner = paint::window(frame, theme, area, &title, (width, height));
    paint::lines(frame, inner, lines);
}

fn explain(app: &App, frame: &mut Frame<'_>, area: Rect, reply: &ExplainReply, scroll: u16) {
    let width = text_width(area);
    let mut lines = wrapped(app.theme, Tone::Strong, &reply.verdict, width);
    for step in &reply.steps {
        lines.push(rule(app.theme, &step.stage, "", width));
        lines.extend(wrapped(app.theme, Tone::Plain, &step.decision, width));
        for detail in &step.details {
            lines.extend(wrapped(app.theme, Tone::Dim, &format!("· {detail}"), width));
        }
    }
    text_window(app, frame, area, &format!("if it came now (revision {})", reply.revision), lines, scroll);
}
