// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every rule: a text that breaks it, and the code, path and line that must be reported.

use super::check as check_model;
use crate::parse::{parse_and_check, parse_toml};
use crate::wire::ProblemCode::{self, *};

/// What all rows stand on: it is right, and two lines long per object so that rows can be read.
const BASE: &str = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.base]\nupstream = \"u\"\n";

/// Lines before the text of a row.
const BASE_LINES: u32 = 4;

type Row<'a> = (&'a str, ProblemCode, &'a str, u32);

#[track_caller]
fn problems(rows: &[Row<'_>]) {
    for (text, code, path, line) in rows {
        let found = parse_and_check(&format!("{BASE}{text}")).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str(), p.line)).collect();
        assert_eq!(seen, [(*code, *path, Some(BASE_LINES + line))], "row {text:?}\n{found:#?}");
        assert!(found.iter().all(|p| p.help.is_some()), "row {text:?}");
    }
}

#[track_caller]
fn warnings(rows: &[Row<'_>]) {
    for (text, code, path, line) in rows {
        let (_, found) = parse_and_check(&format!("{BASE}{text}")).unwrap_or_else(|p| panic!("row {text:?}\n{p:#?}"));
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str(), p.line)).collect();
        assert_eq!(seen, [(*code, *path, Some(BASE_LINES + line))], "row {text:?}\n{found:#?}");
        assert!(found.iter().all(|p| p.help.is_some()), "row {text:?}");
    }
}

#[test]
fn references() {
    problems(&[
        ("[routes.a]\nupstream = \"v\"\n", Dangling, "routes.a.upstream", 2),
        ("[routes.a]\nupstream = \"u\"\npolicies = [\"p\"]\n", Dangling, "routes.a.policies[0]", 3),
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"https\"\ncertificates = [\"c\"]\n",
            Dangling,
            "listeners.l.certificates[0]",
            4,
        ),
        ("[routes.a]\n", MissingField, "routes.a.upstream", 1),
    ]);
    let found = parse_and_check(
        "[upstreams.shop]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.a]\nupstream = \"shpo\"\n",
    );
    let help = found.expect_err("it dangles").remove(0).help.unwrap_or_default();
    assert!(help.contains("did you mean \"shop\"?"), "{help}");
}

#[test]
fn listeners() {
    problems(&[
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"https\"\n",
            MissingField,
            "listeners.l.certificates",
            1,
        ),
        (
            "[certificates.c]\nchain = \"c\"\nkey = \"k\"\n[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\ncertificates = [\"c\"]\n",
            Conflict,
            "listeners.l.certificates",
            7,
        ),
        (
            "[listeners.l]\naddress = \"0.0.0.0:80\"\nprotocol = \"http\"\n[listeners.m]\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n",
            Duplicate,
            "listeners.m.address",
            5,
        ),
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\nlimits = { fields = 0 }\n",
            BadValue,
            "listeners.l.limits.fields",
            4,
        ),
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\nlimits = { fields = 257 }\n",
            BadValue,
            "listeners.l.limits.fields",
            4,
        ),
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\nlimits = { head = \"1B\" }\n",
            BadValue,
            "listeners.l.limits.head",
            4,
        ),
        (
            "[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\ntimeouts = { idle = \"0s\" }\n",
            BadValue,
            "listeners.l.timeouts.idle",
            4,
        ),
    ]);
    let free = "[listeners.a]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n[listeners.b]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n[listeners.c]\naddress = \"[::]:80\"\nprotocol = \"http\"\n[listeners.d]\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n";
    assert_eq!(parse_and_check(free).map(|(_, warnings)| warnings), Ok(Vec::new()));
}

/// Each row is one upstream that is wrong in one place.
#[track_caller]
fn upstream_problems(rows: &[(String, ProblemCode, &str, u32)]) {
    for (rest, code, path, line) in rows {
        let text = format!("[upstreams.v]\n{rest}[routes.v]\nmatch = {{ path = \"/v\" }}\nupstream = \"v\"\n");
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.clone(), p.line)).collect();
        assert_eq!(seen, [(*code, format!("upstreams.v.{path}"), Some(*line))], "row {rest:?}\n{found:#?}");
    }
}

