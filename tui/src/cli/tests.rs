// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every verb against a fake daemon: what it asks, what it prints, and how it exits. Snapshots hold the text.

mod endpoints;

use clap::Parser;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Args, Command, conclude, run};
use crate::cli::terminal::Terminal;
use crate::client::Client;
use crate::fake::Fake;

/// What one command line did.
struct Outcome {
    code: u8,
    out: String,
    err: String,
}

impl Outcome {
    /// For a snapshot: both streams and the code.
    fn all(&self) -> String {
        format!("{}--- stderr\n{}--- exit {}", self.out, self.err, self.code)
    }
}

async fn type_in(client: Client, words: &[&str]) -> Outcome {
    let args = Args::try_parse_from(std::iter::once(&"weirgate").chain(words)).expect("the command line is right");
    let Command::Client(verb) = args.command else { panic!("{words:?} is not a client verb") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        client,
        json: args.shared.json,
        live: false,
        zone: TimeZone::UTC,
        out: Box::new(&mut out),
        err: Box::new(&mut err),
    };
    let outcome = run(&mut terminal, &verb).await;
    let code = conclude(&mut terminal, outcome);
    drop(terminal);
    let plain = |bytes: Vec<u8>| anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string();
    Outcome { code, out: plain(out), err: plain(err) }
}

/// Types one line at a fake daemon that knows `rows`; returns what it did and what the daemon was asked.
async fn check(rows: &[(&str, u16, Value)], words: &[&str]) -> (Outcome, Vec<String>) {
    let rows: Vec<(&str, u16, String)> = rows
        .iter()
        .map(|(start, status, body)| match body {
            Value::String(text) => (*start, *status, text.clone()),
            other => (*start, *status, other.to_string()),
        })
        .collect();
    let fake = Fake::start(&rows);
    let outcome = type_in(fake.client(), words).await;
    (outcome, fake.asked())
}

fn revision(number: u64) -> Value {
    json!({"number": number, "time_ms": 1_795_528_925_204_i64, "author": "ana (console)", "comment": "add shop-eu",
           "added": 1, "changed": 2, "removed": 0})
}

fn endpoint(address: &str, health: &str) -> Value {
    json!({"address": address, "health": health, "reason": "got 500 three times (want 200)",
           "since_ms": 1_795_528_733_204_i64, "weight": 1, "configured_weight": 1, "backup": false, "in_flight": 3, "connections": 3, "priority": 0,
           "requests": 1204, "errors": 3})
}

fn status() -> Value {
    let mut drained = endpoint("10.0.0.13:8080", "up");
    drained["override"] = json!({"mode": "drain", "weight": 4, "owner": "ben", "reason": "kernel\u{1b}[2J update",
                                 "since_ms": 1_795_528_885_204_i64});
    drained["weight"] = json!(4);
    json!({"version": "0.1.0", "instance": "edge-1", "pid": 812, "started_ms": 1_795_260_000_000_i64,
           "now_ms": 1_795_528_925_204_i64, "workers": 2, "revision": revision(212),
           "store": {"health": "degraded", "message": "running from text copies"}, "connections": 8120,
           "connections_max": 50000, "role": "admin", "draining": false,
           "listeners": [{"name": "web", "address": "127.0.0.1:8080", "protocol": "http", "connections": 12,
                          "connections_max": 10000}],
           "upstreams": [{"name": "shop", "balance": "least-request", "usable": 1, "queued": 0, "endpoints":
               [endpoint("10.0.0.12:8080", "up"), drained, endpoint("10.0.0.14:8080", "down")]}]})
}

fn applied() -> Value {
    json!({"revision": revision(213), "changed": true, "warnings": [],
           "diff": [{"kind": "route", "name": "orders", "change": "changed", "fields": ["upstream", "match.path"]},
                    {"kind": "upstream", "name": "shop-eu", "change": "added"}],
           "effects": {"listeners_opened": ["web"], "listeners_closed": [], "endpoints_added": 1,
                       "endpoints_removed": 0, "routes_changed": 2}})
}

fn checked(problems: &Value) -> Value {
    json!({"problems": problems, "warnings": [], "diff_text": "--- routes.orders\n+++ routes.orders\n-upstream = \"a\"\n+upstream = \"b\"\n",
           "diff": [{"kind": "route", "name": "orders", "change": "changed", "fields": ["upstream"]}],
           "effects": {"listeners_opened": [], "listeners_closed": [], "endpoints_added": 0, "endpoints_removed": 0,
                       "routes_changed": 1}})
}

