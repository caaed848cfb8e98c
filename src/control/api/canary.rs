// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moving the canary of a route by hand: start, stop, resume, back. No revision is made; what was asked is kept in the
//! store before it is answered, and is in the audit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::post;
use weirgate_store::wire::{CanaryRequest, CanaryStatus};

use super::extract::{Asker, Document, Named};
use super::operation::Operation;
use crate::control::refusal::Refusal;
use crate::control::{Control, to_the_end};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::change(
            Method::POST,
            "/v1/routes/{name}/canary",
            "Start the canary of a route, stop it, let it go on, or send it back",
            post(move_canary),
        )
        .takes::<CanaryRequest>()
        .gives::<CanaryStatus>(),
    ]
}

async fn move_canary(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(route): Named<String>,
    Document(request): Document<CanaryRequest>,
) -> Result<Json<CanaryStatus>, Refusal> {
    exists(&control, &route)?;
    to_the_end(async move {
        let moved = control.appliance.move_canary(&route, request.verb, &asker.author);
        let record = moved.map_err(|why| Refusal::Malformed(format!("the canary of route \"{route}\": {why}")))?;
        control.store.put_canary(&record).await?;
        let verb = format!("{:?}", request.verb).to_lowercase();
        control.audit(asker.author, "canary", format!("{verb} of route {route}")).await;
        let status = control.appliance.vitals().canaries.into_iter().find(|canary| canary.route == route);
        // Only a change that took it away in this moment leaves none.
        Ok(Json(status.ok_or_else(|| none(&route))?))
    })
    .await
}

fn exists(control: &Control, route: &str) -> Result<(), Refusal> {
    let running = control.changes.running();
    let has_one = running.model.routes.get(route).is_some_and(|route| route.canary.is_some());
    if has_one { Ok(()) } else { Err(none(route)) }
}

fn none(route: &str) -> Refusal {
    Refusal::Missing(format!("there is no route \"{}\" with a canary; GET /v1/status lists them", route.escape_debug()))
}
