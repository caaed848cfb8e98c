// SPDX-License-Identifier: MIT OR Apache-2.0
//! One endpoint as the checker knows it: what is asked of it, what is thought of it, and what is under way.
//!
//! It decides by the pure cores of `upstream` and writes what comes of it into the endpoint's live state. It tells
//! nobody: what changed is returned, and the checker tells.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::snapshot::{HealthPlan, Upstream};
use crate::upstream::endpoint::{Endpoint, SHARE_WHOLE};
use crate::upstream::health::agent::{Agent, Aside};
use crate::upstream::health::probe::{Probe, agent};
use crate::upstream::health::{Health, Rules, Schedule, State};
use crate::upstream::outlier::Ejections;
use crate::upstream::slow_start;

/// A hold that lasts so long is told of, and the endpoint gets one request to show that it lives.
const HOLD_TOLD_AFTER: Duration = Duration::from_secs(1);

/// The time between two such requests doubles up to this.
const HOLD_PROBE_MAX: Duration = Duration::from_secs(30);

/// An endpoint.
pub(super) struct Subject {
    pub(super) group: u64,
    pub(super) upstream: Arc<str>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) plan: Option<HealthPlan>,
    pub(super) check: Option<Active>,
    pub(super) agent: Option<Asked>,
    pub(super) ejections: Ejections,
    /// Whether a check has failed since it was ejected or held.
    pub(super) has_failed_check: bool,
    /// When it came back, while it starts slowly.
    recovery_ns: Option<u64>,
    silence: Option<Silence>,
    /// When it is to be tended next.
    tend_ns: Option<u64>,
}

/// The check of an endpoint.
pub(super) struct Active {
    pub(super) probe: Rc<Probe>,
    pub(super) rules: Rules,
    pub(super) health: Health,
    pub(super) schedule: Schedule,
    pub(super) is_under_way: bool,
}

/// The agent of an endpoint.
pub(super) struct Asked {
    pub(super) check: Arc<agent::AgentCheck>,
    pub(super) address: SocketAddr,
    pub(super) timeout: Duration,
    pub(super) said: Agent,
    pub(super) schedule: Schedule,
    pub(super) rules: Rules,
    pub(super) is_under_way: bool,
}

/// An endpoint that hangs.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since_ns: u64,
    is_told: bool,
    tries: u32,
    next_ns: u64,
}

/// What became of an endpoint that hung.
pub(super) enum Sound {
    /// It has just been held.
    Hangs,
    /// It answers again; whether anybody was told that it did not.
    Answers {
        was_told: bool,
    },
    Nothing,
}

impl Subject {
    pub(super) fn new(upstream: &Upstream, endpoint: &Arc<Endpoint>, ejections: Ejections, now_ns: u64) -> Self {
        let mut subject = Self {
            group: upstream.id,
            upstream: Arc::clone(&upstream.name),
            endpoint: Arc::clone(endpoint),
            plan: None,
            check: None,
            agent: None,
            ejections,
            has_failed_check: false,
            recovery_ns: None,
            silence: None,
            tend_ns: None,
        };
        endpoint.live.passive.set_ejected(ejections.until_ns().is_some());
        subject.follow(upstream, endpoint, now_ns);
        subject
    }

    /// Takes over what a snapshot says of it; what is known stays if it is still asked the same.
    pub(super) fn follow(&mut self, upstream: &Upstream, endpoint: &Arc<Endpoint>, now_ns: u64) {
        self.endpoint = Arc::clone(endpoint);
        if self.plan == upstream.health {
            return;
        }
        self.plan.clone_from(&upstream.health);
        let mut address = endpoint.address;
        let Some(plan) = &self.plan else {
            // Nobody looks any more, so what was known says nothing.
            (self.check, self.agent) = (None, None);
            self.apply_agent();
            return self.apply_state();
        };
        address.set_port(plan.port.unwrap_or(address.port()));
        self.check = plan.check.as_ref().map(|check| {
            let state = endpoint.live.state();
            Active {
                probe: Rc::new(Probe::new(check, address, plan.timeout)),
                rules: plan.rules,
                health: Health::new(state, now_ns),
                schedule: Schedule::new(plan.rules, state, now_ns, fastrand::u64(..)),
                is_under_way: false,
            }
        });
        self.agent = plan.agent.as_ref().map(|check| Asked {
            check: Arc::clone(check),
            address: endpoint.address,
            timeout: plan.timeout,
            said: Agent::default(),
            schedule: Schedule::new(plan.rules, State::Unknown, now_ns, fastrand::u64(..)),
            rules: plan.rules,
            is_under_way: false,
        });
        self.apply_agent();
        self.apply_state();
    }

    pub(super) fn id(&self) -> u64 {
        self.endpoint.live.id
    }

    /// How often it is checked while nobody doubts it.
    pub(super) fn checks_per_second(&self) -> Option<f64> {
        self.check.as_ref().map(|check| 1.0 / check.rules.interval.as_secs_f64().max(f64::MIN_POSITIVE))
    }

    /// What checks and the agent make of it together. Each can only undo what it did itself.
    pub(super) fn state(&self) -> State {
        if self.agent.as_ref().is_some_and(|agent| agent.said.down.is_some()) {
            return State::Unhealthy;
        }
        self.check.as_ref().map_or(State::Unknown, |check| check.health.state())
    }

