// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a consumer has used of what it may, and forgetting that. No revision is made; the audit says who forgot it. As
//! everything that is counted, it is in the store within a few seconds.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get};
use weirgate_store::model::Kind;
use weirgate_store::wire::ConsumerUsage;

use super::extract::{Asker, Named};
use super::objects::missing;
use super::operation::Operation;
use crate::control::refusal::Refusal;
use crate::control::{Control, to_the_end};

const PATH: &str = "/v1/consumers/{name}/usage";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::GET, PATH, "What a consumer has used of its plan and quotas", get(show))
            .gives::<ConsumerUsage>(),
        Operation::change(Method::DELETE, PATH, "Forget what a consumer has used", delete(reset))
            .gives::<ConsumerUsage>(),
    ]
}

async fn show(State(control): State<Arc<Control>>, Named(name): Named<String>) -> Result<Json<ConsumerUsage>, Refusal> {
    Ok(Json(usage(&control, &name)?))
}

async fn reset(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
) -> Result<Json<ConsumerUsage>, Refusal> {
    to_the_end(async move {
        if !control.appliance.reset_usage(&name) {
            return Err(missing(Kind::Consumer, &name));
        }
        control.audit(asker.author, "usage reset", format!("of consumer {name}")).await;
        Ok(Json(usage(&control, &name)?))
    })
    .await
}

fn usage(control: &Control, name: &str) -> Result<ConsumerUsage, Refusal> {
    control.appliance.usage(name).ok_or_else(|| missing(Kind::Consumer, name))
}
