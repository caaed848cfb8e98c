// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an upstream on active health checks.

use super::super::field::{Choice, Doc, Entry, absent, key, key_true};

const KINDS: &[Choice] = &[
    absent("none", "every endpoint is taken to be up, unless an agent says otherwise"),
    key("http", "a request that must be answered as expected; best where there is HTTP"),
    key_true("tcp", "a connection that opens, and bytes to send and expect if given"),
    key_true("tls", "a TLS handshake that ends well, whatever the certificate"),
    key_true("grpc", "the gRPC health protocol; only SERVING is healthy"),
    key("script", "a program on this machine; for what no other check can see"),
];

pub(super) const HEALTH: &[Doc] = &[
    Doc::new("health", "check", Entry::Choice(KINDS), "What is asked of each endpoint.").default("none"),
    Doc::new("health.http.path", "path", Entry::Text, "Path and query that are asked for.")
        .example("/healthz")
        .required(),
    Doc::new("health.http.method", "method", Entry::Text, "Method of the check.").default("GET").example("HEAD"),
    Doc::new("health.http.host", "host", Entry::Text, "Host of the check.")
        .default("empty: the endpoint's address")
        .example("shop.internal"),
    Doc::new("health.http.headers", "headers", Entry::Pairs, "More headers of the check.")
        .default("empty: none")
        .example("X-Check: weirgate; Accept: text/plain"),
    Doc::new("health.http.expect", "statuses", Entry::Numbers, "Statuses that mean healthy.")
        .default("200")
        .example("200, 204"),
    Doc::new(
        "health.http.body",
        "body has",
        Entry::Text,
        "A regular expression that must be found in the first 64 KiB \
         of the body.",
    )
    .default("empty: any body")
    .example("\"status\":\"ok\""),
    Doc::new("health.tcp.send", "send", Entry::Escaped, "Sent once connected.")
        .default("empty: nothing")
        .example("PING\\r\\n"),
    Doc::new("health.tcp.expect", "expect", Entry::Escaped, "Must be found in the first 64 KiB that come.")
        .default("empty: an open connection is enough")
        .example("+PONG"),
    Doc::new("health.tls.server_name", "server name", Entry::Text, "Sent as SNI.")
        .default("empty: none")
        .example("shop.internal"),
    Doc::new("health.grpc.service", "service", Entry::Text, "The service to ask about.")
        .default("empty: the whole server")
        .example("shop.v1.Orders"),
    Doc::new(
        "health.script.path",
        "program",
        Entry::Text,
        "It gets the address and the port as last arguments, no \
         input, and an empty environment but for PATH. Exit code 0 is healthy.",
    )
    .unit("absolute path on the machine of the daemon")
    .example("/etc/weirgate/checks/shop")
    .required(),
    Doc::new("health.script.args", "arguments", Entry::Words, "Before the address and the port.")
        .default("empty: none")
        .example("--table orders"),
    Doc::new("health.interval", "every", Entry::Time, "Between two checks of one endpoint.")
        .default("2s")
        .example("5s"),
    Doc::new(
        "health.fast_interval",
        "when unsure",
        Entry::Time,
        "Between two checks while an endpoint has begun to \
         fail or to recover.",
    )
    .default("empty: a quarter of it")
    .example("500ms"),
    Doc::new("health.timeout", "timeout", Entry::Time, "For one check to answer.").default("1s").example("500ms"),
    Doc::new("health.fall", "down after", Entry::Whole, "Failed checks in a row until an endpoint is down.")
        .unit("checks")
        .default("3")
        .example("2"),
    Doc::new("health.rise", "up after", Entry::Whole, "Passed checks in a row until it is up again.")
        .unit("checks")
        .default("2")
        .example("3"),
    Doc::new("health.port", "other port", Entry::Whole, "Checks go to this port instead of that of the requests.")
        .unit("1 to 65535")
        .default("empty: the same port")
        .example("9090"),
    Doc::new(
        "health.agent",
        "agent",
        Entry::Switch,
        "Asks an agent on the endpoint's machine as well: one line such as \
         \"75% ready\" that can set weight, drain, maint, down and up (HAProxy agent lines).",
    )
    .default("off"),
    Doc::new("health.agent.port", "agent port", Entry::Whole, "Port of the agent.")
        .unit("1 to 65535")
        .example("9777")
        .required(),
    Doc::new("health.agent.send", "agent send", Entry::Escaped, "Sent to the agent once connected.")
        .default("empty: nothing")
        .example("shop\\n"),
];
