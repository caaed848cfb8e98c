// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health of endpoints: one thread that knows when each is due, what checks and requests say of it, and decides.
//!
//! The decisions are the pure cores of `upstream`; here is only the clock, the sockets and the list of who is to be
//! looked at. Every endpoint is a `Subject`, checked or not, because requests speak about all. One task decides for
//! all workers, so no decision needs a lock. It has a thread of its own, so that ten thousand checks hold up neither a
//! request nor an operator.

mod decide;

mod queue;

mod start;

mod subject;

mod tell;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use weirgate_store::wire::{EndpointHealth, HealthEvent};

use self::queue::{Due, Queue};
use self::subject::Subject;
use crate::clock;
use crate::config::snapshot::{Care, Snapshot, Upstream};
use crate::observe::Observer;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::probe::Attempts;
use crate::upstream::health::{CheckOutcome, Failure};
use crate::upstream::outlier::Ejections;
use crate::upstream::passive::Bell;

pub use tell::{Kept, Restored, Tellings, Told, wire_health};

/// Checks under way at once; more wait for a place. With ten thousand endpoints that are all silent, each check holds
/// its place for its whole time limit.
const CHECKS_MAX: usize = 8_192;

/// Outcomes that wait to be looked at.
const OUTCOMES_MAX: usize = 1_024;

/// Outcomes that are looked at in one go.
const OUTCOMES_AT_ONCE: usize = 64;

/// Rings of workers that wait; what does not fit is found by the next sweep.
const BELL_MAX: usize = 1_024;

/// With more checks a second than this, HTTP checks of healthy endpoints keep their connections open: the kernel spends
/// 30 to 50 µs on a connection that is opened for one request.
const THRIFTY_ABOVE: f64 = 1_000.0;

/// How finely times are kept: what is due within it is done together.
const GRAIN_NS: u64 = 5_000_000;

/// How often everybody is looked at, for what no bell told of: a full bell, and what operators do.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// An upstream as the checker knows it.
struct Group {
    name: Arc<str>,
    endpoints: Vec<Arc<Endpoint>>,
    care: Care,
    rates_ns: Option<u64>,
    is_panic: bool,
}

/// What came of a check.
enum Outcome {
    Check(u64, CheckOutcome),
    Agent(u64, Result<String, Failure>),
}

/// The checker's state.
#[expect(missing_debug_implementations, reason = "private state of one task")]
pub struct Checker {
    observer: Arc<Observer>,
    subjects: HashMap<u64, Subject>,
    /// By [`Upstream::id`].
    groups: HashMap<u64, Group>,
    queue: Queue,
    tellings: watch::Sender<Tellings>,
    timeline: mpsc::Sender<HealthEvent>,
    /// What is known from before the start; forgotten once the first model runs.
    restored: Restored,
    /// Plain checks under way, and how many others are.
    attempts: Attempts,
    under_way: usize,
    /// What came of plain checks and is not looked at yet.
    over: Vec<(u64, CheckOutcome)>,
    /// Whether so much is checked that HTTP checks keep connections open.
    is_thrifty: bool,
    /// Who is due and waits for a place.
    waiting: VecDeque<Due>,
    outcomes: mpsc::Sender<Outcome>,
    done: mpsc::Receiver<Outcome>,
    bell: Bell,
    rung: mpsc::Receiver<u64>,
}

impl Checker {
    /// # Errors
    /// A process with too many files open.
    pub fn new(
        observer: Arc<Observer>,
        tellings: watch::Sender<Tellings>,
        timeline: mpsc::Sender<HealthEvent>,
        restored: Restored,
    ) -> std::io::Result<Self> {
        let (outcomes, done) = mpsc::channel(OUTCOMES_MAX);
        let (bell, rung) = mpsc::channel(BELL_MAX);
        Ok(Self {
            observer,
            subjects: HashMap::new(),
            groups: HashMap::new(),
            queue: Queue::default(),
            tellings,
            timeline,
            restored,
            attempts: Attempts::new()?,
            under_way: 0,
            over: Vec::new(),
            is_thrifty: false,
            waiting: VecDeque::new(),
            outcomes,
            done,
            bell,
            rung,
        })
    }

