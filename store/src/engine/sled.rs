// SPDX-License-Identifier: MIT OR Apache-2.0
//! sled behind the [`Engine`] interface, with a guard rail for each of its known limits.
//!
//! Its `flush` does not reach the platter, so [`sync`](Engine::sync) also fsyncs the file and its directory. It can
//! panic where it should fail, so every call is caught. It leaks values that are written as blobs, so a large value
//! is cut into parts. An error of its own is sticky until it is opened again, so the keeper opens it again.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::Transactional as _;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::codec::{self, Framed, PAYLOAD_BYTES_MAX};
use super::{Batch, Engine, EngineError, Pair, Tree};

/// Memory for pages; sled's own default is 1 GiB. It counts bytes on disk, and a page takes several times that in
/// memory: with a million keys the process holds 94 MiB at 8, and 150 MiB at 32, where reading is no faster.
const CACHE_BYTES: u64 = 8 << 20;

/// Parts of values that are too large for one.
const PARTS: &str = "parts@1";

/// Most parts of one value: 8 MiB.
const PARTS_MAX: u32 = 128;

/// An open sled.
pub(super) struct Sled {
    dir: PathBuf,
    db: sled::Db,
    trees: Vec<sled::Tree>,
    parts: sled::Tree,
}

impl std::fmt::Debug for Sled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sled").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Sled {
    /// Opens or makes the directory. May take long and may panic inside: the caller gives it a thread of its own.
    pub(super) fn open(dir: &Path) -> Result<Self, EngineError> {
        caught(|| {
            let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).mode(sled::Mode::LowSpace);
            let db = config.open().map_err(refused)?;
            let trees = Tree::ALL.into_iter().map(|tree| db.open_tree(tree.name()).map_err(refused));
            let trees = trees.collect::<Result<Vec<_>, _>>()?;
            let parts = db.open_tree(PARTS).map_err(refused)?;
            Ok(Self { dir: dir.to_owned(), db, trees, parts })
        })
    }

    fn tree(&self, tree: Tree) -> Result<&sled::Tree, EngineError> {
        self.trees.get(tree as usize).ok_or_else(|| EngineError::Refused("a tree is not open".to_owned()))
    }

    /// The payload of a value, put together if it is in parts.
    fn payload(&self, tree: Tree, key: &[u8], framed: &[u8]) -> Result<Vec<u8>, EngineError> {
        let count = match codec::open(framed)? {
            Framed::Whole(payload) => return Ok(payload.to_vec()),
            Framed::Parts(count) if count <= PARTS_MAX => count,
            Framed::Parts(_) => return Err(EngineError::Damaged("a value has too many parts".to_owned())),
        };
        let mut payload = Vec::new();
        for index in 0..count {
            let part = self.parts.get(part_key(tree, key, index)).map_err(refused)?;
            let part = part.ok_or_else(|| EngineError::Damaged("a part of a value is missing".to_owned()))?;
            match codec::open(&part)? {
                Framed::Whole(bytes) => payload.extend_from_slice(bytes),
                Framed::Parts(_) => return Err(EngineError::Damaged("a part of a value is none".to_owned())),
            }
        }
        Ok(payload)
    }

    fn pairs(
        &self,
        tree: Tree,
        found: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Result<Vec<Pair>, EngineError> {
        found
            .map(|pair| {
                let (key, framed) = pair.map_err(refused)?;
                Ok((key.to_vec(), self.payload(tree, &key, &framed)?))
            })
            .collect()
    }

    /// Adds one write to the batches of its tree and of the parts.
    fn stage(&self, staged: &mut Staged, tree: Tree, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        // Parts of an old value must not stay behind. A credential is never large, and reading before each of a
        // million would cost.
        if tree != Tree::Credentials {
            let old = self.tree(tree)?.get(key).map_err(refused)?;
            if let Some(Framed::Parts(count)) = old.as_deref().and_then(|old| codec::open(old).ok()) {
                (0..count.min(PARTS_MAX)).for_each(|index| staged.parts.remove(part_key(tree, key, index)));
                staged.parts_used = true;
            }
        }
        let batch = staged.of(tree);
        let Some(value) = value else {
            batch.remove(key);
            return Ok(());
        };
        if value.len() <= PAYLOAD_BYTES_MAX {
            batch.insert(key, codec::whole(value));
            return Ok(());
        }
        let count = u32::try_from(value.chunks(PAYLOAD_BYTES_MAX).count()).unwrap_or(u32::MAX);
        if count > PARTS_MAX {
            return Err(EngineError::Refused(format!("a value of {} bytes is too large", value.len())));
        }
        batch.insert(key, codec::parts(count));
        for (index, part) in (0..count).zip(value.chunks(PAYLOAD_BYTES_MAX)) {
            staged.parts.insert(part_key(tree, key, index), codec::whole(part));
        }
        staged.parts_used = true;
        Ok(())
    }
}

