// SPDX-License-Identifier: MIT OR Apache-2.0
//! Issuers of tokens in `status`: a row per key, and why an issuer cannot be asked.

use weirgate_store::wire::{IssuerKey, IssuerStatus};

use super::human;
use super::line::Style;
use super::table::Table;

/// A row per key.
pub(super) fn table(issuers: &[IssuerStatus], now_ms: i64) -> Table {
    let mut table = Table::new(&["ISSUER", "KEY", "ALGORITHMS", ">SINCE", "NOTE"]);
    for issuer in issuers {
        let mut url = Style::Name.of(issuer.url.as_str());
        if let Some(error) = &issuer.error {
            let next = human::age((issuer.next_ms - now_ms).max(0));
            let note = format!("✗ {error}; asked again in {next}, the last good keys are used");
            table.push(vec![std::mem::take(&mut url), "".into(), "".into(), "".into(), Style::Bad.of(note)]);
        }
        for key in &issuer.keys {
            table.push(vec![
                std::mem::take(&mut url),
                name(key).into(),
                key.algorithms.join(" ").into(),
                human::age(now_ms - key.since_ms).into(),
                key.gone_ms.map_or_else(String::new, |gone| format!("gone {} ago", human::age(now_ms - gone))).into(),
            ]);
        }
        if issuer.keys.is_empty() && issuer.error.is_none() {
            table.push(vec![url, "".into(), "".into(), "".into(), "not fetched yet".into()]);
        }
    }
    table
}

fn name(key: &IssuerKey) -> &str {
    if key.kid.is_empty() { "(no name)" } else { &key.kid }
}
