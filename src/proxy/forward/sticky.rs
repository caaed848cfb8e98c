// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that an endpoint served before, and the word by which the next request is known again.
//!
//! Read once the upstream is known, told once an endpoint has answered. What must stay true: the endpoint never sees
//! what we set; a session beats the balancer and never health; and a value that is not ours is as good as none.

use std::rc::Rc;

use super::super::journey::Journey;
use crate::balance::{self, Choice, Reason};
use crate::config::snapshot::{Snapshot, Split, Upstream};
use crate::exchange::part::{cookies, remove_cookies, split_pair};
use crate::exchange::{Fields, Scheme};
use crate::upstream::sticky::learned::Key;
use crate::upstream::sticky::{Place, Sticky};

/// Cookies of the same name that are looked at: a browser sends one for each path that it was set for.
const COOKIES_MAX: usize = 4;

/// What a request says of an earlier one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// The endpoint that served the client, if it is still in the list.
    pub index: Option<usize>,
    /// The session as the table knows it.
    key: Option<Key>,
    /// Whether the table knows it.
    is_known: bool,
}

/// Finds the session of a request.
pub(in super::super) fn read(upstream: &Upstream, fields: &Fields, now_s: i64) -> Kept {
    let mut key = None;
    let place: Option<Place> = match &upstream.sticky {
        None => return Kept::default(),
        Some(Sticky::Cookie { name, seal, .. }) => {
            cookies(fields, name).take(COOKIES_MAX).find_map(|value| seal.open(value))
        }
        Some(Sticky::Header { name, seal }) => fields.named(name).take(COOKIES_MAX).find_map(|value| seal.open(value)),
        Some(Sticky::Learn { cookie, idle_s, table }) => {
            key = cookies(fields, cookie).find(|value| !value.is_empty()).map(|value| table.key(value));
            key.and_then(|key| table.find(key, seconds(now_s), *idle_s))
        }
    };
    Kept { index: place.and_then(|place| upstream.find_place(place)), key, is_known: place.is_some() }
}

/// Finds the session of the request and takes our word for it out.
pub(super) fn begin(journey: &mut Journey) {
    let snapshot = Rc::clone(&journey.snapshot);
    let upstream = journey.upstream.and_then(|index| snapshot.upstreams.get(index as usize));
    let Some(upstream) = upstream else { return };
    let Some(sticky) = &upstream.sticky else { return };
    journey.kept = read(upstream, &journey.x.request.fields, journey.worker.wall_s());
    let fields = &mut journey.x.request.fields;
    match sticky {
        Sticky::Cookie { name, .. } => remove_cookies(fields, name),
        Sticky::Header { name, .. } => _ = fields.remove_named(name),
        Sticky::Learn { .. } => {}
    }
}

/// The side of a split on which the client has a session.
pub(in super::super) fn side(snapshot: &Snapshot, split: &Split, fields: &Fields, now_s: i64) -> Option<usize> {
    split.sides.iter().position(|side| {
        let upstream = snapshot.upstreams.get(side.upstream as usize);
        upstream.is_some_and(|upstream| read(upstream, fields, now_s).index.is_some())
    })
}

/// The endpoint of the session, while it may serve: `tried` are those that this request has tried.
pub(in super::super) fn choose(kept: Kept, upstream: &Upstream, tried: &[usize]) -> Option<Choice> {
    let index = kept.index.filter(|index| !tried.contains(index))?;
    let endpoint = upstream.endpoints.get(index)?;
    endpoint.keeps_clients().then_some(Choice { index, reason: Reason::Kept, place: balance::Place::default() })
}

/// Tells the client, or the table, which endpoint served it, where that is not known already.
pub(in super::super) fn answered(journey: &Journey, fields: &mut Fields) {
    let Some(upstream) = journey.upstream().filter(|upstream| upstream.sticky.is_some()) else { return };
    let Some(served) = journey.attempts.last().map(|attempt| attempt.choice.index) else { return };
    let (Some(sticky), Some(place)) = (&upstream.sticky, upstream.place_of(served)) else { return };
    let is_new = journey.kept.index != Some(served) && !is_passing_by(journey, upstream);
    match sticky {
        Sticky::Cookie { name, attributes, seal } if is_new => {
            let Some(sealed) = seal.seal(place) else { return };
            let secure: &[u8] = if journey.x.client.scheme == Scheme::Https { b"; Secure" } else { b"" };
            let value = [&**name, b"=", &sealed, &**attributes, secure].concat();
            fields.push(b"Set-Cookie", &value);
        }
        Sticky::Header { name, seal } if is_new => {
            if let Some(sealed) = seal.seal(place) {
                fields.set_named(name, &sealed);
            }
        }
        Sticky::Learn { cookie, table, .. } => {
            let now_s = seconds(journey.worker.wall_s());
            let set = fields.named(b"set-cookie").filter_map(set_by).filter(|(name, _)| *name == &**cookie);
            let key = set.last().map(|(_, value)| table.key(value));
            // A session that moved is known by its cookie still; one that we never saw set is not learnt, or anybody
            // could fill the table with cookies of their own making.
            let key = key.or(journey.kept.key.filter(|_| journey.kept.is_known && is_new));
            if let Some(key) = key {
                table.learn(key, place, now_s);
            }
        }
        Sticky::Cookie { .. } | Sticky::Header { .. } => {}
    }
}

/// Whether the endpoint of the session could not take this request only because it is full: the client comes back to it,
/// where waiting for it would have held up whoever stands behind in the queue.
fn is_passing_by(journey: &Journey, upstream: &Upstream) -> bool {
    let Some(home) = journey.kept.index else { return false };
    let is_well = upstream.endpoints.get(home).is_some_and(|endpoint| endpoint.keeps_clients());
    is_well && journey.attempts.iter().all(|attempt| attempt.choice.index != home)
}

/// Name and value in a `Set-Cookie`; none if it sets none.
fn set_by(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let pair = field.split(|byte| *byte == b';').next()?;
    split_pair(pair).filter(|(_, value)| !value.is_empty())
}

fn seconds(wall_s: i64) -> u32 {
    u32::try_from(wall_s).unwrap_or_default()
}
