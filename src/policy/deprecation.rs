// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interfaces on their way out: what every reply says of it, and 410 once their time has come.
//!
//! Fields are rendered once, when the policy is built: `Deprecation` is a structured date (RFC 9745 section 2), `Sunset` an
//! HTTP-date (RFC 8594 section 3), links are web links (RFC 8288).

use std::sync::Arc;

use super::{Request, Verdict};
use crate::exchange::Fields;
use crate::fault::Fault;

/// A compiled deprecation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    pub name: Arc<str>,
    /// As in `Deprecation`.
    since: Option<Box<str>>,
    /// As in `Sunset`.
    sunset: Option<Box<str>>,
    links: Box<[Box<str>]>,
    /// From this second on it answers 410.
    gone_from_s: Option<i64>,
}

/// What the operator wrote; times in seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dates<'a> {
    pub since: Option<i64>,
    /// With its text as an HTTP-date.
    pub sunset: Option<(i64, &'a str)>,
    pub successor: Option<&'a str>,
    pub docs: Option<&'a str>,
    pub gone: bool,
}

impl Deprecation {
    pub fn new(name: Arc<str>, dates: &Dates<'_>) -> Self {
        let link = |url: Option<&str>, relation: &str| url.map(|url| format!("<{url}>; rel=\"{relation}\"").into());
        // A page about the deprecation is one about the sunset, too, where there is one.
        let about = if dates.sunset.is_some() { "deprecation sunset" } else { "deprecation" };
        let links = [link(dates.docs, about), link(dates.successor, "successor-version")];
        Self {
            name,
            since: dates.since.map(|since| format!("@{since}").into()),
            sunset: dates.sunset.map(|(_, text)| text.into()),
            links: links.into_iter().flatten().collect(),
            gone_from_s: dates.sunset.filter(|_| dates.gone).map(|(at, _)| at),
        }
    }

    pub(super) fn check(&self, request: &Request<'_>) -> Result<Verdict, Fault> {
        match self.gone_from_s {
            Some(at) if at <= request.now_s => Err(Fault::Gone { policy: Arc::clone(&self.name) }),
            _ => Ok(Verdict::Continue),
        }
    }

    /// Says it in a reply, in place of what the endpoint says; its links stay beside ours.
    pub(super) fn annotate(&self, fields: &mut Fields) {
        if let Some(since) = &self.since {
            fields.set_named(b"Deprecation", since.as_bytes());
        }
        if let Some(sunset) = &self.sunset {
            fields.set_named(b"Sunset", sunset.as_bytes());
        }
        for link in &self.links {
            fields.push(b"Link", link.as_bytes());
        }
    }

    /// What it says, as a phrase for explain.
    pub(super) fn phrase(&self) -> String {
        let since = self.since.as_ref().map(|since| format!("Deprecation: {since}"));
        let sunset = self.sunset.as_ref().map(|sunset| format!("Sunset: {sunset}"));
        let said: Vec<_> = since.into_iter().chain(sunset).collect();
        format!("{} says {}", self.name, said.join(", "))
    }
}
