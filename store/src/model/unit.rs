// SPDX-License-Identifier: MIT OR Apache-2.0
//! The small values of the model: names, times, sizes, rates and shares, each with its own spelling and error.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name of an object, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The name of an object: lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.len() > NAME_BYTES_MAX || !first || !text.bytes().all(allowed) {
            return Err(format!(
                "\"{text}\" is not a name: use 1 to {NAME_BYTES_MAX} of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A length of time: `300ms`, `2s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("\"{text}\" is not a time: write a whole number and ms, s, m, h or d, such as \"500ms\" or \"2s\"")
        };
        let (count, unit) = number_and_unit(text).ok_or_else(bad)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        count.checked_mul(unit_ms).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.into_iter().find(|(size, _)| ms != 0 && ms.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{}{unit}", ms / size),
            None => write!(f, "{ms}ms"),
        }
    }
}

/// A number of bytes: `512B`, `64KiB`, `1MiB`, `2GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("\"{text}\" is not a size: write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"");
        let (count, unit) = number_and_unit(text).ok_or_else(bad)?;
        let (size, _) = BYTE_UNITS.into_iter().find(|(_, name)| *name == unit).ok_or_else(bad)?;
        count.checked_mul(size).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BYTE_UNITS.into_iter().find(|(size, _)| self.0 != 0 && self.0.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// So many in a time: `100/s`, `600/m`, `10000/h`, `1000000/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub count: u32,
    pub period: Duration,
}

const RATE_UNITS: [(u64, &str); 4] = [(1, "s"), (60, "m"), (3_600, "h"), (86_400, "d")];

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "\"{text}\" is not a rate: write a whole number above 0, a slash and s, m, h or d, such as \"100/s\""
            )
        };
        let (count, unit) = text.split_once('/').ok_or_else(bad)?;
        let count: u32 = count.trim().parse().map_err(|_| bad())?;
        let (seconds, _) = RATE_UNITS.into_iter().find(|(_, name)| *name == unit.trim()).ok_or_else(bad)?;
        if count == 0 {
            return Err(bad());
        }
        Ok(Self { count, period: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let unit = RATE_UNITS.into_iter().find(|(size, _)| *size == seconds).map_or("s", |(_, name)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

/// A share: `20%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Percent(pub u16);

/// Largest share that can be written; most settings allow less.
const PERCENT_MAX: u16 = 1_000;

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<u16>().ok()).filter(|n| *n <= PERCENT_MAX);
        number
            .map(Self)
            .ok_or_else(|| format!("\"{text}\" is not a share: write a whole number and %, such as \"20%\""))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads an enum from a table whose one key names the variant. Serde's own way takes the first key and does not look
/// at the others, which would lose half of `{ api_key = …, rate_limit = … }`.
pub(super) fn only<'de, T: Deserialize<'de>, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<T, A::Error> {
    let value = T::deserialize(serde::de::value::MapAccessDeserializer::new(&mut map))?;
    match map.next_key::<serde::de::IgnoredAny>()? {
        None => Ok(value),
        Some(_) => Err(serde::de::Error::custom("there is more than one key here: write only one of them")),
    }
}

/// Serde and schema for a value that is written as text, in one place for all of them.
trait Text: FromStr<Err = String> + fmt::Display {
    const TITLE: &'static str;
    const EXAMPLE: &'static str;
}

fn read<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn schema<T: Text>() -> Schema {
    json_schema!({ "type": "string", "description": T::TITLE, "examples": [T::EXAMPLE] })
}

impl Text for Name {
    const TITLE: &'static str = "name of an object";
    const EXAMPLE: &'static str = "orders";
}

impl Text for Span {
    const TITLE: &'static str = "length of time";
    const EXAMPLE: &'static str = "2s";
}

impl Text for ByteSize {
    const TITLE: &'static str = "number of bytes";
    const EXAMPLE: &'static str = "64KiB";
}

impl Text for Rate {
    const TITLE: &'static str = "so many in a time";
    const EXAMPLE: &'static str = "100/s";
}

impl Text for Percent {
    const TITLE: &'static str = "share";
    const EXAMPLE: &'static str = "20%";
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<Self>()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<Self>()
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<Self>()
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<Self>()
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, Name, Percent, Rate, Span};
    use std::fmt::Display;
    use std::str::FromStr;

    /// Each row: what is written, and what is printed back; `None` where it must be refused.
    fn check<T: FromStr<Err = String> + Display>(rows: &[(&str, Option<&str>)]) {
        for (text, want) in rows {
            let got = text.parse::<T>().ok().map(|value| value.to_string());
            assert_eq!(got.as_deref(), *want, "row {text:?}");
        }
    }

    #[test]
    fn names() {
        check::<Name>(&[
            ("a-b_c.1", Some("a-b_c.1")),
            ("9", Some("9")),
            ("A", None),
            ("-a", None),
            ("", None),
            ("a b", None),
        ]);
    }

    #[test]
    fn spans() {
        check::<Span>(&[
            ("300ms", Some("300ms")),
            ("2s", Some("2s")),
            ("120s", Some("2m")),
            ("0s", Some("0ms")),
            ("2", None),
            ("s", None),
            ("-1s", None),
            ("99999999999999999999s", None),
        ]);
    }

    #[test]
    fn sizes_rates_and_shares() {
        check::<ByteSize>(&[("64KiB", Some("64KiB")), ("1024B", Some("1KiB")), ("1MB", None), ("64", None)]);
        check::<Rate>(&[("100/s", Some("100/s")), ("6/m", Some("6/m")), ("0/s", None), ("1/w", None), ("5", None)]);
        check::<Percent>(&[("20%", Some("20%")), ("100%", Some("100%")), ("1001%", None), ("20", None)]);
    }
}