#[test]
fn listeners_without_routes() {
    let l = |protocol: &str, rest: &str| {
        format!("[listeners.l]\naddress = \"127.0.0.1:1\"\nprotocol = \"{protocol}\"\n{rest}")
    };
    let u = |rest: &str| format!("[upstreams.v]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n{rest}");
    for (text, code, path, line) in [
        (l("tcp", ""), MissingField, "listeners.l.upstream", 1),
        (l("udp", ""), MissingField, "listeners.l.upstream", 1),
        (l("tls", ""), MissingField, "listeners.l.sni", 1),
        (l("tcp", "upstream = \"x\"\n"), Dangling, "listeners.l.upstream", 4),
        (l("tls", "sni = { \"a.example\" = \"x\" }\n"), Dangling, "listeners.l.sni.\"a.example\"", 4),
        (l("tls", "alpn = { h2 = \"x\" }\n"), Dangling, "listeners.l.alpn.h2", 4),
        (l("tls", "sni = { \"a.*\" = \"u\" }\n"), BadValue, "listeners.l.sni.\"a.*\"", 4),
        (l("tls", "sni = { \"[::1]\" = \"u\" }\n"), BadValue, "listeners.l.sni.\"[::1]\"", 4),
        (l("tls", "alpn = { \"\" = \"u\" }\n"), BadValue, "listeners.l.alpn.\"\"", 4),
        (l("http", "upstream = \"u\"\n"), Conflict, "listeners.l.upstream", 4),
        (l("http", "sni = { a = \"u\" }\n"), Conflict, "listeners.l.sni", 4),
        (l("tcp", "upstream = \"u\"\nalpn = { h2 = \"u\" }\n"), Conflict, "listeners.l.alpn", 5),
        (l("http", "proxy_protocol = true\n"), MissingField, "listeners.l.trusted_proxies", 1),
        (
            l("udp", "upstream = \"u\"\ntrusted_proxies = [\"10.0.0.0/8\"]\nproxy_protocol = true\n"),
            Conflict,
            "listeners.l.proxy_protocol",
            6,
        ),
        (l("tcp", "upstream = \"u\"\ntimeouts = { tunnel = \"0s\" }\n"), BadValue, "listeners.l.timeouts.tunnel", 5),
        (l("udp", "upstream = \"u\"\ntimeouts = { session = \"0s\" }\n"), BadValue, "listeners.l.timeouts.session", 5),
        (
            u(&format!("proxy_protocol = \"v2\"\n{}", l("udp", "upstream = \"v\"\n"))),
            Conflict,
            "listeners.l.upstream",
            7,
        ),
    ] {
        problems(&[(&text, code, path, line)]);
    }
    let dns = "[listeners.t]\naddress = \"127.0.0.1:53\"\nprotocol = \"tcp\"\nupstream = \"u\"\n[listeners.u]\naddress = \"127.0.0.1:53\"\nprotocol = \"udp\"\nupstream = \"u\"\n[listeners.s]\naddress = \"127.0.0.1:54\"\nprotocol = \"tls\"\nsni = { \"*\" = \"v\" }\n";
    let both = format!("{BASE}{}{dns}", u(""));
    assert_eq!(parse_and_check(&both).map(|(_, warnings)| warnings), Ok(Vec::new()), "one port of each transport");
}

