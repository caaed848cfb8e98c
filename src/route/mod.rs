// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which route takes a request. Pure: no I/O, no clock, no allocation while a request waits, generic in what it finds.
//!
//! Precedence, the same for `find`, `explain` and the documentation:
//! 1. host: exact, then the longest wildcard, then `*`;
//! 2. path: exact, then template (more literal segments, then the earlier literal), then regex (higher priority, then
//!    order), then the prefix with most segments;
//! 3. a method condition before none, then more header conditions, then more query conditions, then more cookie
//!    conditions, then one on the media type before none, one on the time before none, and one on a share before
//!    none, then order, then name.
//!
//! A route whose conditions fail shadows nothing: the search goes on to a shorter prefix and to a less specific host.
//! Paths are compared in their matched spelling (`exchange::spelling`), so every spelling of a path meets its route. A
//! trailing slash is a segment of its own: prefix `/api` takes `/api/`, exact `/api` and a template do not.

pub mod canary;

mod condition;

mod explain;

mod host;

mod media;

mod path;

#[cfg(test)]
mod reference;

pub mod split;

mod table;

#[cfg(test)]
mod tests;

mod tree;

mod window;

use crate::exchange::Fields;
use std::net::IpAddr;

use http::Method;

pub use condition::{Conditions, ValueMatch};
pub use explain::{EXPLAINED_MAX, Explanation, Loser, Winner};
pub use host::HostPattern;
pub use media::MediaPattern;
pub use path::{PATTERN_BYTES_MAX, PATTERN_SEGMENTS_MAX, PathPattern, REGEX_BYTES_MAX, Spans};
pub use table::{REGEXES_PER_HOST_MAX, ROUTES_MAX, Table, TableError};
pub use window::{DAY_MINUTES, ShareOf, Window};

/// A host, path, header or query pattern that cannot be used; the text says which and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("`{text}` is not a host pattern: {why}")]
    Host { text: String, why: &'static str },
    #[error("`{text}` is not a path pattern: {why}")]
    Path { text: String, why: &'static str },
    #[error("`{text}` is not a usable regular expression: {why}")]
    Regex { text: String, why: String },
}

/// One route: its conditions and what it leads to.
#[derive(Clone, Debug)]
pub struct Route<T> {
    pub name: String,
    /// None means every host.
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    pub conditions: Conditions,
    /// Orders regexes on one host; higher comes first. It means nothing for other paths.
    pub priority: i32,
    /// The place in the configuration, for routes that are otherwise equal.
    pub order: usize,
    pub value: T,
}

/// What a request is looked up by.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Lower case, without port and trailing dot.
    pub host: &'a [u8],
    /// In the matched spelling; `*` for the asterisk form, which only the prefix `/` takes.
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
    pub method: &'a Method,
    pub fields: &'a Fields,
    /// The address of the client.
    pub source: IpAddr,
    /// The fingerprint of its certificate, if it showed one.
    pub certificate: Option<&'a [u8]>,
    /// Seconds since 1970-01-01 UTC.
    pub now_s: i64,
    /// A random number, for shares by chance.
    pub draw: u64,
}

/// What a look-up finds.
#[derive(Clone, Debug)]
pub enum Found<'t, T> {
    Hit(&'t T, Captures<'t>),
    /// Routes match all but the method: a 405 with these in `Allow`.
    Method(Vec<Method>),
    Miss,
}

/// The parameters of a template, as ranges of the path that was looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'t> {
    names: &'t [Box<str>],
    spans: Spans,
}

impl<'t> Captures<'t> {
    /// The text that parameter `name` has in `path`, which must be the path of the look-up.
    pub fn find<'p>(&self, name: &str, path: &'p [u8]) -> Option<&'p [u8]> {
        let at = self.names.iter().position(|own| **own == *name)?;
        self.spans.get(at).and_then(|span| path.get(span.0 as usize..span.1 as usize))
    }

    /// Name and text of every parameter, in the order of the template.
    pub fn iter<'p>(&self, path: &'p [u8]) -> impl Iterator<Item = (&'t str, &'p [u8])> {
        let text = |span: &(u32, u32)| path.get(span.0 as usize..span.1 as usize).unwrap_or_default();
        self.names.iter().zip(&self.spans).map(move |(name, span)| (&**name, text(span)))
    }
}
