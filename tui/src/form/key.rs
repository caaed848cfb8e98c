// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form that issues a key to a consumer. The secret is made by the daemon and shown once.

use super::{Doc, Entry, Field, Form, Subject};

const COMMENT: Doc = Doc::new(
    "comment",
    "comment",
    Entry::Own,
    "What this key is for, so that somebody knows later whether it may be revoked.",
)
.default("empty")
.example("mobile app, production");

const EXPIRES: Doc = Doc::new("expires", "expires in", Entry::Own, "After this time the key stops working by itself.")
    .unit("whole number and s, m, h or d")
    .default("empty: never")
    .example("90d");

/// How long the key lives as typed, if it is limited; `None` if that cannot be understood, which the field then says.
pub fn expires(form: &mut Form) -> Option<Option<String>> {
    form.clear_errors();
    let text = form.current("expires").to_owned();
    if text.is_empty() {
        return Some(None);
    }
    match text.parse::<weirgate_store::model::Span>() {
        Ok(span) => Some(Some(span.to_string())),
        Err(message) => {
            form.field_mut("expires")?.refuse(message);
            form.show_first_problem();
            None
        }
    }
}

pub fn issue_key(consumer: &str) -> Form {
    let subject = Subject::Key { consumer: consumer.to_owned() };
    Form::page(
        subject,
        format!("issue a key to {consumer}"),
        vec![Field::text(&COMMENT, ""), Field::text(&EXPIRES, "")],
    )
}
