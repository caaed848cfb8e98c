// SPDX-License-Identifier: MIT OR Apache-2.0
//! The API as its callers meet it: over a Unix socket, with a real store and a gateway without a data path behind it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use weirgate_store::engine::{Options, Store};
use weirgate_store::wire::{EndpointHealth, Event, ExchangeRecord, Frame, HealthEvent};

use super::Control;
use super::seam::KeyChange;
use super::socket::ControlSocket;
use super::stand_in::{Gateway, TAKEN};
use crate::observe::Observer;

/// A daemon without a data path.
struct Daemon {
    control: Arc<Control>,
    gateway: Arc<Gateway>,
    store: Store,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Daemon {
    async fn start() -> Self {
        Self::start_with(Gateway::default(), Options::default()).await
    }

    async fn start_with(gateway: Gateway, options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("state"), options);
        Self::start_on(gateway, store, dir).await
    }

    async fn start_on(gateway: Gateway, store: Store, dir: tempfile::TempDir) -> Self {
        let socket = dir.path().join("control.sock");
        let gateway = Arc::new(gateway);
        let observer = Arc::new(Observer::new(1));
        let control = Control::start(Arc::clone(&gateway) as _, store.clone(), observer).await;
        let bound = ControlSocket::bind(&socket).expect("a free path");
        tokio::spawn(Arc::clone(&control).serve(bound));
        Self { control, gateway, store, socket, _dir: dir }
    }

    async fn open(&self, call: &str, body: &str) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).await.expect("it listens");
        let head = format!(
            "{call} HTTP/1.1\r\nHost: weirgate\r\nConnection: close\r\nX-Weirgate-Channel: cli\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        BufReader::new(stream)
    }

    async fn text(&self, call: &str, body: &str) -> (u16, String) {
        let mut reply = String::new();
        self.open(call, body).await.read_to_string(&mut reply).await.expect("a reply");
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
        (status, body.to_owned())
    }

    async fn call(&self, call: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = self.text(call, &body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(&format!("GET {path}"), &Value::Null).await
    }

    /// Puts an upstream and a route to it.
    async fn furnish(&self) {
        let (status, reply) =
            self.call("PUT /v1/upstreams/shop", &json!({"endpoints": [{"address": "127.0.0.1:9"}]})).await;
        assert_eq!(status, 200, "{reply}");
        let (status, reply) = self.call("PUT /v1/routes/orders", &json!({"upstream": "shop"})).await;
        assert_eq!(status, 200, "{reply}");
    }

    fn ran(&self) -> Vec<u64> {
        self.gateway.ran.lock().expect("whole").clone()
    }
}

