// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much an upstream and each of its endpoints carry at a time, counted over all workers, and the guards that count.
//!
//! Numbers come from the snapshot, counts live as long as the upstream's name. An upstream without limits counts
//! nothing here but its connections, when they open and close. With limits a request costs one exchange of a shared
//! number on its way in and one on its way out, plus those of its endpoint, which is counted anyway. What must stay
//! true: a count is never above its limit, and whatever lowers a count calls the next of those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::adaptive::{Adaptive, Bounds};
use super::breaker::{self, Breaker};
use super::endpoint::{Endpoint, Live, SHARE_WHOLE};
use super::hedge;
use super::queue::Queue;

/// What an upstream does when it is given too much: compiled settings, and the state that outlives them.
#[derive(Debug, Default)]
pub struct Overload {
    pub limits: Limits,
    pub breaker: Option<breaker::Rules>,
    pub hedge: Option<hedge::Rules>,
    pub load: Arc<Load>,
}

/// The bounds; `u32::MAX` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections: u32,
    pub requests: u32,
    pub endpoint_connections: u32,
    pub endpoint_requests: u32,
    /// Requests that may wait.
    pub queue: u32,
    /// How long they may.
    pub patience: Duration,
    pub adaptive: Option<Bounds>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: u32::MAX,
            requests: u32::MAX,
            endpoint_connections: u32::MAX,
            endpoint_requests: u32::MAX,
            queue: 0,
            patience: Duration::ZERO,
            adaptive: None,
        }
    }
}

impl Limits {
    /// Whether there is any.
    pub fn is_set(&self) -> bool {
        self.requests != u32::MAX
            || self.endpoint_requests != u32::MAX
            || self.adaptive.is_some()
            || self.counts_connections()
    }

    /// Whether connections have a limit.
    pub fn counts_connections(&self) -> bool {
        self.connections != u32::MAX || self.endpoint_connections != u32::MAX
    }

    /// Requests that an endpoint may have now: a share while it starts slowly, and never none.
    pub fn requests_of(&self, live: &Live) -> u32 {
        part(self.endpoint_requests, live.share())
    }

    /// Connections that an endpoint may have now.
    pub fn connections_of(&self, live: &Live) -> u32 {
        part(self.endpoint_connections, live.share())
    }
}

fn part(limit: u32, share: u8) -> u32 {
    if limit == u32::MAX || share >= SHARE_WHOLE {
        return limit;
    }
    let part = (u64::from(limit) * u64::from(share)).div_ceil(u64::from(SHARE_WHOLE));
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

/// What all workers share of one upstream.
#[derive(Debug, Default)]
pub struct Load {
    requests: AtomicU32,
    connections: AtomicU32,
    /// Unused connections that are asked for: a worker with requests and no connection waits for another to give one up.
    wanted: AtomicU32,
    pub queue: Queue,
    pub breaker: Arc<Breaker>,
    pub adaptive: Adaptive,
    pub hedges: AtomicU64,
}

impl Load {
    /// Requests that hold a place.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests that may hold a place now.
    pub fn requests_max(&self, limits: &Limits) -> u32 {
        limits.adaptive.map_or(limits.requests, |bounds| self.adaptive.limit(bounds).min(limits.requests))
    }

    /// A place, if fewer than `most` are taken.
    pub fn take(self: &Arc<Self>, most: u32) -> Option<Place> {
        enter(&self.requests, most).then(|| Place { load: Some(Arc::clone(self)) })
    }

    /// Asks for an unused connection of another worker, for one who waits.
    pub fn want(&self) {
        enter(&self.wanted, self.queue.waiting());
    }

    /// Whether an unused connection has to be given up; says so once for each that is wanted.
    pub fn is_wanted(&self) -> bool {
        // One load where nobody waits, which is nearly always.
        self.wanted.load(Ordering::Relaxed) > 0 && leave(&self.wanted) && self.queue.waiting() > 0
    }
}

/// Counts one more unless there are `most`.
fn enter(count: &AtomicU32, most: u32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now < most).then(|| now + 1)).is_ok()
}

/// Counts one fewer unless there is none.
fn leave(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| now.checked_sub(1)).is_ok()
}

/// A request's place in an upstream with limits. When it ends, the next one is called.
#[derive(Debug)]
pub struct Place {
    /// None once it was given back.
    load: Option<Arc<Load>>,
}

