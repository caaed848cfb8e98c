// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for interfaces that are on their way out: dates in order, links that can stand in a field.

use super::Findings;
use crate::model::DeprecationPolicy;
use crate::wire::ProblemCode;

/// Longest link.
const LINK_BYTES_MAX: usize = 2048;

pub(super) fn deprecation(findings: &mut Findings<'_>, path: &str, policy: &DeprecationPolicy) {
    let DeprecationPolicy { since, sunset, successor, docs, gone: _ } = policy;
    if since.is_none() && sunset.is_none() {
        let help = "write since = \"2026-01-01\", sunset = \"2026-12-31\", or both";
        findings.problem(ProblemCode::MissingField, path, "this says neither since when nor until when", help);
    }
    // RFC 9745 section 4.
    if let Some((since, sunset)) = since.zip(*sunset)
        && sunset < since
    {
        let message = format!("the sunset ({sunset}) comes before the deprecation ({since})");
        let help = "an interface is deprecated first and goes away later";
        findings.problem(ProblemCode::Conflict, format!("{path}.sunset"), message, help);
    }
    for (key, link) in [("successor", successor), ("docs", docs)] {
        if link.as_deref().is_some_and(|link| !is_link(link)) {
            let help = "write a URL such as \"https://docs.example.com/v1\", or a path";
            findings.bad(format!("{path}.{key}"), "this cannot be a link", help);
        }
    }
}

/// A URL or a path, in characters that can stand between angle brackets (RFC 8288 section 3).
fn is_link(link: &str) -> bool {
    let begins = ["http://", "https://", "/"].iter().any(|begin| link.starts_with(begin));
    begins && link.len() <= LINK_BYTES_MAX && link.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b))
}
