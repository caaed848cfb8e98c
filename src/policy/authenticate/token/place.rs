// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a request a token is. All places are looked at before any is believed, as with API keys.
//!
//! In a field a token follows the word Bearer (RFC 6750 section 2.1); in fields other than `Authorization` it may stand
//! alone. `Authorization` with another scheme holds no token and is left as it is.

use std::borrow::Cow;

use super::super::presented::{self, Source};
use super::jws::TOKEN_BYTES_MAX;
use crate::exchange::{Fields, Known, Span};

const AUTHORIZATION: &[u8] = b"Authorization";

/// What a request presents.
#[derive(Debug)]
pub enum Found<'f> {
    Nothing,
    /// Which of the places, and the token.
    One(usize, Cow<'f, [u8]>),
    Several,
    Oversized,
}

/// Where a policy looks that names no place.
pub fn usual() -> Source {
    Source::Header(AUTHORIZATION.into())
}

/// Looks in all places.
pub fn find<'f>(sources: &[Source], fields: &'f Fields, query: Option<Span>) -> Found<'f> {
    let mut held = None;
    for (at, source) in sources.iter().enumerate() {
        let mut take = |value: Cow<'f, [u8]>| match held.replace((at, value)) {
            Some(_) => Err(()),
            None => Ok(()),
        };
        let one = match source {
            Source::Header(name) => {
                let ours = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
                ours.filter_map(|field| bearer(name, field.value)).try_for_each(&mut take)
            }
            Source::Query(name) => {
                let query = query.map(|span| fields.text(span)).unwrap_or_default();
                let ours = presented::parameters(query).filter(|part| presented::is_named(part, name));
                ours.map(|part| percent_encoding::percent_decode(presented::value_of(part)).into())
                    .try_for_each(&mut take)
            }
            Source::Cookie(name) => {
                let all = fields.all(Known::Cookie).flat_map(presented::cookies);
                let ours = all.filter(|pair| presented::name_of(pair) == &**name);
                ours.map(|pair| Cow::Borrowed(presented::unquoted(presented::value_of(pair)))).try_for_each(&mut take)
            }
        };
        if one.is_err() {
            return Found::Several;
        }
    }
    match held {
        None => Found::Nothing,
        Some((_, token)) if token.is_empty() => Found::Nothing,
        Some((_, token)) if token.len() > TOKEN_BYTES_MAX => Found::Oversized,
        Some((at, token)) => Found::One(at, token),
    }
}

/// The token in the value of a field.
fn bearer<'f>(name: &[u8], value: &'f [u8]) -> Option<Cow<'f, [u8]>> {
    let at = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(at)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer");
    match (is_bearer, name.eq_ignore_ascii_case(AUTHORIZATION)) {
        (true, _) => Some(Cow::Borrowed(rest.trim_ascii())),
        (false, true) => None,
        (false, false) => Some(Cow::Borrowed(value)),
    }
}

/// Takes the token out of the request.
pub fn remove(source: &Source, fields: &mut Fields, query: &mut Option<Span>) {
    presented::remove(source, fields, query);
}
