// SPDX-License-Identifier: MIT OR Apache-2.0
//! One address in an upstream, with its live state: the few numbers that workers and the control side share.
//!
//! All of it is atomic and none of it is locked. A configuration change carries an endpoint's state over by upstream
//! and address, so applying one forgets no health, no requests in flight and no operator's override.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::health::State;
use super::latency::Latency;
use super::limits::EndpointLoad;
use super::passive::{Ending, Holds, Passive};
use crate::balance::{Candidate, identity};

/// What an operator has set over the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As configured.
    Ready,
    /// No new requests; those in flight finish.
    Drain,
    /// No requests and no health checks.
    Maintenance,
}

/// All of a weight, in the per cent of [`Live::share`].
pub const SHARE_WHOLE: u8 = 100;

/// State that outlives a snapshot.
#[derive(Debug)]
pub struct Live {
    /// Unique in the process and never reused: workers keep their pools by it.
    pub id: u64,
    state: AtomicU8,
    mode: AtomicU8,
    weight: AtomicU32,
    /// Per cent of its weight and limits that count now.
    share: AtomicU8,
    in_flight: AtomicU32,
    /// How long it takes to answer, where the balancer wants to know.
    pub latency: Latency,
    /// Set by a worker that could not connect, so that the next check comes at once.
    suspect: AtomicBool,
    pub load: EndpointLoad,
    /// What requests tell about it.
    pub passive: Passive,
}

impl Live {
    /// A new endpoint with this state and weight.
    pub fn new(state: State, weight: u32) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: AtomicU8::new(code_of(state)),
            mode: AtomicU8::new(0),
            weight: AtomicU32::new(weight),
            share: AtomicU8::new(SHARE_WHOLE),
            in_flight: AtomicU32::new(0),
            latency: Latency::default(),
            suspect: AtomicBool::new(false),
            load: EndpointLoad::default(),
            passive: Passive::default(),
        }
    }

    pub fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::New,
            1 => State::Unknown,
            2 => State::Healthy,
            _ => State::Unhealthy,
        }
    }

    pub fn set_state(&self, state: State) {
        self.state.store(code_of(state), Ordering::Relaxed);
    }

    pub fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Relaxed) {
            0 => Mode::Ready,
            1 => Mode::Drain,
            _ => Mode::Maintenance,
        }
    }

    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// The part of its weight and limits that counts, in per cent: less than all while it starts slowly.
    pub fn share(&self) -> u8 {
        self.share.load(Ordering::Relaxed)
    }

    pub fn set_share(&self, percent: u8) {
        self.share.store(percent.min(SHARE_WHOLE), Ordering::Relaxed);
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request that is sent now as in flight until the guard is dropped.
    pub fn begin(self: &Arc<Self>, now_ns: u64) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.passive.begun(now_ns);
        InFlight { live: Arc::clone(self), ending: Cell::new(None) }
    }

    /// The same for what passes unread, where silence means nothing.
    pub fn begin_unread(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { live: Arc::clone(self), ending: Cell::new(None) }
    }

    /// The same, if fewer than `most` are in flight.
    pub fn try_begin(self: &Arc<Self>, most: u32, now_ns: u64) -> Option<InFlight> {
        let more = |now: u32| (now < most).then(|| now + 1);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        self.passive.begun(now_ns);
        Some(InFlight { live: Arc::clone(self), ending: Cell::new(None) })
    }

    /// Notes that a connection failed; the next [`Live::take_suspicion`] says so once.
    pub fn suspect(&self) {
        if !self.suspect.swap(true, Ordering::Relaxed) {
            self.passive.ring();
        }
    }

    /// Whether a worker suspects it, and forgets that.
    pub fn take_suspicion(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) && self.suspect.swap(false, Ordering::Relaxed)
    }
}

fn code_of(state: State) -> u8 {
    match state {
        State::New => 0,
        State::Unknown => 1,
        State::Healthy => 2,
        State::Unhealthy => 3,
    }
}

/// A request in flight to an endpoint.
#[derive(Debug)]
pub struct InFlight {
    live: Arc<Live>,
    /// How it will have ended; none while nothing is known, and for good if it was not the endpoint's doing.
    ending: Cell<Option<Ending>>,
}

impl InFlight {
    /// [`Live::id`] of the endpoint.
    pub fn endpoint(&self) -> u64 {
        self.live.id
    }

