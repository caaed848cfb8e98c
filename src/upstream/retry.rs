// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a failed request may go to an endpoint again: a pure decision that can give its reason in a sentence.
//!
//! Three things must agree: the fault (can it have been processed?), the request (idempotent, and its body still in
//! hand?) and the [`RetryBudget`], which keeps retries from multiplying an outage. A kept connection that turned out
//! stale is not a failure of the endpoint: its retry costs no budget, needs no rule, and takes a fresh connection.
//! The budget is local to a worker.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::fault::{Facts, Fault, Retry};

/// The time over which the budget counts.
const WINDOW_S: u64 = 10;

/// One slot per second of the window.
const SLOTS: usize = 10;

const _: () = assert!(SLOTS as u64 == WINDOW_S, "a slot is reused just when it has left the window");

/// Retries per window that are always allowed, so that a quiet upstream can retry at all.
pub const RETRIES_MIN: u32 = 3;

/// The share of the requests of a window that may be retries, unless the upstream says otherwise.
pub const PERCENT_DEFAULT: u32 = 20;

/// Retries on stale connections in one exchange. The first goes to a fresh connection, which cannot be stale, so a
/// second would be a mistake of ours and must not become a loop.
const STALE_MAX: u32 = 1;

/// A kind of failure that an upstream may list in `retry.on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection, or none in time.
    Connect,
    /// The connection ended before a byte of reply.
    Reset,
    /// No reply in time.
    Timeout,
    /// A reply with this status.
    Status(u16),
}

impl Cause {
    fn of(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Connect { .. } | Fault::ConnectTimeout { .. } => Some(Self::Connect),
            Fault::Closed { .. } | Fault::StreamRefused { .. } | Fault::StreamReset { .. } => Some(Self::Reset),
            Fault::ReplyTimeout { .. } | Fault::TryTimeout { .. } => Some(Self::Timeout),
            Fault::Answered { status, .. } => Some(Self::Status(*status)),
            _ => None,
        }
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("a failed connection"),
            Self::Reset => f.write_str("a connection closed without a reply"),
            Self::Status(status) => write!(f, "a reply of {status}"),
            Self::Timeout => f.write_str("a reply that did not come in time"),
        }
    }
}

/// What an upstream allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Times a request may be sent in all, the first included.
    pub attempts: u32,
    /// Failures after which it may be sent again.
    pub on: Box<[Cause]>,
    /// Retries as a share of requests, in per cent.
    pub percent: u32,
    /// How long one attempt may take to bring the head of a reply, if another may follow.
    pub per_try: Option<Duration>,
    /// Bytes of a request body that are kept for another attempt.
    pub buffer: u64,
}

impl Default for Rules {
    fn default() -> Self {
        let on = Box::new([Cause::Connect]);
        Self { attempts: 2, on, percent: PERCENT_DEFAULT, per_try: None, buffer: 0 }
    }
}

/// Whether the request body can be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, or nothing of it was taken from the client yet, or all of it is still in hand.
    InHand,
    /// Part of it has been passed on and is gone.
    Spent,
}

/// What is known of the exchange when an attempt has failed.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    pub method: &'a str,
    pub body: Body,
    /// Attempts so far that were not stale, the failed one included.
    pub attempts: u32,
    /// Attempts so far that met a stale connection, the failed one included.
    pub stale: u32,
}

/// What to do after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Pick again, leaving out the endpoints tried.
    Again,
    /// Try the same endpoint again at once, on a fresh connection.
    AgainFresh,
    /// Answer with the fault; the reason reads "not tried again: …".
    Enough(Refusal),
}

/// Why a request is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Attempts(u32),
    BodySpent,
    Budget { retries: u32, requests: u32 },
    Final,
    MayHaveRun(Box<str>),
    NotAsked(Cause),
    StaleTwice,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not tried again: ")?;
        match self {
            Self::Attempts(1) => f.write_str("one attempt is all that this upstream allows"),
            Self::Attempts(n) => write!(f, "all {n} attempts were used"),
            Self::BodySpent => f.write_str("part of the request body was already passed on"),
            Self::Budget { retries, requests } => {
                write!(f, "the retry budget is used up ({retries} retries for {requests} requests in {WINDOW_S} s)")
            }
            Self::Final => f.write_str("another attempt cannot change this"),
            Self::MayHaveRun(method) => write!(f, "{method} may have been processed"),
            Self::NotAsked(cause) => write!(f, "this upstream does not retry after {cause}"),
            Self::StaleTwice => f.write_str("a fresh connection was closed without a reply as well"),
        }
    }
}

