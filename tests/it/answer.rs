// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that answer or rewrite, end to end: what the client gets without an endpoint, and what the endpoint gets
//! instead of what the client asked for.

use std::collections::BTreeMap;

use weirgate_store::wire::ExplainRequest;

use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

/// A gateway without upstreams, whose one route answers.
fn answering(matches: &str, policy: &str) -> Running {
    Running::start(&format!("{WEB}[routes.a]\nmatch = {{ {matches} }}\npolicies = [{{ {policy} }}]\n"))
}

fn explain(gateway: &Running, method: &str, url: &str) -> weirgate_store::wire::ExplainReply {
    let (method, url) = (method.to_owned(), url.to_owned());
    gateway.explain(&ExplainRequest { method, url, headers: BTreeMap::new(), client: None })
}

/// Rows: the path of a route, a redirect, a target, and the status and location of the reply.
#[test]
fn redirects() {
    for (matches, policy, target, want) in [
        ("", "to = \"https://{host}{path}\"", "/a/b?c=d", "307 https://a.example/a/b?c=d"),
        ("", "to = \"https://{host}{path}\", status = 301, keep_query = false", "/a?c=d", "301 https://a.example/a"),
        ("", "to = \"/login?next={path}\"", "/a?c=d", "307 /login?next=%2Fa&c=d"),
        ("", "to = \"/q?{query}\"", "/a?c=d", "307 /q?c=d"),
        ("path = { template = \"/o/{id}\" }", "to = \"/orders/{id}\", status = 308", "/o/7%3A8", "308 /orders/7:8"),
        ("path = { template = \"/o/{id}\" }", "to = \"/f?id={id}\"", "/o/a&b=c%25", "307 /f?id=a%26b%3Dc%25"),
        (
            "path = { template = \"/t/{id}\" }",
            "to = \"https://{id}.example.com/\"",
            "/t/Shop",
            "307 https://shop.example.com/",
        ),
        ("path = { template = \"/t/{id}\" }", "to = \"https://{id}.example.com/\"", "/t/evil.test", "400 "),
        ("path = { regex = \"/old(?<rest>.*)\" }", "to = \"/{rest}\"", "/old/evil.test/", "307 /evil.test/"),
    ] {
        let gateway = answering(matches, &format!("redirect = {{ {policy} }}"));
        let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"));
        let got = format!("{} {}", reply.status, reply.one("location"));
        assert_eq!(got, want, "row {policy} {target}: {}", reply.text());
    }
}

#[test]
fn fixed_replies() {
    let gateway = answering(
        "path = \"/x\"",
        "reply = { status = 418, headers = { X-Tea = \"yes\" }, json = '{\"price\": 1.50}' }",
    );
    let reply = gateway.get("/x/y");
    assert_eq!((reply.status, reply.text().as_str()), (418, "{\"price\": 1.50}"));
    assert_eq!((reply.one("content-type"), reply.one("x-tea")), ("application/json".to_owned(), "yes".to_owned()));
    assert_eq!(reply.one("content-length"), "15");
    // A body is read past, and the connection lives on; HEAD gets the length and no body.
    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.reply().status, 418);
    client.say("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = client.reply_to("HEAD");
    assert_eq!((reply.status, reply.one("content-length"), reply.body.len()), (418, "15".to_owned(), 0));
    let empty = answering("", "reply = { status = 204 }").get("/");
    assert_eq!((empty.status, empty.one("content-length")), (204, String::new()));
    let page = answering("", "reply = { body = \"<p>hi\", headers = { Content-Type = \"text/html\" } }").get("/");
    assert_eq!((page.status, page.one("content-type")), (200, "text/html".to_owned()));
    let explained = explain(&gateway, "GET", "http://a/x");
    assert_eq!((explained.status, explained.verdict.as_str()), (Some(418), "418: answered by a policy of route a"));
    assert!(explained.steps.iter().any(|step| step.details == ["a.reply answers 418; 0 more not reached"]));
}

#[test]
fn maintenance_is_for_all_but_some() {
    let origin = Origin::plain();
    let config = |policy: &str| {
        format!(
            "{WEB}{}[routes.a]\nupstream = \"shop\"\npolicies = [{{ api_key = {{ header = \"X-Key\" }} }}, {{ maintenance = {{ {policy} }} }}]\n",
            upstream("shop", &[origin.address()])
        )
    };
    let gateway = Running::start(&config("retry_after = \"10m\", body = \"<h1>soon</h1>\""));
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.one("retry-after"), reply.text()), (503, "600".into(), "<h1>soon</h1>".into()));
    assert_eq!(
        (reply.one("content-type"), reply.one("cache-control")),
        ("text/html; charset=utf-8".into(), "no-store".into())
    );
    gateway.apply(&config("retry_after = \"10m\""));
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.one("retry-after")), (503, "600".into()));
    assert!(reply.text().contains("\"code\":\"maintenance\""), "{}", reply.text());
    gateway.apply(&config("allow = [\"127.0.0.0/8\"]"));
    assert_eq!(gateway.get("/").status, 401, "it passes, and is asked who it is");
    assert_eq!(origin.heads().len(), 0);
}

