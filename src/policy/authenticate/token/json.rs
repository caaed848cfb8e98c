// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON of a stranger, read so that no two readers can understand it differently.
//!
//! A member that is there twice is refused (readers take the first or the last, as they please: RFC 8259 section 4), and
//! so is what is nested deeper than [`DEPTH_MAX`]. What is read has been looked through whole before any of it is built.

use std::fmt;

use foldhash::{HashSet, HashSetExt};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Arrays and objects inside each other.
pub const DEPTH_MAX: u8 = 16;

/// The members of an object; none if the bytes are anything else or could be read in two ways.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict(DEPTH_MAX).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Some(members),
        Ok(_) | Err(_) => None,
    }
}

/// Looks through a value and keeps nothing; what is left of the depth.
struct Strict(u8);

impl Strict {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let depth = self.inner::<A::Error>()?.0;
        while list.next_element_seed(Self(depth))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let depth = self.inner::<A::Error>()?.0;
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name) {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Err(A::Error::custom("a member is there twice"));
            }
            members.next_value_seed(Self(depth))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, object};

    #[test]
    fn what_has_one_meaning_is_read() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let deepest = usize::from(DEPTH_MAX) - 1;
        for text in ["{}", "{\"a\":1,\"b\":{\"a\":[true,null,-1.5,\"\\u00e9\"]}}", &nested(deepest)] {
            assert!(object(text.as_bytes()).is_some(), "row {text}");
        }
        for text in [
            "",
            "[]",
            "1",
            "\"a\"",
            "null",
            "{}{}",
            "{} x",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"b\":{\"a\":1,\"a\":2}}",
            "{\"a\":[{\"b\":1,\"b\":2}]}",
            "{\"a\":01}",
            "{'a':1}",
            "{\"a\":NaN}",
            &nested(deepest + 1),
            &nested(5_000),
            "\u{feff}{}",
        ] {
            assert!(object(text.as_bytes()).is_none(), "row {text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none(), "not UTF-8");
    }
}
