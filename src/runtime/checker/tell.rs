// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the checker tells, and to whom: the log, the event stream, the timeline, and whoever asks for the status.
//!
//! Every change of what is thought of an endpoint goes through here once, with a sentence that says why.

use std::collections::HashMap;
use std::time::Duration;

use weirgate_store::wire::{EndpointHealth, Event, HealthEvent};

use super::Checker;
use crate::clock;
use crate::upstream::health::State;

/// Why an endpoint is as it is, for status and for the store.
#[derive(Clone, Debug)]
pub struct Told {
    pub health: EndpointHealth,
    pub reason: String,
    pub since_ms: i64,
    /// Until when it is ejected.
    pub ejected_until_ms: Option<i64>,
    /// How many of its ejections count.
    pub ejections: u32,
}

/// What is told about every endpoint of which there was something to tell, by [`crate::upstream::endpoint::Live::id`].
pub type Tellings = HashMap<u64, Told>;

/// What is kept about an endpoint over a restart.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub state: State,
    pub ejected_until_ms: Option<i64>,
    pub ejections: u32,
}

/// By upstream and address.
pub type Restored = HashMap<(String, String), Kept>;

/// Stands for all endpoints in an event about their upstream.
pub(super) const ALL: &str = "*";

impl Checker {
    /// Tells everyone what has become of an endpoint.
    pub(super) fn tell(&mut self, id: u64, health: EndpointHealth, reason: String, now_ns: u64) {
        let Some(subject) = self.subjects.get(&id) else { return };
        let time_ms = clock::wall_ms();
        let left = subject.ejections.until_ns().map(|until_ns| Duration::from_nanos(until_ns.saturating_sub(now_ns)));
        let until_ms = left.map(|left| time_ms.saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)));
        let told = Told {
            health,
            reason: reason.clone(),
            since_ms: time_ms,
            ejected_until_ms: until_ms,
            ejections: subject.ejections.times(),
        };
        let event = HealthEvent {
            time_ms,
            upstream: subject.upstream.to_string(),
            address: subject.endpoint.name.to_string(),
            health,
            reason,
        };
        // In this order: whoever is woken by the telling finds the event.
        self.publish(event);
        self.tellings.send_modify(|all| _ = all.insert(id, told));
    }

    /// Tells what has become of an upstream as a whole.
    pub(super) fn tell_group(&mut self, group: u64, health: EndpointHealth, reason: String) {
        let Some(group) = self.groups.get(&group) else { return };
        let (time_ms, upstream) = (clock::wall_ms(), group.name.to_string());
        self.publish(HealthEvent { time_ms, upstream, address: ALL.to_owned(), health, reason });
    }

    fn publish(&self, event: HealthEvent) {
        tracing::info!(
            upstream = event.upstream,
            endpoint = event.address,
            reason = event.reason,
            "endpoint is {}",
            word(event.health)
        );
        // Whoever keeps the timeline is behind, or there is nobody: the log has it.
        let _kept = self.timeline.try_send(event.clone()).is_ok();
        self.observer.publish(Event::Health(event));
    }
}

fn word(health: EndpointHealth) -> &'static str {
    match health {
        EndpointHealth::Up => "up",
        EndpointHealth::Down => "down",
        EndpointHealth::Unknown => "unknown",
    }
}

/// The three words that the wire has for a state.
pub fn wire_health(state: State) -> EndpointHealth {
    match state {
        State::Healthy => EndpointHealth::Up,
        State::Unhealthy => EndpointHealth::Down,
        State::New | State::Unknown => EndpointHealth::Unknown,
    }
}
