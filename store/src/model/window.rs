// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times of the week at which a route takes requests, and the spelling of a time of day.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Times of the week. `to` before `from` goes over midnight and belongs to the day on which it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeWindow {
    /// Every day if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// `08:00`; the beginning of the day if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `18:00`, which is no longer part of it; the end of the day if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Distance of the clock from UTC, such as `+01:00`; UTC if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The minutes from the beginning of the day to `08:30`; `24:00` is its end.
pub fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
    let all = number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?;
    (all <= 24 * 60).then_some(all)
}

/// The seconds that a clock is before UTC, of `+01:00` or `-03:30`.
pub fn offset_s(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let minutes = minutes(rest).filter(|minutes| *minutes <= 14 * 60)?;
    Some(sign * i32::from(minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::{minutes, offset_s};

    #[test]
    fn times_of_day_and_offsets() {
        for (text, want) in [
            ("08:30", Some(510)),
            ("00:00", Some(0)),
            ("24:00", Some(1440)),
            ("24:01", None),
            ("8:30", None),
            ("08:60", None),
            ("+8:30", None),
            ("", None),
        ] {
            assert_eq!(minutes(text), want, "row {text}");
        }
        for (text, want) in [
            ("+01:00", Some(3600)),
            ("-03:30", Some(-12600)),
            ("+15:00", None),
            ("01:00", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(offset_s(text), want, "row {text}");
        }
    }
}
