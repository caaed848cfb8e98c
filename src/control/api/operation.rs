// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation of the API: what it is called, who may call it, what goes in and out, and the code that does it.
//!
//! The router and `/v1/openapi.json` are both made from the same list of these, so neither can say what the other does
//! not do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tokio::time::timeout;

use crate::control::Control;
use crate::control::caller::{ADMIN_GROUP, Caller, Role};
use crate::control::refusal::Refusal;

/// How long an operation may take until its reply begins. The longest is an apply of a big file.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What a request or reply body is.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Nothing,
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Text of that media type.
    Text(&'static str),
    /// Server-sent events, each with data of that schema.
    Events(fn(&mut SchemaGenerator) -> Schema),
}

/// A parameter in the query.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// `integer`, `boolean` or `string`.
    pub(crate) kind: &'static str,
    pub(crate) about: &'static str,
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) summary: String,
    pub(crate) role: Role,
    pub(crate) query: &'static [Parameter],
    pub(crate) takes: Content,
    pub(crate) gives: Content,
    pub(crate) handler: MethodRouter<Arc<Control>>,
}

impl Operation {
    /// An operation that viewers may call.
    pub(crate) fn look(
        method: Method,
        path: impl Into<String>,
        summary: impl Into<String>,
        handler: MethodRouter<Arc<Control>>,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            summary: summary.into(),
            role: Role::Viewer,
            query: &[],
            takes: Content::Nothing,
            gives: Content::Nothing,
            handler,
        }
    }

    /// An operation that only admins may call.
    pub(crate) fn change(
        method: Method,
        path: impl Into<String>,
        summary: impl Into<String>,
        handler: MethodRouter<Arc<Control>>,
    ) -> Self {
        Self { role: Role::Admin, ..Self::look(method, path, summary, handler) }
    }

    pub(crate) fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Content::Json(|generator| generator.subschema_for::<T>()), ..self }
    }

    pub(crate) fn takes_text(self, kind: &'static str) -> Self {
        Self { takes: Content::Text(kind), ..self }
    }

    pub(crate) fn gives<T: JsonSchema>(self) -> Self {
        Self { gives: Content::Json(|generator| generator.subschema_for::<T>()), ..self }
    }

    /// One or the other, as the query says.
    pub(crate) fn gives_either<T: JsonSchema, U: JsonSchema>(self) -> Self {
        let either: fn(&mut SchemaGenerator) -> Schema =
            |generator| json_schema!({ "anyOf": [generator.subschema_for::<T>(), generator.subschema_for::<U>()] });
        Self { gives: Content::Json(either), ..self }
    }

    pub(crate) fn gives_text(self, kind: &'static str) -> Self {
        Self { gives: Content::Text(kind), ..self }
    }

    pub(crate) fn gives_events<T: JsonSchema>(self) -> Self {
        Self { gives: Content::Events(|generator| generator.subschema_for::<T>()), ..self }
    }

    /// The handler behind the door: role first, then the time limit.
    pub(crate) fn guarded(self) -> (String, MethodRouter<Arc<Control>>) {
        (self.path, self.handler.layer(from_fn_with_state(self.role, door)))
    }
}

async fn door(axum::extract::State(needed): axum::extract::State<Role>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<axum::extract::ConnectInfo<Caller>>();
    let role = caller.and_then(|caller| caller.role);
    if role.is_none_or(|role| role < needed) {
        let who = caller.map_or("somebody", |caller| caller.login.as_str());
        let detail = format!("{who} may look but not change; members of group {ADMIN_GROUP} may change");
        return Refusal::NotAllowed(detail).into_response();
    }
    let late = |_| {
        let detail =
            format!("no answer within {} s; a change that was begun still runs to its end", TIME_LIMIT.as_secs());
        Refusal::TooSlow(detail).into_response()
    };
    timeout(TIME_LIMIT, next.run(request)).await.unwrap_or_else(late)
}
