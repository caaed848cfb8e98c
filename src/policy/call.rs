// SPDX-License-Identifier: MIT OR Apache-2.0
//! A question of a policy to an upstream, and what comes back: words only, `proxy` sends it.
//!
//! The policy writes the whole request; balancing, pools, limits and retries are those of the upstream. Both the time and
//! the bytes that an answer may take are part of the question.

use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{self, Fields};

/// What is read of the body of an answer, in bytes, unless a policy wants less.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A request to an upstream on behalf of the one that is under way.
#[derive(Debug)]
pub struct Call {
    /// By its place in the snapshot that the policy is of.
    pub upstream: u32,
    pub head: exchange::Request,
    pub body: Bytes,
    /// From now to the end of the answer.
    pub timeout: Duration,
    pub reply_bytes_max: usize,
}

/// The answer. Nothing that is for one hop only is in its fields.
#[derive(Debug)]
pub struct Called {
    pub status: u16,
    pub fields: Fields,
    /// Absent if it was longer than it may be, did not come in time or broke off.
    pub body: Option<Bytes>,
}
