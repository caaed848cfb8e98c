// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a change was made against something that is no longer so.
//!
//! Two people may edit different objects at the same time; only the same object is a conflict, and then the answer
//! names it and who changed it. A change that replaces everything conflicts with any change.

use std::collections::BTreeSet;

use weirgate_store::engine::{REVISIONS_MAX, Store};
use weirgate_store::model::{Kind, Model};
use weirgate_store::wire::{ChangeRequest, DiffEntry, RevisionInfo};
use weirgate_store::{diff, edit};

use super::change::Running;
use super::refusal::Refusal;

/// Objects that one answer names.
const NAMED_MAX: usize = 10;

/// Revisions that are searched for who changed an object.
const SEARCHED_MAX: usize = 50;

/// Refuses a change whose objects have changed since its base.
pub(super) async fn refuse(store: &Store, running: &Running, request: &ChangeRequest) -> Result<(), Refusal> {
    let Some(base) = request.base.filter(|base| *base != running.info.number) else {
        return Ok(());
    };
    let before = match base {
        0 => Some(Model::default()),
        _ => model(store, base).await,
    };
    let Some(before) = before else {
        let detail =
            format!("the change is based on revision {base}, which is not kept; load the running one and edit that");
        return Err(Refusal::Conflict(detail));
    };
    let moved = diff::diff(&before, &running.model);
    let hit = touched(request, moved);
    if hit.is_empty() {
        return Ok(());
    }
    let history = store.history(REVISIONS_MAX).await.unwrap_or_default();
    let since: Vec<RevisionInfo> = history.into_iter().filter(|info| info.number > base).collect();
    let mut lines = Vec::new();
    for entry in hit.iter().take(NAMED_MAX) {
        let who = changer(store, running, &since, entry).await;
        lines.push(format!("{} {} by {who}", entry.kind.singular(), entry.name));
    }
    if hit.len() > NAMED_MAX {
        lines.push(format!("and {} more", hit.len() - NAMED_MAX));
    }
    Err(Refusal::Conflict(format!(
        "changed since revision {base}: {}; load revision {} and edit that",
        lines.join(", "),
        running.info.number
    )))
}

/// Of the objects that moved, those that the change is about.
fn touched(request: &ChangeRequest, moved: Vec<DiffEntry>) -> Vec<DiffEntry> {
    let mut names: BTreeSet<(Kind, &str)> = BTreeSet::new();
    for edit in &request.edits {
        let Some(object) = edit::touches(edit) else { return moved };
        names.insert(object);
    }
    moved.into_iter().filter(|entry| names.contains(&(entry.kind, entry.name.as_str()))).collect()
}

/// Who changed an object last: walks back until it differs.
async fn changer(store: &Store, running: &Running, since: &[RevisionInfo], entry: &DiffEntry) -> String {
    let now = running.model.object(entry.kind, &entry.name);
    let mut suspect: Option<&RevisionInfo> = None;
    for info in since.iter().take(SEARCHED_MAX) {
        if suspect.is_some() {
            let then = model(store, info.number).await.and_then(|model| model.object(entry.kind, &entry.name));
            if then != now {
                break;
            }
        }
        suspect = Some(info);
    }
    suspect.map_or_else(|| "somebody".to_owned(), |info| format!("{} in revision {}", info.author, info.number))
}

async fn model(store: &Store, number: u64) -> Option<Model> {
    store.revision(number).await.ok().flatten().map(|(_, model)| model)
}
