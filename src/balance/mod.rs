// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which endpoint takes the next request: pure, seeded, without I/O and without allocation per pick.
//!
//! The caller shows its endpoints through a view (`n` and a function from index to [`Candidate`]), so this module
//! knows no endpoint type, no health and no override: those are folded into [`Candidate::usable`]. What must stay
//! true: an endpoint of weight 0 takes nothing, a backup takes a request only while no primary can, and the same
//! list, seed and state give the same choice. What a worker remembers between picks lives in [`Turns`].

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::net::IpAddr;

mod draw;

mod least_request;

mod round_robin;

mod source_ip;

mod weighted;

#[cfg(test)]
mod tests;

pub use draw::Draw;
pub use source_ip::identity;

/// How an upstream spreads its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Fewest requests in flight, by the power of two choices.
    #[default]
    LeastRequest,
    /// Equal turns, whatever the weights (but none for weight 0).
    RoundRobin,
    /// The same client address goes to the same endpoint.
    SourceIp,
    /// Turns in proportion to the weights, spread evenly.
    Weighted,
}

/// One endpoint as the balancer sees it at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What stays the same over restarts and nodes: [`identity`] of its address.
    pub identity: u64,
    /// The live weight in hundredths, so that a slow start can take a share of weight 1; 0 takes nothing.
    pub weight: u32,
    /// Healthy, in service, and not yet tried by this exchange.
    pub usable: bool,
    /// Used only while no primary is usable.
    pub backup: bool,
    /// Requests of all workers that it has not answered yet.
    pub in_flight: u32,
}

impl Candidate {
    fn takes(&self, tier: Tier) -> bool {
        self.usable && self.weight > 0 && self.backup == (tier == Tier::Backup)
    }
}

/// Primaries first, backups when none of them can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Primary,
    Backup,
}

const TIERS: [Tier; 2] = [Tier::Primary, Tier::Backup];

/// What one pick may look at besides the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Where the request comes from.
    pub source: IpAddr,
    /// Any number that differs between requests; the same number repeats the same draw.
    pub seed: u64,
}

/// The chosen endpoint and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub index: usize,
    pub reason: Reason,
}

/// Why an endpoint was chosen; [`Choice::explain`] makes it a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer requests in flight, per weight, than the one it was compared with.
    LessBusy { in_flight: u32, over: usize, over_in_flight: u32 },
    /// Nothing else could take the request.
    Only(Balance),
    /// It served this client before.
    Kept,
    /// Its source address hashes here.
    Source,
    /// Its turn.
    Turn,
    /// Its turn by weight.
    WeightedTurn { weight: u32, of: u64 },
}

impl Choice {
    /// The choice as a sentence; `name` gives the address of an endpoint.
    pub fn explain<'a, N: Fn(usize) -> &'a str>(&self, name: N) -> impl Display {
        Explained { choice: *self, name }
    }
}

struct Explained<N> {
    choice: Choice,
    name: N,
}

impl<'a, N: Fn(usize) -> &'a str> Display for Explained<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = (self.name)(self.choice.index);
        match self.choice.reason {
            Reason::LessBusy { in_flight, over, over_in_flight } => {
                let other = (self.name)(over);
                write!(f, "least-request: {chosen} (in-flight {in_flight}) over {other} (in-flight {over_in_flight})")
            }
            Reason::Only(balance) => write!(f, "{balance}: {chosen}, the only one that can take a request"),
            Reason::Kept => write!(f, "sticky: {chosen} served this client before"),
            Reason::Source => write!(f, "source-ip: {chosen}, where this client address hashes to"),
            Reason::Turn => write!(f, "round-robin: {chosen} has its turn"),
            Reason::WeightedTurn { weight, of } => write!(f, "weighted: {chosen} has its turn ({weight} of {of})"),
        }
    }
}

impl Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastRequest => "least-request",
            Self::RoundRobin => "round-robin",
            Self::SourceIp => "source-ip",
            Self::Weighted => "weighted",
        })
    }
}

/// What one worker remembers of one upstream between picks. It grows with the list of endpoints, once, and no more.
#[derive(Debug, Default)]
pub struct Turns {
    /// The index served last by round robin.
    cursor: Cell<Option<usize>>,
    /// The running scores of smooth weighted round robin, each with the identity it belongs to.
    scores: RefCell<Vec<weighted::Score>>,
    /// The length of the list and the largest weight in it when it was last scanned whole.
    scanned: Cell<(usize, u32)>,
}

impl Turns {
    /// Starts at a place given by `seed`, so that workers do not all begin with the first endpoint; 0 begins there.
    pub fn new(seed: u64) -> Self {
        let cursor = usize::try_from(seed >> 1).unwrap_or_default().checked_sub(1);
        Self { cursor: Cell::new(cursor), ..Self::default() }
    }
}

impl Balance {
    /// Picks one of `n` endpoints, or none when none can take a request.
    ///
    /// Least-request costs a few draws whatever `n` is; round robin costs the run of unusable endpoints it steps
    /// over; weighted and source-ip look at every endpoint.
    pub fn pick(self, turns: &Turns, ask: Ask, n: usize, view: impl Fn(usize) -> Candidate) -> Option<Choice> {
        match self {
            Self::LeastRequest => least_request::pick(turns, ask.seed, n, &view),
            Self::RoundRobin => round_robin::pick(turns, n, &view),
            Self::SourceIp => source_ip::pick(ask.source, n, &view),
            Self::Weighted => weighted::pick(turns, n, &view),
        }
    }
}