fn not_found() -> Value {
    json!({"status": 404, "title": "not found", "detail": "there is no such object"})
}

fn routes() -> Value {
    json!({"kind": "route", "revision": 212, "objects": [
        {"name": "orders", "object": {"match": {"hosts": ["api.example.com"], "path": "/orders", "methods": ["GET"]},
                                      "upstream": "shop", "policies": ["partner-key", {"rate_limit": {"per": "ip", "rate": "6/m"}}]}},
        {"name": "site", "object": {"match": {"path": {"exact": "/"}}, "upstream": "shop"}}]})
}

#[tokio::test]
async fn status_on_one_screen() {
    let (outcome, asked) = check(&[("GET /v1/status", 200, status())], &["status"]).await;
    assert_eq!(asked, ["GET /v1/status"]);
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn json_is_the_wire_message() {
    let (outcome, _) = check(&[("GET /v1/status", 200, status())], &["status", "--json"]).await;
    // Members that the sample leaves out are printed with their defaults.
    let sent: weirgate_store::wire::StatusReply = serde_json::from_value(status()).unwrap();
    assert_eq!(serde_json::from_str::<weirgate_store::wire::StatusReply>(&outcome.out).unwrap(), sent);
    assert!(!outcome.out.contains('\x1b'));
}

#[tokio::test]
async fn without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let outcome = type_in(Client::new(directory.path().join("none.sock")), &["status"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (1, ""));
    assert!(outcome.err.starts_with("error: no daemon answers at "), "{}", outcome.err);
}

#[tokio::test]
async fn explain_tells_the_stages() {
    let reply = json!({"revision": 212, "verdict": "401: no API key was sent", "status": 401, "route": "orders",
        "steps": [{"stage": "route", "decision": "orders", "details": ["host api.example.com, prefix /orders",
                   "runner-up site lost: shorter prefix"]},
                  {"stage": "authenticate", "decision": "refused by partner-key", "details": []}]});
    let words = [
        "explain",
        "GET",
        "http://api.example.com/orders",
        "-H",
        "X-Api-Key: a",
        "-H",
        "x-api-key:b",
        "--client",
        "::1",
    ];
    let (outcome, asked) = check(&[("POST /v1/explain", 200, reply)], &words).await;
    assert_eq!(
        asked,
        [concat!(
            r#"POST /v1/explain {"method":"GET","url":"http://api.example.com/orders","#,
            r#""headers":{"x-api-key":"a, b"},"client":"::1"}"#
        )]
    );
    insta::assert_snapshot!(outcome.all());
}

fn frame() -> Value {
    let rates = |requests: u64, errors: u64| {
        json!({"requests": requests, "client_errors": 2, "server_errors": errors, "refused": 31, "bytes_in": 5_000_000,
               "bytes_out": 48_000_000, "in_flight": 44, "p50_us": 4200, "p99_us": 61000})
    };
    json!({"event": "traffic", "time_ms": 1_795_528_925_204_i64, "sequence": 1, "connections": 8120,
           "total": rates(3412, 14), "latency": {"upper_us": [1], "counts": [1]},
           "routes": {"a": rates(1, 0), "orders": rates(1204, 14), "site": rates(7, 0)}, "endpoints": {},
           "upstreams": {"shop": rates(2310, 14)}, "consumers": {}, "memory_bytes": 100_663_296_u64,
           "worker_cpu_percent": [41.2, 44.0]})
}

#[tokio::test]
async fn top_prints_one_second() {
    let stream = format!("event: traffic\ndata: {}\n\n", frame());
    let (outcome, asked) = check(&[("GET ", 200, json!(stream))], &["top", "--once", "-n", "2"]).await;
    assert_eq!(asked, ["GET /v1/events?topics=traffic"]);
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn tail_prints_what_was_asked_for() {
    let exchange = |status: u16, path: &str| {
        json!({"event": "exchange", "id": "0192f3", "time_ms": 1_795_528_925_204_i64, "client": "10.1.1.1",
               "listener": "web", "protocol": "HTTP/1.1", "method": "GET", "host": "api.example.com", "path": path,
               "status": status, "duration_us": 1_004_000, "bytes_in": 1, "bytes_out": 2, "route": "order-page",
               "upstream": "shop", "endpoint": "10.0.0.12:8080", "consumer": "alice", "attempts": 1,
               "fault": "endpoint-closed", "verdict": "the endpoint closed the connection after 1.0 s",
               "timeline": [], "why": []})
    };
    let stream = format!(
        "event: exchange\ndata: {}\n\nevent: exchange\ndata: {}\n\nevent: dropped\ndata: {}\n\n",
        exchange(200, "/fine"),
        exchange(502, "/pages/\u{9b}2J\u{202e}x"),
        json!({"event": "dropped", "exchanges": 3}),
    );
    let rows = [("GET ", 200, json!(stream))];
    let (outcome, asked) = check(&rows, &["tail", "--status", "5xx", "--route", "order-page"]).await;
    assert_eq!(asked, ["GET /v1/events?topics=exchanges&route=order-page&status=5xx"]);
    insta::assert_snapshot!(outcome.all());
    let (outcome, _) = check(&rows, &["tail", "--json", "-n", "1", "--failed"]).await;
    assert_eq!((outcome.code, outcome.out.lines().count()), (0, 1));
}

#[tokio::test]
async fn objects_are_listed_and_shown() {
    let rows =
        [("GET /v1/routes/orders", 200, routes()["objects"][0]["object"].clone()), ("GET /v1/routes", 200, routes())];
    let (list, _) = check(&rows, &["routes"]).await;
    insta::assert_snapshot!("objects_listed", list.all());
    let (shown, asked) = check(&rows, &["route", "show", "orders"]).await;
    assert_eq!(asked, ["GET /v1/routes/orders"]);
    let shown: toml::Table = shown.out.parse().unwrap();
    assert_eq!(shown["routes"]["orders"]["upstream"].as_str(), Some("shop"));
}

#[tokio::test]
async fn unknown_names_get_a_suggestion() {
    let rows = [("GET /v1/routes/", 404, not_found()), ("GET /v1/routes", 200, routes())];
    let (outcome, _) = check(&rows, &["route", "show", "ordesr"]).await;
    assert_eq!(outcome.code, 1);
    assert_eq!(outcome.err, "error: no route named \"ordesr\"; did you mean \"orders\"? routes: orders, site\n");
    let (outcome, asked) = check(&rows, &["route", "delete", "ordesr"]).await;
    assert_eq!((outcome.code, asked.len()), (1, 2));
}

#[tokio::test]
async fn set_sends_a_merge_patch() {
    let object = routes()["objects"][1]["object"].clone();
    let rows = [("GET /v1/routes/site", 200, object), ("PATCH ", 200, applied())];
    let words = ["route", "set", "site", "upstream=eu", "match.path={\"template\":\"/{a}\"}", "--comment", "x y"];
    let (outcome, asked) = check(&rows, &words).await;
    assert_eq!(
        asked[1],
        r#"PATCH /v1/routes/site?comment=x%20y {"match":{"path":{"exact":null,"template":"/{a}"}},"upstream":"eu"}"#
    );
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn a_dry_run_prints_the_difference() {
    let rows = [("GET ", 200, json!({})), ("PATCH ", 200, checked(&json!([])))];
    let (outcome, asked) = check(&rows, &["route", "set", "orders", "upstream=b", "--dry-run"]).await;
    assert_eq!(asked[1], r#"PATCH /v1/routes/orders?dry_run=true {"upstream":"b"}"#);
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn set_makes_a_new_object_only_when_told() {
    let rows = [("GET /v1/routes/", 404, not_found()), ("GET /v1/routes", 200, routes()), ("PUT ", 200, applied())];
    let (outcome, _) = check(&rows, &["route", "set", "new", "upstream=shop"]).await;
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("to make a new one, add --new"), "{}", outcome.err);
    let (outcome, asked) = check(&rows, &["route", "set", "new", "upstream=shop", "--new"]).await;
    assert_eq!((outcome.code, asked[2].as_str()), (0, r#"PUT /v1/routes/new {"upstream":"shop"}"#));
}

#[tokio::test]
async fn wrong_assignments_are_wrong_usage() {
    let rows = [("GET ", 200, json!({}))];
    for field in ["upstream", "endpoints[0].weight=1"] {
        let (outcome, _) = check(&rows, &["route", "set", "orders", field]).await;
        assert_eq!(outcome.code, 2, "row {field}: {}", outcome.err);
    }
    let (outcome, _) = check(&rows, &["route", "set", "orders", "a=1", "a=2"]).await;
    assert_eq!(outcome.code, 2);
}

#[tokio::test]
async fn set_from_a_file_sends_the_whole_object() {
    let directory = tempfile::tempdir().unwrap();
    let rows = [("PUT ", 200, applied())];
    let files = [
        ("a.toml", "upstream = \"eu\"\n"),
        ("b.json", "{\"upstream\":\"eu\"}"),
        ("c.toml", "[routes.site]\nupstream = \"eu\"\n[routes.other]\nupstream = \"us\"\n"),
    ];
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let (outcome, asked) = check(&rows, &["route", "set", "site", "--file", path.to_str().unwrap()]).await;
        assert_eq!(outcome.code, 0, "row {name}: {}", outcome.err);
        assert_eq!(asked, [r#"PUT /v1/routes/site {"upstream":"eu"}"#], "row {name}");
    }
}

#[tokio::test]
async fn certificate_files_are_read_here() {
    let directory = tempfile::tempdir().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let path = directory.path().join("a.pem");
    std::fs::write(&path, pem).unwrap();
    let rows = [("GET ", 200, json!({"chain": "-----BEGIN", "key": "stored:1"})), ("PATCH ", 200, applied())];
    let (_, asked) = check(&rows, &["cert", "set", "site", &format!("chain={}", path.display())]).await;
    assert_eq!(asked[1], format!("PATCH /v1/certificates/site {}", json!({"chain": pem})));
    let (outcome, asked) = check(&rows, &["cert", "set", "site", "key=/nonexistent.pem"]).await;
    assert_eq!((outcome.code, asked.len()), (1, 1));
    assert!(outcome.err.contains("/nonexistent.pem"), "{}", outcome.err);
}

#[tokio::test]
async fn delete_asks_and_says_what_went() {
    let rows = [("GET ", 200, json!({})), ("DELETE ", 200, applied())];
    let (outcome, asked) = check(&rows, &["route", "delete", "orders"]).await;
    assert_eq!((outcome.code, asked[1].as_str()), (0, "DELETE /v1/routes/orders"));
}

#[tokio::test]
async fn history_marks_what_runs() {
    let reply = json!({"running": 212, "revisions": [revision(213), revision(212), revision(211)]});
    let (outcome, _) = check(&[("GET /v1/revisions", 200, reply)], &["history", "-n", "2"]).await;
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn rollback_is_a_change() {
    let (outcome, asked) = check(&[("POST /v1/change", 200, applied())], &["rollback", "211"]).await;
    assert_eq!(outcome.code, 0);
    let edits = r#""edits":[{"op":"rollback","revision":211}]"#;
    assert_eq!(asked, [format!(r#"POST /v1/change {{"comment":"rollback to revision 211",{edits}}}"#)]);
    let rows = [("POST /v1/change?dry_run=true", 200, checked(&json!([])))];
    let (outcome, _) = check(&rows, &["rollback", "211", "--dry-run"]).await;
    assert!(outcome.out.contains("+upstream = \"b\""), "{}", outcome.all());
}

#[tokio::test]
async fn overrides_keep_the_other_half() {
    let rows = [("GET /v1/status", 200, status()), ("PUT ", 200, endpoint("10.0.0.13:8080", "up"))];
    for (words, want) in [
        (&["maint", "shop", "10.0.0.13", "--reason", "disk"][..], r#"{"mode":"maint","weight":4,"reason":"disk"}"#),
        (&["ready", "shop", "10.0.0.13:8080"], r#"{"mode":"ready","weight":4,"reason":""}"#),
        (&["weight", "shop", "10.0.0.13", "2"], r#"{"mode":"drain","weight":2,"reason":""}"#),
        (&["weight", "shop", "10.0.0.13", "--reset"], r#"{"mode":"drain","reason":""}"#),
    ] {
        let (outcome, asked) = check(&rows, words).await;
        assert_eq!(outcome.code, 0, "row {words:?}: {}", outcome.err);
        assert_eq!(
            asked[1],
            format!("PUT /v1/upstreams/shop/endpoints/10.0.0.13:8080/override {want}"),
            "row {words:?}"
        );
    }
}

#[tokio::test]
async fn endpoints_are_named_exactly_or_not_at_all() {
    let rows = [("GET /v1/status", 200, status())];
    for (words, want) in [
        (["drain", "shp", "x"], "no upstream named \"shp\"; did you mean \"shop\"?"),
        (["drain", "shop", ":8080"], "\":8080\" could be any of 10.0.0.12:8080, 10.0.0.13:8080, 10.0.0.14:8080"),
        (["drain", "shop", "10.0.0.1"], "upstream shop has no endpoint \"10.0.0.1\""),
    ] {
        let (outcome, asked) = check(&rows, &words).await;
        assert_eq!((outcome.code, asked.len()), (1, 1), "row {words:?}");
        assert!(outcome.err.contains(want), "row {words:?}: {}", outcome.err);
    }
    let (outcome, asked) = check(&rows, &["drain", "shop", "10.0.0.12", "--dry-run"]).await;
    assert_eq!((outcome.code, asked.len()), (0, 1));
    assert_eq!(outcome.out, "~ shop 10.0.0.12:8080  ready → drain  weight 1 → 1\n");
}

fn key() -> Value {
    json!({"id": "a1b2c3d4e5f60718", "consumer": "alice", "prefix": "wg_4f", "created_ms": 1_795_528_925_204_i64,
           "comment": "ci", "declared": false})
}

#[tokio::test]
async fn keys() {
    let rows = [
        ("GET /v1/consumers/alice/keys", 200, json!({"keys": [key()]})),
        ("GET /v1/consumers/alice", 200, json!({})),
        ("POST /v1/consumers/alice/keys/import", 200, json!({"imported": 2})),
        ("POST /v1/consumers/alice/keys", 200, json!({"secret": "wg_4f_secret", "key": key()})),
        ("DELETE /v1/consumers/alice/keys/a1b2c3d4e5f60718", 200, json!({})),
    ];
    let (outcome, asked) = check(&rows, &["key", "issue", "alice", "--expires", "30d", "--comment", "ci"]).await;
    assert_eq!(asked[1], r#"POST /v1/consumers/alice/keys {"comment":"ci","expires":"30d"}"#);
    // Only the secret stands on standard output, so that a script can take it.
    assert_eq!(outcome.out, "wg_4f_secret\n");
    let (outcome, _) = check(&rows, &["key", "list", "alice"]).await;
    insta::assert_snapshot!("keys_listed", outcome.all());
    let (outcome, _) = check(&rows, &["key", "revoke", "alice", "a1b2c3d4e5f60718"]).await;
    assert_eq!(outcome.out, "✓ key a1b2c3d4e5f60718 (wg_4f…) of alice is revoked\n");
    let (outcome, asked) = check(&rows, &["key", "revoke", "alice", "a1b2c3d4e5f60719"]).await;
    assert_eq!((outcome.code, asked.len()), (1, 2));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    std::fs::write(&path, "one-secret-0123456789\ntwo-secret-0123456789\n").unwrap();
    let (outcome, _) = check(&rows, &["key", "import", "alice", path.to_str().unwrap()]).await;
    assert_eq!(outcome.out, "✓ 2 keys of alice imported\n");
}

#[tokio::test]
async fn texts_are_passed_on() {
    let rows = [("GET /v1/metrics", 200, json!("# EOF\n")), ("GET /v1/export", 200, json!("[routes.a]\n"))];
    assert_eq!(check(&rows, &["metrics"]).await.0.out, "# EOF\n");
    let (outcome, asked) = check(&rows, &["export", "--revision", "7"]).await;
    assert_eq!((outcome.out.as_str(), asked[0].as_str()), ("[routes.a]\n", "GET /v1/export?revision=7"));
    assert_eq!(check(&rows, &["export", "--json"]).await.0.out, "{\n  \"routes\": {\n    \"a\": {}\n  }\n}\n");
}

/// A file with two mistakes that need no daemon to be seen.
const BROKEN: &str = "\
[upstreams.shop]
endpoints = [{ address = \"127.0.0.1:9001\" }]

[routes.orders]
match = { path = \"/orders\" }
upstream = \"shp\"
polices = []
";

const SOUND: &str = "\
[listeners.web]
address = \"127.0.0.1:8080\"
protocol = \"http\"

[upstreams.shop]
endpoints = [{ address = \"127.0.0.1:9001\" }]

[routes.orders]
match = { path = \"/orders\" }
upstream = \"shop\"
";

/// Writes the file and types the verb; the directory's name is taken out of what was printed.
async fn check_file(
    rows: &[(&str, u16, Value)],
    text: &str,
    before: &[&str],
    after: &[&str],
) -> (Outcome, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gate.toml");
    std::fs::write(&path, text).unwrap();
    let words = [before, &[path.to_str().unwrap()], after].concat();
    let (mut outcome, asked) = check(rows, &words).await;
    let prefix = format!("{}/", directory.path().display());
    (outcome.out, outcome.err) = (outcome.out.replace(&prefix, ""), outcome.err.replace(&prefix, ""));
    (outcome, asked)
}

#[tokio::test]
async fn check_prints_every_mistake_with_its_line() {
    let (outcome, asked) = check_file(&[], BROKEN, &["check"], &[]).await;
    assert!(asked.is_empty(), "a broken file is not sent: {asked:?}");
    insta::assert_snapshot!(outcome.all());
    let (outcome, _) = check_file(&[], BROKEN, &["apply"], &[]).await;
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.ends_with("nothing was applied\n"), "{}", outcome.err);
    let (outcome, _) = check_file(&[], BROKEN, &["check"], &["--json"]).await;
    assert_eq!(outcome.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&outcome.out).unwrap()["problems"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn check_needs_no_daemon_and_asks_one_if_there_is() {
    let (outcome, asked) = check_file(&[], SOUND, &["check"], &["--offline"]).await;
    assert_eq!((outcome.code, asked.len()), (0, 0));
    assert_eq!(outcome.out, "✓ gate.toml: 1 listener, 1 upstream, 1 route; no mistakes\n");
    let busy = json!([{"code": "environment", "path": "listeners.web.address", "line": 99, "column": 1,
                       "message": "127.0.0.1:8080 is in use by another program",
                       "help": "stop it, or choose another port"}]);
    let (outcome, _) = check_file(&[("POST /v1/check", 200, checked(&busy))], SOUND, &["check"], &[]).await;
    insta::assert_snapshot!(outcome.all());
}

#[tokio::test]
async fn apply_sends_everything_and_prints_the_revision() {
    let (outcome, asked) =
        check_file(&[("POST /v1/change", 200, applied())], SOUND, &["apply"], &["--comment", "c"]).await;
    let sent: Value = serde_json::from_str(asked[0].strip_prefix("POST /v1/change ").unwrap()).unwrap();
    assert_eq!((&sent["comment"], &sent["edits"][0]["op"]), (&json!("c"), &json!("replace-all")));
    insta::assert_snapshot!(outcome.all());
    let unchanged = json!({"revision": revision(212), "changed": false, "warnings": [], "diff": [], "effects": {
        "listeners_opened": [], "listeners_closed": [], "endpoints_added": 0, "endpoints_removed": 0, "routes_changed": 0}});
    let (outcome, _) = check_file(&[("POST /v1/change", 200, unchanged)], SOUND, &["apply"], &[]).await;
    assert_eq!(outcome.out, "nothing differs from revision 212; no revision was made\n");
}

#[tokio::test]
async fn a_refused_apply_points_into_the_file() {
    let problem = json!({"code": "environment", "path": "listeners.web.address", "message": "in use"});
    let reply = json!({"status": 422, "title": "refused", "detail": "1 problem", "problems": [problem]});
    let (outcome, _) = check_file(&[("POST /v1/change", 422, reply.clone())], SOUND, &["apply"], &[]).await;
    insta::assert_snapshot!(outcome.all());
    let (outcome, _) = check_file(&[("POST /v1/change", 422, reply.clone())], SOUND, &["apply"], &["--json"]).await;
    assert_eq!((outcome.code, serde_json::from_str::<Value>(&outcome.out).unwrap()), (1, reply));
}

#[tokio::test]
async fn diff_compares_with_what_runs() {
    let (outcome, _) = check_file(&[("POST /v1/diff", 200, checked(&json!([])))], SOUND, &["diff"], &[]).await;
    insta::assert_snapshot!(outcome.all());
}
