// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health checks: one task on the control runtime that knows when each endpoint is due, and one short task for each
//! check under way.
//!
//! The decisions are `upstream::health`; here is only the clock, the sockets and the list of who is to be checked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use weirgate_store::wire::{EndpointHealth, Event, HealthEvent};

use crate::clock;
use crate::config::snapshot::{HealthPlan, Snapshot, Upstream};
use crate::observe::Observer;
use crate::upstream::endpoint::{Endpoint, Live, Mode};
use crate::upstream::health::probe::probe;
use crate::upstream::health::{Around, CheckOutcome, Health, Schedule, State};

/// Checks under way at once; more wait for a place.
const CHECKS_MAX: usize = 256;

/// Outcomes that wait to be looked at.
const OUTCOMES_MAX: usize = 1024;

/// How finely the schedule is kept.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why an endpoint is as it is, for status and for the store.
#[derive(Clone, Debug)]
pub struct Told {
    pub state: State,
    pub reason: String,
    pub since_ms: i64,
}

/// What is told about every checked endpoint, by [`Live::id`].
pub type Tellings = HashMap<u64, Told>;

struct Subject {
    upstream: Arc<str>,
    name: Arc<str>,
    address: SocketAddr,
    live: Arc<Live>,
    plan: HealthPlan,
    health: Health,
    schedule: Schedule,
    is_under_way: bool,
}

struct Outcome {
    id: u64,
    outcome: CheckOutcome,
}

/// The checker's state.
#[expect(missing_debug_implementations, reason = "private state of one task")]
pub struct Checker {
    observer: Arc<Observer>,
    subjects: HashMap<u64, Subject>,
    /// The checked endpoints of each upstream.
    members: HashMap<Arc<str>, Vec<u64>>,
    tellings: watch::Sender<Tellings>,
    places: Arc<Semaphore>,
    outcomes: mpsc::Sender<Outcome>,
    queue: mpsc::Receiver<Outcome>,
}

impl Checker {
    pub fn new(observer: Arc<Observer>, tellings: watch::Sender<Tellings>) -> Self {
        let (outcomes, queue) = mpsc::channel(OUTCOMES_MAX);
        let places = Arc::new(Semaphore::new(CHECKS_MAX));
        Self { observer, subjects: HashMap::new(), members: HashMap::new(), tellings, places, outcomes, queue }
    }

    /// Checks what each snapshot says, until there are no more snapshots.
    pub async fn run(mut self, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
        let first = Arc::clone(&snapshots.borrow_and_update());
        self.adopt(&first);
        let mut ticker = tokio::time::interval(LOOK_EVERY);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = snapshots.changed() => match changed {
                    Ok(()) => {
                        let snapshot = Arc::clone(&snapshots.borrow_and_update());
                        self.adopt(&snapshot);
                    }
                    Err(_) => return,
                },
                Some(outcome) = self.queue.recv() => self.observe(outcome),
                _ = ticker.tick() => self.start_due(),
            }
        }
    }

    /// Takes over the endpoints of a snapshot; what is known of those that stay is kept.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.subjects);
        for upstream in &snapshot.upstreams {
            for endpoint in &upstream.endpoints {
                let id = endpoint.live.id;
                match (&upstream.health, before.remove(&id)) {
                    (Some(plan), Some(held)) if held.plan == *plan => _ = self.subjects.insert(id, held),
                    (Some(plan), _) => _ = self.subjects.insert(id, subject(upstream, endpoint, plan)),
                    // Nobody looks any more, so what was known says nothing.
                    (None, _) => endpoint.live.set_state(State::Unknown),
                }
            }
        }
        self.members.clear();
        for (id, subject) in &self.subjects {
            self.members.entry(Arc::clone(&subject.upstream)).or_default().push(*id);
        }
        let known = &self.subjects;
        self.tellings.send_modify(|told| told.retain(|id, _| known.contains_key(id)));
    }

    fn start_due(&mut self) {
        let now_ns = clock::since_start_ns();
        for (id, subject) in &mut self.subjects {
            if subject.live.take_suspicion() {
                subject.schedule.suspect(now_ns);
            }
            let is_due = !subject.is_under_way && subject.schedule.due_ns() <= now_ns;
            if !is_due || subject.live.mode() == Mode::Maintenance {
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
            subject.is_under_way = true;
            let (id, check, address) = (*id, subject.plan.check.clone(), subject.address);
            let outcomes = self.outcomes.clone();
            tokio::spawn(async move {
                let outcome = probe(&check, address).await;
                drop(place);
                // The checker is gone only when the process ends.
                _ = outcomes.send(Outcome { id, outcome }).await;
            });
        }
    }

    fn observe(&mut self, Outcome { id, outcome }: Outcome) {
        let now_ns = clock::since_start_ns();
        let Some(upstream) = self.subjects.get(&id).map(|subject| Arc::clone(&subject.upstream)) else { return };
        let around = self.around(&upstream);
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        subject.is_under_way = false;
        let transition = subject.health.observe(subject.plan.rules, outcome, around, now_ns);
        subject.schedule.checked(subject.plan.rules, &subject.health, around, now_ns);
        let Some(transition) = transition else { return };
        subject.live.set_state(transition.to);
        let event = HealthEvent {
            time_ms: clock::wall_ms(),
            upstream: subject.upstream.to_string(),
            address: subject.name.to_string(),
            health: wire_health(transition.to),
            reason: transition.reason.clone(),
        };
        tracing::info!(
            upstream = event.upstream,
            endpoint = event.address,
            reason = event.reason,
            "endpoint is {}",
            transition.to.word()
        );
        let told = Told { state: transition.to, reason: transition.reason, since_ms: event.time_ms };
        self.tellings.send_modify(|all| _ = all.insert(id, told));
        self.observer.publish(Event::Health(event));
        self.hasten_all(&upstream, now_ns);
    }

    /// When the last endpoint of an upstream goes out, all are looked at more often, from now on.
    fn hasten_all(&mut self, upstream: &Arc<str>, now_ns: u64) {
        if self.around(upstream) == Around::Lit {
            return;
        }
        for id in self.members.get(upstream).into_iter().flatten() {
            let Some(subject) = self.subjects.get_mut(id) else { continue };
            subject.schedule.hasten(subject.plan.rules, &subject.health, Around::Dark, now_ns);
        }
    }

    fn around(&self, upstream: &Arc<str>) -> Around {
        let mut members = self.members.get(upstream).into_iter().flatten().filter_map(|id| self.subjects.get(id));
        if members.any(|subject| subject.live.state().is_usable()) { Around::Lit } else { Around::Dark }
    }
}

fn subject(upstream: &Upstream, endpoint: &Endpoint, plan: &HealthPlan) -> Subject {
    let (state, now_ns) = (endpoint.live.state(), clock::since_start_ns());
    Subject {
        upstream: Arc::clone(&upstream.name),
        name: Arc::clone(&endpoint.name),
        address: endpoint.address,
        live: Arc::clone(&endpoint.live),
        plan: plan.clone(),
        health: Health::new(state, now_ns),
        schedule: Schedule::new(plan.rules, state, now_ns, fastrand::u64(..)),
        is_under_way: false,
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
