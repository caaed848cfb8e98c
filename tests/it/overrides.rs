// SPDX-License-Identifier: MIT OR Apache-2.0
//! What operators and endpoints say of single endpoints over the control socket: overrides that expire, drains that cut,
//! leases. A whole daemon in this process, asked as a program would ask it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use weirgate::listener::handover::Adopted;
use weirgate::runtime::boot::{Daemon, Places};
use weirgate_store::wire::OverrideMode;

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, to_endpoints};
use crate::support::origin::{OK, Origin};
use crate::support::{PATIENCE, wait_until};
use crate::tcp::tcp;

/// A daemon with its store.
struct Whole {
    runtime: Runtime,
    daemon: Option<Daemon>,
    places: Places,
    _directory: tempfile::TempDir,
}

impl Whole {
    fn start(toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (state, socket) = (directory.path().join("state"), directory.path().join("control.sock"));
        let places = Places { state, socket, resolver: None };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut whole = Self { runtime, daemon: None, places, _directory: directory };
        whole.run();
        let toml = toml.to_owned();
        whole.runtime.block_on(whole.daemon().apply_text(toml, None)).unwrap();
        whole
    }

    fn run(&mut self) {
        let starting = Daemon::start(&self.places, 2, Adopted::default());
        self.daemon = Some(self.runtime.block_on(starting).unwrap());
    }

    fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            self.runtime.block_on(daemon.stop(Duration::ZERO));
        }
    }

    fn restart(&mut self) {
        self.stop();
        self.run();
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn web(&self) -> SocketAddr {
        self.daemon().gateway.bound("web").unwrap()
    }

    fn status_of(&self, path: &str) -> u16 {
        Client::ask(self.web(), &get(path)).status
    }

    /// One call of the control API.
    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = UnixStream::connect(&self.places.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: weirgate\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn set(&self, address: SocketAddr, request: &Value) -> (u16, Value) {
        self.call("PUT", &format!("/v1/upstreams/shop/endpoints/{address}/override"), request)
    }

    fn lease(&self, method: &str, upstream: &str, address: SocketAddr, request: &Value) -> (u16, Value) {
        self.call(method, &format!("/v1/upstreams/{upstream}/endpoints/{address}/lease"), request)
    }

    /// The status of an endpoint of `shop`.
    fn endpoint(&self, address: SocketAddr) -> Value {
        let (_, status) = self.call("GET", "/v1/status", &Value::Null);
        let shop = status["upstreams"].as_array().unwrap().iter().find(|one| one["name"] == "shop").unwrap().clone();
        let endpoints = shop["endpoints"].as_array().unwrap();
        endpoints.iter().find(|one| one["address"] == address.to_string()).cloned().unwrap_or(Value::Null)
    }

    fn audit(&self) -> Vec<String> {
        let (_, lines) = self.call("GET", "/v1/audit", &Value::Null);
        let line = |line: &Value| format!("{} {}", line["author"].as_str().unwrap(), line["detail"].as_str().unwrap());
        lines.as_array().unwrap().iter().map(line).collect()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An endpoint that never gets further than a test wants: `/head` without a head, `/body` in the middle of a body.
fn stuck() -> Origin {
    Origin::serving(|peer| {
        while let Some(head) = peer.request() {
            if head.contains("/head") {
                peer.hold();
            } else if head.contains("/body") {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
                peer.hold();
            } else if head.contains("/tunnel") {
                peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
                peer.hold();
            } else {
                peer.say(OK);
            }
        }
    })
}

#[test]
fn a_drain_cuts_at_its_deadline_and_not_before() {
    let origin = stuck();
    let whole = Whole::start(&to_endpoints(&[origin.address()]));
    let begin = |request: &str| {
        let mut client = Client::to(whole.web());
        client.say(request);
        client
    };
    let mut head = begin("POST /head HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let mut body = begin(&get("/body"));
    body.take_to("half");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut tunnel = begin(&format!("GET /tunnel HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n"));
    tunnel.take_to("hello");
    wait_until("all are under way", || whole.endpoint(origin.address())["in_flight"] == 3);

    let (status, answer) = whole.set(origin.address(), &json!({"mode": "drain", "reason": "a test"}));
    assert_eq!((status, &answer["override"]["mode"], &answer["in_flight"]), (200, &json!("drain"), &json!(3)));
    assert_eq!(whole.status_of("/"), 503, "it gets nothing new");
    assert_eq!(whole.endpoint(origin.address())["in_flight"], 3, "what is in flight goes on");

    let (status, answer) = whole.set(origin.address(), &json!({"mode": "drain", "deadline_s": 1, "reason": "a test"}));
    assert!(status == 200 && answer["override"]["deadline_ms"].is_i64(), "{answer}");
    let reply = head.reply();
    assert_eq!((reply.status, reply.text().contains("cut-off")), (503, true), "{}", reply.text());
    body.expect_closed("a body");
    tunnel.expect_closed("a tunnel");
    wait_until("nothing is left", || whole.endpoint(origin.address())["in_flight"] == 0);
    wait_until("it is told", || {
        let told = format!("weirgate (expiry) shop/{}: the drain deadline passed with 3 in flight", origin.address());
        whole.audit().iter().any(|line| line.starts_with(&told) && line.ends_with(": a test"))
    });
    whole.set(origin.address(), &json!({"mode": "ready"}));
    assert_eq!(whole.status_of("/"), 200, "new connections are not cut");
}

#[test]
fn what_may_run_twice_goes_elsewhere_when_it_is_cut() {
    let (stuck, other) = (stuck(), Origin::plain());
    let whole = Whole::start(
        &to_endpoints(&[stuck.address(), other.address()])
            .replace("[routes.all]", "balance = \"round-robin\"\n[routes.all]"),
    );
    whole.set(other.address(), &json!({"mode": "maint"}));
    let mut client = Client::to(whole.web());
    client.say(get("/head"));
    wait_until("it is under way", || whole.endpoint(stuck.address())["in_flight"] == 1);
    whole.set(other.address(), &json!({"mode": "ready"}));
    whole.set(stuck.address(), &json!({"mode": "drain", "deadline_s": 0}));
    assert_eq!(client.reply().status, 200);
}

#[test]
fn an_override_takes_itself_back_also_over_a_restart() {
    let origin = Origin::plain();
    let mut whole = Whole::start(&to_endpoints(&[origin.address()]));
    let (status, answer) = whole.set(origin.address(), &json!({"mode": "maint", "expires_s": 1, "reason": "disk"}));
    let set = &answer["override"];
    let lasts = set["expires_ms"].as_i64().unwrap() - set["since_ms"].as_i64().unwrap();
    assert_eq!((status, lasts, whole.status_of("/")), (200, 1000, 503));
    wait_until("it expires", || whole.endpoint(origin.address())["override"].is_null());
    assert_eq!(whole.status_of("/"), 200);
    let audit = whole.audit();
    assert!(
        audit[0].starts_with(&format!("weirgate (expiry) maint of shop/{} expired, set by ", origin.address())),
        "{audit:?}"
    );
    assert!(audit[0].ends_with(": disk") && audit[1].contains("maint, for 1 s of shop/"), "{audit:?}");

    whole.set(origin.address(), &json!({"weight": 7, "expires_s": 600}));
    whole.restart();
    assert_eq!(whole.endpoint(origin.address())["weight"], 7);
    whole.set(origin.address(), &json!({"mode": "drain", "expires_s": 1}));
    whole.restart();
    wait_until("it expires", || whole.endpoint(origin.address())["override"].is_null());
    assert_eq!(whole.status_of("/"), 200);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let origin = Origin::plain();
    let whole = Whole::start(&to_endpoints(&[origin.address()]));
    for (request, why) in [
        (json!({"mode": "maint", "deadline_s": 5}), "only a drain has a deadline"),
        (json!({"mode": "ready", "expires_s": 5}), "as configured is nothing that could expire"),
        (json!({"mode": "drain", "expires_s": 0}), "expires_s is a whole number from 1 to 31622400"),
        (json!({"mode": "drain", "deadline_s": 31_622_401}), "deadline_s is a whole number from 0 to 31622400"),
        (json!({"weight": 10_001}), "a weight is a whole number from 0 to 10000"),
        (json!({"mode": "drain", "reason": "x".repeat(257)}), "the reason is longer than 256 bytes"),
    ] {
        let (status, answer) = whole.set(origin.address(), &request);
        assert_eq!((status, answer["detail"].as_str().unwrap()), (400, why), "row {request}");
    }
    assert_eq!(whole.set(([127, 0, 0, 1], 1).into(), &json!({"mode": "drain"})).0, 404);
    let (status, answer) = whole.lease("PUT", "shop", origin.address(), &json!({}));
    assert_eq!(status, 400);
    assert!(answer["detail"].as_str().unwrap().contains("takes no leases"), "{answer}");
}

#[test]
fn an_endpoint_registers_renews_and_goes() {
    let origin = Origin::plain();
    let toml = format!(
        "{WEB}[upstreams.shop]\ndiscovery = {{ lease = {{ ttl = \"20s\" }} }}\n[routes.all]\nupstream = \"shop\"\n"
    );
    let mut whole = Whole::start(&toml);
    let address = origin.address();
    assert_eq!(whole.status_of("/"), 503);
    for (request, status) in [(json!({"ttl_s": 21}), 400), (json!({"ttl_s": 0}), 400), (json!({"weight": 10_001}), 400)]
    {
        assert_eq!(whole.lease("PUT", "shop", address, &request).0, status, "row {request}");
    }
    assert_eq!(whole.lease("PUT", "nobody", address, &json!({})).0, 404);
    let (status, answer) = whole.lease("PUT", "shop", address, &json!({"weight": 3, "ttl_s": 15}));
    assert_eq!((status, &answer["weight"], &answer["origin"]), (200, &json!(3), &json!("lease")), "{answer}");
    assert_eq!(whole.lease("PUT", "shop", address, &json!({"weight": 3})).0, 200);
    assert_eq!(whole.status_of("/"), 200);
    let leased = |whole: &Whole| whole.audit().iter().filter(|line| line.contains("for 15 s unless renewed")).count();
    assert_eq!(leased(&whole), 1, "a renewal is no news: {:?}", whole.audit());

    let (status, answer) = whole.set(address, &json!({"mode": "drain", "reason": "found ones, too"}));
    assert_eq!((status, &answer["override"]["mode"]), (200, &json!("drain")));
    assert_eq!(whole.status_of("/"), 503);
    whole.restart();
    assert_eq!((whole.endpoint(address)["override"]["mode"].as_str(), whole.status_of("/")), (Some("drain"), 503));
    whole.set(address, &json!({"mode": "ready"}));
    assert_eq!(whole.status_of("/"), 200, "the lease outlived the process");

    assert_eq!(whole.lease("DELETE", "shop", address, &Value::Null).0, 204);
    assert_eq!(whole.lease("DELETE", "shop", address, &Value::Null).0, 404);
    assert_eq!(whole.status_of("/"), 503);
    assert_eq!(whole.lease("PUT", "shop", address, &json!({"ttl_s": 1})).0, 200);
    wait_until("it was not renewed", || whole.endpoint(address).is_null());
}

#[test]
fn a_connection_of_a_tcp_listener_is_cut_with_a_reset() {
    let origin = Origin::serving(|peer| {
        peer.say("ready;");
        peer.hold();
    });
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut client = gateway.connect();
    client.take_to("ready;");
    gateway.set_mode("db", origin.address(), OverrideMode::Drain);
    assert_eq!(gateway.block_on(gateway.gateway.cut("db", &origin.address().to_string())), 1);
    client.expect_closed("a tunnel");
    assert_eq!(gateway.failure("cut-off").endpoint, Some(origin.address().to_string()));
}