    /// Starts its thread, which ends when there are no more snapshots.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn launch(
        observer: Arc<Observer>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        tellings: watch::Sender<Tellings>,
        timeline: mpsc::Sender<HealthEvent>,
        restored: Restored,
    ) -> std::io::Result<()> {
        let live = move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let checker = Self::new(observer, tellings, timeline, restored);
            match runtime.and_then(|runtime| Ok((runtime, checker?))) {
                Ok((runtime, checker)) => runtime.block_on(checker.run(snapshots)),
                Err(error) => tracing::error!(%error, "health checks could not start"),
            }
        };
        std::thread::Builder::new().name("checker".to_owned()).spawn(live).map(drop)
    }

    async fn run(mut self, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
        let first = Arc::clone(&snapshots.borrow_and_update());
        self.adopt(&first);
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut timer = std::pin::pin!(sleep(SWEEP_EVERY));
        let mut outcomes = Vec::with_capacity(OUTCOMES_AT_ONCE);
        loop {
            let next = self.next();
            if let Some(next) = next.filter(|next| *next != timer.deadline()) {
                timer.as_mut().reset(next);
            }
            tokio::select! {
                changed = snapshots.changed() => match changed {
                    Ok(()) => {
                        let snapshot = Arc::clone(&snapshots.borrow_and_update());
                        self.adopt(&snapshot);
                    }
                    Err(_) => return,
                },
                _ = self.done.recv_many(&mut outcomes, OUTCOMES_AT_ONCE) => {
                    let now_ns = clock::since_start_ns();
                    outcomes.drain(..).for_each(|outcome| self.observe(outcome, now_ns));
                    self.start_waiting();
                }
                Some(id) = self.rung.recv() => self.heed(id, clock::since_start_ns()),
                () = &mut timer, if next.is_some() => {
                    let now = clock::now();
                    self.attempts.look(now, &mut self.over);
                    self.start_due(now);
                }
                _ = sweep.tick() => self.sweep(),
            }
            self.hear_attempts();
        }
    }

    /// When something is to be done next: checks to be started, or those under way to be looked at.
    fn next(&self) -> Option<Instant> {
        let due = self.queue.next_ns().map(instant_of);
        [due, self.attempts.next().map(Instant::from_std)].into_iter().flatten().min()
    }

    /// Takes over the endpoints of a snapshot; what is known of those that stay is kept.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let now_ns = clock::since_start_ns();
        let mut before = std::mem::take(&mut self.subjects);
        let mut groups = std::mem::take(&mut self.groups);
        self.queue.clear();
        self.waiting.clear();
        let mut still_out = Vec::new();
        for upstream in &snapshot.upstreams {
            let group = group(upstream, groups.remove(&upstream.id));
            for endpoint in &upstream.endpoints {
                let subject = match before.remove(&endpoint.live.id) {
                    Some(mut held) => {
                        held.follow(upstream, endpoint, now_ns);
                        held
                    }
                    None => {
                        let ejections = self.restored(upstream, endpoint, now_ns);
                        still_out.extend(ejections.until_ns().map(|_| endpoint.live.id));
                        Subject::new(upstream, endpoint, ejections, now_ns)
                    }
                };
                let passive = &endpoint.live.passive;
                passive.attach(endpoint.live.id, &self.bell);
                passive.count(group.care.outlier.map(|rules| rules.consecutive));
                self.subjects.insert(endpoint.live.id, subject);
            }
            self.groups.insert(upstream.id, group);
        }
        if !snapshot.is_empty() {
            self.restored.clear();
        }
        self.is_thrifty = self.subjects.values().filter_map(Subject::checks_per_second).sum::<f64>() > THRIFTY_ABOVE;
        self.schedule_all(now_ns);
        let known = &self.subjects;
        self.tellings.send_modify(|told| told.retain(|id, _| known.contains_key(id)));
        for id in still_out {
            self.tell(id, EndpointHealth::Down, "it was ejected before weirgate started".to_owned(), now_ns);
        }
    }

    fn restored(&self, upstream: &Upstream, endpoint: &Endpoint, now_ns: u64) -> Ejections {
        let Some(kept) = self.restored.get(&(upstream.name.to_string(), endpoint.name.to_string())) else {
            return Ejections::default();
        };
        let left_ms = kept.ejected_until_ms.map(|until_ms| until_ms.saturating_sub(clock::wall_ms()));
        let left_ms = left_ms.and_then(|left| u64::try_from(left).ok()).filter(|_| upstream.care.outlier.is_some());
        Ejections::restored(kept.ejections, left_ms.map(|ms| now_ns.saturating_add(ms * 1_000_000)), now_ns)
    }

    /// Plans everything anew.
    fn schedule_all(&mut self, now_ns: u64) {
        for subject in self.subjects.values_mut() {
            subject.forget_tending();
            let id = subject.id();
            if let Some(check) = subject.check.as_ref().filter(|check| !check.is_under_way) {
                self.queue.push(check.schedule.due_ns(), Due::Check(id));
            }
            if let Some(agent) = subject.agent.as_ref().filter(|agent| !agent.is_under_way) {
                self.queue.push(agent.schedule.due_ns(), Due::Agent(id));
            }
        }
        let ids: Vec<u64> = self.subjects.keys().copied().collect();
        for id in ids {
            let outlier = self.care_of(id).outlier;
            if let Some(subject) = self.subjects.get_mut(&id).filter(|_| outlier.is_none()) {
                // What nobody asks for any more is over.
                subject.ejections.end(now_ns);
                subject.endpoint.live.passive.set_ejected(false);
            }
            self.plan_tending(id, now_ns);
        }
        let groups: Vec<u64> = self.groups.keys().copied().collect();
        for id in groups {
            if let Some(Group { care: Care { outlier: Some(rules), .. }, rates_ns, .. }) = self.groups.get_mut(&id)
                && rules.rate > 0
            {
                let at_ns = *rates_ns.get_or_insert(now_ns.saturating_add(subject::nanos(rules.interval)));
                self.queue.push(at_ns, Due::Rates(id));
            }
            self.settle(id);
        }
    }
}

fn group(upstream: &Upstream, before: Option<Group>) -> Group {
    Group {
        name: Arc::clone(&upstream.name),
        endpoints: upstream.endpoints.clone(),
        care: upstream.care,
        rates_ns: None,
        is_panic: before.is_some_and(|group| group.is_panic),
    }
}

/// The instant of a time, rounded up to the grain so that neighbours share one awakening.
fn instant_of(at_ns: u64) -> Instant {
    let now = clock::now();
    let at_ns = at_ns.next_multiple_of(GRAIN_NS);
    let wait_ns = at_ns.saturating_sub(clock::since_start_ns_at(now));
    Instant::from_std(now) + Duration::from_nanos(wait_ns)
}
