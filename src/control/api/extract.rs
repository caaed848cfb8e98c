// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of a request as handlers want them, refused in the one form of the API when they are not so.
//!
//! axum's own extractors answer in plain text; these answer with an `ErrorReply` that names the field.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use weirgate_store::wire::CHANNEL_FIELD;

use crate::control::Control;
use crate::control::caller::{Caller, channel};
use crate::control::refusal::Refusal;

/// Largest JSON body: the text of a hundred thousand routes fits.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// A JSON body.
pub(super) struct Document<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Control>> for Document<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<Control>) -> Result<Self, Refusal> {
        let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| {
            Refusal::TooLarge(format!("the body was not read: {error}; at most {BODY_BYTES_MAX} bytes are"))
        })?;
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Self).map_err(|error| Refusal::Malformed(format!("the body is not the JSON expected here: {error}")))
    }
}

/// The parameters of the query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Control>> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Control>) -> Result<Self, Refusal> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| Refusal::Malformed(error.body_text()))
    }
}

/// The parameters of the path.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Control>> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, control: &Arc<Control>) -> Result<Self, Refusal> {
        let path = Path::<T>::from_request_parts(parts, control).await;
        path.map(|path| Self(path.0)).map_err(|error| Refusal::Malformed(error.body_text()))
    }
}

/// Who asks, and through what.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) caller: Caller,
    pub(super) author: String,
}

impl FromRequestParts<Arc<Control>> for Asker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Control>) -> Result<Self, Refusal> {
        let caller = parts.extensions.get::<ConnectInfo<Caller>>().map(|caller| caller.0.clone());
        let caller = caller.ok_or_else(|| Refusal::Internal("a request without a caller".to_owned()))?;
        let named = parts.headers.get(CHANNEL_FIELD).and_then(|value| value.to_str().ok());
        let author = caller.author(channel(named));
        Ok(Self { caller, author })
    }
}
