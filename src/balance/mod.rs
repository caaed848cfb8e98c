// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint takes the next request: pure, seeded, without I/O and without allocation per pick.
//!
//! A [`Balancer`] is compiled from what is configured: tiers, zones and the tables of hashes. What changes from request
//! to request it is shown through a view (a function from index to [`Candidate`]), so this module knows no endpoint
//! type, no health and no override: those are folded into [`Candidate::usable`] and [`Candidate::weight`]. What must
//! stay true: an endpoint of weight 0 takes nothing, a tier takes requests only while none before it can, and the same
//! balancer, seed and state give the same choice. What a worker remembers between picks lives in [`Turns`].

use std::net::IpAddr;

mod balancer;

mod draw;

mod explain;

mod group;

mod hashing;

mod key;

mod least_request;

mod maglev;

mod peak_ewma;

mod rendezvous;

mod ring;

mod round_robin;

mod turns;

mod weighted;

#[cfg(test)]
mod tests;

pub use balancer::{Balancer, Seat, Settings};
pub use draw::Draw;
pub use explain::Place;
pub use key::{Hashed, Key, Keyed};
pub use peak_ewma::Estimate;
pub use rendezvous::identity;
pub use turns::Turns;
pub use weirgate_store::model::Balance;

/// The tier of backups: after all priorities.
pub const BACKUP_TIER: u8 = 10;

/// One endpoint as it is at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The live weight in hundredths, so that a slow start can take a share of weight 1; 0 takes nothing.
    pub weight: u32,
    /// Healthy, in service, and not yet tried by this exchange.
    pub usable: bool,
    /// Requests of all workers that it has not answered to the last byte.
    pub in_flight: u32,
    /// How long it takes to answer, where that is measured.
    pub estimate: Estimate,
}

impl Candidate {
    fn takes(&self) -> bool {
        self.usable && self.weight > 0
    }
}

/// What one pick may look at besides the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Where the request comes from.
    pub source: IpAddr,
    /// Any number that differs between requests; the same number repeats the same draw.
    pub seed: u64,
    /// Milliseconds of a monotonic clock, the one that measurements are taken with; it may wrap.
    pub now_ms: u32,
    /// What a hashing balance goes by.
    pub key: Key,
}

/// The chosen endpoint and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub index: usize,
    pub reason: Reason,
    pub place: Place,
}

/// Why an endpoint was chosen; [`Choice::explain`] makes it a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer requests in flight, per weight, than the one it was compared with.
    LessBusy { balance: Balance, in_flight: u32, over: usize, over_in_flight: u32 },
    /// Lower latency times requests in flight, per weight; a latency of 0 is not measured.
    Cheaper { latency_us: u32, in_flight: u32, over: usize, over_latency_us: u32, over_in_flight: u32 },
    /// Nothing else could take the request.
    Only(Balance),
    /// It served this client before.
    Kept,
    /// A part of the request hashes here.
    Hashed { balance: Balance, by: Hashed },
    /// A part of the request hashes to another endpoint, which cannot take it.
    Moved { balance: Balance, by: Hashed, from: usize, why: Moved },
    /// Any one.
    Drawn,
    /// Its turn.
    Turn,
    /// Its turn by weight, both in hundredths.
    WeightedTurn { weight: u32, of: u64 },
}

/// Why a request does not go where its key hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is down, set aside, or was tried already.
    Unusable,
    /// It has a part of its weight only, and this key is not in that part.
    Share,
    /// It has as much in flight as `hash.bounded_load` allows.
    Full,
}
