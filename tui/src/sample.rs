// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixed data for tests: a gateway on a bad afternoon. One endpoint is down, one consumer is refused, one route has
//! slow replies.

use serde_json::json;
use weirgate_store::model::Kind;
use weirgate_store::wire::*;

use crate::app::App;
use crate::event::{Answer, Ask, Event};
use crate::theme::Theme;
use crate::update::update;

/// 2026-03-03 14:37:08 UTC.
pub(crate) const NOW: i64 = 1_772_548_628_000;

pub(crate) fn revision(number: u64) -> RevisionInfo {
    let comments = ["", "edit route orders", "new consumer acme", "weights for the sale", "rollback to 209"];
    RevisionInfo {
        number,
        time_ms: NOW - 2_108_000 - (212_i64 - i64::try_from(number).unwrap()) * 5_400_000,
        author: if number.is_multiple_of(3) { "ben (command line)" } else { "ana (console)" }.into(),
        comment: comments[usize::try_from(number).unwrap() % 5].into(),
        added: u32::from(number.is_multiple_of(5)),
        changed: 1,
        removed: 0,
    }
}

fn endpoint(address: &str, in_flight: u32) -> EndpointStatus {
    EndpointStatus {
        address: address.into(),
        health: EndpointHealth::Up,
        reason: "health check passes: GET /healthz got 200 in 2 ms".into(),
        since_ms: NOW - 93_600_000,
        weight: 1,
        configured_weight: 1,
        backup: false,
        in_flight,
        connections: in_flight + 8,
        requests: 1_204_331,
        errors: 112,
        latency_us: Some(4_100 + u64::from(in_flight) * 10),
        zone: Some("eu-1a".into()),
        origin: "written".into(),
        overridden: None,
        ..EndpointStatus::default()
    }
}

fn listeners() -> Vec<ListenerStatus> {
    let listener = |name: &str, address: &str, protocol: &str, connections| ListenerStatus {
        name: name.into(),
        address: address.into(),
        protocol: protocol.into(),
        connections,
        connections_max: 50_000,
    };
    vec![
        listener("web", "0.0.0.0:80", "http", 1_020),
        listener("web-tls", "0.0.0.0:443", "https", 7_100),
        listener("mail", "0.0.0.0:993", "tls", 3),
    ]
}

/// One that drains, one that is down, one that is ejected, one that comes back slowly.
fn upstreams() -> Vec<UpstreamStatus> {
    let mut down = endpoint("10.0.0.13:8080", 0);
    down.health = EndpointHealth::Down;
    down.since_ms = NOW - 192_000;
    down.reason = "health check got 500 three times (want 200)".into();
    let mut drained = endpoint("10.0.1.2:9000", 6);
    drained.overridden = Some(EndpointOverride {
        mode: OverrideMode::Drain,
        weight: None,
        owner: "ben".into(),
        reason: "kernel update".into(),
        since_ms: NOW - 40_000,
        deadline_ms: Some(NOW + 252_000),
        expires_ms: Some(NOW + 7_160_000),
    });
    let mut ejected = endpoint("10.0.2.1:8080", 0);
    ejected.reason = "5 failures in a row: connection reset by 10.0.2.1:8080".into();
    ejected.ejected_until_ms = Some(NOW + 62_000);
    ejected.zone = Some("eu-1b".into());
    let mut warming = endpoint("10.0.2.2:8080", 3);
    warming.share_percent = Some(40);
    (warming.weight, warming.configured_weight) = (4, 10);
    (warming.origin, warming.priority) = ("dns".into(), 1);
    let upstream = |name: &str, usable, endpoints| UpstreamStatus {
        name: name.into(),
        balance: "least-request".into(),
        usable,
        endpoints,
        ..UpstreamStatus::default()
    };
    vec![
        upstream("catalog", 1, vec![endpoint("10.0.1.1:9000", 6), drained]),
        upstream("shop", 2, vec![endpoint("10.0.0.11:8080", 19), endpoint("10.0.0.12:8080", 25), down]),
        UpstreamStatus {
            balance: "peak-ewma".into(),
            queued: 12,
            requests: 64,
            queue_timeouts: 7,
            hedges: 31,
            breaker_open: true,
            requests_max: Some(64),
            trouble: Some("breaker open for 3 s more: 20 failures in a row".into()),
            discovery: Some("dns next.shop.internal: 2 addresses, asked again in 24 s".into()),
            ..upstream("shop-next", 1, vec![ejected, warming])
        },
    ]
}

