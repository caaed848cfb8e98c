// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancer of one upstream as it is compiled: tiers in their order, the two sides of a zone, and tables of hashes.
//!
//! It is immutable but for the tables, which are replaced as a whole when an operator makes an endpoint heavier; the
//! request path reads them without a lock. A pick goes through the tiers until one has somebody, within a tier to the
//! side that the zone says, and within that to the algorithm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use weirgate_store::model::{HashKey, KETAMA_POINTS};

use super::draw::{Draw, mix};
use super::explain::Place;
use super::group::{self, Group, Picked};
use super::hashing::{Search, Table};
use super::key::{self, Function};
use super::least_request::{self, Load};
use super::{Ask, Balance, Candidate, Choice, Hashed, Key, Keyed, Turns, round_robin, weighted};

/// The endpoints of the preferred zone; all, if none is preferred.
pub(super) const HOME: usize = 0;

/// The others.
pub(super) const AWAY: usize = 1;

/// Picks after which the share of a zone is looked at again, as a part of its endpoints: each pick pays for eight.
const ZONE_LOOKS: usize = 8;

/// How an upstream spreads its requests, beside who its endpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub balance: Balance,
    pub by: HashKey,
    /// Points on a ring of an endpoint of average weight.
    pub points: u32,
    /// Most in flight of an endpoint, in per cent of the mean.
    pub bounded_load: Option<u16>,
    /// The share of the preferred zone's weight, in per cent, that keeps all requests in it; none if none is preferred.
    pub enough: Option<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        let (balance, by) = (Balance::default(), HashKey::default());
        Self { balance, by, points: KETAMA_POINTS, bounded_load: None, enough: None }
    }
}

/// One endpoint as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its address as written.
    pub name: Arc<str>,
    /// What stays the same over restarts and nodes: [`super::identity`] of its address.
    pub identity: u64,
    pub weight: u32,
    /// Lower numbers first; [`super::BACKUP_TIER`] last.
    pub tier: u8,
    /// In the preferred zone.
    pub is_local: bool,
}

/// The compiled balancer.
#[derive(Debug)]
pub struct Balancer {
    pub(super) settings: Settings,
    /// A number that no other balancer has in this process.
    number: u64,
    pub(super) seats: Vec<Seat>,
    tiers: Vec<Tier>,
    tables: ArcSwap<Tables>,
}

/// Endpoints that take requests while none of the tiers before can.
#[derive(Debug)]
struct Tier {
    number: u8,
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// Indices, rising.
    members: Box<[u32]>,
    /// Configured, in hundredths.
    weight: u64,
}

/// What keys are looked up in, for each group.
#[derive(Debug)]
struct Tables {
    weights: Box<[u32]>,
    of_group: Vec<Table>,
}

impl Balancer {
    /// Compiles the balancer of these endpoints.
    pub fn new(settings: Settings, seats: Vec<Seat>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tiers = tiers(&seats, settings.enough.is_some());
        let weights = seats.iter().map(|seat| seat.weight).collect();
        let tables = Tables::build(&settings, &tiers, &seats, weights);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { settings, number, seats, tiers, tables: ArcSwap::from_pointee(tables) }
    }

    /// The same as [`Self::new`], with the tables of an `earlier` one if it is for the same endpoints: a change of another
    /// object builds none anew.
    pub fn after(earlier: Option<&Self>, settings: Settings, seats: Vec<Seat>) -> Self {
        match earlier {
            Some(earlier) if earlier.settings == settings && earlier.seats == seats => {
                let tiers = tiers(&seats, settings.enough.is_some());
                let tables = ArcSwap::new(earlier.tables.load_full());
                Self { settings, number: earlier.number, seats, tiers, tables }
            }
            _ => Self::new(settings, seats),
        }
    }

    pub fn kind(&self) -> Balance {
        self.settings.balance
    }

