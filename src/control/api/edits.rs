// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of any number of edits, and the revisions they made.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use weirgate_store::engine::REVISIONS_MAX;
use weirgate_store::model::Model;
use weirgate_store::wire::{Applied, ChangeRequest, Checked, Effects, RevisionList};
use weirgate_store::{diff, text};

use super::extract::{Asked, Asker, Document, Named};
use super::operation::{Operation, Parameter};
use crate::control::Control;
use crate::control::refusal::Refusal;

/// The media type of a configuration.
const TOML: &str = "text/plain; charset=utf-8";

const DRY_RUN: &[Parameter] =
    &[Parameter { name: "dry_run", kind: "boolean", about: "Only say what would happen: the reply is a Checked." }];

const REVISION: &[Parameter] =
    &[Parameter { name: "revision", kind: "integer", about: "Another revision than the running one." }];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChangeQuery {
    dry_run: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExportQuery {
    revision: Option<u64>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::POST, "/v1/check", "Check a change without making it", post(check))
            .takes::<ChangeRequest>()
            .gives::<Checked>(),
        Operation::look(Method::POST, "/v1/diff", "What a change would make different", post(check))
            .takes::<ChangeRequest>()
            .gives::<Checked>(),
        Operation::change(Method::POST, "/v1/change", "Make a change, whole or not at all", post(apply))
            .query(DRY_RUN)
            .takes::<ChangeRequest>()
            .gives_either::<Applied, Checked>(),
        Operation::look(Method::GET, "/v1/export", "The configuration as TOML", get(export))
            .query(REVISION)
            .gives_text(TOML),
        Operation::look(Method::GET, "/v1/revisions", "All revisions, newest first", get(revisions))
            .gives::<RevisionList>(),
        Operation::look(Method::GET, "/v1/revisions/{number}", "One revision as TOML", get(revision)).gives_text(TOML),
        Operation::look(
            Method::GET,
            "/v1/revisions/{number}/diff/{other}",
            "What two revisions differ in",
            get(between),
        )
        .gives::<Checked>(),
    ]
}

async fn check(
    State(control): State<Arc<Control>>,
    Document(request): Document<ChangeRequest>,
) -> Result<Json<Checked>, Refusal> {
    control.changes.check(&request).await.map(Json)
}

async fn apply(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Asked(query): Asked<ChangeQuery>,
    Document(request): Document<ChangeRequest>,
) -> Result<Response, Refusal> {
    if query.dry_run {
        return Ok(Json(control.changes.check(&request).await?).into_response());
    }
    Ok(Json(control.changes.apply(request, asker.author).await?).into_response())
}

async fn export(
    State(control): State<Arc<Control>>,
    Asked(query): Asked<ExportQuery>,
) -> Result<impl IntoResponse, Refusal> {
    match query.revision {
        Some(number) => toml_of(&control, number).await,
        None => Ok(as_toml(&control.changes.running().model)),
    }
}

async fn revisions(State(control): State<Arc<Control>>) -> Result<Json<RevisionList>, Refusal> {
    let running = control.changes.running().info.number;
    let revisions = control.store.history(REVISIONS_MAX).await?;
    Ok(Json(RevisionList { running, revisions }))
}

async fn revision(
    State(control): State<Arc<Control>>,
    Named(number): Named<u64>,
) -> Result<impl IntoResponse, Refusal> {
    toml_of(&control, number).await
}

async fn between(
    State(control): State<Arc<Control>>,
    Named((number, other)): Named<(u64, u64)>,
) -> Result<Json<Checked>, Refusal> {
    let (old, new) = (model(&control, number).await?, model(&control, other).await?);
    Ok(Json(Checked {
        problems: Vec::new(),
        warnings: Vec::new(),
        diff: diff::diff(&old, &new),
        diff_text: diff::diff_text(&old, &new),
        effects: Effects::default(),
    }))
}

async fn toml_of(control: &Control, number: u64) -> Result<Response, Refusal> {
    Ok(as_toml(&*model(control, number).await?))
}

fn as_toml(model: &Model) -> Response {
    ([(header::CONTENT_TYPE, TOML)], text::to_toml(model)).into_response()
}

async fn model(control: &Control, number: u64) -> Result<Arc<Model>, Refusal> {
    let running = control.changes.running();
    if number == running.info.number {
        return Ok(Arc::clone(&running.model));
    }
    if number == 0 {
        return Ok(Arc::default());
    }
    let missing = || Refusal::Missing(format!("there is no revision {number}; GET /v1/revisions lists them"));
    let kept = control.store.revision(number).await?;
    kept.map(|(_, model)| Arc::new(model)).ok_or_else(missing)
}