pub(crate) fn status() -> StatusReply {
    StatusReply {
        version: "0.1.0".into(),
        instance: "edge-1".into(),
        pid: 4242,
        started_ms: NOW - 1_040_400_000,
        now_ms: NOW,
        workers: 2,
        revision: revision(212),
        store: StoreStatus { health: StoreHealth::Ok, message: "212 revisions, last fsync 14:02".into() },
        connections: 8_120,
        connections_max: 50_000,
        listeners: listeners(),
        upstreams: upstreams(),
        logs: Vec::new(),
        canaries: vec![CanaryStatus {
            route: "shop-web".into(),
            upstream: "shop-next".into(),
            percent: 25,
            step: Some(1),
            state: "moving".into(),
            reason: "step 2 of 4, next in 6 m; 0.4 % errors, 48 ms mean, 1,204 requests".into(),
            since_ms: NOW - 240_000,
        }],
        role: "admin".into(),
        draining: false,
    }
}

fn rates(requests: u64, server_errors: u64, p50_us: u64, p99_us: u64) -> Rates {
    Rates {
        requests,
        server_errors,
        p50_us,
        p99_us,
        in_flight: requests / 60,
        bytes_in: requests * 1_500,
        bytes_out: requests * 14_200,
        ..Rates::default()
    }
}

/// One of sixty seconds; traffic swells, and errors come once.
pub(crate) fn frame(second: u64) -> Frame {
    let swell = [0, 120, 260, 410, 520, 560, 520, 410, 260, 120][usize::try_from(second % 10).unwrap()];
    let requests = 2_900 + swell;
    let errors = if (30..34).contains(&second) { 90 } else { 14 };
    let mut acme = rates(131, 0, 3_000, 20_000);
    acme.refused = 31;
    let mut total = rates(requests, errors, 4_000, 61_000);
    total.refused = 31;
    Frame {
        time_ms: NOW - 60_000 + i64::try_from(second).unwrap() * 1_000,
        sequence: second,
        connections: 8_120,
        total,
        latency: LatencyHistogram {
            upper_us: vec![1_000, 5_000, 50_000, 500_000, 5_000_000],
            counts: vec![900 + swell, 1_200, 700, 80, if (30..34).contains(&second) { 30 } else { 0 }],
        },
        routes: [
            ("orders", rates(1_204, 1, 6_000, 61_000)),
            ("order-page", rates(611, 43, 18_000, 88_000)),
            ("site", rates(1_080, 0, 1_000, 4_000)),
        ]
        .map(|(name, rates)| (name.to_owned(), rates))
        .into(),
        endpoints: [
            ("shop/10.0.0.11:8080", rates(1_150, 1, 5_000, 40_000)),
            ("shop/10.0.0.12:8080", rates(1_160, 13, 6_000, 90_000)),
        ]
        .map(|(name, rates)| (name.to_owned(), rates))
        .into(),
        upstreams: [("shop", rates(2_310, 14, 5_000, 88_000)), ("catalog", rates(402, 0, 2_000, 9_000))]
            .map(|(name, rates)| (name.to_owned(), rates))
            .into(),
        consumers: [("acme", acme), ("alice", rates(97, 0, 4_000, 22_000))]
            .map(|(name, rates)| (name.to_owned(), rates))
            .into(),
        memory_bytes: 96 << 20,
        worker_cpu_percent: vec![41.0, 44.0],
    }
}

