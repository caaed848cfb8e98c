// SPDX-License-Identifier: MIT OR Apache-2.0
//! `history`, `rollback` and `export`: the stored revisions. A rollback is a new revision; none is ever removed.

use http::Method;
use serde_json::Value;
use weirgate_store::wire::{ChangeRequest, Edit, RevisionInfo, RevisionList};

use super::args::WriteArgs;
use super::change::print_answer;
use super::human;
use super::line::Style;
use super::table::Table;
use super::terminal::{Failure, Terminal};

pub(crate) async fn history(t: &mut Terminal<'_>, limit: usize) -> Result<(), Failure> {
    let mut list: RevisionList = t.client.get("/v1/revisions").await?;
    list.revisions.truncate(limit);
    if t.json {
        return t.document(&list);
    }
    let mut table = Table::new(&["", ">REVISION", "TIME", "AUTHOR", "OBJECTS", "COMMENT"]);
    for revision in &list.revisions {
        let running = revision.number == list.running;
        table.push(vec![
            if running { Style::Good.of("*") } else { "".into() },
            revision.number.to_string().into(),
            human::date_time(revision.time_ms, &t.zone).into(),
            revision.author.as_str().into(),
            counts(revision).into(),
            revision.comment.as_str().into(),
        ]);
    }
    t.table(&table)?;
    t.say(&[Style::Dim.of("* is running")])
}

/// `+1 ~2 -3`, without what is zero.
fn counts(revision: &RevisionInfo) -> String {
    let counts = [("+", revision.added), ("~", revision.changed), ("-", revision.removed)];
    let shown = counts.iter().filter(|(_, n)| *n > 0).map(|(sign, n)| format!("{sign}{n}"));
    shown.collect::<Vec<_>>().join(" ")
}

pub(crate) async fn rollback(t: &mut Terminal<'_>, revision: u64, write: &WriteArgs) -> Result<(), Failure> {
    let comment = write.comment.clone().or_else(|| Some(format!("rollback to revision {revision}")));
    let change = ChangeRequest { base: None, comment, edits: vec![Edit::Rollback { revision }] };
    let answer = send(t, &change, write.dry_run).await?;
    print_answer(t, write.dry_run, answer, None)
}

/// Sends a change; the answer is a `Checked` for a dry run and an `Applied` otherwise.
pub(crate) async fn send(t: &Terminal<'_>, change: &ChangeRequest, dry_run: bool) -> Result<Value, Failure> {
    let path = if dry_run { "/v1/change?dry_run=true" } else { "/v1/change" };
    Ok(t.client.send(Method::POST, path, Some(change)).await?)
}

pub(crate) async fn export(t: &mut Terminal<'_>, revision: Option<u64>) -> Result<(), Failure> {
    let path = match revision {
        Some(revision) => format!("/v1/export?revision={revision}"),
        None => "/v1/export".to_owned(),
    };
    let text = t.client.text(&path).await?;
    if t.json {
        // The document itself, so that a program need not read TOML.
        let model: Value = toml::from_str(&text).map_err(|e| Failure::Failed(e.to_string()))?;
        return t.document(&model);
    }
    t.verbatim(&text)
}
