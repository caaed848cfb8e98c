// SPDX-License-Identifier: MIT OR Apache-2.0
//! What requests tell about an endpoint: the few atomics that workers write and the checker reads.
//!
//! It counts and it holds; it ejects nobody. A hold is for the endpoint that hangs: once a few requests in a row have
//! been sent without a reply for far longer than is usual, workers send it no new ones, at once and by themselves. The
//! first reply lifts it. Everything slower (ejection, panic, agents) is decided by the one task of the checker, which is
//! rung when there is something to decide, and shows here as a flag. No clock, no lock: time is an argument.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;

use super::health::State;

/// Where a worker rings when the checker should look at the endpoint of that number. Full is as good as rung: the
/// checker looks at everybody once a second.
pub type Bell = mpsc::Sender<u64>;

/// So many requests without a reply hold an endpoint if they are long overdue.
pub const FEW: u32 = 3;

/// So many hold it as soon as they are overdue at all.
pub const MANY: u32 = 12;

/// Overdue is more than this many times the usual time to a reply …
const USUAL_TIMES: u64 = 8;

/// … and, for many, at least this …
const MANY_MIN_NS: u64 = 5_000_000;

/// … and, for a few, at least this.
const FEW_MIN_NS: u64 = 300_000_000;

/// What is usual for an endpoint that has never answered: a few hold it after this, many at once.
const UNMEASURED_NS: u64 = 1_000_000_000;

/// A new time to a reply counts for so much of the mean.
const MEAN_PARTS: u64 = 16;

/// It failed too many requests and is out of the way for a while.
const EJECTED: u8 = 1;
/// It hangs: no new requests until it answers.
const HELD: u8 = 2;
/// Too few endpoints of its upstream are usable, so its health is ignored.
const PANIC: u8 = 4;
/// Its agent has set it to drain or maintenance.
const SET_ASIDE: u8 = 8;
/// It was held and has not answered since: one request is enough to hold it again.
const SUSPECT: u8 = 16;
/// Failures are counted.
const COUNTED: u8 = 32;

/// How an attempt ended, as far as the endpoint is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A whole reply that is no server error.
    Good,
    /// No connection, no reply, a cut reply or a server error.
    Bad,
}

/// Whether a hold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Respected,
    /// Everybody who could take a request is held, so it goes to one of them.
    Ignored,
}

/// The passive side of one endpoint.
#[derive(Debug, Default)]
pub struct Passive {
    flags: AtomicU8,
    /// Bad endings in a row, over all workers.
    streak: AtomicU32,
    /// The checker is rung at every multiple of this streak; 0 never.
    alarm_at: AtomicU32,
    /// Requests (low half) and bad endings (high half) since the checker took them.
    tally: AtomicU64,
    /// Requests sent since the last reply.
    unanswered: AtomicU32,
    /// When the first of them was sent.
    since_ns: AtomicU64,
    /// The mean time to a reply; 0 before the first.
    usual_ns: AtomicU64,
    bell: OnceLock<(u64, Bell)>,
}

impl Passive {
    /// Whether requests may go to an endpoint in this state.
    pub fn allows(&self, state: State, holds: Holds) -> bool {
        let flags = self.flags.load(Relaxed);
        if flags & (EJECTED | HELD | PANIC | SET_ASIDE) == 0 {
            return state.is_usable();
        }
        let held = flags & HELD != 0 && holds == Holds::Respected;
        if flags & SET_ASIDE != 0 || held {
            return false;
        }
        let well = state.is_usable() && flags & EJECTED == 0;
        // Nothing is known of a new one: not even panic sends it requests.
        well || (flags & PANIC != 0 && state != State::New)
    }

    /// A request is about to be sent.
    pub fn begun(&self, now_ns: u64) {
        let count = self.unanswered.fetch_add(1, Relaxed).saturating_add(1);
        if count == 1 {
            self.since_ns.store(now_ns, Relaxed);
        }
        let flags = self.flags.load(Relaxed);
        if (count < FEW && flags & SUSPECT == 0) || flags & HELD != 0 {
            return;
        }
        let age_ns = now_ns.saturating_sub(self.since_ns.load(Relaxed));
        if flags & SUSPECT != 0 || is_overdue(count, age_ns, self.usual_ns.load(Relaxed)) {
            self.hold();
        }
    }

    #[cold]
    fn hold(&self) {
        if self.flags.fetch_or(HELD | SUSPECT, Relaxed) & HELD == 0 {
            self.ring();
        }
    }

