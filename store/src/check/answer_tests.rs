// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for policies that answer, rewrite or tell browsers something: a policy that breaks one, and what is said of it.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, *};

/// Rows: a policy in a route with the path `/o/{id}`, and the code and place of the one problem; none for a good one.
#[track_caller]
fn check(rows: &[(&str, Option<(ProblemCode, &str)>)]) {
    for (policy, want) in rows {
        let upstream =
            if policy.starts_with("redirect") || policy.starts_with("reply =") { "" } else { "upstream = \"u\"" };
        let text = format!(
            "[upstreams.u]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n[routes.b]\nupstream = \"u\"\n\
             [routes.a]\n{upstream}\nmatch = {{ path = {{ template = \"/o/{{id}}\" }} }}\npolicies = [{{ {policy} }}]\n"
        );
        let found = parse_and_check(&text);
        let seen: Vec<_> = found.as_ref().err().into_iter().flatten().map(|p| (p.code, p.path.clone())).collect();
        let want: Vec<_> = want.iter().map(|(code, place)| (*code, format!("routes.a.policies[0].{place}"))).collect();
        assert_eq!(seen, want, "row {policy}\n{found:#?}");
        let warned = found.map(|(_, warnings)| warnings).unwrap_or_default();
        assert!(warned.is_empty(), "row {policy}\n{warned:#?}");
    }
}

#[test]
fn redirects_and_replies() {
    let to = Some((BadValue, "redirect.to"));
    check(&[
        ("redirect = { to = \"https://{host}{path}\" }", None),
        ("redirect = { to = \"{scheme}://www.example.com:8443/{id}?from={path}\", status = 301 }", None),
        ("redirect = { to = \"https://{id}.example.com\" }", None),
        ("redirect = { to = \"/new/{id}\", status = 308, keep_query = false }", None),
        ("redirect = {}", Some((MissingField, "redirect.to"))),
        ("redirect = { to = \"/x\", status = 304 }", Some((BadValue, "redirect.status"))),
        ("redirect = { to = \"/x{\" }", to),
        ("redirect = { to = \"www.example.com\" }", to),
        ("redirect = { to = \"//www.example.com\" }", to),
        ("redirect = { to = \"ftp://www.example.com\" }", to),
        ("redirect = { to = \"https:///x\" }", to),
        ("redirect = { to = \"https://{consumer}.example.com\" }", to),
        ("redirect = { to = \"/a b\" }", to),
        ("redirect = { to = \"/é\" }", to),
        ("redirect = { to = \"/{ide}\" }", to),
        ("redirect = { to = \"{id}\" }", to),
        ("reply = {}", None),
        ("reply = { status = 503, headers = { X-A = \"b\" }, body = \"no\" }", None),
        ("reply = { json = '{\"a\": [1.50]}' }", None),
        ("reply = { json = '{a}' }", Some((BadValue, "reply.json"))),
        ("reply = { json = '1', body = \"1\" }", Some((Conflict, "reply"))),
        ("reply = { status = 204, body = \"x\" }", Some((Conflict, "reply.status"))),
        ("reply = { status = 101 }", Some((BadValue, "reply.status"))),
        ("reply = { headers = { Content-Length = \"1\" } }", Some((BadValue, "reply.headers.Content-Length"))),
        ("maintenance = { retry_after = \"10m\", body = \"<h1>soon\", allow = [\"10.0.0.0/8\"] }", None),
        ("maintenance = { allow = [\"10.0.0.0\"] }", Some((BadValue, "maintenance.allow[0]"))),
    ]);
}

#[test]
fn rewrites() {
    let path = Some((BadValue, "rewrite.path"));
    let host = Some((BadValue, "rewrite.host"));
    check(&[
        ("rewrite = { path = \"/orders/{id}\", host = \"{id}.example.com:8080\" }", None),
        ("rewrite = { strip_prefix = \"/api\", add_prefix = \"/v2\" }", None),
        ("rewrite = { query = { remove = [\"a\"], set = { b = \"{id}\" }, add = { c = \"{client_ip}\" } } }", None),
        ("rewrite = { path = \"/x\", add_prefix = \"/y\" }", Some((Conflict, "rewrite.path"))),
        ("rewrite = { path = \"x\" }", path),
        ("rewrite = { path = \"/x?y\" }", path),
        ("rewrite = { path = \"/x//y\" }", path),
        ("rewrite = { path = \"/x/../y\" }", path),
        ("rewrite = { path = \"/{nr}\" }", path),
        ("rewrite = { strip_prefix = \"api\" }", Some((BadValue, "rewrite.strip_prefix"))),
        ("rewrite = { add_prefix = \"/\" }", Some((BadValue, "rewrite.add_prefix"))),
        ("rewrite = { host = \"*.example.com\" }", host),
        ("rewrite = { host = \"a b\" }", host),
        ("rewrite = { host = \"a.example:http\" }", host),
        ("rewrite = { host = \"{path}\" }", host),
        ("rewrite = { query = { set = { \"\" = \"x\" } } }", Some((BadValue, "rewrite.query"))),
        ("rewrite = { query = { set = { a = \"{\" } } }", Some((BadValue, "rewrite.query.set.a"))),
        ("rewrite = { query = { add = { a = \"{nr}\" } } }", Some((BadValue, "rewrite.query.add.a"))),
    ]);
}

