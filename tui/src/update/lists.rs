// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps the list on the screen in step with what is known, after every event.

use crate::app::{App, Screen, Tab};
use crate::list::ListId;
use crate::rows;

pub(super) fn refresh(app: &mut App) {
    let Some(list) = app.list_id() else { return };
    let rows = rows::rows(app, list);
    let now_ms = app.now_ms;
    app.lists.of_mut(list).refresh(rows, now_ms);
}

/// Rows that a page moves by; the frame around a list takes about six lines.
fn page(app: &App) -> isize {
    isize::try_from(app.size.1.saturating_sub(6).max(1)).unwrap_or(1)
}

/// How far a movement goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Row(isize),
    Page(isize),
    End(isize),
}

/// Moves whatever the screen lets move: the cursor of a list, of the tail, or the text.
pub(super) fn step(app: &mut App, step: Step) {
    let by = match step {
        Step::Row(by) => by,
        Step::Page(direction) => direction * page(app),
        Step::End(direction) => direction.saturating_mul(isize::MAX),
    };
    let now_ms = app.now_ms;
    if let Some(list) = app.list_id() {
        app.lists.of_mut(list).step(by, now_ms);
        return;
    }
    match &mut app.screen {
        Screen::Tab(Tab::Traffic) if matches!(step, Step::End(-1)) => app.traffic.follow(),
        Screen::Tab(Tab::Traffic) => app.traffic.step(by),
        Screen::Verdict { scroll, .. }
        | Screen::Route { scroll, .. }
        | Screen::Listener { scroll, .. }
        | Screen::Certificate { scroll, .. } => roll(scroll, by),
        Screen::Revision(view) => roll(&mut view.scroll, by),
        Screen::Form(form) => roll(&mut form.scroll, by),
        // The others have a list, whose cursor has moved above.
        _ => {}
    }
}

/// Farthest a text can be scrolled; views stop at its end.
const SCROLL_MAX: u16 = 20_000;

pub(super) fn roll(scroll: &mut u16, by: isize) {
    let by = by.clamp(-isize::try_from(SCROLL_MAX).unwrap_or(0), isize::try_from(SCROLL_MAX).unwrap_or(0));
    *scroll = scroll.saturating_add_signed(i16::try_from(by).unwrap_or(0)).min(SCROLL_MAX);
}

/// Starts a list of details anew: its rows belong to another parent now.
pub(super) fn forget(app: &mut App, list: ListId) {
    *app.lists.of_mut(list) = crate::list::ListState::default();
}
