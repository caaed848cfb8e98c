// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came back for a question. An answer to a form or popup that is gone, or has asked again, is forgotten.

use weirgate_store::wire::{Applied, CanaryVerb, Checked, EndpointStatus, ErrorReply, OverrideMode};

use super::{ask_status, reload, screens};
use crate::app::{App, EndpointView, NoticeTone, Popup, Preview, PreviewStage, Screen};
use crate::event::{Answer, Ask, Effect};
use crate::form::{Form, Stage};
use crate::text;

pub(super) fn take(app: &mut App, ask: Ask, outcome: Result<Answer, ErrorReply>) -> Vec<Effect> {
    if ask == Ask::Status {
        app.status_asked = false;
    }
    match outcome {
        Ok(answer) => answered(app, ask, answer),
        Err(refusal) => refused(app, &ask, refusal),
    }
}

fn answered(app: &mut App, ask: Ask, answer: Answer) -> Vec<Effect> {
    match (ask, answer) {
        (_, Answer::Status(status)) => {
            app.live.heard_ms = app.now_ms;
            app.live.status = Some(*status);
            watch(app);
        }
        (_, Answer::List(list)) => app.live.set_objects(list.kind, list.revision, list.objects),
        (_, Answer::Revisions(list)) => app.live.revisions = Some(list),
        (Ask::Diff { older, newer }, Answer::Checked(checked)) => {
            if let Screen::Revision(view) = &mut app.screen
                && (view.older, view.newer) == (older, newer)
            {
                view.diff = Some(checked);
            }
        }
        (Ask::Check { ticket, .. }, Answer::Checked(checked)) => take_checked(app, ticket, checked),
        (Ask::Apply { ticket, .. }, Answer::Applied(applied)) => return take_applied(app, ticket, &applied),
        (Ask::Override { ticket, upstream, request, .. }, Answer::Endpoint(endpoint)) => {
            return overridden(app, ticket, upstream, request.mode, &endpoint);
        }
        (Ask::Connections { .. }, Answer::Connections(list)) => app.live.connections = Some(Ok(list)),
        (Ask::Timeline { upstream }, Answer::Timeline(events)) => app.live.timeline = Some((upstream, Ok(events))),
        (Ask::Kill { .. }, Answer::Killed) => {
            app.say(NoticeTone::Done, "the connection is closed");
            return screens::questions(&app.screen);
        }
        (Ask::Canary { route, verb }, Answer::Canary) => {
            app.say(NoticeTone::Done, format!("canary of {route}: {}", canary_done(verb)));
            return ask_status(app);
        }
        (Ask::Usage { consumer }, Answer::Usage(reply)) => app.live.usage = Some((consumer, reply)),
        (Ask::Keys { consumer }, Answer::Keys(list)) => app.live.keys = Some((consumer, list.keys)),
        (Ask::IssueKey { ticket, .. }, Answer::Issued(issued)) => {
            // Even if the form is gone: the secret exists, and this is the only time it can be seen.
            let effects = close_form(app, ticket);
            let consumer = issued.key.consumer.clone();
            super::popup::push(app, Popup::Secret { issued, copied: false });
            return [effects, vec![Effect::Ask(Ask::Keys { consumer })]].concat();
        }
        (Ask::RevokeKey { consumer, id }, Answer::Revoked) => {
            app.say(NoticeTone::Done, format!("key {id} is revoked"));
            return vec![Effect::Ask(Ask::Keys { consumer })];
        }
        (Ask::Explain(_), Answer::Explained(reply)) => {
            super::popup::push(app, Popup::Explain { reply: Box::new(reply), scroll: 0 });
        }
        _ => {}
    }
    Vec::new()
}

/// An override stands now. A drain that has begun is watched.
fn overridden(
    app: &mut App,
    ticket: u64,
    upstream: String,
    mode: OverrideMode,
    endpoint: &EndpointStatus,
) -> Vec<Effect> {
    let word = crate::rows::health_word(endpoint);
    app.say(NoticeTone::Done, format!("{} of {upstream}: {word}", endpoint.address));
    let on_top = matches!(&app.screen, Screen::Form(form) if form.ticket == ticket);
    let mut effects = close_form(app, ticket);
    effects.extend(ask_status(app));
    let watched = matches!(&app.screen, Screen::Endpoint(_));
    if on_top && mode == OverrideMode::Drain && !watched {
        let view = EndpointView { upstream, address: endpoint.address.clone(), ..EndpointView::default() };
        effects.extend(screens::enter(app, Screen::Endpoint(view)));
        watch(app);
    }
    effects
}

/// Remembers what the endpoint that is watched carried.
pub(super) fn watch(app: &mut App) {
    let now_ms = app.now_ms;
    let screens = std::iter::once(&mut app.screen).chain(&mut app.trail);
    for screen in screens {
        let Screen::Endpoint(view) = screen else { continue };
        let Some(endpoint) = app.live.endpoint(&view.upstream, &view.address) else { continue };
        view.peak = view.peak.max(endpoint.in_flight);
        view.first.get_or_insert((now_ms, endpoint.in_flight));
    }
}

