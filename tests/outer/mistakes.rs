// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mistakes of an operator: all of them in one answer, each with its line, its field and what to do; nothing is applied.

use std::fs;
use std::net::TcpListener;

use super::example::certificate;
use super::support::daemon::{Daemon, to_endpoints};
use super::support::origin::Origin;

/// A mistake: what the answer must name, on a line that begins so.
struct Row(&'static str, &'static str, &'static str);

const MISTAKES: &str = r#"[listeners.web]
address = "TAKEN"
protocol = "http"
adress = "127.0.0.1:1"

[listeners.web-tls]
address = "127.0.0.1:0"
protocol = "https"
certificates = ["site", "lost", "misfit"]

[certificates.lost]
chain = "site.pem"
key = "absent.key"

[certificates.site]
chain = "site.pem"
key = "site.key"

[certificates.misfit]
chain = "site.pem"
key = "other.key"

[upstreams.shop]
endpoints = [{ address = "127.0.0.1:9001" }]

[routes.a]
match = { path = { regex = "/(oops" } }
upstream = "shop"

[routes.c]
match = { path = "/c" }
upstream = "shopp"
"#;

const ROWS: &[Row] = &[
    Row("listeners.web.address", "address = ", "port"),
    Row("listeners.web.adress", "adress = ", "did you mean \"address\"?"),
    Row("certificates.lost.key", "key = \"absent.key\"", "path"),
    Row("certificates.misfit.key", "key = \"other.key\"", "private key that was made for it"),
    Row("routes.a.match.path.regex", "match = { path = { regex", "regular expression"),
    Row("routes.c.upstream", "upstream = \"shopp\"", "did you mean \"shop\"?"),
];

const TWICE: &str = "[upstreams.shop]\nendpoints = [{ address = \"127.0.0.1:9002\" }]\n";

/// Asks for a check of `text` and finds every row of the table.
#[track_caller]
fn check(daemon: &Daemon, text: &str, rows: &[Row]) {
    fs::write(daemon.path("bad.toml"), text).unwrap();
    let answer = daemon.ask(&["--json", "check", "bad.toml"]);
    assert_eq!(answer.code, Some(1), "{}", answer.all());
    let reply: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let problems = reply["problems"].as_array().unwrap();
    for Row(path, line, remedy) in rows {
        let problem = problems.iter().find(|problem| problem["path"] == *path);
        let problem = problem.unwrap_or_else(|| panic!("row {path}: not named: {}", answer.out));
        assert!(problem["help"].as_str().is_some_and(|help| help.contains(remedy)), "row {path}: {problem}");
        let number = usize::try_from(problem["line"].as_u64().unwrap_or_default()).unwrap();
        let written = text.lines().nth(number.wrapping_sub(1)).unwrap_or_default();
        assert!(written.starts_with(line), "row {path}: line {number} is {written:?}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    if !certificate(daemon.home.path(), "site", "DNS:localhost") || !certificate(daemon.home.path(), "other", "DNS:b") {
        return;
    }
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let text = MISTAKES.replace("TAKEN", &taken.local_addr().unwrap().to_string());
    check(&daemon, &text, ROWS);
    let twice = Row("upstreams.shop", "[upstreams.shop]", "keep one of the two");
    check(&daemon, &format!("{text}{TWICE}"), &[ROWS, &[twice]].concat());
    let broken = Row("", "max_body = 1 MiB", "TOML");
    let text = format!("{text}max_body = 1 MiB\n{TWICE}");
    check(&daemon, &text, &[ROWS, &[broken, Row("upstreams.shop", "[upstreams.shop]", "keep one")]].concat());

    let answer = daemon.ask(&["apply", "bad.toml"]);
    assert_eq!(answer.code, Some(1));
    for Row(path, ..) in ROWS {
        assert!(answer.all().contains(path), "row {path}: apply says the same as check: {}", answer.all());
    }
    assert_eq!(daemon.status()["revision"]["number"], 1, "nothing was applied");
    let start = Daemon::prepared("");
    let output = start.command().arg("--apply").arg(daemon.path("bad.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for Row(path, ..) in ROWS {
        assert!(said.contains(path), "row {path}: a start says the same as check: {said}");
    }
}

impl Clone for Row {
    fn clone(&self) -> Self {
        Self(self.0, self.1, self.2)
    }
}

#[test]
fn exit_codes_tell_a_refusal_from_wrong_usage() {
    let daemon = Daemon::prepared("[listeners.web]\n");
    fs::write(daemon.path("empty.toml"), "").unwrap();
    let rows: &[(&[&str], i32)] = &[
        (&["check", "empty.toml"], 0),
        (&["check", "gate.toml"], 1),
        (&["check", "absent.toml"], 1),
        (&["status"], 1),
        (&["check"], 2),
        (&["frobnicate"], 2),
        (&["route", "set"], 2),
        (&["key", "issue"], 2),
        (&["rollback", "first"], 2),
        (&["run", "--workers", "none"], 2),
        (&["--version"], 0),
        (&["--help"], 0),
    ];
    for (arguments, code) in rows {
        let answer = daemon.ask(arguments);
        assert_eq!(answer.code, Some(*code), "row {arguments:?}: {}", answer.all());
        assert!(*code == 0 || !answer.err.is_empty(), "row {arguments:?}: why is said on standard error");
    }
}
