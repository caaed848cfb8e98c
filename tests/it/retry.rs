// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that fail: what is tried again and where, what is never run twice, how load spreads, and how health
//! checks take an endpoint out and bring it back (hard cases 1, 3 and 5).

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// One upstream with this text behind its endpoints.
fn config(origins: &[std::net::SocketAddr], settings: &str) -> String {
    format!("{WEB}{}{settings}\n[routes.all]\nupstream = \"shop\"\n", upstream("shop", origins))
}

/// The stale race: the endpoint closes each connection right after its reply while 200 connections ask at once.
#[test]
fn a_close_between_two_requests_is_nobodys_failure() {
    let origin = Origin::closing(OK);
    let gateway = Running::before(&origin);
    let (web, bad) = (gateway.web(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let mut client = Client::to(web);
                for _ in 0..10 {
                    client.say(get("/"));
                    if client.reply().status != 200 {
                        bad.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let record = gateway.failures().first().map(|record| record.verdict.clone());
    assert_eq!(bad.into_inner(), 0, "of 2000 requests; the last said {record:?}");
}

/// The same with POST: a request may fail, but none reaches the endpoint twice.
#[test]
fn a_post_is_never_run_twice() {
    let seen = Arc::new(std::sync::Mutex::new(HashMap::<String, usize>::new()));
    let counted = Arc::clone(&seen);
    let origin = Origin::serving(move |peer| {
        if let Some(head) = peer.request() {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            *counted.lock().unwrap().entry(path).or_default() += 1;
            peer.say(OK);
        }
    });
    let gateway = Running::before(&origin);
    let (web, failed) = (gateway.web(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..50 {
            let failed = &failed;
            scope.spawn(move || {
                let mut client = Client::to(web);
                for n in 0..10 {
                    client.say(POST.replace("POST /", &format!("POST /{thread}-{n}")));
                    if client.reply().status != 200 {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let seen = seen.lock().unwrap();
    assert!(seen.values().all(|count| *count == 1), "run twice: {seen:?}");
    assert!(failed.into_inner() < 25, "a young connection is looked at before a POST is put on it");
}

#[test]
fn a_connection_that_fails_is_tried_elsewhere_whatever_the_method() {
    let good = Origin::plain();
    let gateway = Running::start(&config(
        &[Origin::absent(), good.address()],
        "balance = \"round-robin\"\nretry = { budget = \"100%\" }",
    ));
    for request in [&get("/"), POST] {
        for _ in 0..4 {
            assert_eq!(gateway.ask(request).status, 200);
        }
    }
    assert_eq!(good.bodies().iter().filter(|body| *body == b"hello").count(), 4, "the body is whole each time");
}

#[test]
fn nobody_there_is_a_502_that_says_so_to_the_operator_only() {
    let absent = Origin::absent();
    let gateway = Running::start(&config(&[absent], ""));
    let reply = gateway.get("/");
    assert_eq!(reply.status, 502);
    assert!(!reply.text().contains(&absent.port().to_string()), "{}", reply.text());
    let record = gateway.failure("connect-failed");
    assert!(record.verdict.contains(&absent.to_string()), "{}", record.verdict);
}

/// Rows: whether the first endpoint answers 503, closes, or resets; the method; and whether the second is asked.
#[test]
fn what_is_tried_again_after_it_was_sent() {
    type Serve = fn(&mut crate::support::origin::Accepted);
    let unavailable: Serve = |peer| {
        while peer.request().is_some() {
            peer.say("HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\nno");
        }
    };
    let closing: Serve = |peer| {
        peer.request();
    };
    let half: Serve = |peer| {
        if peer.request().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-");
        }
    };
    let put = POST.replace("POST", "PUT");
    let get = get("/");
    let all = "retry = { attempts = 2, on = [\"connect\", \"reset\", \"503\"] }";
    let rows: [(&str, Serve, &str, &str, u16); 9] = [
        ("503 to GET", unavailable, all, &get, 200),
        ("503 to POST", unavailable, all, POST, 503),
        ("503, not asked for", unavailable, "", &get, 503),
        ("a close, GET", closing, all, &get, 200),
        ("a close, POST", closing, all, POST, 502),
        ("a close, PUT whose body is gone", closing, all, &put, 502),
        ("a close, not asked for", closing, "retry = { attempts = 2, on = [\"connect\"] }", &get, 502),
        ("a close, no attempts", closing, "retry = { attempts = 0, on = [\"connect\", \"reset\"] }", &get, 502),
        ("half a head", half, all, &get, 502),
    ];
    for (row, serve, retry, request, status) in rows {
        let (bad, good) = (Origin::serving(serve), Origin::plain());
        // The good one has weight 0 in turn order only by being a backup: the bad one is always asked first.
        let gateway = Running::start(&format!(
            "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{}\" }}, {{ address = \"{}\", backup = true }}]\n{retry}\n\
             [routes.all]\nupstream = \"shop\"\n",
            bad.address(),
            good.address()
        ));
        let reply = gateway.ask(request);
        assert_eq!(reply.status, status, "row {row}: {}", reply.text());
        assert_eq!(bad.heads().len(), 1, "row {row}: the first was asked once");
        assert_eq!(good.heads().len(), usize::from(status == 200), "row {row}");
        if status == 502 {
            wait_until("it is recorded", || !gateway.failures().is_empty());
            let why = gateway.failures()[0].why.join("; ");
            assert!(why.contains("not tried again"), "row {row}: {why}");
        }
    }
}

#[test]
fn retries_stay_inside_their_budget() {
    let bad = || Origin::serving(|peer| _ = peer.request());
    let (one, two) = (bad(), bad());
    let settings = "retry = { attempts = 3, on = [\"reset\"], budget = \"20%\" }";
    let gateway = Running::start(&config(&[one.address(), two.address()], settings));
    for _ in 0..100 {
        assert_eq!(gateway.get("/").status, 502);
    }
    let sent = one.heads().len() + two.heads().len();
    // Each of two workers may retry 20 % of what it saw, and at least three times.
    assert!((100..=130).contains(&sent), "100 requests became {sent}");
}

/// Every balancer spreads requests over its endpoints, each in its own way.
#[test]
fn balancers_spread() {
    let rows =
        [("round-robin", [1, 1, 1], 25..=35), ("least-request", [1, 1, 1], 10..=60), ("weighted", [2, 1, 1], 15..=50)];
    for (balance, weights, range) in rows {
        let origins = ["a", "b", "c"].map(Origin::named);
        let endpoints: Vec<_> = origins
            .iter()
            .zip(weights)
            .map(|(o, w)| format!("{{ address = \"{}\", weight = {w} }}", o.address()))
            .collect();
        let gateway = Running::start(&format!(
            "{WEB}[upstreams.shop]\nbalance = \"{balance}\"\nendpoints = [{}]\n[routes.all]\nupstream = \"shop\"\n",
            endpoints.join(", ")
        ));
        let mut counts = HashMap::<String, usize>::new();
        for _ in 0..90 {
            *counts.entry(gateway.get("/").text()).or_default() += 1;
        }
        assert_eq!(counts.len(), 3, "{balance}: {counts:?}");
        assert!(counts.values().all(|count| range.contains(count)), "{balance}: {counts:?}");
        if balance == "weighted" {
            assert!((40..=50).contains(&counts["a"]), "{balance}: {counts:?}");
        }
    }
    let origins = ["a", "b", "c"].map(Origin::named);
    let addresses = [origins[0].address(), origins[1].address(), origins[2].address()];
    let gateway = Running::start(&config(&addresses, "balance = \"source-ip\""));
    let first = gateway.get("/").text();
    assert!((0..30).all(|_| gateway.get("/").text() == first), "one client, one endpoint");
}

#[test]
fn a_backup_takes_work_only_while_nobody_else_can() {
    use weirgate_store::wire::OverrideMode::{Drain, Maint, Ready};
    let (main, backup) = (Origin::named("main"), Origin::named("backup"));
    let gateway = Running::start(&format!(
        "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{}\" }}, {{ address = \"{}\", backup = true }}]\n\
         [routes.all]\nupstream = \"shop\"\n",
        main.address(),
        backup.address()
    ));
    for (mode, expected) in [(Ready, "main"), (Drain, "backup"), (Ready, "main"), (Maint, "backup"), (Ready, "main")] {
        gateway.set_mode("shop", main.address(), mode);
        for _ in 0..5 {
            assert_eq!(gateway.get("/").text(), expected, "{mode:?}");
        }
    }
    gateway.set_mode("shop", main.address(), Maint);
    gateway.set_mode("shop", backup.address(), Drain);
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.one("retry-after").as_str()), (503, "1"));
    let verdict = gateway.failure("no-endpoint").verdict.clone();
    assert!(verdict.contains("in maintenance") && verdict.contains("draining"), "{verdict}");
}

/// A health check takes an endpoint out and brings it back; requests notice neither.
#[test]
fn health_checks_take_out_and_bring_back() {
    let is_well = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_well);
    let sick = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            let well = seen.load(Ordering::SeqCst) || !head.starts_with("GET /healthz ");
            peer.say(if well {
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsick"
            } else {
                "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
            });
        }
    });
    let well = Origin::named("well");
    let gateway = Running::start(&config(
        &[sick.address(), well.address()],
        "balance = \"round-robin\"\nhealth = { http = { path = \"/healthz\" }, interval = \"200ms\", timeout = \"5s\", fall = 2, rise = 2 }",
    ));
    let both_answer = || {
        let answers: Vec<_> = (0..4).map(|_| gateway.get("/").text()).collect();
        answers.contains(&"sick".to_owned()) && answers.contains(&"well".to_owned())
    };
    let one_answers = || (0..6).all(|_| gateway.get("/").text() == "well");
    wait_until("both answer", both_answer);
    is_well.store(false, Ordering::SeqCst);
    wait_until("the sick one is out", one_answers);
    is_well.store(true, Ordering::SeqCst);
    wait_until("it is back", both_answer);
    assert!(gateway.failures().is_empty(), "a request failed: {:?}", gateway.failures());
}

/// After a total outage traffic flows soon after the first endpoint's return (hard case 3).
#[test]
fn an_upstream_comes_back_from_the_dark() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = Running::start(&config(&[address], "health = { tcp = true, interval = \"5s\", fall = 1, rise = 2 }"));
    wait_until("it is known to be down", || gateway.get("/").status == 503);
    let origin = Origin::on(TcpListener::bind(address).unwrap(), |peer| {
        while peer.request().is_some() {
            peer.say(OK);
        }
    });
    let back = weirgate::clock::now();
    wait_until("it answers again", || gateway.get("/").status == 200);
    let took = weirgate::clock::now() - back;
    assert!(took < std::time::Duration::from_secs(4), "well before the next ordinary check: {took:?}");
    drop(origin);
}

/// An endpoint that is not answering in time is a 504, and its connection is gone.
#[test]
fn an_endpoint_that_hangs_is_a_504() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway = Running::start(&config(&[origin.address()], "timeouts = { response = \"300ms\" }"));
    assert_eq!(gateway.get("/").status, 504);
    let record = gateway.failure("reply-timeout");
    assert!(record.verdict.contains("whole request was sent"), "{}", record.verdict);
    wait_until("the connection is closed", || origin.open() == 0);
    // One that begins and then falls silent is cut.
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        peer.hold();
    });
    gateway.apply(&config(&[origin.address()], "timeouts = { response = \"300ms\", idle = \"300ms\" }"));
    let mut client = gateway.connect();
    client.say(get("/"));
    assert!(client.rest().ends_with(b"abc"));
    gateway.failure("reply-cut");
}

