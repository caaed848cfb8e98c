// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends the client elsewhere: a status and a `Location` that is made of the request (RFC 9110 section 15.4).
//!
//! What comes out is brought into the one spelling of paths again, so that no value of a request makes `//host` or a dot
//! segment of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::template::Template;
use super::{Note, Reply, Request, Verdict, place};
use crate::exchange::Fields;
use crate::exchange::spelling::path;
use crate::fault::Fault;

/// The longest `Location`.
const LOCATION_BYTES_MAX: usize = 16 * 1024;

/// A compiled redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub name: Arc<str>,
    pub to: Template,
    pub status: u16,
    pub keep_query: bool,
}

impl Redirect {
    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let mut fields = Fields::new();
        fields.push(b"Location", &self.location(request)?);
        request.notes.push(Note::Answered { policy: place(at) });
        Ok(Verdict::Reply(Box::new(Reply { status: self.status, fields, body: Cow::Borrowed(b"") })))
    }

    /// Where a request is sent.
    pub(super) fn location(&self, request: &Request<'_>) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::with_capacity(128);
        self.to.render(request, &mut text)?;
        if self.keep_query && !self.to.holds_query() {
            add_query(&mut text, request.head.query().unwrap_or_default());
        }
        if text.len() > LOCATION_BYTES_MAX {
            return Err(Fault::Unwritable("the target of the redirect is too long"));
        }
        respell(text)
    }
}

/// Adds a query behind the path or behind the query that is there, and before the fragment.
fn add_query(text: &mut Vec<u8>, query: &[u8]) {
    if query.is_empty() {
        return;
    }
    let end = text.iter().position(|byte| *byte == b'#').unwrap_or(text.len());
    let fragment = text.split_off(end);
    text.push(if text.contains(&b'?') { b'&' } else { b'?' });
    text.extend_from_slice(query);
    text.extend_from_slice(&fragment);
}

fn respell(text: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let begin = match text.windows(3).position(|three| three == b"://") {
        Some(at) if !text.starts_with(b"/") => {
            let rest = text.get(at + 3..).unwrap_or_default();
            at + 3 + rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len())
        }
        Some(_) | None => 0,
    };
    let (before, rest) = text.split_at_checked(begin).unwrap_or((&text, b""));
    let end = rest.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len());
    let (own, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
    if own.is_empty() || path::scan(own).is_normal {
        return Ok(text);
    }
    let spelt = path::rewrite(own).map_err(Fault::Unwritable)?;
    Ok([before, &spelt.sent, after].concat())
}

#[cfg(test)]
mod tests {
    use super::{add_query, respell};

    /// Rows: a location as it is filled in, and as it is sent.
    #[test]
    fn a_location_has_one_spelling() {
        for (text, want) in [
            ("https://a.example/x?q=/../", Ok("https://a.example/x?q=/../")),
            ("https://a.example", Ok("https://a.example")),
            ("https://a.example?x", Ok("https://a.example?x")),
            ("//evil.example/x", Ok("/evil.example/x")),
            ("/a//b/../c#d", Ok("/a/c#d")),
            ("https://a.example//b", Ok("https://a.example/b")),
            ("/..", Err("the path climbs above its root with `..`")),
            ("*", Err("the path does not begin with a slash")),
        ] {
            let got = respell(text.as_bytes().to_vec()).map(|text| String::from_utf8_lossy(&text).into_owned());
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "row {text}"),
                (Err(fault), Err(why)) => assert!(fault.to_string().contains(why), "row {text}: {fault}"),
                (got, want) => panic!("row {text}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn a_query_is_added_where_queries_go() {
        for (text, query, want) in [
            ("/a", "x=1", "/a?x=1"),
            ("/a?b", "x=1", "/a?b&x=1"),
            ("/a#f", "x", "/a?x#f"),
            ("/a#f?", "x", "/a?x#f?"),
            ("/a", "", "/a"),
        ] {
            let mut got = text.as_bytes().to_vec();
            add_query(&mut got, query.as_bytes());
            assert_eq!(String::from_utf8_lossy(&got), want, "row {text} {query}");
        }
    }
}
