// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client connections that are open now, and the end of one. The answer is bounded: of a hundred thousand nobody
//! reads all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get};
use serde::Deserialize;
use weirgate_store::wire::ConnectionInfo;

use super::extract::{Asked, Asker, Named};
use super::operation::{Operation, Parameter};
use crate::control::refusal::Refusal;
use crate::control::{Control, to_the_end};

/// Connections that one answer holds, at most and unless fewer are asked for.
const LISTED_MAX: usize = 1_000;

const QUERY: &[Parameter] = &[
    Parameter { name: "listener", kind: "string", about: "Only connections of this listener." },
    Parameter {
        name: "upstream",
        kind: "string",
        about: "Only connections that stay on an endpoint of this upstream: tcp, tls, udp, websocket.",
    },
    Parameter { name: "limit", kind: "integer", about: "At most so many, from 1 to 1000; 1000 if absent." },
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConnectionsQuery {
    listener: Option<String>,
    upstream: Option<String>,
    limit: Option<usize>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(
            Method::GET,
            "/v1/connections",
            "Client connections and UDP sessions that are open, newest first",
            get(list),
        )
        .query(QUERY)
        .gives::<Vec<ConnectionInfo>>(),
        Operation::change(Method::DELETE, "/v1/connections/{id}", "End a client connection", delete(end)),
    ]
}

async fn list(
    State(control): State<Arc<Control>>,
    Asked(query): Asked<ConnectionsQuery>,
) -> Result<Json<Vec<ConnectionInfo>>, Refusal> {
    let limit = query.limit.unwrap_or(LISTED_MAX);
    if !(1..=LISTED_MAX).contains(&limit) {
        return Err(Refusal::Malformed(format!("limit is a number from 1 to {LISTED_MAX}")));
    }
    Ok(Json(control.appliance.list_connections(query.listener, query.upstream, limit).await))
}

async fn end(State(control): State<Arc<Control>>, asker: Asker, Named(id): Named<u64>) -> Result<StatusCode, Refusal> {
    to_the_end(async move {
        if !control.appliance.kill_connection(id).await {
            let detail = format!("no connection has the number {id} now; GET /v1/connections lists them");
            return Err(Refusal::Missing(detail));
        }
        control.audit(asker.author, "kill", format!("connection {id}")).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
