// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads and their lives: workers, the control runtime, the store, and the way from start to stop.
//!
//! `run` is the command, `boot` the order of a start and a stop, `workers` the data path's threads, `appliance` what the control side may do to
//! them, `checker` the health checks, `discovery` the search for endpoints, `identity` the
//! issuers of tokens, `memory` what outlives the process. The only module that knows all others.

pub mod appliance;

pub mod boot;

pub mod canary;

pub mod checker;

pub mod counting;

pub mod discovery;

mod hashing;

pub mod log;

mod identity;

mod memory;

mod run;

pub mod systemd;

pub mod workers;

pub use run::{control_runtime, default_workers, run};
