// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fixed rate over a set of keep-alive connections, and the latency percentiles that a client would see.
//!
//! Latency counts from the moment a request was due, not from when it could be sent: a stall then shows in every
//! request it held up, and not only in the one that met it (coordinated omission). One thread per connection, because a
//! thread wakes within some 60 µs of its time and a timer of the runtime only within a millisecond.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::reply::Client;

/// How hard and how long.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rate: usize,
    pub seconds: usize,
    pub connections: usize,
}

/// Requests of the first half second are sent but not counted: pools fill and caches warm.
const WARM_UP: Duration = Duration::from_millis(500);

pub fn run(target: SocketAddr, path: &str, plan: Plan) -> Result<(), String> {
    if plan.rate == 0 || plan.connections == 0 {
        return Err("rate and connections must be at least 1".to_owned());
    }
    let mut clients = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        clients.push(Client::connect(target, path)?);
    }
    let start = Instant::now();
    let lanes: Vec<_> = (0..)
        .zip(clients)
        .map(|(lane, client)| std::thread::spawn(move || lane_of(client, plan, lane, start)))
        .collect();
    let mut latencies = Vec::new();
    for lane in lanes {
        latencies.extend(lane.join().map_err(|_| "a lane panicked".to_owned())??);
    }
    latencies.sort_unstable();
    report(&latencies);
    Ok(())
}

/// Lane `lane` sends requests number lane, lane + connections, lane + 2 × connections, … each when it is due.
fn lane_of(mut client: Client, plan: Plan, lane: u32, start: Instant) -> Result<Vec<u64>, String> {
    let gap = Duration::from_secs(1) / u32::try_from(plan.rate).unwrap_or(u32::MAX);
    let stride = gap * u32::try_from(plan.connections).unwrap_or(u32::MAX);
    let end = start + WARM_UP + Duration::from_secs(plan.seconds as u64);
    let mut due = start + gap * lane;
    let mut latencies = Vec::new();
    while due < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        client.exchange()?;
        if due >= start + WARM_UP {
            latencies.push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        due += stride;
    }
    Ok(latencies)
}

fn report(sorted: &[u64]) {
    println!("requests {}", sorted.len());
    for (name, share) in [("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("p999", 0.999)] {
        println!("{name} {}", percentile(sorted, share));
    }
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!([0.5, 0.99, 0.999].map(|p| percentile(&sorted, p)), [50, 99, 100]);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
