// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often someone may call: exact over all workers, several limits as one transaction, current reply fields.
//!
//! Limits that run together are first looked at, then charged; if a charge is lost to another worker in between,
//! those before it are given back. So a refused request is charged nothing. In the moment between charge and
//! give-back another request may be refused that would have just fitted; none is ever let through that should not
//! be. Fields are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit` and `RateLimit-Policy`.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::{Mistake, Note, Policy, Request};
use crate::exchange::Fields;
use crate::fault::Fault;

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
    quoted: Box<str>,
    item: Box<str>,
}

/// A limit and the key that one request has in it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    limiter: &'a Limiter,
    key: Key,
    rate: Rate,
}

/// The first of several limits that refuses, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    pub at: usize,
    pub retry_ns: u64,
}

/// Limits of one route; more than this go to the heap.
pub(super) type Asks<'a> = SmallVec<[Ask<'a>; 4]>;

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

    pub(super) fn ask(&self, request: &Request<'_>) -> Ask<'_> {
        let key = match (&self.per, &request.identity.consumer) {
            (Per::Consumer, Some(consumer)) => self.limiter.key(b'c', &consumer.id.to_le_bytes()),
            (Per::Route, _) => self.limiter.key(b'r', &request.route.to_le_bytes()),
            (Per::Header(name), _) => match request.head.fields.named(name).next() {
                Some(value) => self.limiter.key(b'h', value),
                None => ip_key(&self.limiter, request.client_ip),
            },
            (Per::Consumer | Per::Ip, _) => ip_key(&self.limiter, request.client_ip),
        };
        Ask { limiter: &self.limiter, key, rate: self.rate }
    }

    /// Gives back one charge.
    pub(super) fn refund(&self, key: Key) {
        self.limiter.refund(key, self.rate);
    }

    pub(super) fn fault(&self, retry_ns: u64) -> Fault {
        // In whole milliseconds, rounded up, as a person reads it.
        let retry_after = Duration::from_millis(retry_ns.div_ceil(1_000_000));
        Fault::LimitExceeded { policy: Arc::clone(&self.name), retry_after }
    }
}

impl Ask<'_> {
    pub(super) fn key(&self) -> Key {
        self.key
    }
}

/// The quota and the window in whole seconds as `RateLimit-Policy` says them.
fn quota(rate: Rate) -> (u64, u64) {
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

/// Charges all limits, or none of them.
pub fn charge_all(asks: &[Ask<'_>], now_ns: u64) -> Result<SmallVec<[Left; 4]>, Denied> {
    // With one limit the charge itself is the check.
    if asks.len() > 1 {
        peek_all(asks, now_ns)?;
    }
    let mut left = SmallVec::new();
    for (at, ask) in asks.iter().enumerate() {
        match ask.limiter.charge(ask.key, ask.rate, now_ns) {
            Ok(after) => left.push(after),
            Err(retry_ns) => {
                refund_all(asks.get(..at).unwrap_or_default());
                return Err(Denied { at, retry_ns });
            }
        }
    }
    Ok(left)
}

/// What [`charge_all`] would say, without charging. Of several that refuse it names the one that refuses longest.
pub fn peek_all(asks: &[Ask<'_>], now_ns: u64) -> Result<SmallVec<[Left; 4]>, Denied> {
    let mut left = SmallVec::new();
    let mut denied: Option<Denied> = None;
    for (at, ask) in asks.iter().enumerate() {
        match ask.limiter.peek(ask.key, ask.rate, now_ns) {
            Ok(now) => left.push(now),
            Err(retry_ns) if denied.is_none_or(|held| held.retry_ns < retry_ns) => {
                denied = Some(Denied { at, retry_ns });
            }
            Err(_) => {}
        }
    }
    denied.map_or(Ok(left), Err)
}

/// Gives back what [`charge_all`] took.
fn refund_all(asks: &[Ask<'_>]) {
    for ask in asks {
        ask.limiter.refund(ask.key, ask.rate);
    }
}

/// Adds `RateLimit` and `RateLimit-Policy` for the limits that this exchange met, granted or refused. `response`
/// calls it for a refusal, where `Retry-After` names the same instant.
pub fn limit_fields(policies: &[Policy], notes: &[Note], reply: &mut Fields) {
    let (mut state, mut limits) = (Text::default(), Text::default());
    for note in notes {
        let (at, left, seconds) = match *note {
            Note::Limited { policy, left, reset_s } => (policy, left, reset_s),
            Note::Refused { policy, retry_s } => (policy, 0, retry_s),
            _ => continue,
        };
        let Some(Policy::RateLimit(limit)) = policies.get(usize::from(at)) else { continue };
        let comma = if state.0.is_empty() { "" } else { ", " };
        // Writing to memory cannot fail.
        write!(limits, "{comma}{}", limit.item).unwrap_or_default();
        write!(state, "{comma}{};r={left};t={seconds}", limit.quoted).unwrap_or_default();
    }
    if !state.0.is_empty() {
        reply.push(b"RateLimit-Policy", &limits.0);
        reply.push(b"RateLimit", &state.0);
    }
}

/// A field value under construction, on the stack for as long as it is short.
#[derive(Default)]
struct Text(SmallVec<[u8; 128]>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A name as a structured-field string (RFC 9651 section 3.3.3), which is ASCII with two characters escaped.
fn quoted(name: &str) -> Box<str> {
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
