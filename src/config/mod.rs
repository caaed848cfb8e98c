// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what an operator wrote to what the data path reads.
//!
//! [`compile`](compile::compile) is the one door: a model in, a [`Snapshot`] or all its problems out. A snapshot is
//! immutable; whatever lives longer than one (health, requests in flight, counters of limits) is carried over by name.

pub mod compile;

pub mod consumers;

mod lead;

pub mod membership;

mod problems;

pub mod snapshot;

mod traffic;

pub mod usages;

pub use compile::{Given, compile};
pub use consumers::Consumers;
pub use lead::{Because, Lead};
pub use snapshot::Snapshot;
