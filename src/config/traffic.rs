// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a route's requests go besides one upstream, as the data path reads it: the sides of a split, the canary that
//! moves them, and the mirror.
//!
//! The choice is `route::split`; here are the names, the live share and the meters of its sides. A side that stays
//! keeps its counts, and a canary its share, over every revision.

use std::fmt;
use std::sync::Arc;

use crate::exchange::part::{Part, Seen};
use crate::observe::{Copies, Meter};
use crate::route::canary::Plan;
use crate::route::split::{self, Share, WHOLE};

/// Several upstreams of one route.
#[derive(Debug)]
pub struct Split {
    pub sides: Vec<Side>,
    /// What keeps a caller on its side; chance if absent.
    pub by: Option<Part>,
    /// The field in which a tester names a side.
    pub testers: Option<Box<[u8]>>,
    pub canary: Option<Canary>,
}

/// One of them.
#[derive(Debug)]
pub struct Side {
    /// Place in the list of upstreams.
    pub upstream: u32,
    pub name: Arc<str>,
    /// What stands for it in the draw: of its name, so that routes with the same sides agree on a caller.
    pub identity: u64,
    /// As written; a canary overrides it.
    pub weight: u32,
    /// What its requests of this route did.
    pub meter: Arc<Meter>,
    /// `route/upstream`.
    pub meter_name: Arc<str>,
}

/// The side that moves by itself.
#[derive(Debug)]
pub struct Canary {
    /// Place in the sides.
    pub side: usize,
    /// What it has now.
    pub share: Arc<Share>,
    pub plan: Plan,
}

/// The side that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub side: usize,
    pub why: Why,
}

/// Why it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A tester named it.
    Named,
    /// The caller's part falls there.
    Caller,
    /// The caller has a session there.
    Kept,
    Chance,
}

impl Split {
    /// The weight that counts now.
    pub fn weight(&self, side: usize) -> u32 {
        match &self.canary {
            Some(canary) if canary.side == side => u32::from(canary.share.percent()),
            Some(canary) => u32::from(WHOLE - canary.share.percent()),
            None => self.sides.get(side).map_or(0, |side| side.weight),
        }
    }

    /// The side for a request. `seed` is any number that differs between requests; `kept` finds the side on which the
    /// caller has a session, and is asked only where nothing else keeps callers on their side.
    pub fn choose(&self, seen: &Seen<'_>, seed: u64, kept: impl FnOnce() -> Option<usize>) -> Option<Turn> {
        if let Some(side) = self.named(seen) {
            return Some(Turn { side, why: Why::Named });
        }
        let weights = || self.sides.iter().enumerate().map(|(at, side)| (side.identity, self.weight(at)));
        if let Some(part) = self.by.as_ref().and_then(|by| by.find(seen)) {
            let side = split::pick(split::point_of(&part), weights())?;
            return Some(Turn { side, why: Why::Caller });
        }
        if self.by.is_none()
            && let Some(side) = kept().filter(|side| self.weight(*side) > 0)
        {
            return Some(Turn { side, why: Why::Kept });
        }
        split::pick(seed, weights()).map(|side| Turn { side, why: Why::Chance })
    }

    fn named(&self, seen: &Seen<'_>) -> Option<usize> {
        let value = seen.fields.named(self.testers.as_deref()?).next()?;
        self.sides.iter().position(|side| side.name.as_bytes() == value)
    }

    /// A choice as a sentence.
    pub fn explain(&self, turn: Turn) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let name = self.sides.get(turn.side).map_or("?", |side| &*side.name);
            let sum: u32 = (0..self.sides.len()).map(|side| self.weight(side)).sum();
            let weight = self.weight(turn.side);
            match (turn.why, &self.by) {
                (Why::Named, _) => write!(f, "split: {name}, which a tester named"),
                (Why::Caller, Some(by)) => write!(f, "split: {name} ({weight} of {sum}), where {by} puts the caller"),
                (Why::Kept, _) => write!(f, "split: {name} ({weight} of {sum}), where the caller has a session"),
                (Why::Chance, Some(by)) => write!(f, "split: {name} ({weight} of {sum}), by chance: {by} is not there"),
                (Why::Caller | Why::Chance, _) => write!(f, "split: {name} ({weight} of {sum}), by chance"),
            }
        })
    }
}

