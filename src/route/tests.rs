// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes as lines `[host]path [METHOD,…] [header] [?param] -> name`; requests as `[METHOD ][host]path[?query]`.
//! A path with `{` is a template, with a leading `=` exact, with a leading `~` a regex, else a prefix.

use std::convert::Infallible;
use std::ops::ControlFlow;

use http::Method;

use super::{Conditions, Found, HostPattern, PathPattern, Query, Route, Table, ValueMatch, reference};
use crate::exchange::Fields;

fn route(order: usize, line: &str) -> Route<String> {
    let (left, name) = line.split_once("->").expect("a line has an arrow");
    let mut words = left.split_whitespace();
    let mut first = words.next().expect("a line has a path");
    let mut hosts = Vec::new();
    if !first.starts_with(['/', '=', '~']) {
        let at = first.find(['/', '=', '~']).expect("a path follows the host");
        hosts = first[..at].split(',').map(|host| HostPattern::parse(host).expect("a good host")).collect();
        first = &first[at..];
    }
    let mut conditions = Conditions::default();
    let mut priority = 0;
    for word in words {
        if let Some(parameter) = word.strip_prefix('?') {
            conditions.query.push(pair(parameter));
        } else if let Some(number) = word.strip_prefix('!') {
            priority = number.parse().expect("a number");
        } else if word.chars().all(|c| c.is_ascii_uppercase() || c == ',') {
            conditions.methods = word.split(',').map(|m| m.parse().expect("a method")).collect();
        } else {
            conditions.headers.push(pair(word));
        }
    }
    Route { name: name.trim().into(), hosts, path: path(first), conditions, priority, order, value: name.trim().into() }
}

fn path(text: &str) -> PathPattern {
    let parsed = match text.as_bytes() {
        [b'=', ..] => PathPattern::exact(&text[1..]),
        [b'~', ..] => PathPattern::regex(&text[1..]),
        _ if text.contains('{') => PathPattern::template(text),
        _ => PathPattern::prefix(text),
    };
    parsed.expect("a good path")
}

fn pair(text: &str) -> (Box<str>, ValueMatch) {
    let Some((name, value)) = text.split_once('=') else {
        let absent = text.strip_prefix('-');
        let value = if absent.is_some() { ValueMatch::Absent } else { ValueMatch::Present };
        return (absent.unwrap_or(text).into(), value);
    };
    let regex = value.strip_prefix('~').map(|regex| ValueMatch::regex(regex).expect("a good regex"));
    (name.into(), regex.unwrap_or_else(|| ValueMatch::exact(value)))
}

fn table(lines: &[&str]) -> Table<String> {
    let routes = lines.iter().enumerate().map(|(order, line)| route(order, line)).collect();
    Table::build(routes).expect("a small table")
}

/// Calls `ask` with the look-up that `request` stands for.
fn with_query<R>(request: &str, fields: &Fields, ask: impl FnOnce(&Query<'_>) -> R) -> R {
    let (method, rest) = request.split_once(' ').unwrap_or(("GET", request));
    let (host, rest) = rest.split_at(rest.find(['/', '*']).expect("a request has a path"));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.as_bytes())));
    let method: Method = method.parse().expect("a method");
    let source = std::net::Ipv4Addr::LOCALHOST.into();
    let (host, path) = (host.as_bytes(), path.as_bytes());
    ask(&Query { host, path, query, method: &method, fields, source, certificate: None, now_s: 0, draw: 0 })
}

fn shown(table: &Table<String>, request: &str, fields: &Fields) -> String {
    with_query(request, fields, |query| match table.find(query) {
        Found::Hit(name, captures) => {
            let text = |(name, text)| format!(" {name}={}", String::from_utf8_lossy(text));
            format!("{name}{}", captures.iter(query.path).map(text).collect::<String>())
        }
        Found::Method(methods) => format!("405 {}", methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",")),
        Found::Miss => "404".to_owned(),
    })
}

