// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a canary moves: what its plan, the time and the requests of a step make of where it stands.
//!
//! Pure. Whoever runs it counts the requests, keeps what [`Progress`] says, and sets the share. What must stay true: a
//! step ends only when its time has passed *and* enough requests were seen; no share grows while its requests fail more
//! than the plan allows; and what went back, stopped or is done moves only when an operator says so.

use std::fmt::Write as _;
use std::time::Duration;

/// What an operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the side that is new.
    pub upstream: String,
    /// Its shares in per cent, rising.
    pub steps: Vec<u16>,
    /// How long each lasts.
    pub every: Duration,
    /// Per cent of the requests of a step that may fail.
    pub errors_max: u16,
    /// The mean time of the replies of a step may not be longer.
    pub latency_max: Option<Duration>,
    /// Fewest requests in a step that say anything.
    pub requests: u64,
    pub on_trouble: OnTrouble,
}

/// What happens in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrouble {
    Back,
    Stop,
}

/// Where a canary stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub state: State,
    /// Place in the steps; none when it went back.
    pub step: Option<u32>,
    /// Since when: of the step while it moves, else of the state.
    pub since_ms: i64,
    /// Why, as a sentence.
    pub reason: String,
}

/// Whether it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Moving,
    /// The last step is passed; its share stays.
    Done,
    /// It stays where it is.
    Stopped,
    /// It has no share.
    Back,
}

impl State {
    const ALL: [Self; 4] = [Self::Moving, Self::Done, Self::Stopped, Self::Back];

    /// The word for it in status and store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moving => "moving",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Back => "back",
        }
    }

    /// The state of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What its requests did since the step began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub requests: u64,
    pub errors: u64,
    /// Sum of the times of replies.
    pub micros: u64,
}

/// What an operator asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Resume,
    Back,
}

impl Plan {
    /// What makes it another canary when it changes: its guards may be edited while it moves, its steps not.
    pub fn key(&self) -> String {
        let mut key = self.upstream.clone();
        for step in &self.steps {
            // Writing to a String cannot fail.
            let _ok = write!(key, ",{step}").is_ok();
        }
        key
    }

    /// What is wrong with the requests of a step, if anything.
    fn trouble(&self, seen: Seen) -> Option<String> {
        if seen.requests == 0 || seen.requests < self.requests {
            return None;
        }
        let Seen { requests, errors, micros } = seen;
        if u128::from(errors) * 100 > u128::from(requests) * u128::from(self.errors_max) {
            return Some(format!("{errors} of {requests} requests failed, and {}% may", self.errors_max));
        }
        let mean = Duration::from_micros(micros / requests);
        let most = self.latency_max.filter(|most| mean > *most)?;
        Some(format!("replies took {mean:.1?} in the mean of {requests} requests, and {most:?} is allowed"))
    }

    /// What is left for the operator when all steps are passed.
    fn farewell(&self) -> String {
        let upstream = &self.upstream;
        match self.steps.last() {
            Some(last) if *last < 100 => format!(
                "every step is passed and {upstream} keeps {last}%; to make it permanent, write these weights in the split and take canary out"
            ),
            _ => format!(
                "every step is passed; to make it permanent, write upstream = \"{upstream}\" in place of split and canary"
            ),
        }
    }
}

impl Progress {
    /// The first step.
    pub fn start(reason: impl Into<String>, now_ms: i64) -> Self {
        Self { state: State::Moving, step: Some(0), since_ms: now_ms, reason: reason.into() }
    }

    /// The share that it has now.
    pub fn percent(&self, plan: &Plan) -> u16 {
        let step = self.step.filter(|_| self.state != State::Back).and_then(|step| usize::try_from(step).ok());
        step.and_then(|step| plan.steps.get(step)).copied().unwrap_or(0)
    }

    /// Looks at a step under way: where the canary stands now, if that changed.
    pub fn look(&self, plan: &Plan, seen: Seen, now_ms: i64) -> Option<Self> {
        let step = self.step.filter(|_| self.state == State::Moving)?;
        let percent = self.percent(plan);
        if let Some(trouble) = plan.trouble(seen) {
            let (state, step, reason) = match plan.on_trouble {
                OnTrouble::Back => (State::Back, None, format!("went back from {percent}%: {trouble}")),
                OnTrouble::Stop => (State::Stopped, Some(step), format!("stopped at {percent}%: {trouble}")),
            };
            return Some(Self { state, step, since_ms: now_ms, reason });
        }
        let passed = u128::try_from(now_ms.saturating_sub(self.since_ms)).unwrap_or(0);
        if passed < plan.every.as_millis() || seen.requests < plan.requests {
            return None;
        }
        let next = step.saturating_add(1);
        let Some(share) = usize::try_from(next).ok().and_then(|next| plan.steps.get(next)) else {
            return Some(Self { state: State::Done, since_ms: now_ms, reason: plan.farewell(), ..self.clone() });
        };
        let Seen { requests, errors, .. } = seen;
        let reason = format!("from {percent}% to {share}%: {errors} of {requests} requests failed");
        Some(Self { state: State::Moving, step: Some(next), since_ms: now_ms, reason })
    }

