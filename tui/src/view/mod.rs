// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws the state. Every function here only reads; drawing twice gives the same picture.
//!
//! From top to bottom: one line that says whether all is well, the eight screens, a banner when something stands in
//! the way, the screen, a notice, and the keys that can be pressed now. What does not fit is dropped: columns from
//! the right, panels from the bottom.

mod changes;

mod chart;

mod edges;

mod endpoint;

mod empty;

mod form;

mod objects;

mod overview;

mod paint;

mod popup;

mod route;

mod system;

mod table;

mod traffic;

mod upstream;

mod usage;

mod verdict;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::{App, Popup, Scope, Screen, Tab};
use crate::theme::{Glyphs, to_ascii};

/// The smallest terminal a picture makes sense on.
const WIDTH_MIN: u16 = 40;
const HEIGHT_MIN: u16 = 8;

pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        frame.render_widget(format!("too small: {WIDTH_MIN}x{HEIGHT_MIN} at least; q quits"), area);
        return;
    }
    let banner = u16::from(edges::banner(app).is_some());
    let rows = [1, 1, banner].map(Constraint::Length);
    let [top, tabs, warning, body, foot] =
        Layout::vertical([rows.as_slice(), &[Constraint::Fill(1), Constraint::Length(1)]].concat()).areas(area);
    paint::line(frame, top, edges::header(app, top.width));
    paint::line(frame, tabs, edges::tabs(app, tabs.width));
    if let Some(text) = edges::banner(app) {
        paint::line(frame, warning, text);
    }
    screen(app, frame, body);
    edges::notice(app, frame, body);
    for popup in &app.popups {
        popup::draw(app, frame, body, popup);
    }
    match app.popups.last() {
        Some(Popup::Filter { input, error, .. }) => edges::filter_line(app, frame, foot, input, error.as_deref()),
        _ => paint::line(frame, foot, edges::footer(app, foot.width)),
    }
    if app.theme.glyphs == Glyphs::Ascii {
        to_ascii(frame.buffer_mut());
    }
}

fn screen(app: &App, frame: &mut Frame<'_>, area: Rect) {
    match &app.screen {
        Screen::Tab(Tab::Overview) => overview::draw(app, frame, area),
        Screen::Tab(Tab::Traffic) => traffic::draw(app, frame, area),
        Screen::Tab(Tab::System) => system::draw(app, frame, area),
        Screen::Tab(Tab::Routes | Tab::Upstreams | Tab::Consumers | Tab::Certificates | Tab::Changes) => {
            table::screen(app, frame, area);
        }
        Screen::Verdict { record, scroll } => verdict::draw(app, frame, area, record, *scroll),
        Screen::Route { name, scroll } => route::draw(app, frame, area, name, *scroll),
        Screen::Upstream { name } => upstream::draw(app, frame, area, name),
        Screen::Endpoint(view) => endpoint::draw(app, frame, area, view),
        Screen::Connections(scope) => table::named(app, frame, area, &connections_title(app, scope)),
        Screen::Timeline { upstream } => table::named(app, frame, area, &format!("upstreams ▸ {upstream} ▸ history")),
        Screen::Listener { name, scroll } => objects::listener(app, frame, area, name, *scroll),
        Screen::Consumer { name } => objects::consumer(app, frame, area, name),
        Screen::Certificate { name, scroll } => objects::certificate(app, frame, area, name, *scroll),
        Screen::Revision(view) => changes::draw(app, frame, area, view),
        Screen::Form(form) => form::draw(app, frame, area, form),
    }
}

/// Connections that the daemon tells at most in one answer.
const CONNECTIONS_TOLD: usize = 1_000;

fn connections_title(app: &App, scope: &Scope) -> String {
    let told = matches!(&app.live.connections, Some(Ok(list)) if list.len() >= CONNECTIONS_TOLD);
    let newest = if told { " (the newest)" } else { "" };
    let place = match scope {
        Scope::All => "connections".to_owned(),
        Scope::Upstream(name) => format!("upstreams ▸ {name} ▸ connections"),
        Scope::Listener(name) => format!("system ▸ {name} ▸ connections"),
    };
    place + newest
}
