// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an answer of the service means, and how long it counts.

use std::sync::Arc;
use std::time::Duration;

use super::{Cause, ForwardAuthSpec, Outcome};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;
use crate::policy::{Called, Reply, Request};

/// The longest that `Cache-Control` can make a verdict count.
const TTL_MAX: Duration = Duration::from_secs(86_400);

/// The outcome, and how long it counts; no time at all if it is not to be remembered.
pub(super) fn judge(spec: &ForwardAuthSpec, called: Result<Called, Box<Fault>>) -> (Outcome, Duration) {
    let called = match called {
        Ok(called) if called.status < 500 => called,
        Ok(called) => return no_answer(format!("{} answered {}", spec.upstream_name, called.status)),
        Err(fault) => return no_answer(fault.to_string()),
    };
    let lasts = lasts(spec, &called);
    if (200..300).contains(&called.status) {
        return (Outcome::Allowed(chosen(spec, &called.fields)), lasts);
    }
    let Called { status, mut fields, body } = called;
    let Some(body) = body else { return (Outcome::Undecided(Cause::DeniedWithout(status)), Duration::ZERO) };
    // Those of the message as we send it are written anew.
    for known in [Known::ContentLength, Known::Trailer, Known::Via, Known::Date] {
        fields.remove(known);
    }
    (Outcome::Denied(Reply { status, fields, body: body.to_vec().into() }), lasts)
}

fn no_answer(why: String) -> (Outcome, Duration) {
    (Outcome::Undecided(Cause::NoAnswer(why.into())), Duration::ZERO)
}

/// The fields for the endpoint, in a buffer that holds nothing else.
fn chosen(spec: &ForwardAuthSpec, fields: &Fields) -> Fields {
    let mut chosen = Fields::new();
    for name in &spec.reply_fields {
        for value in fields.named(name.as_bytes()) {
            chosen.push(name.as_bytes(), value);
        }
    }
    chosen
}

fn lasts(spec: &ForwardAuthSpec, called: &Called) -> Duration {
    let Some(memory) = &spec.memory else { return Duration::ZERO };
    let configured = if (200..300).contains(&called.status) { memory.ttl } else { memory.negative_ttl };
    if !memory.trusts_cache_control {
        return configured;
    }
    let stated = called.fields.named(b"cache-control").flat_map(|value| value.split(|byte| *byte == b','));
    stated_ttl(stated.map(<[u8]>::trim_ascii)).map_or(configured, |ttl| ttl.min(TTL_MAX))
}

/// What the directives say (RFC 9111 section 5.2.2). `private` does not forbid it: a verdict is kept for the one it is
/// about.
fn stated_ttl<'a>(directives: impl Iterator<Item = &'a [u8]>) -> Option<Duration> {
    let (mut general, mut shared) = (None, None);
    for directive in directives {
        let (name, value) = match directive.iter().position(|byte| *byte == b'=') {
            Some(at) => directive.split_at(at),
            None => (directive, &b""[..]),
        };
        let seconds = || {
            let digits = value.strip_prefix(b"=")?.trim_ascii();
            let digits = digits.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(digits);
            // A number that is none means stale (RFC 9111 section 4.2.1).
            Some(std::str::from_utf8(digits).ok()?.parse::<u64>().unwrap_or(0))
        };
        if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") {
            return Some(Duration::ZERO);
        } else if name.eq_ignore_ascii_case(b"s-maxage") {
            shared = seconds();
        } else if name.eq_ignore_ascii_case(b"max-age") {
            general = seconds();
        }
    }
    shared.or(general).map(Duration::from_secs)
}

/// Whom a verdict is about: what the service says, else the consumer.
pub(super) fn subject(spec: &ForwardAuthSpec, outcome: &Outcome, request: &Request<'_>) -> Option<Arc<str>> {
    let named = spec.memory.as_ref().and_then(|memory| memory.subject.as_ref());
    let fields = match outcome {
        Outcome::Allowed(fields) => fields,
        Outcome::Denied(reply) => &reply.fields,
        Outcome::Undecided(_) => return None,
    };
    let said = named.and_then(|name| fields.named(name.as_bytes()).next());
    let said = said.and_then(|value| std::str::from_utf8(value).ok()).map(Arc::from);
    said.or_else(|| request.identity.consumer.as_ref().map(|consumer| Arc::clone(&consumer.name)))
}

#[cfg(test)]
mod tests {
    use super::stated_ttl;

    #[test]
    fn cache_control_says_how_long() {
        for (directives, want) in [
            (&["max-age=60"][..], Some(60)),
            (&["private", "max-age=60"], Some(60)),
            (&["max-age=60", "s-maxage=5"], Some(5)),
            (&["Max-Age=\"7\""], Some(7)),
            (&["no-store"], Some(0)),
            (&["max-age=60", "no-cache"], Some(0)),
            (&["max-age=soon"], Some(0)),
            (&["max-age"], None),
            (&["public"], None),
            (&[""], None),
            (&[], None),
        ] {
            let got = stated_ttl(directives.iter().map(|text| text.as_bytes()));
            assert_eq!(got.map(|ttl| ttl.as_secs()), want, "row {directives:?}");
        }
    }
}
