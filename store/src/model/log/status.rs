// SPDX-License-Identifier: MIT OR Apache-2.0
//! A range of statuses as an operator writes it, in a log's filter and on the command line.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Statuses from one to another, both included: `404`, `5xx`, `400-499`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl StatusRange {
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{}\" is not a status: write 404, 5xx or 400-499", text.escape_debug());
        let number = |part: &str| part.parse::<u16>().ok().filter(|n| (100..=599).contains(n));
        if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|n| (1..=5).contains(n)).ok_or_else(bad)?;
            return Ok(Self { first: class * 100, last: class * 100 + 99 });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
        if first > last {
            return Err(bad());
        }
        Ok(Self { first, last })
    }
}

impl TryFrom<String> for StatusRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = *self;
        match (first % 100, last % 100) {
            _ if first == last => write!(f, "{first}"),
            (0, 99) if first / 100 == last / 100 => write!(f, "{}xx", first / 100),
            _ => write!(f, "{first}-{last}"),
        }
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::StatusRange;

    #[test]
    fn status_ranges() {
        let rows = [
            ("404", Some((404, 404)), "404"),
            ("5xx", Some((500, 599)), "5xx"),
            ("4XX", Some((400, 499)), "4xx"),
            ("400-418", Some((400, 418)), "400-418"),
            ("400-599", Some((400, 599)), "400-599"),
            ("9xx", None, ""),
            ("418-400", None, ""),
            ("", None, ""),
            ("20", None, ""),
        ];
        for (text, want, printed) in rows {
            let want = want.map(|(first, last)| StatusRange { first, last });
            let got = text.parse::<StatusRange>().ok();
            assert_eq!(got, want, "row {text:?}");
            assert_eq!(got.map(|range| range.to_string()).unwrap_or_default(), printed, "row {text:?}");
        }
    }
}
