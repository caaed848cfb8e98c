// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks that were not kind: every state must open, with the newest whole revision, and say what happened.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{append, model, open, running};
use crate::engine::keeper::Keeper;
use crate::engine::memory::Memory;
use crate::engine::{Batch, Engine, EngineError, Pair, Store, StoreError, Tree, wait};
use crate::wire::StoreHealth;

/// A directory with five revisions and a key.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    (0..5).for_each(|base| assert_eq!(append(&store, base), base + 1));
    wait(store.issue_key(&"alice".parse().expect("a name"), "", None, 1)).expect("it is kept");
    store.close();
    dir
}

/// Everything acknowledged is there, and the store takes the next change.
#[track_caller]
fn whole(dir: &Path, row: &str) -> Store {
    let store = open(dir);
    let (info, now) = wait(store.running()).expect("the store answers");
    assert_eq!((info.number, now), (5, model(5)), "row {row}: {:?}", store.status());
    let keys = wait(store.keys(&"alice".parse().expect("a name")));
    assert_eq!(keys.map(|keys| keys.len()), Ok(1), "row {row}: {:?}", store.status());
    assert_eq!(append(&store, 5), 6, "row {row}");
    store
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn a_truncated_or_garbled_sled_is_survived() {
    let garble = |bytes: &mut Vec<u8>, seed: u64| {
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20 {
            let at = random.usize(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.u32(0..8);
            }
        }
    };
    for seed in 0..6 {
        let dir = filled();
        for path in files(&dir.path().join("sled")) {
            let mut bytes = std::fs::read(&path).expect("it can be read");
            match seed {
                0 => bytes.clear(),
                1 => bytes.truncate(bytes.len() / 2),
                2 => bytes.truncate(bytes.len().saturating_sub(7)),
                3 => bytes.fill(0xa5),
                seed => garble(&mut bytes, seed),
            }
            std::fs::write(&path, bytes).expect("it can be written");
        }
        whole(dir.path(), &format!("seed {seed}")).close();
    }
}

#[test]
fn a_leftover_of_an_interrupted_start_is_removed() {
    let dir = filled();
    std::fs::write(dir.path().join("sled/snap.0000000000000001.generating"), b"half").expect("it can be written");
    let store = whole(dir.path(), "leftover");
    assert_eq!(store.status().health, StoreHealth::Ok);
    assert!(store.status().message.contains("interrupted start"), "{:?}", store.status());
    store.close();
    let kept = std::fs::read_dir(dir.path()).expect("it is there").flatten();
    assert_eq!(kept.filter(|e| e.file_name().to_string_lossy().starts_with("sled.damaged-")).count(), 1);
}

#[test]
fn a_sled_that_is_no_directory_is_replaced() {
    let dir = filled();
    std::fs::remove_dir_all(dir.path().join("sled")).expect("it is there");
    std::fs::write(dir.path().join("sled"), b"not a directory").expect("it can be written");
    whole(dir.path(), "a file").close();
}

#[test]
fn a_damaged_text_copy_is_made_anew_from_the_records() {
    let dir = filled();
    let copy = dir.path().join("revisions/000005.toml");
    let text = std::fs::read_to_string(&copy).expect("it is there");
    std::fs::write(&copy, text.replace("priority = 5", "priority = 6")).expect("it can be written");
    whole(dir.path(), "one copy damaged").close();
    assert_eq!(std::fs::read_to_string(&copy).expect("it is there"), text);
}

#[test]
fn where_both_halves_of_the_newest_are_lost_the_one_before_runs() {
    let dir = filled();
    std::fs::remove_dir_all(dir.path().join("sled")).expect("it is there");
    std::fs::write(dir.path().join("revisions/000005.toml"), b"# weirgate revision 5\n").expect("it can be written");
    let store = open(dir.path());
    assert_eq!(running(&store), 4);
    assert_eq!(append(&store, 4), 5);
    store.close();
    assert_eq!(running(&open(dir.path())), 5);
}

#[test]
fn a_torn_or_damaged_line_of_the_credentials_log_costs_only_itself() {
    let dir = filled();
    let log = dir.path().join("credentials.log");
    let text = std::fs::read_to_string(&log).expect("it is there");
    std::fs::write(&log, format!("{text}+\t00\tno line\n{text}+\t12")).expect("it can be written");
    whole(dir.path(), "torn").close();
    assert!(std::fs::read_to_string(&log).expect("it is there").ends_with('\n'));
    std::fs::write(&log, "nonsense").expect("it can be written");
    whole_again(dir.path());
}

/// As after [`whole`]: one more revision, the same key.
fn whole_again(dir: &Path) {
    let store = open(dir);
    assert_eq!(running(&store), 6);
    let keys = wait(store.keys(&"alice".parse().expect("a name")));
    assert_eq!(keys.map(|keys| keys.len()), Ok(1), "{:?}", store.status());
    store.close();
}

#[test]
fn temporary_files_of_an_interrupted_write_are_removed() {
    let dir = filled();
    let leftover = dir.path().join("revisions/000006.tmp");
    std::fs::write(&leftover, b"half").expect("it can be written");
    whole(dir.path(), "temporary").close();
    assert!(!leftover.exists());
}

#[test]
fn where_nothing_can_be_written_it_runs_from_memory_and_says_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("state");
    std::fs::write(&file, b"a file where a directory should be").expect("it can be written");
    let store = open(&file);
    assert_eq!(store.status().health, StoreHealth::Failed);
    assert!(store.status().message.contains("cannot be used"), "{:?}", store.status());
    assert_eq!(append(&store, 0), 1);
    assert_eq!(wait(store.running()).map(|(_, now)| now), Ok(model(1)));
    let refused = wait(store.issue_key(&"alice".parse().expect("a name"), "", None, 1));
    assert!(matches!(refused, Err(StoreError::Io(_))));
    store.close();
}

