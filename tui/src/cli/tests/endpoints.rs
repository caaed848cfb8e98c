// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs about what happens now: endpoints set aside and awaited, leases, timelines, connections, canaries, and the
//! status that shows them.

use serde_json::{Value, json};

use super::{check, endpoint, status};

/// A status with everything in it that may be there, of one endpoint with `in_flight` requests.
fn busy(in_flight: u32) -> Value {
    let mut one = endpoint("10.0.0.12:8080", "up");
    one["in_flight"] = json!(in_flight);
    one["override"] = json!({"mode": "drain", "owner": "ben", "reason": "kernel update", "since_ms": 1_795_528_885_204_i64,
        "expires_ms": 1_795_532_485_204_i64, "deadline_ms": 1_795_529_215_204_i64});
    let mut two = endpoint("10.0.0.13:8080", "up");
    two["ejected_until_ms"] = json!(1_795_528_937_204_i64);
    two["origin"] = json!("dns");
    two["priority"] = json!(1);
    let mut three = endpoint("10.0.0.14:8080", "up");
    (three["share_percent"], three["latency_us"], three["zone"]) = (json!(40), json!(4210), json!("a"));
    let mut status = status();
    status["upstreams"] = json!([
        {"name": "shop", "balance": "peak-ewma", "usable": 1, "queued": 12, "requests_max": 64,
         "trouble": "the breaker is open for 4 s more: 20 failures in a row",
         "discovery": "4 addresses from DNS, TTL 30 s, asked 12 s ago", "endpoints": [one, two, three]},
        {"name": "empty", "balance": "least-request", "usable": 0, "queued": 0, "endpoints": [],
         "discovery": "DNS has no answer for x.test: SERVFAIL; tried 2 s ago"}]);
    status["canaries"] = json!([{"route": "orders", "upstream": "shop-v2", "percent": 25, "step": 2, "state": "moving",
        "reason": "no guard was touched", "since_ms": 1_795_528_865_204_i64}]);
    status
}

fn connections() -> Value {
    let one = |id: u64, since_ms: i64| {
        json!({"id": id, "listener": "web", "protocol": "websocket", "client": "10.1.1.1:50000", "upstream": "shop",
               "endpoint": "10.0.0.12:8080", "since_ms": since_ms, "bytes_in": 1536, "bytes_out": 96})
    };
    json!([one(7, 1_795_528_733_204), one(8, 1_795_528_925_204)])
}

#[tokio::test]
async fn status_tells_everything_there_is_to_tell() {
    let rows = [("GET /v1/status", 200, busy(3))];
    let (outcome, _) = check(&rows, &["status"]).await;
    insta::assert_snapshot!(outcome.all());
    let (outcome, _) = check(&rows, &["status", "empty"]).await;
    assert_eq!(
        outcome.out.lines().skip(1).collect::<Vec<_>>(),
        ["empty (0/0)  no endpoint", "", "empty: DNS has no answer for x.test: SERVFAIL; tried 2 s ago"]
    );
    let (outcome, _) = check(&rows, &["status", "emtpy"]).await;
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("did you mean \"empty\"?"), "{}", outcome.err);
    let (outcome, _) = check(&rows, &["status", "shop", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&outcome.out).unwrap()["requests_max"], 64);
}

