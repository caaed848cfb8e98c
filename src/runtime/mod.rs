// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads and their lives: workers, the control runtime, the store, and the way from start to stop.
//!
//! `boot` is the order of a start, `workers` the data path's threads, `appliance` what the control side may do to
//! them, `checker` the health checks, `shutdown` the order of a stop. The only module that knows all others.

pub mod appliance;

pub mod boot;

pub mod checker;

pub mod log;

pub mod systemd;

pub mod workers;
