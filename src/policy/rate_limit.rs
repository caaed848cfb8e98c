// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often someone may call, on average and at once: exact over all workers.
//!
//! Charging several limits as one is for `limits`; here is one limit, its counters and its keys.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Mistake;
use super::limits::Caller;

mod gcra;

mod limiter;

pub use gcra::{BURST_MAX, Left, Rate};
pub use limiter::{CELLS_DEFAULT, CELLS_MAX, Key, Limiter};

const SECOND: u64 = 1_000_000_000;

/// What the requests are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    /// The consumer; a request without one counts by its client address.
    Consumer,
    /// The value of a header field; a request without it counts by its client address.
    Header(Box<[u8]>),
    /// The client address, IPv6 by its /64.
    Ip,
    /// All requests of a route together.
    Route,
}

/// A limit with its counters.
#[derive(Clone, Debug)]
pub struct RateLimit {
    pub name: Arc<str>,
    pub per: Per,
    pub rate: Rate,
    limiter: Arc<Limiter>,
    /// Its name as a structured-field string, and its item of `RateLimit-Policy`: the same in every reply.
    pub(super) quoted: Box<str>,
    pub(super) item: Box<str>,
}

impl RateLimit {
    /// Keeps the counters of `previous`, the policy of the same name before the change, if it counted by the same.
    pub fn new(name: Arc<str>, per: Per, rate: Rate, cells: usize, previous: Option<&Self>) -> Self {
        let kept = previous.filter(|held| held.per == per && held.limiter.cells() >= cells.min(CELLS_MAX));
        let limiter = kept.map_or_else(|| Arc::new(Limiter::new(cells)), |held| Arc::clone(&held.limiter));
        let quoted = quoted(&name);
        let (quota, window) = quota(rate);
        let item = format!("{quoted};q={quota};w={window}").into();
        Self { name, per, rate, limiter, quoted, item }
    }

    /// Checks what the operator wrote: `count` requests per `period`, at most `burst` at once.
    pub fn rate(count: u64, period: Duration, burst: u32) -> Result<Rate, Mistake> {
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(Mistake::Burst { max: BURST_MAX });
        }
        let period_ns = u64::try_from(period.as_nanos()).map_err(|_| Mistake::Rate)?;
        Rate::new(count, period_ns, burst).ok_or(Mistake::Rate)
    }

    /// The counters, and the key that a request has in them.
    pub(super) fn key(&self, caller: &Caller<'_>) -> (&Limiter, Key) {
        let key = match (&self.per, caller.consumer) {
            (Per::Consumer, Some(consumer)) => self.limiter.key(b'c', &consumer.id.to_le_bytes()),
            (Per::Route, _) => self.limiter.key(b'r', &caller.route.to_le_bytes()),
            (Per::Header(name), _) => match caller.fields.named(name).next() {
                Some(value) => self.limiter.key(b'h', value),
                None => ip_key(&self.limiter, caller.client_ip),
            },
            (Per::Consumer | Per::Ip, _) => ip_key(&self.limiter, caller.client_ip),
        };
        (&self.limiter, key)
    }

    /// Gives back one charge.
    pub(super) fn refund(&self, key: Key) {
        self.limiter.refund(key, self.rate);
    }
}

/// The quota and the window in whole seconds as `RateLimit-Policy` says them.
pub(super) fn quota(rate: Rate) -> (u64, u64) {
    match rate.span_ns() {
        span if span >= SECOND => (u64::from(rate.burst()), span.div_ceil(SECOND)),
        // A burst that is back in under a second: the second's worth says more.
        _ => (SECOND / rate.step_ns(), 1),
    }
}

fn ip_key(limiter: &Limiter, ip: IpAddr) -> Key {
    match ip.to_canonical() {
        IpAddr::V4(v4) => limiter.key(b'4', &v4.octets()),
        IpAddr::V6(v6) => limiter.key(b'6', v6.octets().get(..8).unwrap_or_default()),
    }
}

/// A name as a structured-field string (RFC 9651 section 3.3.3), which is ASCII with two characters escaped.
pub(super) fn quoted(name: &str) -> Box<str> {
    let mut text = String::from("\"");
    for letter in name.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            ' '..='~' => text.push(letter),
            _ => text.push('?'),
        }
    }
    text.push('"');
    text.into()
}

/// Whole seconds, rounded up: a client that waits this long is not too early.
pub(super) fn seconds(ns: u64) -> u32 {
    u32::try_from(ns.div_ceil(SECOND)).unwrap_or(u32::MAX)
}