fn check_fields(lines: &[&str], headers: &[(&str, &str)], rows: &[(&str, &str)]) {
    let mut fields = Fields::new();
    headers.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
    let table = table(lines);
    for (request, wanted) in rows {
        assert_eq!(shown(&table, request, &fields), *wanted, "{request} in {lines:?}");
    }
}

fn check(lines: &[&str], rows: &[(&str, &str)]) {
    check_fields(lines, &[], rows);
}

#[test]
fn longest_path_wins() {
    check(
        &["/ -> root", "/api -> api", "/api/v1 -> v1"],
        &[
            ("/api/v1/x", "v1"),
            ("/api/v1", "v1"),
            ("/api/v1/", "v1"),
            ("/apix", "root"),
            ("/api", "api"),
            ("/api/v10", "api"),
            ("/", "root"),
            ("*", "root"),
        ],
    );
    check(&["/api/ -> api"], &[("/api", "api"), ("/api/x", "api"), ("/apix", "404"), ("/", "404"), ("*", "404")]);
}

#[test]
fn an_exact_path_comes_before_all_others() {
    let lines =
        ["/a -> prefix", "/{x} -> template", "~/[a-z]+ -> regex", "=/a -> exact", "=/ -> root", "=/a/ -> slash"];
    check(&lines, &[("/a", "exact"), ("/b", "template x=b"), ("/", "root"), ("/a/", "slash"), ("/a/b", "prefix")]);
    check(&["~/[a-z]+ -> regex", "/ab -> prefix"], &[("/ab", "regex"), ("/ab/1", "prefix"), ("/x1", "404")]);
}

#[test]
fn templates_prefer_literals() {
    check(
        &["/a/{x}/{y} -> one", "/{x}/b/c -> two", "/a/b/{y} -> early", "/{x}/{y}/{z} -> none", "/a/{x} -> short"],
        &[
            ("/a/b/c", "early y=c"),
            ("/z/b/c", "two x=z"),
            ("/a/z/c", "one x=z y=c"),
            ("/1/2/3", "none x=1 y=2 z=3"),
            ("/a/1", "short x=1"),
            ("/a/", "404"),
            ("/a/1/", "404"),
        ],
    );
    check(&["/a/{x}/{y} -> one", "/{x}/b/c -> two"], &[("/a/b/c", "two x=a")]);
}

#[test]
fn regexes_go_by_priority_then_order() {
    check(&["~/.* -> first", "~/a.* -> second", "~/ab.* !5 -> third"], &[("/abc", "third"), ("/ac", "first")]);
}

#[test]
fn the_most_specific_host_wins_and_shadows_nothing() {
    let lines = [
        "/ -> any",
        "*.example.com/ -> under",
        "*.a.example.com/x -> deep",
        "api.example.com/v1 -> exact",
        "api.example.com/v2 POST -> post",
    ];
    check(
        &lines,
        &[
            ("api.example.com/v1", "exact"),
            ("api.example.com/v3", "under"),
            ("api.example.com/v2", "under"),
            ("POST api.example.com/v2", "post"),
            ("q.a.example.com/x", "deep"),
            ("q.a.example.com/y", "under"),
            ("a.example.com/x", "under"),
            ("example.com/x", "any"),
            ("notexample.com/x", "any"),
            ("/", "any"),
        ],
    );
    check(&["a.b,*.c/ -> many"], &[("a.b/", "many"), ("x.y.c/", "many"), ("b/", "404")]);
}

#[test]
fn a_method_comes_before_none_and_only_it_makes_a_405() {
    let lines = ["/a -> all", "/a GET -> get", "/b GET,PUT -> b", "/b/c POST -> c", "/d GET x-a -> d"];
    check(
        &lines,
        &[
            ("/a", "get"),
            ("HEAD /a", "all"),
            ("HEAD /b", "405 GET,PUT"),
            ("DELETE /b/c", "405 GET,POST,PUT"),
            ("GET /b/c", "b"),
            ("POST /d", "404"),
            ("/e", "404"),
        ],
    );
}

