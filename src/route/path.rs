// SPDX-License-Identifier: MIT OR Apache-2.0
//! Path patterns: exact, template, regex, prefix by segment, in the spelling that requests are matched in.
//!
//! A regex must take the whole path and sees the matched spelling: no parameters, no encoded delimiters, upper-case
//! hex. The texts come from operators, so every mistake is answered with the pattern and the reason.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::{Captures, PatternError};
use crate::exchange::spelling::path;

/// The longest text of a path pattern.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// The most segments of an exact, prefix or template pattern; it bounds every walk through the tree.
pub const PATTERN_SEGMENTS_MAX: usize = 64;
/// The largest compiled regex, which also bounds how long it takes to compile.
pub const REGEX_BYTES_MAX: usize = 1 << 20;
/// What the lazy automaton of one regex may cache in each thread.
const REGEX_CACHE_BYTES_MAX: usize = 256 << 10;

/// Which paths a route is for.
#[derive(Clone, Debug)]
pub enum PathPattern {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex { text: Box<str>, regex: Regex },
    Template(Template),
}

/// A path with parameters, such as `/orders/{id}`.
#[derive(Clone, Debug)]
pub struct Template {
    text: Box<str>,
    /// A literal, or a parameter that takes one segment that is not empty.
    pub(super) segments: Box<[Option<Box<[u8]>>]>,
    names: Box<[Box<str>]>,
}

impl PathPattern {
    /// This path and no other.
    pub fn exact(text: &str) -> Result<Self, PatternError> {
        Ok(Self::Exact(literal(text)?.into_boxed_slice()))
    }

    /// This path and all below it: `/api` takes `/api` and `/api/x`, never `/apix`. A slash at the end means nothing.
    pub fn prefix(text: &str) -> Result<Self, PatternError> {
        let mut path = literal(text)?;
        if path.ends_with(b"/") {
            path.pop();
        }
        Ok(Self::Prefix(path.into_boxed_slice()))
    }

    /// Literal segments and parameters: `/orders/{id}`.
    pub fn template(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError::Path { text: text.to_owned(), why };
        let raw = bounded(text)?.strip_prefix('/').ok_or_else(|| error("it does not begin with a slash"))?;
        if text.contains("//") {
            return Err(error("`//` never matches: doubled slashes are merged before routing"));
        }
        let (mut segments, mut names) = (Vec::new(), Vec::<Box<str>>::new());
        for segment in raw.split('/') {
            let Some(name) = parameter(segment).map_err(error)? else {
                segments.push(Some(literal_segment(text, segment)?));
                continue;
            };
            if names.iter().any(|other| **other == *name) {
                return Err(error("two parameters have the same name"));
            }
            names.push(name.into());
            segments.push(None);
        }
        if names.is_empty() {
            return Err(error("it has no parameter such as `{id}`; make it an exact path"));
        }
        Ok(Self::Template(Template { text: text.into(), segments: segments.into(), names: names.into() }))
    }

    /// Paths that the expression takes from the first byte to the last.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        let regex = regex_of_whole(text)?;
        Ok(Self::Regex { text: text.into(), regex })
    }

    /// Whether it takes this path, in the matched spelling.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(own) => **own == *path,
            Self::Prefix(own) => {
                path.strip_prefix(&**own).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
            }
            Self::Regex { regex, .. } => regex.is_match(path),
            Self::Template(template) => {
                let mut given = segments(path);
                let fits = |own: &Option<Box<[u8]>>| {
                    given.next().is_some_and(|text| own.as_ref().map_or(!text.is_empty(), |own| **own == *text))
                };
                template.segments.iter().all(fits) && given.next().is_none()
            }
        }
    }

    /// What the parameters of this pattern are in `path`, which it has matched.
    pub(super) fn captures(&self, path: &[u8]) -> Captures<'_> {
        let Self::Template(template) = self else { return Captures::default() };
        let mut captures = Captures { names: &template.names, ..Captures::default() };
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut start = 1;
        for (own, text) in template.segments.iter().zip(segments(path)) {
            if own.is_none() {
                captures.spans.push((clamp(start), clamp(start + text.len())));
            }
            start += text.len() + 1;
        }
        captures
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(out, "exact path {}", String::from_utf8_lossy(path)),
            Self::Prefix(path) if path.is_empty() => out.write_str("prefix /"),
            Self::Prefix(path) => write!(out, "prefix {}", String::from_utf8_lossy(path)),
            Self::Regex { text, .. } => write!(out, "regex {text}"),
            Self::Template(template) => write!(out, "template {}", template.text),
        }
    }
}

/// The segments of a path or of a literal pattern; none for an empty prefix and for `*`.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").into_iter().flat_map(|rest| rest.split(|byte| *byte == b'/'))
}

