// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that give a request a name which outlives it: its id, and its place in a trace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Percent;

/// The id of each request in a field of another name, or for the client as well. An id that is already there is kept
/// only from a trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestIdPolicy {
    #[serde(skip_serializing_if = "is_usual")]
    pub header: String,
    /// Whether the client gets it, too.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub reply: bool,
}

impl Default for RequestIdPolicy {
    fn default() -> Self {
        Self { header: usual(), reply: true }
    }
}

fn usual() -> String {
    "X-Request-Id".to_owned()
}

fn is_usual(header: &str) -> bool {
    header == usual()
}

/// W3C trace context: a trace that a request belongs to goes on to the endpoint, with weirgate as one step of it; a
/// request without one begins one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracePolicy {
    /// Whose traces go on.
    #[serde(skip_serializing_if = "is_everyone")]
    pub from: TraceFrom,
    /// Share of the traces that begin here which are marked as recorded.
    #[serde(skip_serializing_if = "is_whole")]
    pub sample: Percent,
}

impl Default for TracePolicy {
    fn default() -> Self {
        Self { from: TraceFrom::Everyone, sample: Percent(100) }
    }
}

fn is_everyone(from: &TraceFrom) -> bool {
    *from == TraceFrom::Everyone
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_whole(share: &Percent) -> bool {
    share.0 == 100
}

/// Whose trace context is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceFrom {
    #[default]
    Everyone,
    /// Trusted proxies only; all others begin a trace.
    Proxies,
}