/// Nothing is left over on either side when a client goes away.
#[test]
fn a_client_that_leaves_frees_the_endpoint() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway = Running::start(&to_endpoints(&[origin.address()]));
    let mut client = gateway.connect();
    client.say(get("/"));
    wait_until("the request is there", || origin.heads().len() == 1);
    client.reset();
    wait_until("the endpoint's connection is closed", || origin.open() == 0);
}

/// A kept connection that dies under a request, by design and every time: a GET goes at once to a fresh one, without
/// attempts or budget to spend; a POST was sent, so it is not sent again, and the record says why.
#[test]
fn a_stale_connection_costs_no_attempt_and_no_budget() {
    let origin = Origin::serving(|accepted| {
        if accepted.request().is_some() {
            accepted.say(OK);
            accepted.request();
        }
    });
    let gateway = Running::start(&config(&[origin.address()], "retry = { attempts = 0, on = [], budget = \"0%\" }"));
    let mut client = gateway.connect();
    for n in 0..40 {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200, "GET {n}");
    }
    assert!(origin.heads().len() > 40, "no connection was stale");
    assert!(gateway.failures().is_empty());
    let before = origin.bodies().iter().filter(|body| *body == b"hello").count();
    let statuses: Vec<_> = (0..10).map(|_| gateway.ask(POST).status).collect();
    let after = origin.bodies().iter().filter(|body| *body == b"hello").count();
    assert_eq!(after - before, 10, "each reached the endpoint once: {statuses:?}");
    let record = gateway.failure("stale-connection");
    let why = record.why.join("; ");
    assert!(record.verdict.contains("was sent") && why.contains("POST may have been processed"), "{record:?}");
}