fn canary_done(verb: CanaryVerb) -> &'static str {
    match verb {
        CanaryVerb::Start => "started from the first step",
        CanaryVerb::Stop => "stays where it is",
        CanaryVerb::Resume => "goes on",
        CanaryVerb::Back => "the new side gets nothing now",
    }
}

/// The form that waits for this ticket, wherever it lies in the trail.
fn form_of(app: &mut App, ticket: u64) -> Option<&mut Form> {
    let screens = std::iter::once(&mut app.screen).chain(&mut app.trail);
    screens
        .filter_map(|screen| match screen {
            Screen::Form(form) => Some(&mut **form),
            _ => None,
        })
        .find(|form| form.ticket == ticket && matches!(form.stage, Stage::Checking | Stage::Applying(_)))
}

fn preview_of(app: &mut App, ticket: u64) -> Option<&mut Preview> {
    app.popups.iter_mut().find_map(|popup| match popup {
        Popup::Preview(preview) if preview.ticket == ticket => Some(&mut **preview),
        _ => None,
    })
}

fn take_checked(app: &mut App, ticket: u64, checked: Box<Checked>) {
    if let Some(form) = form_of(app, ticket) {
        if checked.problems.is_empty() {
            form.stage = Stage::Review(Some(checked));
        } else {
            form.take_problems(checked.problems);
        }
    } else if let Some(preview) = preview_of(app, ticket) {
        preview.stage = PreviewStage::Checked(checked);
    }
}

fn take_applied(app: &mut App, ticket: u64, applied: &Applied) -> Vec<Effect> {
    let mut effects = close_form(app, ticket);
    if preview_of(app, ticket).is_some() {
        app.popups.retain(|popup| !matches!(popup, Popup::Preview(preview) if preview.ticket == ticket));
        leave_removed(app, applied);
    }
    match (&applied.store_warning, applied.changed) {
        (Some(warning), _) => app.say(NoticeTone::Failed, format!("it runs, but could not be stored: {warning}")),
        (None, false) => app.say(NoticeTone::Done, "nothing differed; no revision was made"),
        (None, true) => {
            let count = text::plural(applied.diff.len() as u64, "object");
            app.say(NoticeTone::Done, format!("revision {} runs ({count} changed)", applied.revision.number));
        }
    }
    app.read_revision = applied.revision.number;
    effects.extend(ask_status(app));
    effects.extend(reload());
    effects
}

/// A screen about an object that has just been removed has nothing left to show.
fn leave_removed(app: &mut App, applied: &Applied) {
    let removed = |name: &str| {
        let gone = weirgate_store::wire::DiffKind::Removed;
        applied.diff.iter().any(|entry| entry.change == gone && entry.name == name)
    };
    let leave = match &app.screen {
        Screen::Route { name, .. }
        | Screen::Listener { name, .. }
        | Screen::Upstream { name }
        | Screen::Consumer { name } => removed(name),
        _ => false,
    };
    if leave && let Some(screen) = app.trail.pop() {
        app.screen = screen;
    }
}

fn close_form(app: &mut App, ticket: u64) -> Vec<Effect> {
    let on_top = matches!(&app.screen, Screen::Form(form) if form.ticket == ticket);
    if on_top {
        return screens::back(app);
    }
    app.trail.retain(|screen| !matches!(screen, Screen::Form(form) if form.ticket == ticket));
    Vec::new()
}

fn refused(app: &mut App, ask: &Ask, refusal: ErrorReply) -> Vec<Effect> {
    match ask {
        // Shown where the list would be.
        Ask::Connections { .. } => app.live.connections = Some(Err(refusal.detail.clone())),
        Ask::Timeline { upstream } => app.live.timeline = Some((upstream.clone(), Err(refusal.detail.clone()))),
        _ => {}
    }
    let ticket = match ask {
        Ask::Check { ticket, .. }
        | Ask::Apply { ticket, .. }
        | Ask::Override { ticket, .. }
        | Ask::IssueKey { ticket, .. } => *ticket,
        _ => 0,
    };
    if let Some(form) = form_of(app, ticket) {
        form.take_refusal(refusal);
    } else if let Some(preview) = preview_of(app, ticket) {
        preview.stage = PreviewStage::Refused(refusal);
    } else if !matches!(ask, Ask::Connections { .. } | Ask::Timeline { .. })
        && (refusal.status != 0 || !asked_by_itself(ask))
    {
        app.say(NoticeTone::Failed, refusal.detail);
    }
    Vec::new()
}

/// What no key asked for. If nobody answers that, the banner says so already.
fn asked_by_itself(ask: &Ask) -> bool {
    matches!(ask, Ask::Status | Ask::List(_) | Ask::Revisions | Ask::Keys { .. } | Ask::Usage { .. })
}