/// Batches by tree, in the order they were first used.
#[derive(Default)]
struct Staged {
    batches: Vec<(Tree, sled::Batch)>,
    parts: sled::Batch,
    parts_used: bool,
}

impl Staged {
    fn of(&mut self, tree: Tree) -> &mut sled::Batch {
        let at = self.batches.iter().position(|(known, _)| *known == tree);
        let at = at.unwrap_or_else(|| {
            self.batches.push((tree, sled::Batch::default()));
            self.batches.len() - 1
        });
        &mut self.batches.get_mut(at).expect("it was found or pushed just now").1
    }
}

impl Engine for Sled {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        caught(|| match self.tree(tree)?.get(key).map_err(refused)? {
            Some(framed) => self.payload(tree, key, &framed).map(Some),
            None => Ok(None),
        })
    }

    fn scan(&self, tree: Tree, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, EngineError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        caught(|| {
            let start = match after {
                Some(after) if after >= prefix => Excluded(after),
                _ => Included(prefix),
            };
            let found = self.tree(tree)?.range::<&[u8], _>((start, Unbounded));
            let inside = |pair: &sled::Result<(sled::IVec, sled::IVec)>| match pair {
                Ok((key, _)) => key.starts_with(prefix),
                Err(_) => true,
            };
            self.pairs(tree, found.take_while(inside).take(limit))
        })
    }

    fn newest(&self, tree: Tree, limit: usize) -> Result<Vec<Pair>, EngineError> {
        caught(|| self.pairs(tree, self.tree(tree)?.iter().rev().take(limit)))
    }

    fn write(&mut self, batch: Batch) -> Result<(), EngineError> {
        // sled's transaction over no tree indexes into nothing and panics.
        if batch.0.is_empty() {
            return Ok(());
        }
        caught(|| {
            let mut staged = Staged::default();
            for (tree, key, value) in &batch.0 {
                self.stage(&mut staged, *tree, key, value.as_deref())?;
            }
            let mut trees = Vec::new();
            let mut batches = Vec::new();
            if staged.parts_used {
                trees.push(self.parts.clone());
                batches.push(staged.parts);
            }
            for (tree, batch) in staged.batches {
                trees.push(self.tree(tree)?.clone());
                batches.push(batch);
            }
            if let ([tree], [_]) = (trees.as_slice(), batches.as_slice()) {
                return batches.into_iter().try_for_each(|batch| tree.apply_batch(batch).map_err(refused));
            }
            let done = trees.as_slice().transaction(|views| {
                for (view, batch) in views.iter().zip(&batches) {
                    view.apply_batch(batch)?;
                }
                Ok::<_, ConflictableTransactionError<()>>(())
            });
            done.map_err(|error| match error {
                TransactionError::Storage(error) => refused(error),
                TransactionError::Abort(()) => EngineError::Refused("a transaction was given up".to_owned()),
            })
        })
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        caught(|| {
            self.db.flush().map_err(refused)?;
            let io = |error: std::io::Error| EngineError::Refused(error.to_string());
            File::open(self.dir.join("db")).and_then(|file| file.sync_all()).map_err(io)?;
            File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io)
        })
    }
}

fn part_key(tree: Tree, key: &[u8], index: u32) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    let mut name = vec![tree as u8];
    name.extend_from_slice(&length.to_be_bytes());
    name.extend_from_slice(key);
    name.extend_from_slice(&index.to_be_bytes());
    name
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn refused(error: sled::Error) -> EngineError {
    match error {
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => EngineError::Damaged(error.to_string()),
        // What the system refuses is not damage. Any other I/O error is: a file cut short reads as one.
        sled::Error::Io(ref io) if is_refusal(io) => EngineError::Refused(error.to_string()),
        sled::Error::Io(_) => EngineError::Damaged(error.to_string()),
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) => EngineError::Refused(error.to_string()),
    }
}

fn is_refusal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let refusal = matches!(error.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull);
    refusal || error.to_string().contains(LOCKED)
}

/// What sled says while another open one has not let go of the directory yet.
pub(super) const LOCKED: &str = "could not acquire lock";

/// A panic inside sled is damage like any other.
fn caught<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Err(EngineError::Damaged(format!("sled gave up: {text}")))
    })
}
