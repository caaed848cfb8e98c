// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for quotas, requests at once and plans: a text that breaks one, and what must be reported.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, *};

const BASE: &str = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.base]\nupstream = \"u\"\n";

/// Each row: a text, and the code and path of the one thing that is reported.
#[track_caller]
fn check(rows: &[(&str, ProblemCode, &str)]) {
    for (text, code, path) in rows {
        let found = parse_and_check(&format!("{BASE}{text}"));
        let found = found.map_or_else(|problems| problems, |(_, warnings)| warnings);
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
        assert_eq!(seen, [(*code, *path)], "row {text:?}\n{found:#?}");
        assert!(found.iter().all(|p| p.help.is_some() && p.line.is_some()), "row {text:?}\n{found:#?}");
    }
}

#[test]
fn quotas_and_requests_at_once() {
    let in_place =
        |policy: &str| format!("[routes.a]\nmatch = {{ path = \"/a\" }}\nupstream = \"u\"\npolicies = [{policy}]\n");
    let quota = |settings: &str| in_place(&format!("{{ quota = {{ {settings} }} }}"));
    check(&[
        (&quota("requests = 0, per = \"day\", key = \"ip\""), BadValue, "routes.a.policies[0].quota.requests"),
        (
            &quota("requests = 30000000001, per = \"day\", key = \"ip\""),
            BadValue,
            "routes.a.policies[0].quota.requests",
        ),
        (&quota("requests = 1, per = \"week\", key = \"ip\""), BadValue, "routes.a.policies[0].quota.per"),
        (&quota("requests = 1, key = \"ip\""), MissingField, "routes.a.policies[0].quota.per"),
        (&quota("per = \"day\", key = \"ip\""), MissingField, "routes.a.policies[0].quota.requests"),
        (
            &quota("requests = 1, per = \"day\", key = \"ip\", timezone = \"a b\""),
            BadValue,
            "routes.a.policies[0].quota.timezone",
        ),
        (
            &quota("requests = 1, per = \"day\", key = { header = \"a b\" }"),
            BadValue,
            "routes.a.policies[0].quota.key.header",
        ),
        (&quota("requests = 1, per = \"day\""), Conflict, "routes.a.policies[0]"),
        (&in_place("{ concurrency = { per = \"ip\", max = 0 } }"), BadValue, "routes.a.policies[0].concurrency.max"),
        (&in_place("{ concurrency = { per = \"ip\" } }"), MissingField, "routes.a.policies[0].concurrency.max"),
        (&in_place("{ concurrency = { max = 3 } }"), MissingField, "routes.a.policies[0].concurrency.per"),
        (
            &in_place(
                "{ quota = { requests = 1, per = \"day\", key = \"ip\" } }, { quota = { requests = 2, per = \"day\", key = \"ip\" } }",
            ),
            Duplicate,
            "routes.a.policies[1].quota",
        ),
    ]);
}

#[test]
fn plans() {
    let keyed =
        "[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"u\"\npolicies = [{ api_key = { header = \"K\" } }]\n";
    let used = |plan: &str| format!("{keyed}[consumers.c]\nplan = \"p\"\n[plans.p]\n{plan}\n");
    check(&[
        (&used(""), MissingField, "plans.p"),
        (&used("concurrency = 0"), BadValue, "plans.p.concurrency"),
        (&used("rate_limits = [{ rate = \"1/s\" }, { rate = \"9/s\" }]"), Duplicate, "plans.p.rate_limits[1]"),
        (&used("rate_limits = [{ rate = \"1/s\", burst = 0 }]"), BadValue, "plans.p.rate_limits[0].burst"),
        (&used("quotas = [{ requests = 1 }]"), MissingField, "plans.p.quotas[0].per"),
        (
            &used("quotas = [{ requests = 1, per = \"day\" }, { requests = 9, per = \"day\" }]"),
            Duplicate,
            "plans.p.quotas[1]",
        ),
        (&format!("{keyed}[consumers.c]\nplan = \"p\"\n"), Dangling, "consumers.c.plan"),
        (&format!("{keyed}[plans.p]\nconcurrency = 1\n"), Dangling, "plans.p"),
        ("[consumers.c]\nplan = \"p\"\n[plans.p]\nconcurrency = 1\n", Conflict, "consumers.c.plan"),
        ("[consumers.c]\nquota = { requests = 1, per = \"day\" }\n", Conflict, "consumers.c.quota"),
        (
            &format!("{keyed}[consumers.c]\nquota = {{ requests = 0, per = \"day\" }}\n"),
            BadValue,
            "consumers.c.quota.requests",
        ),
    ]);
    let right = used("rate_limits = [{ rate = \"1/s\" }, { rate = \"9/m\" }]\nconcurrency = 1");
    let (_, warnings) =
        parse_and_check(&format!("{BASE}{right}[plans.default]\nconcurrency = 9\n")).expect("it is right");
    assert_eq!(warnings, [], "the default plan is that of all others");
}
