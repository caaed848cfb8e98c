// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the store thread owns: the engine, the text copies, the running revision and the history.
//!
//! It opens in every state of the disk and says in its status what it found. A revision is acknowledged when its text
//! copy is on the disk; if then the engine fails, the change still counts, the status says so, and the engine is
//! opened again. On opening, the newest of the two halves wins and the other is brought up to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::audit::{Chain, shorten};
use super::credential::{CredentialLog, KeepError, PAGE};
use super::keyring::make_dir;
use super::lock::{DirectoryLock, Held, NotLocked};
use super::memory::Memory;
use super::recover::{self, Opened, Outcome};
use super::revision::Copies;
use super::{Batch, Engine, EngineError, Keyring, Options, StoreError, Tree};
use crate::diff::{counts, diff};
use crate::model::{Kind, Model, Name};
use crate::parse::parse_object;
use crate::wire::{DiffEntry, DiffKind, RevisionInfo, StoreHealth, StoreStatus};

/// Revisions that are kept, with their text copies. The running one is always the newest of them.
pub const REVISIONS_MAX: usize = 500;

/// Milliseconds between two attempts to open a failed engine again.
const REVIVE_PAUSE_MS: i64 = 60_000;

const RUNNING: &[u8] = b"running";

/// Everything behind the handle.
#[derive(Debug)]
pub(super) struct Keeper {
    options: Options,
    /// None where nothing can be written.
    state: Option<PathBuf>,
    copies: Copies,
    /// Held until the end.
    _lock: Option<DirectoryLock>,
    pub(super) engine: Box<dyn Engine>,
    pub(super) credentials: Option<CredentialLog>,
    pub(super) audit: Chain,
    running: (RevisionInfo, Arc<Model>),
    history: BTreeMap<u64, RevisionInfo>,
    status: Arc<Mutex<StoreStatus>>,
    revived_ms: i64,
}

/// A keeper, and what the handle shows without asking it.
pub(super) struct Started {
    pub(super) keeper: Keeper,
    pub(super) keyring: Arc<Keyring>,
    pub(super) held: Option<Held>,
    pub(super) status: Arc<Mutex<StoreStatus>>,
}

impl Keeper {
    /// Opens a state directory. Never fails: what could not be had is told by the status.
    pub(super) fn start(dir: &Path, options: Options) -> Result<Started, StoreError> {
        let mut trouble = None;
        let mut held = None;
        let prepared = prepare(dir).unwrap_or_else(|fault| {
            if let NotLocked::Held(holder) = &fault {
                held = Some(*holder);
            }
            trouble = Some(match fault {
                NotLocked::Held(holder) => holder.to_string(),
                NotLocked::Io(error) => format!("the state directory {} cannot be used: {error}", dir.display()),
            });
            Prepared { lock: None, keyring: None, copies: Copies::read_only(dir) }
        });
        let in_memory = || Keyring::in_memory().map_err(|error| StoreError::Io(error.to_string()));
        let keyring = prepared.keyring.map_or_else(in_memory, Ok)?;
        let status = Arc::new(Mutex::new(StoreStatus { health: StoreHealth::Ok, message: String::new() }));
        let mut keeper = Self {
            options,
            state: trouble.is_none().then(|| dir.to_owned()),
            copies: prepared.copies,
            _lock: prepared.lock,
            engine: Box::new(Memory::default()),
            credentials: None,
            audit: Chain::default(),
            running: (nothing(), Arc::new(Model::default())),
            history: BTreeMap::new(),
            status: Arc::clone(&status),
            revived_ms: 0,
        };
        match &trouble {
            Some(trouble) => {
                keeper.load_copies();
                let text = format!("nothing can be stored: {trouble}");
                keeper.tell(StoreHealth::Failed, text);
            }
            None => keeper.open_engine(),
        }
        Ok(Started { keeper, keyring: Arc::new(keyring), held, status })
    }

    fn tell(&self, health: StoreHealth, message: String) {
        match health {
            StoreHealth::Ok => tracing::info!("{message}"),
            StoreHealth::Degraded | StoreHealth::Failed => tracing::error!("{message}"),
        }
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = StoreStatus { health, message };
    }