    /// The head of a reply is here, so long after the request was sent.
    pub fn answered(&self, took: Duration) {
        if self.unanswered.load(Relaxed) != 0 {
            self.unanswered.store(0, Relaxed);
        }
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let usual_ns = self.usual_ns.load(Relaxed);
        let next_ns = match usual_ns {
            0 => took_ns,
            // Two workers may write at once; one of two samples is lost, which a mean forgives.
            usual_ns => (usual_ns - usual_ns / MEAN_PARTS).saturating_add(took_ns / MEAN_PARTS).max(1),
        };
        self.usual_ns.store(next_ns, Relaxed);
        if self.flags.load(Relaxed) & (HELD | SUSPECT) != 0 {
            self.release();
        }
    }

    #[cold]
    fn release(&self) {
        if self.flags.fetch_and(!(HELD | SUSPECT), Relaxed) & (HELD | SUSPECT) != 0 {
            self.ring();
        }
    }

    /// A request failed in a way that is no silence: it is not one of those that wait.
    #[cold]
    pub fn not_silent(&self) {
        // An error says only that a reply came meanwhile and there is nothing to take away.
        let _none_left = self.unanswered.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1)).is_err();
    }

    /// A request has ended. True if the streak of bad ones has reached a length to tell of.
    pub fn settle(&self, ending: Ending) {
        if self.flags.load(Relaxed) & COUNTED == 0 {
            return;
        }
        match ending {
            Ending::Good => {
                self.tally.fetch_add(1, Relaxed);
                if self.streak.load(Relaxed) != 0 {
                    self.streak.store(0, Relaxed);
                }
            }
            Ending::Bad => {
                self.tally.fetch_add(1 | 1 << 32, Relaxed);
                let streak = self.streak.fetch_add(1, Relaxed).saturating_add(1);
                let alarm_at = self.alarm_at.load(Relaxed);
                if alarm_at > 0 && streak.is_multiple_of(alarm_at) {
                    self.ring();
                }
            }
        }
    }

    /// Asks the checker to look at this endpoint.
    pub fn ring(&self) {
        if let Some((id, bell)) = self.bell.get() {
            // A full bell is rung already.
            let _full = bell.try_send(*id).is_err();
        }
    }

    // ── the checker's side ──

    /// Gives workers something to ring; the first one counts.
    pub fn attach(&self, id: u64, bell: &Bell) {
        self.bell.get_or_init(|| (id, bell.clone()));
    }

    /// Counts failures and rings at every `alarm_at` in a row (0 never), or counts nothing.
    pub fn count(&self, alarm_at: Option<u32>) {
        self.alarm_at.store(alarm_at.unwrap_or(0), Relaxed);
        self.set(COUNTED, alarm_at.is_some());
        if alarm_at.is_none() {
            self.streak.store(0, Relaxed);
        }
    }

    pub fn streak(&self) -> u32 {
        self.streak.load(Relaxed)
    }

    /// The run of failures is over: it was answered by an ejection that has ended.
    pub fn forget_streak(&self) {
        self.streak.store(0, Relaxed);
    }

    /// The run of failures goes on from here.
    pub fn restore_streak(&self, streak: u32) {
        self.streak.store(streak, Relaxed);
    }

    /// Requests and bad endings since the last call.
    pub fn take_tally(&self) -> (u32, u32) {
        let tally = self.tally.swap(0, Relaxed);
        (u32::try_from(tally & u64::from(u32::MAX)).unwrap_or_default(), u32::try_from(tally >> 32).unwrap_or_default())
    }

    pub fn set_ejected(&self, on: bool) {
        self.set(EJECTED, on);
    }

    pub fn set_panic(&self, on: bool) {
        self.set(PANIC, on);
    }

    pub fn set_aside(&self, on: bool) {
        self.set(SET_ASIDE, on);
    }

    pub fn is_ejected(&self) -> bool {
        self.flags.load(Relaxed) & EJECTED != 0
    }

    pub fn is_panic(&self) -> bool {
        self.flags.load(Relaxed) & PANIC != 0
    }

    pub fn is_set_aside(&self) -> bool {
        self.flags.load(Relaxed) & SET_ASIDE != 0
    }

    pub fn is_held(&self) -> bool {
        self.flags.load(Relaxed) & HELD != 0
    }

    /// Whether it has been held and has not answered since.
    pub fn is_suspect(&self) -> bool {
        self.flags.load(Relaxed) & SUSPECT != 0
    }

    /// Lets one more request through to an endpoint that is held; without a reply it is held again.
    pub fn let_one_through(&self) {
        self.set(HELD, false);
    }

    /// Nothing is held against it any more.
    pub fn absolve(&self) {
        self.unanswered.store(0, Relaxed);
        self.flags.fetch_and(!(HELD | SUSPECT), Relaxed);
    }

    /// How many requests wait, since when, and what is usual.
    pub fn silence(&self) -> (u32, u64, Duration) {
        let usual = Duration::from_nanos(self.usual_ns.load(Relaxed));
        (self.unanswered.load(Relaxed), self.since_ns.load(Relaxed), usual)
    }

    fn set(&self, flag: u8, on: bool) {
        if on {
            self.flags.fetch_or(flag, Relaxed)
        } else {
            self.flags.fetch_and(!flag, Relaxed)
        };
    }
}