pub(crate) fn exchange(number: u64) -> ExchangeRecord {
    let failed = number.is_multiple_of(7);
    let limited = number.is_multiple_of(5) && !failed;
    let status = if failed {
        502
    } else if limited {
        429
    } else {
        200
    };
    ExchangeRecord {
        id: format!("0192f3a{number:04x}c7"),
        time_ms: NOW - 20_000 + i64::try_from(number).unwrap() * 311,
        client: "198.51.100.7:50412".into(),
        listener: "web-tls".into(),
        protocol: "HTTP/2".into(),
        method: if number.is_multiple_of(3) { "POST" } else { "GET" }.into(),
        host: "api.example.com".into(),
        path: format!("/pages/order/{}", 700 + number),
        status,
        duration_us: if failed { 1_004_000 } else { 4_100 + number * 700 },
        bytes_in: 320,
        bytes_out: 14_208,
        route: Some("order-page".into()),
        upstream: (!limited).then(|| "shop".into()),
        endpoint: (!limited).then(|| "10.0.0.12:8080".into()),
        consumer: Some(if limited { "acme" } else { "alice" }.into()),
        attempts: u32::from(!limited),
        fault: match status {
            502 => Some("endpoint-closed".into()),
            429 => Some("limit-exceeded".into()),
            _ => None,
        },
        verdict: match status {
            502 => {
                "502: endpoint 10.0.0.12:8080 accepted the request and closed the connection after 1.0 s without a \
                    byte of reply. It was not tried again: POST may have been processed."
            }
            429 => "429: consumer acme is over gold-limit (100/s, burst 200); it may try again in 1 s.",
            _ => "200: answered by endpoint 10.0.0.12:8080.",
        }
        .into(),
        timeline: [("route", 10), ("keys", 20), ("limit", 10), ("connect", 0), ("wait", 1_003_800), ("reply", 160)]
            .map(|(stage, micros)| TimelineStep { stage: stage.into(), micros })
            .into(),
        why: vec![
            "route order-page: template /pages/order/{id} is longer than prefix / of site".into(),
            "policies: partner-key found alice; gold-limit has 41 of 200 left".into(),
            "balance least-request: 10.0.0.12:8080 (3 in flight) over 10.0.0.11:8080 (5 in flight)".into(),
        ],
        ..ExchangeRecord::default()
    }
}

fn upstream_objects() -> serde_json::Value {
    json!({
        "catalog": { "endpoints": [{ "address": "10.0.1.1:9000" }, { "address": "10.0.1.2:9000" }] },
        "shop": {
            "endpoints": [
                { "address": "10.0.0.11:8080" }, { "address": "10.0.0.12:8080", "weight": 2 },
                { "address": "10.0.0.13:8080", "backup": true },
            ],
            "health": { "http": { "path": "/healthz", "expect": [200] }, "interval": "2s" },
            "retry": { "attempts": 1, "on": ["connect", "503"], "budget": "20%" },
        },
        "shop-next": {
            "balance": "peak-ewma",
            "discovery": { "dns": "next.shop.internal:8080" },
            "sticky": { "cookie": { "name": "route", "path": "/" } },
            "outlier": { "consecutive_failures": 5, "eject": "30s" },
            "limits": { "queue": 50, "queue_timeout": "500ms", "adaptive": { "least": 10, "most": 64 } },
            "breaker": {},
            "protocol": "h2", "tls": { "server_name": "shop.internal" },
        },
    })
}

fn route_objects() -> serde_json::Value {
    json!({
        "orders": {
            "match": { "hosts": ["api.example.com"], "path": "/orders", "methods": ["GET", "POST"] },
            "upstream": "shop",
            "policies": ["gold-limit", { "request_headers": { "set": { "X-Edge": "weirgate" } } }, "partner-key"],
            "max_body": "8MiB",
        },
        "order-page": {
            "match": {
                "path": { "template": "/pages/order/{id}" },
                "headers": { "X-Beta": { "present": true } },
            },
            "upstream": "shop",
            "policies": ["partner-key"],
        },
        "shop-web": {
            "match": { "path": "/shop" },
            "split": [{ "upstream": "shop", "weight": 95 }, { "upstream": "shop-next", "weight": 5 }],
            "split_by": { "cookie": "session" },
            "testers": "X-Side",
            "canary": {
                "upstream": "shop-next", "steps": ["5%", "25%", "50%", "100%"], "every": "10m",
                "errors_max": "1%", "latency_max": "300ms", "requests": 500,
            },
            "mirror": { "upstream": "catalog", "share": "10%" },
            "urgency": 1,
        },
        "site": { "upstream": "catalog" },
    })
}

