// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows from what was heard: of a check, of an agent, of requests, or of time that has passed.
//!
//! Each of these ends in `tell` if it changed anything, and in `settle`, which looks at the upstream as a whole.

use weirgate_store::wire::EndpointHealth;

use super::queue::Due;
use super::subject::{Sound, nanos};
use super::{Checker, Outcome};
use crate::clock;
use crate::config::snapshot::Care;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::{Around, CheckOutcome, Failure, State};
use crate::upstream::outlier::{self, Spared};
use crate::upstream::panic;

impl Checker {
    pub(super) fn observe(&mut self, outcome: Outcome, now_ns: u64) {
        self.under_way = self.under_way.saturating_sub(1);
        match outcome {
            Outcome::Check(id, outcome) => self.hear_check(id, outcome, now_ns),
            Outcome::Agent(id, line) => self.hear_agent(id, line, now_ns),
        }
    }

    pub(super) fn hear_check(&mut self, id: u64, outcome: CheckOutcome, now_ns: u64) {
        let Some(group) = self.subjects.get(&id).map(|subject| subject.group) else { return };
        let around = self.around(group);
        let has_passed = matches!(outcome, CheckOutcome::Passed { .. });
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let before = subject.state();
        let Some(check) = subject.check.as_mut() else { return };
        check.is_under_way = false;
        let transition = check.health.observe(check.rules, outcome, around, now_ns);
        check.schedule.checked(check.rules, &check.health, around, now_ns);
        self.queue.push(check.schedule.due_ns(), Due::Check(id));
        subject.has_failed_check |= !has_passed;
        if let Some(transition) = transition {
            self.turn(id, before, transition.reason, now_ns);
        }
        if has_passed {
            self.absolve(id, now_ns);
        }
    }