#[tokio::test]
async fn an_object_is_put_shown_patched_listed_and_deleted() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let (status, applied) = daemon.call("PATCH /v1/routes/orders?comment=faster", &json!({"priority": 5})).await;
    assert_eq!(status, 200, "{applied}");
    assert_eq!(applied["revision"]["number"], 3);
    assert_eq!(applied["revision"]["comment"], "faster");
    assert!(applied["revision"]["author"].as_str().expect("an author").ends_with(" (cli)"));
    assert_eq!(
        applied["diff"],
        json!([{"kind": "route", "name": "orders", "change": "changed", "fields": ["priority"]}])
    );
    assert_eq!(daemon.get("/v1/routes/orders").await, (200, json!({"upstream": "shop", "priority": 5})));
    let (_, list) = daemon.get("/v1/routes").await;
    assert_eq!((&list["revision"], &list["objects"][0]["name"]), (&json!(3), &json!("orders")));
    assert_eq!(daemon.call("DELETE /v1/routes/orders", &Value::Null).await.0, 200);
    assert_eq!(daemon.get("/v1/routes/orders").await.0, 404);
    assert_eq!(daemon.ran(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_revision() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let (status, applied) = daemon.call("PUT /v1/routes/orders", &json!({"upstream": "shop"})).await;
    assert_eq!((status, &applied["changed"]), (200, &json!(false)));
    assert_eq!(daemon.ran(), [1, 2]);
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let dangling = json!({"edits": [
        {"op": "put", "kind": "route", "name": "new", "object": {"upstream": "shop"}},
        {"op": "put", "kind": "route", "name": "orders", "object": {"upstream": "shpo"}},
    ]});
    let listener = json!({"address": "127.0.0.1:0", "protocol": "http"});
    let rows = [
        ("POST /v1/change".to_owned(), dangling, 422, "routes.orders.upstream"),
        (format!("PUT /v1/listeners/{TAKEN}"), listener, 422, "listeners.taken.address"),
        ("PUT /v1/routes/new".to_owned(), json!({"upsteam": "shop"}), 422, "routes.new.upsteam"),
        ("DELETE /v1/upstreams/shop".to_owned(), Value::Null, 422, "routes.orders.upstream"),
    ];
    for (call, body, want, path) in rows {
        let (status, reply) = daemon.call(&call, &body).await;
        assert_eq!((status, &reply["problems"][0]["path"]), (want, &json!(path)), "{call}: {reply}");
    }
    assert_eq!(daemon.get("/v1/routes/new").await.0, 404);
    assert_eq!(daemon.ran(), [1, 2], "nothing ran");
    assert_eq!(daemon.store.history(10).await.map(|history| history.len()), Ok(2), "nothing was kept");
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_does_not_run() {
    let options = Options { free_bytes_min: u64::MAX, ..Options::default() };
    let daemon = Daemon::start_with(Gateway::default(), options).await;
    let (status, reply) = daemon.call("PUT /v1/consumers/acme", &json!({})).await;
    assert_eq!(status, 503, "{reply}");
    assert!(reply["detail"].as_str().is_some_and(|detail| detail.contains("make room")), "{reply}");
    assert_eq!(daemon.get("/v1/consumers/acme").await.0, 404);
    assert!(daemon.ran().is_empty());
}

#[tokio::test]
async fn a_dry_run_says_and_does_not_do() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let edit = json!({"edits": [{"op": "merge", "kind": "route", "name": "orders", "patch": {"priority": 2}}]});
    let calls = [
        ("PATCH /v1/routes/orders?dry_run=true", json!({"priority": 2})),
        ("POST /v1/change?dry_run=true", edit.clone()),
        ("POST /v1/check", edit.clone()),
        ("POST /v1/diff", edit),
    ];
    for (call, body) in calls {
        let (status, checked) = daemon.call(call, &body).await;
        assert_eq!((status, &checked["problems"]), (200, &json!([])), "{call}: {checked}");
        assert_eq!(checked["effects"]["routes_changed"], 1, "{call}");
        assert!(checked["diff_text"].as_str().expect("text").contains("+priority = 2"), "{call}: {checked}");
    }
    let (status, checked) = daemon.call("PUT /v1/routes/x?dry_run=true", &json!({"upstream": "nope"})).await;
    assert_eq!((status, &checked["problems"][0]["code"]), (200, &json!("dangling")), "{checked}");
    assert_eq!(daemon.ran(), [1, 2]);
}

#[tokio::test]
async fn the_same_object_edited_twice_is_a_conflict_and_another_is_not() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let (status, _) = daemon.call("PATCH /v1/routes/orders?base=2", &json!({"priority": 1})).await;
    assert_eq!(status, 200);
    let (status, reply) = daemon.call("PATCH /v1/routes/orders?base=2", &json!({"priority": 9})).await;
    let detail = reply["detail"].as_str().expect("a sentence");
    assert_eq!(status, 409, "{reply}");
    assert!(detail.contains("route orders by ") && detail.contains("(cli) in revision 3"), "{detail}");
    let (status, reply) =
        daemon.call("PUT /v1/upstreams/other?base=2", &json!({"endpoints": [{"address": "127.0.0.1:8"}]})).await;
    assert_eq!(status, 200, "{reply}");
    let all = json!({"base": 2, "edits": [{"op": "replace-all", "toml": ""}]});
    assert_eq!(daemon.call("POST /v1/change", &all).await.0, 409, "replacing everything conflicts with anything");
}

#[tokio::test]
async fn revisions_are_listed_compared_exported_and_rolled_back_to() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let (_, list) = daemon.get("/v1/revisions").await;
    assert_eq!((&list["running"], &list["revisions"][0]["number"]), (&json!(2), &json!(2)));
    let (_, between) = daemon.get("/v1/revisions/1/diff/2").await;
    assert_eq!(between["diff"][0]["name"], "orders");
    let (_, first) = daemon.text("GET /v1/revisions/1", "").await;
    assert!(first.contains("[upstreams.shop]") && !first.contains("routes"), "{first}");
    assert_eq!(daemon.text("GET /v1/export?revision=1", "").await.1, first);
    let back = json!({"edits": [{"op": "rollback", "revision": 1}]});
    let (status, applied) = daemon.call("POST /v1/change", &back).await;
    assert_eq!((status, &applied["revision"]["number"]), (200, &json!(3)), "{applied}");
    assert_eq!(applied["revision"]["comment"], "back to revision 1");
    assert_eq!(daemon.text("GET /v1/export", "").await.1, first);
    assert_eq!(daemon.get("/v1/revisions/77").await.0, 404);
}

