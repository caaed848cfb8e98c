// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Route: conditions, the policies a matching request passes, and the upstream it goes to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::is_default;
use super::unit::only;
use super::{ByteSize, Name, PolicyRef};

/// Conditions → policies → upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    #[serde(default, rename = "match", skip_serializing_if = "is_default")]
    pub matches: Match,
    /// Where matching requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Name>,
    /// What they pass: names of policies, or policies written in place. The order is fixed by kind, not by this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyRef>,
    /// Among regex paths that match the same request the highest priority wins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Bytes of one request body on this route; the listener's limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
}

/// What a request must be like. An absent condition holds for every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Exact names, `*.example.com` for any depth of subdomains, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    #[serde(skip_serializing_if = "is_default")]
    pub path: PathPattern,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Field name to value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, ValueMatch>,
    /// Query parameter to value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, ValueMatch>,
}

/// A host: exact, `*.suffix`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HostPattern(pub String);

/// How a path is matched. A plain string is a prefix by segment.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum PathPattern {
    /// `/api` matches `/api` and `/api/x`, never `/apix`.
    Prefix(String),
    Exact {
        exact: String,
    },
    /// `/orders/{id}`: a name in braces stands for one segment.
    Template {
        template: String,
    },
    /// A regular expression for the whole path.
    Regex {
        regex: String,
    },
}

impl Default for PathPattern {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Tagged {
    Prefix(String),
    Exact(String),
    Template(String),
    Regex(String),
}

impl Serialize for PathPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Prefix(prefix) => return serializer.serialize_str(prefix),
            Self::Exact { exact } => Tagged::Exact(exact.clone()),
            Self::Template { template } => Tagged::Template(template.clone()),
            Self::Regex { regex } => Tagged::Regex(regex.clone()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    /// By hand, so that a wrong key is named instead of "did not match any variant".
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = PathPattern;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path such as \"/orders\", or { exact = … }, { template = … } or { regex = … }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PathPattern, E> {
                Ok(PathPattern::Prefix(text.to_owned()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<PathPattern, A::Error> {
                Ok(match only(map)? {
                    Tagged::Prefix(prefix) => PathPattern::Prefix(prefix),
                    Tagged::Exact(exact) => PathPattern::Exact { exact },
                    Tagged::Template(template) => PathPattern::Template { template },
                    Tagged::Regex(regex) => PathPattern::Regex { regex },
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What the value of a field or parameter must be. A plain string is an exact value.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum ValueMatch {
    Exact(String),
    /// A regular expression for the whole value.
    Regex {
        regex: String,
    },
    /// Present (true) or absent (false), whatever the value.
    Present {
        present: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum TaggedValue {
    Exact(String),
    Regex(String),
    Present(bool),
}

impl Serialize for ValueMatch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(value) => return serializer.serialize_str(value),
            Self::Regex { regex } => TaggedValue::Regex(regex.clone()),
            Self::Present { present } => TaggedValue::Present(*present),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ValueMatch;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value, or { regex = … } or { present = true }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ValueMatch, E> {
                Ok(ValueMatch::Exact(text.to_owned()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ValueMatch, A::Error> {
                Ok(match only(map)? {
                    TaggedValue::Exact(value) => ValueMatch::Exact(value),
                    TaggedValue::Regex(regex) => ValueMatch::Regex { regex },
                    TaggedValue::Present(present) => ValueMatch::Present { present },
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