pub(crate) fn objects(kind: Kind) -> ObjectList {
    let objects = match kind {
        Kind::Listener => json!({
            "web": { "address": "0.0.0.0:80", "protocol": "http" },
            "web-tls": { "address": "0.0.0.0:443", "protocol": "https", "certificates": ["site"] },
            "mail": {
                "address": "0.0.0.0:993", "protocol": "tls", "upstream": "catalog",
                "sni": { "*.shop.example.com": "shop-next", "mail.example.com": "shop" },
                "alpn": { "h2": "shop" },
                "trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": true,
                "timeouts": { "handshake": "10s", "tunnel": "30m" },
            },
        }),
        Kind::Certificate => json!({
            "site": {
                "chain": "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----\n",
                "key": "stored:4be1f0aa93d27c55",
            },
        }),
        Kind::Upstream => upstream_objects(),
        Kind::Policy => json!({
            "partner-key": { "api_key": { "header": "X-Api-Key" } },
            "gold-limit": { "rate_limit": { "per": "consumer", "rate": "100/s", "burst": 200 } },
        }),
        Kind::Route => route_objects(),
        Kind::Consumer => json!({
            "acme": { "groups": ["gold"], "urgency": 1, "api_keys": [{ "hash": "00", "prefix": "acme" }] },
            "alice": { "groups": ["gold", "staff"] },
        }),
        Kind::Log => json!({
            "access": { "to": { "file": { "path": "/var/log/weirgate/access.log" } }, "sample": "10%" },
        }),
    };
    let objects = objects.as_object().unwrap().clone();
    let listed = objects.into_iter().map(|(name, object)| ListedObject { name, object });
    ObjectList { kind, revision: 212, objects: listed.collect() }
}

/// An hour of one consumer, busier from minute to minute, on two routes.
pub(crate) fn usage(consumer: &str) -> UsageReply {
    let row = |route: &str, requests: u64| UsageRow {
        consumer: consumer.into(),
        route: route.into(),
        requests,
        refused: requests / 10,
        bytes_in: requests * 300,
        bytes_out: requests * 2_000,
        micros: requests * 4_000,
        ..UsageRow::default()
    };
    let point = |minute: i64| UsagePoint {
        start_ms: NOW - NOW % 60_000 - (59 - minute) * 60_000,
        rows: vec![row("orders", minute.unsigned_abs() * 10), row("site", 5)],
    };
    UsageReply { step_s: 60, from_ms: NOW - 3_600_000, to_ms: NOW, points: (30..60).map(point).collect() }
}

/// Three clients of catalog, one of them for long, and one of shop.
pub(crate) fn connections() -> Vec<ConnectionInfo> {
    let connection = |id, protocol: &str, client: &str, endpoint: &str, age_ms| ConnectionInfo {
        id,
        listener: "web-tls".into(),
        protocol: protocol.into(),
        client: client.into(),
        upstream: (!endpoint.is_empty())
            .then(|| if endpoint.starts_with("10.0.1") { "catalog" } else { "shop" }.into()),
        endpoint: (!endpoint.is_empty()).then(|| endpoint.into()),
        since_ms: NOW - age_ms,
        bytes_in: id * 1_204,
        bytes_out: id * 88_112,
    };
    vec![
        connection(7, "tls", "198.51.100.9:50999", "10.0.1.2:9000", 12_000),
        connection(3, "websocket", "198.51.100.7:50412", "10.0.1.2:9000", 1_865_000),
        connection(12, "tcp", "[2001:db8::17]:41772", "10.0.1.1:9000", 92_000),
        connection(15, "http/1.1", "203.0.113.4:61022", "", 4_000),
        connection(19, "websocket", "203.0.113.5:50100", "10.0.0.11:8080", 700_000),
    ]
}

/// What happened to the endpoints of shop.
pub(crate) fn timeline() -> Vec<HealthEvent> {
    let event = |ago_ms, address: &str, health, reason: &str| HealthEvent {
        time_ms: NOW - ago_ms,
        upstream: "shop".into(),
        address: address.into(),
        health,
        reason: reason.into(),
    };
    vec![
        event(
            93_600_000,
            "10.0.0.11:8080",
            EndpointHealth::Up,
            "first health check passed: GET /healthz got 200 in 2 ms",
        ),
        event(
            7_200_000,
            "10.0.0.12:8080",
            EndpointHealth::Down,
            "ejected for 30 s: 5 failures in a row, connection reset",
        ),
        event(7_170_000, "10.0.0.12:8080", EndpointHealth::Up, "ejection over"),
        event(192_000, "10.0.0.13:8080", EndpointHealth::Down, "health check got 500 three times (want 200)"),
    ]
}