#[test]
fn upstreams() {
    let e = "endpoints = [{ address = \"127.0.0.1:1\" }]\n";
    upstream_problems(&[
        ("endpoints = []\n".to_owned(), MissingField, "endpoints", 2),
        (
            "endpoints = [{ address = \"127.0.0.1:1\" },\n{ address = \"127.0.0.1:1\" }]\n".to_owned(),
            Duplicate,
            "endpoints[1].address",
            3,
        ),
        ("endpoints = [{ address = \"0.0.0.0:1\" }]\n".to_owned(), BadValue, "endpoints[0].address", 2),
        ("endpoints = [{ address = \"127.0.0.1:0\" }]\n".to_owned(), BadValue, "endpoints[0].address", 2),
        (
            "endpoints = [{ address = \"127.0.0.1:1\", weight = 10001 }]\n".to_owned(),
            BadValue,
            "endpoints[0].weight",
            2,
        ),
        (
            "endpoints = [{ address = \"127.0.0.1:1\", priority = 10 }]\n".to_owned(),
            BadValue,
            "endpoints[0].priority",
            2,
        ),
        (
            "endpoints = [{ address = \"127.0.0.1:1\" }, { address = \"127.0.0.1:2\", backup = true, priority = 1 }]\n"
                .to_owned(),
            Conflict,
            "endpoints[1].priority",
            2,
        ),
        ("endpoints = [{ address = \"127.0.0.1:1\", zone = \"\" }]\n".to_owned(), BadValue, "endpoints[0].zone", 2),
        (format!("{e}hash = {{ by = \"path\" }}\n"), Conflict, "hash", 3),
        (format!("{e}hash = {{ by = \"path\" }}\nbalance = \"source-ip\"\n"), Conflict, "hash.by", 3),
        (format!("{e}hash = {{ bounded_load = \"104%\" }}\nbalance = \"ring\"\n"), BadValue, "hash.bounded_load", 3),
        (format!("{e}hash = {{ by = {{ header = \"a b\" }} }}\nbalance = \"maglev\"\n"), BadValue, "hash.by.header", 3),
        (
            format!("{e}hash = {{ by = {{ cookie = \"\" }} }}\nbalance = \"rendezvous\"\n"),
            BadValue,
            "hash.by.cookie",
            3,
        ),
        (format!("{e}hash = {{ by = {{ query = \"a=b\" }} }}\nbalance = \"ring\"\n"), BadValue, "hash.by.query", 3),
        (format!("{e}hash = {{ points = 39 }}\nbalance = \"ring\"\n"), BadValue, "hash.points", 3),
        (format!("{e}hash = {{ points = 3200 }}\nbalance = \"maglev\"\n"), Conflict, "hash.points", 3),
        (format!("{e}zone = {{ prefer = \"\" }}\n"), BadValue, "zone.prefer", 3),
        (format!("{e}zone = {{ prefer = \"a\", enough = \"0%\" }}\n"), BadValue, "zone.enough", 3),
        (format!("{e}retry = {{ attempts = 11 }}\n"), BadValue, "retry.attempts", 3),
        (format!("{e}timeouts = {{ connect = \"0ms\" }}\n"), BadValue, "timeouts.connect", 3),
    ]);
}

#[test]
fn health_of_upstreams() {
    let e = "endpoints = [{ address = \"127.0.0.1:1\" }]\n";
    upstream_problems(&[
        (format!("{e}health = {{ interval = \"1s\" }}\n"), MissingField, "health", 3),
        (format!("{e}health = {{ tcp = true, http = {{ path = \"/\" }} }}\n"), Conflict, "health", 3),
        (format!("{e}health = {{ http = {{ path = \"x\" }} }}\n"), BadValue, "health.http.path", 3),
        (
            format!("{e}health = {{ http = {{ path = \"/\", expect = [200, 99] }} }}\n"),
            BadValue,
            "health.http.expect[1]",
            3,
        ),
        (format!("{e}health = {{ tcp = true, fall = 0 }}\n"), BadValue, "health.fall", 3),
        (format!("{e}health = {{ tcp = true, timeout = \"0s\" }}\n"), BadValue, "health.timeout", 3),
        (format!("{e}health = {{ tcp = true, tls = true }}\n"), Conflict, "health", 3),
        (
            format!("{e}health = {{ grpc = true, script = {{ path = \"/x\" }}, agent = {{ port = 1 }} }}\n"),
            Conflict,
            "health",
            3,
        ),
        (format!("{e}health = {{ tcp = {{ expect = \"\" }} }}\n"), BadValue, "health.tcp.expect", 3),
        (format!("{e}health = {{ tls = {{ server_name = \"a b\" }} }}\n"), BadValue, "health.tls.server_name", 3),
        (format!("{e}health = {{ script = {{ path = \"check\" }} }}\n"), BadValue, "health.script.path", 3),
        (
            format!("{e}health = {{ script = {{ path = \"/x\", args = [\"a\\u0000\"] }} }}\n"),
            BadValue,
            "health.script.args[0]",
            3,
        ),
        (format!("{e}health = {{ agent = {{ port = 0 }} }}\n"), BadValue, "health.agent.port", 3),
        (format!("{e}health = {{ tcp = true, port = 0 }}\n"), BadValue, "health.port", 3),
        (
            format!("{e}health = {{ tcp = true, interval = \"1s\", fast_interval = \"2s\" }}\n"),
            Conflict,
            "health.fast_interval",
            3,
        ),
        (format!("{e}health = {{ http = {{ path = \"/\", method = \"G T\" }} }}\n"), BadValue, "health.http.method", 3),
        (
            format!("{e}health = {{ http = {{ path = \"/\", headers = {{ Host = \"a\" }} }} }}\n"),
            BadValue,
            "health.http.headers.Host",
            3,
        ),
        (format!("{e}health = {{ http = {{ path = \"/\", body = \"(\" }} }}\n"), Invalid, "health.http.body", 3),
        (
            format!("{e}health = {{ http = {{ path = \"/\", method = \"HEAD\", body = \"ok\" }} }}\n"),
            Conflict,
            "health.http.body",
            3,
        ),
        (format!("{e}outlier = {{ failure_rate = \"101%\" }}\n"), BadValue, "outlier.failure_rate", 3),
        (format!("{e}outlier = {{ eject = \"10m\" }}\n"), Conflict, "outlier.eject_max", 3),
        (format!("{e}panic = \"101%\"\n"), BadValue, "panic", 3),
        (format!("{e}slow_start = \"0s\"\n"), BadValue, "slow_start", 3),
        (format!("{e}slow_start = \"2h\"\n"), BadValue, "slow_start", 3),
    ]);
}

