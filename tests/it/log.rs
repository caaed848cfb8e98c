// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record end to end: lines in files, spans at a collector, what is remembered of single exchanges, and what
//! consumers used.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::client::get;
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

const KEY: &str = "alice-secret-0123456789abcdef";

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
}

fn file_log(name: &str, path: &Path, settings: &str) -> String {
    format!("[logs.{name}]\nto = {{ file = {{ path = \"{}\" }} }}\n{settings}\n", path.display())
}

#[test]
fn each_exchange_is_a_line_and_no_secret_is_in_one() {
    let (origin, dir) = (Origin::plain(), tempfile::tempdir().expect("a directory"));
    let path = dir.path().join("access.log");
    let fields = "fields = [\"time\", \"id\", \"path\", \"status\", \"route\", \"endpoint\", \"header:Authorization\", \
                  \"header:X-Tenant\", \"fault\"]";
    let gateway =
        Running::start(&format!("{}{}", to_endpoints(&[origin.address()]), file_log("access", &path, fields)));
    gateway
        .ask("GET /a?token=s3cr3t&page=2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cr3t\r\nX-Tenant: \"x\r\n\r\n");
    gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    wait_until("two lines are written", || lines(&path).len() == 2);
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(!text.contains("s3cr3t"), "{text}");
    let mut read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Each worker hands over when it does.
    read.sort_by_key(|line| line["status"].as_u64());
    assert_eq!((&read[0]["path"], &read[0]["status"]), (&"/a?token=***&page=2".into(), &200.into()));
    assert_eq!((&read[0]["header:X-Tenant"], &read[0]["header:Authorization"]), (&"\"x".into(), &"***".into()));
    assert_eq!((&read[0]["route"], &read[0]["endpoint"]), (&"all".into(), &origin.address().to_string().into()));
    assert_eq!(read[0]["id"], origin.field("x-request-id")[0], "the id that the endpoint was told");
    assert_eq!((&read[1]["status"], read[1]["route"].is_null()), (&400.into(), true));
    assert!(read[1]["fault"].is_string(), "{}", read[1]);
}

#[test]
fn a_log_takes_its_share_and_every_failure() {
    let (origin, dir) = (Origin::plain(), tempfile::tempdir().expect("a directory"));
    let (few, bad) = (dir.path().join("few"), dir.path().join("bad"));
    let config = format!(
        "{WEB}{}{}[routes.all]\nupstream = \"shop\"\n[routes.down]\nmatch = {{ path = \"/down\" }}\nupstream = \"gone\"\n\
         {}{}",
        upstream("shop", &[origin.address()]),
        upstream("gone", &[Origin::absent()]),
        file_log("few", &few, "format = { template = \"{path} {status}\" }\nsample = \"0%\"\nslow = \"1h\""),
        file_log("bad", &bad, "format = \"logfmt\"\nfields = [\"status\"]\nonly = { status = [\"5xx\"] }"),
    );
    let gateway = Running::start(&config);
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(gateway.get("/down").status, 502);
    wait_until("both logs have their line", || !lines(&few).is_empty() && !lines(&bad).is_empty());
    // A drain ends the workers, and each hands over what it still holds.
    gateway.begin_drain(std::time::Duration::ZERO);
    wait_until("the writers got everything", || {
        gateway.gateway.writers.statuses().iter().all(|status| status.written == 1)
    });
    assert_eq!((lines(&few), lines(&bad)), (vec!["/down 502".to_owned()], vec!["status=502".to_owned()]));
}

#[test]
fn a_log_may_come_and_go_while_requests_pass() {
    let (origin, dir) = (Origin::plain(), tempfile::tempdir().expect("a directory"));
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let base = to_endpoints(&[origin.address()]);
    let template = "format = { template = \"{path}\" }";
    let gateway = Running::start(&format!("{base}{}", file_log("a", &one, template)));
    gateway.get("/first");
    gateway.apply(&format!("{base}{}", file_log("a", &other, template)));
    gateway.get("/second");
    wait_until("both files are written", || !lines(&one).is_empty() && !lines(&other).is_empty());
    assert_eq!((lines(&one), lines(&other)), (vec!["/first".to_owned()], vec!["/second".to_owned()]));
    let refused = gateway.refused(&format!("{base}{}", file_log("a", Path::new("/no/such/place/a"), "")));
    assert_eq!(refused.first().map(|problem| problem.path.as_str()), Some("logs.a.to.file.path"));
}

/// A collector that keeps every span it is sent.
fn collector() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, spans) = (listener.local_addr().expect("it is bound"), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&spans);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut text, mut piece) = (Vec::new(), [0; 4096]);
            while !text.ends_with(b"]}") {
                match stream.read(&mut piece) {
                    Ok(count) if count > 0 => text.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let at = crate::support::find(&text, b"\r\n\r\n").map_or(0, |at| at + 4);
            let body: Value = serde_json::from_slice(&text[at..]).expect("JSON");
            let all = body["resourceSpans"].as_array().expect("spans").iter();
            let all = all.flat_map(|one| one["scopeSpans"][0]["spans"].as_array().expect("spans").clone());
            kept.lock().expect("no panic holds it").extend(all);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").expect("it is answered");
        }
    });
    (address, spans)
}