    /// Makes the tables follow weights that changed: `live` gives the one that counts now. A lower weight than the
    /// configured one needs no table: the endpoint takes a part of its keys, and no other key moves.
    pub fn follow(&self, live: impl Fn(usize) -> u32) {
        if !matches!(self.kind(), Balance::Ring | Balance::Maglev) {
            return;
        }
        let weights: Box<[u32]> = self.seats.iter().enumerate().map(|(at, seat)| seat.weight.max(live(at))).collect();
        if self.tables.load().weights != weights {
            self.tables.store(Arc::new(Tables::build(&self.settings, &self.tiers, &self.seats, weights)));
        }
    }

    /// What a request goes by here.
    pub fn key(&self, request: Keyed<'_>) -> Key {
        match self.kind() {
            Balance::Ring | Balance::Maglev | Balance::Rendezvous => {
                key::of_request(&self.settings.by, self.function(), request)
            }
            _ => Key::Source,
        }
    }

    fn function(&self) -> Function {
        if self.kind() == Balance::Ring { Function::Ketama } else { Function::Mix }
    }

    /// Picks an endpoint, or none when none can take a request.
    ///
    /// Least-request, peak-ewma, random, ring and maglev cost a few looks whatever the number of endpoints is, as long
    /// as not nearly all of a tier are unusable; round robin costs the run of unusable ones it steps over;
    /// least-connections, weighted, rendezvous and source-ip look at every endpoint, and so does a bounded load when
    /// there is something in flight.
    pub fn pick(&self, turns: &Turns, ask: &Ask, view: impl Fn(usize) -> Candidate) -> Option<Choice> {
        let mut draw = Draw::new(ask.seed);
        let (key, by) = self.number_of(ask, &mut draw);
        for (at, tier) in self.tiers.iter().enumerate() {
            let first = self.side(turns, at, key, &view);
            for side in [first, 1 - first] {
                let group = self.group(turns, at, side, &view)?;
                if group.len() == 0 {
                    continue;
                }
                if let Some((index, reason)) = self.pick_in(turns, ask, &group, (key, by), &mut draw) {
                    let place = Place { fallen: (at > 0).then_some(tier.number), spilled: side == AWAY };
                    return Some(Choice { index, reason, place });
                }
            }
        }
        None
    }

    fn pick_in<V: Fn(usize) -> Candidate>(
        &self,
        turns: &Turns,
        ask: &Ask,
        group: &Group<'_, V>,
        (key, by): (u64, Hashed),
        draw: &mut Draw,
    ) -> Option<Picked> {
        match self.kind() {
            Balance::RoundRobin => round_robin::pick(group),
            Balance::Weighted => {
                let mut scores = turns.scores.borrow_mut();
                scores.align(self.number, &self.seats);
                weighted::pick(&mut scores, group)
            }
            Balance::Random => group::random(group, draw),
            Balance::LeastRequest => least_request::pick(Load::InFlight(Balance::LeastRequest), group, draw),
            Balance::LeastConnections => least_request::of_all(Load::InFlight(Balance::LeastConnections), group, draw),
            Balance::PeakEwma => least_request::pick(Load::Latency { now_ms: ask.now_ms }, group, draw),
            balance @ (Balance::SourceIp | Balance::Ring | Balance::Maglev | Balance::Rendezvous) => {
                let tables = self.tables.load();
                let table = tables.of_group.get(group_at(group.stamp)).unwrap_or(&Table::None);
                let (seats, built, bound) = (&*self.seats, &*tables.weights, self.settings.bounded_load);
                Search { balance, table, seats, built, key, by, bound }.pick(group)
            }
        }
    }

    /// The key as a number; any number for a request that has none, and for a balance that does not hash.
    pub(super) fn number_of(&self, ask: &Ask, draw: &mut Draw) -> (u64, Hashed) {
        if !self.kind().hashes() {
            return (mix(ask.seed), Hashed::Nothing);
        }
        match ask.key {
            Key::Source => (self.function().of_source(ask.source), Hashed::Source),
            Key::Part(number, by) => (number, by),
            Key::Absent(_) => (draw.bits(), Hashed::Nothing),
        }
    }

