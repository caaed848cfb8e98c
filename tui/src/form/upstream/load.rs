// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an upstream on how much it may carry at a time, and how long the rest may wait.

use super::super::field::{Doc, Entry};

pub(super) const LIMITS: &[Doc] = &[
    Doc::new("limits.requests", "requests", Entry::Whole, "Requests in flight to all endpoints together.")
        .unit("requests")
        .default("0: no limit")
        .example("400"),
    Doc::new("limits.endpoint_requests", "…per endpoint", Entry::Whole, "Requests in flight to one endpoint.")
        .unit("requests")
        .default("0: no limit")
        .example("100"),
    Doc::new("limits.connections", "connections", Entry::Whole, "Open connections to all endpoints together.")
        .unit("connections")
        .default("0: no limit")
        .example("1000"),
    Doc::new("limits.endpoint_connections", "…per endpoint", Entry::Whole, "Open connections to one endpoint.")
        .unit("connections")
        .default("0: no limit")
        .example("250"),
    Doc::new(
        "limits.queue",
        "may wait",
        Entry::Whole,
        "Requests that wait when a limit is reached; 0 refuses at once.",
    )
    .unit("requests")
    .default("200")
    .example("50"),
    Doc::new("limits.queue_timeout", "wait at most", Entry::Time, "The longest a request waits before it gets 503.")
        .default("2s")
        .example("500ms"),
    Doc::new(
        "limits.adaptive",
        "adaptive",
        Entry::Switch,
        "Finds the limit of requests in flight by itself: it falls when latency rises above what it is without load.",
    )
    .default("off"),
    Doc::new("limits.adaptive.least", "never below", Entry::Whole, "The limit never falls below this.")
        .unit("requests")
        .default("10")
        .example("20"),
    Doc::new("limits.adaptive.most", "never above", Entry::Whole, "The limit never rises above this.")
        .unit("requests")
        .default("1000")
        .example("500"),
];
