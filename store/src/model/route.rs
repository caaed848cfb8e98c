// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Route: conditions, the policies a matching request passes, and the upstream it goes to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::is_default;
use super::unit::only;
use super::{ByteSize, HashKey, Name, Percent, PolicyRef, Span, TimeWindow};

/// Conditions → policies → upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    #[serde(default, rename = "match", skip_serializing_if = "is_default")]
    pub matches: Match,
    /// Where matching requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Name>,
    /// Several upstreams instead of one, each with its share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Side>,
    /// What decides the side of a `split`, so that the same caller stays on it; chance if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_by: Option<HashKey>,
    /// Name of a request field in which a tester names the upstream of the `split` to be sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub testers: Option<String>,
    /// Moves a `split` of two by a schedule, and back when it goes badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Sends a copy of a share of the requests elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Who waits less when an upstream has a queue: 0 goes first, 7 last (RFC 9218); a consumer's own number counts
    /// before that of the route.
    #[serde(default = "urgency", skip_serializing_if = "is_urgency")]
    pub urgency: u8,
    /// Lets CONNECT through, to the endpoint; without it CONNECT is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub connect: bool,
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

impl Default for Route {
    fn default() -> Self {
        Self {
            matches: Match::default(),
            upstream: None,
            split: Vec::new(),
            split_by: None,
            testers: None,
            canary: None,
            mirror: None,
            urgency: URGENCY_DEFAULT,
            connect: false,
            policies: Vec::new(),
            priority: 0,
            max_body: None,
        }
    }
}

/// Urgency of what says nothing (RFC 9218 section 4.1).
pub const URGENCY_DEFAULT: u8 = 3;

/// The least urgent of all (RFC 9218).
pub const URGENCY_MAX: u8 = 7;

fn urgency() -> u8 {
    URGENCY_DEFAULT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_urgency(urgency: &u8) -> bool {
    *urgency == URGENCY_DEFAULT
}

/// One upstream of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    pub upstream: Name,
    /// Its share relative to the other sides; 0 takes nothing but testers.
    pub weight: u32,
}

/// A split of two that moves by itself: `upstream` gets the next step of its share each time `every` has passed without
/// trouble. The step reached is kept in the store and survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The side of the split that is new.
    pub upstream: Name,
    /// Its shares, rising.
    pub steps: Vec<Percent>,
    /// How long each step lasts.
    pub every: Span,
    /// Share of its requests that may fail (5xx, or no reply) in a step.
    #[serde(default = "default_errors")]
    pub errors_max: Percent,
    /// The mean time of its replies must stay below this; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_max: Option<Span>,
    /// Fewest requests in a step for these to say anything, and for the step to be over.
    #[serde(default = "default_requests")]
    pub requests: u32,
    /// What happens when one of them is broken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_trouble: OnTrouble,
}

fn default_errors() -> Percent {
    Percent(5)
}

fn default_requests() -> u32 {
    50
}

/// What a canary does in trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnTrouble {
    /// Back to no share at all, until an operator starts it again.
    #[default]
    Back,
    /// Stays where it is, until an operator starts it again.
    Stop,
}

/// Copies of requests to another upstream, whose replies nobody sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub upstream: Name,
    /// Share of the requests that are copied.
    #[serde(default = "whole")]
    pub share: Percent,
    /// Longest body that is copied; a request with a longer one is not mirrored.
    #[serde(default = "default_mirror_body")]
    pub max_body: ByteSize,
}

fn whole() -> Percent {
    Percent(100)
}

fn default_mirror_body() -> ByteSize {
    ByteSize(64 << 10)
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
    /// Cookie to value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookies: BTreeMap<String, ValueMatch>,
    /// Media types of the request body: `application/json`, `text/*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_type: Vec<String>,
    /// Calls of gRPC, in place of a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcMatch>,
    /// Times of the week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeWindow>,
    /// Share of the requests that meet all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// What keeps a caller in the share or out of it; chance if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_by: Option<HashKey>,
}

/// Which calls of gRPC; all of them if both are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcMatch {
    /// With its package, such as `shop.v1.Orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

impl GrpcMatch {
    /// The path of such calls (`/Service/Method`).
    pub fn path(&self) -> PathPattern {
        match (&self.service, &self.method) {
            (None, None) => PathPattern::Template { template: "/{service}/{method}".to_owned() },
            (Some(service), None) => PathPattern::Template { template: format!("/{service}/{{method}}") },
            (None, Some(method)) => PathPattern::Template { template: format!("/{{service}}/{method}") },
            (Some(service), Some(method)) => PathPattern::Exact { exact: format!("/{service}/{method}") },
        }
    }
}

impl Match {
    /// The path that is matched: that of the gRPC calls if there are any.
    pub fn path(&self) -> PathPattern {
        self.grpc.as_ref().map_or_else(|| self.path.clone(), GrpcMatch::path)
    }
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
