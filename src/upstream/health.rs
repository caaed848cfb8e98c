// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an endpoint may take requests, decided from the outcomes of its checks.
//!
//! Pure: time is a number of nanoseconds. The checks themselves are in [`probe`], and when they run in [`Schedule`]. What must
//! stay true: one stray failure takes nobody out, an endpoint that was added to a running upstream gets no request
//! before its first good check, and an upstream with nothing healthy looks for a living endpoint several times a
//! second. Every change of state comes with a sentence that says why.

use std::fmt::{self, Display};
use std::time::Duration;

pub mod agent;

pub mod probe;

mod schedule;

pub use schedule::Schedule;

/// Failures in a row before an endpoint is taken out, unless the upstream says otherwise.
pub const FALL_DEFAULT: u32 = 3;

/// Good checks in a row before it comes back.
pub const RISE_DEFAULT: u32 = 2;

/// Time between two checks of an endpoint that nobody doubts.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// What a check needs to see in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub fall: u32,
    pub rise: u32,
    pub interval: Duration,
    /// Between two checks in doubt; a quarter of the interval if nobody says.
    pub fast: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { fall: FALL_DEFAULT, rise: RISE_DEFAULT, interval: INTERVAL_DEFAULT, fast: None }
    }
}

/// What one check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// In this time, with something to know about it.
    Passed {
        took: Duration,
        note: Option<&'static str>,
    },
    Failed(Failure),
}

/// How a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The endpoint said something else than was expected.
    Answer(Box<str>),
    /// The connection was closed before what was expected had come.
    Closed,
    /// No connection; the operating system's words.
    Connect(Box<str>),
    /// Something that is not an HTTP reply, or one larger than we read.
    NotHttp(&'static str),
    /// A status that was not expected.
    Status { got: u16, want: Box<str> },
    /// Nothing in time.
    Timeout(Duration),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(what) => f.write_str(what),
            Self::Closed => f.write_str("was cut off before a reply"),
            Self::Connect(cause) => write!(f, "could not connect: {cause}"),
            Self::NotHttp(what) => write!(f, "got a reply that is not HTTP: {what}"),
            Self::Status { got, want } => write!(f, "got {got} (want {want})"),
            Self::Timeout(limit) => write!(f, "got no reply in {limit:?}"),
        }
    }
}

/// What is thought of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Added to a running upstream, not checked yet: takes no request.
    New,
    /// Not known, as at the start of the process: takes requests until it has failed enough checks.
    Unknown,
    Healthy,
    Unhealthy,
}

impl State {
    /// Whether an endpoint in this state may take requests.
    pub fn is_usable(self) -> bool {
        match self {
            Self::Unknown | Self::Healthy => true,
            Self::New | Self::Unhealthy => false,
        }
    }

    /// The word for it in the console, the log and the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A change of state, for the log, the health time-line and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub from: State,
    pub to: State,
    /// One sentence, such as "health check got 500 (want 200) three times in a row".
    pub reason: String,
    pub at_ns: u64,
}

/// Whether the upstream has another healthy endpoint. In the dark, one good check is enough to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// At least one endpoint of the upstream takes requests.
    Lit,
    /// None does.
    Dark,
}

/// The health of one endpoint.
#[derive(Clone, Debug)]
pub struct Health {
    state: State,
    since_ns: u64,
    /// Good checks in a row, while it is not healthy.
    passed: u32,
    /// Failures in a row, while it is usable.
    failed: u32,
    /// The last failure of the run, and whether all before it in the run were the same.
    last: Option<Failure>,
    alike: bool,
}

impl Health {
    /// Starts in `state`: `New` for an endpoint added to a running upstream, the stored state or `Unknown` at the
    /// start of the process.
    pub fn new(state: State, now_ns: u64) -> Self {
        Self { state, since_ns: now_ns, passed: 0, failed: 0, last: None, alike: true }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// When it came into this state.
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }

    /// The last failure of the current run of failures.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// Takes the outcome of one check.
    pub fn observe(&mut self, rules: Rules, outcome: CheckOutcome, around: Around, now_ns: u64) -> Option<Transition> {
        match outcome {
            CheckOutcome::Passed { took, note } => self.passed(rules, took, note, around, now_ns),
            CheckOutcome::Failed(failure) => self.failed(rules, failure, now_ns),
        }
    }

    fn passed(
        &mut self,
        rules: Rules,
        took: Duration,
        note: Option<&'static str>,
        around: Around,
        now_ns: u64,
    ) -> Option<Transition> {
        (self.failed, self.last, self.alike) = (0, None, true);
        let needed = match (self.state, around) {
            (State::Healthy, _) => return None,
            (State::New | State::Unknown, _) | (State::Unhealthy, Around::Dark) => 1,
            (State::Unhealthy, Around::Lit) => rules.rise,
        };
        self.passed = self.passed.saturating_add(1);
        if self.passed < needed {
            return None;
        }
        let times = times(self.passed);
        let note = note.map_or_else(String::new, |note| format!(": {note}"));
        self.turn(State::Healthy, format!("health check passed {times} (last in {}){note}", millis(took)), now_ns)
    }

