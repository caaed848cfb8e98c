// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which route takes a request, end to end: precedence of hosts, paths and conditions, and what a request without one
//! is told.

use std::fmt::Write as _;

use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

/// A route by its name and what it matches; each leads to an endpoint that answers with that name.
fn config(routes: &[(&str, &str)], origins: &mut Vec<Origin>) -> String {
    let mut text = WEB.to_owned();
    for (name, matches) in routes {
        let origin = Origin::named(name);
        text += &upstream(name, &[origin.address()]);
        writeln!(text, "[routes.{name}]\nmatch = {{ {matches} }}\nupstream = \"{name}\"").unwrap();
        origins.push(origin);
    }
    text
}

/// Rows are `METHOD host target fields -> route`; a route of digits is a status.
#[track_caller]
fn check(routes: &[(&str, &str)], rows: &[(&str, &str)]) {
    let mut origins = Vec::new();
    let gateway = Running::start(&config(routes, &mut origins));
    for (row, expected) in rows {
        let mut words = row.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (method, host, target, fields) = (word(), word(), word(), word());
        let fields: String = fields.split_terminator('|').map(|field| format!("{field}\r\n")).collect();
        let reply = gateway.ask(&format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        if expected.bytes().all(|byte| byte.is_ascii_digit()) {
            assert_eq!(reply.status.to_string(), *expected, "row {row}: {}", reply.text());
        } else {
            assert_eq!(reply.text(), *expected, "row {row}: {}", reply.head);
        }
    }
}

#[test]
fn hosts() {
    check(
        &[
            ("exact", "hosts = [\"a.example.com\"]"),
            ("wild", "hosts = [\"*.example.com\"]"),
            ("wilder", "hosts = [\"*.x.example.com\"]"),
            ("any", ""),
        ],
        &[
            ("GET a.example.com /", "exact"),
            ("GET A.Example.COM:8080 /", "exact"),
            ("GET a.example.com. /", "exact"),
            ("GET b.example.com /", "wild"),
            ("GET c.b.example.com /", "wild"),
            ("GET y.x.example.com /", "wilder"),
            ("GET example.com /", "any"),
            ("GET notexample.com /", "any"),
            ("GET [::1]:80 /", "any"),
        ],
    );
}

#[test]
fn paths() {
    check(
        &[
            ("root", "path = \"/\""),
            ("api", "path = \"/api\""),
            ("v1", "path = \"/api/v1\""),
            ("status", "path = { exact = \"/api/v1/status\" }"),
            ("order", "path = { template = \"/api/v1/orders/{id}\" }"),
            ("item", "path = { template = \"/api/v1/orders/{id}/items/{item}\" }"),
            ("digits", "path = { regex = \"/api/v1/[0-9]+\" }"),
        ],
        &[
            ("GET a /", "root"),
            ("GET a /other", "root"),
            ("GET a /apix", "root"),
            ("GET a /api", "api"),
            ("GET a /api/", "api"),
            ("GET a /api/v2", "api"),
            ("GET a /api/v1", "v1"),
            ("GET a /api/v1/x/y", "v1"),
            ("GET a /api/v1/status", "status"),
            ("GET a /api/v1/status?x=y", "status"),
            ("GET a /api/v1/st%61tus", "status"),
            ("GET a /api//v1/./status", "status"),
            ("GET a /api/v1/status/", "v1"),
            ("GET a /api/v1/orders/7", "order"),
            ("GET a /api/v1/orders/7/items/8", "item"),
            ("GET a /api/v1/orders/7/items", "v1"),
            ("GET a /api/v1/42", "digits"),
            ("GET a /api/v1/42a", "v1"),
            ("GET a /API", "root"),
        ],
    );
}

#[test]
fn conditions() {
    check(
        &[
            ("read", "path = \"/x\", methods = [\"GET\"]"),
            ("write", "path = \"/x\", methods = [\"POST\", \"PUT\"]"),
            ("tagged", "path = \"/x\", methods = [\"GET\"], headers = { \"X-Tag\" = \"blue\" }"),
            ("asked", "path = \"/x\", methods = [\"GET\"], query = { \"v\" = { regex = \"2|3\" } }"),
            ("only", "path = \"/only\", headers = { \"X-Must\" = { present = true } }"),
            ("patched", "path = \"/y\", methods = [\"PATCH\", \"DELETE\"]"),
        ],
        &[
            ("GET a /x", "read"),
            ("POST a /x Content-Length: 0|", "write"),
            ("GET a /x X-Tag: blue|", "tagged"),
            ("GET a /x x-tag: blue|", "tagged"),
            ("GET a /x X-Tag: green|", "read"),
            ("GET a /x?v=2", "asked"),
            ("GET a /x?v=4", "read"),
            ("GET a /x?v=2 X-Tag: blue|", "tagged"),
            ("GET a /only X-Must: 1|", "only"),
            ("GET a /only", "404"),
            ("DELETE a /x", "405"),
            ("GET a /y", "405"),
            ("GET a /nowhere", "404"),
        ],
    );
}

#[test]
fn cookies_and_media_types() {
    check(
        &[
            ("any", "path = \"/\""),
            ("tester", "path = \"/\", cookies = { beta = { regex = \"on|yes\" } }"),
            ("anonymous", "path = \"/me\", cookies = { sid = { present = false } }"),
            ("me", "path = \"/me\""),
            ("json", "path = \"/up\", content_type = [\"application/json\", \"text/*\"]"),
            ("other", "path = \"/up\""),
        ],
        &[
            ("GET a /", "any"),
            ("GET a / Cookie: a=b; beta=on|", "tester"),
            ("GET a / Cookie: a=b|Cookie: beta=yes|", "tester"),
            ("GET a / Cookie: beta=off|", "any"),
            ("GET a / Cookie: Beta=on|", "any"),
            ("GET a /me", "anonymous"),
            ("GET a /me Cookie: sid=1|", "me"),
            ("POST a /up Content-Length: 0|Content-Type: Application/JSON; charset=utf-8|", "json"),
            ("POST a /up Content-Length: 0|Content-Type: text/csv|", "json"),
            ("POST a /up Content-Length: 0|Content-Type: image/png|", "other"),
            ("POST a /up Content-Length: 0|Content-Type: text/csv|Content-Type: text/csv|", "other"),
            ("POST a /up Content-Length: 0|", "other"),
        ],
    );
}

/// The clock of the test is that of the machine, so the windows are the whole week and no time of it that is near.
#[test]
fn shares_and_times() {
    check(
        &[
            ("all", "path = \"/a\""),
            ("none", "path = \"/a\", share = \"0%\""),
            ("whole", "path = \"/b\", share = \"100%\", share_by = { cookie = \"sid\" }"),
            ("rest", "path = \"/b\""),
            ("always", "path = \"/c\", window = { offset = \"+02:00\" }"),
            ("never", "path = \"/c\""),
        ],
        &[("GET a /a", "all"), ("GET a /b Cookie: sid=1|", "whole"), ("GET a /b", "whole"), ("GET a /c", "always")],
    );
    let (mut origins, mut sides) = (Vec::new(), std::collections::HashSet::new());
    let routes =
        [("half", "path = \"/\", share = \"50%\", share_by = { header = \"X-Id\" }"), ("other", "path = \"/\"")];
    let gateway = Running::start(&config(&routes, &mut origins));
    for id in 0..40 {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\n\r\n");
        let first = gateway.ask(&request).text();
        assert_eq!(gateway.ask(&request).text(), first, "caller {id} changes sides");
        sides.insert(first);
    }
    assert_eq!(sides.len(), 2, "{sides:?}");
}

#[test]
fn calls_of_grpc() {
    let kind = "Content-Length: 0|Content-Type: application/grpc+proto|";
    let rows: Vec<(String, &str)> = [
        ("/shop.v1.Orders/Get", "get"),
        ("/shop.v1.Orders/List", "orders"),
        ("/shop.v1.Items/Get", "gets"),
        ("/shop.v1.Items/List", "all"),
        ("/shop.v1.Orders", "web"),
        ("/a/b/c", "web"),
    ]
    .into_iter()
    .map(|(path, want)| (format!("POST a {path} {kind}"), want))
    .collect();
    let mut rows: Vec<(&str, &str)> = rows.iter().map(|(row, want)| (row.as_str(), *want)).collect();
    rows.push(("POST a /shop.v1.Orders/Get Content-Length: 0|Content-Type: application/json|", "web"));
    rows.push(("GET a /shop.v1.Orders/Get", "web"));
    check(
        &[
            ("web", ""),
            ("all", "grpc = {}"),
            ("orders", "grpc = { service = \"shop.v1.Orders\" }"),
            ("gets", "grpc = { method = \"Get\" }"),
            ("get", "grpc = { service = \"shop.v1.Orders\", method = \"Get\" }"),
        ],
        &rows,
    );
}

#[test]
fn what_a_request_without_a_route_is_told() {
    let mut origins = Vec::new();
    let gateway = Running::start(&config(&[("x", "path = \"/x\", methods = [\"PUT\", \"GET\"]")], &mut origins));
    let reply = gateway.ask("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut allowed: Vec<_> = reply.one("allow").split(", ").map(str::to_owned).collect();
    allowed.sort();
    assert_eq!((reply.status, allowed.join(" ").as_str()), (405, "GET PUT"));
    for (reply, code) in [(reply, "method"), (gateway.get("/y"), "no-route")] {
        assert_eq!(reply.one("content-type"), "application/problem+json");
        let id = reply.one("x-request-id");
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((id.len(), problem["request-id"].as_str()), (32, Some(id.as_str())), "{problem}");
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(reply.status.into()), Some(code)));
        assert!(!reply.one("date").is_empty());
    }
    // No page for HEAD, but its length; the connection lives on.
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.say("HEAD /y HTTP/1.1\r\nHost: a\r\n\r\n");
        let reply = client.reply_to("HEAD");
        assert_eq!((reply.status, reply.one("content-length") == "0"), (404, false));
    }
    assert_eq!(origins[0].received(), 0);
}