/// Whether running the method twice is the same as running it once (RFC 9110 section 9.2.2). Unknown ones are not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
}

/// Decides, and charges the budget when it says [`Decision::Again`].
pub fn allows(rules: &Rules, fault: &Fault, tried: Tried<'_>, budget: &mut RetryBudget, now_ns: u64) -> Decision {
    match refusal(rules, fault, tried, budget, now_ns) {
        Some(refusal) => Decision::Enough(refusal),
        None if matches!(fault, Fault::Stale { .. }) => Decision::AgainFresh,
        None => {
            budget.charge(now_ns);
            Decision::Again
        }
    }
}

/// Whether [`allows`] would say that it may be tried again. Nothing is charged.
pub fn may_follow(rules: &Rules, fault: &Fault, tried: Tried<'_>, budget: &RetryBudget, now_ns: u64) -> bool {
    refusal(rules, fault, tried, budget, now_ns).is_none()
}

/// Whether the budget has room for a second copy of a request that is under way. If so, it is charged.
pub fn allows_copy(rules: &Rules, budget: &mut RetryBudget, now_ns: u64) -> bool {
    let (requests, retries) = budget.counted(now_ns);
    let is_allowed = retries < allowed(requests, rules.percent);
    if is_allowed {
        budget.charge(now_ns);
    }
    is_allowed
}

fn refusal(rules: &Rules, fault: &Fault, tried: Tried<'_>, budget: &RetryBudget, now_ns: u64) -> Option<Refusal> {
    let Facts { retry, .. } = fault.facts();
    if retry == Retry::Never {
        return Some(Refusal::Final);
    }
    if retry == Retry::Idempotent && !is_idempotent(tried.method) {
        return Some(Refusal::MayHaveRun(tried.method.into()));
    }
    if tried.body == Body::Spent {
        return Some(Refusal::BodySpent);
    }
    if matches!(fault, Fault::Stale { .. }) {
        return (tried.stale > STALE_MAX).then_some(Refusal::StaleTwice);
    }
    if let Some(cause) = Cause::of(fault)
        && !rules.on.contains(&cause)
    {
        return Some(Refusal::NotAsked(cause));
    }
    if tried.attempts >= rules.attempts {
        return Some(Refusal::Attempts(rules.attempts));
    }
    let (requests, retries) = budget.counted(now_ns);
    (retries >= allowed(requests, rules.percent)).then_some(Refusal::Budget { retries, requests })
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    requests: u32,
    retries: u32,
}

/// Requests and retries of the last ten seconds, by second.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    slots: [Slot; SLOTS],
}

impl RetryBudget {
    /// Counts a request that came from a client.
    pub fn record(&mut self, now_ns: u64) {
        let slot = self.slot(now_ns);
        slot.requests = slot.requests.saturating_add(1);
    }

    fn charge(&mut self, now_ns: u64) {
        let slot = self.slot(now_ns);
        slot.retries = slot.retries.saturating_add(1);
    }

    fn slot(&mut self, now_ns: u64) -> &mut Slot {
        let second = now_ns / 1_000_000_000;
        let place = usize::try_from(second).unwrap_or_default() % SLOTS;
        let slot = self.slots.get_mut(place).expect("a remainder of SLOTS is below SLOTS");
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot
    }

    /// Requests and retries of the window that ends now.
    pub fn counted(&self, now_ns: u64) -> (u32, u32) {
        let second = now_ns / 1_000_000_000;
        let live = self.slots.iter().filter(|slot| slot.second <= second && second - slot.second < WINDOW_S);
        live.fold((0, 0), |(requests, retries), slot| {
            (slot.requests.saturating_add(requests), slot.retries.saturating_add(retries))
        })
    }
}

