// SPDX-License-Identifier: MIT OR Apache-2.0
//! A day or an instant, as an operator plans with it: `2026-12-31` is its beginning in UTC, `2026-12-31T18:00:00Z` is exact.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// An instant in whole seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i64);

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "\"{text}\" is not a date: write a day such as \"2026-12-31\", or an instant such as \"2026-12-31T18:00:00Z\""
            )
        };
        let timestamp = if text.len() == "2026-12-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let timestamp: jiff::Timestamp = timestamp.parse().map_err(|_| bad())?;
        if timestamp.as_second() < 0 { Err(bad()) } else { Ok(Self(timestamp.as_second())) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = jiff::Timestamp::from_second(self.0).map_err(|_| fmt::Error)?.to_string();
        match text.split_once('T') {
            Some((day, _)) if self.0.rem_euclid(DAY) == 0 => f.write_str(day),
            _ => f.write_str(&text),
        }
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "2026-12-31, or 2026-12-31T18:00:00Z" })
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    /// Rows: what is written, and what is printed back; nothing where it must be refused.
    #[test]
    fn days_and_instants() {
        for (text, want) in [
            ("2026-12-31", Some("2026-12-31")),
            ("2026-12-31T00:00:00Z", Some("2026-12-31")),
            ("2026-12-31T18:00:00Z", Some("2026-12-31T18:00:00Z")),
            ("2026-12-31T18:00:00+02:00", Some("2026-12-31T16:00:00Z")),
            ("1970-01-01", Some("1970-01-01")),
            ("1969-12-31", None),
            ("2026-02-30", None),
            ("2026-12", None),
            ("31.12.2026", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Date>().ok().map(|date| date.to_string()).as_deref(), want, "row {text:?}");
        }
    }
}
