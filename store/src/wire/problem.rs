// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mistake in a configuration, and the error body of the control API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One mistake: what, where, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    pub code: ProblemCode,
    /// Path to the value: `routes.orders.policies[1]`.
    pub path: String,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Line of the text it was read from, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// The kind of a mistake, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The text is not TOML or JSON.
    Syntax,
    UnknownField,
    MissingField,
    /// The value is of the wrong type or not allowed.
    BadValue,
    /// Two things that must differ are the same.
    Duplicate,
    /// A name that no object has.
    Dangling,
    /// Settings that contradict each other.
    Conflict,
    /// Part of the design and not built yet.
    NotSupported,
    /// A file cannot be read.
    Unreadable,
    /// A certificate, key or regular expression that does not hold.
    Invalid,
    /// Something outside the configuration refuses: a port in use, a full disk.
    Environment,
}

/// The body of every control API answer that is not a success (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReply {
    pub status: u16,
    /// Short and fixed for one kind of error.
    pub title: String,
    /// What happened and what to do.
    pub detail: String,
    /// All mistakes, when a configuration was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}
