// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one way in which the configuration changes, whoever asks: edit, check, seal, prepare, keep, run, tell.
//!
//! Changes run one at a time. Everything that can fail comes before the revision is made durable, and everything after
//! cannot: a refused change changes nothing, and one that was acknowledged survives a power cut. Once begun, a change
//! runs to its end even if its caller hangs up. A dry run waits for its turn too: it binds what it would listen on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use weirgate_store::engine::{REVISIONS_MAX, Store};
use weirgate_store::model::{Kind, Model};
use weirgate_store::wire::{
    Applied, ChangeRequest, Checked, DiffEntry, Edit, Effects, Event, Problem, RevisionInfo, StoreHealth,
};
use weirgate_store::{check, diff, edit, parse};

use super::conflict;
use super::redact;
use super::refusal::Refusal;
use super::seam::{Appliance, Prepared};
use crate::clock;
use crate::observe::Observer;

/// Longest comment of a revision, in bytes.
pub const COMMENT_BYTES_MAX: usize = 1_024;

/// The revision that runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub info: RevisionInfo,
    pub model: Arc<Model>,
    /// The newest in the store; higher than the running one after a start that had to go back.
    newest: u64,
}

/// The running revision, and the way to the next one.
pub struct Changes {
    appliance: Arc<dyn Appliance>,
    store: Store,
    observer: Arc<Observer>,
    running: ArcSwap<Running>,
    turn: Mutex<()>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("running", &self.running.load().info.number).finish_non_exhaustive()
    }
}

/// A change that could run.
struct Trial {
    model: Arc<Model>,
    diff: Vec<DiffEntry>,
    warnings: Vec<Problem>,
    prepared: Box<dyn Prepared>,
}

impl Changes {
    /// Runs the newest revision that can still run. An older one than the newest, or none, is said loudly.
    pub async fn start(appliance: Arc<dyn Appliance>, store: Store, observer: Arc<Observer>) -> Self {
        let running = begin(&appliance, &store).await;
        let newest = running.newest;
        if running.info.number != newest {
            tracing::error!(
                "revision {} runs instead of {newest}: correct the configuration and apply it again",
                running.info.number
            );
        }
        Self { appliance, store, observer, running: ArcSwap::from_pointee(running), turn: Mutex::new(()) }
    }

    /// What runs now.
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// What a change would do. Changes nothing.
    ///
    /// # Errors
    /// A conflict with what ran meanwhile; mistakes are part of the answer.
    pub async fn check(&self, request: &ChangeRequest) -> Result<Checked, Refusal> {
        let _turn = self.turn.lock().await;
        let running = self.running();
        conflict::refuse(&self.store, &running, request).await?;
        let checked = match self.attempt(&running, request).await {
            Ok(trial) => Checked {
                problems: Vec::new(),
                warnings: trial.warnings,
                diff_text: diff::diff_text(&running.model, &trial.model),
                diff: trial.diff,
                effects: trial.prepared.effects(),
            },
            Err(problems) => Checked {
                problems,
                warnings: Vec::new(),
                diff: Vec::new(),
                diff_text: String::new(),
                effects: Effects::default(),
            },
        };
        Ok(checked)
    }

    /// Makes a change, whole or not at all.
    ///
    /// # Errors
    /// Mistakes, a conflict, or a store that cannot keep it; then nothing has changed.
    pub async fn apply(self: &Arc<Self>, request: ChangeRequest, author: String) -> Result<Applied, Refusal> {
        let changes = Arc::clone(self);
        // A task of its own, so that a caller who hangs up cannot stop it between durable and running.
        let task = tokio::spawn(async move { changes.apply_in_turn(request, author).await });
        task.await.unwrap_or_else(|_| Err(Refusal::Internal("the change broke off; see the log".to_owned())))
    }

    async fn apply_in_turn(&self, request: ChangeRequest, author: String) -> Result<Applied, Refusal> {
        let _turn = self.turn.lock().await;
        let running = self.running();
        let comment = comment(&request)?;
        conflict::refuse(&self.store, &running, &request).await?;
        let trial = self.attempt(&running, &request).await.map_err(Refusal::Invalid)?;
        let Trial { model, diff, warnings, prepared } = trial;
        // After a start that went back, the running model is worth a revision of its own: the next start takes it.
        if diff.is_empty() && running.info.number == running.newest {
            let (revision, effects) = (running.info.clone(), Effects::default());
            return Ok(Applied { revision, diff, effects, warnings, changed: false, store_warning: None });
        }
        let effects = prepared.effects();
        let (base, now_ms) = (running.newest, clock::wall_ms());
        let info = self.store.append(base, Arc::clone(&model), &author, &comment, now_ms).await?;
        prepared.commit().await;
        self.running.store(Arc::new(Running { info: info.clone(), model, newest: info.number }));
        self.tell(&info);
        let store = self.store.status();
        let store_warning = (store.health != StoreHealth::Ok).then_some(store.message);
        Ok(Applied { revision: info, diff, effects, warnings, changed: true, store_warning })
    }

