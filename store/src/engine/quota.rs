// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of each quota is used. It is no configuration, so it is in no revision, and a rollback gives nothing back.
//!
//! Counters come and go in blocks, each one value: those of one quota whose keys fall into the same part of its table.
//! So what is kept is as bounded as the table itself. Keys are keyed hashes: neither addresses nor header values.

use super::store::io;
use super::{Batch, Store, StoreError, Tree};

/// Bytes of one counter: its key and its state.
const COUNT_BYTES: usize = 8 + 8;

/// Blocks that are read at a time.
const BLOCKS_READ: usize = 10_000;

/// Counters of one quota that are kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaBlock {
    /// Which quota; without a zero byte.
    pub owner: String,
    pub block: u32,
    /// Key and state of each; a block without any is forgotten.
    pub counts: Vec<(u64, u64)>,
}

impl Store {
    /// Remembers these blocks in place of what they were, all of them or none. Acknowledged when they are on the disk.
    pub async fn put_quotas(&self, blocks: &[QuotaBlock]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for QuotaBlock { owner, block, counts } in blocks {
            let key = [owner.as_bytes(), &[0], &block.to_be_bytes()].concat();
            if counts.is_empty() {
                batch.delete(Tree::Quotas, key);
            } else {
                let bytes = |(key, state): &(u64, u64)| key.to_le_bytes().into_iter().chain(state.to_le_bytes());
                batch.put(Tree::Quotas, key, counts.iter().flat_map(bytes).collect());
            }
        }
        self.write(batch).await
    }

    /// Every block that is kept.
    pub async fn quotas(&self) -> Result<Vec<QuotaBlock>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let from = after.take();
            let page = self
                .call(move |keeper| keeper.engine.scan(Tree::Quotas, &[], from.as_deref(), BLOCKS_READ).map_err(io))
                .await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = Some(last.clone());
            all.extend(page.iter().filter_map(|(key, value)| block_of(key, value)));
        }
    }
}

fn block_of(key: &[u8], value: &[u8]) -> Option<QuotaBlock> {
    let (rest, block) = key.split_last_chunk::<4>()?;
    let owner = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?.to_owned();
    let count = |bytes: &[u8]| {
        let (key, state) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*key), u64::from_le_bytes(*state.first_chunk()?)))
    };
    let counts = value.chunks_exact(COUNT_BYTES).filter_map(count).collect();
    Some(QuotaBlock { owner, block: u32::from_be_bytes(*block), counts })
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use super::QuotaBlock;

    #[test]
    fn counts_survive_a_restart_block_by_block() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let block = |owner: &str, block: u32, counts: &[(u64, u64)]| QuotaBlock {
            owner: owner.to_owned(),
            block,
            counts: counts.to_vec(),
        };
        let store = Store::open(dir.path(), Options::default());
        let first = [block("policy/a", 0, &[(1, 2), (3, u64::MAX)]), block("policy/a", 256, &[(5, 6)])];
        wait(store.put_quotas(&first)).expect("they are kept");
        wait(store.put_quotas(&[block("policy/ab", 0, &[(7, 8)]), block("gone", 1, &[(9, 9)])])).expect("kept");
        wait(store.put_quotas(&[block("policy/a", 0, &[(1, 3)]), block("gone", 1, &[])])).expect("they are kept");
        store.close();
        let store = Store::open(dir.path(), Options::default());
        let want =
            [block("policy/a", 0, &[(1, 3)]), block("policy/a", 256, &[(5, 6)]), block("policy/ab", 0, &[(7, 8)])];
        assert_eq!(wait(store.quotas()).expect("they are read"), want);
        store.close();
    }
}
