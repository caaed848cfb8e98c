// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs of exchanges as the data path uses them: which exchanges one wants, and how a line of it looks.
//!
//! A worker formats a line into a batch of its own ([`outbox`]) and hands full batches to the writer of the log over a
//! bounded [`queue`]. It never waits: what the queue does not take is dropped and counted. Writers are in `runtime`.

mod escape;

mod hide;

mod layout;

pub mod outbox;

pub mod queue;

mod span;

mod stamp;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use weirgate_store::model;

use self::hide::Hidden;
use self::layout::Layout;
use self::queue::Queue;
use super::record::Finished;

pub use stamp::{rfc3339, syslog_time};

/// A log of the snapshot.
#[derive(Debug)]
pub struct Log {
    pub name: Arc<str>,
    pub queue: Arc<Queue>,
    only: model::LogFilter,
    /// Of 2^64: a request whose number is below is written whatever became of it.
    sampled_below: u128,
    slow_us: u64,
    hidden: Hidden,
    layout: Layout,
}

impl Log {
    /// The log of a model, writing to that queue.
    ///
    /// # Errors
    /// A sentence about its template.
    pub fn new(name: &str, log: &model::Log, queue: Arc<Queue>) -> Result<Self, String> {
        let hidden = Hidden::new(&log.redact);
        Ok(Self {
            name: name.into(),
            queue,
            only: log.only.clone(),
            sampled_below: (u128::from(u64::MAX) + 1) * u128::from(log.sample.0) / 100,
            slow_us: u64::try_from(log.slow.0.as_micros()).unwrap_or(u64::MAX),
            layout: Layout::new(log, &hidden)?,
            hidden,
        })
    }

    /// Whether it takes spans: then what is sent to endpoints continues the trace.
    pub fn traces(&self) -> bool {
        matches!(self.layout, Layout::Spans { .. })
    }

    /// Whether an exchange is to be written. Failures and slow exchanges pass any sampling.
    pub(super) fn wants(&self, finished: &Finished<'_>, failure: bool) -> bool {
        let named = |names: &[model::Name], got: Option<&str>| {
            names.is_empty() || got.is_some_and(|got| names.iter().any(|name| name.as_str() == got))
        };
        let model::LogFilter { routes, listeners, status } = &self.only;
        named(routes, finished.route.map(|part| part.name))
            && named(listeners, Some(finished.listener))
            && (status.is_empty() || status.iter().any(|range| range.contains(finished.status)))
            && (failure || finished.micros >= self.slow_us || u128::from(finished.lot()) < self.sampled_below)
    }

    /// Adds the line of an exchange that ended at `wall_ms`.
    pub(super) fn write(&self, out: &mut Vec<u8>, finished: &Finished<'_>, wall_ms: i64) {
        self.layout.write(out, finished, wall_ms, &self.hidden);
    }
}

/// How serious an exchange is, in the numbers of syslog (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
}

impl Severity {
    pub(super) fn of(finished: &Finished<'_>, failure: bool) -> Self {
        match (failure, finished.status) {
            (true, _) => Self::Error,
            (false, 400..) => Self::Warning,
            (false, _) => Self::Info,
        }
    }
}