/// Whether so many requests without a reply for so long mean that the endpoint hangs.
fn is_overdue(count: u32, age_ns: u64, usual_ns: u64) -> bool {
    if usual_ns == 0 {
        return count >= MANY || age_ns >= UNMEASURED_NS;
    }
    let late_ns = usual_ns.saturating_mul(USUAL_TIMES);
    let least_ns = if count >= MANY { MANY_MIN_NS } else { FEW_MIN_NS };
    age_ns >= late_ns.max(least_ns)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::{Ending, Holds, Passive, State};

    const MS: u64 = 1_000_000;

    /// Requests begin every `every_ms` after a past with this usual time; the one at which the endpoint is held.
    fn held_at(usual_ms: u64, every_ms: u64) -> Option<u64> {
        let passive = Passive::default();
        if usual_ms > 0 {
            passive.begun(0);
            passive.answered(Duration::from_millis(usual_ms));
        }
        (1..=1000).find(|at| {
            passive.begun(10_000 * MS + at * every_ms * MS);
            !passive.allows(State::Healthy, Holds::Respected)
        })
    }

    #[test]
    fn a_hung_endpoint_gets_fewer_than_twenty_requests() {
        // Usual time, time between requests, and the request after which no more come.
        for (usual_ms, every_ms, want) in [
            (1, 1, Some(12)),
            (1, 10, Some(12)),
            (2, 1, Some(17)),
            (5, 100, Some(4)),
            (5, 1_000, Some(3)),
            (1_000, 1_000, Some(9)),
            (0, 0, Some(12)),
            (0, 600, Some(3)),
        ] {
            assert_eq!(held_at(usual_ms, every_ms), want, "row {usual_ms} ms, every {every_ms} ms");
        }
        assert_eq!(held_at(100, 0), None, "a burst is no silence");
    }

    #[test]
    fn the_first_reply_lifts_a_hold_and_without_one_a_single_request_brings_it_back() {
        let (bell, mut rung) = mpsc::channel(8);
        let passive = Passive::default();
        passive.attach(7, &bell);
        (0..12).for_each(|_| passive.begun(0));
        assert!(passive.is_held() && passive.allows(State::Healthy, Holds::Ignored));
        assert_eq!(rung.try_recv(), Ok(7));
        passive.let_one_through();
        assert!(passive.allows(State::Healthy, Holds::Respected));
        passive.begun(1);
        assert!(passive.is_held(), "one was let through");
        passive.answered(Duration::from_millis(1));
        assert!(!passive.is_held());
        passive.begun(2);
        assert!(!passive.is_held(), "it answered, so one request proves nothing");
    }

    #[test]
    fn a_refused_connection_is_no_silence() {
        let passive = Passive::default();
        for at in 0..1_000 {
            passive.begun(at * 1_000 * MS);
            passive.not_silent();
        }
        assert!(!passive.is_held());
    }

    #[test]
    fn every_multiple_of_the_streak_rings_and_a_good_ending_ends_it() {
        let (bell, mut rung) = mpsc::channel(8);
        let passive = Passive::default();
        passive.attach(7, &bell);
        (0..9).for_each(|_| passive.settle(Ending::Bad));
        assert_eq!((passive.streak(), passive.take_tally()), (0, (0, 0)), "nobody asked for a count");
        passive.count(Some(3));
        (0..7).for_each(|_| passive.settle(Ending::Bad));
        assert!(rung.try_recv().is_ok() && rung.try_recv().is_ok() && rung.try_recv().is_err());
        passive.settle(Ending::Good);
        assert_eq!((passive.streak(), passive.take_tally(), passive.take_tally()), (0, (8, 7), (0, 0)));
    }

    #[test]
    fn flags_decide_over_states() {
        let passive = Passive::default();
        let row = |passive: &Passive| {
            [State::New, State::Unknown, State::Healthy, State::Unhealthy]
                .map(|state| passive.allows(state, Holds::Respected))
        };
        assert_eq!(row(&passive), [false, true, true, false]);
        passive.set_ejected(true);
        assert_eq!(row(&passive), [false; 4]);
        passive.set_panic(true);
        assert_eq!(row(&passive), [false, true, true, true], "never to a new one");
        passive.set_aside(true);
        assert_eq!(row(&passive), [false; 4], "what an agent sets aside stays aside");
    }
}