pub(crate) fn keys(consumer: &str) -> KeyList {
    let key = |id: &str, comment: &str, declared| KeyInfo {
        id: id.into(),
        consumer: consumer.into(),
        prefix: "wg_7f3a".into(),
        created_ms: NOW - 9_000_000_000,
        expires_ms: None,
        comment: comment.into(),
        declared,
    };
    KeyList {
        truncated: false,
        keys: vec![key("9c1185a5c5e9fc54", "mobile app", false), key("27d4eb2f165667c5", "", true)],
    }
}

pub(crate) fn checked() -> Checked {
    Checked {
        problems: Vec::new(),
        warnings: vec![Problem {
            code: ProblemCode::Conflict,
            path: "routes.site".into(),
            message: "no longer gets /orders: route orders is longer".into(),
            help: None,
            line: None,
            column: None,
        }],
        diff: vec![DiffEntry {
            kind: Kind::Route,
            name: "orders".into(),
            change: DiffKind::Changed,
            fields: vec!["upstream".into()],
        }],
        diff_text: "@@ routes.orders @@\n [routes.orders]\n-upstream = \"shop\"\n+upstream = \"catalog\"\n policies = [\"partner-key\", \"gold-limit\"]\n".into(),
        effects: Effects { routes_changed: 1, ..Effects::default() },
    }
}

pub(crate) fn problem(path: &str, message: &str) -> Problem {
    Problem {
        code: ProblemCode::Dangling,
        path: path.into(),
        message: message.into(),
        help: Some("did you mean \"catalog\"?".into()),
        line: None,
        column: None,
    }
}

pub(crate) fn explained() -> ExplainReply {
    let step = |stage: &str, decision: &str, details: &[&str]| ExplainStep {
        stage: stage.into(),
        decision: decision.into(),
        details: details.iter().map(|&detail| detail.into()).collect(),
    };
    ExplainReply {
        revision: 212,
        steps: vec![
            step("route", "order-page: template /pages/order/{id}", &["runner-up site: prefix / is shorter"]),
            step("policies", "partner-key refuses it: no key was sent", &["header X-Api-Key is absent"]),
        ],
        verdict: "It would be refused with 401 by partner-key.".into(),
        status: Some(401),
        route: Some("order-page".into()),
        upstream: None,
    }
}

/// A console that has just been started.
pub(crate) fn fresh(theme: Theme) -> App {
    App::new(theme, jiff::tz::TimeZone::UTC, false, NOW)
}

pub(crate) fn answer(app: &mut App, ask: Ask, answer: Answer) {
    update(app, Event::Answered { ask, outcome: Ok(answer) });
}

/// A console that is connected and has seen a minute of traffic.
pub(crate) fn app(theme: Theme) -> App {
    let mut app = fresh(theme);
    update(&mut app, Event::Connected);
    answer(&mut app, Ask::Status, Answer::Status(Box::new(status())));
    for kind in Kind::ALL {
        answer(&mut app, Ask::List(kind), Answer::List(objects(kind)));
    }
    let revisions = (200..=212).rev().map(revision).collect();
    answer(&mut app, Ask::Revisions, Answer::Revisions(RevisionList { running: 212, revisions }));
    for second in 0..60 {
        update(&mut app, Event::Stream(Box::new(wire_event(frame(second)))));
    }
    for number in 0..60 {
        update(&mut app, Event::Stream(Box::new(weirgate_store::wire::Event::Exchange(exchange(number)))));
    }
    update(
        &mut app,
        Event::Stream(Box::new(weirgate_store::wire::Event::Health(HealthEvent {
            time_ms: NOW - 192_000,
            upstream: "shop".into(),
            address: "10.0.0.13:8080".into(),
            health: EndpointHealth::Down,
            reason: "health check got 500 three times (want 200)".into(),
        }))),
    );
    app
}

fn wire_event(frame: Frame) -> weirgate_store::wire::Event {
    weirgate_store::wire::Event::Traffic(frame)
}
