// SPDX-License-Identifier: MIT OR Apache-2.0
//! The canaries of the running revision: who counts their requests, sets their shares, and says when they move.
//!
//! The decisions are `route::canary`; here is only the clock, the meters and the list of who moves. A share changes
//! without a revision: workers read it from the split at each request. What must stay true: where a canary stands is
//! kept (`memory`) and survives a restart, and every move has a reason in the log and in the audit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use weirgate_store::engine::CanaryRecord;
use weirgate_store::wire::{CanaryStatus, CanaryVerb, Event};

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::observe::{Meter, Observer};
use crate::route::canary::{Plan, Progress, Seen, State, Verb};
use crate::route::split::Share;

/// How often canaries are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The author of moves that nobody asked for.
pub const ITSELF: &str = "weirgate (canary)";

/// All canaries that run, and those that are known from before the start.
#[derive(Debug)]
pub struct Canaries {
    observer: Arc<Observer>,
    running: Mutex<HashMap<Arc<str>, Running>>,
    /// From before the start; asked for until the first model runs.
    remembered: Mutex<HashMap<String, CanaryRecord>>,
    records: watch::Sender<Vec<CanaryRecord>>,
}

#[derive(Debug)]
struct Running {
    plan: Plan,
    progress: Progress,
    author: String,
    share: Arc<Share>,
    meter: Arc<Meter>,
    /// What the meter said when the step began.
    base: Seen,
}

impl Running {
    fn seen(&self) -> Seen {
        let now = read(&self.meter);
        Seen {
            requests: now.requests.saturating_sub(self.base.requests),
            errors: now.errors.saturating_sub(self.base.errors),
            micros: now.micros.saturating_sub(self.base.micros),
        }
    }

    fn move_to(&mut self, progress: Progress, author: &str) {
        self.progress = progress;
        author.clone_into(&mut self.author);
        self.share.set(self.progress.percent(&self.plan));
        self.base = read(&self.meter);
    }

    fn record(&self, route: &str) -> CanaryRecord {
        CanaryRecord {
            route: route.to_owned(),
            key: self.plan.key(),
            state: self.progress.state.word().to_owned(),
            step: self.progress.step,
            since_ms: self.progress.since_ms,
            reason: self.progress.reason.clone(),
            author: self.author.clone(),
        }
    }

    fn status(&self, route: &str) -> CanaryStatus {
        CanaryStatus {
            route: route.to_owned(),
            upstream: self.plan.upstream.clone(),
            percent: self.progress.percent(&self.plan),
            step: self.progress.step,
            state: self.progress.state.word().to_owned(),
            reason: self.progress.reason.clone(),
            since_ms: self.progress.since_ms,
        }
    }
}

fn read(meter: &Meter) -> Seen {
    let totals = meter.sum();
    Seen { requests: totals.requests, errors: totals.server_errors, micros: totals.micros }
}

/// What the store remembers of a canary, if it is still the same one.
fn progress_of(record: &CanaryRecord, plan: &Plan) -> Option<Progress> {
    let CanaryRecord { key, state, step, since_ms, reason, .. } = record;
    let state = State::of(state).filter(|_| *key == plan.key())?;
    Some(Progress { state, step: *step, since_ms: *since_ms, reason: reason.clone() })
}

impl Canaries {
    pub fn new(observer: Arc<Observer>, remembered: Vec<CanaryRecord>) -> Self {
        let remembered = remembered.into_iter().map(|record| (record.route.clone(), record)).collect();
        let records = watch::Sender::new(Vec::new());
        Self { observer, running: Mutex::default(), remembered: Mutex::new(remembered), records }
    }

    /// The share that a canary had reached before the start.
    pub fn reached(&self, route: &str, plan: &Plan) -> Option<u16> {
        let remembered = locked(&self.remembered);
        let progress = progress_of(remembered.get(route)?, plan)?;
        Some(progress.percent(plan))
    }

