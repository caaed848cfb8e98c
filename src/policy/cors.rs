// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which pages of other origins may call (Fetch standard, section 3.2: the CORS protocol).
//!
//! A preflight is answered here, before anybody is asked who they are: a browser sends it without credentials. A call
//! itself is never refused here; what a page of another origin may not have, its browser keeps from it. Every reply of
//! the route passes `annotate`, refusals of ours included, or a page could not read why it was refused.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::{Note, Replied, Reply, Request, Verdict, place};
use crate::exchange::{self, Fields};

/// The longest list of fields that a preflight may ask for.
const ASKED_BYTES_MAX: usize = 4 * 1024;

const ORIGIN: &[u8] = b"Origin";
const ASKED_METHOD: &[u8] = b"Access-Control-Request-Method";
const ASKED_FIELDS: &[u8] = b"Access-Control-Request-Headers";
const ASKED_NETWORK: &[u8] = b"Access-Control-Request-Private-Network";
const ALLOW_ORIGIN: &[u8] = b"Access-Control-Allow-Origin";
const OURS: &[u8] = b"access-control-";

/// Some names, or whatever is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    Any,
    /// As a field value.
    Some(Box<str>),
}

/// Compiled rules for other origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub name: Arc<str>,
    pub origins: Origins,
    pub methods: Names,
    pub headers: Names,
    /// As a field value; empty for none.
    pub expose: Box<str>,
    pub credentials: bool,
    /// Seconds.
    pub max_age: Option<u64>,
    pub private_network: bool,
}

/// Origins that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    /// In order.
    exact: Box<[Box<[u8]>]>,
    under: Box<[Around]>,
}

/// What stands before and behind a wildcard.
type Around = (Box<[u8]>, Box<[u8]>);

impl Origins {
    /// `https://app.example.com`, `https://*.example.com` or `*`, checked before.
    pub fn new<'o>(origins: impl Iterator<Item = &'o str>) -> Self {
        let (mut any, mut exact, mut under) = (false, Vec::new(), Vec::new());
        for origin in origins {
            match origin.split_once('*') {
                Some(("", "")) => any = true,
                Some((before, behind)) => under.push((before.as_bytes().into(), behind.as_bytes().into())),
                None => exact.push(Box::from(origin.as_bytes())),
            }
        }
        exact.sort();
        Self { any, exact: exact.into(), under: under.into() }
    }

    fn holds(&self, origin: &[u8]) -> bool {
        let is_label = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        let is_under = |(before, behind): &Around| {
            let label = origin.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**behind));
            label.is_some_and(|label| !label.is_empty() && label.iter().all(is_label))
        };
        self.any || self.exact.binary_search_by(|own| (**own).cmp(origin)).is_ok() || self.under.iter().any(is_under)
    }
}

impl Cors {
    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Verdict {
        if is_preflight(request.head) {
            request.notes.push(Note::Answered { policy: place(at) });
            return Verdict::Reply(Box::new(self.preflight(&request.head.fields)));
        }
        // A later policy may take the field away; the text stays where it is.
        if let Some(origin) = request.head.fields.find_span(ORIGIN) {
            request.notes.push(Note::Origin { policy: place(at), origin });
        }
        Verdict::Continue
    }

    fn preflight(&self, asked: &Fields) -> Reply {
        let mut fields = Fields::new();
        let origin = asked.named(ORIGIN).next().unwrap_or_default();
        if self.origins.holds(origin) {
            self.allow(origin, &mut fields);
            let method = asked.named(ASKED_METHOD).next().unwrap_or_default();
            match &self.methods {
                Names::Any => fields.push(b"Access-Control-Allow-Methods", method),
                Names::Some(list) => fields.push(b"Access-Control-Allow-Methods", list.as_bytes()),
            }
            let headers = match &self.headers {
                Names::Any => asked.named(ASKED_FIELDS).next().filter(|list| is_list(list)).unwrap_or_default(),
                Names::Some(list) => list.as_bytes(),
            };
            if !headers.is_empty() {
                fields.push(b"Access-Control-Allow-Headers", headers);
            }
            if let Some(seconds) = self.max_age {
                fields.push(b"Access-Control-Max-Age", seconds.to_string().as_bytes());
            }
            if self.private_network && asked.named(ASKED_NETWORK).next() == Some(b"true") {
                fields.push(b"Access-Control-Allow-Private-Network", b"true");
            }
        }
        let vary: &[u8] = match self.private_network {
            false => b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            true => {
                b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
                  Access-Control-Request-Private-Network"
            }
        };
        fields.push(b"Vary", vary);
        Reply { status: 204, fields, body: Cow::Borrowed(b"") }
    }

