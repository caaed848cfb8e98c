// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes in and out of the store, besides models.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Discovery, Endpoint};
use crate::wire::{EndpointHealth, EndpointOverride};

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long sled may take to open before the store goes on without it.
    pub open_timeout: Duration,
    /// Free bytes on the disk below which changes are refused.
    pub free_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { open_timeout: Duration::from_secs(30), free_bytes_min: 64 << 20 }
    }
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The change was made against a revision that is not the last one any more.
    #[error("the running revision is {running}, and the change was made against another")]
    BaseMoved { running: u64 },
    /// There is too little room on the disk.
    #[error("the disk has only {free_bytes} bytes free; make room and try again")]
    DiskFull { free_bytes: u64 },
    /// The system refused to write or read.
    #[error("the store cannot do this: {0}")]
    Io(String),
    #[error("consumer \"{consumer}\" has no key \"{id}\"")]
    NoSuchKey { consumer: String, id: String },
    #[error("{0}")]
    BadKey(String),
    /// The store thread has ended.
    #[error("the store is closed")]
    Closed,
}

/// An override and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRecord {
    pub upstream: String,
    pub address: String,
    pub entry: EndpointOverride,
}

/// The last known health of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    pub upstream: String,
    pub address: String,
    pub health: EndpointHealth,
    pub reason: String,
    pub since_ms: i64,
    /// Until when it is ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_until_ms: Option<i64>,
    /// How many of its ejections lie so close together that they count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ejections: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The last good answer of a source of endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundRecord {
    pub upstream: String,
    pub source: Discovery,
    pub endpoints: Vec<Endpoint>,
    pub time_ms: i64,
}

/// An endpoint that registered itself, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    pub upstream: String,
    pub endpoint: Endpoint,
    pub expires_ms: i64,
    pub owner: String,
}

/// One entry of the audit: who did what, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub time_ms: i64,
    /// Login name and channel.
    pub author: String,
    /// Such as `apply`, `drain`, `key issue`.
    pub verb: String,
    pub detail: String,
    pub result: String,
    /// Fingerprint of this entry and, through it, of all before it. Filled in by the store.
    #[serde(default)]
    pub chain: String,
}
