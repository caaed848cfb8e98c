// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form that issues a key to a consumer. The secret is made by the daemon and shown once.

use super::{Doc, Field, Form, Subject};

const COMMENT: Doc = Doc {
    path: "comment",
    label: "comment",
    meaning: "What this key is for, so that somebody knows later whether it may be revoked.",
    unit: "",
    default: "empty",
    example: "mobile app, production",
};

pub fn issue_key(consumer: &str) -> Form {
    let subject = Subject::Key { consumer: consumer.to_owned() };
    Form::new(subject, format!("issue a key to {consumer}"), vec![Field::text(&COMMENT, "")])
}
