// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of the conditions of a route beyond host, path and method. Those on values of fields, of query parameters and of
//! cookies are kept as they are: a value is a text or one of several tables.

use super::super::field::{Doc, Entry};
use super::fields::KEYS;

pub(super) const CONDITIONS: &[Doc] = &[
    Doc::new("match.content_type", "content type", Entry::List, "Media types of the request body.")
        .unit("types divided by commas; text/* is any text")
        .default("empty: any, or none")
        .example("application/json, text/*"),
    Doc::new(
        "match.grpc",
        "gRPC",
        Entry::Switch,
        "Only calls of gRPC, in place of a path. Leave the path as it is then.",
    )
    .default("off"),
    Doc::new("match.grpc.service", "service", Entry::Text, "The service, with its package.")
        .default("empty: every service")
        .example("shop.v1.Orders"),
    Doc::new("match.grpc.method", "method", Entry::Text, "The method of the service.")
        .default("empty: every method")
        .example("Get"),
    Doc::new("match.window", "times", Entry::Switch, "Only at some times of the week.").default("off"),
    Doc::new("match.window.days", "days", Entry::List, "Days of the week.")
        .unit("mon, tue, wed, thu, fri, sat, sun")
        .default("empty: every day")
        .example("mon, fri"),
    Doc::new("match.window.from", "from", Entry::Text, "When it begins.")
        .unit("hours:minutes")
        .default("empty: with the day")
        .example("08:00"),
    Doc::new(
        "match.window.to",
        "to",
        Entry::Text,
        "When it ends; no longer part of it. Earlier than from: of the next day.",
    )
    .unit("hours:minutes")
    .default("empty: with the day")
    .example("18:00"),
    Doc::new("match.window.offset", "clock", Entry::Text, "How far the clock is from UTC.")
        .unit("+hours:minutes or -hours:minutes")
        .default("empty: UTC")
        .example("+01:00"),
    Doc::new(
        "match.share",
        "share",
        Entry::Share,
        "Share of the requests that meet all else; the others go on to the next route.",
    )
    .default("empty: all of them")
    .example("10%"),
    Doc::new("match.share_by", "share by", Entry::Choice(KEYS), "What keeps a caller in the share or out of it.")
        .default("chance"),
    Doc::new("match.share_by.header", "header", Entry::Text, "Name of the request header.")
        .example("X-Tenant")
        .required(),
    Doc::new("match.share_by.cookie", "cookie", Entry::Text, "Name of the cookie.").example("session").required(),
    Doc::new("match.share_by.query", "parameter", Entry::Text, "Name of the query parameter.")
        .example("user")
        .required(),
];