    /// What is the same in a preflight and in a reply.
    fn allow(&self, origin: &[u8], fields: &mut Fields) {
        let any = self.origins.any && !self.credentials;
        fields.push(ALLOW_ORIGIN, if any { b"*" } else { origin });
        if self.credentials {
            fields.push(b"Access-Control-Allow-Credentials", b"true");
        }
    }

    /// Tells the browser of a caller what its page may have of a reply, in place of what the endpoint says.
    pub(super) fn annotate(&self, at: usize, replied: &Replied<'_>, fields: &mut Fields) {
        let policy = place(at);
        if replied.notes.contains(&Note::Answered { policy }) {
            return;
        }
        fields.retain(|field| !field.name.get(..OURS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(OURS)));
        let noted = replied.notes.iter().find_map(|note| match note {
            Note::Origin { policy: own, origin } if *own == policy => Some(replied.head.fields.text(*origin)),
            _ => None,
        });
        let any = self.origins.any && !self.credentials;
        match noted.or_else(|| replied.head.fields.named(ORIGIN).next()) {
            Some(origin) if self.origins.holds(origin) => self.grant(origin, fields),
            // A copy in a cache must do for pages, too.
            None if any => self.grant(b"*", fields),
            Some(_) | None => {}
        }
        if !any {
            vary_by_origin(fields);
        }
    }

    fn grant(&self, origin: &[u8], fields: &mut Fields) {
        self.allow(origin, fields);
        if !self.expose.is_empty() {
            fields.push(b"Access-Control-Expose-Headers", self.expose.as_bytes());
        }
    }
}

/// Whether a browser asks if it may ask.
pub fn is_preflight(head: &exchange::Request) -> bool {
    head.method == Method::OPTIONS
        && head.fields.named(ASKED_METHOD).next().is_some()
        && head.fields.named(ORIGIN).next().is_some()
}

/// The method that a preflight is about.
pub fn preflight_method(head: &exchange::Request) -> Option<Method> {
    // The method first: all but a few requests end here.
    if !is_preflight(head) {
        return None;
    }
    Method::from_bytes(head.fields.named(ASKED_METHOD).next()?).ok()
}

/// Names and commas, short enough to give back.
fn is_list(list: &[u8]) -> bool {
    let in_list = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
    list.len() <= ASKED_BYTES_MAX && list.iter().all(in_list)
}

/// A cache must not give the reply for one origin to another (RFC 9110 section 12.5.5).
fn vary_by_origin(fields: &mut Fields) {
    let names = |value: &[u8]| {
        value.split(|byte| *byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(ORIGIN)
        })
    };
    if !fields.named(b"Vary").any(names) {
        fields.push(b"Vary", ORIGIN);
    }
}

#[cfg(test)]
mod tests {
    use super::{Origins, is_list, vary_by_origin};
    use crate::exchange::Fields;

    /// Rows: the origins that may call, one that does, and whether it may.
    #[test]
    fn origins_are_compared_whole() {
        for (origins, origin, want) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://a.example.evil", false),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "null", false),
            ("*", "null", true),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://b.a.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://evil.test/.example.com", false),
            ("https://*.example.com", "https://evil.test#.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com:8443", "https://a.example.com:8443", true),
            ("https://*.example.com:8443", "https://a.example.com", false),
            ("https://b.example https://a.example", "https://b.example", true),
        ] {
            assert_eq!(Origins::new(origins.split(' ')).holds(origin.as_bytes()), want, "row {origins} {origin}");
        }
    }

    /// Rows: what the endpoint says, and what is said in the end.
    #[test]
    fn a_reply_varies_by_origin_once() {
        for (before, want) in [
            (&[][..], &["Origin"][..]),
            (&["Accept"], &["Accept", "Origin"]),
            (&["Accept, origin"], &["Accept, origin"]),
            (&["*"], &["*"]),
            (&["X-Origin"], &["X-Origin", "Origin"]),
        ] {
            let mut fields = Fields::new();
            before.iter().for_each(|value| fields.push(b"vary", value.as_bytes()));
            vary_by_origin(&mut fields);
            let got: Vec<_> = fields.named(b"Vary").map(String::from_utf8_lossy).collect();
            assert_eq!(got, want, "row {before:?}");
        }
    }

    #[test]
    fn what_is_given_back_is_a_list() {
        assert!(is_list(b"content-type, x-a") && !is_list(b"a\"b") && !is_list(&[b'a'; 5000]));
    }
}