fn allowed(requests: u32, percent: u32) -> u32 {
    let share = u64::from(requests) * u64::from(percent) / 100;
    u32::try_from(share).unwrap_or(u32::MAX).max(RETRIES_MIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Body, Cause, Decision, RetryBudget, Rules, Tried, allows};
    use crate::fault::{Fault, Sent};

    const SECOND: u64 = 1_000_000_000;

    fn say(decision: &Decision) -> String {
        match decision {
            Decision::Again => "again".into(),
            Decision::AgainFresh => "again, fresh".into(),
            Decision::Enough(refusal) => refusal.to_string(),
        }
    }

    #[track_caller]
    fn check(fault: &Fault, tried: Tried<'_>, want: &str) {
        let rules = Rules { on: Box::new([Cause::Connect, Cause::Reset]), ..Rules::default() };
        let got = say(&allows(&rules, fault, tried, &mut RetryBudget::default(), SECOND));
        assert_eq!(got, want, "{fault} for {tried:?}");
    }

    fn tried(method: &str) -> Tried<'_> {
        Tried { method, body: Body::InHand, attempts: 1, stale: 0 }
    }

    fn stale(sent: Sent) -> Fault {
        Fault::Stale { endpoint: "e".into(), sent }
    }

    #[test]
    fn only_what_cannot_have_run_is_tried_again() {
        let refused = Fault::Connect { endpoint: "e".into(), cause: "refused".into() };
        let closed = |sent| Fault::Closed { endpoint: "e".into(), sent };
        let late = Fault::ReplyTimeout { endpoint: "e".into(), after: Duration::from_secs(1), sent: Sent::Wholly };
        check(&refused, tried("POST"), "again");
        check(&closed(Sent::Nothing), tried("POST"), "again");
        check(&closed(Sent::Wholly), tried("GET"), "again");
        check(&closed(Sent::Wholly), tried("POST"), "not tried again: POST may have been processed");
        check(&closed(Sent::Partly), tried("BREW"), "not tried again: BREW may have been processed");
        let untold = "not tried again: this upstream does not retry after a reply that did not come in time";
        check(&late, tried("GET"), untold);
        let unavailable = Fault::Answered { endpoint: "e".into(), status: 503 };
        check(&unavailable, tried("GET"), "not tried again: this upstream does not retry after a reply of 503");
        check(&unavailable, tried("PATCH"), "not tried again: PATCH may have been processed");
        check(&Fault::NoRoute, tried("GET"), "not tried again: another attempt cannot change this");
        let spent = Tried { body: Body::Spent, ..tried("PUT") };
        check(&refused, spent, "not tried again: part of the request body was already passed on");
        let last = Tried { attempts: 2, ..tried("GET") };
        check(&refused, last, "not tried again: all 2 attempts were used");
    }

    #[test]
    fn a_stale_connection_is_nobody_s_failure() {
        let at = |stale| Tried { stale, attempts: 9, ..tried("GET") };
        check(&stale(Sent::Wholly), at(1), "again, fresh");
        let twice = "not tried again: a fresh connection was closed without a reply as well";
        check(&stale(Sent::Wholly), at(2), twice);
        check(&stale(Sent::Nothing), Tried { stale: 1, ..tried("POST") }, "again, fresh");
        check(&stale(Sent::Wholly), tried("POST"), "not tried again: POST may have been processed");
    }

    #[test]
    fn the_budget_is_a_fifth_of_the_requests_of_ten_seconds() {
        let refused = Fault::Connect { endpoint: "e".into(), cause: "refused".into() };
        let (rules, mut budget) = (Rules::default(), RetryBudget::default());
        let again = |budget: &mut RetryBudget, now| allows(&rules, &refused, tried("GET"), budget, now);
        for _ in 0..3 {
            assert_eq!(again(&mut budget, SECOND), Decision::Again);
        }
        let want = "not tried again: the retry budget is used up (3 retries for 0 requests in 10 s)";
        assert_eq!(say(&again(&mut budget, SECOND)), want);
        for step in 0..100 {
            budget.record(2 * SECOND + step * SECOND / 100);
        }
        let granted = (0..100).filter(|_| again(&mut budget, 3 * SECOND) == Decision::Again).count();
        assert_eq!(granted, 17, "20 for 100 requests, three of them spent before");
        for _ in 0..10 {
            assert_eq!(
                allows(&rules, &stale(Sent::Wholly), tried("GET"), &mut budget, 3 * SECOND),
                Decision::AgainFresh
            );
        }
        assert_eq!(again(&mut budget, 13 * SECOND), Decision::Again, "ten seconds later all is forgotten");
    }
}