    fn failed(&mut self, rules: Rules, failure: Failure, now_ns: u64) -> Option<Transition> {
        self.passed = 0;
        self.failed = self.failed.saturating_add(1);
        self.alike &= self.last.as_ref().is_none_or(|last| *last == failure);
        let needed = match self.state {
            State::Unhealthy => u32::MAX,
            State::New => 1,
            State::Unknown | State::Healthy => rules.fall,
        };
        let reason = (self.failed >= needed).then(|| run(&failure, self.failed, self.alike));
        self.last = Some(failure);
        self.turn(State::Unhealthy, reason?, now_ns)
    }

    fn turn(&mut self, to: State, reason: String, at_ns: u64) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        self.since_ns = at_ns;
        self.passed = 0;
        Some(Transition { from, to, reason, at_ns })
    }

    /// Whether checks have failed since it last passed one.
    pub fn is_failing(&self) -> bool {
        self.failed > 0
    }

    fn is_rising(&self) -> bool {
        self.state == State::Unhealthy && self.passed > 0
    }

    fn is_in_doubt(&self) -> bool {
        self.state.is_usable() && self.failed > 0
    }
}

/// A run of failures as a sentence.
fn run(failure: &Failure, count: u32, alike: bool) -> String {
    let times = times(count);
    match failure {
        Failure::Status { got, want } if alike => format!("health check got {got} {times} (want {want})"),
        _ if count == 1 => format!("health check {failure}"),
        _ if alike => format!("health check failed {times}: {failure}"),
        _ => format!("health check failed {times}, at last: {failure}"),
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        3 => "three times".into(),
        4 => "four times".into(),
        5 => "five times".into(),
        n => format!("{n} times"),
    }
}

fn millis(took: Duration) -> String {
    if took < Duration::from_millis(1) { "under 1 ms".into() } else { format!("{} ms", took.as_millis()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Around, CheckOutcome, Failure, Health, Rules, State};

    fn status(got: u16) -> CheckOutcome {
        CheckOutcome::Failed(Failure::Status { got, want: "200".into() })
    }

    /// `.` passes, `5` gets 500, `4` gets 404, `t` times out. Each change is written as state letter and sentence.
    #[track_caller]
    fn check(start: State, around: Around, outcomes: &str, want: &[&str]) {
        let mut health = Health::new(start, 0);
        let mut got = Vec::new();
        for (at, letter) in (1..).zip(outcomes.chars()) {
            let outcome = match letter {
                '.' => CheckOutcome::Passed { took: Duration::from_millis(3), note: None },
                '5' => status(500),
                '4' => status(404),
                _ => CheckOutcome::Failed(Failure::Timeout(Duration::from_secs(1))),
            };
            if let Some(turn) = health.observe(Rules::default(), outcome, around, at) {
                assert_eq!((turn.to, turn.at_ns), (health.state(), health.since_ns()));
                got.push(format!("{at}: {} → {}: {}", turn.from.word(), turn.to.word(), turn.reason));
            }
        }
        assert_eq!(got, want, "{start:?} with {outcomes}");
    }

    #[test]
    fn three_failures_in_a_row_take_an_endpoint_out() {
        let down = "3: healthy → unhealthy: health check got 500 three times (want 200)";
        check(State::Healthy, Around::Lit, "555", &[down]);
        check(State::Healthy, Around::Lit, "55.55.55", &[]);
        let down = "3: unknown → unhealthy: health check failed three times, at last: got no reply in 1s";
        check(State::Unknown, Around::Lit, "54t", &[down]);
        let down = "3: healthy → unhealthy: health check failed three times: got no reply in 1s";
        check(State::Healthy, Around::Lit, "ttttttt", &[down]);
    }

    #[test]
    fn two_good_checks_bring_it_back_and_in_the_dark_one() {
        let up = "3: unhealthy → healthy: health check passed twice (last in 3 ms)";
        check(State::Unhealthy, Around::Lit, "5..", &[up]);
        check(State::Unhealthy, Around::Lit, ".5.5.", &[]);
        let up = "2: unhealthy → healthy: health check passed once (last in 3 ms)";
        check(State::Unhealthy, Around::Dark, "5..", &[up]);
    }

    #[test]
    fn a_new_endpoint_is_decided_by_its_first_check() {
        let up = "1: new → healthy: health check passed once (last in 3 ms)";
        check(State::New, Around::Lit, "..5", &[up]);
        let down = "1: new → unhealthy: health check got 404 once (want 200)";
        check(State::New, Around::Lit, "4.", &[down]);
        assert!(!State::New.is_usable() && State::Unknown.is_usable());
        assert!(State::Healthy.is_usable() && !State::Unhealthy.is_usable());
    }
}
