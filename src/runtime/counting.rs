// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps what is used of quotas: what changed is written every few seconds, in one batch, and at the end.
//!
//! A crash forgets what was counted since the last time, never more; so a quota may be exceeded by what was let through
//! in that time and no further.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::{QuotaBlock, Store};

use super::appliance::Gateway;

/// How often what changed is written: the most that a crash forgets.
pub const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Keeps what is used of quotas, for ever.
pub(super) async fn keep_counts(gateway: Arc<Gateway>, store: Store) {
    let mut kept: HashSet<(String, u32)> = match store.quotas().await {
        Ok(blocks) => blocks.into_iter().map(|block| (block.owner, block.block)).collect(),
        Err(_) => HashSet::new(),
    };
    let mut ticks = tokio::time::interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let written = keep_counts_now(&gateway, &store).await;
        kept.extend(written);
        forget(&gateway, &store, &mut kept).await;
    }
}

/// Writes what is used now; the blocks that were written.
pub(super) async fn keep_counts_now(gateway: &Gateway, store: &Store) -> Vec<(String, u32)> {
    let blocks = gateway.take_counts();
    if blocks.is_empty() {
        return Vec::new();
    }
    if let Err(error) = store.put_quotas(&blocks).await {
        tracing::error!("what is used of quotas cannot be kept; a crash would forget it: {error}");
        gateway.keep_counts_again(&blocks);
        return Vec::new();
    }
    blocks.into_iter().filter(|block| !block.counts.is_empty()).map(|block| (block.owner, block.block)).collect()
}

/// Removes what belongs to quotas and consumers that are gone.
async fn forget(gateway: &Gateway, store: &Store, kept: &mut HashSet<(String, u32)>) {
    let is_gone = |(owner, block): &&(String, u32)| !gateway.needs_block(owner, *block);
    let gone: Vec<_> = kept.iter().filter(is_gone).cloned().collect();
    if gone.is_empty() {
        return;
    }
    let block = |(owner, block): &(String, u32)| QuotaBlock { owner: owner.clone(), block: *block, counts: Vec::new() };
    match store.put_quotas(&gone.iter().map(block).collect::<Vec<_>>()).await {
        Ok(()) => gone.iter().for_each(|gone| _ = kept.remove(gone)),
        Err(error) => tracing::error!("what is kept of quotas that are gone cannot be removed: {error}"),
    }
}
