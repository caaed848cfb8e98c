// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only source of wall time in this crate; everything else takes time as an argument.
#![expect(clippy::disallowed_methods, reason = "this file is the one place that may read a clock")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
