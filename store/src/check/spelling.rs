// SPDX-License-Identifier: MIT OR Apache-2.0
//! How names that come from protocols are spelled: fields, methods, hosts, paths, regular expressions.
//!
//! Each function says what is wrong as a sentence, or nothing.

use crate::model::RESERVED_FIELDS;
use regex::bytes::{RegexSet, RegexSetBuilder};
use regex::{Regex, RegexBuilder};

/// Largest compiled regular expression: one pattern may not take the memory of all.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Longest regular expression as text.
const REGEX_TEXT_BYTES_MAX: usize = 4096;

/// Longest host name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// Longest label of a host name (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// Largest compiled set of regular expressions.
pub(super) const REGEXES_BYTES_MAX: usize = 4 << 20;

/// Compiles a pattern that must match as a whole, within bounds.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    bounded(pattern)?;
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(REGEX_BYTES_MAX).build().map_err(|error| words(&error))
}

/// Compiles patterns of which any may match a part of a text, in any letter case, within bounds.
///
/// # Errors
/// What is wrong with which, in one line.
pub fn any_of(patterns: &[String]) -> Result<RegexSet, String> {
    for pattern in patterns {
        bounded(pattern)?;
        let alone = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
        alone.map_err(|error| format!("in \"{}\": {}", pattern.escape_debug(), words(&error)))?;
    }
    let mut builder = RegexSetBuilder::new(patterns);
    builder.case_insensitive(true).size_limit(REGEXES_BYTES_MAX).build().map_err(|error| words(&error))
}

fn bounded(pattern: &str) -> Result<(), String> {
    if pattern.len() > REGEX_TEXT_BYTES_MAX {
        return Err(format!("this regular expression is longer than {REGEX_TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn words(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this regular expression needs too much memory".to_owned(),
        // The last line of a syntax error says what; the others draw an arrow.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or("").trim();
            format!("this is not a regular expression: {}", last.trim_start_matches("error: "))
        }
    }
}

/// A token (RFC 9110, section 5.6.2): what field names, methods and cookie names are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(super) fn is_framing(field: &str) -> bool {
    RESERVED_FIELDS.iter().any(|framing| framing.eq_ignore_ascii_case(field))
}

/// A field value: visible characters, spaces and tabs, no space at its ends (RFC 9110, section 5.5).
pub(super) fn is_field_value(text: &str) -> bool {
    text.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f)) && text.trim_matches([' ', '\t']).len() == text.len()
}

/// What is wrong with a host pattern.
pub(super) fn host_fault(pattern: &str) -> Option<&'static str> {
    if pattern == "*" {
        return None;
    }
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    if let Some(inner) = name.strip_prefix('[') {
        let address = inner.strip_suffix(']').map(str::parse::<std::net::Ipv6Addr>);
        return (!matches!(address, Some(Ok(_)))).then_some("an address in brackets must be IPv6");
    }
    if name.contains('*') {
        return Some("'*' can only be the whole first label");
    }
    if name.contains(':') {
        return Some("a host has no port");
    }
    if !name.is_ascii() {
        return Some("a host that is not ASCII must be written in its xn-- form");
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = name.len() <= HOST_BYTES_MAX && name.split('.').all(label);
    (!fits).then_some("this is not a host name")
}

/// What is wrong with a literal path or prefix.
pub(super) fn path_fault(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("a path begins with '/'");
    }
    if path.contains(['?', '#']) {
        return Some("a path has no query and no fragment");
    }
    if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Some("a path has no spaces and no control characters");
    }
    // The normal form of a request path has no such segment, so the route could never match.
    let dots = path.split('/').any(|segment| segment == "." || segment == "..");
    dots.then_some("a path with '.' or '..' segments never matches")
}

/// What is wrong with a template.
pub(super) fn template_fault(template: &str) -> Option<String> {
    if let Some(fault) = path_fault(template) {
        return Some(fault.to_owned());
    }
    let mut names: Vec<&str> = Vec::new();
    for segment in template.split('/') {
        if !segment.contains(['{', '}']) {
            continue;
        }
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| !name.contains(['{', '}'])) else {
            return Some(format!("in \"{segment}\" the braces are not a whole segment"));
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Some(format!("\"{{{name}}}\" is not a name in braces"));
        }
        if names.contains(&name) {
            return Some(format!("\"{{{name}}}\" stands twice"));
        }
        names.push(name);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{host_fault, path_fault, regex, template_fault};

    #[test]
    fn hosts() {
        for (pattern, good) in [
            ("*", true),
            ("*.example.com", true),
            ("example.com", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("xn--bcher-kva.example", true),
            ("", false),
            ("a.*.b", false),
            ("*example.com", false),
            ("a:80", false),
            ("bücher.example", false),
            ("a..b", false),
            ("-a.b", false),
            ("[zz]", false),
        ] {
            assert_eq!(host_fault(pattern).is_none(), good, "row {pattern:?}");
        }
    }

    #[test]
    fn paths_and_templates() {
        for (path, good) in
            [("/", true), ("/a/b", true), ("a", false), ("", false), ("/a?b", false), ("/a/../b", false)]
        {
            assert_eq!(path_fault(path).is_none(), good, "row {path:?}");
        }
        for (template, good) in [
            ("/orders/{id}", true),
            ("/{a}/{b}", true),
            ("/x{a}", false),
            ("/{a}/{a}", false),
            ("/{}", false),
            ("/{a", false),
            ("{a}", false),
        ] {
            assert_eq!(template_fault(template).is_none(), good, "row {template:?}");
        }
    }

    #[test]
    fn a_regex_is_bounded_and_explained() {
        assert!(regex("/a/[0-9]+").is_ok_and(|regex| regex.is_match("/a/1") && !regex.is_match("/a/1/b")));
        assert!(regex("(a").is_err_and(|error| error.contains("unclosed group")));
        assert!(regex("(a{1000}){1000}").is_err());
    }
}
