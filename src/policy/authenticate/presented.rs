// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a request a key is, and taking it out again: strangers' bytes, so every form is bounded and exact.
//!
//! All places are looked at before any is believed, because a second key that we overlook is one that the endpoint
//! may see. Names and values of query parameters count percent-decoded, so no spelling hides a second key; a plus
//! sign stays a plus sign. What is not the key keeps its bytes and its order.

use smallvec::SmallVec;

use crate::exchange::{Fields, Known, Span};

/// Bytes of a key. Longer ones are refused before they are hashed.
pub const KEY_MAX: usize = 256;

/// A key as it was presented.
pub(super) type Key = SmallVec<[u8; KEY_MAX]>;

/// Where a key may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Cookie(Box<[u8]>),
    Header(Box<[u8]>),
    Query(Box<[u8]>),
}

/// What a request presents.
#[expect(clippy::large_enum_variant, reason = "it lives for a few lines on the stack, where a box would cost more")]
#[derive(Debug)]
pub(super) enum Found<'a> {
    Nothing,
    One(&'a Source, Key),
    /// One, but larger than a key can be.
    Oversized,
    Several,
}

/// Looks in all places. An empty value is a place that was used: it counts against a second key and is none itself.
pub(super) fn find<'a>(sources: &'a [Source], fields: &Fields, query: Option<Span>) -> Found<'a> {
    let mut seen = Seen { places: 0, oversized: false, key: Key::new() };
    let mut held = None;
    for source in sources {
        let before = seen.places;
        match source {
            Source::Header(name) => fields.named(name).for_each(|value| seen.take(value.iter().copied())),
            Source::Query(name) => {
                let query = query.map(|span| fields.text(span)).unwrap_or_default();
                parameters(query)
                    .filter(|part| is_named(part, name))
                    .for_each(|part| seen.take(decoded(value_of(part))));
            }
            Source::Cookie(name) => {
                let all = fields.all(Known::Cookie).flat_map(cookies);
                let ours = all.filter(|pair| name_of(pair) == &**name);
                ours.for_each(|pair| seen.take(unquoted(value_of(pair)).iter().copied()));
            }
        }
        if seen.places > before {
            held = Some(source);
        }
    }
    match (seen.places, held) {
        (0, _) | (_, None) => Found::Nothing,
        (1, Some(_)) if seen.oversized => Found::Oversized,
        (1, Some(_)) if seen.key.is_empty() => Found::Nothing,
        (1, Some(source)) => Found::One(source, seen.key),
        _ => Found::Several,
    }
}

struct Seen {
    places: usize,
    oversized: bool,
    key: Key,
}

impl Seen {
    fn take(&mut self, mut value: impl Iterator<Item = u8>) {
        self.places += 1;
        if self.places == 1 {
            self.key.extend(value.by_ref().take(KEY_MAX));
            self.oversized = value.next().is_some();
        }
    }
}

/// Takes the key out of the request.
pub(super) fn remove(source: &Source, fields: &mut Fields, query: &mut Option<Span>) {
    match source {
        Source::Header(name) => {
            fields.remove_named(name);
        }
        Source::Query(name) => {
            let Some(span) = *query else { return };
            let parts = parameters(fields.text(span)).filter(|part| !is_named(part, name));
            let kept = join(parts, b"&");
            *query = (!kept.is_empty()).then(|| fields.store(&kept));
        }
        Source::Cookie(name) => {
            let pairs = fields.all(Known::Cookie).flat_map(cookies).filter(|pair| name_of(pair) != &**name);
            let kept = join(pairs, b"; ");
            fields.remove(Known::Cookie);
            if !kept.is_empty() {
                fields.push_known(Known::Cookie, &kept);
            }
        }
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a [u8]>, between: &[u8]) -> SmallVec<[u8; 256]> {
    let mut kept = SmallVec::new();
    for part in parts {
        if !kept.is_empty() {
            kept.extend_from_slice(between);
        }
        kept.extend_from_slice(part);
    }
    kept
}

pub(super) fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|byte| *byte == b'&').filter(|part| !part.is_empty())
}

