// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for sticky sessions: names that a cookie or a field can have, and bounds of the table of what is learnt.

use super::Findings;
use super::listen::not_zero;
use super::spelling::{is_framing, is_token};
use crate::model::{Learn, Name, Sticky, StickyCookie, Upstream};
use crate::parse::place::quoted;

/// Longest name and longest path of a cookie: it comes back with every request.
const COOKIE_BYTES_MAX: usize = 256;

/// Fewest sessions of a table: one set of its cells.
const ENTRIES_MIN: u64 = 8;

/// Most sessions of a table: 24 bytes each.
const ENTRIES_MAX: u64 = 4 * 1024 * 1024;

pub(super) fn check(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    let at = |field: &str| format!("upstreams.{}.sticky.{field}", quoted(name.as_str()));
    match &upstream.sticky {
        None => {}
        Some(Sticky::Cookie(written)) => cookie(findings, &at, written),
        Some(Sticky::Header(field)) => header(findings, at("header"), field),
        Some(Sticky::Learn(written)) => learn(findings, &at, written),
    }
}

fn cookie(findings: &mut Findings<'_>, at: &dyn Fn(&str) -> String, written: &StickyCookie) {
    let StickyCookie { name, path, max_age } = written;
    cookie_name(findings, at("cookie.name"), name);
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    if !path.starts_with('/') || !is_plain || path.len() > COOKIE_BYTES_MAX {
        let message = format!("\"{}\" is not the path of a cookie", path.escape_debug());
        findings.bad(at("cookie.path"), message, "write a path such as \"/\" or \"/shop\"");
    }
    if let Some(age) = max_age {
        not_zero(findings, || at("cookie.max_age"), *age);
    }
}

fn cookie_name(findings: &mut Findings<'_>, path: String, name: &str) {
    if !is_token(name) || name.len() > COOKIE_BYTES_MAX {
        let message = format!("\"{}\" is not the name of a cookie", name.escape_debug());
        findings.bad(path, message, "use letters, digits, '-' and '_', such as \"shop-node\"");
    }
}

fn header(findings: &mut Findings<'_>, path: String, field: &str) {
    let is_taken = ["cookie", "set-cookie", "authorization"].iter().any(|taken| field.eq_ignore_ascii_case(taken));
    if !is_token(field) || is_framing(field) || is_taken {
        let message = format!("\"{}\" cannot carry a session", field.escape_debug());
        findings.bad(path, message, "write the name of a field of your own, such as \"X-Shop-Node\"");
    }
}

fn learn(findings: &mut Findings<'_>, at: &dyn Fn(&str) -> String, written: &Learn) {
    cookie_name(findings, at("learn.cookie"), &written.cookie);
    findings.within(|| at("learn.entries"), u64::from(written.entries), ENTRIES_MIN, ENTRIES_MAX);
    not_zero(findings, || at("learn.idle"), written.idle);
}
