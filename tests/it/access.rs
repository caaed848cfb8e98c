// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ip`, `methods` and `bots` end to end: who is refused before anybody asks who calls.

use weirgate_store::parse::parse_and_check;
use weirgate_store::wire::ExplainRequest;

use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

fn config(listener: &str, policies: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{listener}{}[routes.all]\nupstream = \"shop\"\npolicies = [{policies}]\n",
        upstream("shop", &[origin.address()])
    )
}

fn ask(gateway: &Running, fields: &str) -> u16 {
    gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).status
}

#[test]
fn addresses_are_those_that_the_edge_believes() {
    let origin = Origin::plain();
    let only = "{ ip = { allow = [\"10.0.0.0/8\", \"2001:db8::/32\"], deny = [\"10.6.6.0/24\"] } }";
    let gateway = Running::start(&config("", only, &origin));
    assert_eq!(ask(&gateway, ""), 403, "127.0.0.1 is in none of them");
    assert_eq!(ask(&gateway, "X-Forwarded-For: 10.1.1.1\r\n"), 403, "and nobody may say that it is another");
    let story = gateway.record_of(|| assert_eq!(ask(&gateway, ""), 403)).verdict.clone();
    assert!(story.contains("127.0.0.1 may not call: it is in none of the networks that are allowed"), "{story}");
    gateway.apply(&config("trusted_proxies = [\"127.0.0.0/8\"]\n", only, &origin));
    for (status, forwarded) in [
        (200, "10.1.1.1"),
        (200, "::ffff:10.1.1.1"),
        (200, "2001:db8:7::1"),
        (200, "6.6.6.6, 10.1.1.1"),
        (403, "10.1.1.1, 6.6.6.6"),
        (403, "10.6.6.1"),
        (403, "::ffff:10.6.6.1"),
        (403, "2001:db9::1"),
        (403, "nonsense"),
    ] {
        assert_eq!(ask(&gateway, &format!("X-Forwarded-For: {forwarded}\r\n")), status, "row {forwarded}");
    }
    assert_eq!(origin.heads().len(), 4);
    let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.6.6.1\r\n\r\n");
    assert!(
        reply.text().contains("\"code\":\"address-refused\"") && !reply.text().contains("10.6.6"),
        "{}",
        reply.text()
    );
}

/// A refused address learns nothing of keys and is charged to no limit.
#[test]
fn an_address_is_refused_before_anything_else() {
    let origin = Origin::plain();
    let all = "{ api_key = { header = \"X-Api-Key\" } }, { rate_limit = { per = \"ip\", rate = \"1/h\" } }, \
               { ip = { deny = [\"127.0.0.0/8\"] } }";
    let gateway = Running::start(&config("", all, &origin));
    assert_eq!([ask(&gateway, ""), ask(&gateway, ""), ask(&gateway, "X-Api-Key: x\r\n")], [403, 403, 403]);
    let explained = gateway.explain(&ExplainRequest {
        method: "GET".to_owned(),
        url: "http://a/".to_owned(),
        client: Some("127.0.0.9".to_owned()),
        ..ExplainRequest::default()
    });
    assert!(explained.verdict.contains("403") && explained.verdict.contains("127.0.0.0/8 is denied"), "{explained:?}");
}

#[test]
fn methods_and_manners() {
    let origin = Origin::plain();
    let all = "{ methods = { allow = [\"GET\", \"PATCH\"] } }, { bots = { deny = [\"scrapy\", \"^curl/\"], \
               allow = [\"curl/8\\\\.our\"], require_headers = [\"User-Agent\"] } }";
    let gateway = Running::start(&config("", all, &origin));
    for (status, method, agent) in [
        (200, "GET", "User-Agent: Mozilla/5.0\r\n"),
        (200, "PATCH", "User-Agent: Mozilla/5.0\r\n"),
        (405, "HEAD", "User-Agent: Mozilla/5.0\r\n"),
        (405, "POST", "User-Agent: Mozilla/5.0\r\n"),
        (405, "get", "User-Agent: Mozilla/5.0\r\n"),
        (403, "GET", ""),
        (403, "GET", "User-Agent: \r\n"),
        (403, "GET", "User-Agent: Scrapy/2.0 (+https://example.com)\r\n"),
        (403, "GET", "User-Agent: curl/8.5.0\r\n"),
        (200, "GET", "User-Agent: curl/8.our\r\n"),
        (200, "GET", "User-Agent: not curl/8\r\n"),
        (403, "GET", "User-Agent: good\r\nUser-Agent: scrapy\r\n"),
    ] {
        let reply = gateway.ask(&format!("{method} / HTTP/1.1\r\nHost: a\r\n{agent}\r\n"));
        assert_eq!(reply.status, status, "row {method} {agent:?}");
        if status == 405 {
            assert_eq!(reply.one("allow"), "GET, PATCH", "row {method}");
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let origin = Origin::plain();
    for (policies, want) in [
        ("{ ip = {} }", "names no network"),
        ("{ ip = { allow = [\"10.0.0.1/8\"] } }", "write \"10.0.0.0/8\" for the network, or \"10.0.0.1/32\""),
        ("{ ip = { allow = [\"10.1.0.0/16\"], deny = [\"10.0.0.0/8\"] } }", "can never be allowed"),
        ("{ ip = { allow = [\"10.0.0.0/8\"], deny = [\"::ffff:10.0.0.0/104\"] } }", "can never be allowed"),
        ("{ ip = { allow = [\"10.0.0.0/8\"], denied = [] } }", "denied"),
        ("{ ip = { allow = [\"example.com\"] } }", "not a network"),
        ("{ methods = { allow = [] } }", "nothing would pass"),
        ("{ methods = { allow = [\"G T\"] } }", "is not a method"),
        ("{ bots = {} }", "refuses nobody"),
        ("{ bots = { deny = [\"a\", \"(b\"] } }", "in \"(b\""),
        ("{ bots = { deny = [\"(a{1000}){1000}\"] } }", "too much memory"),
        ("{ bots = { deny = [\"(?=a)\"] } }", "look-around"),
    ] {
        let problems = parse_and_check(&config("", policies, &origin)).expect_err(policies);
        let text = format!("{problems:?}").replace('\\', "");
        assert!(text.contains(want), "row {policies}: {text}");
    }
}
