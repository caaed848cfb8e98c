// SPDX-License-Identifier: MIT OR Apache-2.0
//! Long seeded runs over the pure cores, against references too simple to be wrong.
//!
//! Each simulation runs with a fixed seed and with a fresh one. A failing run prints its seed; set WEIRGATE_SIM_SEED
//! to it and only that run happens. Nothing here reads a clock or opens a socket.
#![expect(clippy::indexing_slicing, reason = "a simulation that indexes wrongly should stop there")]

mod balance;

mod breaker;

mod health;

mod limit;

mod queue;

mod retry;

mod traffic;

/// Runs `act` for each seed of this invocation.
fn simulate(name: &str, act: impl Fn(&mut fastrand::Rng)) {
    let asked = std::env::var("WEIRGATE_SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = asked.map_or_else(|| vec![1, fastrand::u64(..)], |seed| vec![seed]);
    for seed in seeds {
        eprintln!("{name}: WEIRGATE_SIM_SEED={seed}");
        act(&mut fastrand::Rng::with_seed(seed));
    }
}