    /// How it ends unless something else is said before it is dropped. A bad ending stays.
    pub fn ends(&self, ending: Ending) {
        if self.ending.get() != Some(Ending::Bad) {
            self.ending.set(Some(ending));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(ending) = self.ending.get() {
            self.live.passive.settle(ending);
        }
    }
}

/// One address of an upstream as a snapshot holds it.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The address as text.
    pub name: Arc<str>,
    /// What stays the same over restarts and nodes.
    pub identity: u64,
    pub weight: u32,
    pub backup: bool,
    pub priority: u8,
    pub zone: Option<Arc<str>>,
    pub live: Arc<Live>,
}

impl Endpoint {
    pub fn new(address: SocketAddr, weight: u32, backup: bool, live: Arc<Live>) -> Self {
        let name: Arc<str> = address.to_string().into();
        Self { address, identity: identity(&name), name, weight, backup, priority: 0, zone: None, live }
    }

    /// The same endpoint in a tier and a zone.
    #[must_use]
    pub fn placed(self, priority: u8, zone: Option<&str>) -> Self {
        Self { priority, zone: zone.map(Arc::from), ..self }
    }

    /// Whether it goes on serving a client that it served before: also while it drains and at weight 0, which keep new
    /// clients away, and never while it is down or in maintenance.
    pub fn keeps_clients(&self) -> bool {
        self.live.mode() != Mode::Maintenance && self.live.passive.allows(self.live.state(), Holds::Respected)
    }

    /// What the balancer sees of it.
    pub fn candidate(&self) -> Candidate {
        self.seen(Holds::Respected)
    }

    /// Whether neither an operator nor its weight keeps new requests from it.
    pub fn is_in_service(&self) -> bool {
        self.live.mode() == Mode::Ready && self.live.weight() > 0 && !self.live.passive.is_set_aside()
    }

    /// Whether checks and requests speak for it; what panic or a hold make of that is another matter.
    pub fn is_well(&self) -> bool {
        self.live.state().is_usable() && !self.live.passive.is_ejected()
    }

    /// Its standing in a word or two, for whoever asks why it takes a request or not.
    pub fn standing(&self) -> &'static str {
        let passive = &self.live.passive;
        match (self.live.mode(), self.live.weight()) {
            (Mode::Drain, _) => "draining",
            (Mode::Maintenance, _) => "in maintenance",
            (Mode::Ready, 0) => "of weight 0",
            (Mode::Ready, _) if passive.is_set_aside() => "set aside by its agent",
            (Mode::Ready, _) if passive.is_ejected() => "ejected",
            (Mode::Ready, _) if passive.is_held() => "hanging",
            (Mode::Ready, _) => self.live.state().word(),
        }
    }

    /// What the balancer sees of it, where a hold may count or not.
    pub fn seen(&self, holds: Holds) -> Candidate {
        Candidate {
            weight: self.live.weight() * u32::from(self.live.share()),
            usable: self.live.mode() == Mode::Ready && self.live.passive.allows(self.live.state(), holds),
            in_flight: self.live.in_flight(),
            estimate: self.live.latency.estimate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Endpoint, Live, Mode, State};

    #[test]
    fn state_mode_and_flight_decide_what_the_balancer_sees() {
        let live = Arc::new(Live::new(State::Healthy, 3));
        let endpoint = Endpoint::new(([127, 0, 0, 1], 80).into(), 3, false, Arc::clone(&live));
        let guard = live.begin(0);
        assert!(endpoint.candidate().usable && endpoint.candidate().in_flight == 1);
        drop(guard);
        for (state, mode, usable) in [
            (State::Unhealthy, Mode::Ready, false),
            (State::Unknown, Mode::Ready, true),
            (State::New, Mode::Ready, false),
            (State::Healthy, Mode::Drain, false),
            (State::Healthy, Mode::Maintenance, false),
            (State::Healthy, Mode::Ready, true),
        ] {
            live.set_state(state);
            live.set_mode(mode);
            assert_eq!(endpoint.candidate().usable, usable, "row {state:?} {mode:?}");
            assert_eq!((live.state(), live.mode()), (state, mode));
        }
        assert_eq!(endpoint.candidate().in_flight, 0);
    }

    #[test]
    fn a_suspicion_is_told_once() {
        let live = Live::new(State::Healthy, 1);
        live.suspect();
        assert!(live.take_suspicion());
        assert!(!live.take_suspicion());
    }
}
