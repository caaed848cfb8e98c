// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads that check passwords. They are few, so that requests with passwords cannot take the processor from those
//! without, and end when nobody can send them any more.

use std::sync::Arc;
use std::thread::{self, Builder};

use crate::policy::authenticate::passwords::{AT_ONCE_MAX, Hasher, queue};

/// Starts them.
pub(super) fn start() -> std::io::Result<Hasher> {
    let (hasher, jobs) = queue();
    let jobs = Arc::new(jobs);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    for index in 0..(processors / 2).clamp(1, AT_ONCE_MAX) {
        let jobs = Arc::clone(&jobs);
        Builder::new().name(format!("password-{index}")).spawn(move || jobs.work())?;
    }
    Ok(hasher)
}
