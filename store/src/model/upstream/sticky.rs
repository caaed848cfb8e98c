// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeping a client on the endpoint that served it first, for as long as that endpoint serves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Span;

/// How a client is recognised. A drained endpoint keeps its clients, a dead one loses them to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Sticky {
    /// A cookie that weirgate sets and seals: no address can be read from it and none can be forged.
    Cookie(StickyCookie),
    /// The same sealed value in a field of this name: set in replies, and read from requests of clients that send it back.
    Header(String),
    /// A cookie that the endpoint sets; weirgate remembers who set it.
    Learn(Learn),
}

/// The cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StickyCookie {
    pub name: String,
    /// `Path` of the cookie.
    pub path: String,
    /// Seconds the browser keeps it, as `Max-Age`; a session cookie if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

impl Default for StickyCookie {
    fn default() -> Self {
        Self { name: "weirgate".to_owned(), path: "/".to_owned(), max_age: None }
    }
}

/// The table of what was learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// Name of the endpoint's cookie.
    pub cookie: String,
    /// Most sessions that are remembered; the one unused longest is forgotten for a new one.
    #[serde(default = "default_entries")]
    pub entries: u32,
    /// A session that is unused so long is forgotten.
    #[serde(default = "default_idle")]
    pub idle: Span,
}

fn default_entries() -> u32 {
    65_536
}

fn default_idle() -> Span {
    Span::seconds(30 * 60)
}
