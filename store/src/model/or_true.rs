// SPDX-License-Identifier: MIT OR Apache-2.0
//! A setting that is either `true` or a table: `tcp = true`, `tcp = { send = "PING" }`. Absent and `false` are the same,
//! and a table with everything as by default is written back as `true`.

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The schema of such a setting.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it exists for its schema")]
pub(super) enum OrTrue<T> {
    Plain(bool),
    Table(T),
}

pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    struct Either<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Either<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, or a table of settings")
        }

        fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on.then(T::default))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(Either(PhantomData))
}

#[expect(clippy::ref_option, reason = "serde's serialize_with passes a reference to the field")]
pub(super) fn serialize<T, S>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default + PartialEq,
    S: Serializer,
{
    match value {
        None => serializer.serialize_bool(false),
        Some(value) if *value == T::default() => serializer.serialize_bool(true),
        Some(value) => value.serialize(serializer),
    }
}
