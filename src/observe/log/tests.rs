// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of every format, which exchanges a log wants, and that nothing secret gets into one.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use weirgate_store::parse::parse_and_check;
use weirgate_store::wire::TryRecord;

use super::outbox::Outbox;
use super::queue::{BATCHES_MAX, Order, Queue};
use super::{Log, Severity};
use crate::exchange::{Fields, RequestId, Trace};
use crate::fault::Fault;
use crate::observe::record::{Finished, Part};
use crate::observe::{Meter, Stage, Timings};

const WALL_MS: i64 = 1_796_069_210_123;

/// What differs between the exchanges of a test.
#[derive(Clone, Default)]
struct Given {
    status: u16,
    micros: u64,
    id: u128,
    target: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    fault: Option<Fault>,
    trace: Option<Trace>,
    tries: Vec<TryRecord>,
}

fn given() -> Given {
    Given { status: 200, micros: 12_345, id: 0xabc, target: "/orders/7?page=2", ..Given::default() }
}

fn log(settings: &str) -> Log {
    let text = format!("[logs.a]\n{settings}\n");
    let (model, _) = parse_and_check(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    Log::new("a", &model.logs["a"], Queue::new("a").0).expect("it is right")
}

fn with<R>(given: &Given, use_it: impl FnOnce(&Finished<'_>) -> R) -> R {
    let (meter, mut timings, mut fields) = (Meter::new(1), Timings::default(), Fields::new());
    timings.add(Stage::Wait, 10_000);
    given.fields.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
    use_it(&Finished {
        id: RequestId(given.id),
        trace: given.trace,
        second: 1,
        client: IpAddr::from([192, 0, 2, 7]),
        listener: "web",
        protocol: "HTTP/1.1",
        scheme: "https",
        fields: Some(&fields),
        method: b"GET",
        host: b"api.example.com",
        target: given.target.as_bytes(),
        status: given.status,
        bytes_in: 0,
        bytes_out: 1_204,
        micros: given.micros,
        timings: &timings,
        route: Some(Part { name: "orders", meter: &meter }),
        upstream: Some(Part { name: "shop", meter: &meter }),
        endpoint: None,
        consumer: None,
        side: None,
        attempts: 1,
        fault: given.fault.as_ref(),
        version: "",
        logs: &[],
        tries: &|| given.tries.clone(),
        why: &Vec::new,
    })
}

fn line(settings: &str, given: &Given) -> String {
    let (log, mut out) = (log(settings), Vec::new());
    with(given, |finished| log.write(&mut out, finished, WALL_MS));
    let text = String::from_utf8(out).expect("a line is UTF-8");
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line feed: {text:?}"));
    assert!(!line.contains('\n'), "one line: {line:?}");
    line.to_owned()
}

#[test]
fn json_is_an_object_of_chosen_fields() {
    let whole: Value = serde_json::from_str(&line("to = \"stdout\"", &given())).expect("it is JSON");
    let want = json!({
        "time": "2026-11-30T20:06:50.123Z", "id": "00000000000000000000000000000abc", "client": "192.0.2.7",
        "listener": "web", "protocol": "HTTP/1.1", "method": "GET", "host": "api.example.com",
        "path": "/orders/7?page=2", "status": 200, "duration_ms": 12.345, "bytes_in": 0, "bytes_out": 1204,
        "route": "orders", "upstream": "shop",
    });
    assert_eq!(whole, want);
    let chosen = line(
        "to = \"stdout\"\nfields = [\"wait_ms\", \"header:X-Tenant\", \"fault\", \"scheme\"]",
        &Given { fields: vec![("x-tenant", "a\"b\n")], ..given() },
    );
    assert_eq!(chosen, r#"{"wait_ms":10.000,"header:X-Tenant":"a\"b\n","scheme":"https"}"#);
}

#[test]
fn other_formats_say_the_same() {
    let agent = Given { fields: vec![("User-Agent", "curl/8 \"x\""), ("Referer", "http://a/")], ..given() };
    assert_eq!(
        line("to = \"stdout\"\nformat = \"combined\"", &agent),
        "192.0.2.7 - - [30/Nov/2026:20:06:50 +0000] \"GET /orders/7?page=2 HTTP/1.1\" 200 1204 \"http://a/\" \
         \"curl/8 \\\"x\\\"\""
    );
    assert_eq!(
        line("to = \"stdout\"\nformat = \"logfmt\"\nfields = [\"time\", \"status\", \"path\", \"user_agent\"]", &agent),
        "time=2026-11-30T20:06:50.123Z status=200 path=\"/orders/7?page=2\" user_agent=\"curl/8 \\\"x\\\"\""
    );
    let template = "to = \"stdout\"\nformat = { template = \"{{{status}}} {method} {path} {consumer} {duration_ms}\" }";
    assert_eq!(line(template, &given()), "{200} GET /orders/7?page=2 - 12.345");
}

#[test]
fn nothing_secret_gets_into_a_line() {
    let secrets = Given {
        target: "/a?api_key=s3cr3t&page=2&pin=s3cr3t&access%5Ftoken=s3cr3t",
        fields: vec![
            ("Authorization", "Bearer s3cr3t"),
            ("cookie", "id=s3cr3t"),
            ("X-Api-Key", "s3cr3t"),
            ("X-Pin", "s3cr3t"),
        ],
        ..given()
    };
    let fields = "[\"path\", \"header:Authorization\", \"header:Cookie\", \"header:x-api-key\", \"header:X-PIN\"]";
    for format in ["\"json\"", "\"logfmt\""] {
        let settings = format!("to = \"stdout\"\nformat = {format}\nfields = {fields}\nredact = [\"x-pin\", \"PIN\"]");
        let line = line(&settings, &secrets);
        assert!(!line.contains("s3cr3t"), "{line}");
        assert_eq!(line.matches("***").count(), 7, "{line}");
        assert!(line.contains("page=2"), "{line}");
    }
    let spans = line("to = { otlp = { url = \"http://c:1/\" } }\nredact = [\"pin\"]", &secrets);
    assert!(!spans.contains("s3cr3t") && spans.contains("page=2"), "{spans}");
}

#[test]
fn a_log_takes_what_it_is_for() {
    let slow = Given { micros: 2_000_000, ..given() };
    let failed = Given { status: 502, ..given() };
    let low = Given { id: 1, ..given() };
    let high = Given { id: u128::from(u64::MAX), ..given() };
    let rows: &[(&str, &Given, bool)] = &[
        ("", &low, true),
        ("sample = \"50%\"", &low, true),
        ("sample = \"50%\"", &high, false),
        ("sample = \"0%\"", &low, false),
        ("sample = \"0%\"", &slow, true),
        ("sample = \"0%\"\nslow = \"3s\"", &slow, false),
        ("sample = \"0%\"", &failed, true),
        ("only = { status = [\"5xx\"] }", &low, false),
        ("only = { status = [\"404\", \"200-299\"] }", &low, true),
        ("only = { status = [\"4xx\"] }", &failed, false),
    ];
    for (settings, given, want) in rows {
        let log = log(&format!("to = \"stdout\"\n{settings}"));
        assert_eq!(with(given, |finished| log.wants(finished, finished.is_failure())), *want, "row {settings}");
    }
    let text = "[listeners.web]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\n[logs.a]\nto = \"stdout\"\n\
        only = { listeners = [\"web\"] }\n";
    let (model, _) = parse_and_check(text).expect("it is right");
    let named = Log::new("a", &model.logs["a"], Queue::new("a").0).expect("it is right");
    assert!(with(&given(), |finished| named.wants(finished, false)));
    assert!(!with(&given(), |finished| named.wants(&Finished { listener: "other", ..*finished }, false)));
}

#[test]
fn a_span_is_what_a_collector_reads() {
    let sent = |endpoint: &str, began_us, fault: Option<&str>| TryRecord {
        endpoint: endpoint.to_owned(),
        began_us,
        micros: Some(1_000),
        fault: fault.map(str::to_owned),
    };
    let trace = Trace::of(0xabc, Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    let given = Given {
        status: 503,
        fault: Some(Fault::Draining),
        trace: Some(trace),
        tries: vec![sent("10.0.0.1:80", 1, Some("it \"broke\"")), sent("10.0.0.2:80", 1_001, None)],
        ..given()
    };
    let text = line("to = { otlp = { url = \"http://c:1/\", service = \"edge\" } }", &given);
    let whole: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(whole["resource"]["attributes"][0]["value"]["stringValue"], "edge");
    let spans = whole["scopeSpans"][0]["spans"].as_array().expect("spans");
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&spans[0]["parentSpanId"], &spans[0]["kind"]), (&json!("00f067aa0ba902b7"), &json!(2)));
    assert_eq!(spans[0]["status"]["code"], 2);
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
    assert_ne!(spans[1]["spanId"], spans[2]["spanId"]);
    let nanos = |span: &Value, key: &str| span[key].as_str().and_then(|text| text.parse::<u64>().ok()).expect("nanos");
    assert_eq!(nanos(&spans[0], "endTimeUnixNano") - nanos(&spans[0], "startTimeUnixNano"), 12_345_000);
    assert_eq!(nanos(&spans[2], "startTimeUnixNano") - nanos(&spans[0], "startTimeUnixNano"), 1_001_000);
    assert!(spans[2]["status"].is_null(), "{}", spans[2]);
    let attributes = spans[0]["attributes"].as_array().expect("attributes");
    let of = |key: &str| attributes.iter().find(|found| found["key"] == key).map(|found| found["value"].clone());
    assert_eq!(of("http.response.status_code"), Some(json!({ "intValue": "503" })));
    assert_eq!(of("url.query"), Some(json!({ "stringValue": "page=2" })));
    assert_eq!(of("error.type"), Some(json!({ "stringValue": Fault::Draining.facts().token })));
}

#[test]
fn lines_go_in_batches_and_what_does_not_fit_is_counted() {
    let (queue, orders) = Queue::new("a");
    let (model, _) =
        parse_and_check("[logs.a]\nto = \"stdout\"\nformat = { template = \"{status}\" }\n").expect("right");
    let logs = [Arc::new(Log::new("a", &model.logs["a"], Arc::clone(&queue)).expect("right"))];
    let outbox = Outbox::default();
    let failed = Given { status: 502, ..given() };
    for exchange in [&given(), &failed] {
        with(exchange, |finished| outbox.write(&logs, finished, finished.is_failure()));
    }
    assert!(orders.try_recv().is_err(), "they wait for more");
    outbox.flush();
    let Ok(Order::Lines(batch)) = orders.try_recv() else { panic!("no batch") };
    let lines: Vec<_> = batch.lines().map(|(line, severity)| (line.to_vec(), severity)).collect();
    assert_eq!(lines, [(b"200".to_vec(), Severity::Info), (b"502".to_vec(), Severity::Error)]);
    for _ in 0..BATCHES_MAX + 3 {
        with(&given(), |finished| outbox.write(&logs, finished, false));
        outbox.flush();
    }
    assert_eq!(queue.dropped(), 3);
    queue.close();
    assert!(queue.is_closed());
}
