// SPDX-License-Identifier: MIT OR Apache-2.0
//! Issued keys: facts about the world that no rollback takes back.
//!
//! The truth is `credentials.log`, to which every issue and every revocation is appended and synced before it is
//! acknowledged. The engine holds the same as records that can be looked up; it remembers how much of the log it has
//! taken in, and takes in the rest when it is opened. No secret is written anywhere, only its keyed hash.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keyring::{hex, random, unhex};
use super::{Batch, Engine, EngineError, Tree};
use crate::model::Name;
use crate::wire::KeyInfo;

/// Records in one batch or page: what is in memory at once, out of any number.
pub(super) const PAGE: usize = 1_000;

/// The log is rewritten when it has more than twice as many lines as there are keys, and this many more.
const LOG_SLACK_LINES: u64 = 1_000;

/// Hexadecimal digits of a hash that name a key.
pub(super) const ID_DIGITS: usize = 16;

/// Longest line of the log.
const LINE_BYTES_MAX: u64 = 4_096;

const TITLE: &str = "# weirgate credentials ";
const FACT: &[u8] = b"credentials";

/// One issued key, as the request path needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    pub hash: [u8; 32],
    pub consumer: Name,
    pub expires_ms: Option<i64>,
}

/// Where a page of credentials ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialCursor(pub(super) Vec<u8>);

/// Some of all credentials, and where to go on; no cursor at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialPage {
    pub records: Vec<CredentialRecord>,
    pub next: Option<CredentialCursor>,
}

/// An issued key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) consumer: Name,
    pub(super) hash: [u8; 32],
    pub(super) about: About,
}

/// What is known of a key besides its hash and its consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About(pub(super) String, pub(super) i64, pub(super) Option<i64>, pub(super) String);

impl Kept {
    pub(super) fn info(&self) -> KeyInfo {
        let About(prefix, created_ms, expires_ms, comment) = self.about.clone();
        let id = hex(&self.hash).chars().take(ID_DIGITS).collect();
        KeyInfo {
            id,
            consumer: self.consumer.to_string(),
            prefix,
            created_ms,
            expires_ms,
            comment,
            declared: false,
            last_used_ms: None,
        }
    }

    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = owner(&self.consumer);
        key.extend_from_slice(&self.hash);
        key
    }

    pub(super) fn of((key, value): &(Vec<u8>, Vec<u8>)) -> Result<Self, EngineError> {
        let damaged = || EngineError::Damaged("a credential cannot be read".to_owned());
        let end = key.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
        let (consumer, hash) = key.split_at_checked(end).ok_or_else(damaged)?;
        let consumer = std::str::from_utf8(consumer).ok().and_then(|name| name.parse().ok()).ok_or_else(damaged)?;
        let hash = hash.get(1..).and_then(|hash| hash.try_into().ok()).ok_or_else(damaged)?;
        let about = serde_json::from_slice(value).map_err(|_| damaged())?;
        Ok(Self { consumer, hash, about })
    }
}

/// What all keys of a consumer begin with. A name holds no zero byte.
pub(super) fn owner(consumer: &Name) -> Vec<u8> {
    let mut key = consumer.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Issued(Kept),
    Revoked(Kept),
}

impl Entry {
    fn kept(&self) -> &Kept {
        match self {
            Self::Issued(kept) | Self::Revoked(kept) => kept,
        }
    }

    fn line(&self) -> String {
        let sign = if matches!(self, Self::Issued(_)) { '+' } else { '-' };
        let Kept { consumer, hash, about } = self.kept();
        let about = serde_json::to_string(about).unwrap_or_default();
        let body = format!("{sign}\t{}\t{consumer}\t{about}", hex(hash));
        format!("{body}\t{}\n", check(&body))
    }

