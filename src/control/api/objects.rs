// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seven collections: list, show, put, patch, delete. Each write is a change of one edit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, put};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use weirgate_store::model::{Certificate, Consumer, Kind, Listener, Log, Policy, Route, Upstream};
use weirgate_store::wire::{Applied, ChangeRequest, Checked, Edit, ListedObject, ObjectList};

use super::extract::{Asked, Asker, Document, Named};
use super::operation::{Operation, Parameter};
use crate::control::Control;
use crate::control::refusal::Refusal;

/// The query of every write of one object.
const WRITE: &[Parameter] = &[
    Parameter { name: "dry_run", kind: "boolean", about: "Only say what would happen: the reply is a Checked." },
    Parameter { name: "base", kind: "integer", about: "Revision the edit was made against; 409 if the object moved." },
    Parameter { name: "comment", kind: "string", about: "Kept with the revision." },
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WriteQuery {
    dry_run: bool,
    base: Option<u64>,
    comment: Option<String>,
}

/// The operations of all collections.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        match kind {
            Kind::Listener => all.extend(collection::<Listener>(kind)),
            Kind::Certificate => all.extend(collection::<Certificate>(kind)),
            Kind::Upstream => all.extend(collection::<Upstream>(kind)),
            Kind::Policy => all.extend(collection::<Policy>(kind)),
            Kind::Route => all.extend(collection::<Route>(kind)),
            Kind::Consumer => all.extend(collection::<Consumer>(kind)),
            Kind::Log => all.extend(collection::<Log>(kind)),
        }
    }
    all
}

fn collection<T: JsonSchema>(kind: Kind) -> [Operation; 5] {
    let (one, all) = (kind.singular(), kind.plural());
    let (list_path, path) = (format!("/v1/{all}"), format!("/v1/{all}/{{name}}"));
    [
        Operation::look(Method::GET, list_path, format!("All {all}"), get(move |state| list(kind, state)))
            .gives::<ObjectList>(),
        Operation::look(Method::GET, &path, format!("One {one}"), get(move |state, name| show(kind, state, name)))
            .gives::<T>(),
        Operation::change(
            Method::PUT,
            &path,
            format!("Make or replace a {one}"),
            put(move |state, asker, name, query, body| put_one(kind, state, asker, name, query, body)),
        )
        .query(WRITE)
        .takes::<T>()
        .gives_either::<Applied, Checked>(),
        Operation::change(
            Method::PATCH,
            &path,
            format!("Merge into a {one} (RFC 7396)"),
            patch(move |state, asker, name, query, body| patch_one(kind, state, asker, name, query, body)),
        )
        .query(WRITE)
        .takes::<Value>()
        .gives_either::<Applied, Checked>(),
        Operation::change(
            Method::DELETE,
            &path,
            format!("Delete a {one}"),
            delete(move |state, asker, name, query| delete_one(kind, state, asker, name, query)),
        )
        .query(WRITE)
        .gives_either::<Applied, Checked>(),
    ]
}

async fn list(kind: Kind, State(control): State<Arc<Control>>) -> Json<ObjectList> {
    let running = control.changes.running();
    let listed = |name: &str| {
        let object = running.object(kind, name)?;
        Some(ListedObject { name: name.to_owned(), object })
    };
    let objects = running.model.names(kind).into_iter().filter_map(listed).collect();
    Json(ObjectList { kind, revision: running.info.number, objects })
}

async fn show(
    kind: Kind,
    State(control): State<Arc<Control>>,
    Named(name): Named<String>,
) -> Result<Json<Value>, Refusal> {
    let object = control.changes.running().object(kind, &name);
    object.map(Json).ok_or_else(|| missing(kind, &name))
}

async fn put_one(
    kind: Kind,
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
    Asked(query): Asked<WriteQuery>,
    Document(object): Document<Value>,
) -> Result<Response, Refusal> {
    write(&control, asker, query, Edit::Put { kind, name, object }).await
}

async fn patch_one(
    kind: Kind,
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
    Asked(query): Asked<WriteQuery>,
    Document(patch): Document<Value>,
) -> Result<Response, Refusal> {
    exists(&control, kind, &name)?;
    write(&control, asker, query, Edit::Merge { kind, name, patch }).await
}

async fn delete_one(
    kind: Kind,
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
    Asked(query): Asked<WriteQuery>,
) -> Result<Response, Refusal> {
    exists(&control, kind, &name)?;
    write(&control, asker, query, Edit::Delete { kind, name }).await
}

async fn write(control: &Control, asker: Asker, query: WriteQuery, edit: Edit) -> Result<Response, Refusal> {
    let WriteQuery { dry_run, base, comment } = query;
    let request = ChangeRequest { base, comment, edits: vec![edit] };
    if dry_run {
        return Ok(Json(control.changes.check(&request).await?).into_response());
    }
    Ok(Json(control.changes.apply(request, asker.author).await?).into_response())
}

fn exists(control: &Control, kind: Kind, name: &str) -> Result<(), Refusal> {
    let known = control.changes.running().model.object(kind, name).is_some();
    if known { Ok(()) } else { Err(missing(kind, name)) }
}

pub(super) fn missing(kind: Kind, name: &str) -> Refusal {
    let name = name.escape_debug();
    Refusal::Missing(format!("there is no {} \"{name}\"; GET /v1/{} lists them", kind.singular(), kind.plural()))
}
