// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every sort of mistake: the text, and the code, path and line of each problem it must give.

use super::{parse_and_check, parse_object, parse_toml};
use crate::model::Kind;
use crate::wire::ProblemCode::{self, *};
use serde_json::json;

type Row = (&'static str, &'static [(ProblemCode, &'static str, u32)]);

#[track_caller]
fn check(rows: &[Row]) {
    for (text, want) in rows {
        let problems = parse_and_check(text).err().unwrap_or_default();
        let seen: Vec<_> = problems.iter().map(|p| (p.code, p.path.as_str(), p.line.unwrap_or(0))).collect();
        assert_eq!(seen, *want, "row {text:?}\n{problems:#?}");
        let told = problems.iter().all(|p| p.help.as_ref().is_some_and(|help| !help.is_empty()) && p.column.is_some());
        assert!(told, "a problem without help or column in row {text:?}\n{problems:#?}");
    }
}

#[test]
fn syntax() {
    check(&[
        ("[listeners.web\naddress = \"127.0.0.1:1\"\n", &[(Syntax, "", 1)]),
        ("[policies.p]\napi_key = { header = \"A }\n", &[(Syntax, "", 2)]),
        ("a = 1 2\nb = = 3\n", &[(Syntax, "", 1), (Syntax, "", 2)]),
        ("[routes.a]\n[routes.a]\n", &[(Duplicate, "routes.a", 2)]),
        (
            "[routes.a]\nupstream = \"x\"\nupstream = \"y\"\n",
            &[(Dangling, "routes.a.upstream", 2), (Duplicate, "upstream", 3)],
        ),
    ]);
    let problems = parse_toml("[routes.b]\n[routes.a]\n[routes.b]\n").expect_err("it is defined twice");
    assert!(problems.iter().any(|p| p.message.contains("line 1") && p.message.contains("line 3")), "{problems:#?}");
    let problems = parse_toml("[routes.b]\npriority = 1\npriority = 2\n").expect_err("it is defined twice");
    assert!(problems.iter().any(|p| p.message.contains("line 2") && p.message.contains("line 3")), "{problems:#?}");
}

#[test]
fn names_of_tables_and_settings() {
    check(&[
        ("[route.a]\n", &[(UnknownField, "route", 1)]),
        ("[listeners.W]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\n", &[(BadValue, "listeners.W", 1)]),
        ("routes = 1\n", &[(BadValue, "routes", 1)]),
        ("[routes]\na = 1\n", &[(BadValue, "routes.a", 2)]),
        (
            "[listeners.w]\nadress = \"127.0.0.1:1\"\nprotocol = \"http\"\n",
            &[(MissingField, "listeners.w.address", 1), (UnknownField, "listeners.w.adress", 2)],
        ),
        (
            "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\", wieght = 2 },\n { weight = 1 }]\nretry = { attemps = 1 }\n",
            &[
                (UnknownField, "upstreams.u.endpoints[0].wieght", 2),
                (MissingField, "upstreams.u.endpoints[1].address", 3),
                (UnknownField, "upstreams.u.retry.attemps", 4),
            ],
        ),
        ("[policies.p]\nrate_limt = { per = \"ip\", rate = \"1/s\" }\n", &[(UnknownField, "policies.p.rate_limt", 2)]),
        (
            "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.a]\nupstream = \"u\"\n\
             policies = [{ ratelimit = 1 }, { api_key = { heder = \"A\" } }]\n",
            &[
                (UnknownField, "routes.a.policies[0].ratelimit", 5),
                (UnknownField, "routes.a.policies[1].api_key.heder", 5),
            ],
        ),
        (
            "[policies.p]\napi_key = { header = \"A\" }\nrate_limit = { per = \"ip\", rate = \"1/s\" }\n",
            &[(Conflict, "policies.p", 1)],
        ),
        (
            "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.a]\nupstream = \"u\"\n\
             policies = [{ api_key = { header = \"A\" }, rate_limit = { per = \"ip\", rate = \"1/s\" } }]\n\
             match = { path = { exact = \"/a\", regex = \"b\" }, headers = { a = { regex = \"b\", present = true } } }\n",
            &[
                (Conflict, "routes.a.policies[0]", 5),
                (BadValue, "routes.a.match.path", 6),
                (BadValue, "routes.a.match.headers.a", 6),
            ],
        ),
    ]);
    let problems = parse_toml("[listeners.w]\nadress = 1\n").expect_err("it is misspelled");
    let help: Vec<_> = problems.iter().filter_map(|p| p.help.as_deref()).collect();
    assert!(help.iter().any(|help| help.contains("did you mean \"address\"?")), "{help:?}");
}

#[test]
fn values() {
    let upstream = |rest: &str| format!("[upstreams.u]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n{rest}\n");
    for (rest, path) in [
        ("balance = \"least-reqest\"", "balance"),
        ("balance = 5", "balance"),
        ("timeouts = { connect = \"2\" }", "timeouts.connect"),
        ("timeouts = { connect = 2 }", "timeouts.connect"),
        ("retry = { budget = \"2000%\" }", "retry.budget"),
        ("retry = { on = [\"connect\", \"bogus\"] }", "retry.on[1]"),
        ("retry = { attempts = -1 }", "retry.attempts"),
        ("retry = { attempts = 1.5 }", "retry.attempts"),
        ("retry = { attempts = 99999999999999999999 }", "retry.attempts"),
        ("health = { tcp = 1979-05-27 }", "health.tcp"),
        ("health = { tcp = inf }", "health.tcp"),
        ("health = \"/healthz\"", "health"),
    ] {
        let text = upstream(rest);
        let problems = parse_and_check(&text).expect_err("it is a bad value");
        let seen: Vec<_> = problems.iter().map(|p| (p.code, p.path.clone(), p.line)).collect();
        assert_eq!(seen, [(BadValue, format!("upstreams.u.{path}"), Some(3))], "row {rest:?}\n{problems:#?}");
    }
    check(&[
        (
            "[listeners.w]\naddress = \"nonsense\"\nprotocol = \"htp\"\nlimits = { head = \"1MB\", fields = \"x\" }\ntrusted_proxies = [\"10.0.0.0/8\", \"x\", \"10.0.0.0/99\"]\n",
            &[
                (BadValue, "listeners.w.address", 2),
                (BadValue, "listeners.w.protocol", 3),
                (BadValue, "listeners.w.limits.head", 4),
                (BadValue, "listeners.w.limits.fields", 4),
                (BadValue, "listeners.w.trusted_proxies[1]", 5),
                (BadValue, "listeners.w.trusted_proxies[2]", 5),
            ],
        ),
        (
            "[routes.a]\nupstream = \"A B\"\nmatch = { path = { templte = \"/x\" }, headers = { a = 1 } }\n",
            &[
                (BadValue, "routes.a.upstream", 2),
                (UnknownField, "routes.a.match.path.templte", 3),
                (BadValue, "routes.a.match.headers.a", 3),
            ],
        ),
        (
            "[consumers.c]\napi_keys = [{ secret = 1 }, { secrt = \"x\" }]\n",
            &[(BadValue, "consumers.c.api_keys[0].secret", 2), (UnknownField, "consumers.c.api_keys[1].secrt", 2)],
        ),
    ]);
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    check(&[
        (
            "[upstreams.u]\nendpoints = [{ address = \"localhost:9000\" }]\n",
            &[(NotSupported, "upstreams.u.endpoints[0].address", 2)],
        ),
        (
            "[policies.p]\noidc = {}\n[policies.q]\ncache = {}\n",
            &[(NotSupported, "policies.p.oidc", 2), (NotSupported, "policies.q.cache", 4)],
        ),
        (
            "[routes.a]\nupstream = \"u\"\ntimeouts = {}\npolicies = [\"p\"]\n[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n",
            &[(NotSupported, "routes.a.timeouts", 3), (Dangling, "routes.a.policies[0]", 4)],
        ),
    ]);
}

/// The example of the design, as far as it concerns what is built: every refusal names what it refuses.
const EXAMPLE: &str = include_str!("example.toml");

#[test]
fn the_example_is_refused_only_for_what_is_not_built() {
    let problems = parse_and_check(EXAMPLE).expect_err("it uses what is not built yet");
    let others: Vec<_> = problems.iter().filter(|p| p.code != NotSupported).collect();
    assert!(others.is_empty(), "{others:#?}");
    let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
    let want = [
        "listeners.web-tls.http3",
        "routes.order-page.policies[0].compose",
        "routes.catalog.policies[0].transcode",
        "routes.site.policies[0].cache",
        "routes.site.policies[1].compress",
    ];
    assert_eq!(paths, want);
    assert!(problems.iter().all(|p| p.message.contains("not supported yet") && p.line.is_some()));
}

#[test]
fn the_http_parts_of_the_example_load() {
    let (model, warnings) = parse_and_check(include_str!("example-http.toml")).unwrap_or_else(|p| panic!("{p:#?}"));
    assert_eq!(warnings, []);
    assert_eq!((model.listeners.len(), model.routes.len(), model.consumers.len()), (2, 3, 1));
    let text = crate::text::to_toml(&model);
    assert_eq!(parse_toml(&text), Ok(model), "{text}");
}

#[test]
fn what_is_not_built_yet_is_refused_by_every_door() {
    let text = "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\nhttp3 = true\n";
    let problems = parse_toml(text).expect_err("it is not built");
    assert!(problems.iter().all(|p| p.code == NotSupported && p.line.is_some()), "{problems:#?}");
}

#[test]
fn an_object_of_the_api_is_read_by_the_same_rules() {
    let good =
        json!({ "upstream": "a", "policies": ["p", { "rate_limit": { "per": { "header": "X-T" }, "rate": "1/s" } }] });
    assert!(parse_object(Kind::Route, "r", &good).is_ok());
    let bad = json!({ "upsteam": "a", "timeouts": {}, "priority": "high" });
    let problems = parse_object(Kind::Route, "r", &bad).expect_err("it has three mistakes");
    let seen: Vec<_> = problems.iter().map(|p| (p.code, p.path.as_str())).collect();
    let want =
        [(NotSupported, "routes.r.timeouts"), (BadValue, "routes.r.priority"), (UnknownField, "routes.r.upsteam")];
    assert_eq!(seen, want);
    for value in [json!(null), json!([]), json!("x"), json!({ "match": { "path": [] } })] {
        assert!(parse_object(Kind::Route, "r", &value).is_err(), "row {value}");
    }
}