pub(super) fn cookies(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

pub(super) fn name_of(part: &[u8]) -> &[u8] {
    part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

pub(super) fn value_of(part: &[u8]) -> &[u8] {
    let at = part.iter().position(|byte| *byte == b'=');
    at.and_then(|at| part.get(at + 1..)).unwrap_or_default().trim_ascii()
}

pub(super) fn is_named(part: &[u8], name: &[u8]) -> bool {
    decoded(name_of(part)).eq(name.iter().copied())
}

/// A cookie value may stand in quotes (RFC 6265 section 4.1.1).
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// The bytes with every valid percent escape decoded; an invalid one stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    percent_encoding::percent_decode(text)
}

#[cfg(test)]
mod tests {
    use super::{Found, KEY_MAX, Source, find, remove};
    use crate::exchange::{Fields, Known};

    /// A request as `Header: value` lines, the first line being the query.
    fn request(text: &str) -> (Fields, Option<crate::exchange::Span>) {
        let mut lines = text.split('\n');
        let mut fields = Fields::new();
        let query = lines.next().filter(|query| !query.is_empty()).map(|query| fields.store(query.as_bytes()));
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        (fields, query)
    }

    /// What is found, and the request after the key is taken out, in the same form.
    #[track_caller]
    fn check(text: &str, want: &str, after: &str) {
        let sources = [
            Source::Header(b"X-Api-Key".as_slice().into()),
            Source::Query(b"api_key".as_slice().into()),
            Source::Cookie(b"key".as_slice().into()),
        ];
        let (mut fields, mut query) = request(text);
        let got = match find(&sources, &fields, query) {
            Found::Nothing => "nothing".to_owned(),
            Found::Oversized => "oversized".to_owned(),
            Found::Several => "several".to_owned(),
            Found::One(source, key) => {
                remove(source, &mut fields, &mut query);
                String::from_utf8_lossy(&key).into_owned()
            }
        };
        assert_eq!(got, want, "{text:?}");
        let mut left = query.map(|span| String::from_utf8_lossy(fields.text(span)).into_owned()).unwrap_or_default();
        for field in fields.iter() {
            left += &format!("\n{}: {}", String::from_utf8_lossy(field.name), String::from_utf8_lossy(field.value));
        }
        if !after.is_empty() {
            assert_eq!(left, after, "{text:?}");
        }
    }

    #[test]
    fn one_key_is_found_and_taken_out() {
        check("\nx-api-key: abc\nAccept: a", "abc", "\nAccept: a");
        check("a=1&api_key=a%2Fb+c&b=2&&c", "a/b+c", "a=1&b=2&c");
        check("%61pi%5Fkey=abc&a=%31", "abc", "a=%31");
        check("api_key=a=b", "a=b", "");
        check("a=1\nCookie: x=1; key=abc; y=\"2\"\nCookie: z=3", "abc", "a=1\nCookie: x=1; y=\"2\"; z=3");
        check("a=1\nCookie: key=\"abc\"", "abc", "a=1");
    }

    #[test]
    fn no_spelling_hides_a_second_key() {
        for text in [
            "\nX-Api-Key: a\nX-Api-Key: a",
            "\nX-Api-Key: a\nx-API-key: b",
            "api_key=a\nX-Api-Key: a",
            "api_key=a&api%5fkey=b",
            "api_key=a\nCookie: key=b",
            "api_key\nX-Api-Key: a",
            "\nX-Api-Key: \nX-Api-Key: a",
            "\nCookie: key=a;key=a",
            "\nCookie: key=a\nCookie: key = b",
        ] {
            check(text, "several", "");
        }
    }

    #[test]
    fn what_is_no_key_is_nothing() {
        for text in ["", "api_key", "api_key=", "\nX-Api-Key: ", "\nCookie: key", "\nCookie: Key=a; ke=b", "API_KEY=a"]
        {
            check(text, "nothing", "");
        }
    }

    #[test]
    fn a_key_has_a_length_limit() {
        let long = "k".repeat(KEY_MAX);
        check(&format!("\nX-Api-Key: {long}"), &long, "");
        check(&format!("\nX-Api-Key: {long}k"), "oversized", "");
        check(&format!("api_key={long}%6b"), "oversized", "");
    }

    proptest::proptest! {
        #[test]
        fn a_query_keeps_everything_but_the_key(parts in proptest::collection::vec("[a-c%0-9=_]{0,8}", 0..6), at in 0_usize..6) {
            let mut all: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            let kept = all.join("&");
            all.insert(at.min(all.len()), "api_key=secret");
            check(&all.join("&"), "secret", &kept);
        }

        #[test]
        fn any_bytes_are_survived(query: Vec<u8>, cookie: Vec<u8>) {
            let sources = [Source::Query(b"a".as_slice().into()), Source::Cookie(b"a".as_slice().into())];
            let mut fields = Fields::new();
            let mut query = Some(fields.store(&query));
            fields.push_known(Known::Cookie, &cookie);
            if let Found::One(source, _) = find(&sources, &fields, query) {
                remove(source, &mut fields, &mut query);
                proptest::prop_assert!(matches!(find(&sources, &fields, query), Found::Nothing));
            }
        }
    }
}
