// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a call of the control API was refused, and the one form in which it is said: [`ErrorReply`] as problem JSON.
//!
//! Every variant is a decision the caller can take. Details are sentences for the operator; the control socket is
//! theirs, so nothing is hidden from them but secrets.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use weirgate_store::engine::StoreError;
use weirgate_store::wire::{ErrorReply, Problem};

/// A call that did not do what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request itself makes no sense.
    Malformed(String),
    /// The caller may look and not change.
    NotAllowed(String),
    Missing(String),
    Method(String),
    /// Somebody else changed the same thing meanwhile.
    Conflict(String),
    TooLarge(String),
    /// The configuration would be wrong.
    Invalid(Vec<Problem>),
    /// Too many do this already.
    Busy(String),
    /// The store cannot keep it.
    NotKept(String),
    /// It took too long.
    TooSlow(String),
    /// A mistake of ours.
    Internal(String),
}

impl Refusal {
    /// The body that says it.
    pub fn reply(self) -> ErrorReply {
        let (status, title, detail, problems) = match self {
            Self::Malformed(detail) => (400, "The request makes no sense", detail, Vec::new()),
            Self::NotAllowed(detail) => (403, "Not allowed", detail, Vec::new()),
            Self::Missing(detail) => (404, "Not found", detail, Vec::new()),
            Self::Method(detail) => (405, "Method not allowed", detail, Vec::new()),
            Self::Conflict(detail) => (409, "Changed meanwhile", detail, Vec::new()),
            Self::TooLarge(detail) => (413, "Too large", detail, Vec::new()),
            Self::Invalid(problems) => (422, "The configuration is refused", counted(&problems), problems),
            Self::Busy(detail) => (429, "Too many at a time", detail, Vec::new()),
            Self::Internal(detail) => (500, "Internal error", detail, Vec::new()),
            Self::NotKept(detail) => (503, "The store cannot keep it", detail, Vec::new()),
            Self::TooSlow(detail) => (504, "Took too long", detail, Vec::new()),
        };
        ErrorReply { status, title: title.to_owned(), detail, problems }
    }
}

/// The first problem in words, and how many more there are.
fn counted(problems: &[Problem]) -> String {
    let Some(first) = problems.first() else {
        return "nothing was changed".to_owned();
    };
    let more = match problems.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    format!("{}: {}{more}; nothing was changed", first.path, first.message)
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::BaseMoved { .. } => Self::Conflict(words),
            StoreError::NoSuchKey { .. } => Self::Missing(words),
            StoreError::BadKey(_) => Self::Malformed(words),
            StoreError::DiskFull { .. } | StoreError::Io(_) | StoreError::Closed => Self::NotKept(words),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reply = self.reply();
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&reply).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