/// A regex that takes all of a text or none of it. It is compiled alone first, so that `a)(b` cannot slip through the
/// group that anchors it.
pub(super) fn regex_of_whole(text: &str) -> Result<Regex, PatternError> {
    let compile = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_CACHE_BYTES_MAX).build()
    };
    let error = |why: String| PatternError::Regex { text: text.to_owned(), why };
    if text.len() > PATTERN_BYTES_MAX {
        return Err(error(format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    compile(text).and_then(|_| compile(&format!(r"\A(?:{text})\z"))).map_err(|cause| {
        let cause = cause.to_string();
        let last = cause.lines().last().unwrap_or_default();
        error(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    })
}

fn bounded(text: &str) -> Result<&str, PatternError> {
    let error = |why| PatternError::Path { text: text.to_owned(), why };
    if text.len() > PATTERN_BYTES_MAX {
        return Err(error("it is longer than 4096 bytes"));
    }
    if text.split('/').count() > PATTERN_SEGMENTS_MAX + 1 {
        return Err(error("it has more than 64 segments"));
    }
    Ok(text)
}

fn literal(text: &str) -> Result<Vec<u8>, PatternError> {
    path::of_pattern(bounded(text)?).map_err(|why| PatternError::Path { text: text.to_owned(), why })
}

fn literal_segment(text: &str, segment: &str) -> Result<Box<[u8]>, PatternError> {
    let spelt = path::of_pattern(&format!("/{segment}"));
    let spelt = spelt.map_err(|why| PatternError::Path { text: text.to_owned(), why })?;
    Ok(spelt.get(1..).unwrap_or_default().into())
}

/// The name in `{name}`, or nothing for a literal.
fn parameter(segment: &str) -> Result<Option<&str>, &'static str> {
    if !segment.contains(['{', '}']) {
        return Ok(None);
    }
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let name = inner.ok_or("a parameter is a whole segment, as in `/orders/{id}`")?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("the name of a parameter has letters, digits, `_` and `-` only");
    }
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::PathPattern;
    use crate::route::PatternError;

    fn check(parse: fn(&str) -> Result<PathPattern, PatternError>, rows: &[(&str, Result<&str, &str>)]) {
        for (text, wanted) in rows {
            match (parse(text), wanted) {
                (Ok(pattern), Ok(shown)) => assert_eq!(pattern.to_string(), *shown, "{text}"),
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{text}: {error}"),
                (got, wanted) => panic!("{text}: wanted {wanted:?}, got {got:?}"),
            }
        }
    }

    #[test]
    fn prefixes_and_exact_paths_are_spelt_like_requests() {
        check(
            PathPattern::prefix,
            &[("/", Ok("prefix /")), ("/api/", Ok("prefix /api")), ("/é", Ok("prefix /%C3%A9"))],
        );
        check(PathPattern::exact, &[("/a/", Ok("exact path /a/")), ("a", Err("begin with a slash"))]);
        check(PathPattern::exact, &[("/a/../b", Err("dot segments")), ("/a//b", Err("doubled slashes"))]);
        check(
            PathPattern::prefix,
            &[(&"/a".repeat(65), Err("more than 64")), (&"/aaaa".repeat(999), Err("4096 bytes"))],
        );
    }

    #[test]
    fn templates_say_what_is_wrong_with_them() {
        check(
            PathPattern::template,
            &[
                ("/orders/{id}", Ok("template /orders/{id}")),
                ("/a", Err("no parameter")),
                ("a/{b}", Err("begin with a slash")),
                ("/a{b}", Err("whole segment")),
                ("/{a", Err("whole segment")),
                ("/{}", Err("letters, digits")),
                ("/{a b}", Err("letters, digits")),
                ("/{a}/{a}", Err("same name")),
                ("/{a}//b", Err("doubled slashes")),
                ("/{a}/..", Err("climbs")),
            ],
        );
    }

    #[test]
    fn a_regex_is_anchored_and_bounded() {
        check(
            PathPattern::regex,
            &[
                ("/a/[0-9]+", Ok("regex /a/[0-9]+")),
                ("/a)(b", Err("unopened group")),
                ("/[", Err("unclosed character class")),
                (r"/(\w{100}){100}", Err("size limit")),
            ],
        );
        let PathPattern::Regex { regex, .. } = PathPattern::regex("/a|/bc").expect("a good regex") else { panic!() };
        for (path, wanted) in [("/a", true), ("/bc", true), ("/ab", false), ("x/a", false), ("/a\n", false)] {
            assert_eq!(regex.is_match(path.as_bytes()), wanted, "{path}");
        }
    }
}
