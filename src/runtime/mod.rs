// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads and their lives: workers, the control runtime, the store, and the way from start to stop.
//!
//! `logs` writes logs of exchanges, `usage` rolls up what consumers used, `log` is what weirgate says of itself.
//!
//! `run` is the command, `boot` the order of a start and a stop, `workers` the data path's threads, `appliance` what the control side may do to
//! them, `checker` the health checks, `discovery` the search for endpoints, `memory` what outlives the process. The only module that knows all others.

pub mod appliance;

pub mod boot;

pub mod canary;

pub mod checker;

pub mod discovery;

pub mod log;

mod logs;

mod memory;

mod run;

pub mod systemd;

mod usage;

pub mod workers;

pub use run::{control_runtime, default_workers, run};