#[test]
fn what_browsers_are_told() {
    let origin = Some((BadValue, "cors.origins[0]"));
    check(&[
        ("cors = { origins = [\"*\"] }", None),
        ("cors = { origins = [\"https://*.example.com\", \"http://localhost:3000\"], credentials = true }", None),
        ("cors = { origins = [\"https://[::1]:8443\", \"app://local\"], methods = [\"*\"], headers = [\"*\"] }", None),
        ("cors = { origins = [\"*\"], credentials = true }", Some((Conflict, "cors.origins[0]"))),
        ("cors = {}", Some((MissingField, "cors.origins"))),
        ("cors = { origins = [] }", Some((MissingField, "cors.origins"))),
        ("cors = { origins = [\"null\"] }", origin),
        ("cors = { origins = [\"example.com\"] }", origin),
        ("cors = { origins = [\"https://example.com/\"] }", origin),
        ("cors = { origins = [\"https://Example.com\"] }", origin),
        ("cors = { origins = [\"https://example.com:443\"] }", origin),
        ("cors = { origins = [\"https://*\"] }", origin),
        ("cors = { origins = [\"https://a.*.example.com\"] }", origin),
        ("cors = { origins = [\"https://a.example\"], methods = [\"put\"] }", Some((BadValue, "cors.methods[0]"))),
        ("cors = { origins = [\"https://a.example\"], expose = [\"a b\"] }", Some((BadValue, "cors.expose[0]"))),
        (
            "cors = { origins = [\"https://a.example\"], expose = [\"*\"], credentials = true }",
            Some((Conflict, "cors.expose")),
        ),
        ("security_headers = { hsts = {}, nosniff = true, frame = \"deny\", referrer = \"no-referrer\" }", None),
        ("security_headers = { hsts = { preload = true } }", Some((Conflict, "security_headers.hsts.preload"))),
        ("security_headers = { referrer = \"none\" }", Some((BadValue, "security_headers.referrer"))),
        ("security_headers = { csp = \"a\\nb\" }", Some((BadValue, "security_headers.csp"))),
        ("security_headers = { frame = \"allow\" }", Some((BadValue, "security_headers.frame"))),
        ("request_id = {}", None),
        ("request_id = { header = \"Connection\" }", Some((BadValue, "request_id.header"))),
        ("trace = { from = \"proxies\", sample = \"10%\" }", None),
        ("trace = { sample = \"200%\" }", Some((BadValue, "trace.sample"))),
    ]);
}

#[test]
fn interfaces_on_their_way_out() {
    check(&[
        (
            "deprecation = { since = \"2026-01-01\", sunset = \"2026-12-31T18:00:00Z\", docs = \"https://d.example/v1\" }",
            None,
        ),
        ("deprecation = { since = \"2026-01-01\", sunset = \"2026-01-01\", successor = \"/v2\", gone = false }", None),
        ("deprecation = {}", Some((MissingField, "deprecation"))),
        ("deprecation = { since = \"2026-01-02\", sunset = \"2026-01-01\" }", Some((Conflict, "deprecation.sunset"))),
        ("deprecation = { since = \"2026-13-01\" }", Some((BadValue, "deprecation.since"))),
        ("deprecation = { sunset = \"2026-01-01\", docs = \"a b\" }", Some((BadValue, "deprecation.docs"))),
        ("deprecation = { sunset = \"2026-01-01\", successor = \"/v2>\" }", Some((BadValue, "deprecation.successor"))),
    ]);
}

#[test]
fn a_route_that_answers_needs_no_upstream() {
    let reply = "[policies.gone]\nreply = { status = 410 }\n";
    let good = format!("{reply}[routes.a]\npolicies = [\"gone\"]\n");
    assert_eq!(parse_and_check(&good).map(|(_, warnings)| warnings), Ok(Vec::new()));
    let both = format!("{good}upstream = \"u\"\n[upstreams.u]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n");
    let warned = parse_and_check(&both).map(|(_, warnings)| warnings).unwrap_or_default();
    assert!(warned.iter().any(|w| w.code == Conflict && w.path == "routes.a.policies[0]"), "{warned:#?}");
    let neither = parse_and_check("[routes.a]\npolicies = [{ trace = {} }]\n").err().unwrap_or_default();
    assert!(neither.iter().any(|p| p.code == MissingField && p.path == "routes.a.upstream"), "{neither:#?}");
}

/// A named policy takes the names of each route that uses it.
#[test]
fn names_are_those_of_the_route() {
    let text = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[policies.r]\nrewrite = { path = \"/{id}/{2}\" }\n\
                [routes.a]\nupstream = \"u\"\nmatch = { path = { regex = \"/(?<id>a)(b)\" } }\npolicies = [\"r\"]\n\
                [routes.b]\nupstream = \"u\"\nmatch = { path = { template = \"/{id}\" } }\npolicies = [\"r\"]\n";
    let found = parse_and_check(text).err().unwrap_or_default();
    let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
    assert_eq!(seen, [(BadValue, "routes.b.policies[0]")], "{found:#?}");
}