    /// Opens the engine and reconciles it with the text copies.
    fn open_engine(&mut self) {
        let Some(state) = self.state.clone() else { return };
        self.revived_ms = crate::clock::wall_ms();
        let Opened { engine, outcome } = recover::open(&state, self.options.open_timeout);
        self.engine = engine;
        let mut outcome = outcome;
        let said_nothing = matches!(self.stored_running(), Ok(None));
        if let Err(error) = self.reconcile(&state) {
            outcome = Outcome::Without(error.to_string());
            self.engine = Box::new(Memory::default());
            if let Err(error) = self.reconcile(&state) {
                tracing::error!(%error, "the credentials log cannot be read");
            }
        }
        let number = self.running.0.number;
        // sled takes some damage for a new store and opens without a word.
        if outcome == Outcome::Fine && said_nothing && number > 0 {
            tracing::error!("the store does not say what runs: what it held besides the configuration is lost");
            outcome = Outcome::Anew("it did not say what runs; health, overrides and the audit are lost".to_owned());
        }
        match outcome {
            Outcome::Fine => {
                self.tell(StoreHealth::Ok, "open, with a text copy of every revision beside it".to_owned())
            }
            Outcome::Repaired(what) => self.tell(StoreHealth::Ok, format!("the store was repaired: {what}")),
            Outcome::Anew(why) => {
                let text = format!("the store was rebuilt from the text of revision {number}: {why}");
                self.tell(StoreHealth::Ok, text);
            }
            Outcome::Without(why) => {
                let text = format!("running from text copies, changes are kept as text only: {why}");
                self.tell(StoreHealth::Degraded, text);
            }
        }
    }

    /// The running revision and the history from the text copies alone.
    fn load_copies(&mut self) {
        let numbers = self.copies.numbers();
        self.history = numbers.iter().filter_map(|number| self.copies.info(*number)).map(|i| (i.number, i)).collect();
        for number in numbers.iter().rev() {
            match self.copies.read(*number) {
                Ok((info, model)) => {
                    self.running = (info, Arc::new(model));
                    return;
                }
                Err(error) => tracing::error!(%error, "a revision is passed over"),
            }
        }
    }

    fn reconcile(&mut self, state: &Path) -> Result<(), EngineError> {
        if self.running.0.number == 0 {
            self.load_copies();
        }
        let stored = self.stored_running()?;
        for (key, value) in self.engine.newest(Tree::Revisions, REVISIONS_MAX)? {
            let number = key.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            if let Ok(info) = serde_json::from_slice::<RevisionInfo>(&value) {
                self.history.entry(number).or_insert(info);
            }
        }
        while self.history.len() > REVISIONS_MAX {
            self.history.pop_first();
        }
        if let Some(info) = stored.as_ref().filter(|info| info.number > self.running.0.number) {
            self.adopt_stored(info.clone());
        }
        if stored.as_ref() != Some(&self.running.0) && self.running.0.number > 0 {
            self.fill()?;
        }
        self.audit = Chain::of(&*self.engine)?;
        match CredentialLog::open(state, &mut *self.engine) {
            Ok(log) => self.credentials = Some(log),
            Err(KeepError::Engine(error)) => return Err(error),
            Err(KeepError::Log(error)) => {
                return Err(EngineError::Refused(format!("credentials.log cannot be used: {error}")));
            }
        }
        self.engine.sync()
    }

    /// What the engine takes to be running.
    fn stored_running(&self) -> Result<Option<RevisionInfo>, EngineError> {
        let Some(number) = self.engine.get(Tree::Facts, RUNNING)? else { return Ok(None) };
        let info = self.engine.get(Tree::Revisions, &number)?;
        Ok(info.and_then(|info| serde_json::from_slice(&info).ok()))
    }