/// Copies of a share of the requests.
#[derive(Debug)]
pub struct Mirror {
    /// Place in the list of upstreams.
    pub upstream: u32,
    pub name: Arc<str>,
    /// Of a hundred requests.
    pub share: u16,
    /// Longest body that is copied.
    pub body_bytes_max: usize,
    /// What became of the copies.
    pub copies: Arc<Copies>,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Canary, Share, Side, Split, Turn, Why};
    use crate::exchange::Fields;
    use crate::exchange::part::{Part, Seen};
    use crate::observe::Meter;
    use crate::route::canary::{OnTrouble, Plan};
    use crate::route::split::point_of;

    fn split(weights: [u32; 2], by: Option<Part>) -> Split {
        let side = |(at, name): (u32, &str), weight| Side {
            upstream: at,
            name: name.into(),
            identity: point_of(name.as_bytes()),
            weight,
            meter: Arc::new(Meter::new(1)),
            meter_name: name.into(),
        };
        let sides = (0..).zip(["old", "new"]).zip(weights).map(|(place, weight)| side(place, weight)).collect();
        Split { sides, by, testers: Some(b"X-Side".as_slice().into()), canary: None }
    }

    /// Rows: weights, what keeps, the field of a tester, the side of a session, and the side and why.
    #[test]
    fn a_tester_goes_before_the_caller_before_a_session_before_chance() {
        let header = || Some(Part::Header(b"X-User".as_slice().into()));
        let rows = [
            ([100, 0], None, "", None, (0, Why::Chance)),
            ([0, 5], None, "", None, (1, Why::Chance)),
            ([100, 0], None, "new", None, (1, Why::Named)),
            ([100, 0], None, "nobody", None, (0, Why::Chance)),
            ([99, 1], None, "", Some(1), (1, Why::Kept)),
            ([100, 0], None, "", Some(1), (0, Why::Chance)),
            ([0, 9], header(), "", Some(0), (1, Why::Caller)),
            ([0, 9], Some(Part::ClientCertificate), "", Some(0), (1, Why::Chance)),
            ([0, 9], header(), "old", None, (0, Why::Named)),
        ];
        for (weights, by, tester, kept, (side, why)) in rows {
            let row = format!("row {weights:?} {by:?} {tester:?} {kept:?}");
            let split = split(weights, by);
            let mut fields = Fields::new();
            fields.push(b"x-user", b"ana");
            if !tester.is_empty() {
                fields.push(b"x-side", tester.as_bytes());
            }
            let source = IpAddr::from([127, 0, 0, 1]);
            let seen = Seen { fields: &fields, path: b"/", query: None, source, certificate: None };
            assert_eq!(split.choose(&seen, 7, || kept), Some(Turn { side, why }), "{row}");
        }
    }

    #[test]
    fn a_canary_overrides_what_is_written_and_the_sentence_says_so() {
        let plan = Plan {
            upstream: "new".to_owned(),
            steps: vec![10],
            every: Duration::from_secs(1),
            errors_max: 5,
            latency_max: None,
            requests: 1,
            on_trouble: OnTrouble::Back,
        };
        let share = Arc::new(Share::new(10));
        let canary = Some(Canary { side: 1, share: Arc::clone(&share), plan });
        let split = Split { canary, ..split([1, 1], None) };
        assert_eq!([split.weight(0), split.weight(1)], [90, 10]);
        share.set(0);
        assert_eq!([split.weight(0), split.weight(1)], [100, 0]);
        let turn = Turn { side: 0, why: Why::Chance };
        assert_eq!(split.explain(turn).to_string(), "split: old (100 of 100), by chance");
    }
}