#[test]
fn more_conditions_come_first_and_failing_ones_are_passed_over() {
    let lines = ["/ -> none", "/ x-a -> one", "/ x-a x-b -> two", "/ ?p -> query", "/ x-a ?p -> both"];
    check_fields(&lines, &[("X-A", "1")], &[("/", "one"), ("/?p", "both"), ("/?q", "one")]);
    check_fields(&lines, &[("X-A", "1"), ("x-b", "")], &[("/?p", "two")]);
    check(&lines, &[("/", "none"), ("/?p=1", "query")]);
    check(&["/a/b x-a -> deep", "/a -> short"], &[("/a/b", "short")]);
    check(&["/ -> b", "/ -> a"], &[("/", "b")]);
}

#[test]
fn values_are_compared_whole_and_decoded() {
    let lines = ["/ x-v=2 -> two", "/ x-v=~[0-9]+ -> number", "/ -x-v -> absent", "/ ?q=a+b -> never", "/ ?q=ä&b -> q"];
    check_fields(&lines, &[("x-v", "2")], &[("/", "two")]);
    check_fields(&lines, &[("x-v", "1"), ("X-V", "2")], &[("/", "two")]);
    check_fields(&lines, &[("x-v", "77")], &[("/", "number")]);
    check_fields(&lines, &[("x-v", "7a")], &[("/", "404"), ("/?q=%C3%A4%26b", "q"), ("/?%71=%c3%a4%26b&q=2", "q")]);
    check_fields(&lines, &[("x-v", "x")], &[("/?q=a+b", "404"), ("/?q=a%2bb", "never"), ("/?q=%", "404")]);
    check(&lines, &[("/", "absent")]);
}

#[test]
fn an_explanation_tells_what_find_does() {
    let lines = [
        "/ -> root",
        "/api -> api",
        "/api POST -> post",
        "h/api x-version=2 -> version",
        "h/api/{id} -> template",
        "h/api ?q -> query",
    ];
    let fields = Fields::new();
    let table = table(&lines);
    let explanation = |request| {
        with_query(request, &fields, |query| {
            let told = table.explain(query);
            let winner = told.winner.map(|winner| format!("{}: {}", winner.route.name, winner.why));
            let losers: Vec<_> = told.losers.iter().map(|loser| format!("{}: {}", loser.name, loser.why)).collect();
            (winner.unwrap_or_default(), losers)
        })
    };
    let (winner, losers) = explanation("h/api/7");
    assert_eq!(winner, "template: host h and template /api/{id} match, and it has no other condition");
    assert_eq!(
        losers,
        [
            "version: header x-version is missing",
            "query: query parameter q is missing",
            "post: method GET is not in [POST]",
            "api: host * is less specific than h",
            "root: host * is less specific than h",
        ]
    );
    let (winner, losers) = explanation("POST other/api");
    assert_eq!(winner, "post: host * and prefix /api match, and its one other condition holds");
    assert_eq!(losers, ["api: it has no condition on the method", "root: its prefix is shorter"]);
}

