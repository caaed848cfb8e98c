// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client is told of its limits: `RateLimit` and `RateLimit-Policy`, as in
//! draft-ietf-httpapi-ratelimit-headers-10.
//!
//! Limits on requests under way are not told: what is left of them depends on the client itself.

use std::fmt::{self, Write};

use smallvec::SmallVec;

use crate::exchange::Fields;
use crate::policy::plan::{Limit, Part};
use crate::policy::rate_limit::quota;
use crate::policy::{Consumer, Note, Policy};

/// Adds both fields for the limits that this exchange met, granted or refused. For a refusal `Retry-After` names the
/// same instant.
pub fn limit_fields(policies: &[Policy], notes: &[Note], consumer: Option<&Consumer>, reply: &mut Fields) {
    let (mut state, mut limits) = (Text::default(), Text::default());
    for note in notes {
        let (at, part, left, seconds) = match *note {
            Note::Limited { policy, part, left, reset_s } => (policy, part, left, reset_s),
            Note::Refused { policy, part, retry_s } => (policy, part, 0, retry_s),
            _ => continue,
        };
        let before = limits.0.len();
        if before > 0 {
            limits.put(format_args!(", "));
        }
        let Some(name) = policies.get(usize::from(at)).and_then(|policy| item(policy, part, consumer, &mut limits))
        else {
            limits.0.truncate(before);
            continue;
        };
        let comma = if state.0.is_empty() { "" } else { ", " };
        state.put(format_args!("{comma}{name};r={left};t={seconds}"));
    }
    if !state.0.is_empty() {
        reply.push(b"RateLimit-Policy", &limits.0);
        reply.push(b"RateLimit", &state.0);
    }
}

/// Writes what a limit allows, and gives its name.
fn item<'a>(policy: &'a Policy, part: u16, consumer: Option<&'a Consumer>, out: &mut Text) -> Option<&'a str> {
    match policy {
        Policy::RateLimit(limit) => {
            out.put(format_args!("{}", limit.item));
            Some(&limit.quoted)
        }
        Policy::Quota(quota) => {
            let window = quota.table.calendar.seconds();
            out.put(format_args!("{};q={};w={window}", quota.quoted, quota.requests));
            Some(&quota.quoted)
        }
        Policy::Plan => {
            let Part { quoted, limit, .. } = consumer?.part(part)?;
            let (count, window) = match limit {
                Limit::Rate { rate, .. } => quota(*rate),
                Limit::Quota { requests, calendar } => (*requests, calendar.seconds().into()),
                Limit::Concurrency { .. } => return None,
            };
            out.put(format_args!("{quoted};q={count};w={window}"));
            Some(quoted)
        }
        _ => None,
    }
}

/// A field value under construction, on the stack for as long as it is short.
#[derive(Default)]
struct Text(SmallVec<[u8; 128]>);

impl Text {
    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        self.write_fmt(text).unwrap_or_default();
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