#[tokio::test]
async fn times_are_sent_in_seconds_and_the_rest_of_an_override_stays() {
    let rows = [("GET /v1/status", 200, busy(3)), ("PUT ", 200, endpoint("10.0.0.12:8080", "up"))];
    for (words, want) in [
        (
            &["drain", "shop", "10.0.0.12", "--deadline", "5m", "--expires", "1h", "--reason", "disk"][..],
            r#"{"mode":"drain","reason":"disk","expires_s":3600,"deadline_s":300}"#,
        ),
        (&["drain", "shop", "10.0.0.12"], r#"{"mode":"drain","reason":""}"#),
        (&["drain", "shop", "10.0.0.12", "--deadline", "0s"], r#"{"mode":"drain","reason":"","deadline_s":0}"#),
        (&["maint", "shop", "10.0.0.12", "--expires", "90m"], r#"{"mode":"maint","reason":"","expires_s":5400}"#),
        (&["ready", "shop", "10.0.0.12"], r#"{"mode":"ready","reason":""}"#),
        (
            &["weight", "shop", "10.0.0.12", "2"],
            r#"{"mode":"drain","weight":2,"reason":"","expires_s":3560,"deadline_s":290}"#,
        ),
        (
            &["weight", "shop", "10.0.0.14", "2", "--expires", "10s"],
            r#"{"mode":"ready","weight":2,"reason":"","expires_s":10}"#,
        ),
    ] {
        let (outcome, asked) = check(&rows, words).await;
        assert_eq!(outcome.code, 0, "row {words:?}: {}", outcome.err);
        assert!(asked[1].ends_with(&format!("/override {want}")), "row {words:?}: {}", asked[1]);
    }
    let (outcome, asked) = check(&rows, &["drain", "shop", "10.0.0.12", "--expires", "500ms"]).await;
    assert_eq!((outcome.code, asked.len()), (2, 1), "{}", outcome.err);
}

#[tokio::test]
async fn a_drain_is_awaited() {
    let put = || ("PUT ", 200, endpoint("10.0.0.12:8080", "up"));
    let words = ["drain", "shop", "10.0.0.12", "--wait"];
    let (outcome, _) = check(&[("GET /v1/status", 200, busy(0)), put()], &words).await;
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(outcome.out.ends_with("✓ shop 10.0.0.12:8080: nothing is in flight\n"), "{}", outcome.out);
    // Nobody drains the endpoint of this status, so the wait ends with that.
    let (outcome, asked) = check(&[("GET /v1/status", 200, status()), put()], &words).await;
    assert_eq!((outcome.code, asked.len()), (1, 3));
    assert!(outcome.err.contains("is not drained any more"), "{}", outcome.err);
}

#[tokio::test]
async fn what_is_left_of_a_drain_is_told() {
    let rows = [("GET /v1/connections?upstream=shop", 200, connections())];
    let fake = crate::fake::Fake::start(&rows.map(|(start, status, body)| (start, status, body.to_string())));
    let mut out = Vec::new();
    let terminal = super::Terminal {
        client: fake.client(),
        json: false,
        live: false,
        zone: super::TimeZone::UTC,
        out: Box::new(&mut out),
        err: Box::new(std::io::sink()),
    };
    let one = serde_json::from_value(busy(3)["upstreams"][0]["endpoints"][0].clone()).unwrap();
    let left = crate::cli::drain::left(&terminal, "shop", &one, 1_795_528_925_204).await;
    assert_eq!(left, "3 in flight, 3 connections, the oldest client since 3 m 12 s, cut in 4 m 50 s");
}

#[tokio::test]
async fn leases_are_taken_and_given_back() {
    let rows = [("PUT ", 200, endpoint("10.0.0.15:8080", "up")), ("DELETE ", 200, json!(""))];
    let (outcome, asked) =
        check(&rows, &["lease", "live", "10.0.0.15:8080", "--ttl", "15s", "--weight", "3", "--zone", "a"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "live 10.0.0.15:8080  ✓ up  weight 1  in flight 3\n"));
    assert_eq!(asked, [r#"PUT /v1/upstreams/live/endpoints/10.0.0.15:8080/lease {"ttl_s":15,"weight":3,"zone":"a"}"#]);
    let (outcome, asked) = check(&rows, &["lease", "live", "10.0.0.15:8080", "--remove"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "✓ 10.0.0.15:8080 is taken from live\n"), "{}", outcome.err);
    assert_eq!(asked, ["DELETE /v1/upstreams/live/endpoints/10.0.0.15:8080/lease"]);
}

#[tokio::test]
async fn the_timeline_is_newest_first() {
    let event = |time_ms: i64, address: &str, health: &str| json!({"time_ms": time_ms, "upstream": "shop", "address": address, "health": health, "reason": "got 500 (want 200)"});
    let events =
        json!([event(1_795_528_733_204, "10.0.0.12:8080", "down"), event(1_795_528_925_204, "10.0.0.13:8080", "up")]);
    let rows = [("GET /v1/upstreams/shop/timeline", 200, events)];
    let (outcome, _) = check(&rows, &["timeline", "shop"]).await;
    insta::assert_snapshot!("timeline", outcome.all());
    let (outcome, _) = check(&rows, &["timeline", "shop", "10.0.0.12", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&outcome.out).unwrap().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn connections_are_listed_and_ended() {
    let rows = [("GET /v1/connections", 200, connections()), ("DELETE /v1/connections/7", 200, json!(""))];
    let (outcome, asked) = check(&rows, &["connections", "--listener", "a b", "--upstream", "shop", "-n", "5"]).await;
    assert_eq!(asked, ["GET /v1/connections?limit=5&listener=a%20b&upstream=shop"]);
    insta::assert_snapshot!("connections", outcome.all());
    let (outcome, _) = check(&rows, &["connections", "kill", "7"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "✓ connection 7 is ended\n"), "{}", outcome.err);
    let (outcome, _) = check(&rows, &["connections", "kill", "9"]).await;
    assert_eq!(outcome.code, 1);
}

#[tokio::test]
async fn a_canary_is_told_what_to_do() {
    let after = busy(0)["canaries"][0].clone();
    for verb in ["start", "stop", "resume", "back"] {
        let rows = [("POST /v1/routes/orders/canary", 200, after.clone())];
        let (outcome, asked) = check(&rows, &["canary", "orders", verb]).await;
        assert_eq!(asked, [format!(r#"POST /v1/routes/orders/canary {{"verb":"{verb}"}}"#)]);
        assert_eq!(outcome.out, "orders → shop-v2  → moving  25 %  no guard was touched\n", "{}", outcome.err);
    }
}
