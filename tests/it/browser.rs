// SPDX-License-Identifier: MIT OR Apache-2.0
//! What browsers and tracers are told, end to end: other origins, safer pages, ids of requests and traces.

use crate::support::client::{Reply, values};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

/// An endpoint that has its own mind about other origins.
const ORIGIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: https://its.own\r\n\
                      Vary: Accept\r\nX-Frame-Options: none\r\n\r\nok";

fn gateway(origin: &Origin, listener: &str, matches: &str, policies: &str) -> Running {
    Running::start(&format!(
        "{WEB}{listener}{}[routes.a]\nupstream = \"shop\"\nmatch = {{ {matches} }}\npolicies = [{policies}]\n",
        upstream("shop", &[origin.address()])
    ))
}

/// What a reply says of other origins, in the order of the names.
fn told(reply: &Reply) -> String {
    let names = ["allow-origin", "allow-credentials", "allow-methods", "allow-headers", "expose-headers", "max-age"];
    let one = |name: &&str| {
        let value = reply.one(&format!("access-control-{name}"));
        (!value.is_empty()).then(|| format!("{name}={value}"))
    };
    names.iter().filter_map(one).collect::<Vec<_>>().join(" ")
}

const APP: &str = "cors = { origins = [\"https://app.example\", \"https://*.example.com\"], methods = [\"GET\", \"PUT\"], \
                   headers = [\"X-A\", \"Authorization\"], expose = [\"X-Total\"], credentials = true, max_age = \"10m\" }";
const ALL: &str = "cors = { origins = [\"*\"], headers = [\"*\"], methods = [\"*\"] }";

/// Rows: a policy, the origin that asks, and what is said; a preflight for PUT and a GET.
#[test]
fn other_origins() {
    let origin = Origin::replying(ORIGIN);
    let granted = "allow-credentials=true allow-methods=GET, PUT allow-headers=X-A, Authorization max-age=600";
    for (policy, page, preflight, reply) in [
        (
            APP,
            "https://app.example",
            format!("allow-origin=https://app.example {granted}"),
            "allow-origin=https://app.example allow-credentials=true expose-headers=X-Total",
        ),
        (
            APP,
            "https://x.example.com",
            format!("allow-origin=https://x.example.com {granted}"),
            "allow-origin=https://x.example.com allow-credentials=true expose-headers=X-Total",
        ),
        (APP, "https://evil.test", String::new(), ""),
        (APP, "null", String::new(), ""),
        (
            ALL,
            "https://evil.test",
            "allow-origin=* allow-methods=PUT allow-headers=x-b, x-c".to_owned(),
            "allow-origin=*",
        ),
    ] {
        let key = "{ api_key = { header = \"X-Key\" } }";
        let gateway = gateway(&origin, "", "methods = [\"GET\", \"PUT\"]", &format!("{{ {policy} }}, {key}"));
        let got = gateway.ask(&format!(
            "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: {page}\r\nAccess-Control-Request-Method: PUT\r\n\
             Access-Control-Request-Headers: x-b, x-c\r\n\r\n"
        ));
        assert_eq!((got.status, told(&got)), (204, preflight), "row {page}");
        assert!(got.one("vary").starts_with("Origin, Access-Control-Request-Method"), "{}", got.head);
        assert_eq!(got.one("content-length"), "");
        // The refusal for want of a key can be read by the page.
        let got = gateway.ask(&format!("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: {page}\r\n\r\n"));
        assert_eq!((got.status, told(&got).as_str()), (401, reply), "row {page}");
    }
    assert_eq!(origin.heads().len(), 0, "a preflight reached the endpoint");
}

