// SPDX-License-Identifier: MIT OR Apache-2.0
//! The example of the design: its HTTP parts run and come back out equivalent, and each part that is not built yet is
//! refused by name. `data/example.toml` is the design's file, `data/example-http.toml` what is built of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::client::{Client, get};
use super::support::daemon::{Answer, Daemon, binary};
use super::support::origin::Origin;
use super::support::{neighbour, output_of, wait_until};

const WHOLE: &str = include_str!("data/example.toml");
const BUILT: &str = include_str!("data/example-http.toml");

/// The key of alice in the example.
const KEY: &str = "alice-secret-0123456789abcdef";

/// Makes a certificate for some names with openssl; false without openssl.
pub(crate) fn certificate(directory: &Path, name: &str, hosts: &str) -> bool {
    let Some(openssl) = neighbour("openssl") else { return false };
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7"]);
    command.arg("-keyout").arg(directory.join(format!("{name}.key")));
    command.arg("-out").arg(directory.join(format!("{name}.pem")));
    command.args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={hosts}")]);
    output_of(&mut command);
    true
}

/// The example with its addresses replaced: listeners on free ports, endpoints where ours are.
fn placed(origin: &Origin) -> String {
    let text = BUILT.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8443", "127.0.0.1:0");
    text.replace("127.0.0.1:9001", &origin.address.to_string())
}

#[test]
fn the_http_parts_run_and_come_back_out() {
    let origin = Origin::named("shop");
    let mut daemon = Daemon::prepared(&placed(&origin));
    if !certificate(daemon.home.path(), "site", "DNS:api.example.com,DNS:localhost") {
        return;
    }
    assert!(daemon.ask(&["check", "gate.toml"]).code == Some(0), "it needs no daemon to be checked");
    daemon.launch(daemon.command().arg("--apply").arg(daemon.path("gate.toml")));
    let status = daemon.status();
    assert_eq!(status["revision"]["number"], 1);
    assert_eq!(status["listeners"].as_array().map(Vec::len), Some(2), "{status}");
    let names: Vec<_> = status["upstreams"].as_array().unwrap().iter().map(|one| one["name"].as_str()).collect();
    assert_eq!(names, [Some("shop")]);

    let exported = daemon.done(&["export"]);
    assert!(!exported.contains(KEY), "a secret is never printed again:\n{exported}");
    fs::write(daemon.path("exported.toml"), &exported).unwrap();
    let again = daemon.json(&["apply", "exported.toml"]);
    assert_eq!(again["changed"], false, "{again}");
    let diff = daemon.json(&["diff", "gate.toml"]);
    assert_eq!(diff["diff"].as_array().map(Vec::len), Some(0), "the file itself is the same, too: {diff}");

    wait_until("the endpoint is found well", || daemon.status()["upstreams"][0]["endpoints"][0]["health"] == "up");
    let api = |fields: &str| {
        let mut client = Client::connect(daemon.web()).unwrap();
        client.ask("GET", "/orders/7", &format!("Host: api.example.com\r\n{fields}"), "").unwrap().status
    };
    // The client sends a Host of its own too: two are refused, whatever they say.
    assert_eq!(api(""), 400);
    assert_eq!(get(daemon.web(), "/").unwrap().body, "shop");
    let explained =
        daemon.json(&["explain", "GET", "http://api.example.com/orders/7", "-H", &format!("X-Api-Key: {KEY}")]);
    assert!(explained.to_string().contains("alice"), "{explained}");
    assert!(!explained.to_string().contains(KEY), "{explained}");
    daemon.stop();
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let daemon = Daemon::prepared(WHOLE);
    let answer = daemon.ask(&["--json", "check", "gate.toml"]);
    assert_eq!(answer.code, Some(1), "{}", answer.all());
    let reply: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let problems = reply["problems"].as_array().unwrap();
    let rows = [
        ("listeners.web-tls.http3", "http3        = true"),
        ("routes.order-page.policies[0].compose", "policies = [{ compose"),
        ("routes.catalog.policies[0].transcode", "policies = [{ transcode"),
        ("routes.site.policies[0].cache", "policies = [{ cache"),
        ("routes.site.policies[1].compress", "policies = [{ cache"),
    ];
    for (path, line) in rows {
        let problem = problems.iter().find(|problem| problem["path"] == path);
        let problem = problem.unwrap_or_else(|| panic!("row {path}: not refused: {}", answer.out));
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains("not supported yet"), "row {path}: {message}");
        assert!(problem["help"].as_str().is_some_and(|help| !help.is_empty()), "row {path}: no remedy");
        let number = usize::try_from(problem["line"].as_u64().unwrap()).unwrap();
        let written = WHOLE.lines().nth(number - 1).unwrap();
        assert!(written.starts_with(line), "row {path}: line {number} is {written:?}");
    }
    // Its certificate is not here, which is said as well.
    let here = |problem: &&serde_json::Value| !problem["path"].as_str().unwrap().starts_with("certificates.site.");
    assert_eq!(problems.iter().filter(here).count(), rows.len(), "nothing else is refused: {}", answer.out);
}

#[test]
fn a_start_with_what_is_not_built_ends_at_once() {
    let daemon = Daemon::prepared(WHOLE);
    let output = daemon.command().arg("--apply").arg("gate.toml").output().unwrap();
    let answer = Answer::of(&output);
    assert_eq!(answer.code, Some(1), "{}", answer.all());
    assert!(answer.all().contains("listeners.web-tls.http3"), "{}", answer.all());
    assert!(binary().is_file());
}
