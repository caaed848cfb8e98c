// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an upstream keeps its clients: the key that seals, the attributes of the cookie, the table of what was learnt.
//!
//! A table lives as long as its upstream has one of the same cookie and size; another size takes over what fits.

use std::sync::Arc;

use weirgate_store::model::{self, Learn, StickyCookie};

use super::Given;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::upstream::sticky::{Learned, Seal, Sticky, seal};

pub(super) fn sticky(
    name: &str,
    written: &model::Upstream,
    earlier: Option<&Arc<Upstream>>,
    given: &Given<'_>,
) -> Option<Sticky> {
    let sealing = || Seal::new(&seal::key_of(given.sticky_secret), name);
    Some(match written.sticky.as_ref()? {
        model::Sticky::Cookie(cookie) => Sticky::Cookie {
            name: cookie.name.as_bytes().into(),
            attributes: attributes(cookie).into_bytes().into(),
            seal: sealing(),
        },
        model::Sticky::Header(field) => Sticky::Header { name: field.as_bytes().into(), seal: sealing() },
        model::Sticky::Learn(learn) => Sticky::Learn {
            cookie: learn.cookie.as_bytes().into(),
            idle_s: idle_s(learn),
            table: table(name, learn, earlier, given),
        },
    })
}

/// What follows the value of the cookie. `Lax`, because a session that a link from elsewhere leads into must go on.
fn attributes(cookie: &StickyCookie) -> String {
    let StickyCookie { path, max_age, .. } = cookie;
    let age = max_age.map_or_else(String::new, |age| format!("; Max-Age={}", age.0.as_secs().max(1)));
    format!("; Path={path}{age}; HttpOnly; SameSite=Lax")
}

fn idle_s(learn: &Learn) -> u32 {
    u32::try_from(learn.idle.0.as_secs().max(1)).unwrap_or(u32::MAX)
}

fn table(name: &str, learn: &Learn, earlier: Option<&Arc<Upstream>>, given: &Given<'_>) -> Arc<Learned> {
    let cookie = learn.cookie.as_bytes();
    let held = earlier.and_then(|upstream| match &upstream.sticky {
        Some(Sticky::Learn { cookie: held, table, .. }) if **held == *cookie => Some(table),
        Some(Sticky::Learn { .. } | Sticky::Cookie { .. } | Sticky::Header { .. }) | None => None,
    });
    if let Some(table) = held.filter(|table| table.is_for(cookie, learn.entries)) {
        return Arc::clone(table);
    }
    let table = Learned::new(given.sticky_secret, cookie, learn.entries);
    let now_s = u32::try_from(clock::wall_ms() / 1000).unwrap_or(u32::MAX);
    match held {
        Some(held) => table.import(held.export(now_s, idle_s(learn))),
        None => table.import((given.learned)(name)),
    }
    Arc::new(table)
}
