// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs now: status, metrics, the audit, explain.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Serialize;
use weirgate_store::engine::AuditEntry;
use weirgate_store::wire::{ExplainReply, ExplainRequest, HealthEvent, StatusReply, StoreHealth};

use super::extract::{Asker, Document, Named};
use super::operation::Operation;
use crate::clock;
use crate::control::Control;
use crate::control::refusal::Refusal;
use crate::observe::metrics;

/// Lines of the audit that one answer holds.
const AUDIT_LINES: usize = 500;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::GET, "/v1/status", "The whole state at this moment", get(status))
            .gives::<StatusReply>(),
        Operation::look(Method::GET, "/v1/metrics", "Every number as OpenMetrics", get(scrape))
            .gives_text(metrics::CONTENT_TYPE),
        Operation::look(Method::GET, "/v1/audit", "What was changed outside revisions, newest first", get(audit))
            .gives::<Vec<AuditLine>>(),
        Operation::look(
            Method::GET,
            "/v1/upstreams/{name}/timeline",
            "What became of the endpoints of an upstream and why, newest first",
            get(timeline),
        )
        .gives::<Vec<HealthEvent>>(),
        Operation::look(Method::POST, "/v1/explain", "What would happen to a request", post(explain))
            .takes::<ExplainRequest>()
            .gives::<ExplainReply>(),
    ]
}

async fn status(State(control): State<Arc<Control>>, asker: Asker) -> Json<StatusReply> {
    let vitals = control.appliance.vitals();
    Json(StatusReply {
        version: control.version.to_owned(),
        instance: control.instance.clone(),
        pid: std::process::id(),
        started_ms: control.started_ms,
        now_ms: clock::wall_ms(),
        workers: vitals.workers,
        revision: control.changes.running().info.clone(),
        store: control.store.status(),
        connections: vitals.connections,
        connections_max: vitals.connections_max,
        listeners: vitals.listeners,
        upstreams: vitals.upstreams,
        canaries: vitals.canaries,
        logs: vitals.logs,
        role: asker.caller.role.map_or("none", |role| role.name()).to_owned(),
        draining: vitals.draining,
    })
}

async fn scrape(State(control): State<Arc<Control>>) -> impl IntoResponse {
    let vitals = control.appliance.vitals();
    let store = control.store.status();
    let scrape = metrics::Scrape {
        version: control.version,
        revision: control.changes.running().info.number,
        store_ok: store.health == StoreHealth::Ok,
        connections: vitals.connections,
        upstreams: &vitals.upstreams,
        logs: &vitals.logs,
    };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&control.observer, &scrape))
}

/// One line of the audit.
#[derive(Debug, Serialize, JsonSchema)]
struct AuditLine {
    time_ms: i64,
    /// Login name and channel.
    author: String,
    /// Such as `key issue` or `override`.
    verb: String,
    detail: String,
    result: String,
    /// Fingerprint of this line and, through it, of all before it.
    chain: String,
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { time_ms, author, verb, detail, result, chain } = entry;
        Self { time_ms, author, verb, detail, result, chain }
    }
}

async fn audit(State(control): State<Arc<Control>>) -> Result<Json<Vec<AuditLine>>, Refusal> {
    let entries = control.store.audit(AUDIT_LINES).await?;
    Ok(Json(entries.into_iter().map(AuditLine::from).collect()))
}

async fn timeline(
    State(control): State<Arc<Control>>,
    Named(upstream): Named<String>,
) -> Result<Json<Vec<HealthEvent>>, Refusal> {
    if !control.changes.running().model.upstreams.contains_key(upstream.as_str()) {
        let upstream = upstream.escape_debug();
        return Err(Refusal::Missing(format!("there is no upstream \"{upstream}\"; GET /v1/status lists them")));
    }
    Ok(Json(control.store.timeline(&upstream).await?))
}

async fn explain(
    State(control): State<Arc<Control>>,
    Document(request): Document<ExplainRequest>,
) -> Result<Json<ExplainReply>, Refusal> {
    control.appliance.explain(&request).map(Json).map_err(Refusal::Malformed)
}