#[tokio::test]
async fn mistakes_of_a_file_are_named_by_line() {
    let daemon = Daemon::start().await;
    let toml = "[routes.a]\nupstream = \"gone\"\n";
    let edits = json!({"edits": [{"op": "replace-all", "toml": toml}]});
    let (status, reply) = daemon.call("POST /v1/change", &edits).await;
    assert_eq!((status, &reply["problems"][0]["line"]), (422, &json!(2)), "{reply}");
}

#[tokio::test]
async fn every_refusal_is_an_error_reply() {
    let daemon = Daemon::start().await;
    let rows = [
        ("GET /nothing", "", 404),
        ("GET /v1/nothing", "", 404),
        ("POST /v1/status", "", 405),
        ("POST /v1/change", "{", 400),
        ("POST /v1/change", r#"{"edit": []}"#, 400),
        ("GET /v1/export?revision=x", "", 400),
        ("GET /v1/export?revison=1", "", 400),
        ("GET /v1/revisions/x", "", 400),
        ("GET /v1/events?topics=weather", "", 400),
        ("GET /v1/events?topics=exchanges&status=abc", "", 400),
        ("PATCH /v1/routes/none", "{}", 404),
        ("GET /v1/consumers/none/keys", "", 404),
        ("PUT /v1/upstreams/none/endpoints/127.0.0.1:1/override", "{}", 404),
        ("POST /v1/explain", r#"{"method": "GET", "url": ""}"#, 400),
        ("GET /v1/upstreams/none/timeline", "", 404),
    ];
    for (call, body, want) in rows {
        let (status, text) = daemon.text(call, body).await;
        let reply: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{call} answered {text:?}"));
        assert_eq!((status, &reply["status"]), (want, &json!(want)), "{call}: {reply}");
        assert!(reply["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{call}");
    }
}

#[tokio::test]
async fn keys_are_issued_listed_imported_and_revoked() {
    let daemon = Daemon::start().await;
    daemon.call("PUT /v1/consumers/acme", &json!({})).await;
    let (status, issued) =
        daemon.call("POST /v1/consumers/acme/keys", &json!({"comment": "for ci", "expires": "30d"})).await;
    assert_eq!((status, &issued["key"]["comment"]), (200, &json!("for ci")), "{issued}");
    let id = issued["key"]["id"].as_str().expect("an id").to_owned();
    let (status, imported) =
        daemon.text("POST /v1/consumers/acme/keys/import", "secret-number-one-1\n\nsecret-number-two-2").await;
    assert_eq!((status, imported.as_str()), (200, r#"{"imported":2}"#));
    assert_eq!(daemon.text(&format!("DELETE /v1/consumers/acme/keys/{id}"), "").await.0, 204);
    assert_eq!(daemon.text(&format!("DELETE /v1/consumers/acme/keys/{id}"), "").await.0, 404);
    let (_, list) = daemon.get("/v1/consumers/acme/keys").await;
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(2));
    let changes = daemon.gateway.keys.lock().expect("whole").clone();
    let secret = issued["secret"].as_str().expect("a secret");
    let hash = daemon.store.keyring().hash_key(secret.as_bytes());
    assert!(matches!(&changes[0], KeyChange::Issued { hashes, expires_ms: Some(_), .. } if hashes.len() == 1));
    assert!(matches!(&changes[1], KeyChange::Issued { hashes, expires_ms: None, .. } if hashes.len() == 2));
    assert_eq!(changes[2], KeyChange::Revoked { hash });
    let (_, audit) = daemon.get("/v1/audit").await;
    assert_eq!(audit.as_array().map(Vec::len), Some(3), "{audit}");
}

#[tokio::test]
async fn a_key_is_rotated_with_an_overlap() {
    let daemon = Daemon::start().await;
    daemon.call("PUT /v1/consumers/acme", &json!({})).await;
    let (_, first) = daemon.call("POST /v1/consumers/acme/keys", &json!({"comment": "for ci"})).await;
    let id = first["key"]["id"].as_str().expect("an id").to_owned();
    let path = format!("POST /v1/consumers/acme/keys/{id}/rotate");
    let (status, rotated) = daemon.call(&path, &json!({"overlap": "1h", "expires": "90d"})).await;
    assert_eq!((status, &rotated["key"]["comment"]), (200, &json!("for ci")), "{rotated}");
    let end = rotated["replaced"]["expires_ms"].as_i64().expect("an end");
    // The new key counts before the old one gets its end.
    let hash_of = |key: &Value| daemon.store.keyring().hash_key(key["secret"].as_str().expect("a secret").as_bytes());
    let changes = daemon.gateway.keys.lock().expect("whole").clone();
    let told: Vec<_> = changes
        .iter()
        .map(|change| match change {
            KeyChange::Issued { hashes, expires_ms, .. } => (hashes[0], *expires_ms),
            KeyChange::Revoked { hash } => panic!("{hash:?} was revoked"),
        })
        .collect();
    assert_eq!(told[1].0, hash_of(&rotated));
    assert_eq!(told[2], (hash_of(&first), Some(end)));
    // A shorter end is not made longer, and both are listed.
    let (_, again) = daemon.call(&path, &json!({"overlap": "30d"})).await;
    assert_eq!(again["replaced"]["expires_ms"], json!(end), "{again}");
    let (_, list) = daemon.get("/v1/consumers/acme/keys").await;
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(3), "{list}");
    for (body, want) in [(json!({"overlap": "2h", "expires": "1h"}), 400), (json!({"overlap": "soon"}), 400)] {
        assert_eq!(daemon.call(&path, &body).await.0, want, "row {body}");
    }
    assert_eq!(daemon.call("POST /v1/consumers/acme/keys/00/rotate", &json!({})).await.0, 404);
}

#[tokio::test]
async fn an_override_is_kept_set_and_audited() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let path = "PUT /v1/upstreams/shop/endpoints/127.0.0.1:9/override";
    let (status, endpoint) = daemon.call(path, &json!({"mode": "drain", "reason": "disk"})).await;
    assert_eq!((status, &endpoint["override"]["mode"]), (200, &json!("drain")), "{endpoint}");
    assert_eq!(daemon.gateway.overrides.lock().expect("whole")[0].1.reason, "disk");
    let (_, audit) = daemon.get("/v1/audit").await;
    assert_eq!((&audit[0]["verb"], &audit[0]["detail"]), (&json!("override"), &json!("drain of shop/127.0.0.1:9")));
}

#[tokio::test]
async fn connections_are_listed_within_bounds_and_ended() {
    let daemon = Daemon::start().await;
    let (status, list) = daemon.get("/v1/connections?listener=web&limit=2").await;
    let ids: Vec<_> = list.as_array().expect("a list").iter().map(|info| info["id"].as_u64()).collect();
    assert_eq!((status, ids, &list[0]["listener"]), (200, vec![Some(3), Some(2)], &json!("web")));
    for bad in ["limit=0", "limit=1001", "limit=x", "colour=red"] {
        assert_eq!(daemon.get(&format!("/v1/connections?{bad}")).await.0, 400, "row {bad}");
    }
    assert_eq!(daemon.text("DELETE /v1/connections/3", "").await.0, 204);
    assert_eq!(daemon.text("DELETE /v1/connections/99", "").await.0, 404);
    assert_eq!(daemon.text("DELETE /v1/connections/x", "").await.0, 400);
    let (_, audit) = daemon.get("/v1/audit").await;
    assert_eq!((&audit[0]["verb"], &audit[0]["detail"]), (&json!("kill"), &json!("connection 3")));
}

#[tokio::test]
async fn the_timeline_of_an_upstream_comes_newest_first() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let path = "/v1/upstreams/shop/timeline";
    assert_eq!(daemon.get(path).await, (200, json!([])));
    let event = |time_ms, health, reason: &str| HealthEvent {
        time_ms,
        upstream: "shop".to_owned(),
        address: "127.0.0.1:9".to_owned(),
        health,
        reason: reason.to_owned(),
    };
    let events = vec![event(1, EndpointHealth::Down, "refused"), event(2, EndpointHealth::Up, "passed")];
    daemon.control.store.append_timeline(events).await.expect("it is kept");
    let (status, timeline) = daemon.get(path).await;
    assert_eq!((status, &timeline[0]["health"], &timeline[1]["reason"]), (200, &json!("up"), &json!("refused")));
}

#[tokio::test]
async fn status_and_metrics_tell_what_runs() {
    let daemon = Daemon::start().await;
    daemon.furnish().await;
    let (_, status) = daemon.get("/v1/status").await;
    assert_eq!(
        (&status["revision"]["number"], &status["role"], &status["workers"]),
        (&json!(2), &json!("admin"), &json!(2))
    );
    let (_, metrics) = daemon.text("GET /v1/metrics", "").await;
    assert!(metrics.contains("\nweirgate_revision 2\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    let (status, document) = daemon.get("/v1/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
}

/// Reads lines of a stream until one begins so.
async fn line(stream: &mut BufReader<UnixStream>, start: &str) -> String {
    loop {
        let mut line = String::new();
        let count = stream.read_line(&mut line).await.expect("it reads");
        assert!(count > 0, "the stream ended before {start:?}");
        if line.starts_with(start) {
            return line.trim_end().to_owned();
        }
    }
}

fn exchange(status: u16) -> Arc<ExchangeRecord> {
    Arc::new(ExchangeRecord { status, ..ExchangeRecord::default() })
}

#[tokio::test]
async fn events_come_by_topic_and_filter() {
    let daemon = Daemon::start().await;
    let mut stream = daemon.open("GET /v1/events?topics=exchanges,revision&status=5xx", "").await;
    line(&mut stream, "HTTP/1.1 200").await;
    line(&mut stream, "\r\n").await;
    let observer = &daemon.control.observer;
    observer.publish(Event::Traffic(Frame::default()));
    for status in [200, 503] {
        let facts = crate::observe::Facts { status, route: None, upstream: None, consumer: None };
        observer.tap.offer(&facts, 1, || exchange(status));
    }
    assert_eq!(line(&mut stream, "event:").await, "event: exchange");
    assert!(line(&mut stream, "data:").await.contains("\"status\":503"));
    daemon.furnish().await;
    assert_eq!(line(&mut stream, "event:").await, "event: revision");
    daemon.control.stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("the stream ends with the daemon");
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_holds_up_nobody() {
    let daemon = Daemon::start().await;
    let mut stream = daemon.open("GET /v1/events?topics=exchanges,traffic", "").await;
    line(&mut stream, "\r\n").await;
    let facts = crate::observe::Facts { status: 200, route: None, upstream: None, consumer: None };
    // No await in between: the reader cannot run, so its queue fills and the rest is dropped.
    for _ in 0..10_000 {
        daemon.control.observer.tap.offer(&facts, 1, || exchange(200));
    }
    daemon.control.observer.publish(Event::Traffic(Frame::default()));
    line(&mut stream, "event: dropped").await;
    let data = line(&mut stream, "data:").await;
    let dropped: Value = serde_json::from_str(data.trim_start_matches("data: ")).expect("JSON");
    assert!(dropped["exchanges"].as_u64().is_some_and(|count| count >= 8_000), "{dropped}");
    assert_eq!(line(&mut stream, "event: traffic").await, "event: traffic", "the frame itself is not lost");
}

#[tokio::test]
async fn a_start_goes_back_to_the_newest_revision_that_can_run() {
    let free = Gateway { all_free: true, ..Gateway::default() };
    let first = Daemon::start_with(free, Options::default()).await;
    first.furnish().await;
    let listener = json!({"address": "127.0.0.1:0", "protocol": "http"});
    assert_eq!(first.call(&format!("PUT /v1/listeners/{TAKEN}"), &listener).await.0, 200);
    let dir = tempfile::tempdir().expect("a directory");
    let second = Daemon::start_on(Gateway::default(), first.store.clone(), dir).await;
    assert_eq!(second.ran(), [2], "revision 3 cannot run here");
    let (status, applied) = second.call("PATCH /v1/routes/orders", &json!({"priority": 1})).await;
    assert_eq!((status, &applied["revision"]["number"]), (200, &json!(4)), "numbers are never given twice");
}

#[tokio::test]
async fn verdicts_are_flushed() {
    let daemon = Daemon::start().await;
    let (status, reply) = daemon.call("POST /v1/policies/sso/flush", &json!({})).await;
    assert_eq!((status, reply), (200, json!({"flushed": 7})));
    let (status, reply) = daemon.call("POST /v1/policies/sso/flush", &json!({"key": ["a", "b"]})).await;
    assert_eq!((status, reply), (200, json!({"flushed": 2})));
    assert_eq!(daemon.call("POST /v1/policies/other/flush", &json!({})).await.0, 404);
    let (status, reply) = daemon.call("POST /v1/policies/sso/flush", &json!({"key": ["a"], "subject": "b"})).await;
    assert_eq!(status, 400, "{reply}");
    assert_eq!(daemon.call("POST /v1/policies/sso/flush", &json!({"user": "b"})).await.0, 400);
}
