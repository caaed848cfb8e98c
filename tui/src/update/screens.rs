// SPDX-License-Identifier: MIT OR Apache-2.0
//! Going from screen to screen: enter goes deeper and leaves a trail, esc follows it back, a number starts anew.

use crate::app::{Action, App, Confirm, Popup, RevisionView, Scope, Screen, TRAIL_MAX, Tab};
use crate::event::{Ask, Effect};
use crate::list::ListId;

use super::lists::forget;

/// Goes to one of the eight screens.
pub(super) fn go(app: &mut App, tab: Tab) -> Vec<Effect> {
    app.trail.clear();
    app.screen = Screen::Tab(tab);
    follow_if_needed(app)
}

/// Goes deeper.
pub(super) fn enter(app: &mut App, screen: Screen) -> Vec<Effect> {
    if app.trail.len() == TRAIL_MAX {
        app.trail.remove(0);
    }
    let mut effects = match &screen {
        Screen::Upstream { .. } => {
            forget(app, ListId::Endpoints);
            Vec::new()
        }
        Screen::Consumer { .. } => {
            forget(app, ListId::Keys);
            app.live.keys = None;
            app.live.usage = None;
            questions(&screen)
        }
        Screen::Revision(RevisionView { older, newer, .. }) => {
            vec![Effect::Ask(Ask::Diff { older: *older, newer: *newer })]
        }
        Screen::Endpoint(_) | Screen::Connections(_) => {
            forget(app, ListId::Connections);
            app.live.connections = None;
            questions(&screen)
        }
        Screen::Timeline { upstream } => {
            forget(app, ListId::Timeline);
            app.live.timeline = None;
            vec![Effect::Ask(Ask::Timeline { upstream: upstream.clone() })]
        }
        _ => Vec::new(),
    };
    app.trail.push(std::mem::replace(&mut app.screen, screen));
    effects.extend(follow_if_needed(app));
    effects
}

/// Comes back; at the top there is nowhere to go.
pub(super) fn back(app: &mut App) -> Vec<Effect> {
    let Some(screen) = app.trail.pop() else { return Vec::new() };
    app.screen = screen;
    let mut effects = follow_if_needed(app);
    effects.extend(questions(&app.screen));
    effects
}

/// What a screen shows beyond the status and the objects.
pub(super) fn questions(screen: &Screen) -> Vec<Effect> {
    let ask = match screen {
        Screen::Consumer { name } => {
            let keys = Ask::Keys { consumer: name.clone() };
            return vec![Effect::Ask(keys), Effect::Ask(Ask::Usage { consumer: name.clone() })];
        }
        Screen::Endpoint(view) => Ask::Connections { listener: None, upstream: Some(view.upstream.clone()) },
        Screen::Connections(Scope::Upstream(name)) => Ask::Connections { listener: None, upstream: Some(name.clone()) },
        Screen::Connections(Scope::Listener(name)) => Ask::Connections { listener: Some(name.clone()), upstream: None },
        Screen::Connections(Scope::All) => Ask::Connections { listener: None, upstream: None },
        Screen::Timeline { upstream } => Ask::Timeline { upstream: upstream.clone() },
        _ => return Vec::new(),
    };
    vec![Effect::Ask(ask)]
}

/// Single exchanges cost the daemon work, so they are asked for only while somebody looks.
fn follow_if_needed(app: &mut App) -> Vec<Effect> {
    let exchanges = app.tab() == Tab::Traffic;
    if std::mem::replace(&mut app.following, exchanges) == exchanges {
        return Vec::new();
    }
    vec![Effect::Follow { exchanges }]
}

/// Leaves the console, or a form: asks first only where typing would be lost.
pub(super) fn leave_form(app: &mut App, then: Option<Tab>) -> Vec<Effect> {
    let dirty = matches!(&app.screen, Screen::Form(form) if form.dirty());
    if dirty {
        super::popup::push(
            app,
            Popup::Confirm(Confirm {
                title: "leave the form?".to_owned(),
                lines: vec!["What you typed has not been applied and will be lost.".to_owned()],
                yes: "leave it",
                action: Action::Discard(then),
            }),
        );
        return Vec::new();
    }
    match then {
        Some(tab) => go(app, tab),
        None => back(app),
    }
}