#[test]
fn replies_to_other_origins_are_ours() {
    let origin = Origin::replying(ORIGIN);
    let strip = "{ request_headers = { remove = [\"Origin\"] } }";
    let app = gateway(&origin, "", "", &format!("{{ {APP} }}, {strip}"));
    let ask = |gateway: &Running, fields: &str| gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let reply = ask(&app, "Origin: https://app.example\r\n");
    assert!(told(&reply).starts_with("allow-origin=https://app.example "), "{}", reply.head);
    assert_eq!(reply.field("vary"), ["Accept", "Origin"]);
    assert_eq!(values(&origin.head(), "origin"), Vec::<String>::new());
    let reply = ask(&app, "");
    assert_eq!((told(&reply).as_str(), reply.field("vary")), ("", vec!["Accept".to_owned(), "Origin".to_owned()]));
    let all = gateway(&origin, "", "", &format!("{{ {ALL} }}"));
    let reply = ask(&all, "");
    assert_eq!((told(&reply).as_str(), reply.field("vary")), ("allow-origin=*", vec!["Accept".to_owned()]));
    // OPTIONS that is no preflight is a request like any other.
    let reply = all.ask("OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://b.example\r\n\r\n");
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
}

#[test]
fn a_preflight_without_cors_is_nothing_special() {
    let origin = Origin::plain();
    let gateway = gateway(&origin, "", "methods = [\"GET\"]", "");
    let preflight =
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n\r\n";
    assert_eq!(gateway.ask(preflight).status, 405);
}

#[test]
fn safer_pages() {
    let origin = Origin::replying(ORIGIN);
    let policy = "{ security_headers = { hsts = {}, nosniff = true, frame = \"deny\", referrer = \"no-referrer\", csp = \"default-src 'self'\" } }";
    let reply = gateway(&origin, "", "", policy).get("/");
    assert_eq!(reply.one("x-frame-options"), "DENY");
    assert_eq!(reply.one("x-content-type-options"), "nosniff");
    assert_eq!(reply.one("referrer-policy"), "no-referrer");
    assert_eq!(reply.one("content-security-policy"), "default-src 'self'");
    assert_eq!(reply.one("strict-transport-security"), "", "not over a connection that anyone can change");
}

#[test]
fn ids_of_requests() {
    let trusted = "trusted_proxies = [\"127.0.0.0/8\"]\n";
    for (listener, brings, kept) in [("", "mine-1", false), (trusted, "mine-1", true), (trusted, "a b", false)] {
        let origin = Origin::plain();
        let gateway = gateway(&origin, listener, "", "{ request_id = { header = \"X-Correlation-Id\" } }");
        let reply = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Correlation-Id: {brings}\r\n\r\n"));
        let id = reply.one("x-correlation-id");
        assert_eq!(origin.field("x-correlation-id"), [id.as_str()], "row {brings}");
        assert_eq!(id == brings, kept, "row {brings}: {id}");
        assert!(kept || id.len() == 32, "row {brings}: {id}");
    }
    let origin = Origin::plain();
    let gateway = gateway(&origin, "", "", "{ request_id = {} }");
    assert_eq!(origin.heads().len(), 0);
    let reply = gateway.get("/");
    assert_eq!(origin.field("x-request-id"), [reply.one("x-request-id")]);
}

#[test]
fn traces_go_on_or_begin() {
    let (id, theirs) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let parent = format!("traceparent: 00-{id}-{theirs}-01\r\ntracestate: a=1\r\n");
    for (policy, fields, goes_on, flags) in [
        ("trace = {}", parent.clone(), true, "01"),
        ("trace = { sample = \"0%\" }", parent.clone(), true, "01"),
        ("trace = { from = \"proxies\" }", parent.clone(), false, "03"),
        ("trace = { sample = \"0%\" }", String::new(), false, "02"),
        ("trace = {}", format!("{parent}{parent}"), false, "03"),
    ] {
        let origin = Origin::plain();
        let gateway = gateway(&origin, "", "", &format!("{{ {policy} }}"));
        gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let sent = origin.field("traceparent").concat();
        let parts: Vec<_> = sent.split('-').collect();
        assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", flags), "row {policy}: {sent}");
        assert_eq!((parts[1] == id, parts[2] == theirs), (goes_on, false), "row {policy}: {sent}");
        assert_eq!(origin.field("tracestate").concat(), if goes_on { "a=1" } else { "" }, "row {policy}");
        let own = origin.field("x-request-id").concat();
        assert!(goes_on || own == parts[1], "row {policy}: a trace that begins here has the id of the request");
    }
}
