// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain checks that are under way, by the number of their endpoint.
//!
//! Thousands a second, so what costs is every awakening and every system call. Nobody is woken by a reply: the owner
//! comes to [`Attempts::look`] when [`Attempts::next`] says so, soon after checks were begun and then ever more rarely, and
//! finds most replies there. The price is that a reply is noticed up to [`LOOK_MAX`] late.

use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::super::{CheckOutcome, Failure};
use super::plain::Attempt;
use super::{Probe, Thrift};

/// From the last check that was begun to the first look: most endpoints are in the same building.
const LOOK_FIRST: Duration = Duration::from_millis(1);

/// The time to the next look doubles up to this.
const LOOK_MAX: Duration = Duration::from_millis(16);

/// Sockets that are looked at in one go; there may be any number of goes.
const READY_AT_ONCE: usize = 256;

/// Bytes that are read at once: what a usual reply has.
const PIECE_BYTES: usize = 4 * 1024;

/// Checks under way.
#[expect(missing_debug_implementations, reason = "private state of one task, and events that have none")]
pub struct Attempts {
    epoll: OwnedFd,
    under_way: HashMap<u64, Attempt>,
    ready: Vec<epoll::Event>,
    scratch: Box<[u8]>,
    pace: Duration,
    look: Option<Instant>,
    /// No check ends for want of an answer before this.
    earliest: Option<Instant>,
}

impl Attempts {
    /// # Errors
    /// A process with too many files open.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            under_way: HashMap::new(),
            ready: Vec::with_capacity(READY_AT_ONCE),
            scratch: vec![0; PIECE_BYTES].into(),
            pace: LOOK_FIRST,
            look: None,
            earliest: None,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// When to look next; none while there is nothing to look for.
    pub fn next(&self) -> Option<Instant> {
        self.look.map(|look| self.earliest.map_or(look, |earliest| earliest.min(look)))
    }

    /// Begins the plain check of an endpoint, in place of one of it that is under way. What came of it, if it is over
    /// already.
    pub fn start(&mut self, id: u64, probe: &Rc<Probe>, thrift: Thrift, now: Instant) -> Option<CheckOutcome> {
        self.under_way.remove(&id);
        let thrift = if probe.can_keep() { thrift } else { Thrift::Fresh };
        let mut attempt = match Attempt::new(Rc::clone(probe), thrift, now) {
            Ok(attempt) => attempt,
            Err(failure) => return Some(CheckOutcome::Failed(failure)),
        };
        if let Some(result) = advance(&self.epoll, &mut self.scratch, id, &mut attempt) {
            return Some(outcome(attempt, result, now));
        }
        let ends = attempt.ends();
        self.earliest = Some(self.earliest.map_or(ends, |earliest| earliest.min(ends)));
        (self.pace, self.look) = (LOOK_FIRST, Some(now + LOOK_FIRST));
        self.under_way.insert(id, attempt);
        None
    }

    /// Looks at those whose sockets are ready and at those whose time is over; what came of them goes into `done`.
    pub fn look(&mut self, now: Instant, done: &mut Vec<(u64, CheckOutcome)>) {
        while self.look_once(now, done) {}
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            self.expire(now, done);
        }
        self.look = (!self.under_way.is_empty()).then_some(now + self.pace);
        self.pace = (self.pace * 2).min(LOOK_MAX);
    }

    /// One go; whether there may be more.
    fn look_once(&mut self, now: Instant, done: &mut Vec<(u64, CheckOutcome)>) -> bool {
        self.ready.clear();
        // It does not wait, so nothing interrupts it, and what it is given is right.
        let _found = epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&Timespec::default())).is_ok();
        for event in &self.ready {
            let id = event.data.u64();
            // A kept connection that is between two checks is looked at by the next one.
            let Entry::Occupied(mut entry) = self.under_way.entry(id) else { continue };
            if let Some(result) = advance(&self.epoll, &mut self.scratch, id, entry.get_mut()) {
                done.push((id, outcome(entry.remove(), result, now)));
            }
        }
        self.ready.len() == READY_AT_ONCE
    }

    fn expire(&mut self, now: Instant, done: &mut Vec<(u64, CheckOutcome)>) {
        let late = self.under_way.extract_if(|_, attempt| attempt.ends() <= now);
        done.extend(late.map(|(id, attempt)| (id, CheckOutcome::Failed(Failure::Timeout(attempt.probe.timeout)))));
        self.earliest = self.under_way.values().map(Attempt::ends).min();
    }
}

/// Lets a check go as far as it can, and has its socket watched if it must wait; what came of it, once that is known.
fn advance(epoll: &OwnedFd, scratch: &mut [u8], id: u64, attempt: &mut Attempt) -> Option<Result<(), Failure>> {
    let result = attempt.step(scratch);
    if result.is_some() {
        return result;
    }
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    let watched = epoll::add(epoll, attempt.unwatched()?, epoll::EventData::new_u64(id), flags);
    watched.err().map(|errno| Err(super::unconnected(&errno.into())))
}

/// What came of a check, whose connection is kept if it can be.
fn outcome(attempt: Attempt, result: Result<(), Failure>, now: Instant) -> CheckOutcome {
    let took = now.saturating_duration_since(attempt.started);
    attempt.leave();
    match result {
        Ok(()) => CheckOutcome::Passed { took, note: None },
        Err(failure) => CheckOutcome::Failed(failure),
    }
}
