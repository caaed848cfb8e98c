// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of the endpoints: connections to them, which of them live, and when to try another.
//!
//! `endpoint` is the live state that workers and the control side share; `connect`, `pool` and `connection` belong to
//! one worker and are never shared; `discovery`, `health`, `outlier`, `panic`, `slow_start` and `retry` decide and do no I/O
//! (but for the probe), on what checks and the counts of `passive` say; `sticky` remembers. `limits`, `queue`, `breaker`
//! and `adaptive` keep an upstream from more than it can carry, over all workers. Nothing here knows a route or a policy.

pub mod adaptive;

pub mod breaker;

pub mod connect;

pub mod connection;

pub mod discovery;

pub mod endpoint;

pub mod health;

pub mod hedge;

pub mod http2;
pub mod latency;

pub mod limits;

pub mod outlier;

pub mod panic;

pub mod passive;

pub mod pool;

pub mod queue;

mod reply_body;

pub mod retry;

mod sending;

pub mod slow_start;

pub mod sticky;

pub mod stream;

pub mod transport;

mod upload;

pub use reply_body::ReplyBody;

#[cfg(test)]
mod origin;

#[cfg(test)]
mod tests;
