// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancers over many requests: exact shares where they are promised, statistical ones within six sigma.

use std::net::{IpAddr, Ipv4Addr};

use weirgate::balance::{Ask, Balance, Candidate, Turns, identity};

fn endpoints(weights: &[u32]) -> Vec<Candidate> {
    let one = |(index, weight): (usize, &u32)| Candidate {
        identity: identity(&format!("10.0.{}.{}:8080", index / 250, index % 250)),
        weight: *weight,
        usable: true,
        backup: false,
        in_flight: 0,
    };
    weights.iter().enumerate().map(one).collect()
}

fn pick(balance: Balance, turns: &Turns, list: &[Candidate], key: u64) -> Option<usize> {
    let source = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(key & 0xffff_ffff).expect("32 bits")));
    balance.pick(turns, Ask { source, seed: key }, list.len(), |index| list[index]).map(|choice| choice.index)
}

#[test]
fn smooth_weighted_round_robin_is_exact_in_every_cycle() {
    super::simulate("weighted", |random| {
        for _ in 0..100 {
            let weights: Vec<u32> = (0..random.usize(1..30)).map(|_| random.u32(0..20)).collect();
            let (list, turns) = (endpoints(&weights), Turns::new(random.u64(..)));
            for cycle in 0..3 {
                let mut got = vec![0; weights.len()];
                for _ in 0..weights.iter().sum() {
                    got[pick(Balance::Weighted, &turns, &list, 0).expect("somebody has weight")] += 1;
                }
                assert_eq!(got, weights, "cycle {cycle}");
            }
        }
    });
}

#[test]
fn nobody_who_cannot_is_ever_picked() {
    super::simulate("able", |random| {
        let turns = Turns::new(random.u64(..));
        for round in 0..20_000 {
            let mut list = endpoints(&vec![1; random.usize(0..12)]);
            for candidate in &mut list {
                candidate.weight = random.u32(0..4);
                candidate.usable = random.bool();
                candidate.backup = random.u8(..) < 60;
                candidate.in_flight = random.u32(0..9);
            }
            let able = |candidate: &Candidate| candidate.usable && candidate.weight > 0;
            let primary = list.iter().any(|candidate| able(candidate) && !candidate.backup);
            for balance in [Balance::LeastRequest, Balance::RoundRobin, Balance::SourceIp, Balance::Weighted] {
                let picked = pick(balance, &turns, &list, random.u64(..));
                assert_eq!(picked.is_some(), list.iter().any(able), "round {round}, {balance} over {list:?}");
                let picked = picked.map(|index| list[index]);
                assert!(picked.is_none_or(|c| able(&c) && c.backup != primary), "round {round}, {balance}: {picked:?}");
            }
        }
    });
}

#[test]
fn a_slow_endpoint_gets_less_and_the_rest_stay_level() {
    super::simulate("least-request", |random| {
        // A request per tick for fifty endpoints. They answer after 50 ticks, the first one only after 2000.
        let (mut list, turns) = (endpoints(&[1; 50]), Turns::new(1));
        let (mut done, mut served) = (std::collections::BinaryHeap::new(), vec![0_u32; 50]);
        for tick in 0..100_000_u64 {
            while done.peek().is_some_and(|(std::cmp::Reverse(at), _)| *at <= tick) {
                let (_, index): (_, usize) = done.pop().expect("just seen");
                list[index].in_flight -= 1;
            }
            let index = pick(Balance::LeastRequest, &turns, &list, random.u64(..)).expect("all are usable");
            list[index].in_flight += 1;
            served[index] += 1;
            done.push((std::cmp::Reverse(tick + if index == 0 { 2000 } else { 50 }), index));
        }
        let fair = 100_000 / 50;
        assert!(served[0] < fair / 5, "the slow one served {} where a fair share is {fair}", served[0]);
        let most = served.iter().skip(1).max().expect("49 of them");
        assert!(*most < fair * 12 / 10, "the busiest of the others served {most}");
    });
}

#[test]
fn draws_are_by_weight_at_any_length() {
    super::simulate("draws", |random| {
        for count in [2_u32, 5, 100, 1000] {
            let weights: Vec<u32> = (0..count).map(|index| 1 + index % 4).collect();
            let (list, turns) = (endpoints(&weights), Turns::new(1));
            let picks = 200_000;
            let heavy = (0..picks).filter(|_| {
                let index = pick(Balance::LeastRequest, &turns, &list, random.u64(..)).expect("all are usable");
                weights[index] >= 3
            });
            let total: u32 = weights.iter().sum();
            let heavies: u32 = weights.iter().filter(|weight| **weight >= 3).sum();
            let want = f64::from(heavies) / f64::from(total);
            let got = heavy.count();
            within(got, picks, want, &format!("{count} endpoints"));
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
fn source_addresses_spread_evenly_and_stay_when_others_leave() {
    super::simulate("source-ip", |random| {
        let (keys, count) = (30_000, 100);
        let (mut list, turns) = (endpoints(&[1; 100]), Turns::default());
        let sources: Vec<u64> = (0..keys).map(|_| random.u64(..)).collect();
        let go = |list: &[Candidate]| -> Vec<usize> {
            sources.iter().map(|key| pick(Balance::SourceIp, &turns, list, *key).expect("some are usable")).collect()
        };
        let before = go(&list);
        for index in 0..count {
            let got = before.iter().filter(|picked| **picked == index).count();
            within(got, keys, 0.01, &format!("endpoint {index}"));
        }
        let gone = random.usize(0..count);
        list[gone].usable = false;
        let after = go(&list);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == gone));
        assert!(moved * 10 <= keys * 13 / count, "{moved} of {keys} keys moved for one of {count}");
        list[gone].usable = true;
        list[gone].weight = 3;
        let heavier = go(&list);
        let got = heavier.iter().filter(|picked| **picked == gone).count();
        within(got, keys, 3.0 / 102.0, "an endpoint of three times the weight");
        assert!(before.iter().zip(&heavier).all(|(before, after)| before == after || *after == gone));
    });
}