    pub(super) fn apply_state(&self) {
        self.endpoint.live.set_state(self.state());
    }

    /// Puts what the agent says into force, but for `down`, which is a state.
    pub(super) fn apply_agent(&self) {
        let aside = self.agent.as_ref().is_some_and(|agent| agent.said.aside != Aside::Ready);
        self.endpoint.live.passive.set_aside(aside);
    }

    /// It has come back from a failure.
    pub(super) fn recover(&mut self, slow_start: Option<Duration>, now_ns: u64) {
        self.recovery_ns = slow_start.map(|_| now_ns);
        self.endpoint.live.passive.absolve();
        self.endpoint.live.passive.forget_streak();
        self.silence = None;
        self.apply_share(slow_start, now_ns);
    }

    /// It is out: if it was starting slowly, it starts anew when it comes back.
    pub(super) fn stop_recovery(&mut self) {
        self.recovery_ns = None;
    }

    /// Sets the share of its weight, and says when that is to be done again.
    pub(super) fn apply_share(&mut self, slow_start: Option<Duration>, now_ns: u64) -> Option<u64> {
        let elapsed = |since_ns: u64| Duration::from_nanos(now_ns.saturating_sub(since_ns));
        let started = self.recovery_ns.zip(slow_start);
        let (slow, again) =
            started.map_or((SHARE_WHOLE, None), |(since, window)| slow_start::share(window, elapsed(since)));
        if again.is_none() {
            self.recovery_ns = None;
        }
        let agent = self.agent.as_ref().and_then(|agent| agent.said.share).unwrap_or(SHARE_WHOLE);
        let least = u16::from(agent > 0);
        let share = (u16::from(slow) * u16::from(agent) / u16::from(SHARE_WHOLE)).max(least);
        self.endpoint.live.set_share(u8::try_from(share).unwrap_or(SHARE_WHOLE));
        again.map(|wait| now_ns.saturating_add(nanos(wait)))
    }

    /// Looks whether it began to hang or to answer.
    pub(super) fn listen(&mut self, now_ns: u64) -> Sound {
        let passive = &self.endpoint.live.passive;
        match self.silence {
            None if passive.is_held() => {
                self.has_failed_check = false;
                let next_ns = now_ns.saturating_add(nanos(HOLD_TOLD_AFTER));
                self.silence = Some(Silence { since_ns: now_ns, is_told: false, tries: 0, next_ns });
                Sound::Hangs
            }
            Some(silence) if !passive.is_suspect() => {
                self.silence = None;
                Sound::Answers { was_told: silence.is_told }
            }
            None | Some(_) => Sound::Nothing,
        }
    }

    /// A look at a silent endpoint that is due: it gets one request, and the first time there is something to tell.
    pub(super) fn probe_silence(&mut self, now_ns: u64) -> Option<String> {
        let silence = self.silence.as_mut().filter(|silence| silence.next_ns <= now_ns)?;
        let passive = &self.endpoint.live.passive;
        let wait = HOLD_TOLD_AFTER.saturating_mul(1 << silence.tries.min(16)).min(HOLD_PROBE_MAX);
        silence.tries += 1;
        silence.next_ns = now_ns.saturating_add(nanos(wait));
        passive.let_one_through();
        if std::mem::replace(&mut silence.is_told, true) {
            return None;
        }
        let (waiting, since_ns, usual) = passive.silence();
        let age = Duration::from_nanos(now_ns.saturating_sub(since_ns)).as_millis();
        let usual =
            if usual.is_zero() { String::new() } else { format!(", usual are {} ms", usual.as_millis().max(1)) };
        Some(format!(
            "it hangs: no reply to {waiting} requests in {age} ms{usual}; it gets no new ones until it answers"
        ))
    }

    /// A good check came while it hangs: if checks had failed too, that is news enough for one request.
    pub(super) fn hope(&mut self, now_ns: u64) {
        if let Some(silence) = self.silence.as_mut().filter(|_| self.has_failed_check) {
            (silence.next_ns, silence.tries) = (now_ns, 0);
            self.has_failed_check = false;
        }
    }

    /// Since when it is silent.
    pub(super) fn silent_since_ns(&self) -> Option<u64> {
        self.silence.map(|silence| silence.since_ns)
    }

    /// When it is to be tended next; none if that is planned already.
    pub(super) fn plan_tending(&mut self, share_ns: Option<u64>) -> Option<u64> {
        let silence_ns = self.silence.map(|silence| silence.next_ns);
        let next_ns = [self.ejections.until_ns(), silence_ns, share_ns].into_iter().flatten().min();
        let is_planned = next_ns == self.tend_ns;
        self.tend_ns = next_ns;
        next_ns.filter(|_| !is_planned)
    }

    /// Whether it is to be tended at this very time.
    pub(super) fn is_tended_at(&self, at_ns: u64) -> bool {
        self.tend_ns == Some(at_ns)
    }

    /// Forgets when it is to be tended, because that is to be planned anew.
    pub(super) fn forget_tending(&mut self) {
        self.tend_ns = None;
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
