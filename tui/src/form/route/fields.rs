// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of a route: what it takes, where that goes, how a split moves by itself, what is copied.

use weirgate_store::model::Kind;

use super::super::field::{Choice, Doc, Entry, absent, bare, key};
use super::super::section::{Content, RowShape, RowsDoc, SectionDoc};
use super::conditions::CONDITIONS;

pub(super) const SECTIONS: &[SectionDoc] = &[
    SectionDoc {
        title: "route",
        about: "Which requests it takes, what they must pass, and where they go.",
        unset: "every request, to no upstream yet",
        content: Content::Fields(ROUTE),
    },
    SectionDoc {
        title: "conditions",
        about: "What else a request must be like: its media type, a call of gRPC, the time of the week, a share of all.",
        unset: "none but host, path and method",
        content: Content::Fields(CONDITIONS),
    },
    SectionDoc {
        title: "split",
        about: "Several upstreams instead of one, each with its share. Leave the upstream of the first page empty then.",
        unset: "none: one upstream gets everything",
        content: Content::Rows(RowsDoc { path: "split", one: "side", shape: RowShape::List, columns: SIDE }),
    },
    SectionDoc {
        title: "split by",
        about: "What decides the side of a split, and who may choose it.",
        unset: "chance decides the side",
        content: Content::Fields(SPLIT_BY),
    },
    SectionDoc {
        title: "canary",
        about: "Moves a split of two by a schedule, and back when it goes badly. The step reached survives a restart.",
        unset: "off: shares stay as they are written",
        content: Content::Fields(CANARY),
    },
    SectionDoc {
        title: "mirror",
        about: "Sends a copy of some requests to another upstream, whose replies nobody sees; to try a new version with \
                real traffic.",
        unset: "off: nothing is copied",
        content: Content::Fields(MIRROR),
    },
    SectionDoc {
        title: "more",
        about: "Queue order, CONNECT, body size, and the order of regex paths.",
        unset: "urgency 3, no CONNECT",
        content: Content::Fields(MORE),
    },
];

const ROUTE: &[Doc] = &[
    Doc::new(
        "match.hosts",
        "hosts",
        Entry::List,
        "Hosts this route answers for: exact, or *.example.com for any \
         subdomain.",
    )
    .unit("host names divided by commas")
    .default("empty: every host")
    .example("api.example.com, *.shop.example.com"),
    Doc::new(
        "path_kind",
        "path is a",
        Entry::Own,
        "How the path below is read. prefix: whole segments; exact: this path \
         only; template: {id} stands for one segment; regex: a regular expression for the whole path.",
    )
    .default("prefix"),
    Doc::new("match.path", "path", Entry::Own, "Paths this route answers for. The longest match wins.")
        .default("/")
        .example("/orders   or, as a template, /orders/{id}"),
    Doc::new("match.methods", "methods", Entry::List, "Methods this route answers for.")
        .default("empty: every method")
        .example("GET, POST"),
    Doc::new(
        "upstream",
        "upstream",
        Entry::Name(Kind::Upstream),
        "The group of endpoints that matching requests go to. \
         –: several, see split.",
    )
    .default("none, it must be given unless there is a split"),
    Doc::new(
        "policies",
        "policies",
        Entry::Own,
        "What a request must pass, by name. They run in a fixed order whatever \
         the order here. {…} is a policy written in place; it is kept.",
    )
    .unit("names divided by commas")
    .default("empty: none")
    .example("partner-key, gold-limit"),
];

const SIDE: &[Doc] = &[
    Doc::new("upstream", "upstream", Entry::Name(Kind::Upstream), "The upstream that gets this share.")
        .default("none, it must be given")
        .required(),
    Doc::new("weight", "weight", Entry::Whole, "Its share relative to the other sides; 0 takes nothing but testers.")
        .default("none, it must be given")
        .example("95")
        .required(),
];

pub(super) const KEYS: &[Choice] = &[
    absent("chance", "each request anew"),
    bare("source-ip", "the client's address: the same client stays on its side"),
    bare("path", "the path without its query"),
    bare("client-certificate", "the fingerprint of the client's certificate"),
    key("header", "the value of a request header, such as a tenant"),
    key("cookie", "the value of a cookie, such as a session"),
    key("query", "the value of a query parameter"),
];