    /// The group of a tier and a side.
    fn group<'a, V>(&'a self, turns: &'a Turns, tier: usize, side: usize, view: &'a V) -> Option<Group<'a, V>> {
        let members = &self.tiers.get(tier)?.sides.get(side)?.members;
        Some(Group { stamp: self.stamp(tier, side), members, turns: turns.sides.get(side)?, view })
    }

    /// Unique to a group: there are at most 11 tiers with two sides.
    fn stamp(&self, tier: usize, side: usize) -> u64 {
        self.number << 8 | (tier * 2 + side) as u64
    }

    /// The side of a zone that a request goes to first.
    fn side(&self, turns: &Turns, at: usize, key: u64, view: &impl Fn(usize) -> Candidate) -> usize {
        let Some((enough, tier)) = self.settings.enough.zip(self.tiers.get(at)) else { return HOME };
        let [home, away] = &tier.sides;
        if home.members.is_empty() || away.members.is_empty() {
            return if home.members.is_empty() { AWAY } else { HOME };
        }
        let (stamp, age, share) = turns.zone.get();
        let is_fresh = stamp == self.stamp(at, HOME) && (age as usize + 1) * ZONE_LOOKS < home.members.len();
        let (age, share) = if is_fresh { (age + 1, share) } else { (0, home.share(enough, view)) };
        turns.zone.set((self.stamp(at, HOME), age, share));
        if share >= 1.0 || fraction(mix(key.rotate_left(17))) < share { HOME } else { AWAY }
    }

    /// The part of the keys of its group that hashes to an endpoint, where there is a table.
    pub fn share_of_keys(&self, index: usize) -> Option<f64> {
        let is_in = |side: &Side| side.members.iter().any(|member| *member as usize == index);
        let mut groups = self.tiers.iter().flat_map(|tier| &tier.sides);
        let at = groups.position(is_in)?;
        self.tables.load().of_group.get(at)?.share(index)
    }
}

/// The place of a group among all of its balancer.
fn group_at(stamp: u64) -> usize {
    (stamp & 0xff) as usize
}

/// A number from 0 up to 1 out of 53 bits.
fn fraction(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let value = (bits >> 11) as f64 / 9_007_199_254_740_992.0;
    value
}

impl Side {
    /// The part of the requests that stays on this side: all while `enough` per cent of its configured weight can take
    /// requests, below that as much less as there is less of it.
    fn share(&self, enough: u16, view: &impl Fn(usize) -> Candidate) -> f64 {
        let able = self.members.iter().map(|index| view(*index as usize)).filter(Candidate::takes);
        let usable: u64 = able.map(|candidate| u64::from(candidate.weight)).sum();
        let (have, need) = (u128::from(usable) * 100, u128::from(self.weight) * u128::from(enough));
        if usable == 0 {
            return 0.0;
        }
        if have >= need {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let share = have as f64 / need as f64;
        share
    }
}

fn tiers(seats: &[Seat], has_zone: bool) -> Vec<Tier> {
    let mut numbers: Vec<u8> = seats.iter().map(|seat| seat.tier).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let side = |number: u8, is_local: bool| {
        let all = (0..).zip(seats).filter(|(_, seat)| seat.tier == number && (seat.is_local || !has_zone) == is_local);
        let weight = all.clone().map(|(_, seat)| u64::from(seat.weight) * 100).sum();
        Side { members: all.map(|(index, _)| index).collect(), weight }
    };
    numbers.into_iter().map(|number| Tier { number, sides: [side(number, true), side(number, false)] }).collect()
}

impl Tables {
    fn build(settings: &Settings, tiers: &[Tier], seats: &[Seat], weights: Box<[u32]>) -> Self {
        let groups = tiers.iter().flat_map(|tier| &tier.sides);
        let of_group = groups.map(|side| Table::build(settings, &side.members, seats, &weights)).collect();
        Self { weights, of_group }
    }
}