/// Rows: dates of a policy, and the status and fields of a reply.
#[test]
fn interfaces_on_their_way_out() {
    let origin =
        Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSunset: never\r\nLink: </own>; rel=\"self\"\r\n\r\n");
    let docs = "docs = \"https://d.example/v1\", successor = \"/v2\"";
    for (dates, status, deprecation, sunset) in [
        ("since = \"2020-01-01\", sunset = \"2100-01-01\"", 200, "@1577836800", "Fri, 01 Jan 2100 00:00:00 GMT"),
        (
            "since = \"2020-01-01\", sunset = \"2020-06-30T12:00:00Z\"",
            410,
            "@1577836800",
            "Tue, 30 Jun 2020 12:00:00 GMT",
        ),
        ("sunset = \"2020-06-30\", gone = false", 200, "", "Tue, 30 Jun 2020 00:00:00 GMT"),
    ] {
        let gateway = Running::start(&format!(
            "{WEB}{}[routes.a]\nupstream = \"shop\"\npolicies = [{{ deprecation = {{ {dates}, {docs} }} }}]\n",
            upstream("shop", &[origin.address()])
        ));
        let reply = gateway.get("/");
        assert_eq!((reply.status, reply.one("deprecation").as_str()), (status, deprecation), "row {dates}");
        assert_eq!(reply.one("sunset"), sunset, "row {dates}");
        let links = reply.field("link");
        let ours = ["<https://d.example/v1>; rel=\"deprecation sunset\"", "</v2>; rel=\"successor-version\""];
        assert!(ours.iter().all(|link| links.iter().any(|got| got == link)), "row {dates}: {links:?}");
        assert_eq!(explain(&gateway, "GET", "http://a/").status, (status != 200).then_some(status), "row {dates}");
    }
}

/// Rows: the path of a route, a rewrite, a target, and the first lines that the endpoint gets.
#[test]
fn rewrites() {
    let origin = Origin::plain();
    for (matches, policy, target, want) in [
        ("", "strip_prefix = \"/api\"", "/api/x?a=b", "/x?a=b a.example:8080"),
        ("", "strip_prefix = \"/api\"", "/apix", "/apix a.example:8080"),
        ("", "strip_prefix = \"/api\"", "/api", "/ a.example:8080"),
        ("", "strip_prefix = \"/api\"", "/api;v=1/x;y", "/x;y a.example:8080"),
        ("", "strip_prefix = \"/api\", add_prefix = \"/v2\"", "/api/x", "/v2/x a.example:8080"),
        ("", "add_prefix = \"/v2\"", "/", "/v2 a.example:8080"),
        ("", "host = \"Shop.internal.example:81\"", "/x", "/x shop.internal.example:81"),
        (
            "path = { template = \"/o/{id}\" }",
            "path = \"/orders/{id}/full\"",
            "/o/7%3A8?a",
            "/orders/7:8/full?a a.example:8080",
        ),
        ("path = { template = \"/o/{id}\" }", "host = \"{id}.example.com\"", "/o/Shop", "/o/Shop shop.example.com"),
        ("path = { template = \"/o/{id}\" }", "host = \"{id}.example.com\"", "/o/a.b", "400"),
        ("path = { template = \"/o/{id}\" }", "path = \"/x/{id}{id}\"", "/o/a", "/x/aa a.example:8080"),
        (
            "path = { regex = \"/r/(.*)/(?<last>[a-z]*)\" }",
            "path = \"/{last}/{1}\"",
            "/r/a/b/c",
            "/c/a/b a.example:8080",
        ),
        ("path = { regex = \"/r/(.*)\" }", "path = \"/{1}/.{1}.\"", "/r/", "400"),
        (
            "",
            "query = { remove = [\"a b\"], set = { c = \"{client_ip}\" }, add = { c = \"x&y\" } }",
            "/?a+b=1&c=2&d&%63=3",
            "/?d&c=127.0.0.1&c=x%26y a.example:8080",
        ),
        ("", "query = { remove = [\"a\"] }", "/x?a=1", "/x a.example:8080"),
    ] {
        let gateway = Running::start(&format!(
            "{WEB}{}[routes.a]\nupstream = \"shop\"\nmatch = {{ {matches} }}\npolicies = [{{ rewrite = {{ {policy} }} }}]\n",
            upstream("shop", &[origin.address()])
        ));
        let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"));
        if want.starts_with('4') {
            assert_eq!(reply.status.to_string(), want, "row {policy} {target}");
            continue;
        }
        let head = origin.head();
        let line = head.split(' ').nth(1).unwrap_or_default();
        let host = crate::support::client::values(&head, "host").concat();
        assert_eq!(format!("{line} {host}"), want, "row {policy} {target}");
        assert_eq!(crate::support::client::values(&head, "x-forwarded-host"), ["a.example:8080"], "row {policy}");
    }
}

/// What decides sees the request as it came, and so does the record.
#[test]
fn a_rewrite_changes_nothing_but_what_the_endpoint_gets() {
    let origin = Origin::plain();
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.a]\nupstream = \"shop\"\nmatch = {{ path = \"/api\" }}\n\
         policies = [\"to-v2\", {{ rewrite = {{ host = \"b.example\" }} }}]\n\
         [policies.to-v2]\nrewrite = {{ strip_prefix = \"/api\", add_prefix = \"/v2\" }}\n",
        upstream("shop", &[origin.address()])
    ));
    assert_eq!(gateway.get("/api/x").status, 200);
    assert!(origin.head().starts_with("GET /v2/x HTTP/1.1\r\nHost: b.example\r\n"), "{}", origin.head());
    let explained = explain(&gateway, "GET", "http://a.example/api/x?q");
    let details: Vec<_> = explained.steps.iter().flat_map(|step| &step.details).collect();
    assert!(details.iter().any(|line| *line == "to-v2 asks the endpoint for /v2/x?q of host a.example"), "{details:?}");
    assert!(
        details.iter().any(|line| *line == "a.rewrite asks the endpoint for /v2/x?q of host b.example"),
        "{details:?}"
    );
}