#[test]
fn a_trace_goes_on_through_the_gateway_to_the_collector() {
    let (origin, (address, spans)) = (Origin::plain(), collector());
    let config = format!(
        "{WEB}{}retry = {{ attempts = 2 }}\n[routes.all]\nupstream = \"shop\"\n\
         [logs.traces]\nto = {{ otlp = {{ url = \"http://{address}/v1/traces\", service = \"edge\" }} }}\n",
        upstream("shop", &[Origin::absent(), origin.address()])
    );
    let gateway = Running::start(&config);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    // Round robin on one worker: at least one of the two begins at the endpoint that is not there.
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.say(format!("GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: {parent}\r\n\r\n"));
        assert_eq!(client.reply().status, 200);
    }
    let of_exchanges =
        || -> Vec<Value> { spans.lock().expect("whole").iter().filter(|span| span["kind"] == 2).cloned().collect() };
    wait_until("both exchanges arrive", || of_exchanges().len() == 2);
    let all = spans.lock().expect("whole").clone();
    assert!(all.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{all:?}");
    assert!(of_exchanges().iter().all(|span| span["parentSpanId"] == "00f067aa0ba902b7"));
    let told = origin.field("traceparent");
    assert_eq!(told.len(), 1, "one, in place of that of the client");
    let is_told = |span: &Value| {
        told[0] == format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", span["spanId"].as_str().unwrap())
    };
    assert!(of_exchanges().iter().any(is_told), "{told:?}");
    let tries: Vec<_> = all.iter().filter(|span| span["kind"] == 3).collect();
    let failed: Vec<_> = tries.iter().filter(|span| span["status"]["code"] == 2).collect();
    assert!(!failed.is_empty() && tries.len() == failed.len() + 2, "{tries:?}");
    let of_one = |span: &&Value| of_exchanges().iter().any(|one| one["spanId"] == span["parentSpanId"]);
    assert_eq!(tries.iter().filter(|span| of_one(span)).count(), tries.len(), "each try belongs to its exchange");
}

#[test]
fn a_collector_that_is_down_costs_requests_nothing() {
    let origin = Origin::plain();
    let config = format!(
        "{}[logs.traces]\nto = {{ otlp = {{ url = \"http://{}/v1/traces\" }} }}\n",
        to_endpoints(&[origin.address()]),
        Origin::absent()
    );
    let gateway = Running::start(&config);
    let mut client = gateway.connect();
    for _ in 0..200 {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200);
    }
    wait_until("the trouble is told", || gateway.gateway.writers.statuses()[0].trouble.is_some());
}

#[test]
fn what_has_just_happened_is_remembered_with_its_tries() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.request() {
            if head.starts_with("GET /cut") {
                return;
            }
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    gateway.ask("GET /fine?key=s3cr3t HTTP/1.1\r\nHost: a\r\nCookie: a=s3cr3t\r\n\r\n");
    let id = origin.field("x-request-id").remove(0);
    let tap = &gateway.gateway.observer().tap;
    wait_until("it is remembered", || tap.find(&id).is_some());
    let fine = tap.find(&id).expect("it is there");
    assert_eq!((fine.status, fine.tries.len(), fine.request.len()), (200, 1, 0), "{fine:?}");
    assert_eq!((&fine.tries[0].endpoint, &fine.tries[0].fault), (&origin.address().to_string(), &None));
    assert!(fine.tries[0].micros.is_some_and(|micros| micros <= fine.duration_us), "{fine:?}");
    gateway.ask("POST /cut HTTP/1.1\r\nHost: a\r\nCookie: a=s3cr3t\r\nX-Tenant: x\r\nContent-Length: 2\r\n\r\nhi");
    gateway.get("/cut");
    let failed = gateway.failure("endpoint-closed");
    assert!(failed.tries.iter().all(|sent| sent.fault.is_some()) && !failed.tries.is_empty(), "{failed:?}");
    assert!(!format!("{:?}", gateway.failures()).contains("s3cr3t"));
    assert_eq!(tap.find(&failed.id).map(|record| record.id.clone()), Some(failed.id.clone()));
    assert!(!tap.take_unkept().is_empty() && tap.take_unkept().is_empty(), "each is kept once");
}

#[test]
fn what_consumers_use_is_counted_by_route() {
    let origin = Origin::plain();
    let config = format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ api_key = {{ header = \"X-Api-Key\" }} }}]\n\
         [routes.open]\nmatch = {{ path = \"/open\" }}\nupstream = \"shop\"\n\
         [consumers.alice]\napi_keys = [{{ secret = \"{KEY}\" }}]\n",
        upstream("shop", &[origin.address()])
    );
    let gateway = Running::start(&config);
    for _ in 0..3 {
        gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {KEY}\r\n\r\n"));
    }
    gateway.get("/open");
    let mut rows = Vec::new();
    wait_until("three requests are counted", || {
        rows.extend(gateway.gateway.observer().used.take());
        rows.iter().map(|row| row.requests).sum::<u64>() == 3
    });
    assert!(rows.iter().all(|row| (row.consumer.as_str(), row.route.as_str()) == ("alice", "all")), "{rows:?}");
    assert!(rows.iter().map(|row| row.bytes_out).sum::<u64>() > 0);
}
