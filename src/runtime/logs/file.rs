// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log in a file: opened to append, again after it was moved, and begun anew when it is full if that is asked for.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Those who may read a log: the user of weirgate and its group.
const MODE: u32 = 0o640;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// From this size on it begins anew.
    size_max: Option<u64>,
    open: Option<(fs::File, u64)>,
}

/// Whether a file could be appended to, without making it.
pub(super) fn check(path: &str) -> io::Result<()> {
    let path = Path::new(path);
    match fs::OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).map_err(io::Error::from)
        }
        other => other.map(drop),
    }
}

impl File {
    pub(super) fn new(path: &str, size_max: Option<u64>) -> Self {
        Self { path: PathBuf::from(path), size_max, open: None }
    }

    /// Closed until the next write.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Writes from the byte `done` on. What was written before a failure is not written twice.
    pub(super) fn write(&mut self, bytes: &[u8], done: &mut usize) -> io::Result<()> {
        let written = self.append(bytes, done);
        if written.is_err() {
            self.close();
        }
        written
    }

    fn append(&mut self, bytes: &[u8], done: &mut usize) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.opened()?,
        };
        while let Some(rest) = bytes.get(*done..).filter(|rest| !rest.is_empty()) {
            match open.0.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => (*done, open.1) = (*done + count, open.1 + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.size_max.is_some_and(|most| open.1 >= most) {
            drop(open);
            return self.begin_anew();
        }
        self.open = Some(open);
        Ok(())
    }

    fn opened(&self) -> io::Result<(fs::File, u64)> {
        let file = fs::OpenOptions::new().append(true).create(true).mode(MODE).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        fs::rename(&self.path, old)
    }
}