#[test]
fn routes() {
    problems(&[
        ("[routes.a]\nupstream = \"u\"\nmatch = { path = \"a\" }\n", BadValue, "routes.a.match.path", 3),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { path = { exact = \"\" } }\n",
            BadValue,
            "routes.a.match.path.exact",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { path = { template = \"/x{y}\" } }\n",
            BadValue,
            "routes.a.match.path.template",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { path = { regex = \"(\" } }\n",
            Invalid,
            "routes.a.match.path.regex",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { query = { q = { regex = \"(x{1000}){1000}\" } } }\n",
            Invalid,
            "routes.a.match.query.q.regex",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { hosts = [\"a\", \"a:80\"] }\n",
            BadValue,
            "routes.a.match.hosts[1]",
            3,
        ),
        ("[routes.a]\nupstream = \"u\"\nmatch = { methods = [\"GE T\"] }\n", BadValue, "routes.a.match.methods[0]", 3),
        (
            "[routes.a]\nupstream = \"u\"\nmatch = { headers = { \"a b\" = \"x\" } }\n",
            BadValue,
            "routes.a.match.headers.\"a b\"",
            3,
        ),
    ]);
}

#[test]
fn policies_and_consumers() {
    problems(&[
        (
            "[routes.a]\nupstream = \"u\"\npolicies = [{ api_key = {} }]\n",
            MissingField,
            "routes.a.policies[0].api_key",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\npolicies = [{ api_key = { header = \"X Y\" } }]\n",
            BadValue,
            "routes.a.policies[0].api_key.header",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\npolicies = [{ rate_limit = { per = \"ip\", rate = \"1/s\", burst = 0 } }]\n",
            BadValue,
            "routes.a.policies[0].rate_limit.burst",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\npolicies = [{ request_headers = { set = { Content-Length = \"1\" } } }]\n",
            BadValue,
            "routes.a.policies[0].request_headers.set.Content-Length",
            3,
        ),
        (
            "[routes.a]\nupstream = \"u\"\npolicies = [{ reply_headers = { add = { A = \"b\\r\\nc\" } } }]\n",
            BadValue,
            "routes.a.policies[0].reply_headers.add.A",
            3,
        ),
        ("[consumers.c]\napi_keys = [{ secret = \"short\" }]\n", BadValue, "consumers.c.api_keys[0].secret", 2),
        ("[consumers.c]\napi_keys = [{ prefix = \"x\" }]\n", MissingField, "consumers.c.api_keys[0].secret", 2),
        ("[consumers.c]\napi_keys = [{ hash = \"00\" }]\n", BadValue, "consumers.c.api_keys[0].hash", 2),
        (
            "[consumers.c]\napi_keys = [{ secret = \"0123456789abcdef\" }]\n[consumers.d]\napi_keys = [{ secret = \"0123456789abcdef\" }]\n",
            Duplicate,
            "consumers.d.api_keys[0]",
            4,
        ),
    ]);
}

#[test]
fn what_is_probably_not_meant() {
    warnings(&[
        ("[upstreams.v]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n", Dangling, "upstreams.v", 1),
        ("[policies.p]\napi_key = { header = \"A\" }\n", Dangling, "policies.p", 1),
        ("[certificates.c]\nchain = \"a\"\nkey = \"b\"\n", Dangling, "certificates.c", 1),
        ("[routes.c]\nupstream = \"u\"\n", Duplicate, "routes.c.match", 1),
        ("[routes.a]\nupstream = \"u\"\nmatch = { methods = [\"get\"] }\n", BadValue, "routes.a.match.methods[0]", 3),
        (
            "[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"u\"\npolicies = [{ rate_limit = { per = \"consumer\", rate = \"1/s\" } }]\n",
            Conflict,
            "routes.a.policies[0]",
            4,
        ),
        (
            "[upstreams.v]\nendpoints = [{ address = \"127.0.0.1:1\" }]\nzone = { prefer = \"a\" }\n[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"v\"\n",
            Dangling,
            "upstreams.v.zone.prefer",
            3,
        ),
        (
            "[upstreams.v]\nendpoints = [{ address = \"127.0.0.1:1\" }]\nbalance = \"ring\"\nhash = { by = \"client-certificate\" }\n[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"v\"\n",
            Conflict,
            "upstreams.v.hash.by",
            4,
        ),
        (
            "[upstreams.v]\nendpoints = [{ address = \"127.0.0.1:1\", weight = 0 }]\n[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"v\"\n",
            BadValue,
            "upstreams.v.endpoints",
            2,
        ),
    ]);
}

#[test]
fn all_problems_of_both_sorts_come_at_once_in_the_order_of_the_text() {
    let text = "[routes.a]\nupstream = \"nowhere\"\npriorty = 1\n[routes.b]\nmatch = { path = \"b\" }\nupstream = \"u\"\n[upstreams.u]\nendpoints = []\n";
    let found = parse_and_check(text).expect_err("it has four mistakes");
    let seen: Vec<_> = found.iter().map(|p| (p.code, p.line.unwrap_or(0))).collect();
    assert_eq!(seen, [(Dangling, 2), (UnknownField, 3), (BadValue, 5), (MissingField, 8)], "{found:#?}");
}

#[test]
fn a_right_model_gives_an_empty_report() {
    assert_eq!(check_model(&parse_toml(BASE).expect("it is valid")), super::Report::default());
}

#[test]
fn a_file_full_of_mistakes_gives_a_bounded_list() {
    let route = |n: usize| format!("[routes.r{n}]\nupstream = \"nowhere\"\nbogus = {n}\n[routes.r{n}]\n");
    let text: String = (0..3_000).map(route).collect();
    let found = parse_and_check(&text).expect_err("it has thousands of mistakes");
    assert_eq!(found.len(), crate::parse::PROBLEMS_MAX);
    let dangling: String = (0..3_000).map(|n| format!("[routes.r{n}]\nupstream = \"u{n}\"\n")).collect();
    let found = parse_and_check(&dangling).expect_err("it has thousands of mistakes");
    assert_eq!(found.len(), crate::parse::PROBLEMS_MAX);
}

#[test]
fn sources_of_endpoints() {
    let row = |source: &str, path: &str| {
        let text = format!("[upstreams.a]\ndiscovery = {source}\n[routes.a]\nupstream = \"a\"\n");
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
        let want: Vec<_> = (!path.is_empty()).then_some((BadValue, path)).into_iter().collect();
        assert_eq!(seen, want, "row {source:?}\n{found:#?}");
    };
    row("{ dns = \"shop.internal:8080\" }", "");
    row("{ dns = \"shop.internal.:8080\" }", "");
    row("{ srv = \"_http._tcp.shop.internal\" }", "");
    row("{ file = { path = \"/etc/weirgate/shop\" } }", "");
    row("{ lease = {} }", "");
    for dns in ["shop.internal", "shop.internal:0", "shop..internal:80", "-a:80", "sh op:80", ":80"] {
        row(&format!("{{ dns = \"{dns}\" }}"), "upstreams.a.discovery.dns");
    }
    for srv in ["", "http.tcp", "_http._tcp.a:80"] {
        row(&format!("{{ srv = \"{srv}\" }}"), "upstreams.a.discovery.srv");
    }
    row("{ file = { path = \"shop\" } }", "upstreams.a.discovery.file.path");
    row("{ lease = { ttl = \"500ms\" } }", "upstreams.a.discovery.lease.ttl");
    row("{ lease = { ttl = \"2d\" } }", "upstreams.a.discovery.lease.ttl");
}

/// A second upstream, so that a split has two sides.
const SECOND: &str = "[upstreams.v]\nendpoints = [{ address = \"127.0.0.1:2\" }]\n[routes.v]\nmatch = { path = \"/v\" }\nupstream = \"v\"\n";

#[test]
fn splits() {
    let sides = "split = [{ upstream = \"u\", weight = 9 }, { upstream = \"v\", weight = 1 }]\n";
    let rows: [(&str, ProblemCode, &str); 12] = [
        (
            "upstream = \"u\"\nsplit = [{ upstream = \"u\", weight = 9 }, { upstream = \"v\", weight = 1 }]\n",
            Conflict,
            "upstream",
        ),
        ("split = [{ upstream = \"u\", weight = 9 }]\n", BadValue, "split"),
        (
            "split = [{ upstream = \"u\", weight = 9 }, { upstream = \"w\", weight = 1 }]\n",
            Dangling,
            "split[1].upstream",
        ),
        (
            "split = [{ upstream = \"u\", weight = 9 }, { upstream = \"u\", weight = 1 }]\n",
            Duplicate,
            "split[1].upstream",
        ),
        ("split = [{ upstream = \"u\", weight = 0 }, { upstream = \"v\", weight = 0 }]\n", Conflict, "split"),
        (
            "split = [{ upstream = \"u\", weight = 1 }, { upstream = \"v\", weight = 10001 }]\n",
            BadValue,
            "split[1].weight",
        ),
        ("upstream = \"u\"\nsplit_by = \"source-ip\"\n", Conflict, "split_by"),
        ("upstream = \"u\"\ntesters = \"X-Side\"\n", Conflict, "testers"),
        ("{sides}testers = \"X Side\"\n", BadValue, "testers"),
        ("{sides}split_by = { header = \"X User\" }\n", BadValue, "split_by.header"),
        ("{sides}split_by = { cookie = \"a b\" }\n", BadValue, "split_by.cookie"),
        ("{sides}split_by = { query = \"\" }\n", BadValue, "split_by.query"),
    ];
    route_rows(&rows, sides);
}

#[test]
fn canaries() {
    let split = "split = [{ upstream = \"u\", weight = 1 }, { upstream = \"v\", weight = 0 }]\n";
    let three = "split = [{ upstream = \"u\", weight = 1 }, { upstream = \"v\", weight = 0 }, { upstream = \"v2\", weight = 0 }]\n\
        canary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\" }\n[upstreams.v2]\nendpoints = [{ address = \"127.0.0.1:3\" }]\n";
    let rows: [(&str, ProblemCode, &str); 11] = [
        ("upstream = \"u\"\ncanary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\" }\n", Conflict, "canary"),
        (three, Conflict, "canary"),
        ("{sides}canary = { upstream = \"w\", steps = [\"5%\"], every = \"1m\" }\n", Dangling, "canary.upstream"),
        ("{sides}canary = { upstream = \"v\", steps = [], every = \"1m\" }\n", BadValue, "canary.steps"),
        (
            "{sides}canary = { upstream = \"v\", steps = [\"5%\", \"5%\"], every = \"1m\" }\n",
            BadValue,
            "canary.steps[1]",
        ),
        ("{sides}canary = { upstream = \"v\", steps = [\"0%\"], every = \"1m\" }\n", BadValue, "canary.steps[0]"),
        (
            "{sides}canary = { upstream = \"v\", steps = [\"50%\", \"101%\"], every = \"1m\" }\n",
            BadValue,
            "canary.steps[1]",
        ),
        ("{sides}canary = { upstream = \"v\", steps = [\"5%\"], every = \"0s\" }\n", BadValue, "canary.every"),
        (
            "{sides}canary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\", errors_max = \"101%\" }\n",
            BadValue,
            "canary.errors_max",
        ),
        (
            "{sides}canary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\", latency_max = \"0s\" }\n",
            BadValue,
            "canary.latency_max",
        ),
        (
            "{sides}canary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\", requests = 0 }\n",
            BadValue,
            "canary.requests",
        ),
    ];
    route_rows(&rows, split);
    let both_none = "split = [{ upstream = \"u\", weight = 0 }, { upstream = \"v\", weight = 0 }]\n\
        canary = { upstream = \"v\", steps = [\"5%\"], every = \"1m\" }\n";
    route_rows(&[], both_none);
}

#[test]
fn sticky_sessions() {
    for (text, field) in [
        ("cookie = { name = \"a b\" }", "cookie.name"),
        ("cookie = { path = \"shop\" }", "cookie.path"),
        ("cookie = { path = \"/;x\" }", "cookie.path"),
        ("cookie = { max_age = \"0s\" }", "cookie.max_age"),
        ("header = \"X Node\"", "header"),
        ("header = \"Set-Cookie\"", "header"),
        ("header = \"Connection\"", "header"),
        ("learn = { cookie = \"\" }", "learn.cookie"),
        ("learn = { cookie = \"sid\", entries = 7 }", "learn.entries"),
        ("learn = { cookie = \"sid\", entries = 4194305 }", "learn.entries"),
        ("learn = { cookie = \"sid\", idle = \"0s\" }", "learn.idle"),
    ] {
        let text = BASE.replace("[routes.base]", &format!("sticky = {{ {text} }}\n[routes.base]"));
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.clone())).collect();
        assert_eq!(seen, [(BadValue, format!("upstreams.u.sticky.{field}"))], "row {text}\n{found:#?}");
    }
    let good = BASE.replace("[routes.base]", "sticky = { cookie = {} }\n[routes.base]");
    assert!(parse_and_check(&good).is_ok());
}

#[test]
fn mirrors() {
    let rows: [(&str, ProblemCode, &str); 4] = [
        ("upstream = \"u\"\nmirror = { upstream = \"w\" }\n", Dangling, "mirror.upstream"),
        ("upstream = \"u\"\nmirror = { upstream = \"v\", share = \"0%\" }\n", BadValue, "mirror.share"),
        ("upstream = \"u\"\nmirror = { upstream = \"v\", share = \"101%\" }\n", BadValue, "mirror.share"),
        ("upstream = \"u\"\nmirror = { upstream = \"v\", max_body = \"2MiB\" }\n", BadValue, "mirror.max_body"),
    ];
    route_rows(&rows, "upstream = \"u\"\nmirror = { upstream = \"v\", share = \"5%\" }\n");
    warnings(&[(
        "[routes.a]\nmatch = { path = \"/a\" }\nupstream = \"u\"\nmirror = { upstream = \"u\" }\n",
        Conflict,
        "routes.a.mirror.upstream",
        4,
    )]);
}

/// Rows about one more route, after two upstreams: the code and the field of the only problem.
#[track_caller]
fn route_rows(rows: &[(&str, ProblemCode, &str)], sides: &str) {
    for (text, code, field) in rows {
        let text = format!("{BASE}{SECOND}[routes.a]\nmatch = {{ path = \"/a\" }}\n{}", text.replace("{sides}", sides));
        let found = parse_and_check(&text).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.clone())).collect();
        assert_eq!(seen, [(*code, format!("routes.a.{field}"))], "row {text}\n{found:#?}");
        assert!(found.iter().all(|p| p.help.is_some() && p.line.is_some()), "row {text}\n{found:#?}");
    }
    let good = format!("{BASE}{SECOND}[routes.a]\nmatch = {{ path = \"/a\" }}\n{sides}");
    assert_eq!(parse_and_check(&good).map(|(_, warnings)| warnings), Ok(Vec::new()));
}
