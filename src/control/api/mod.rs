// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control API: every operation in one list, and the router made from it.
//!
//! `objects`, `canary`, `connections`, `record`, `edits`, `keys`, `state`, `endpoints` and `events` hold the handlers by subject;
//! `operation` guards each; `openapi` describes the same list. Whatever goes wrong, also in a path or a body, is answered
//! as problem JSON.

mod canary;

mod connections;

mod edits;

mod endpoints;

mod events;

mod extract;

mod keys;

#[cfg(test)]
mod manual;

mod objects;

mod openapi;

mod operation;

mod record;

mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};

use super::Control;
use super::refusal::Refusal;
use operation::Operation;

pub(super) use endpoints::{taken_back, words};
pub use extract::BODY_BYTES_MAX;
pub use keys::IMPORT_BYTES_MAX;
pub use operation::TIME_LIMIT;

/// Every operation there is.
fn operations() -> Vec<Operation> {
    let mut all = state::operations();
    all.extend(connections::operations());
    all.extend(endpoints::operations());
    all.extend(objects::operations());
    all.extend(canary::operations());
    all.extend(keys::operations());
    all.extend(edits::operations());
    all.extend(events::operations());
    all.extend(record::operations());
    all.push(openapi::operation());
    all
}

/// The router of the whole API.
pub(super) fn router(control: Arc<Control>) -> Router {
    let mut router = Router::new();
    for operation in operations() {
        let (path, handler) = operation.guarded();
        router = router.route(&path, handler);
    }
    router
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are bounded where they are read, each by its own limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(control)
}

async fn nothing_there(uri: Uri) -> Refusal {
    Refusal::Missing(format!("nothing is at {}; GET /v1/openapi.json lists everything", uri.path().escape_debug()))
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let path = uri.path().escape_debug();
    Refusal::Method(format!("{path} does not take {method}; GET /v1/openapi.json lists what does"))
}
