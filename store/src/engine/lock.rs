// SPDX-License-Identifier: MIT OR Apache-2.0
//! One process holds a state directory. The lock belongs to the open file, so it goes with the process however that
//! ends; the number in the file only serves the message to the second one.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Another process holds the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its process id, if it could be read.
    pub pid: Option<u32>,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "another weirgate, process {pid}, uses this state directory"),
            None => f.write_str("another weirgate uses this state directory"),
        }
    }
}

/// Why a directory was not locked.
#[derive(Debug)]
pub(super) enum NotLocked {
    Held(Held),
    Io(std::io::Error),
}

/// Holds the directory until it is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock(#[expect(dead_code, reason = "dropping the file releases the lock")] File);

impl DirectoryLock {
    pub(super) fn take(dir: &Path) -> Result<Self, NotLocked> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(dir.join("lock")).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // A lock without a readable number is still a lock.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(NotLocked::Held(Held { pid }));
            }
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(NotLocked::Io)?;
        Ok(Self(file))
    }
}