    fn parse(line: &str) -> Option<Self> {
        let (body, sum) = line.rsplit_once('\t')?;
        if check(body) != sum {
            return None;
        }
        let mut fields = body.splitn(4, '\t');
        let (sign, hash, consumer, about) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let about = serde_json::from_str(about).ok()?;
        let kept = Kept { consumer: consumer.parse().ok()?, hash: unhex(hash)?.try_into().ok()?, about };
        match sign {
            "+" => Some(Self::Issued(kept)),
            "-" => Some(Self::Revoked(kept)),
            _ => None,
        }
    }

    fn stage(&self, batch: &mut Batch) {
        match self {
            Self::Issued(kept) => {
                batch.put(Tree::Credentials, kept.key(), serde_json::to_vec(&kept.about).unwrap_or_default());
            }
            Self::Revoked(kept) => {
                batch.delete(Tree::Credentials, kept.key());
                batch.delete(Tree::Used, kept.hash.first_chunk::<8>().copied().unwrap_or_default());
            }
        }
    }
}

fn check(body: &str) -> String {
    blake3::hash(body.as_bytes()).to_hex().chars().take(8).collect()
}

/// How much of which log the engine has taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    generation: String,
    bytes: u64,
    lines: u64,
    live: u64,
}

impl Taken {
    fn count(&mut self, entry: &Entry, bytes: usize) {
        self.bytes += bytes as u64;
        self.lines += 1;
        // Only a measure for when to rewrite the log: a key that is issued again counts twice.
        match entry {
            Entry::Issued(_) => self.live += 1,
            Entry::Revoked(_) => self.live = self.live.saturating_sub(1),
        }
    }

    fn stage(&self, batch: &mut Batch) {
        batch.put(Tree::Facts, FACT, serde_json::to_vec(self).unwrap_or_default());
    }

