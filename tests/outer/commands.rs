// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line end to end: every verb against a daemon, as JSON and as text.

use std::fs;

use serde_json::Value;

use super::example::certificate;
use super::support::client::{Client, get};
use super::support::daemon::{Daemon, to_endpoints};
use super::support::origin::Origin;

/// A daemon with one of everything but a certificate, before one endpoint.
fn appliance(origin: &Origin) -> Daemon {
    Daemon::start(&format!(
        "{}[policies.key]\napi_key = {{ header = \"X-Api-Key\" }}\n\
         [routes.keyed]\nmatch = {{ path = \"/keyed\" }}\nupstream = \"shop\"\npolicies = [\"key\"]\n[consumers.alice]\n",
        to_endpoints(&[origin.address])
    ))
}

#[track_caller]
fn names(list: &Value) -> Vec<&str> {
    list["objects"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn every_kind_is_listed_shown_set_and_deleted() {
    let origin = Origin::named("one");
    let daemon = appliance(&origin);
    if !certificate(daemon.home.path(), "site", "DNS:localhost") {
        return;
    }
    fs::write(daemon.path("cert.toml"), "chain = \"site.pem\"\nkey = \"site.key\"\n").unwrap();
    let endpoints = format!("endpoints=[{{\"address\":\"{}\"}}]", origin.address);
    // Kind, its plural, how one is made, what of it is changed, and how that shows.
    type Row<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, &'a str);
    let rows: &[Row] = &[
        ("listener", "listeners", &["--new", "address=127.0.0.1:0", "protocol=http"], "timeouts.idle=7s", "7s"),
        ("certificate", "certificates", &["--file", "cert.toml"], "", "stored:"),
        ("upstream", "upstreams", &["--new", &endpoints], "balance=round-robin", "round-robin"),
        ("policy", "policies", &["--new", "rate_limit={\"per\":\"ip\",\"rate\":\"5/s\"}"], "rate_limit.burst=9", "9"),
        ("route", "routes", &["--new", "match.path=/new", "upstream=shop"], "match.methods=[\"GET\"]", "GET"),
        ("plan", "plans", &["--new", "concurrency=20"], "concurrency=30", "30"),
        ("consumer", "consumers", &["--new", "groups=[\"gold\"]"], "groups=[\"silver\"]", "silver"),
    ];
    for (kind, plural, made, change, shown) in rows {
        let before = daemon.json(&[kind, "list"]);
        let dry = daemon.json(&[&[*kind, "set", "fresh"], *made, &["--dry-run"]].concat());
        assert_eq!(dry["problems"].as_array().map(Vec::len), Some(0), "row {kind}: {dry}");
        assert_eq!(daemon.json(&[plural]), before, "row {kind}: a dry run changes nothing");
        let applied = daemon.json(&[&[*kind, "set", "fresh", "--comment", "a test"], *made].concat());
        assert_eq!(applied["revision"]["comment"], "a test", "row {kind}: {applied}");
        assert!(applied["revision"]["author"].as_str().unwrap().ends_with("(cli)"), "row {kind}: {applied}");
        assert!(names(&daemon.json(&[plural, "list"])).contains(&"fresh"), "row {kind}");
        if !change.is_empty() {
            daemon.json(&[kind, "set", "fresh", change]);
        }
        let text = daemon.json(&[kind, "show", "fresh"]).to_string();
        assert!(text.contains(shown), "row {kind}: {text}");
        assert!(daemon.done(&[kind, "list"]).contains("fresh"), "row {kind}");
        assert!(!daemon.done(&[kind, "show", "fresh"]).is_empty(), "row {kind}");
        daemon.json(&[kind, "delete", "fresh"]);
        assert_eq!(names(&daemon.json(&[kind])), names(&before), "row {kind}");
        let gone = daemon.ask(&[kind, "show", "fresh"]);
        assert_eq!(gone.code, Some(1), "row {kind}");
        assert!(gone.err.contains("fresh"), "row {kind}: {}", gone.err);
        assert_eq!(daemon.ask(&[kind, "delete", "fresh"]).code, Some(1), "row {kind}");
    }
    let refused = daemon.ask(&["upstream", "delete", "shop"]);
    assert_eq!(refused.code, Some(1), "{}", refused.all());
    assert!(refused.err.contains("routes.all.upstream"), "what uses it is named: {}", refused.err);
}

#[test]
fn endpoints_are_set_aside_and_taken_back() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let daemon = Daemon::start(&to_endpoints(&[one.address, two.address]));
    let bodies = || -> Vec<String> { (0..20).map(|_| get(daemon.web(), "/").unwrap().body).collect() };
    let address = one.address.to_string();
    for verb in ["drain", "maint"] {
        let answer = daemon.json(&[verb, "shop", &address, "--reason", "a test"]);
        assert_eq!(answer["override"]["mode"], verb, "{answer}");
        assert!(bodies().iter().all(|body| body == "two"), "row {verb}");
        assert!(daemon.done(&["status"]).contains("a test"), "row {verb}");
        daemon.json(&["ready", "shop", &format!(":{}", one.address.port())]);
        assert!(bodies().iter().any(|body| body == "one"), "row {verb}");
    }
    daemon.json(&["weight", "shop", &address, "0"]);
    assert!(bodies().iter().all(|body| body == "two"));
    daemon.json(&["weight", "shop", &address, "--reset"]);
    assert!(bodies().iter().any(|body| body == "one"));
    assert_eq!(daemon.ask(&["drain", "shop", "127.0.0.1:1"]).code, Some(1));
    assert_eq!(daemon.status()["revision"]["number"], 1, "none of it is configuration");
}

#[test]
fn keys_are_issued_listed_and_revoked_and_no_rollback_revives_one() {
    let origin = Origin::named("one");
    let daemon = appliance(&origin);
    let status = |secret: &str| {
        let mut client = Client::connect(daemon.web()).unwrap();
        client.ask("GET", "/keyed", &format!("X-Api-Key: {secret}\r\n"), "").unwrap().status
    };
    let issued = daemon.json(&["key", "issue", "alice", "--comment", "for a test"]);
    let (secret, id) = (issued["secret"].as_str().unwrap(), issued["key"]["id"].as_str().unwrap());
    assert_eq!((status(secret), status("not-a-key-0123456789")), (200, 401));
    let printed = daemon.done(&["key", "issue", "alice", "--expires", "1h"]);
    assert_eq!(status(printed.lines().next().unwrap().trim()), 200, "{printed}");
    let listed = daemon.done(&["key", "list", "alice"]);
    assert!(listed.contains(id) && listed.contains("for a test") && !listed.contains(secret), "{listed}");
    let before = daemon.status()["revision"]["number"].to_string();
    daemon.done(&["consumer", "set", "alice", "groups=[\"gold\"]"]);
    daemon.done(&["key", "revoke", "alice", id]);
    assert_eq!(status(secret), 401);
    daemon.done(&["rollback", &before]);
    assert_eq!(status(secret), 401, "a rollback revives no key");
    assert_eq!(daemon.ask(&["key", "revoke", "alice", id]).code, Some(1));
    assert_eq!(daemon.ask(&["key", "issue", "nobody"]).code, Some(1));
}

#[test]
fn history_rollback_diff_and_export_tell_one_story() {
    let origin = Origin::named("one");
    let daemon = appliance(&origin);
    daemon.done(&["route", "set", "all", "match.path=/moved", "--comment", "moved"]);
    assert_eq!(get(daemon.web(), "/").unwrap().status, 404);
    let history = daemon.json(&["history"]);
    assert_eq!((&history["running"], &history["revisions"][0]["comment"]), (&2.into(), &"moved".into()));
    assert!(daemon.done(&["history", "-n", "1"]).contains("moved"));
    fs::write(daemon.path("old.toml"), daemon.done(&["export", "--revision", "1"])).unwrap();
    let diff = daemon.json(&["diff", "old.toml"]);
    assert_eq!((&diff["diff"][0]["kind"], &diff["diff"][0]["name"]), (&"route".into(), &"all".into()), "{diff}");
    assert!(daemon.done(&["diff", "old.toml"]).contains("/moved"));
    let back = daemon.json(&["rollback", "1"]);
    assert_eq!(back["revision"]["number"], 3);
    assert_eq!(get(daemon.web(), "/").unwrap().status, 200);
    assert_eq!(daemon.ask(&["rollback", "99"]).code, Some(1));
    assert_eq!(daemon.ask(&["export", "--revision", "99"]).code, Some(1));
}

#[test]
fn what_happens_is_explained_followed_and_counted() {
    let origin = Origin::named("one");
    let daemon = appliance(&origin);
    let explained = daemon.json(&["explain", "GET", "http://outer.test/keyed"]).to_string();
    assert!(explained.contains("keyed") && explained.contains("401"), "{explained}");
    assert!(daemon.done(&["explain", "GET", "http://outer.test/"]).contains("shop"));

    let mut tail = daemon.client();
    tail.args(["--json", "tail", "-n", "2", "--status", "401"]).stdout(std::process::Stdio::piped());
    let mut tail = tail.spawn().unwrap();
    super::support::wait_until("tail has seen enough", || {
        assert_eq!(get(daemon.web(), "/keyed?a=\x1b[31m").map(|reply| reply.status).unwrap_or(400), 400);
        assert_eq!(get(daemon.web(), "/").unwrap().status, 200);
        assert_eq!(get(daemon.web(), "/keyed").unwrap().status, 401);
        tail.try_wait().unwrap().is_some()
    });
    let seen = String::from_utf8(tail.wait_with_output().unwrap().stdout).unwrap();
    let records: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{seen}");
    assert!(records.iter().all(|record| record["status"] == 401), "{seen}");

    assert!(daemon.done(&["top", "--once"]).contains("all"));
    assert!(daemon.json(&["top", "--once"]).is_object());
    let metrics = daemon.done(&["metrics"]);
    check_metrics(&metrics);
    assert!(metrics.contains("route=\"keyed\""), "{metrics}");
    let described = daemon.api("GET", "/v1/openapi.json", "").unwrap();
    let described: Value = serde_json::from_str(&described.body).unwrap();
    for path in ["/v1/status", "/v1/routes/{name}", "/v1/change", "/v1/metrics", "/v1/events", "/v1/explain"] {
        assert!(described["paths"][path].is_object(), "row {path}: {}", described["paths"]);
    }
}

/// Every line is a comment or a sample, every sample belongs to a family that was announced, and the end is marked.
#[track_caller]
fn check_metrics(text: &str) {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            families.push(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(families.iter().any(|family| name.starts_with(family.as_str())), "no family: {line}");
            let value = line.rsplit_once("} ").or_else(|| line.split_once(' ')).unwrap().1;
            assert!(value.split(' ').next().unwrap().parse::<f64>().is_ok(), "no number: {line}");
        }
    }
}
