// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only source of `now()`.
//!
//! Two clocks: [`now`] is monotonic and for measuring and deadlines; [`wall_ms`] is for what a person or another
//! machine reads. Pure cores (route, balance, limits, retry) take time as an argument and never call this module.
#![expect(clippy::disallowed_methods, reason = "this file is the one place that may read a clock")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use std::sync::OnceLock;

/// A monotonic instant. Reading it costs about 25 ns (vDSO), so a stage takes it once and passes it on.
pub fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since the process first asked: a monotonic time that fits an atomic, as the limit table needs.
pub fn since_start_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = Instant::now().duration_since(*START.get_or_init(Instant::now));
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