impl Place {
    /// Gives it back without calling anybody: nobody else could use it either.
    pub fn give_back(mut self) {
        if let Some(load) = self.load.take() {
            leave(&load.requests);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(load) = self.load.take() {
            leave(&load.requests);
            load.queue.call();
        }
    }
}

/// What is counted of one endpoint besides its requests in flight.
#[derive(Debug, Default)]
pub struct EndpointLoad {
    connections: AtomicU32,
}

impl EndpointLoad {
    /// Connections that are open or being opened.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Overload {
    /// Whether a new connection to the endpoint is within the limits, as of now.
    pub fn may_open(&self, endpoint: &Endpoint) -> bool {
        endpoint.live.load.connections() < self.limits.connections_of(&endpoint.live)
            && self.load.connections() < self.limits.connections
    }

    /// Counts a connection that is about to be opened; none if a limit forbids it.
    pub fn open(&self, endpoint: &Endpoint) -> Option<OpenConnection> {
        if !enter(&endpoint.live.load.connections, self.limits.connections_of(&endpoint.live)) {
            return None;
        }
        if !enter(&self.load.connections, self.limits.connections) {
            leave(&endpoint.live.load.connections);
            return None;
        }
        Some(OpenConnection { live: Arc::clone(&endpoint.live), load: Arc::clone(&self.load) })
    }
}

/// A connection to an endpoint, counted from before it is opened until it is closed.
#[derive(Debug)]
pub struct OpenConnection {
    live: Arc<Live>,
    load: Arc<Load>,
}

impl OpenConnection {
    /// Whether it has to be given up instead of kept unused.
    pub fn is_wanted(&self) -> bool {
        self.load.is_wanted()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        leave(&self.live.load.connections);
        leave(&self.load.connections);
        self.load.queue.call();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Limits, Load, Overload};
    use crate::upstream::endpoint::{Endpoint, Live};
    use crate::upstream::health::State;

    #[test]
    fn places_are_bounded_and_come_back() {
        let load = Arc::new(Load::default());
        let places: Vec<_> = (0..3).filter_map(|_| load.take(2)).collect();
        assert_eq!((places.len(), load.requests()), (2, 2));
        let waiter = load.queue.join(3, 9).expect("room");
        drop(places);
        assert_eq!(load.requests(), 0);
        let cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiter.poll_called(&cx).is_ready(), "a free place is called out");
    }

    #[test]
    fn connections_are_counted_for_the_endpoint_and_for_all() {
        let limits = Limits { connections: 3, endpoint_connections: 2, ..Limits::default() };
        let overload = Overload { limits, ..Overload::default() };
        let endpoint = |port| {
            let live = Arc::new(Live::new(State::Healthy, 1));
            Endpoint::new(([127, 0, 0, 1], port).into(), 1, false, live)
        };
        let (one, two) = (endpoint(1), endpoint(2));
        let opened: Vec<_> = [&one, &one, &one, &two, &two].map(|to| overload.open(to)).into();
        let is_open: Vec<_> = opened.iter().map(Option::is_some).collect();
        assert_eq!(is_open, [true, true, false, true, false]);
        assert!(!overload.may_open(&two));
        drop(opened);
        assert_eq!((one.live.load.connections(), overload.load.connections()), (0, 0));
    }

    #[test]
    fn a_slow_start_has_a_part_of_the_limit() {
        let (limits, live) = (Limits { endpoint_requests: 50, ..Limits::default() }, Live::new(State::Healthy, 1));
        for (share, want) in [(100, 50), (10, 5), (1, 1), (0, 1)] {
            live.set_share(share);
            assert_eq!((limits.requests_of(&live), limits.connections_of(&live)), (want, u32::MAX), "row {share}");
        }
    }

    #[test]
    fn a_connection_is_given_up_only_for_one_who_waits() {
        let load = Load::default();
        load.want();
        assert!(!load.is_wanted(), "nobody waits");
        let waiter = load.queue.join(3, 9).expect("room");
        load.want();
        load.want();
        assert!(load.is_wanted() && !load.is_wanted(), "one waits, one connection is given up");
        load.want();
        drop(waiter);
        assert!(!load.is_wanted(), "it is gone");
    }
}
