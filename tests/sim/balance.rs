// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancers over many requests: exact shares where they are promised, statistical ones within six sigma.
//!
//! Invariants, each the name of a test: who cannot is never picked and a tier waits for those before it; weights are
//! shares; a slow endpoint does not slow the others; hashes spread evenly, and only the keys of who goes move; a bounded
//! load is never exceeded; a zone keeps what it can carry; the same seed gives the same choice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};

use weirgate::balance::{
    Ask, BACKUP_TIER, Balance, Balancer, Candidate, Choice, Estimate, Hashed, Key, Seat, Settings, Turns, identity,
};

/// Endpoints and how they are now.
struct Group {
    balancer: Balancer,
    seats: Vec<Seat>,
    now: Vec<Candidate>,
    turns: Turns,
}

impl Group {
    fn of(settings: Settings, seats: Vec<Seat>) -> Self {
        let now =
            seats.iter().map(|seat| Candidate { weight: seat.weight * 100, usable: true, ..Candidate::default() });
        Self { now: now.collect(), balancer: Balancer::new(settings, seats.clone()), seats, turns: Turns::default() }
    }

    fn new(balance: Balance, weights: &[u32]) -> Self {
        Self::of(Settings { balance, ..Settings::default() }, seats(weights))
    }

    fn choose(&self, key: u64, now_ms: u32) -> Option<Choice> {
        let source = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(key & 0xffff_ffff).expect("32 bits")));
        let ask = Ask { source, seed: key, now_ms, key: Key::Part(key, Hashed::Path) };
        self.balancer.pick(&self.turns, &ask, |index| self.now[index])
    }

    fn pick(&self, key: u64) -> usize {
        self.choose(key, 0).expect("somebody can").index
    }
}

fn seats(weights: &[u32]) -> Vec<Seat> {
    let one = |(index, weight): (usize, &u32)| {
        let name = format!("10.0.{}.{}:8080", index / 250, index % 250);
        Seat { identity: identity(&name), name: name.into(), weight: *weight, tier: 0, is_local: false }
    };
    weights.iter().enumerate().map(one).collect()
}

#[test]
fn smooth_weighted_round_robin_is_exact_in_every_cycle() {
    super::simulate("weighted", |random| {
        for _ in 0..100 {
            let weights: Vec<u32> = (0..random.usize(1..30)).map(|_| random.u32(0..20)).collect();
            let group = Group::new(Balance::Weighted, &weights);
            for cycle in 0..3 {
                let mut got = vec![0; weights.len()];
                (0..weights.iter().sum()).for_each(|_| got[group.pick(0)] += 1);
                assert_eq!(got, weights, "cycle {cycle}");
            }
        }
    });
}

#[test]
fn nobody_who_cannot_is_ever_picked_and_tiers_wait() {
    super::simulate("able", |random| {
        for balance in Balance::ALL {
            // A table for each group of a maglev takes a while to fill.
            let (lists, rounds) = match balance {
                Balance::Maglev => (4, 4_000),
                Balance::Ring => (20, 800),
                _ => (100, 200),
            };
            for _ in 0..lists {
                let group = any_group(random, balance);
                changing(random, group, rounds);
            }
        }
    });
}

fn any_group(random: &mut fastrand::Rng, balance: Balance) -> Group {
    let weights: Vec<u32> = (0..random.usize(0..20)).map(|_| random.u32(0..4)).collect();
    let mut seats = seats(&weights);
    for seat in &mut seats {
        seat.tier = [0, 0, 0, 1, 7, BACKUP_TIER][random.usize(0..6)];
        seat.is_local = random.bool();
    }
    let bounded_load = random.bool().then(|| random.u16(105..300));
    let enough = random.bool().then(|| random.u16(1..=100));
    Group::of(Settings { balance, bounded_load, enough, ..Settings::default() }, seats)
}

