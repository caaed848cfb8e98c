// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an endpoint is chosen for a request.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Percent;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, whatever the weights.
    RoundRobin,
    /// In turn by weight, spread evenly (smooth weighted round robin).
    Weighted,
    /// Any one, by weight.
    Random,
    /// The one with fewer requests in flight of two drawn by weight.
    #[default]
    LeastRequest,
    /// The one with the fewest open connections of all, by weight; for TCP, where connections live long.
    LeastConnections,
    /// The one of two with the lower latency, peaks remembered, times what it has in flight.
    PeakEwma,
    /// Always the same one for the same client address: `rendezvous` with `hash.by = "source-ip"`.
    SourceIp,
    /// By hash, on a ring that ketama clients agree with.
    Ring,
    /// By hash, through a table of 65,537 places.
    Maglev,
    /// By hash, the highest score of all endpoints.
    Rendezvous,
}

impl Balance {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 10] = [
        Self::RoundRobin,
        Self::Weighted,
        Self::Random,
        Self::LeastRequest,
        Self::LeastConnections,
        Self::PeakEwma,
        Self::SourceIp,
        Self::Ring,
        Self::Maglev,
        Self::Rendezvous,
    ];

    /// Whether the same key goes to the same endpoint.
    pub fn hashes(self) -> bool {
        matches!(self, Self::SourceIp | Self::Ring | Self::Maglev | Self::Rendezvous)
    }

    /// Whether it wants to know how long endpoints take.
    pub fn measures(self) -> bool {
        self == Self::PeakEwma
    }
}

impl fmt::Display for Balance {
    /// As it is written in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::Random => "random",
            Self::LeastRequest => "least-request",
            Self::LeastConnections => "least-connections",
            Self::PeakEwma => "peak-ewma",
            Self::SourceIp => "source-ip",
            Self::Ring => "ring",
            Self::Maglev => "maglev",
            Self::Rendezvous => "rendezvous",
        })
    }
}

/// What a hashing balance hashes, and how far it may overload an endpoint for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hash {
    /// What is hashed. A request without it is spread at random.
    pub by: HashKey,
    /// Most requests in flight of one endpoint as a share of the mean, 105% to 1000%; no bound if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_load: Option<Percent>,
    /// Points on the ring of an endpoint of average weight. With 160, ketama clients agree; more spread more evenly.
    #[serde(skip_serializing_if = "is_ketama")]
    pub points: u32,
}

/// Points of an endpoint on the ring of ketama.
pub const KETAMA_POINTS: u32 = 160;

impl Default for Hash {
    fn default() -> Self {
        Self { by: HashKey::default(), bounded_load: None, points: KETAMA_POINTS }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_ketama(points: &u32) -> bool {
    *points == KETAMA_POINTS
}

/// A part of a request that stays the same for the same caller or content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HashKey {
    /// The address of the client; of IPv6 its /64.
    #[default]
    SourceIp,
    /// The path without its query.
    Path,
    /// The fingerprint of the client's certificate.
    ClientCertificate,
    /// The value of this request field.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// The value of this query parameter.
    Query(String),
}

/// Prefers the endpoints of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The zone this weirgate is in.
    pub prefer: String,
    /// While at least this share of the zone's weight is usable, all requests stay in it; below, the rest spills over.
    #[serde(default = "default_enough")]
    pub enough: Percent,
}

fn default_enough() -> Percent {
    Percent(70)
}