    /// Every step that can fail, on a copy.
    async fn attempt(&self, running: &Running, request: &ChangeRequest) -> Result<Trial, Vec<Problem>> {
        let (mut edited, warnings) = self.edit(running, &request.edits).await?;
        let placed = |problems| located(problems, &request.edits);
        let problems = self.store.keyring().seal(&mut edited);
        if !problems.is_empty() {
            return Err(placed(problems));
        }
        let model = Arc::new(edited);
        let diff = diff::diff(&running.model, &model);
        let prepared =
            Arc::clone(&self.appliance).prepare(Arc::clone(&model), running.newest + 1).await.map_err(placed)?;
        Ok(Trial { model, diff, warnings, prepared })
    }

    /// The checked model that the edits make, and its warnings.
    async fn edit(&self, running: &Running, edits: &[Edit]) -> Result<(Model, Vec<Problem>), Vec<Problem>> {
        if let [Edit::ReplaceAll { toml }] = edits {
            // The mistakes of single objects and those between them in one answer, each at its line.
            return parse::parse_and_check(toml);
        }
        let edits = redact::restore(edits, &running.model);
        let models = self.rollbacks(&edits).await;
        let edited = edit::apply(&running.model, &edits, |number| models.get(&number).cloned())?;
        let report = check::check(&edited);
        if report.problems.is_empty() { Ok((edited, report.warnings)) } else { Err(report.problems) }
    }

    /// The revisions that edits go back to.
    async fn rollbacks(&self, edits: &[Edit]) -> BTreeMap<u64, Model> {
        let mut models = BTreeMap::new();
        for edit in edits {
            let Edit::Rollback { revision } = edit else { continue };
            match self.store.revision(*revision).await {
                Ok(Some((_, model))) => drop(models.insert(*revision, model)),
                Ok(None) => {}
                Err(why) => tracing::error!("revision {revision} cannot be read: {why}"),
            }
        }
        models
    }

    fn tell(&self, info: &RevisionInfo) {
        tracing::info!(
            revision = info.number,
            author = info.author,
            added = info.added,
            changed = info.changed,
            removed = info.removed,
            "revision {} runs",
            info.number
        );
        self.observer.publish(Event::Revision(info.clone()));
    }
}

impl Running {
    /// One object as the API shows it.
    pub fn object(&self, kind: Kind, name: &str) -> Option<serde_json::Value> {
        self.model.object(kind, name).map(|object| redact::shown(kind, object))
    }
}

/// Runs the newest revision of the store, or the newest before it that can run.
async fn begin(appliance: &Arc<dyn Appliance>, store: &Store) -> Running {
    let (info, model) = match store.running().await {
        Ok(newest) => newest,
        Err(why) => {
            tracing::error!("the store does not say what ran last: {why}");
            (nothing(), Arc::default())
        }
    };
    let newest = info.number;
    if newest == 0 || run(appliance, &info, &model).await {
        return Running { info, model, newest };
    }
    let history = store.history(REVISIONS_MAX).await.unwrap_or_default();
    for info in history.into_iter().filter(|info| info.number < newest) {
        let Ok(Some((info, model))) = store.revision(info.number).await else { continue };
        let model = Arc::new(model);
        if run(appliance, &info, &model).await {
            return Running { info, model, newest };
        }
    }
    Running { info: nothing(), model: Arc::default(), newest }
}

async fn run(appliance: &Arc<dyn Appliance>, info: &RevisionInfo, model: &Arc<Model>) -> bool {
    match Arc::clone(appliance).prepare(Arc::clone(model), info.number).await {
        Ok(prepared) => {
            prepared.commit().await;
            true
        }
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
            tracing::error!(revision = info.number, "revision {} cannot run: {}", info.number, lines.join("; "));
            false
        }
    }
}

/// The revision before the first.
fn nothing() -> RevisionInfo {
    RevisionInfo {
        number: 0,
        time_ms: clock::wall_ms(),
        author: "weirgate".to_owned(),
        comment: "nothing configured yet".to_owned(),
        added: 0,
        changed: 0,
        removed: 0,
    }
}

fn comment(request: &ChangeRequest) -> Result<String, Refusal> {
    let comment = request.comment.clone().unwrap_or_else(|| match request.edits.as_slice() {
        [Edit::Rollback { revision }] => format!("back to revision {revision}"),
        _ => String::new(),
    });
    if comment.len() > COMMENT_BYTES_MAX {
        return Err(Refusal::Malformed(format!("the comment is longer than {COMMENT_BYTES_MAX} bytes")));
    }
    Ok(comment)
}

/// Line and column of problems, where one text was the whole change.
fn located(problems: Vec<Problem>, edits: &[Edit]) -> Vec<Problem> {
    let [Edit::ReplaceAll { toml }] = edits else { return problems };
    let locate = |problem: Problem| if problem.line.is_some() { problem } else { parse::locate(problem, toml) };
    problems.into_iter().map(locate).collect()
}