fn changing(random: &mut fastrand::Rng, mut group: Group, rounds: u32) {
    for round in 0..rounds {
        for candidate in &mut group.now {
            candidate.weight = random.u32(0..4) * random.u32(0..101);
            candidate.usable = random.bool();
            candidate.in_flight = random.u32(0..9);
            candidate.estimate = candidate.estimate.after(random.u32(1..100_000), round);
        }
        let able = |index: usize| group.now[index].usable && group.now[index].weight > 0;
        let first = (0..group.now.len()).filter(|index| able(*index)).map(|index| group.seats[index].tier).min();
        let key = random.u64(..);
        let choice = group.choose(key, round);
        let balance = group.balancer.kind();
        assert_eq!(choice.is_some(), first.is_some(), "round {round}, {balance} over {:?}", group.now);
        let Some(choice) = choice else { continue };
        assert!(able(choice.index), "round {round}, {balance}: {choice:?}");
        assert_eq!(Some(group.seats[choice.index].tier), first, "round {round}, {balance}: {choice:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_choice() {
    super::simulate("same", |random| {
        for balance in Balance::ALL {
            let seed = random.u64(..);
            let run = || {
                let mut random = fastrand::Rng::with_seed(seed);
                let group = any_group(&mut random, balance);
                (0..2_000).map(|now| group.choose(random.u64(..), now)).collect::<Vec<_>>()
            };
            assert_eq!(run(), run(), "{balance}");
        }
    });
}

/// Requests that come at random to endpoints that answer after a while.
struct Load {
    balance: Balance,
    /// Milliseconds that a request takes at each endpoint, on average.
    service_ms: Vec<f64>,
    /// Between two requests, on average.
    gap_ms: f64,
    requests: u32,
}

impl Load {
    /// The latency of each request, and how many each endpoint served.
    fn run(&self, random: &mut fastrand::Rng) -> (Vec<f64>, Vec<u32>) {
        let mut group = Group::new(self.balance, &vec![1; self.service_ms.len()]);
        let (mut done, mut served) = (BinaryHeap::new(), vec![0; self.service_ms.len()]);
        let (mut now_us, mut latencies) = (0_u64, Vec::new());
        let exponential = |random: &mut fastrand::Rng, mean_ms: f64| micros(-random.f64().max(1e-9).ln() * mean_ms);
        for _ in 0..self.requests {
            now_us += exponential(random, self.gap_ms);
            while done.peek().is_some_and(|(Reverse(at), _, _)| *at <= now_us) {
                let (Reverse(at), index, took): (Reverse<u64>, usize, u64) = done.pop().expect("just seen");
                group.now[index].in_flight -= 1;
                let took = u32::try_from(took).expect("short");
                group.now[index].estimate = group.now[index].estimate.after(took, millis(at));
            }
            let index = group.choose(random.u64(..), millis(now_us)).expect("all are usable").index;
            group.now[index].in_flight += 1;
            served[index] += 1;
            // Half of the time is always needed, the other half is chance.
            let took = micros(self.service_ms[index] / 2.0) + exponential(random, self.service_ms[index] / 2.0);
            latencies.push(f64::from(u32::try_from(took).expect("short")));
            done.push((Reverse(now_us + took), index, took));
        }
        (latencies, served)
    }
}

fn micros(ms: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds at most")]
    let micros = (ms * 1000.0) as u64;
    micros
}

fn millis(micros: u64) -> u32 {
    u32::try_from(micros / 1000).expect("an hour at most")
}

fn p99(mut latencies: Vec<f64>) -> f64 {
    latencies.sort_by(f64::total_cmp);
    latencies[latencies.len() * 99 / 100]
}

#[test]
fn with_one_endpoint_ten_times_slower_the_p99_stays_within_twice_the_healthy_one() {
    super::simulate("slow one", |random| {
        for balance in [Balance::LeastRequest, Balance::PeakEwma] {
            // As many requests in flight as each of the others has are more than 1 % of all with 10 endpoints or fewer:
            // only a balance that knows latencies gives the slow one less than that.
            let rows = match balance {
                Balance::PeakEwma => [(5, 2.0), (10, 0.9), (50, 4.0)],
                _ => [(30, 4.0), (50, 4.0), (100, 2.0)],
            };
            // `busy` requests are in flight for each healthy endpoint.
            for (count, busy) in rows {
                let mut service_ms = vec![10.0; count];
                let gap_ms = 10.0 / busy / f64::from(u32::try_from(count).expect("few"));
                let load = |service_ms| Load { balance, service_ms, gap_ms, requests: 30_000 };
                let (healthy, _) = load(service_ms.clone()).run(random);
                service_ms[0] = 100.0;
                let (slowed, served) = load(service_ms).run(random);
                let (healthy, slowed) = (p99(healthy), p99(slowed));
                eprintln!("  {balance}, {count} endpoints, {busy} busy: p99 {healthy} and {slowed} µs, {}", served[0]);
                assert!(slowed <= 2.0 * healthy, "{balance} of {count}: {slowed} µs where {healthy} is healthy");
                assert!(served[0] > 0, "{balance}: the slow one is never tried again");
            }
        }
    });
}

#[test]
fn a_slow_endpoint_gets_less_and_the_rest_stay_level() {
    super::simulate("least-request", |random| {
        // A request per tick for fifty endpoints. They answer after 50 ticks, the first one only after 2000.
        let mut group = Group::new(Balance::LeastRequest, &[1; 50]);
        let (mut done, mut served) = (BinaryHeap::new(), vec![0_u32; 50]);
        for tick in 0..100_000_u64 {
            while done.peek().is_some_and(|(Reverse(at), _)| *at <= tick) {
                let (_, index): (_, usize) = done.pop().expect("just seen");
                group.now[index].in_flight -= 1;
            }
            let index = group.pick(random.u64(..));
            group.now[index].in_flight += 1;
            served[index] += 1;
            done.push((Reverse(tick + if index == 0 { 2000 } else { 50 }), index));
        }
        let fair = 100_000 / 50;
        assert!(served[0] < fair / 5, "the slow one served {} where a fair share is {fair}", served[0]);
        let most = served.iter().skip(1).max().expect("49 of them");
        assert!(*most < fair * 12 / 10, "the busiest of the others served {most}");
    });
}

#[test]
fn an_endpoint_that_refuses_fast_does_not_attract_and_is_tried_again() {
    super::simulate("refusals", |random| {
        let mut group = Group::new(Balance::PeakEwma, &[1; 5]);
        let (mut refused, mut after) = (0, 0);
        for now in 0..60_000_u32 {
            let index = group.choose(random.u64(..), now).expect("all are usable").index;
            let estimate = group.now[index].estimate;
            // The first one says 503 at once for half a minute, the others answer in 20 ms.
            let is_refusal = index == 0 && now < 30_000;
            let took = random.u32(19_000..21_000);
            group.now[index].estimate =
                if is_refusal { estimate.after_refusal(500, now, 5_000) } else { estimate.after(took, now) };
            refused += u32::from(is_refusal);
            after += u32::from(index == 0 && now > 36_000);
        }
        assert!((5..=15).contains(&refused), "{refused} requests went to who refuses, in six times five seconds");
        assert!(after > 24_000 / 5 / 2, "{after} of 24,000 requests after it was well again");
    });
}

#[test]
fn draws_are_by_weight_at_any_length() {
    super::simulate("draws", |random| {
        for balance in [Balance::LeastRequest, Balance::Random, Balance::Maglev, Balance::Rendezvous] {
            for count in [2_u32, 5, 100, 1000] {
                let weights: Vec<u32> = (0..count).map(|index| 1 + index % 4).collect();
                let group = Group::new(balance, &weights);
                // A rendezvous asks everybody.
                let picks = if balance == Balance::Rendezvous { 200_000 / count as usize } else { 50_000 };
                let heavy = (0..picks).filter(|_| weights[group.pick(random.u64(..))] >= 3);
                let total: u32 = weights.iter().sum();
                let heavies: u32 = weights.iter().filter(|weight| **weight >= 3).sum();
                let want = f64::from(heavies) / f64::from(total);
                let got = heavy.count();
                within(got, picks, want, &format!("{balance} of {count} endpoints"));
            }
        }
    });
}

/// Fails if `got` of `of` lies more than six sigma from the share `want`.
fn within(got: usize, of: usize, want: f64, what: &str) {
    let of = f64::from(u32::try_from(of).expect("few"));
    let got = f64::from(u32::try_from(got).expect("few"));
    let sigma = (of * want * (1.0 - want)).sqrt();
    assert!((got - of * want).abs() <= 6.0 * sigma, "{what}: {got} of {of}, want {} ± {sigma}", of * want);
}

#[test]
fn keys_of_others_stay_when_one_goes_and_when_weights_change() {
    super::simulate("one goes", |random| {
        for (balance, count) in [(Balance::Ring, 100), (Balance::Maglev, 100), (Balance::Rendezvous, 20)] {
            let keys: Vec<u64> = (0..40_000).map(|_| random.u64(..)).collect();
            let mut group = Group::new(balance, &vec![1; count]);
            let go = |group: &Group| keys.iter().map(|key| group.pick(*key)).collect::<Vec<_>>();
            let before = go(&group);
            let gone = random.usize(0..count);
            group.now[gone].usable = false;
            let after = go(&group);
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            let owned = before.iter().filter(|index| **index == gone).count();
            assert_eq!(moved, owned, "{balance}: its own keys and no others");
            // The arcs of a ring of 160 points differ.
            let most = if balance == Balance::Ring { 16 } else { 13 };
            assert!(moved * 10 <= keys.len() * most / count, "{balance}: {moved} of {} keys moved", keys.len());
            group.now[gone] = Candidate { usable: true, weight: 25, ..group.now[gone] };
            let lighter = go(&group);
            let stay = |(before, after): (&usize, &usize)| before == after || *before == gone;
            assert!(before.iter().zip(&lighter).all(stay), "{balance}: a lower weight moves only its own keys");
            let got = lighter.iter().filter(|index| **index == gone).count();
            within(got, owned, 0.25, &format!("{balance}: a quarter of the weight"));
        }
    });
}

/// As a multiple of the keys of one endpoint, what moves when it is removed from the configuration, or added to it.
#[test]
fn a_list_with_one_more_or_less_moves_few_keys() {
    super::simulate("removed", |random| {
        for balance in [Balance::Ring, Balance::Maglev, Balance::Rendezvous] {
            for (count, keys, times) in [(10_u32, 10_000, 4), (100, 20_000, 3), (1_000, 40_000, 2)] {
                if balance == Balance::Rendezvous && count > 10 {
                    // It asks everybody for each key: the table of ten says it all.
                    continue;
                }
                // libketama gives points by weight over the mean weight, rounded down. A list without one has another mean,
                // so that all endpoints of a weight may lose a digest: the promise of a ring is for equal weights.
                let heaviest: &[u32] = if balance == Balance::Ring { &[1] } else { &[1, 4] };
                for heaviest in heaviest {
                    let weights: Vec<u32> = (0..count).map(|index| 1 + index % heaviest).collect();
                    let keys: Vec<u64> = (0..keys).map(|_| random.u64(..)).collect();
                    let first = random.usize(0..weights.len());
                    let gone = (0..times).map(|nth| (first + nth) % weights.len());
                    let ratio = ratio(balance, &seats(&weights), &keys, gone);
                    eprintln!("  {balance} of {count}, weights to {heaviest}: {ratio:.3} × the keys of the one");
                    assert!(ratio <= 1.3, "{balance} of {count}, weights to {heaviest}: {ratio}");
                }
            }
        }
    });
}

/// With each of these endpoints once there and once not: keys that differ, for each key of theirs.
fn ratio(balance: Balance, all: &[Seat], keys: &[u64], gone: impl Iterator<Item = usize>) -> f64 {
    let settings = Settings { balance, ..Settings::default() };
    let whole = Group::of(settings.clone(), all.to_vec());
    let places: Vec<usize> = keys.iter().map(|key| whole.pick(*key)).collect();
    let (mut moved, mut owned) = (0_u32, 0_u32);
    for gone in gone {
        let mut rest = all.to_vec();
        rest.remove(gone);
        // Nor does it matter in which order a configuration names them.
        rest.reverse();
        let without = Group::of(settings.clone(), rest);
        for (key, place) in keys.iter().zip(&places) {
            moved += u32::from(without.seats[without.pick(*key)].identity != all[*place].identity);
            owned += u32::from(*place == gone);
        }
    }
    f64::from(moved) / f64::from(owned)
}

#[test]
fn tables_spread_evenly_over_a_hundred_endpoints() {
    // Exact shares of all keys. 160 points each, as ketama clients have, are not enough for 5 %; 3,200 are.
    for (balance, points, most) in
        [(Balance::Ring, 160, 0.25), (Balance::Ring, 3_200, 0.05), (Balance::Maglev, 160, 0.05)]
    {
        // Of a ring the spread by weight is that of fewer points.
        let heaviest: &[u32] = if balance == Balance::Maglev { &[1, 4] } else { &[1] };
        for heaviest in heaviest {
            let weights: Vec<u32> = (0..100).map(|index| 1 + index % heaviest).collect();
            let total = f64::from(weights.iter().sum::<u32>());
            let settings = Settings { balance, points, ..Settings::default() };
            let balancer = Balancer::new(settings, seats(&weights));
            let shares = (0..100).map(|index| balancer.share_of_keys(index).expect("it has a table"));
            let off = |(share, weight): (f64, &u32)| (share * total / f64::from(*weight) - 1.0).abs();
            let off = shares.zip(&weights).map(off).fold(0.0, f64::max);
            eprintln!("  {balance}, {points} points, weights to {heaviest}: {:.2} % off", off * 100.0);
            assert!(off <= most, "{balance} of {points} points, weights to {heaviest}: {off} off");
        }
    }
}

#[test]
fn hashes_spread_evenly_over_a_hundred_endpoints() {
    super::simulate("spread", |random| {
        for (balance, keys, promised) in
            [(Balance::Ring, 100_000, 0.25), (Balance::Maglev, 100_000, 0.05), (Balance::Rendezvous, 20_000, 0.0)]
        {
            let group = Group::new(balance, &[1; 100]);
            let mut counts = vec![0_u32; 100];
            (0..keys).for_each(|_| counts[group.pick(random.u64(..))] += 1);
            let mean = f64::from(keys) / 100.0;
            let off = counts.iter().map(|count| (f64::from(*count) - mean).abs()).fold(0.0, f64::max) / mean;
            // Keys are drawn, so the count of one endpoint is off by chance: 4.5 sigma of that are allowed for.
            assert!(off <= promised + 4.5 / mean.sqrt(), "{balance}: {off} off");
        }
    });
}

#[test]
fn a_bounded_load_is_never_exceeded() {
    super::simulate("bounded", |random| {
        for balance in [Balance::SourceIp, Balance::Ring, Balance::Maglev, Balance::Rendezvous] {
            let weights: Vec<u32> = (0..20).map(|_| random.u32(1..4)).collect();
            let percent = random.u16(105..200);
            let settings = Settings { balance, bounded_load: Some(percent), ..Settings::default() };
            let mut group = Group::of(settings, seats(&weights));
            let (mut flying, total) = (Vec::new(), u64::from(weights.iter().sum::<u32>()));
            for step in 0..20_000 {
                // A few keys are hot; half of the time somebody finishes.
                if random.bool() && flying.len() > random.usize(1..300) {
                    let index: usize = flying.swap_remove(random.usize(0..flying.len()));
                    group.now[index].in_flight -= 1;
                    continue;
                }
                let key = if random.u8(..) < 200 { random.u64(0..3) } else { random.u64(..) };
                let index = group.pick(key);
                let sum = flying.len() as u64 + 1;
                let share = sum * u64::from(percent) * u64::from(weights[index]);
                let most = share.div_ceil(total * 100).max(1);
                group.now[index].in_flight += 1;
                flying.push(index);
                let has = u64::from(group.now[index].in_flight);
                assert!(has <= most, "step {step}, {balance} at {percent} %: {has} of {sum}, where {most} are allowed");
            }
        }
    });
}

#[test]
fn a_zone_keeps_what_it_can_carry() {
    super::simulate("zone", |random| {
        for balance in [Balance::LeastRequest, Balance::Random, Balance::Weighted, Balance::Maglev] {
            for _ in 0..8 {
                let (count, enough) = (random.usize(2..60), random.u16(10..=100));
                let mut seats = seats(&vec![1; count * 2]);
                seats.iter_mut().take(count).for_each(|seat| seat.is_local = true);
                let settings = Settings { balance, enough: Some(enough), ..Settings::default() };
                let mut group = Group::of(settings, seats);
                let down = random.usize(0..=count);
                group.now.iter_mut().take(down).for_each(|candidate| candidate.usable = false);
                let usable = f64::from(u32::try_from(count - down).unwrap());
                let all = f64::from(u32::try_from(count).unwrap());
                let want = (usable / all * 100.0 / f64::from(enough)).min(1.0);
                let picks = 10_000;
                let local = (0..picks).filter(|_| group.pick(random.u64(..)) < count).count();
                within(local, picks, want, &format!("{balance}: {usable} of {all} usable, {enough} % are enough"));
            }
        }
    });
}

#[test]
fn an_estimate_follows_the_truth_and_never_looks_free() {
    super::simulate("estimate", |random| {
        let (mut estimate, mut now, mut truth) = (Estimate::default(), random.u32(..), 1000);
        for step in 0..200_000 {
            if random.u32(0..1000) == 0 {
                truth = random.u32(100..1_000_000);
            }
            now = now.wrapping_add(random.u32(0..30));
            let took = random.u32(truth / 2..=truth);
            estimate = estimate.after(took, now);
            let read = estimate.micros(now, 1);
            assert!(read + 1 >= took, "step {step}: {read} µs right after {took} µs");
            assert!((1..=1_000_000).contains(&read), "step {step}: {read} µs");
            let later = now.wrapping_add(random.u32(0..9_999));
            assert!(estimate.micros(later, 0) >= 1 && estimate.micros(later, 0) <= read, "step {step}");
        }
    });
}
