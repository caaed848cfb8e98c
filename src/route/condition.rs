// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a route asks of a request beside host and path: method, header fields, query parameters, cookies, media type.
//!
//! All conditions must hold. A field or parameter that occurs several times meets a condition with any of its values.
//! Methods are compared as they are: HEAD does not meet GET.

use std::fmt::{self, Write as _};

use http::Method;
use regex::bytes::Regex;
use smallvec::SmallVec;

use super::path::regex_of_whole;
use super::{MediaPattern, PatternError, Query, ShareOf, Window};
use crate::exchange::Known;
use crate::exchange::part::cookies;

/// What the value of a field or parameter must be.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    Absent,
    Exact(Box<[u8]>),
    Present,
    Regex { text: Box<str>, regex: Regex },
}

impl ValueMatch {
    /// Exactly this value.
    pub fn exact(text: &str) -> Self {
        Self::Exact(text.as_bytes().into())
    }

    /// A value that the expression takes from the first byte to the last.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        Ok(Self::Regex { text: text.into(), regex: regex_of_whole(text)? })
    }

    fn is_met<'v, V: AsRef<[u8]> + 'v>(&self, mut values: impl Iterator<Item = V>) -> bool {
        match self {
            Self::Absent => values.next().is_none(),
            Self::Exact(own) => values.any(|value| value.as_ref() == &**own),
            Self::Present => values.next().is_some(),
            Self::Regex { regex, .. } => values.any(|value| regex.is_match(value.as_ref())),
        }
    }
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("must be absent"),
            Self::Exact(own) => write!(out, "is not \"{}\"", own.escape_ascii()),
            Self::Present => out.write_str("is missing"),
            Self::Regex { text, .. } => write!(out, "does not match {text}"),
        }
    }
}

/// The conditions of one route beside host and path.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// None means every method.
    pub methods: Vec<Method>,
    /// Field names, compared without case, and what their values must be.
    pub headers: Vec<(Box<str>, ValueMatch)>,
    /// Parameter names, as they are once decoded, and what their decoded values must be.
    pub query: Vec<(Box<str>, ValueMatch)>,
    /// Cookie names, compared with case, and what their values must be as they are sent.
    pub cookies: Vec<(Box<str>, ValueMatch)>,
    /// None means every media type and none.
    pub media: Vec<MediaPattern>,
    pub window: Option<Box<Window>>,
    /// Of the requests that meet all else.
    pub share: Option<Box<ShareOf>>,
}

/// The first condition that a request does not meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure<'t> {
    Cookie(&'t str, &'t ValueMatch),
    Header(&'t str, &'t ValueMatch),
    Media(&'t [MediaPattern]),
    Method(&'t [Method]),
    Parameter(&'t str, &'t ValueMatch),
    Share(&'t ShareOf),
    Window(&'t Window),
}

impl Conditions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let Self { methods, headers, query, cookies, media, window, share } = self;
        let values = headers.len() + query.len() + cookies.len();
        values == 0 && methods.is_empty() && media.is_empty() && window.is_none() && share.is_none()
    }

    /// The first condition that `query` does not meet, the method last: a request that fails only there is a 405.
    pub(super) fn failure(&self, query: &Query<'_>) -> Option<Failure<'_>> {
        let header = self.headers.iter().find(|(name, value)| !value.is_met(query.fields.named(name.as_bytes())));
        if let Some((name, value)) = header {
            return Some(Failure::Header(name, value));
        }
        let parameter = self.query.iter().find(|(name, value)| !value.is_met(parameters(query.query, name)));
        if let Some((name, value)) = parameter {
            return Some(Failure::Parameter(name, value));
        }
        let cookie = self.cookies.iter().find(|(name, value)| !value.is_met(cookies(query.fields, name.as_bytes())));
        if let Some((name, value)) = cookie {
            return Some(Failure::Cookie(name, value));
        }
        if !self.media.is_empty() && !self.is_of_media(query) {
            return Some(Failure::Media(&self.media));
        }
        if let Some(window) = self.window.as_deref().filter(|window| !window.holds(query.now_s)) {
            return Some(Failure::Window(window));
        }
        if let Some(share) = self.share.as_deref().filter(|share| !share.holds(query)) {
            return Some(Failure::Share(share));
        }
        let is_allowed = self.methods.is_empty() || self.methods.contains(query.method);
        (!is_allowed).then_some(Failure::Method(&self.methods))
    }

    fn is_of_media(&self, query: &Query<'_>) -> bool {
        let mut kinds = query.fields.all(Known::ContentType);
        let kind = kinds.next().filter(|_| kinds.next().is_none());
        kind.is_some_and(|kind| self.media.iter().any(|pattern| pattern.is_met(kind)))
    }
}

impl Failure<'_> {
    /// A sentence for the operator.
    pub(super) fn sentence(&self, query: &Query<'_>) -> String {
        match self {
            Self::Header(name, value) => {
                let is_missing = query.fields.named(name.as_bytes()).next().is_none();
                if is_missing { format!("header {name} is missing") } else { format!("header {name} {value}") }
            }
            Self::Cookie(name, value) => {
                let is_missing = cookies(query.fields, name.as_bytes()).next().is_none();
                if is_missing { format!("cookie {name} is missing") } else { format!("cookie {name} {value}") }
            }
            Self::Media(patterns) => {
                let list: Vec<_> = patterns.iter().map(ToString::to_string).collect();
                format!("the media type of the request is not {}", list.join(" or "))
            }
            Self::Method(methods) => {
                let mut list = String::new();
                for method in *methods {
                    let comma = if list.is_empty() { "" } else { ", " };
                    write!(list, "{comma}{method}").expect("a String takes all text");
                }
                format!("method {} is not in [{list}]", query.method)
            }
            Self::Share(share) => format!("the request does not belong to {share}"),
            Self::Window(window) => format!("it is not {window}"),
            Self::Parameter(name, value) => {
                let is_missing = parameters(query.query, name).next().is_none();
                let what = if is_missing { "is missing".to_owned() } else { value.to_string() };
                format!("query parameter {name} {what}")
            }
        }
    }
}

type Decoded = SmallVec<[u8; 32]>;

/// The decoded values of every parameter of that name.
fn parameters<'q>(query: Option<&'q [u8]>, name: &'q str) -> impl Iterator<Item = Decoded> + 'q {
    let pairs = query.unwrap_or_default().split(|byte| *byte == b'&');
    pairs.filter_map(move |pair| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let is_named = decode(pair.get(..end).unwrap_or_default()).eq(name.bytes()) && !pair.is_empty();
        is_named.then(|| decode(pair.get(end + 1..).unwrap_or_default()).collect())
    })
}

/// Decodes `+` and percent-encoding; a percent sign without two hex digits stands for itself.
fn decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        let encoded = match (first, tail) {
            (b'%', [high, low, after @ ..]) => digit(high).zip(digit(low)).map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        if let Some((value, after)) = encoded {
            rest = after;
            return Some(value);
        }
        Some(if *first == b'+' { b' ' } else { *first })
    })
}
