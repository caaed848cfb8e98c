// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a consumer. Keys are issued on the consumer's own screen; those written in the file are kept as they are.

use weirgate_store::model::Kind;

use super::Form;
use super::field::{Doc, Entry};
use super::section::{Content, SectionDoc};
use crate::live::Live;

const SECTIONS: &[SectionDoc] =
    &[SectionDoc { title: "consumer", about: "", unset: "", content: Content::Fields(CONSUMER) }];

const CONSUMER: &[Doc] = &[
    Doc::new("groups", "groups", Entry::List, "Groups the consumer belongs to, for policies that speak of groups.")
        .default("empty: none")
        .example("gold, partners"),
    Doc::new(
        "jwt.subject",
        "token subject",
        Entry::Text,
        "What tokens call it, for policies that know consumers by a claim.",
    )
    .default("empty: its name")
    .example("service-account-7"),
    Doc::new("jwt.issuer", "token issuer", Entry::Text, "Only tokens of this issuer call it so, by their claim iss.")
        .default("empty: any issuer")
        .example("https://id.example.com"),
    Doc::new(
        "urgency",
        "urgency",
        Entry::Whole,
        "How soon its requests are served when an upstream has a queue: 0 goes \
         first, 7 last.",
    )
    .unit("0 to 7")
    .default("empty: that of the route")
    .example("1"),
];

pub fn new_consumer(live: &Live) -> Form {
    Form::new_object(Kind::Consumer, SECTIONS, live)
}

/// `None` if there is no such consumer.
pub fn edit_consumer(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Consumer, name, SECTIONS, live)
}
