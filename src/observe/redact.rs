// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be kept of a request target, a host and header fields: no secret of the query, no control character, bounded length.
//!
//! Everything that leaves `observe` as text from the network went through here. It errs to the safe side: a name that
//! only looks like a secret hides its value too.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use weirgate_store::wire::FieldLine;

use crate::exchange::{Field, Fields};

/// Bytes of a target or host that are kept; the rest is named by an ellipsis.
pub(super) const TEXT_BYTES_MAX: usize = 2_048;

/// What the value of a sensitive parameter is replaced by.
pub(super) const HIDDEN: &str = "***";

/// Header fields of a request that are kept of a failure, and bytes of each.
const FIELDS_MAX: usize = 64;
const FIELD_BYTES_MAX: usize = 256;

/// A query parameter or header field whose name contains one of these carries a secret.
const SENSITIVE: [&str; 14] = [
    "cookie", "key", "token", "secret", "passw", "pwd", "auth", "sig", "cred", "session", "sid", "jwt", "code", "nonce",
];

/// The path and query with the secrets of the query hidden.
pub(super) fn target(target: &[u8]) -> String {
    let text = String::from_utf8_lossy(target);
    let Some((path, query)) = text.split_once('?') else {
        return plain_str(&text);
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(path);
    let mut separator = '?';
    for pair in query.split('&') {
        out.push(separator);
        separator = '&';
        match pair.split_once('=') {
            Some((name, _)) if is_sensitive(name.as_bytes()) => {
                out.push_str(name);
                out.push('=');
                out.push_str(HIDDEN);
            }
            _ => out.push_str(pair),
        }
    }
    plain_str(&out)
}

/// Text from the network without control characters and of bounded length.
pub(super) fn plain(bytes: &[u8]) -> String {
    plain_str(&String::from_utf8_lossy(bytes))
}

fn plain_str(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for c in text.chars() {
        if out.len() >= TEXT_BYTES_MAX {
            out.push('…');
            break;
        }
        if c.is_control() || is_bidirectional(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that reorder what a terminal shows after them.
pub(super) fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the value of a parameter or header field of that name is a secret.
pub(super) fn is_sensitive(name: &[u8]) -> bool {
    if name.contains(&b'%') {
        let decoded: Cow<'_, [u8]> = percent_decode(name).into();
        return holds_secret_word(&decoded);
    }
    holds_secret_word(name)
}

fn holds_secret_word(name: &[u8]) -> bool {
    let contains = |word: &&str| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    SENSITIVE.iter().any(|word| contains(word))
}

/// The header fields of a request for a story that is kept: bounded in number and length, secrets hidden.
pub(super) fn fields(fields: &Fields) -> Vec<FieldLine> {
    let shown = |field: Field<'_>| FieldLine {
        name: plain(field.name),
        value: if is_sensitive(field.name) {
            HIDDEN.to_owned()
        } else {
            plain(field.value.get(..FIELD_BYTES_MAX).unwrap_or(field.value))
        },
    };
    fields.iter().take(FIELDS_MAX).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::{TEXT_BYTES_MAX, plain, target};

    #[test]
    fn secrets_of_the_query_are_hidden() {
        let rows = [
            ("/a", "/a"),
            ("/a?page=2", "/a?page=2"),
            ("/a?api_key=s3cr3t&page=2", "/a?api_key=***&page=2"),
            ("/a?page=2&Access_Token=x=y", "/a?page=2&Access_Token=***"),
            ("/a?api%5fk%65y=s3cr3t", "/a?api%5fk%65y=***"),
            ("/a?flag&&x=", "/a?flag&&x="),
            ("/a?password=", "/a?password=***"),
            ("/key/token", "/key/token"),
        ];
        for (given, want) in rows {
            assert_eq!(target(given.as_bytes()), want, "row {given}");
        }
    }

    #[test]
    fn control_characters_are_escaped_and_length_is_bounded() {
        assert_eq!(plain(b"a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        let long = plain(&[b'x'; 10_000]);
        assert!(long.len() <= TEXT_BYTES_MAX + 8 && long.ends_with('…'));
    }
}
