// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the event stream brings: numbers, exchanges, and news that make the rest be read again.
//! A burst of news must not become a burst of questions.

use weirgate_store::wire::Event;

use super::ask_status;
use crate::app::App;
use crate::event::Effect;

pub(super) fn take(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Traffic(frame) => {
            app.live.heard_ms = app.now_ms;
            app.live.take(frame);
            Vec::new()
        }
        Event::Exchange(record) => {
            app.traffic.take(record);
            Vec::new()
        }
        Event::Health(health) => {
            let word = match health.health {
                weirgate_store::wire::EndpointHealth::Up => "up",
                weirgate_store::wire::EndpointHealth::Down => "down",
                weirgate_store::wire::EndpointHealth::Unknown => "unknown",
            };
            let text = format!("{}/{} is {word}: {}", health.upstream, health.address, health.reason);
            app.live.say(health.time_ms, text);
            app.live.happened(&health);
            ask_status(app)
        }
        Event::Revision(info) => {
            let text = format!("revision {} runs, by {}: {}", info.number, info.author, info.comment);
            app.live.say(info.time_ms, text);
            app.unread_revision = info.number;
            Vec::new()
        }
        Event::Audit { time_ms, author, text } => {
            app.live.say(time_ms, format!("{author}: {text}"));
            ask_status(app)
        }
        Event::Dropped { exchanges } => {
            app.traffic.dropped = app.traffic.dropped.saturating_add(exchanges);
            Vec::new()
        }
    }
}
