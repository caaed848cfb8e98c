// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine without a disk: what runs when sled cannot, and what the model check holds sled against.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Batch, Engine, EngineError, Pair, Tree};

/// Records in memory; all gone when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<(Tree, Vec<u8>), Vec<u8>>);

impl Engine for Memory {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.get(&(tree, key.to_vec())).cloned())
    }

    fn scan(&self, tree: Tree, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, EngineError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((tree, after.to_vec())),
            _ => Bound::Included((tree, prefix.to_vec())),
        };
        let found = self.0.range((start, Bound::Unbounded));
        let found = found.take_while(|((at, key), _)| *at == tree && key.starts_with(prefix));
        Ok(found.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn newest(&self, tree: Tree, limit: usize) -> Result<Vec<Pair>, EngineError> {
        let found = self.0.range((tree, Vec::new())..).take_while(|((at, _), _)| *at == tree);
        let mut pairs: Vec<Pair> = found.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        pairs.reverse();
        pairs.truncate(limit);
        Ok(pairs)
    }

    fn write(&mut self, batch: Batch) -> Result<(), EngineError> {
        for (tree, key, value) in batch.0 {
            match value {
                Some(value) => drop(self.0.insert((tree, key), value)),
                None => drop(self.0.remove(&(tree, key))),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
