// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a plan: what each consumer that has it may do on all routes together.

use weirgate_store::model::Kind;

use super::Form;
use super::field::{Doc, Entry};
use super::section::{Content, RowShape, RowsDoc, SectionDoc};
use crate::live::Live;

const SECTIONS: &[SectionDoc] = &[
    SectionDoc { title: "plan", about: "", unset: "", content: Content::Fields(PLAN) },
    SectionDoc {
        title: "rate limits",
        about: "How often a consumer may call. At most one for each of /s, /m, /h and /d.",
        unset: "as often as it likes",
        content: Content::Rows(RowsDoc {
            path: "rate_limits",
            one: "rate limit",
            shape: RowShape::List,
            columns: RATES,
        }),
    },
    SectionDoc {
        title: "quotas",
        about: "How much a consumer may call in a period of the calendar. At most one for each period; survives a restart.",
        unset: "as much as it likes",
        content: Content::Rows(RowsDoc { path: "quotas", one: "quota", shape: RowShape::List, columns: QUOTAS }),
    },
];

const PLAN: &[Doc] = &[Doc::new(
    "concurrency",
    "at once",
    Entry::Whole,
    "Requests of one consumer that may be under way at once; one more is refused.",
)
.default("empty: any number")
.example("20")];

const RATES: &[Doc] = &[
    Doc::new("rate", "rate", Entry::Text, "Requests on average.")
        .unit("count and /s, /m, /h or /d")
        .example("100/s")
        .required(),
    Doc::new("burst", "burst", Entry::Whole, "Requests that may come at once after a pause.")
        .default("empty: the count of the rate")
        .example("200"),
];

const QUOTAS: &[Doc] = &[
    Doc::new("requests", "requests", Entry::Whole, "Requests in a period.").example("1000000").required(),
    Doc::new("per", "per", Entry::Text, "The period, from its beginning by the calendar.")
        .unit("minute, hour, day or month")
        .example("month")
        .required(),
    Doc::new("timezone", "time zone", Entry::Text, "Where the calendar hangs.")
        .default("empty: UTC")
        .example("Europe/Berlin"),
];

pub fn new_plan(live: &Live) -> Form {
    Form::new_object(Kind::Plan, SECTIONS, live)
}

/// `None` if there is no such plan.
pub fn edit_plan(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Plan, name, SECTIONS, live)
}
