// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flushing what a service decided, so that somebody whose rights changed need not wait for the time of a verdict.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::post;
use weirgate_store::wire::{FlushReply, FlushRequest};

use super::extract::{Asker, Document, Named};
use super::operation::Operation;
use crate::control::refusal::Refusal;
use crate::control::{Control, to_the_end};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::change(
            Method::POST,
            "/v1/policies/{name}/flush",
            "Forget the verdicts of a forward_auth policy: all, those about a subject, or that of a key",
            post(flush),
        )
        .takes::<FlushRequest>()
        .gives::<FlushReply>(),
    ]
}

async fn flush(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(policy): Named<String>,
    Document(request): Document<FlushRequest>,
) -> Result<Json<FlushReply>, Refusal> {
    if request.subject.is_some() && request.key.is_some() {
        return Err(Refusal::Malformed("write subject or key, not both".to_owned()));
    }
    to_the_end(async move {
        let flushed = control.appliance.flush_verdicts(&policy, &request).ok_or_else(|| none(&policy))?;
        control.audit(asker.author, "flush", format!("{flushed} verdicts of policy {policy}")).await;
        Ok(Json(FlushReply { flushed }))
    })
    .await
}

fn none(policy: &str) -> Refusal {
    let policy = policy.escape_debug();
    Refusal::Missing(format!(
        "no route has a forward_auth policy \"{policy}\"; one that is written in place is called ROUTE.forward_auth"
    ))
}