    /// Does what an operator asks.
    ///
    /// # Errors
    /// Why that makes no sense where it stands, as a sentence.
    pub fn ask(&self, plan: &Plan, verb: Verb, author: &str, now_ms: i64) -> Result<Self, String> {
        let percent = self.percent(plan);
        let to = |state, step, reason| Ok(Self { state, step, since_ms: now_ms, reason });
        match (verb, self.state) {
            (Verb::Start, _) => Ok(Self::start(format!("started by {author}"), now_ms)),
            (Verb::Stop, State::Moving) => to(State::Stopped, self.step, format!("stopped at {percent}% by {author}")),
            (Verb::Resume, State::Stopped) => to(State::Moving, self.step, format!("resumed by {author}")),
            (Verb::Back, State::Moving | State::Stopped | State::Done) => {
                to(State::Back, None, format!("sent back from {percent}% by {author}"))
            }
            (Verb::Stop, state) => Err(format!("it does not move, it is {}", state.word())),
            (Verb::Resume, State::Back) => Err("it went back; start it from its first step".to_owned()),
            (Verb::Resume, state) => Err(format!("it is not stopped, it is {}", state.word())),
            (Verb::Back, State::Back) => Err("it has gone back already".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{OnTrouble, Plan, Progress, Seen, State, Verb};

    fn plan(on_trouble: OnTrouble) -> Plan {
        Plan {
            upstream: "next".to_owned(),
            steps: vec![5, 25, 100],
            every: Duration::from_secs(60),
            errors_max: 5,
            latency_max: Some(Duration::from_millis(200)),
            requests: 50,
            on_trouble,
        }
    }

    fn seen(requests: u64, errors: u64, mean_ms: u64) -> Seen {
        Seen { requests, errors, micros: requests * mean_ms * 1000 }
    }

    /// Rows: seconds in the step, what was seen, and where the second of three steps leads.
    #[test]
    fn a_step_is_over_when_time_and_requests_say_so() {
        let at = Progress { step: Some(1), ..Progress::start("", 1_000_000) };
        type Row = (i64, Seen, Option<(State, Option<u32>, u16)>);
        let rows: [Row; 9] = [
            (59, seen(500, 0, 10), None),
            (60, seen(49, 0, 10), None),
            (60, seen(50, 0, 10), Some((State::Moving, Some(2), 100))),
            (9_000, seen(0, 0, 0), None),
            (1, seen(50, 2, 10), None),
            (1, seen(50, 3, 10), Some((State::Back, None, 0))),
            (1, seen(49, 49, 10), None),
            (60, seen(60, 0, 201), Some((State::Back, None, 0))),
            (-500, seen(60, 0, 10), None),
        ];
        for (seconds, seen, want) in rows {
            let plan = plan(OnTrouble::Back);
            let got = at.look(&plan, seen, 1_000_000 + seconds * 1000);
            let got = got.map(|next| (next.state, next.step, next.percent(&plan)));
            assert_eq!(got, want, "row {seconds} s, {seen:?}");
        }
        let stopped = at.look(&plan(OnTrouble::Stop), seen(50, 50, 1), 1_001_000).expect("trouble");
        assert_eq!((stopped.state, stopped.step), (State::Stopped, Some(1)));
        assert!(stopped.reason.contains("stopped at 25%: 50 of 50 requests failed"), "{}", stopped.reason);
        assert_eq!(stopped.look(&plan(OnTrouble::Stop), seen(999, 0, 1), i64::MAX), None, "until somebody says so");
    }

    #[test]
    fn the_end_says_what_is_left_to_do() {
        let plan = plan(OnTrouble::Back);
        let last = Progress { step: Some(2), ..Progress::start("", 0) };
        let done = last.look(&plan, seen(50, 0, 1), 60_000).expect("it is over");
        assert_eq!((done.state, done.percent(&plan)), (State::Done, 100));
        assert!(done.reason.contains("upstream = \"next\""), "{}", done.reason);
        assert_eq!(done.look(&plan, seen(999, 999, 1), i64::MAX), None);
        let half = Plan { steps: vec![5, 50], ..plan };
        let done = Progress { step: Some(1), ..last }.look(&half, seen(50, 0, 1), 60_000).expect("it is over");
        assert!(done.reason.contains("keeps 50%"), "{}", done.reason);
    }

    /// Rows: the state, the verb, and the state after; none where it is refused.
    #[test]
    fn what_an_operator_may_ask() {
        use {State::*, Verb as V};
        let plan = plan(OnTrouble::Back);
        for (state, verb, want) in [
            (Moving, V::Start, Some(Moving)),
            (Back, V::Start, Some(Moving)),
            (Done, V::Start, Some(Moving)),
            (Moving, V::Stop, Some(Stopped)),
            (Stopped, V::Stop, None),
            (Done, V::Stop, None),
            (Stopped, V::Resume, Some(Moving)),
            (Back, V::Resume, None),
            (Moving, V::Resume, None),
            (Moving, V::Back, Some(Back)),
            (Done, V::Back, Some(Back)),
            (Back, V::Back, None),
        ] {
            let at = Progress { state, step: (state != Back).then_some(1), since_ms: 0, reason: String::new() };
            let got = at.ask(&plan, verb, "ana", 5);
            assert_eq!(got.as_ref().ok().map(|next| next.state), want, "row {state:?} {verb:?}: {got:?}");
            if let Ok(next) = got {
                assert!(next.since_ms == 5 && next.reason.contains("ana"), "row {state:?} {verb:?}: {next:?}");
                assert_eq!(
                    next.percent(&plan),
                    match (verb, next.state) {
                        (V::Start, _) => 5,
                        (_, Back) => 0,
                        _ => 25,
                    }
                );
            }
        }
    }

    #[test]
    fn words_are_read_back_and_guards_make_no_other_canary() {
        for state in State::ALL {
            assert_eq!(State::of(state.word()), Some(state));
        }
        let (one, two) = (plan(OnTrouble::Back), Plan { errors_max: 1, ..plan(OnTrouble::Stop) });
        assert_eq!(one.key(), two.key());
        assert_ne!(one.key(), Plan { steps: vec![5, 25], ..two }.key());
    }
}
