// SPDX-License-Identifier: MIT OR Apache-2.0
//! Choices as sentences, and what an endpoint has to show for itself when one is explained.

use std::fmt::{self, Display};

use super::balancer::Balancer;
use super::draw::Draw;
use super::{Ask, BACKUP_TIER, Balance, Candidate, Choice, Hashed, Moved, Reason, rendezvous};

/// Where the chosen endpoint stands, if it is not where requests go by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The tier that takes requests because none before it can.
    pub fallen: Option<u8>,
    /// Outside the preferred zone.
    pub spilled: bool,
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
        self.reason(f)?;
        match self.choice.place.fallen {
            Some(BACKUP_TIER) => f.write_str("; a backup, because no other endpoint can take a request")?,
            Some(tier) => write!(f, "; of priority {tier}, because none of a lower number can take a request")?,
            None => {}
        }
        if self.choice.place.spilled {
            f.write_str("; outside the preferred zone, which has not enough usable weight")?;
        }
        Ok(())
    }
}

impl<'a, N: Fn(usize) -> &'a str> Explained<N> {
    fn reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = (self.name)(self.choice.index);
        match self.choice.reason {
            Reason::LessBusy { balance, in_flight, over, over_in_flight } => {
                let other = (self.name)(over);
                write!(f, "{balance}: {chosen} (in-flight {in_flight}) over {other} (in-flight {over_in_flight})")
            }
            Reason::Cheaper { latency_us, in_flight, over, over_latency_us, over_in_flight } => {
                let (mine, other) = (Micros(latency_us), Micros(over_latency_us));
                write!(f, "peak-ewma: {chosen} ({mine}, in-flight {in_flight}) over ")?;
                write!(f, "{} ({other}, in-flight {over_in_flight})", (self.name)(over))
            }
            Reason::Only(balance) => write!(f, "{balance}: {chosen}, the only one that can take a request"),
            Reason::Hashed { balance, by: Hashed::Nothing } => {
                write!(f, "{balance}: {chosen}, by chance, because the request has nothing to hash")
            }
            Reason::Hashed { balance, by } => write!(f, "{balance}: {chosen}, where {by} hashes to"),
            Reason::Moved { balance, by, from, why } => {
                write!(f, "{balance}: {chosen}, because {}, where {by} hashes to, {why}", (self.name)(from))
            }
            Reason::Kept => write!(f, "sticky: {chosen} served this client before"),
            Reason::Drawn => write!(f, "random: {chosen}, drawn by weight"),
            Reason::Turn => write!(f, "round-robin: {chosen} has its turn"),
            Reason::WeightedTurn { weight, of } => {
                let (weight, of) = (Hundredths(u64::from(weight)), Hundredths(of));
                write!(f, "weighted: {chosen} has its turn ({weight} of {of})")
            }
        }
    }
}

impl Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "this client address",
            Self::Path => "this path",
            Self::Certificate => "this client certificate",
            Self::Header => "this field",
            Self::Cookie => "this cookie",
            Self::Query => "this query parameter",
            Self::Nothing => "a number drawn for it",
        })
    }
}

impl Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unusable => "cannot take it",
            Self::Share => "takes a part of its keys now",
            Self::Full => "has as much in flight as bounded_load allows",
        })
    }
}

/// A weight in hundredths, as an operator writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hundredths(pub(super) u64);

impl Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{whole}.{}", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}"),
        }
    }
}

/// A latency as a person reads it; 0 is not measured.
struct Micros(u32);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("latency not measured"),
            micros => write!(f, "latency {}.{} ms", micros / 1000, micros % 1000 / 100),
        }
    }
}

impl Balancer {
    /// What speaks for the endpoint at `index` by this balance.
    pub fn score(&self, ask: &Ask, index: usize, candidate: &Candidate) -> Option<String> {
        let weight = Hundredths(u64::from(candidate.weight));
        match self.kind() {
            Balance::RoundRobin | Balance::Weighted | Balance::Random => None,
            Balance::LeastRequest | Balance::LeastConnections => {
                let load = f64::from(candidate.in_flight) * 100.0 / f64::from(candidate.weight.max(1));
                Some(format!("load {load:.2} (in-flight {} / weight {weight})", candidate.in_flight))
            }
            Balance::PeakEwma => {
                let micros = candidate.estimate.micros(ask.now_ms, candidate.in_flight);
                if micros == 0 {
                    return Some("not measured, so as good as the one it is compared with".to_owned());
                }
                let pending = f64::from(candidate.in_flight) + 1.0;
                let cost = f64::from(micros) / 10.0 * pending / f64::from(candidate.weight.max(1));
                Some(format!("cost {cost:.2} ({} × {pending} / weight {weight})", Micros(micros)))
            }
            Balance::SourceIp | Balance::Rendezvous => {
                let (key, _) = self.number_of(ask, &mut Draw::new(ask.seed));
                let seat = self.seats.get(index)?;
                Some(format!("score {:.4}", rendezvous::score(key, seat, candidate.weight)))
            }
            Balance::Ring | Balance::Maglev => Some(format!("{:.2} % of the keys", self.share_of_keys(index)? * 100.0)),
        }
    }
}

impl Display for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}
