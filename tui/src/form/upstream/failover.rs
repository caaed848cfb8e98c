// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an upstream on endpoints that fail requests: ejection, panic, slow start, retry, hedge, breaker.

use super::super::field::{Doc, Entry};

pub(super) const OUTLIER: &[Doc] = &[
    Doc::new("outlier", "eject", Entry::Switch, "Whether endpoints that fail real requests are taken out for a while.")
        .default("off"),
    Doc::new(
        "outlier.consecutive_failures",
        "in a row",
        Entry::Whole,
        "Failures in a row (no connection, no reply, 5xx) \
         until an endpoint is ejected; 0 does not count them.",
    )
    .unit("requests")
    .default("5")
    .example("3"),
    Doc::new(
        "outlier.failure_rate",
        "failing share",
        Entry::Share,
        "Share of failed requests in an interval that \
         ejects; 0% does not look.",
    )
    .default("85%")
    .example("50%"),
    Doc::new(
        "outlier.requests",
        "at least",
        Entry::Whole,
        "Fewest requests of one endpoint in an interval for the share \
         to say anything.",
    )
    .unit("requests")
    .default("50")
    .example("20"),
    Doc::new("outlier.interval", "interval", Entry::Time, "How often shares are looked at.")
        .default("10s")
        .example("5s"),
    Doc::new(
        "outlier.eject",
        "first for",
        Entry::Time,
        "How long the first ejection lasts; each next one lasts so much \
         longer.",
    )
    .default("30s")
    .example("10s"),
    Doc::new("outlier.eject_max", "longest", Entry::Time, "The longest ejection.").default("300s").example("10m"),
    Doc::new("outlier.ejected_max", "at most", Entry::Share, "Most endpoints ejected at a time; one is always left.")
        .default("50%")
        .example("34%"),
];

pub(super) const RECOVERY: &[Doc] = &[
    Doc::new(
        "panic",
        "panic below",
        Entry::Share,
        "With fewer usable endpoints than this share, health is ignored and \
         all are used: some replies are better than none, and the few that are up are not drowned. 0% never.",
    )
    .default("0%")
    .example("50%"),
    Doc::new(
        "slow_start",
        "slow start",
        Entry::Time,
        "How long an endpoint that came back takes to get its full weight \
         and limits; for applications with cold caches.",
    )
    .default("empty: all at once")
    .example("30s"),
];

pub(super) const RETRY: &[Doc] = &[
    Doc::new("retry.attempts", "more tries", Entry::Whole, "Tries after the first, each on another endpoint.")
        .unit("0 to 10")
        .default("2")
        .example("1"),
    Doc::new(
        "retry.on",
        "on",
        Entry::List,
        "What counts as a failure: connect, reset, timeout, 429, 500, 502, 503, \
         504. All but connect only for requests that may be repeated (GET, HEAD, PUT, DELETE, …).",
    )
    .default("connect, reset")
    .example("connect, reset, 503"),
    Doc::new(
        "retry.budget",
        "budget",
        Entry::Share,
        "Retries as a share of the requests of the last ten seconds, so \
         that retries cannot double an overload.",
    )
    .default("20%")
    .example("10%"),
    Doc::new(
        "retry.per_try",
        "per try",
        Entry::Time,
        "For one try to bring the head of a reply, if another may follow.",
    )
    .default("empty: the response timeout alone")
    .example("2s"),
    Doc::new(
        "retry.buffer",
        "keep body",
        Entry::Size,
        "Bytes of a request body that are kept so that it can be sent \
         again; a longer one is sent once.",
    )
    .default("0B: none is kept")
    .example("64KiB"),
];

pub(super) const HEDGE: &[Doc] = &[
    Doc::new("hedge", "hedge", Entry::Switch, "Whether slow requests get a second copy. It costs retry budget.")
        .default("off"),
    Doc::new("hedge.percentile", "slower than", Entry::Share, "Slow is slower than this share of the last replies.")
        .unit("50% to 99%")
        .default("95%")
        .example("99%"),
    Doc::new("hedge.after", "not before", Entry::Time, "A second copy is never sent sooner than this.")
        .default("10ms")
        .example("50ms"),
];

pub(super) const BREAKER: &[Doc] = &[
    Doc::new("breaker", "breaker", Entry::Switch, "Whether it refuses at once while everything fails.").default("off"),
    Doc::new(
        "breaker.consecutive_failures",
        "in a row",
        Entry::Whole,
        "Failed requests in a row, over all endpoints, \
         that open it; 0 does not count them.",
    )
    .unit("requests")
    .default("20")
    .example("10"),
    Doc::new(
        "breaker.failure_rate",
        "failing share",
        Entry::Share,
        "Share of failed requests of the last ten seconds \
         that opens it; 0% does not look.",
    )
    .default("0%")
    .example("80%"),
    Doc::new(
        "breaker.requests",
        "at least",
        Entry::Whole,
        "Fewest requests of the last ten seconds for the share to say \
         anything.",
    )
    .unit("requests")
    .default("20")
    .example("100"),
    Doc::new(
        "breaker.open",
        "first for",
        Entry::Time,
        "How long it stays open before one request is let through; \
         doubled after each that fails.",
    )
    .default("1s")
    .example("5s"),
    Doc::new("breaker.open_max", "longest", Entry::Time, "The longest it stays open.").default("60s").example("2m"),
];
