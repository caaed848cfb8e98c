// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a consumer. Keys are issued on the consumer's own screen; credentials written in the file are kept as they are.

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
    Doc::new("plan", "plan", Entry::Name(Kind::Plan), "What it may do on all routes together.")
        .default("empty: the plan named default, if there is one"),
    Doc::new(
        "quota",
        "own quota",
        Entry::Switch,
        "A quota of its own, in place of that of its plan for the same period.",
    )
    .default("off"),
    Doc::new("quota.requests", "requests", Entry::Whole, "Requests in a period.").example("1000000").required(),
    Doc::new("quota.per", "per", Entry::Text, "The period, from its beginning by the calendar.")
        .unit("minute, hour, day or month")
        .example("month")
        .required(),
    Doc::new("quota.timezone", "time zone", Entry::Text, "Where the calendar hangs.")
        .default("empty: UTC")
        .example("Europe/Berlin"),
];

pub fn new_consumer(live: &Live) -> Form {
    Form::new_object(Kind::Consumer, SECTIONS, live)
}

/// `None` if there is no such consumer.
pub fn edit_consumer(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Consumer, name, SECTIONS, live)
}