    fn of(engine: &dyn Engine) -> Result<Option<Self>, EngineError> {
        Ok(engine.get(Tree::Facts, FACT)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

/// Why keys were not kept.
#[derive(Debug)]
pub(super) enum KeepError {
    /// Nothing was kept.
    Log(std::io::Error),
    /// The log has it, the engine has not.
    Engine(EngineError),
}

/// The open log.
#[derive(Debug)]
pub(super) struct CredentialLog {
    path: PathBuf,
    file: File,
    taken: Taken,
}

impl CredentialLog {
    /// Opens or makes the log, and brings the engine up to it.
    pub(super) fn open(state: &Path, engine: &mut dyn Engine) -> Result<Self, KeepError> {
        let path = state.join("credentials.log");
        let known = Taken::of(engine).map_err(KeepError::Engine)?;
        let Some(generation) = generation(&path) else {
            // No log, or none that can be read: what the engine knows is all there is.
            return Self::rewrite(path, engine);
        };
        let file = File::options().read(true).append(true).open(&path).map_err(KeepError::Log)?;
        let length = file.metadata().map_err(KeepError::Log)?.len();
        let start = (TITLE.len() + generation.len() + 1) as u64;
        let taken = match known.filter(|taken| taken.generation == generation && taken.bytes <= length) {
            Some(taken) => taken,
            None => {
                clear(engine).map_err(KeepError::Engine)?;
                Taken { generation, bytes: start, lines: 0, live: 0 }
            }
        };
        let mut log = Self { path, file, taken };
        log.take_in(engine)?;
        if log.taken.lines > 2 * log.taken.live + LOG_SLACK_LINES {
            return Self::rewrite(log.path, engine);
        }
        Ok(log)
    }

    /// Keeps entries: in the log, synced, and then in the engine, in one batch for each page.
    pub(super) fn keep(&mut self, entries: &[Entry], engine: &mut dyn Engine) -> Result<(), KeepError> {
        let lines: Vec<String> = entries.iter().map(Entry::line).collect();
        self.file.write_all(lines.concat().as_bytes()).and_then(|()| self.file.sync_data()).map_err(KeepError::Log)?;
        for (entries, lines) in entries.chunks(PAGE).zip(lines.chunks(PAGE)) {
            let mut batch = Batch::default();
            for (entry, line) in entries.iter().zip(lines) {
                entry.stage(&mut batch);
                self.taken.count(entry, line.len());
            }
            self.taken.stage(&mut batch);
            engine.write(batch).map_err(KeepError::Engine)?;
        }
        Ok(())
    }

    /// Puts what the log has and the engine has not into the engine. A last line that is cut short is cut off: it
    /// was never acknowledged.
    fn take_in(&mut self, engine: &mut dyn Engine) -> Result<(), KeepError> {
        let mut file = File::open(&self.path).map_err(KeepError::Log)?;
        file.seek(SeekFrom::Start(self.taken.bytes)).map_err(KeepError::Log)?;
        let mut reader = BufReader::new(file);
        let mut batch = Batch::default();
        loop {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(KeepError::Log)?;
            let whole = line.ends_with(b"\n");
            if batch.0.len() >= PAGE || (!whole && !batch.0.is_empty()) {
                self.taken.stage(&mut batch);
                engine.write(std::mem::take(&mut batch)).map_err(KeepError::Engine)?;
            }
            if !whole && (read as u64) < LINE_BYTES_MAX {
                break;
            }
            match std::str::from_utf8(&line).ok().and_then(|line| Entry::parse(line.trim_end_matches('\n'))) {
                Some(entry) => {
                    entry.stage(&mut batch);
                    self.taken.count(&entry, line.len());
                }
                None => {
                    tracing::error!(at = self.taken.bytes, "a damaged line of the credentials log is passed over");
                    self.taken.bytes += line.len() as u64;
                }
            }
        }
        self.file.set_len(self.taken.bytes).map_err(KeepError::Log)
    }

    /// Writes a new log of what the engine knows, and nothing else.
    fn rewrite(path: PathBuf, engine: &mut dyn Engine) -> Result<Self, KeepError> {
        let generation: String = hex(&random().map_err(KeepError::Log)?).chars().take(ID_DIGITS).collect();
        let title = format!("{TITLE}{generation}\n");
        let mut taken = Taken { generation, bytes: title.len() as u64, lines: 0, live: 0 };
        let temporary = path.with_extension("tmp");
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let mut file = std::io::BufWriter::new(file.map_err(KeepError::Log)?);
        file.write_all(title.as_bytes()).map_err(KeepError::Log)?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let found = engine.scan(Tree::Credentials, &[], after.as_deref(), PAGE).map_err(KeepError::Engine)?;
            let Some((last, _)) = found.last() else { break };
            after = Some(last.clone());
            for pair in &found {
                let entry = Entry::Issued(Kept::of(pair).map_err(KeepError::Engine)?);
                let line = entry.line();
                file.write_all(line.as_bytes()).map_err(KeepError::Log)?;
                taken.count(&entry, line.len());
            }
        }
        let file = file.into_inner().map_err(|error| KeepError::Log(error.into_error()))?;
        file.sync_all().map_err(KeepError::Log)?;
        std::fs::rename(&temporary, &path).map_err(KeepError::Log)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(KeepError::Log)?;
        let mut batch = Batch::default();
        taken.stage(&mut batch);
        engine.write(batch).map_err(KeepError::Engine)?;
        let file = File::options().append(true).open(&path).map_err(KeepError::Log)?;
        Ok(Self { path, file, taken })
    }
}

/// The random name of a log; it changes when the log is rewritten, so that offsets of another are not believed.
fn generation(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let mut line = String::new();
    BufReader::new(std::io::Read::take(file, LINE_BYTES_MAX)).read_line(&mut line).ok()?;
    let name = line.strip_prefix(TITLE)?.strip_suffix('\n')?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn clear(engine: &mut dyn Engine) -> Result<(), EngineError> {
    loop {
        let found = engine.scan(Tree::Credentials, &[], None, PAGE)?;
        if found.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        found.into_iter().for_each(|(key, _)| batch.delete(Tree::Credentials, key));
        engine.write(batch)?;
    }
}