#[test]
fn an_explanation_is_bounded_and_knows_what_was_allowed() {
    let lines: Vec<String> = (0..20).map(|n| format!("/ PUT -> r{n}")).collect();
    let table = table(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    with_query("/", &Fields::new(), |query| {
        let told = table.explain(query);
        assert!(told.winner.is_none());
        assert_eq!((told.losers.len(), told.more, told.allowed), (8, 12, vec![Method::PUT]));
    });
}

#[test]
fn a_hundred_thousand_routes_offer_no_more_candidates_than_ten() {
    for count in [10, 1_000, 100_000] {
        let lines = (0..count).map(|n| route(n, &format!("h{}.example/api/r{n} -> r{n}", n % 1_000)));
        let table = Table::build(lines.collect()).expect("a table");
        let mut offered = 0;
        let request = format!("h{}.example/api/r{}/x", (count - 1) % 1_000, count - 1);
        with_query(&request, &Fields::new(), |query| {
            let ControlFlow::<Infallible>::Continue(()) = table.visit(query, &mut |_| {
                offered += 1;
                ControlFlow::Continue(())
            });
        });
        assert_eq!(offered, 1, "of {count}");
    }
}

const HOSTS: [&str; 6] = ["", "*", "a.b.c", "*.c", "*.b.c", "x.c,*.b.c"];
const SEGMENTS: [&str; 5] = ["a", "b", "c", "{p}", "{q}"];

fn random_route(rng: &mut fastrand::Rng, order: usize) -> Route<usize> {
    let segments: Vec<_> = (0..rng.usize(0..4)).map(|_| SEGMENTS[rng.usize(..5)]).collect();
    let text = format!("/{}", segments.join("/"));
    let literal = text.replace(['{', '}'], "");
    let path = match rng.u8(0..8) {
        0 => PathPattern::exact(&literal),
        1 => PathPattern::exact(&format!("{}/", literal.trim_end_matches('/'))),
        2 => PathPattern::regex(["/a.*", "/.*b", "/[ab]/[a-z]", "/"][rng.usize(..4)]),
        3 | 4 => PathPattern::prefix(&literal),
        _ => PathPattern::template(&text).or_else(|_| PathPattern::prefix(&literal)),
    };
    let mut conditions = Conditions::default();
    if rng.u8(..3) == 0 {
        conditions.methods = vec![[Method::GET, Method::POST][rng.usize(..2)].clone()];
    }
    conditions.headers = ["h1", "h2"].iter().filter(|_| rng.u8(..4) == 0).map(|n| pair(n)).collect();
    conditions.query = ["p1=1", "p2=1"].iter().filter(|_| rng.u8(..4) == 0).map(|n| pair(n)).collect();
    let hosts = HOSTS[rng.usize(..6)].split(',').filter(|host| !host.is_empty());
    let hosts = hosts.map(|host| HostPattern::parse(host).expect("a good host")).collect();
    let path = path.expect("a good path");
    Route { name: format!("r{order}"), hosts, path, conditions, priority: rng.i32(0..3), order, value: order }
}

fn random_request(rng: &mut fastrand::Rng) -> (String, Fields) {
    let host = ["a.b.c", "x.c", "b.c", "c", "z", "", "q.a.b.c"][rng.usize(..7)];
    let path: Vec<_> = (0..rng.usize(0..4)).map(|_| ["a", "b", "c", "p", "z"][rng.usize(..5)]).collect();
    let slash = if path.is_empty() || rng.bool() { "" } else { "/" };
    let mut fields = Fields::new();
    ["h1", "h2"].iter().filter(|_| rng.bool()).for_each(|name| fields.push(name.as_bytes(), b"x"));
    let query: Vec<_> = ["p1=1", "p2=1", "p1=2"].into_iter().filter(|_| rng.bool()).collect();
    let method = ["GET", "POST", "PUT"][rng.usize(..3)];
    (format!("{method} {host}/{}{slash}?{}", path.join("/"), query.join("&")), fields)
}

#[test]
fn the_table_agrees_with_the_naive_reading_of_the_rules() {
    let base = fastrand::u64(..);
    for seed in (0..150).chain([base]) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let routes: Vec<_> = (0..rng.usize(1..60)).map(|order| random_route(&mut rng, order)).collect();
        let table = Table::build(routes.clone()).expect("a small table");
        for _ in 0..60 {
            let (request, fields) = random_request(&mut rng);
            with_query(&request, &fields, |query| {
                let wanted = reference::find(&routes, query);
                let got = match table.find(query) {
                    Found::Hit(value, _) => Ok(*value),
                    Found::Method(methods) => Err(!methods.is_empty()),
                    Found::Miss => Err(false),
                };
                let told = table.explain(query).winner.map(|winner| *winner.value);
                let name = |found: Result<usize, bool>| found.map(|at| routes[at].path.to_string());
                assert_eq!(got, wanted, "seed {seed}, {request}: {:?} not {:?}", name(got), name(wanted));
                assert_eq!(told, wanted.ok(), "seed {seed}, {request}");
            });
        }
    }
}