    /// The text copy of the newest revision is lost: its objects are in the engine.
    fn adopt_stored(&mut self, info: RevisionInfo) {
        match self.stored_objects() {
            Ok(model) => {
                tracing::error!(revision = info.number, "the text copy of a revision is lost; it is made anew");
                if let Err(error) = self.copies.write(&info, &model) {
                    tracing::error!(%error, "it cannot be written");
                }
                self.running = (info, Arc::new(model));
            }
            Err(error) => tracing::error!(revision = info.number, %error, "a revision is lost"),
        }
    }

    fn stored_objects(&self) -> Result<Model, EngineError> {
        let mut model = Model::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let found = self.engine.scan(Tree::Objects, &[], after.as_deref(), PAGE)?;
            let Some((last, _)) = found.last() else { return Ok(model) };
            after = Some(last.clone());
            for (key, value) in &found {
                let damaged = || EngineError::Damaged("an object cannot be read".to_owned());
                let (kind, name) =
                    std::str::from_utf8(key).ok().and_then(|k| k.split_once('\0')).ok_or_else(damaged)?;
                let kind = Kind::of_plural(kind).ok_or_else(damaged)?;
                let value = serde_json::from_slice(value).map_err(|_| damaged())?;
                let object = parse_object(kind, name, &value).map_err(|_| damaged())?;
                object.insert_into(&mut model, name.parse::<Name>().map_err(|_| damaged())?);
            }
        }
    }

    /// Makes the engine hold what is running, and nothing else.
    fn fill(&mut self) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        for (key, _) in self.engine.scan(Tree::Objects, &[], None, usize::MAX)? {
            batch.delete(Tree::Objects, key);
        }
        let everything = diff(&Model::default(), &self.running.1);
        stage_objects(&mut batch, &everything, &self.running.1);
        self.history.values().for_each(|info| stage_info(&mut batch, info));
        stage_running(&mut batch, &self.running.0);
        self.write_large(batch)
    }

    /// Writes a batch that may be as large as the whole model, whose last write says what is running. A large one is
    /// written in pieces, since sled holds a transaction several times in memory; until the last piece nothing is
    /// said to be running, so that a crash in between leads back to the text copies.
    fn write_large(&mut self, batch: Batch) -> Result<(), EngineError> {
        if batch.0.len() <= PAGE {
            return self.engine.write(batch);
        }
        let mut first = Batch::default();
        first.delete(Tree::Facts, RUNNING);
        self.engine.write(first)?;
        let mut rest = batch.0.into_iter().peekable();
        while rest.peek().is_some() {
            self.engine.write(Batch(rest.by_ref().take(PAGE).collect()))?;
        }
        Ok(())
    }

    pub(super) fn running(&self) -> (RevisionInfo, Arc<Model>) {
        self.running.clone()
    }

    /// Newest first.
    pub(super) fn history(&self, limit: usize) -> Vec<RevisionInfo> {
        self.history.values().rev().take(limit).cloned().collect()
    }

    pub(super) fn revision(&self, number: u64) -> Result<Option<(RevisionInfo, Model)>, StoreError> {
        if number == self.running.0.number {
            return Ok(Some((self.running.0.clone(), (*self.running.1).clone())));
        }
        if !self.history.contains_key(&number) {
            return Ok(None);
        }
        self.copies.read(number).map(Some).map_err(StoreError::Io)
    }

    /// Makes a model the next revision, if `base` is still the last one.
    pub(super) fn append(
        &mut self,
        base: u64,
        model: Arc<Model>,
        mut info: RevisionInfo,
    ) -> Result<RevisionInfo, StoreError> {
        let running = self.running.0.number;
        if base != running {
            return Err(StoreError::BaseMoved { running });
        }
        shorten(&mut info.author);
        shorten(&mut info.comment);
        let entries = diff(&self.running.1, &model);
        (info.added, info.changed, info.removed) = counts(&entries);
        info.number = self.history.last_key_value().map_or(running, |(last, _)| running.max(*last)) + 1;
        if let Some(state) = &self.state {
            self.room(state)?;
            self.copies.write(&info, &model).map_err(|error| StoreError::Io(error.to_string()))?;
        }
        let old = self.prune();
        self.history.insert(info.number, info.clone());
        self.running = (info.clone(), model);
        let mut batch = Batch::default();
        old.iter().for_each(|number| batch.delete(Tree::Revisions, number.to_be_bytes()));
        stage_objects(&mut batch, &entries, &self.running.1);
        stage_info(&mut batch, &info);
        stage_running(&mut batch, &info);
        let stored = self.write_large(batch).and_then(|()| self.engine.sync());
        self.after(stored);
        Ok(info)
    }

    fn room(&self, state: &Path) -> Result<(), StoreError> {
        // A system that cannot say how much is free is asked no further: writing will tell.
        let Ok(disk) = rustix::fs::statvfs(state) else { return Ok(()) };
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free_bytes < self.options.free_bytes_min {
            return Err(StoreError::DiskFull { free_bytes });
        }
        Ok(())
    }

    /// Forgets the oldest revisions so that one more fits; the running one is the newest and stays.
    fn prune(&mut self) -> Vec<u64> {
        let mut old = Vec::new();
        while self.history.len() >= REVISIONS_MAX {
            let Some((number, _)) = self.history.pop_first() else { break };
            if let (Some(_), Err(error)) = (&self.state, self.copies.remove(number)) {
                tracing::warn!(%error, revision = number, "an old text copy cannot be removed");
            }
            old.push(number);
        }
        old
    }

    /// What the engine did with a write that the text copy has already. A failed one is opened again, and takes in
    /// what it missed from the text.
    pub(super) fn after(&mut self, stored: Result<(), EngineError>) {
        let failed = match stored {
            Err(error) => Some(error.to_string()),
            Ok(()) => None,
        };
        let degraded = self.health() == StoreHealth::Degraded;
        let due = crate::clock::wall_ms().saturating_sub(self.revived_ms) >= REVIVE_PAUSE_MS;
        if self.state.is_none() || (failed.is_none() && !(degraded && due)) {
            return;
        }
        if let Some(error) = &failed {
            tracing::error!(error, "the store failed; opening it again");
        }
        // The old one must be gone before the directory can be opened again.
        self.engine = Box::new(Memory::default());
        self.credentials = None;
        self.open_engine();
        if let (Some(error), StoreHealth::Ok) = (failed, self.health()) {
            self.tell(StoreHealth::Ok, format!("the store failed and was opened again: {error}"));
        }
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).health
    }
}

