// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which names carry secrets: those that `redact` knows, and those that the operator adds to a log.

use crate::observe::redact;

/// The names that a log hides besides the usual ones, in lower case.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<Box<str>>);

impl Hidden {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase().into()).collect())
    }

    /// Whether the value of a header field or query parameter of that name is hidden.
    pub(super) fn hides(&self, name: &[u8]) -> bool {
        redact::is_sensitive(name) || self.0.iter().any(|hidden| hidden.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Writes a path and query piece by piece, what is hidden replaced.
    pub(super) fn target(&self, target: &[u8], mut write: impl FnMut(&[u8])) {
        let Some(at) = target.iter().position(|byte| *byte == b'?') else { return write(target) };
        let (path, query) = target.split_at(at);
        write(path);
        for (index, pair) in query.get(1..).unwrap_or_default().split(|byte| *byte == b'&').enumerate() {
            write(if index == 0 { b"?" } else { b"&" });
            let equals = pair.iter().position(|byte| *byte == b'=');
            match equals.and_then(|equals| pair.split_at_checked(equals + 1)) {
                Some((name, _)) if self.hides(name.strip_suffix(b"=").unwrap_or(name)) => {
                    write(name);
                    write(redact::HIDDEN.as_bytes());
                }
                _ => write(pair),
            }
        }
    }
}
