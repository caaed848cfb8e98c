// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a consumer may do on all routes together: its plan, and what it has used of that.
//!
//! Each consumer has counters of its own, found with the consumer and not by a key: exact, without a table that could be
//! full. They live as long as the consumer's name does, so that another plan gives nobody a fresh allowance. A plan has
//! at most one rate for each unit of time and one quota for each period, so that each has its counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::quota::{Calendar, Counter, Period};
use super::rate_limit::{Left, Rate, quoted};

/// Units of time that a plan may have a rate for, in seconds.
const UNITS_S: [u64; 4] = [1, 60, 3_600, 86_400];

/// What consumers that have it may do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub name: Arc<str>,
    pub parts: Box<[Part]>,
}

/// One limit of a plan.
#[derive(Clone, Debug)]
pub struct Part {
    /// As replies name it, such as `gold:month`.
    pub name: Arc<str>,
    /// The same as a structured-field string.
    pub(super) quoted: Box<str>,
    pub limit: Limit,
}

#[derive(Clone, Debug)]
pub enum Limit {
    /// The unit of time says which counter is meant.
    Rate {
        rate: Rate,
        unit: usize,
        text: Box<str>,
    },
    Quota {
        requests: u64,
        calendar: Arc<Calendar>,
    },
    Concurrency {
        max: u32,
    },
}

/// What one consumer has used.
#[derive(Debug, Default)]
pub struct Usage {
    /// Theoretical arrival times (see `rate_limit::gcra`), by unit of time.
    tats_ns: [AtomicU64; UNITS_S.len()],
    /// By period.
    counters: [Counter; 4],
    pub(super) in_flight: AtomicU32,
}

/// A consumer's plan with what it has used of it.
#[derive(Clone, Debug)]
pub struct Entitlement {
    pub plan: Arc<Plan>,
    pub usage: Arc<Usage>,
}

impl PartialEq for Entitlement {
    /// The same counters are the same entitlement.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan) && Arc::ptr_eq(&self.usage, &other.usage)
    }
}

impl Eq for Entitlement {}

impl Part {
    /// A rate of `text`, such as `100/s`, that is written for `unit`.
    pub fn rate(plan: &str, rate: Rate, unit: Duration, text: String) -> Option<Self> {
        let unit = UNITS_S.iter().position(|seconds| *seconds == unit.as_secs())?;
        Some(Self::new(format!("{plan}:{text}"), Limit::Rate { rate, unit, text: text.into() }))
    }

    pub fn quota(owner: &str, requests: u64, calendar: Arc<Calendar>) -> Self {
        Self::new(format!("{owner}:{}", calendar.period().word()), Limit::Quota { requests, calendar })
    }

    pub fn concurrency(plan: &str, max: u32) -> Self {
        Self::new(format!("{plan}:concurrency"), Limit::Concurrency { max })
    }

    fn new(name: String, limit: Limit) -> Self {
        Self { quoted: quoted(&name), name: name.into(), limit }
    }

    /// Requests that are allowed: at once after a pause, in a period, or under way.
    pub fn allows(&self) -> u64 {
        match &self.limit {
            Limit::Rate { rate, .. } => rate.burst().into(),
            Limit::Quota { requests, .. } => *requests,
            Limit::Concurrency { max } => (*max).into(),
        }
    }

    /// The period of a quota.
    pub fn period(&self) -> Option<Period> {
        match &self.limit {
            Limit::Quota { calendar, .. } => Some(calendar.period()),
            Limit::Rate { .. } | Limit::Concurrency { .. } => None,
        }
    }
}

impl Usage {
    /// The counter of quotas of a period.
    pub fn counter(&self, period: Period) -> &Counter {
        let [minute, hour, day, month] = &self.counters;
        match period {
            Period::Minute => minute,
            Period::Hour => hour,
            Period::Day => day,
            Period::Month => month,
        }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Charges one request, or says in how many nanoseconds one would be allowed.
    pub(super) fn charge_rate(&self, unit: usize, rate: Rate, now_ns: u64) -> Result<Left, u64> {
        let Some(tat) = self.tats_ns.get(unit) else { return Err(u64::MAX) };
        let mut held = tat.load(Ordering::Acquire);
        loop {
            let new = rate.charge(held, now_ns)?;
            match tat.compare_exchange_weak(held, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(rate.left(new, now_ns)),
                Err(other) => held = other,
            }
        }
    }

    /// What a charge would find, without one.
    pub fn peek_rate(&self, unit: usize, rate: Rate, now_ns: u64) -> Result<Left, u64> {
        let tat = self.tats_ns.get(unit).map_or(0, |tat| tat.load(Ordering::Acquire));
        rate.charge(tat, now_ns).map(|_| rate.left(tat, now_ns))
    }

    /// Takes back one charge.
    pub(super) fn refund_rate(&self, unit: usize, rate: Rate) {
        if let Some(tat) = self.tats_ns.get(unit) {
            let back = |tat: u64| Some(tat.saturating_sub(rate.step_ns()));
            tat.fetch_update(Ordering::AcqRel, Ordering::Acquire, back).ok();
        }
    }

    /// Forgets what was used; requests under way stay under way.
    pub fn reset(&self) {
        self.tats_ns.iter().for_each(|tat| tat.store(0, Ordering::Release));
        self.counters.iter().for_each(Counter::reset);
    }
}