struct Prepared {
    lock: Option<DirectoryLock>,
    keyring: Option<Keyring>,
    copies: Copies,
}

fn prepare(dir: &Path) -> Result<Prepared, NotLocked> {
    make_dir(dir).map_err(NotLocked::Io)?;
    let lock = DirectoryLock::take(dir)?;
    let keyring = Keyring::open(dir).map_err(NotLocked::Io)?;
    let copies = Copies::open(dir).map_err(NotLocked::Io)?;
    Ok(Prepared { lock: Some(lock), keyring: Some(keyring), copies })
}

/// Revision 0: an empty model that nobody applied.
fn nothing() -> RevisionInfo {
    RevisionInfo {
        number: 0,
        time_ms: 0,
        author: String::new(),
        comment: String::new(),
        added: 0,
        changed: 0,
        removed: 0,
    }
}

fn stage_objects(batch: &mut Batch, entries: &[DiffEntry], model: &Model) {
    for entry in entries {
        let key = format!("{}\0{}", entry.kind.plural(), entry.name);
        match (entry.change, model.object(entry.kind, &entry.name)) {
            (DiffKind::Added | DiffKind::Changed, Some(object)) => {
                batch.put(Tree::Objects, key, object.to_string().into_bytes());
            }
            _ => batch.delete(Tree::Objects, key),
        }
    }
}

fn stage_info(batch: &mut Batch, info: &RevisionInfo) {
    batch.put(Tree::Revisions, info.number.to_be_bytes(), serde_json::to_vec(info).unwrap_or_default());
}

fn stage_running(batch: &mut Batch, info: &RevisionInfo) {
    batch.put(Tree::Facts, RUNNING, info.number.to_be_bytes().to_vec());
}
