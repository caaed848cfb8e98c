// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is due is checked: plain checks on the checker's own sockets, each of the others as a task.
//!
//! So many are under way at once and no more; the others wait for a place in the order in which they were due.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::queue::Due;
use super::{CHECKS_MAX, Checker, GRAIN_NS, Outcome};
use crate::clock;
use crate::upstream::endpoint::Mode;
use crate::upstream::health::State;
use crate::upstream::health::probe::{Thrift, agent};

impl Checker {
    /// Does what is due, and what soon will be.
    pub(super) fn start_due(&mut self, now: Instant) {
        let now_ns = clock::since_start_ns_at(now);
        if self.queue.next_ns().is_none_or(|next_ns| next_ns.next_multiple_of(GRAIN_NS) > now_ns) {
            // Those that are due a little later are started with it.
            return;
        }
        while let Some((at_ns, due)) = self.queue.take(now_ns.saturating_add(GRAIN_NS)) {
            match due {
                Due::Check(_) | Due::Agent(_) if self.is_due_at(due, at_ns) => self.start(due),
                Due::Tend(id) => {
                    if self.subjects.get(&id).is_some_and(|subject| subject.is_tended_at(at_ns)) {
                        // As at its time, which may be a little later: or what is left would be due at once, for ever.
                        self.tend(id, now_ns.max(at_ns));
                    }
                }
                Due::Rates(id) => self.look_at_rates(id, at_ns, now_ns),
                Due::Check(_) | Due::Agent(_) => {}
            }
        }
    }

    fn is_due_at(&self, due: Due, at_ns: u64) -> bool {
        match due {
            Due::Check(id) => self
                .subjects
                .get(&id)
                .and_then(|subject| subject.check.as_ref())
                .is_some_and(|check| !check.is_under_way && check.schedule.due_ns() == at_ns),
            Due::Agent(id) => self
                .subjects
                .get(&id)
                .and_then(|subject| subject.agent.as_ref())
                .is_some_and(|agent| !agent.is_under_way && agent.schedule.due_ns() == at_ns),
            Due::Tend(_) | Due::Rates(_) => false,
        }
    }

    /// Starts those that waited for a place.
    pub(super) fn start_waiting(&mut self) {
        while !self.is_full()
            && let Some(due) = self.waiting.pop_front()
        {
            self.start(due);
        }
    }

    /// Starts a check, or lets it wait for a place.
    pub(super) fn start(&mut self, due: Due) {
        if self.is_full() {
            return self.waiting.push_back(due);
        }
        let (Due::Check(id) | Due::Agent(id) | Due::Tend(id) | Due::Rates(id)) = due;
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if subject.endpoint.live.mode() == Mode::Maintenance {
            // Looked at again by the sweep, once the operator has taken that back.
            return;
        }
        match (due, &mut subject.check, &mut subject.agent) {
            (Due::Check(id), Some(check), _) if !check.is_under_way => {
                check.is_under_way = true;
                let is_calm = check.health.state() == State::Healthy && !check.health.is_failing();
                let thrift = if self.is_thrifty && is_calm { Thrift::Kept } else { Thrift::Fresh };
                if check.probe.is_plain() {
                    let over = self.attempts.start(id, &check.probe, thrift, clock::now());
                    return self.over.extend(over.map(|outcome| (id, outcome)));
                }
                let (probe, outcomes) = (Rc::clone(&check.probe), self.outcomes.clone());
                tokio::task::spawn_local(async move {
                    let outcome = probe.run().await;
                    // A send fails only when the checker is gone, which is when the process ends.
                    _ = outcomes.send(Outcome::Check(id, outcome)).await;
                });
            }
            (Due::Agent(id), _, Some(asked)) if !asked.is_under_way => {
                asked.is_under_way = true;
                let (check, address, limit) = (Arc::clone(&asked.check), asked.address, asked.timeout);
                let outcomes = self.outcomes.clone();
                tokio::task::spawn_local(async move {
                    let line = agent::ask(&check, address, limit).await;
                    _ = outcomes.send(Outcome::Agent(id, line)).await;
                });
            }
            _ => return,
        }
        self.under_way += 1;
    }

    /// Takes what came of plain checks, and gives their places to those that wait.
    pub(super) fn hear_attempts(&mut self) {
        while !self.over.is_empty() {
            let now_ns = clock::since_start_ns();
            let mut over = std::mem::take(&mut self.over);
            over.drain(..).for_each(|(id, outcome)| self.hear_check(id, outcome, now_ns));
            // It keeps its room.
            self.over = over;
            self.start_waiting();
        }
    }

    /// Whether so many checks are under way that more must wait.
    fn is_full(&self) -> bool {
        self.under_way + self.attempts.len() >= CHECKS_MAX
    }
}