    /// Takes over the canaries of a revision that runs now. One that was there before goes on where it is.
    pub fn adopt(&self, snapshot: &Snapshot, now_ms: i64) {
        let mut remembered = std::mem::take(&mut *locked(&self.remembered));
        let mut running = locked(&self.running);
        let mut before = std::mem::take(&mut *running);
        for route in snapshot.routes.iter() {
            let Some(split) = &route.split else { continue };
            let Some(canary) = &split.canary else { continue };
            let Some(side) = split.sides.get(canary.side) else { continue };
            let held = before.remove(&route.name).filter(|held| held.plan.key() == canary.plan.key());
            let known = remembered.remove(&*route.name);
            let (progress, author) = match (held, known) {
                (Some(held), _) if Arc::ptr_eq(&held.meter, &side.meter) => {
                    let held = Running { plan: canary.plan.clone(), share: Arc::clone(&canary.share), ..held };
                    held.share.set(held.progress.percent(&held.plan));
                    running.insert(Arc::clone(&route.name), held);
                    continue;
                }
                (Some(held), _) => (held.progress, held.author),
                (None, Some(known)) if progress_of(&known, &canary.plan).is_some() => {
                    (progress_of(&known, &canary.plan).unwrap_or_else(|| begun(now_ms)), known.author)
                }
                (None, _) => (begun(now_ms), ITSELF.to_owned()),
            };
            let (plan, meter) = (canary.plan.clone(), Arc::clone(&side.meter));
            let share = Arc::clone(&canary.share);
            share.set(progress.percent(&plan));
            let base = read(&meter);
            running.insert(Arc::clone(&route.name), Running { plan, progress, author, share, meter, base });
        }
        self.publish(&running);
    }

    /// Looks at every one of them.
    fn look(&self, now_ms: i64) {
        let mut running = locked(&self.running);
        let mut has_moved = false;
        for (route, canary) in running.iter_mut() {
            let Some(next) = canary.progress.look(&canary.plan, canary.seen(), now_ms) else { continue };
            canary.move_to(next, ITSELF);
            has_moved = true;
            self.tell(route, canary);
        }
        if has_moved {
            self.publish(&running);
        }
    }

    /// Does what an operator asks; what to keep of it.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn ask(&self, route: &str, verb: CanaryVerb, author: &str, now_ms: i64) -> Result<CanaryRecord, String> {
        let mut running = locked(&self.running);
        let canary = running.get_mut(route).ok_or_else(|| format!("route \"{route}\" has no canary"))?;
        let verb = match verb {
            CanaryVerb::Start => Verb::Start,
            CanaryVerb::Stop => Verb::Stop,
            CanaryVerb::Resume => Verb::Resume,
            CanaryVerb::Back => Verb::Back,
        };
        let next = canary.progress.ask(&canary.plan, verb, author, now_ms)?;
        canary.move_to(next, author);
        let record = canary.record(route);
        self.publish(&running);
        Ok(record)
    }

    /// How they stand, by route.
    pub fn statuses(&self) -> Vec<CanaryStatus> {
        let mut all: Vec<_> = locked(&self.running).iter().map(|(route, canary)| canary.status(route)).collect();
        all.sort_by(|one, other| one.route.cmp(&other.route));
        all
    }

    /// What is to be kept, as it changes.
    pub fn records(&self) -> watch::Receiver<Vec<CanaryRecord>> {
        self.records.subscribe()
    }

    fn publish(&self, running: &HashMap<Arc<str>, Running>) {
        let records: Vec<_> = running.iter().map(|(route, canary)| canary.record(route)).collect();
        self.records.send_if_modified(|before| {
            let has_changed = before.len() != records.len() || records.iter().any(|record| !before.contains(record));
            *before = records;
            has_changed
        });
    }

    /// Says that one has moved.
    fn tell(&self, route: &str, canary: &Running) {
        let Progress { state, reason, .. } = &canary.progress;
        let percent = canary.progress.percent(&canary.plan);
        match state {
            State::Moving | State::Done => tracing::info!(route, percent, reason, "canary is {}", state.word()),
            State::Back | State::Stopped => tracing::warn!(route, percent, reason, "canary is {}", state.word()),
        }
        let text = format!("canary: route {route}: {reason}");
        self.observer.publish(Event::Audit { time_ms: clock::wall_ms(), author: ITSELF.to_owned(), text });
    }
}

/// Looks at all canaries from time to time, until nobody else has them.
pub async fn run(canaries: std::sync::Weak<Canaries>) {
    let mut ticker = tokio::time::interval(LOOK_EVERY);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticker.tick().await;
        let Some(canaries) = canaries.upgrade() else { return };
        canaries.look(clock::wall_ms());
    }
}

fn begun(now_ms: i64) -> Progress {
    Progress::start("begun with the revision that brought it", now_ms)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every entry is whole at every step, so a panic elsewhere left nothing half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
