// SPDX-License-Identifier: MIT OR Apache-2.0
//! The audit: the last so many entries, each chained to the one before by a hash, so that one taken out shows.

use super::{Batch, Engine, EngineError, Tree};
use crate::engine::AuditEntry;

/// Entries that are kept.
pub(super) const ENTRIES_MAX: u64 = 10_000;

/// Longest text of one field of an entry.
const TEXT_BYTES_MAX: usize = 4_096;

/// Where the chain stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    next: u64,
    last: String,
}

impl Chain {
    pub(super) fn of(engine: &dyn Engine) -> Result<Self, EngineError> {
        let Some((key, value)) = engine.newest(Tree::Audit, 1)?.pop() else { return Ok(Self::default()) };
        let number = key.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let last = serde_json::from_slice::<AuditEntry>(&value).map(|entry| entry.chain).unwrap_or_default();
        Ok(Self { next: number + 1, last })
    }

    /// Adds an entry and drops the oldest beyond the bound.
    pub(super) fn append(&mut self, mut entry: AuditEntry, engine: &mut dyn Engine) -> Result<(), EngineError> {
        for text in [&mut entry.author, &mut entry.verb, &mut entry.detail, &mut entry.result] {
            shorten(text);
        }
        entry.chain.clear();
        let link = |entry: &AuditEntry| serde_json::to_vec(entry).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.last.as_bytes()).update(&link(&entry));
        entry.chain = hasher.finalize().to_hex().to_string();
        let mut batch = Batch::default();
        batch.put(Tree::Audit, self.next.to_be_bytes(), link(&entry));
        if let Some(old) = self.next.checked_sub(ENTRIES_MAX) {
            batch.delete(Tree::Audit, old.to_be_bytes());
        }
        engine.write(batch)?;
        self.next += 1;
        self.last = entry.chain;
        Ok(())
    }
}

/// The newest entries, newest first.
pub(super) fn newest(engine: &dyn Engine, limit: usize) -> Result<Vec<AuditEntry>, EngineError> {
    let found = engine.newest(Tree::Audit, limit)?;
    Ok(found.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect())
}

/// Cuts a text at a character boundary within the bound.
pub(super) fn shorten(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
}
