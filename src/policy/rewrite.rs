// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the endpoint is asked for instead of what the client asked for.
//!
//! Only [`Request::sent`](crate::exchange::Request::sent) changes: routes, limits, keys of balancing and the record see
//! the request as it came.
//! The new path goes through the same spelling as that of a client, and is refused if it would have two meanings.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::template::Template;
use super::{Note, Request, Verdict, place};
use crate::exchange::spelling::{host, path};
use crate::exchange::{Sent, Span};
use crate::fault::Fault;

/// The longest path or query that comes of it.
const TARGET_BYTES_MAX: usize = 64 * 1024;

/// A compiled rewrite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    pub name: Arc<str>,
    pub path: Option<Template>,
    /// Taken away from a path that begins with it.
    pub strip: Option<Box<[u8]>>,
    pub add: Option<Box<[u8]>>,
    pub host: Option<Template>,
    /// Decoded names.
    pub remove: Box<[Box<[u8]>]>,
    pub set: Box<[(Box<[u8]>, Template)]>,
    pub append: Box<[(Box<[u8]>, Template)]>,
}

impl Rewrite {
    /// Whether it needs parts of the path.
    pub fn holds_capture(&self) -> bool {
        let values = self.set.iter().chain(&self.append).map(|(_, value)| value);
        self.path.iter().chain(&self.host).chain(values).any(Template::holds_capture)
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        // Neither CONNECT nor `*` has a path.
        if !request.head.path().starts_with(b"/") {
            return Ok(Verdict::Continue);
        }
        let before = request.head.sent();
        let sent = Sent {
            path: self.path(before.path, request)?.unwrap_or(before.path),
            query: self.query(before.query, request)?,
            authority: self.authority(request)?.unwrap_or(before.authority),
        };
        request.head.sent = Some(sent);
        request.notes.push(Note::Rewrote { policy: place(at) });
        Ok(Verdict::Continue)
    }

    fn path(&self, before: Span, request: &mut Request<'_>) -> Result<Option<Span>, Fault> {
        let mut text = Vec::new();
        match (&self.path, &self.strip, &self.add) {
            (None, None, None) => return Ok(None),
            (Some(whole), ..) => whole.render(request, &mut text)?,
            (None, strip, add) => {
                let rest = request.head.fields.text(before);
                let strips = strip.as_deref().is_some_and(|prefix| begins_with(request.head.matched(), prefix));
                let rest = if strips { without(rest, strip.as_deref().unwrap_or_default()) } else { rest };
                text.extend_from_slice(add.as_deref().unwrap_or_default());
                // `/v2` before the root is `/v2`, and not `/v2/`.
                if rest != b"/" || text.is_empty() {
                    text.extend_from_slice(rest);
                }
            }
        }
        let spelt = respell(text)?;
        Ok(Some(request.head.fields.store(&spelt)))
    }

    fn authority(&self, request: &mut Request<'_>) -> Result<Option<Span>, Fault> {
        let Some(template) = &self.host else { return Ok(None) };
        let mut text = Vec::new();
        template.render(request, &mut text)?;
        let end = text.iter().rposition(|byte| *byte == b':').filter(|_| !text.ends_with(b"]")).unwrap_or(text.len());
        let (name, port) = text.split_at_checked(end).unwrap_or((&text, b""));
        let mut authority = host::normalise(name).map_err(Fault::Unwritable)?;
        authority.extend_from_slice(port);
        Ok(Some(request.head.fields.store(&authority)))
    }

    fn query(&self, before: Option<Span>, request: &mut Request<'_>) -> Result<Option<Span>, Fault> {
        if self.remove.is_empty() && self.set.is_empty() && self.append.is_empty() {
            return Ok(before);
        }
        let old = before.map(|span| request.head.fields.text(span)).unwrap_or_default();
        let goes =
            |name: &[u8]| self.remove.iter().chain(self.set.iter().map(|(own, _)| own)).any(|own| **own == *name);
        let mut text = Vec::with_capacity(old.len() + 32);
        for pair in old.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            if !goes(&decoded(pair.get(..end).unwrap_or_default())) {
                separate(&mut text);
                text.extend_from_slice(pair);
            }
        }
        for (name, value) in self.set.iter().chain(&self.append) {
            separate(&mut text);
            text.extend(percent_encode(name, NON_ALPHANUMERIC).flat_map(str::bytes));
            text.push(b'=');
            value.render(request, &mut text)?;
        }
        if text.len() > TARGET_BYTES_MAX {
            return Err(Fault::Unwritable("the rewritten query is too long"));
        }
        Ok((!text.is_empty()).then(|| request.head.fields.store(&text)))
    }
}

fn separate(query: &mut Vec<u8>) {
    if !query.is_empty() {
        query.push(b'&');
    }
}

/// The name of a parameter without its encoding.
fn decoded(name: &[u8]) -> Vec<u8> {
    let plain: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&plain).collect()
}

/// Whether a path begins with whole segments.
fn begins_with(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A path without as many segments as a prefix has. They are counted and not compared, as the spelling that is sent may
/// have parameters in them.
fn without<'p>(path: &'p [u8], prefix: &[u8]) -> &'p [u8] {
    let segments = prefix.iter().filter(|byte| **byte == b'/').count();
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    match slashes.nth(segments) {
        Some(at) => path.get(at..).unwrap_or(b"/"),
        None => b"/",
    }
}

fn respell(text: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if text.len() > TARGET_BYTES_MAX {
        return Err(Fault::Unwritable("the rewritten path is too long"));
    }
    let hides_dot = text.windows(3).any(|three| three.eq_ignore_ascii_case(b"%2e"));
    if hides_dot || text.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
        return Err(Fault::Unwritable("the rewritten path has a dot segment"));
    }
    let scan = path::scan(&text);
    if scan.end < text.len() {
        return Err(Fault::Unwritable("the rewritten path has a question mark"));
    }
    if scan.is_normal { Ok(text) } else { path::rewrite(&text).map(|path| path.sent).map_err(Fault::Unwritable) }
}

#[cfg(test)]
mod tests {
    use super::{begins_with, respell, without};

    /// Rows: a path, a prefix, and the path without it.
    #[test]
    fn prefixes_are_whole_segments() {
        for (path, prefix, want) in [
            ("/api/x", "/api", Some("/x")),
            ("/api", "/api", Some("/")),
            ("/api/", "/api", Some("/")),
            ("/apix", "/api", None),
            ("/a/b/c", "/a/b", Some("/c")),
            ("/x", "/api", None),
        ] {
            let got =
                begins_with(path.as_bytes(), prefix.as_bytes()).then(|| without(path.as_bytes(), prefix.as_bytes()));
            assert_eq!(got, want.map(str::as_bytes), "row {path} {prefix}");
        }
        assert_eq!(without(b"/api;v=1/x", b"/api"), b"/x", "parameters go with their segment");
    }

    /// Rows: a path as it is filled in, and as it is sent.
    #[test]
    fn a_path_that_could_be_read_twice_is_refused() {
        for (text, want) in [
            ("/a/b", Some("/a/b")),
            ("/a//b", Some("/a/b")),
            ("/a/é", None),
            ("/a/../b", None),
            ("/a/.", None),
            ("/a?b", None),
            ("/a%2Fb", None),
            ("/a/%2e%2e/b", None),
            ("a", None),
        ] {
            let got = respell(text.as_bytes().to_vec()).ok();
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "row {text}");
        }
    }
}
