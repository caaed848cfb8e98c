// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a choice costs, by balance and number of endpoints: nanoseconds per pick on one thread, as the request path
//! does it, over endpoints that live where they live in the daemon. Run by `tests/bench/run pick`.
//!
//! It prints a table and asserts no time. Each number is the best of several rounds: on a shared machine the others
//! measure the neighbours.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use weirgate::balance::{Ask, Balance, Balancer, Hashed, Key, Seat, Settings, Turns};
use weirgate::clock;
use weirgate::upstream::endpoint::{Endpoint, Live};
use weirgate::upstream::health::State;

/// Short rounds, many of them: one that fits in a time slice is not interrupted.
const ROUNDS: usize = 100;
const PICKS: u64 = 4_000;

const ALL: [Balance; 10] = [
    Balance::LeastRequest,
    Balance::Maglev,
    Balance::Ring,
    Balance::Random,
    Balance::PeakEwma,
    Balance::RoundRobin,
    Balance::Weighted,
    Balance::LeastConnections,
    Balance::SourceIp,
    Balance::Rendezvous,
];

/// Endpoints as a snapshot holds them, with something in flight and a latency.
fn endpoints(count: u32) -> Vec<Arc<Endpoint>> {
    let one = |index: u32| {
        let live = Arc::new(Live::new(State::Healthy, 1 + index % 3));
        live.latency.answered(std::time::Duration::from_micros(900 + u64::from(index % 200)), 1);
        // Held for the life of the process: the counters stay where they are.
        (0..index % 4).for_each(|_| std::mem::forget(live.begin_unread()));
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + index)), 8080);
        Arc::new(Endpoint::new(address, 1 + index % 3, false, live))
    };
    (0..count).map(one).collect()
}

fn balancer(settings: Settings, endpoints: &[Arc<Endpoint>]) -> Balancer {
    let seat = |endpoint: &Arc<Endpoint>| Seat {
        name: Arc::clone(&endpoint.name),
        identity: endpoint.identity,
        weight: endpoint.weight,
        tier: 0,
        is_local: false,
    };
    Balancer::new(settings, endpoints.iter().map(seat).collect())
}

/// Nanoseconds per pick, in the best round.
fn cost(balancer: &Balancer, endpoints: &[Arc<Endpoint>], picks: u64) -> f64 {
    let turns = Turns::new(7);
    let mut best = f64::INFINITY;
    let mut seed = 1_u64;
    for _ in 0..ROUNDS {
        let began = clock::now();
        for _ in 0..picks {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let ask = Ask { source, seed, now_ms: 2, key: Key::Part(seed ^ (seed >> 29), Hashed::Path) };
            let view = |at: usize| endpoints.get(at).map(|endpoint| endpoint.candidate()).unwrap_or_default();
            black_box(balancer.pick(&turns, &ask, view));
        }
        let took = (clock::now() - began).as_secs_f64() * 1e9;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
        let each = took / picks as f64;
        best = best.min(each);
    }
    best
}

#[expect(clippy::print_stdout, reason = "the table is what this is for")]
fn main() {
    let sizes = [2, 10, 100, 1000];
    println!("| balance | {} |", sizes.map(|size| format!("{size} endpoints, ns")).join(" | "));
    println!("|---|---:|---:|---:|---:|");
    for (balance, bounded_load) in ALL.map(|balance| (balance, None)).into_iter().chain([(Balance::Maglev, Some(150))])
    {
        let costs = sizes.map(|size| {
            let endpoints = endpoints(size);
            let balancer = balancer(Settings { balance, bounded_load, ..Settings::default() }, &endpoints);
            format!("{:.0}", cost(&balancer, &endpoints, PICKS / u64::from(size.isqrt())))
        });
        let bound = if bounded_load.is_some() { ", bounded load" } else { "" };
        println!("| {balance}{bound} | {} |", costs.join(" | "));
    }
}
