// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was recorded: single exchanges with their story, the last failures, and what consumers used.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use serde::Deserialize;
use weirgate_store::engine::UsageStep;
use weirgate_store::model::Span;
use weirgate_store::wire::{ExchangeRecord, UsageReply};

use super::extract::{Asked, Named};
use super::operation::{Operation, Parameter};
use crate::clock;
use crate::control::Control;
use crate::control::refusal::Refusal;
use crate::control::seam::UsageAsked;

/// Failures that one answer holds.
const FAILURES_LISTED_MAX: usize = 500;

/// How far usage is looked back without a `since`.
const SINCE_DEFAULT_S: u64 = 3_600;

const USAGE: &[Parameter] = &[
    Parameter { name: "consumer", kind: "string", about: "Only this consumer." },
    Parameter { name: "since", kind: "string", about: "How far back, such as 10m, 6h or 7d; 1h if absent." },
    Parameter {
        name: "step",
        kind: "integer",
        about: "Seconds of a point: 1, 10 or 60; the finest that reaches back.",
    },
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UsageQuery {
    consumer: Option<String>,
    since: Option<String>,
    step: Option<u64>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::GET, "/v1/failures", "The last failed exchanges, newest first", get(failures))
            .gives::<Vec<ExchangeRecord>>(),
        Operation::look(Method::GET, "/v1/exchanges/{id}", "What did happen to one request, and why", get(exchange))
            .gives::<ExchangeRecord>(),
        Operation::look(Method::GET, "/v1/usage", "What consumers used, by route", get(usage))
            .query(USAGE)
            .gives::<UsageReply>(),
    ]
}

/// Those of this process first; those that an earlier one kept after them.
async fn failures(State(control): State<Arc<Control>>) -> Result<Json<Vec<ExchangeRecord>>, Refusal> {
    let recent = control.observer.tap.failures();
    let mut all: Vec<ExchangeRecord> = recent.iter().map(|record| ExchangeRecord::clone(record)).collect();
    let known: HashSet<String> = all.iter().map(|record| record.id.clone()).collect();
    let kept = control.store.failures().await?;
    all.extend(kept.into_iter().filter(|record| !known.contains(&record.id)));
    all.truncate(FAILURES_LISTED_MAX);
    Ok(Json(all))
}

async fn exchange(
    State(control): State<Arc<Control>>,
    Named(id): Named<String>,
) -> Result<Json<ExchangeRecord>, Refusal> {
    if let Some(record) = control.observer.tap.find(&id) {
        return Ok(Json(ExchangeRecord::clone(&record)));
    }
    let missing = || {
        Refusal::Missing(format!(
            "nothing is remembered of \"{}\": failures are kept, of other exchanges the last few; GET /v1/failures lists \
             the first",
            id.escape_debug()
        ))
    };
    control.store.failure(&id).await?.map(Json).ok_or_else(missing)
}

async fn usage(
    State(control): State<Arc<Control>>,
    Asked(query): Asked<UsageQuery>,
) -> Result<Json<UsageReply>, Refusal> {
    let since = query.since.as_deref().map(str::parse::<Span>).transpose().map_err(Refusal::Malformed)?;
    let since_s = since.map_or(SINCE_DEFAULT_S, |span| span.0.as_secs().max(1));
    let step = step(query.step, since_s)?;
    let to_s = u64::try_from(clock::wall_ms() / 1_000).unwrap_or(0) + 1;
    let from_s = to_s.saturating_sub(since_s.min(step.kept_s()));
    let from_s = from_s - from_s % step.seconds();
    let asked = UsageAsked { step, from_s, to_s, consumer: query.consumer };
    let points = control.appliance.usage(&control.store, asked).await?;
    let ms = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Ok(Json(UsageReply { step_s: step.seconds(), from_ms: ms(from_s), to_ms: ms(to_s), points }))
}

fn step(asked: Option<u64>, since_s: u64) -> Result<UsageStep, Refusal> {
    let found = match asked {
        Some(seconds) => UsageStep::ALL.into_iter().find(|step| step.seconds() == seconds),
        None => Some(UsageStep::ALL.into_iter().find(|step| since_s <= step.kept_s()).unwrap_or(UsageStep::Minute)),
    };
    found.ok_or_else(|| Refusal::Malformed("step is 1, 10 or 60".to_owned()))
}
