// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text copies of revisions: one file each, the truth about what a revision holds.
//!
//! A file is the canonical TOML under three comment lines: its name, what the history says of it, and a checksum of
//! everything after. It is written to a temporary file, synced, renamed, and the directory synced, so a file under
//! its final name is whole; one that is not was damaged later and is passed over.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::keyring::{make_dir, write_durably};
use crate::model::Model;
use crate::parse::parse_toml;
use crate::text::to_toml;
use crate::wire::RevisionInfo;

/// Longest line of what the history says: a comment is the only long thing in it.
const INFO_BYTES_MAX: usize = 64 << 10;

const TITLE: &str = "# weirgate revision ";
const CHECKSUM: &str = "# blake3 ";

/// The directory of text copies.
#[derive(Clone, Debug)]
pub(super) struct Copies(PathBuf);

impl Copies {
    /// The copies in a state directory; temporary files of an interrupted write are removed.
    pub(super) fn open(state: &Path) -> std::io::Result<Self> {
        let dir = state.join("revisions");
        make_dir(&dir)?;
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(Self(dir))
    }

    /// The copies in a directory that can perhaps only be read.
    pub(super) fn read_only(state: &Path) -> Self {
        Self(state.join("revisions"))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:06}.toml"))
    }

    /// The numbers of all copies, ascending.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let number = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".toml")?.parse().ok()
        };
        let mut numbers: Vec<u64> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn write(&self, info: &RevisionInfo, model: &Model) -> std::io::Result<()> {
        let body = to_toml(model);
        let about = serde_json::to_string(info)?;
        let sum = checksum(&about, &body);
        let text = format!("{TITLE}{}\n# {about}\n{CHECKSUM}{sum}\n\n{body}", info.number);
        write_durably(&self.path(info.number), text.as_bytes())
    }

    /// What a copy says about itself, without reading the rest.
    pub(super) fn info(&self, number: u64) -> Option<RevisionInfo> {
        let file = File::open(self.path(number)).ok()?;
        let mut lines = BufReader::new(std::io::Read::take(file, INFO_BYTES_MAX as u64)).lines();
        lines.next()?.ok()?.strip_prefix(TITLE)?;
        let info: RevisionInfo = serde_json::from_str(lines.next()?.ok()?.strip_prefix("# ")?).ok()?;
        (info.number == number).then_some(info)
    }

    /// A copy as a whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, number: u64) -> Result<(RevisionInfo, Model), String> {
        let text = std::fs::read_to_string(self.path(number)).map_err(|error| error.to_string())?;
        let broken = || format!("revision {number} is damaged");
        let (title, rest) = text.split_once('\n').ok_or_else(broken)?;
        let (about, rest) = rest.split_once('\n').ok_or_else(broken)?;
        let (sum, rest) = rest.split_once('\n').ok_or_else(broken)?;
        let body = rest.strip_prefix('\n').ok_or_else(broken)?;
        let about = about.strip_prefix("# ").ok_or_else(broken)?;
        if !title.starts_with(TITLE) || sum.strip_prefix(CHECKSUM) != Some(checksum(about, body).as_str()) {
            return Err(broken());
        }
        let info: RevisionInfo = serde_json::from_str(about).map_err(|_| broken())?;
        let model = parse_toml(body).map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.as_str()).unwrap_or_default();
            format!("revision {number} cannot be read by this version: {first}")
        })?;
        if info.number == number { Ok((info, model)) } else { Err(broken()) }
    }

    pub(super) fn remove(&self, number: u64) -> std::io::Result<()> {
        std::fs::remove_file(self.path(number))
    }
}

fn checksum(about: &str, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(about.as_bytes()).update(b"\n").update(body.as_bytes());
    hasher.finalize().to_hex().to_string()
}
