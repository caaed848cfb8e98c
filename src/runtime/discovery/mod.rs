// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that are found while weirgate runs: one task on the control runtime that knows when each source is to be
//! asked, and one short task for each question under way.
//!
//! What an answer means is `upstream::discovery`, what is known of each source is `known`; here are the clock and the
//! list of who is to be asked. An answer that changes nothing costs nothing; one that does replaces that upstream in the
//! running snapshot and nothing else.

mod dns;

mod file;

mod known;

mod lease;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use weirgate_store::engine::{FoundRecord, LeaseRecord};
use weirgate_store::model::Discovery;

use super::appliance::Gateway;
use crate::clock;
use crate::config::Snapshot;
use dns::Asker;
use file::Stamp;
use known::Answer;

pub(super) use known::Discovered;
pub(super) use lease::{Lease, Registered};

/// Questions under way at once; more wait for a place.
const QUESTIONS_MAX: usize = 64;

/// Answers that wait to be looked at.
const ANSWERS_MAX: usize = 256;

/// How finely the schedule is kept.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often a file is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);

/// How soon a source is asked again that failed; the first times sooner, while nothing is known of it.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The first of those times.
const AGAIN_FIRST: Duration = Duration::from_millis(500);

/// What discovery begins with.
#[derive(Debug, Default)]
pub struct Remembered {
    /// The only name server to ask, instead of those of the system.
    pub resolver: Option<SocketAddr>,
    /// The last good answers from before the start.
    pub found: Vec<FoundRecord>,
    pub leases: Vec<LeaseRecord>,
}

/// A source and when it is asked.
struct Subject {
    source: Discovery,
    due_ns: u64,
    is_under_way: bool,
    /// Failures since the last answer.
    failures: u32,
    stamp: Option<Stamp>,
}

/// What came of a question.
struct Outcome {
    upstream: Arc<str>,
    source: Discovery,
    /// Nothing if nothing has changed.
    said: Option<Result<Answer, String>>,
    stamp: Option<Stamp>,
}

/// The task's state.
pub(super) struct Finder {
    gateway: Weak<Gateway>,
    asker: Arc<Asker>,
    subjects: HashMap<Arc<str>, Subject>,
    places: Arc<Semaphore>,
    outcomes: mpsc::Sender<Outcome>,
    queue: mpsc::Receiver<Outcome>,
}

impl Finder {
    pub(super) fn new(gateway: Weak<Gateway>, resolver: Option<SocketAddr>) -> Self {
        let (outcomes, queue) = mpsc::channel(ANSWERS_MAX);
        let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
        let asker = Arc::new(Asker::new(resolver));
        Self { gateway, asker, subjects: HashMap::new(), places, outcomes, queue }
    }

    /// Looks for endpoints until the gateway is gone.
    pub(super) async fn run(mut self, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
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
                Some(outcome) = self.queue.recv() => {
                    let Some(gateway) = self.gateway.upgrade() else { return };
                    self.take(&gateway, outcome);
                }
                _ = ticker.tick() => {
                    let Some(gateway) = self.gateway.upgrade() else { return };
                    gateway.end_leases();
                    self.start_due(&gateway);
                }
            }
        }
    }

    /// Takes over the sources of a snapshot; one that is new is asked at once.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.subjects);
        for upstream in &snapshot.upstreams {
            let Some(source) = &upstream.membership.source else { continue };
            let held = before.remove(&upstream.name).filter(|held| held.source == *source);
            let new = || Subject { source: source.clone(), due_ns: 0, is_under_way: false, failures: 0, stamp: None };
            self.subjects.insert(Arc::clone(&upstream.name), held.unwrap_or_else(new));
        }
    }

    fn start_due(&mut self, gateway: &Gateway) {
        let now_ns = clock::since_start_ns();
        for (upstream, subject) in &mut self.subjects {
            if subject.is_under_way || subject.due_ns > now_ns || matches!(subject.source, Discovery::Lease(_)) {
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
            subject.is_under_way = true;
            let (upstream, source, stamp) = (Arc::clone(upstream), subject.source.clone(), subject.stamp);
            let kept = gateway.discovered().found(&upstream, &source);
            let (asker, outcomes) = (Arc::clone(&self.asker), self.outcomes.clone());
            tokio::spawn(async move {
                let (said, stamp) = match &source {
                    Discovery::File(file) => look(file.path.clone(), stamp).await,
                    _ => (Some(asker.ask(&source, &kept).await), None),
                };
                drop(place);
                // The finder is gone only when the process ends.
                _ = outcomes.send(Outcome { upstream, source, said, stamp }).await;
            });
        }
    }

    /// Takes in one answer and all that wait behind it, so that many changes make one new snapshot.
    fn take(&mut self, gateway: &Gateway, first: Outcome) {
        let mut changed = Vec::new();
        let mut next = Some(first);
        while let Some(outcome) = next {
            if let Some(upstream) = self.observe(gateway, outcome) {
                changed.push(upstream);
            }
            next = self.queue.try_recv().ok();
        }
        if !changed.is_empty() {
            gateway.rejoin(&changed);
        }
    }

    /// The upstream, if other endpoints of it were found.
    fn observe(&mut self, gateway: &Gateway, outcome: Outcome) -> Option<Arc<str>> {
        let Outcome { upstream, source, said, stamp } = outcome;
        let subject = self.subjects.get_mut(&upstream).filter(|subject| subject.source == source)?;
        subject.is_under_way = false;
        subject.stamp = stamp;
        subject.failures = match &said {
            Some(Err(_)) => subject.failures.saturating_add(1),
            Some(Ok(_)) | None => 0,
        };
        let wait = wait(&source, said.as_ref(), subject.failures);
        let now_ns = clock::since_start_ns();
        subject.due_ns = now_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        let said = said?;
        if let (Err(trouble), 1) = (&said, subject.failures) {
            tracing::warn!(upstream = &*upstream, trouble, "discovery failed; what was found last is kept");
        }
        let changed = gateway.discovered().tell(&upstream, &source, said, clock::wall_ms());
        changed.then_some(upstream)
    }
}

/// How long until a source is asked again: its TTL and up to a tenth more, so that many weirgates do not march in step.
fn wait(source: &Discovery, said: Option<&Result<Answer, String>>, failures: u32) -> Duration {
    let base = match (source, said) {
        (Discovery::File(_), _) => return FILE_EVERY,
        (_, Some(Ok(answer))) => answer.ttl.unwrap_or(AGAIN_AFTER),
        (_, _) => AGAIN_AFTER.min(AGAIN_FIRST * 2_u32.saturating_pow(failures.saturating_sub(1).min(8))),
    };
    base + base.mul_f64(fastrand::f64() / 10.0)
}

/// Reads a file where it may block.
async fn look(path: String, stamp: Option<Stamp>) -> (Option<Result<Answer, String>>, Option<Stamp>) {
    match tokio::task::spawn_blocking(move || file::read(&path, stamp)).await {
        Ok(Some((said, stamp))) => (Some(said), stamp),
        Ok(None) => (None, stamp),
        Err(_) => (Some(Err("the file was not read to its end".to_owned())), None),
    }
}
