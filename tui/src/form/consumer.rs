// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a new consumer. Keys are issued afterwards, on the consumer's own screen.

use serde_json::{Value as Json, json};
use weirgate_store::model::Kind;

use super::{Doc, Field, Form, Subject, set};
use crate::live::Live;

const NAME: Doc = Doc {
    path: "name",
    label: "name",
    meaning: "Who calls: an application, a partner, a team. Endpoints see this name. It cannot be changed later.",
    unit: "a-z, 0-9, - _ .",
    default: "none, it must be given",
    example: "acme",
};
const GROUPS: Doc = Doc {
    path: "groups",
    label: "groups",
    meaning: "Groups the consumer belongs to. Several divided by commas.",
    unit: "",
    default: "empty: none",
    example: "gold, partners",
};

pub fn new_consumer(live: &Live) -> Form {
    let subject = Subject::Object { kind: Kind::Consumer, name: None };
    let fields = vec![Field::text(&NAME, ""), Field::text(&GROUPS, "")];
    Form { base: live.base(Kind::Consumer), object: json!({}), ..Form::new(subject, "new consumer".to_owned(), fields) }
}

pub(super) fn object(form: &Form) -> Json {
    let mut object = form.object.clone();
    set(&mut object, &["groups"], json!(form.parts("groups")));
    object
}
