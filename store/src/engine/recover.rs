// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening sled whatever has happened to it: the ladder of guard rails.
//!
//! Open; if that fails, copy the directory aside, remove the leftovers of an interrupted start (`snap.*.generating`,
//! which stop every later open) and try again; if that fails too, move it away and begin anew, to be filled from the
//! text copies. Where the system itself refuses, or a newer weirgate wrote the files, nothing is touched and the
//! records live in memory. Nothing here can fail, and nothing here takes longer than its time.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::memory::Memory;
use super::sled::{LOCKED, Sled};
use super::{Engine, EngineError, Tree};

/// Damaged directories that are kept to be looked at.
const DAMAGED_KEPT: usize = 2;

/// Tries while another handle has not let go of its lock yet.
const LOCK_TRIES: u32 = 100;

/// Between two of them.
const LOCK_PAUSE: Duration = Duration::from_millis(30);

/// Records that are read to see whether an open sled is sound; credentials are too many for that.
const PROBED: usize = 2_000;

/// An engine, and how it came to be.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) engine: Box<dyn Engine>,
    pub(super) outcome: Outcome,
}

/// How opening went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine,
    /// Opened after leftovers were removed.
    Repaired(String),
    /// Empty, because what was there could not be read.
    Anew(String),
    /// In memory, because there is no sled.
    Without(String),
}

/// Opens the engine of a state directory.
pub(super) fn open(state: &Path, timeout: Duration) -> Opened {
    let dir = state.join("sled");
    let first = match attempt(&dir, timeout) {
        Ok(engine) => return Opened { engine: Box::new(engine), outcome: Outcome::Fine },
        Err(error) => error,
    };
    if !matches!(first, EngineError::Damaged(_)) {
        return without(&first.to_string());
    }
    tracing::error!(error = %first, "the store cannot be opened; trying to repair it");
    let aside = set_aside(state, &dir);
    if remove_leftovers(&dir) > 0
        && let Ok(engine) = attempt(&dir, timeout)
    {
        let text = format!("removed what an interrupted start had left ({first})");
        return Opened { engine: Box::new(engine), outcome: Outcome::Repaired(text) };
    }
    let anew =
        remove(&dir).and_then(|()| attempt(&dir, timeout).map_err(|error| std::io::Error::other(error.to_string())));
    match anew {
        Ok(engine) => {
            let kept =
                aside.map_or_else(String::new, |aside| format!("; the damaged files are in {}", aside.display()));
            Opened { engine: Box::new(engine), outcome: Outcome::Anew(format!("{first}{kept}")) }
        }
        Err(error) => without(&format!("{first}; and a new one cannot be made: {error}")),
    }
}

pub(super) fn without(why: &str) -> Opened {
    Opened { engine: Box::new(Memory::default()), outcome: Outcome::Without(why.to_owned()) }
}

/// Opens on a thread of its own: sled may hang, and what it panics with must not end ours.
fn attempt(dir: &Path, timeout: Duration) -> Result<Sled, EngineError> {
    for _ in 0..LOCK_TRIES {
        match attempt_once(dir, timeout) {
            Err(EngineError::Refused(text)) if text.contains(LOCKED) => std::thread::sleep(LOCK_PAUSE),
            done => return done,
        }
    }
    Err(EngineError::Refused("another process holds the store".to_owned()))
}

fn attempt_once(dir: &Path, timeout: Duration) -> Result<Sled, EngineError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let path = dir.to_owned();
    let work = move || {
        let opened = Sled::open(&path).and_then(|engine| probe(&engine).map(|()| engine));
        // Nobody listens any more after the timeout; then the engine is dropped here.
        drop(sender.send(opened));
    };
    let thread = std::thread::Builder::new().name("store-open".to_owned()).spawn(work);
    thread.map_err(|error| EngineError::Refused(error.to_string()))?;
    receiver
        .recv_timeout(timeout)
        .unwrap_or_else(|_| Err(EngineError::Refused(format!("it did not open within {} seconds", timeout.as_secs()))))
}

/// An open sled can still be damaged further in: read what start-up will read.
fn probe(engine: &Sled) -> Result<(), EngineError> {
    for tree in Tree::ALL {
        engine.scan(tree, &[], None, PROBED)?;
        engine.newest(tree, 1)?;
    }
    Ok(())
}

/// Copies the damaged directory beside itself, and forgets the oldest such copies.
fn set_aside(state: &Path, dir: &Path) -> Option<PathBuf> {
    let mut kept: Vec<PathBuf> = std::fs::read_dir(state)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sled.damaged-")))
        .collect();
    kept.sort_unstable();
    while kept.len() >= DAMAGED_KEPT {
        if let Err(error) = std::fs::remove_dir_all(kept.remove(0)) {
            tracing::warn!(%error, "an old damaged store cannot be removed");
        }
    }
    let aside = state.join(format!("sled.damaged-{:013}", crate::clock::wall_ms()));
    match copy(dir, &aside) {
        Ok(()) => Some(aside),
        Err(error) => {
            tracing::warn!(%error, "the damaged store cannot be copied aside");
            None
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn remove_leftovers(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let leftover = |name: &str| name.starts_with("snap.") && name.ends_with(".generating");
    let leftovers = entries.filter(|entry| leftover(&entry.file_name().to_string_lossy()));
    leftovers.filter(|entry| std::fs::remove_file(entry.path()).is_ok()).count()
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(dir) {
        Ok(about) if about.is_dir() => std::fs::remove_dir_all(dir),
        Ok(_) => std::fs::remove_file(dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
