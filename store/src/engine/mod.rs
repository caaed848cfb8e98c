// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory: what is kept on disk, and how it survives.
//!
//! [`Store`] is the handle; everything behind it happens on one store thread, never on the request path. Two things
//! are written for every revision: a text file, which is the truth about what the revision holds, and records in an
//! `Engine` (sled, or plain memory where sled cannot be opened): the history, the objects of the running revision,
//! issued keys, overrides, health, audit. Issued keys have a text copy too, the append-only `credentials.log`. So
//! either half can be rebuilt from the other, and forwarding starts whatever the state of the disk.
//!
//! `sled` is named in `sled.rs` and nowhere else.

mod audit;

mod codec;

mod credential;

mod failure;

mod keeper;

mod key;

mod keyring;

mod lock;

mod memory;

mod record;

mod recover;

mod revision;

mod sled;

mod store;

mod timeline;

mod traffic;

mod usage;

pub use credential::{CredentialCursor, CredentialPage, CredentialRecord};
pub use failure::{FAILURES_BYTES_MAX, FAILURES_KEPT_MAX};
pub use keeper::REVISIONS_MAX;
pub use key::KEYS_LISTED_MAX;
pub use keyring::Keyring;
pub use lock::Held;
pub use record::{AuditEntry, FoundRecord, HealthRecord, LeaseRecord, Options, OverrideRecord, StoreError};
pub use store::{Store, wait};
pub use timeline::TIMELINE_EVENTS_MAX;
pub use traffic::{CanaryRecord, LEARNED_KEPT_MAX, LearnedRecord};
pub use usage::{UsageBucket, UsageStep};

/// The collections of records. The name on disk ends in the version of its format: a new format is a new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Tree {
    /// A few facts about the store itself.
    Facts,
    /// Number (big-endian) to what the history says of a revision.
    Revisions,
    /// Kind and name to one object of the running revision.
    Objects,
    /// Consumer and hash to an issued key.
    Credentials,
    /// Upstream and address to an override.
    Overrides,
    /// Upstream and address to a state of health.
    Health,
    /// Number (big-endian) to an entry of the audit.
    Audit,
    /// Upstream to the endpoints that were found for it.
    Found,
    /// Upstream and address to an endpoint that registered itself.
    Leases,
    /// Upstream to what became of its endpoints.
    Timeline,
    /// Route to how far its canary got.
    Canaries,
    /// Upstream and number to sessions that were learnt.
    Learned,
    /// Number (big-endian) to a failed exchange.
    Failures,
    /// Length of a step, its start and a number to what consumers used in it.
    Usage,
}

impl Tree {
    const ALL: [Self; 14] = [
        Self::Facts,
        Self::Revisions,
        Self::Objects,
        Self::Credentials,
        Self::Overrides,
        Self::Health,
        Self::Audit,
        Self::Found,
        Self::Leases,
        Self::Timeline,
        Self::Canaries,
        Self::Learned,
        Self::Failures,
        Self::Usage,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Facts => "facts@1",
            Self::Revisions => "revisions@1",
            Self::Objects => "objects@1",
            Self::Credentials => "credentials@1",
            Self::Overrides => "overrides@1",
            Self::Health => "health@1",
            Self::Audit => "audit@1",
            Self::Found => "found@1",
            Self::Leases => "leases@1",
            Self::Timeline => "timeline@1",
            Self::Canaries => "canaries@1",
            Self::Learned => "learned@1",
            Self::Failures => "failures@1",
            Self::Usage => "usage@1",
        }
    }
}

/// Writes that happen together or not at all; the last one to a key counts.
#[derive(Clone, Debug, Default)]
struct Batch(Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    fn put(&mut self, tree: Tree, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.0.push((tree, key.into(), Some(value)));
    }

    fn delete(&mut self, tree: Tree, key: impl Into<Vec<u8>>) {
        self.0.push((tree, key.into(), None));
    }
}

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum EngineError {
    /// What is on disk is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Written by a newer weirgate.
    #[error("written by a newer version of weirgate")]
    Newer,
    /// The system refused.
    #[error("{0}")]
    Refused(String),
}

/// Ordered keys and values in a few trees, with atomic batches. Two implementations: sled and memory.
trait Engine: Send + std::fmt::Debug {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// At most `limit` pairs whose keys begin with `prefix`, in order, after the key `after` if one is given.
    fn scan(&self, tree: Tree, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, EngineError>;

    /// The last `limit` pairs, last first.
    fn newest(&self, tree: Tree, limit: usize) -> Result<Vec<Pair>, EngineError>;

    /// Does all of a batch or nothing of it. Durable only after [`sync`](Self::sync).
    fn write(&mut self, batch: Batch) -> Result<(), EngineError>;

    /// Returns when everything written is on the disk.
    fn sync(&mut self) -> Result<(), EngineError>;
}

#[cfg(test)]
mod tests;