    /// A good check speaks for an endpoint that requests have spoken against.
    fn absolve(&mut self, id: u64, now_ns: u64) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if subject.silent_since_ns().is_some() {
            subject.hope(now_ns);
            self.plan_tending(id, now_ns);
        } else if subject.ejections.believes_checks(subject.has_failed_check) {
            self.end_ejection(id, "a health check passed, so it is ejected no more".to_owned(), now_ns);
        }
    }

    fn hear_agent(&mut self, id: u64, line: Result<String, Failure>, now_ns: u64) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let (before, was_aside) = (subject.state(), subject.endpoint.live.passive.is_set_aside());
        let Some(agent) = subject.agent.as_mut() else { return };
        agent.is_under_way = false;
        let calm = crate::upstream::health::Health::new(State::Healthy, now_ns);
        agent.schedule.checked(agent.rules, &calm, Around::Lit, now_ns);
        self.queue.push(agent.schedule.due_ns(), Due::Agent(id));
        let said = match line {
            Ok(line) => agent.said.hear(&line),
            Err(failure) => {
                // An agent that does not answer changes nothing; the endpoint may be as well as ever.
                tracing::debug!(endpoint = %subject.endpoint.name, %failure, "the agent check");
                None
            }
        };
        let Some(sentence) = said else { return };
        subject.apply_agent();
        let is_aside = subject.endpoint.live.passive.is_set_aside();
        if before == subject.state() {
            let is_out = is_aside || before == State::Unhealthy;
            let health = if is_out { EndpointHealth::Down } else { EndpointHealth::Up };
            self.tell(id, health, sentence, now_ns);
        } else {
            self.turn(id, before, sentence, now_ns);
        }
        self.plan_tending(id, now_ns);
        if is_aside != was_aside {
            self.settle_of(id);
        }
    }

    /// Puts another state of an endpoint into force, and tells.
    fn turn(&mut self, id: u64, before: State, reason: String, now_ns: u64) {
        let care = self.care_of(id);
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let state = subject.state();
        if state == before {
            // What a check thinks is not in force while the agent says otherwise.
            return;
        }
        subject.apply_state();
        match (before, state) {
            (State::Unhealthy, State::Healthy | State::Unknown) => subject.recover(care.slow_start, now_ns),
            (_, State::Unhealthy) => subject.stop_recovery(),
            _ => {}
        }
        let is_ejected = subject.ejections.until_ns().is_some();
        let (health, reason) = match state {
            State::Unhealthy => (EndpointHealth::Down, reason),
            _ if is_ejected => (EndpointHealth::Down, format!("{reason}; it is still ejected")),
            State::New | State::Unknown | State::Healthy => (EndpointHealth::Up, reason),
        };
        self.tell(id, health, reason, now_ns);
        self.plan_tending(id, now_ns);
        self.settle_of(id);
        self.hasten_all(id, now_ns);
    }

    /// A worker has rung for this endpoint.
    pub(super) fn heed(&mut self, id: u64, now_ns: u64) {
        let care = self.care_of(id);
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let passive = &subject.endpoint.live.passive;
        let streak = passive.streak();
        let is_failing = care.outlier.is_some_and(|rules| rules.consecutive > 0 && streak >= rules.consecutive);
        let sound = subject.listen(now_ns);
        let is_suspect = subject.endpoint.live.take_suspicion() || is_failing || matches!(sound, Sound::Hangs);
        if let Some(check) = subject.check.as_mut().filter(|check| is_suspect && !check.is_under_way) {
            let before_ns = check.schedule.due_ns();
            check.schedule.suspect(now_ns);
            if check.schedule.due_ns() != before_ns {
                self.queue.push(check.schedule.due_ns(), Due::Check(id));
            }
        }
        match sound {
            Sound::Hangs => self.plan_tending(id, now_ns),
            Sound::Answers { was_told: true } => {
                self.tell(id, EndpointHealth::Up, "it answers again".to_owned(), now_ns);
                self.plan_tending(id, now_ns);
            }
            Sound::Answers { was_told: false } | Sound::Nothing => {}
        }
        if is_failing {
            self.eject(id, &format!("{streak} requests failed in a row"), now_ns);
        }
    }

    /// Ejects an endpoint, if its upstream can do without.
    fn eject(&mut self, id: u64, why: &str, now_ns: u64) {
        let Care { outlier: Some(rules), .. } = self.care_of(id) else { return };
        let Some(group) = self.group_without(id, &rules) else { return };
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if !subject.endpoint.is_in_service() {
            return;
        }
        match subject.ejections.eject(&rules, group, now_ns) {
            Ok(lasts) => {
                subject.endpoint.live.passive.set_ejected(true);
                subject.has_failed_check = false;
                subject.stop_recovery();
                let nth = subject.ejections.times();
                let again = if nth > 1 { format!(", for the {nth}. time") } else { String::new() };
                self.tell(id, EndpointHealth::Down, format!("ejected for {lasts:?}{again}: {why}"), now_ns);
                self.plan_tending(id, now_ns);
                self.settle_of(id);
                self.hasten_all(id, now_ns);
            }
            Err(Spared::Last) => self.lift_all(id, now_ns),
            Err(Spared::Ejected | Spared::Share { .. }) => {}
        }
    }

    /// The others of an endpoint's upstream, as a decision about it sees them.
    fn group_without(&self, id: u64, rules: &outlier::Rules) -> Option<outlier::Group> {
        let group = self.groups.get(&self.subjects.get(&id)?.group)?;
        let is_answering = |endpoint: &Endpoint| {
            let passive = &endpoint.live.passive;
            let is_failing = rules.consecutive > 0 && passive.streak() >= rules.consecutive;
            endpoint.is_in_service() && endpoint.is_well() && !passive.is_held() && !is_failing
        };
        let others = || group.endpoints.iter().filter(|endpoint| endpoint.live.id != id);
        Some(outlier::Group {
            total: group.endpoints.len(),
            ejected: others().filter(|endpoint| endpoint.live.passive.is_ejected()).count(),
            answering: others().filter(|endpoint| is_answering(endpoint)).count(),
        })
    }

    /// Nobody answers, so those that are out are no worse than those that are left. The first that answers decides.
    fn lift_all(&mut self, id: u64, now_ns: u64) {
        let Some(group) = self.subjects.get(&id).and_then(|subject| self.groups.get(&subject.group)) else { return };
        let ejected = group.endpoints.iter().filter(|endpoint| endpoint.live.passive.is_ejected());
        let ids: Vec<u64> = ejected.map(|endpoint| endpoint.live.id).collect();
        for id in ids {
            let reason = "ejected no more, because no other endpoint answers either".to_owned();
            let streak_kept = self.subjects.get(&id).map(|subject| subject.endpoint.live.passive.streak());
            self.end_ejection(id, reason, now_ns);
            // It has not answered yet: the run of failures that took it out goes on.
            if let (Some(subject), Some(streak)) = (self.subjects.get(&id), streak_kept) {
                subject.endpoint.live.passive.restore_streak(streak);
            }
        }
    }

    fn end_ejection(&mut self, id: u64, reason: String, now_ns: u64) {
        let care = self.care_of(id);
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if !subject.ejections.end(now_ns) {
            return;
        }
        subject.endpoint.live.passive.set_ejected(false);
        subject.recover(care.slow_start, now_ns);
        let health = if subject.state() == State::Unhealthy { EndpointHealth::Down } else { EndpointHealth::Up };
        self.tell(id, health, reason, now_ns);
        self.plan_tending(id, now_ns);
        self.settle_of(id);
    }

    /// Looks how many requests of an upstream's endpoints failed since the last time.
    pub(super) fn look_at_rates(&mut self, group: u64, at_ns: u64, now_ns: u64) {
        let Some(found) = self.groups.get_mut(&group).filter(|found| found.rates_ns == Some(at_ns)) else { return };
        let Some(rules) = found.care.outlier else { return };
        let next_ns = now_ns.saturating_add(nanos(rules.interval));
        found.rates_ns = Some(next_ns);
        self.queue.push(next_ns, Due::Rates(group));
        let tallies: Vec<_> =
            found.endpoints.iter().map(|endpoint| (endpoint.live.id, endpoint.live.passive.take_tally())).collect();
        for (id, (requests, bad)) in tallies {
            if rules.is_rate_too_high(requests, bad) {
                self.eject(id, &format!("{bad} of {requests} requests failed in {:?}", rules.interval), now_ns);
            }
        }
    }

    /// Does for an endpoint what its time has come for.
    pub(super) fn tend(&mut self, id: u64, now_ns: u64) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        subject.forget_tending();
        let told = subject.probe_silence(now_ns);
        let is_over = subject.ejections.until_ns().is_some_and(|until_ns| until_ns <= now_ns);
        if let Some(reason) = told {
            self.tell(id, EndpointHealth::Down, reason, now_ns);
        }
        if is_over {
            self.end_ejection(id, "its ejection is over".to_owned(), now_ns);
        }
        self.plan_tending(id, now_ns);
    }

    /// Sets the share of an endpoint, and plans when it is to be tended next.
    pub(super) fn plan_tending(&mut self, id: u64, now_ns: u64) {
        let care = self.care_of(id);
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let share_ns = subject.apply_share(care.slow_start, now_ns);
        if let Some(at_ns) = subject.plan_tending(share_ns) {
            self.queue.push(at_ns, Due::Tend(id));
        }
    }

    pub(super) fn care_of(&self, id: u64) -> Care {
        let group = self.subjects.get(&id).and_then(|subject| self.groups.get(&subject.group));
        group.map(|group| group.care).unwrap_or_default()
    }

    fn settle_of(&mut self, id: u64) {
        if let Some(group) = self.subjects.get(&id).map(|subject| subject.group) {
            self.settle(group);
        }
    }

    /// Looks whether so little of an upstream is usable that its health is to be ignored.
    pub(super) fn settle(&mut self, id: u64) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let threshold = group.care.panic_percent;
        if threshold == 0 && !group.is_panic {
            return;
        }
        let (usable, total) = panic::count(&group.endpoints);
        let is_panic = panic::is_panic(threshold, usable, total);
        group.endpoints.iter().for_each(|endpoint| endpoint.live.passive.set_panic(is_panic));
        if std::mem::replace(&mut group.is_panic, is_panic) == is_panic {
            return;
        }
        let (health, reason) = if is_panic {
            (EndpointHealth::Down, panic::words(threshold, usable, total))
        } else {
            (EndpointHealth::Up, format!("{usable} of {total} endpoints are usable: health counts again"))
        };
        self.tell_group(id, health, reason);
    }

    /// When the last endpoint of an upstream goes out, all are looked at more often, from now on.
    fn hasten_all(&mut self, id: u64, now_ns: u64) {
        let Some(group) = self.subjects.get(&id).map(|subject| subject.group) else { return };
        if self.around(group) == Around::Lit {
            return;
        }
        let Some(group) = self.groups.get(&group) else { return };
        for endpoint in &group.endpoints {
            let subject = self.subjects.get_mut(&endpoint.live.id);
            let Some(check) = subject.and_then(|subject| subject.check.as_mut()).filter(|check| !check.is_under_way)
            else {
                continue;
            };
            let before_ns = check.schedule.due_ns();
            check.schedule.hasten(check.rules, &check.health, Around::Dark, now_ns);
            if check.schedule.due_ns() != before_ns {
                self.queue.push(check.schedule.due_ns(), Due::Check(endpoint.live.id));
            }
        }
    }

    fn around(&self, group: u64) -> Around {
        let endpoints = self.groups.get(&group).map(|group| group.endpoints.as_slice()).unwrap_or_default();
        let is_lit = endpoints.iter().any(|endpoint| endpoint.is_in_service() && endpoint.is_well());
        if is_lit { Around::Lit } else { Around::Dark }
    }

    /// Looks at everybody for what no bell told of.
    pub(super) fn sweep(&mut self) {
        let now_ns = clock::since_start_ns();
        let ids: Vec<u64> = self.subjects.keys().copied().collect();
        for id in ids {
            self.heed(id, now_ns);
            let Some(subject) = self.subjects.get(&id) else { continue };
            // Due long ago and not under way: it was in maintenance then.
            let late = |due_ns: u64, is_under_way: bool| !is_under_way && due_ns + nanos(super::SWEEP_EVERY) < now_ns;
            let check = subject.check.as_ref().is_some_and(|check| late(check.schedule.due_ns(), check.is_under_way));
            let agent = subject.agent.as_ref().is_some_and(|agent| late(agent.schedule.due_ns(), agent.is_under_way));
            if self.waiting.is_empty() && check {
                self.start(Due::Check(id));
            }
            if self.waiting.is_empty() && agent {
                self.start(Due::Agent(id));
            }
        }
        let groups: Vec<u64> = self.groups.keys().copied().collect();
        groups.into_iter().for_each(|group| self.settle(group));
    }
}