#[test]
fn a_change_that_cannot_be_written_changes_nothing() {
    let dir = filled();
    let store = open(dir.path());
    // A directory in the way of the temporary file stops even root, whom no permission stops.
    let obstacle = dir.path().join("revisions/000006.tmp");
    std::fs::create_dir(&obstacle).expect("it can be made");
    let refused = wait(store.append(5, Arc::new(crate::model::Model::default()), "ana", "", 1));
    assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
    assert_eq!(running(&store), 5);
    std::fs::remove_dir(&obstacle).expect("it is there");
    assert_eq!(append(&store, 5), 6);
    store.close();
    let mode = std::fs::metadata(dir.path().join("revisions/000006.toml")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_full_disk_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = crate::engine::Options { free_bytes_min: u64::MAX, ..Default::default() };
    let store = Store::open(dir.path(), options);
    let refused = wait(store.append(0, model(1), "ana", "", 1));
    assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
    assert_eq!(running(&store), 0);
    store.close();
}

/// An engine that fails as sled does when the disk is full: from one moment on, whatever it is asked to write.
#[derive(Debug, Default)]
struct Failing(Memory);

impl Engine for Failing {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.0.get(tree, key)
    }

    fn scan(&self, tree: Tree, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, EngineError> {
        self.0.scan(tree, prefix, after, limit)
    }

    fn newest(&self, tree: Tree, limit: usize) -> Result<Vec<Pair>, EngineError> {
        self.0.newest(tree, limit)
    }

    fn write(&mut self, _: Batch) -> Result<(), EngineError> {
        Err(EngineError::Refused("no space left on device".to_owned()))
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

#[test]
fn an_engine_that_fails_is_opened_again_and_nothing_acknowledged_is_lost() {
    let dir = filled();
    let alice = "alice".parse().expect("a name");
    let fail = |store: &Store| {
        let failing = |keeper: &mut Keeper| {
            keeper.engine = Box::new(Failing::default());
            Ok(())
        };
        wait(store.call(failing)).expect("the store answers");
    };
    let store = open(dir.path());
    fail(&store);
    assert_eq!(append(&store, 5), 6);
    let status = store.status();
    assert!(status.health == StoreHealth::Ok && status.message.contains("no space left"), "{status:?}");
    fail(&store);
    let issued = wait(store.issue_key(&alice, "", None, 1)).expect("the log has it");
    let listed = wait(store.keys(&alice)).expect("the store answers");
    assert!(listed.len() == 2 && listed.contains(&issued.key), "{listed:?}");
    store.close();
    let store = open(dir.path());
    assert_eq!((running(&store), wait(store.keys(&alice)).map(|keys| keys.len())), (6, Ok(2)));
    store.close();
}