const SPLIT_BY: &[Doc] = &[
    Doc::new(
        "split_by",
        "decided by",
        Entry::Choice(KEYS),
        "What decides the side, so that the same caller stays on it.",
    )
    .default("chance"),
    Doc::new("split_by.header", "header", Entry::Text, "Name of the request header.").example("X-Tenant").required(),
    Doc::new("split_by.cookie", "cookie", Entry::Text, "Name of the cookie.").example("session").required(),
    Doc::new("split_by.query", "parameter", Entry::Text, "Name of the query parameter.").example("user").required(),
    Doc::new(
        "testers",
        "testers",
        Entry::Text,
        "Name of a request header in which a tester names the side of the \
         split to be sent to.",
    )
    .default("empty: nobody may choose")
    .example("X-Side"),
];

const TROUBLE: &[Choice] = &[
    absent("back", "to no share at all, until an operator starts it again"),
    bare("stop", "stays where it is, until an operator starts it again"),
];

const CANARY: &[Doc] = &[
    Doc::new("canary", "canary", Entry::Switch, "Whether the split moves by itself. It needs two sides.")
        .default("off"),
    Doc::new(
        "canary.upstream",
        "new side",
        Entry::Name(Kind::Upstream),
        "The side of the split that is new and gets \
         more and more.",
    )
    .required(),
    Doc::new("canary.steps", "steps", Entry::List, "Its shares, rising.")
        .unit("shares divided by commas")
        .example("5%, 25%, 50%, 100%")
        .required(),
    Doc::new("canary.every", "each lasts", Entry::Time, "How long each step lasts.").example("10m").required(),
    Doc::new(
        "canary.errors_max",
        "errors below",
        Entry::Share,
        "Share of its requests that may fail (5xx, or no reply) \
         in a step.",
    )
    .default("5%")
    .example("1%"),
    Doc::new("canary.latency_max", "latency below", Entry::Time, "The mean time of its replies must stay below this.")
        .default("empty: any")
        .example("300ms"),
    Doc::new(
        "canary.requests",
        "at least",
        Entry::Whole,
        "Fewest requests in a step for these to say anything, and for \
         the step to be over.",
    )
    .unit("requests")
    .default("50")
    .example("500"),
    Doc::new(
        "canary.on_trouble",
        "in trouble",
        Entry::Choice(TROUBLE),
        "What happens when errors or latency are above \
         that.",
    )
    .default("back"),
];

const MIRROR: &[Doc] = &[
    Doc::new("mirror", "mirror", Entry::Switch, "Whether requests are copied.").default("off"),
    Doc::new("mirror.upstream", "to", Entry::Name(Kind::Upstream), "The upstream that gets the copies.").required(),
    Doc::new("mirror.share", "share", Entry::Share, "Share of the requests that are copied.")
        .default("100%")
        .example("10%"),
    Doc::new(
        "mirror.max_body",
        "body up to",
        Entry::Size,
        "Longest body that is copied; a request with a longer one is \
         not mirrored.",
    )
    .default("64KiB")
    .example("8KiB"),
];

const MORE: &[Doc] = &[
    Doc::new(
        "urgency",
        "urgency",
        Entry::Whole,
        "Who waits less when an upstream has a queue: 0 goes first, 7 last. A \
         consumer's own number counts before it.",
    )
    .unit("0 to 7")
    .default("3")
    .example("1"),
    Doc::new("connect", "CONNECT", Entry::Flag, "Lets CONNECT through to the endpoint; without it CONNECT is refused.")
        .default("no"),
    Doc::new(
        "max_body",
        "max body",
        Entry::Size,
        "Largest request body on this route; a larger one is refused with 413.",
    )
    .default("empty: the listener's limit (1GiB)")
    .example("8MiB"),
    Doc::new(
        "priority",
        "priority",
        Entry::Whole,
        "Among regex paths that match the same request the highest wins. Other \
         paths do not need it.",
    )
    .default("0")
    .example("10"),
];
