// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that fail under load, with real sockets: killed, hung, resetting, restarted one after another. What is
//! idempotent is answered, nothing that is not runs twice, and nobody waits longer than the connect timeout (hard
//! cases 1, 2 and 5). Then one request at a time: per-try timeout, kept bodies, second copies.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use weirgate_store::wire::ExchangeRecord;

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::service::{Mood, Service};
use crate::support::wait_until;

const CLIENTS: usize = 8;

/// Requests before anything fails: the retry budget is a share of what was there.
const WARM: usize = 2_000;

/// Checks that notice a death at the first look.
const HEALTH: &str = "health = { http = { path = \"/healthz\" }, interval = \"200ms\", fall = 1, rise = 1 }\n";

fn config(addresses: &[std::net::SocketAddr], settings: &str) -> String {
    format!("{WEB}{}{settings}\n[routes.all]\nupstream = \"shop\"\n", upstream("shop", addresses))
}

/// A primary and a backup, so that it is known which is asked first.
fn in_order(first: &Origin, second: &Origin, settings: &str) -> String {
    format!(
        "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{}\" }}, {{ address = \"{}\", backup = true }}]\n{settings}\n\
         [routes.all]\nupstream = \"shop\"\n",
        first.address(),
        second.address()
    )
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    good: AtomicUsize,
    bad: AtomicUsize,
    slowest_us: AtomicUsize,
}

/// Lets clients ask for as long as `act` runs.
fn under_load(gateway: &Running, act: impl FnOnce(&Seen)) -> Seen {
    let (seen, is_over, web) = (Seen::default(), AtomicBool::new(false), gateway.web());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::to(web);
                while !is_over.load(Ordering::SeqCst) {
                    let begun = weirgate::clock::now();
                    client.say(get("/"));
                    let counter = if client.reply().status == 200 { &seen.good } else { &seen.bad };
                    counter.fetch_add(1, Ordering::SeqCst);
                    let took = usize::try_from((weirgate::clock::now() - begun).as_micros()).unwrap();
                    seen.slowest_us.fetch_max(took, Ordering::SeqCst);
                    std::thread::park_timeout(Duration::from_millis(2));
                }
            });
        }
        wait_until("it is warm", || seen.good.load(Ordering::SeqCst) >= WARM);
        act(&seen);
        is_over.store(true, Ordering::SeqCst);
    });
    seen
}

/// Waits until so many more were answered.
fn more(seen: &Seen, count: usize) {
    let from = seen.good.load(Ordering::SeqCst);
    wait_until("more are answered", || seen.good.load(Ordering::SeqCst) >= from + count);
}

#[track_caller]
fn expect_none_failed(gateway: &Running, seen: &Seen, row: &str) {
    let last = gateway.failures().first().map(|record| (record.verdict.clone(), record.why.clone()));
    assert_eq!(seen.bad.load(Ordering::SeqCst), 0, "row {row}: {last:?}");
}

#[test]
fn an_endpoint_that_is_killed_is_not_noticed() {
    let services = [Service::start(), Service::start(), Service::start()];
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), HEALTH));
    let seen = under_load(&gateway, |seen| {
        services[0].kill();
        more(seen, 500);
    });
    expect_none_failed(&gateway, &seen, "killed");
    assert!(seen.slowest_us.into_inner() < 2_000_000, "at most the connect timeout");
}

#[test]
fn restarts_of_all_one_after_another_are_not_noticed() {
    let services = [Service::start(), Service::start(), Service::start()];
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), HEALTH));
    let seen = under_load(&gateway, |seen| {
        for service in &services {
            service.kill();
            more(seen, 200);
            service.restart();
            let before = service.requests();
            wait_until("it is back", || service.requests() > before + 20);
        }
    });
    expect_none_failed(&gateway, &seen, "restarted");
}

#[test]
fn an_endpoint_that_resets_is_not_noticed() {
    let services = [Service::start(), Service::start(), Service::start()];
    // More requests fail than the usual share of retries allows, until a check takes it out.
    let settings = format!("{HEALTH}retry = {{ budget = \"100%\" }}");
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), &settings));
    let seen = under_load(&gateway, |seen| {
        services[1].set(Mood::Reset);
        more(seen, 500);
        services[1].set(Mood::Answer);
        more(seen, 500);
    });
    expect_none_failed(&gateway, &seen, "resetting");
}

/// A hung endpoint costs one try's time and no error.
#[test]
fn an_endpoint_that_hangs_is_passed_by() {
    let services = [Service::start(), Service::start(), Service::start()];
    let settings = "retry = { per_try = \"250ms\", on = [\"connect\", \"reset\", \"timeout\"] }";
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), settings));
    let seen = under_load(&gateway, |seen| {
        services[2].set(Mood::Hang);
        more(seen, 500);
    });
    expect_none_failed(&gateway, &seen, "hung");
    assert!(seen.slowest_us.into_inner() < 1_000_000, "others could answer");
}

/// The endpoint closes when it likes; a client that asks again just then sees nothing of it, and no budget is spent.
#[test]
fn closes_of_idle_connections_are_not_noticed() {
    let services = [Service::start(), Service::start()];
    services.iter().for_each(|service| service.set(Mood::Close));
    let settings = "retry = { attempts = 0, on = [], budget = \"0%\" }";
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), settings));
    let seen = under_load(&gateway, |seen| more(seen, 1_000));
    expect_none_failed(&gateway, &seen, "closing");
}

/// Whatever fails meanwhile: no POST reaches the endpoints twice.
#[test]
fn a_post_is_not_run_twice_while_endpoints_fail() {
    let services = [Service::start(), Service::start(), Service::start()];
    let on = "on = [\"connect\", \"reset\", \"timeout\", \"500\", \"502\", \"503\", \"504\"]";
    let settings = format!("{HEALTH}retry = {{ {on}, budget = \"100%\", per_try = \"300ms\", buffer = \"1KiB\" }}");
    let gateway = Running::start(&config(&services.each_ref().map(|service| service.address), &settings));
    let (web, is_over, sent) = (gateway.web(), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..CLIENTS {
            let (is_over, sent) = (&is_over, &sent);
            scope.spawn(move || {
                for n in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let head = format!("POST /{thread}-{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
                    Client::ask(web, &head);
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let more = |count: usize| {
            let from = sent.load(Ordering::SeqCst);
            wait_until("more are sent", || sent.load(Ordering::SeqCst) >= from + count);
        };
        for service in &services {
            service.set(Mood::Reset);
            more(100);
            service.set(Mood::Close);
            more(100);
            service.kill();
            more(100);
            service.set(Mood::Answer);
            service.restart();
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let mut times = std::collections::HashMap::<String, usize>::new();
    for (path, count) in services.iter().flat_map(Service::posts) {
        *times.entry(path).or_default() += count;
    }
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    assert!(times.len() > 500 && twice.is_empty(), "{} posts, run twice: {twice:?}", times.len());
}

/// An address that takes no connection: the first request waits for the connect timeout, and then goes elsewhere.
#[test]
fn a_connection_that_never_opens_costs_the_connect_timeout() {
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    // What the kernel takes without anybody accepting: after that it answers no more.
    let fillers: Vec<_> = (0..4)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            // Refused or under way: either way it takes a place in the backlog.
            _ = filler.connect(&address.into());
            filler
        })
        .collect();
    let good = Origin::plain();
    let gateway = Running::start(&format!(
        "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{address}\" }}, {{ address = \"{}\", backup = true }}]\n\
         timeouts = {{ connect = \"300ms\" }}\n[routes.all]\nupstream = \"shop\"\n",
        good.address()
    ));
    let begun = weirgate::clock::now();
    assert_eq!(gateway.get("/").status, 200);
    let took = weirgate::clock::now() - begun;
    assert!((Duration::from_millis(300)..Duration::from_millis(1_000)).contains(&took), "{took:?}");
    drop(fillers);
}

/// The record of the one request that `ask` makes.
fn watched(gateway: &Running, ask: impl FnOnce()) -> Arc<ExchangeRecord> {
    gateway.record_of(ask)
}

#[test]
fn one_try_has_a_time_of_its_own() {
    let hung = Origin::serving(|peer| {
        peer.request();
        peer.hold();
    });
    let good = Origin::named("good");
    let retry = "retry = { per_try = \"200ms\", on = [\"timeout\"] }\ntimeouts = { response = \"600ms\" }";
    let gateway = Running::start(&in_order(&hung, &good, retry));
    let record = watched(&gateway, || assert_eq!(gateway.get("/").text(), "good"));
    assert_eq!(record.attempts, 2);
    let why = record.why.join("; ");
    assert!(why.contains("did not answer in the 200ms that one try may take"), "{why}");
    wait_until("the connection of the first is closed", || hung.open() == 0);
    // A POST may have run, so it has all the time there is, and fails as what it is.
    let begun = weirgate::clock::now();
    let reply = gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(reply.status, 504);
    assert!(weirgate::clock::now() - begun >= Duration::from_millis(600));
    gateway.failure("reply-timeout");
    // Without another endpoint a slow one is waited for.
    let slow = Origin::serving(|peer| {
        while peer.request().is_some() {
            std::thread::park_timeout(Duration::from_millis(400));
            peer.say(OK);
        }
    });
    gateway.apply(&config(&[slow.address()], retry));
    let record = watched(&gateway, || assert_eq!(gateway.get("/").status, 200));
    assert_eq!(record.attempts, 1);
}

/// Statuses that are listed, 429 and 500 among them, are tried again elsewhere.
#[test]
fn listed_statuses_are_tried_elsewhere() {
    for (status, method, expected) in [(429, "GET", 200), (500, "GET", 200), (500, "POST", 500), (502, "GET", 502)] {
        let bad = Origin::replying(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"));
        let good = Origin::plain();
        let gateway = Running::start(&in_order(&bad, &good, "retry = { on = [\"429\", \"500\"] }"));
        assert_eq!(gateway.ask(&get("/").replace("GET", method)).status, expected, "row {status} {method}");
    }
}

/// A body that fits is sent again from its beginning; a longer one is sent once.
#[test]
fn a_kept_body_is_sent_again() {
    for (buffer, length, chunked, expected) in
        [("1KiB", 1_000, false, 200), ("1KiB", 1_000, true, 200), ("1KiB", 1_025, false, 502), ("0B", 10, false, 502)]
    {
        let closing = Origin::serving(|peer| {
            peer.request();
        });
        let good = Origin::plain();
        let retry = format!("retry = {{ on = [\"reset\"], buffer = \"{buffer}\" }}");
        let gateway = Running::start(&in_order(&closing, &good, &retry));
        let body = "x".repeat(length);
        let request = if chunked {
            format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        } else {
            format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        let row = format!("{buffer} {length} {chunked}");
        assert_eq!(gateway.ask(&request).status, expected, "row {row}");
        assert_eq!(closing.bodies().len(), 1, "row {row}");
        assert_eq!(good.bodies().len(), usize::from(expected == 200), "row {row}");
        if let Some(got) = good.bodies().first() {
            assert_eq!(got, &closing.bodies()[0], "row {row}: the same bytes both times");
            assert!(got.windows(body.len()).any(|window| window == body.as_bytes()), "row {row}");
        }
    }
}

/// A request that is slower than most is sent to another endpoint as well, and the first answer counts.
#[test]
fn a_slow_request_is_copied() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_slow);
    let slow = Origin::serving(move |peer| {
        while peer.request().is_some() {
            if seen.load(Ordering::SeqCst) {
                return peer.hold();
            }
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    let quick = Origin::named("quick");
    let settings = "hedge = { percentile = \"90%\", after = \"50ms\" }\ntimeouts = { response = \"700ms\" }";
    let gateway = Running::start(&in_order(&slow, &quick, settings));
    // Each of the two workers has to know what is slow.
    (0..150).for_each(|_| assert_eq!(gateway.get("/").text(), "slow"));
    is_slow.store(true, Ordering::SeqCst);
    let record = watched(&gateway, || assert_eq!(gateway.get("/").text(), "quick"));
    assert_eq!((record.attempts, record.endpoint.as_deref()), (2, Some(&*quick.address().to_string())));
    let why = record.why.join("; ");
    assert!(why.contains("dropped: a copy was answered before it") && why.contains("answered first"), "{why}");
    let hedges = || gateway.gateway.upstreams()[0].hedges;
    assert_eq!(hedges(), 1);
    wait_until("nothing is left of the slow one", || {
        gateway.gateway.upstreams()[0].endpoints.iter().all(|endpoint| endpoint.in_flight == 0)
    });
    // A POST is never copied, nor is anything with a body.
    for method in ["POST", "PUT"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(gateway.ask(&request).status, 504, "{method}");
    }
    assert_eq!(hedges(), 1);
    assert!(quick.heads().iter().all(|head| head.starts_with("GET ")));
}

/// When nobody is there, each bad state has its own sentence.
#[test]
fn every_bad_state_has_a_sentence() {
    use weirgate_store::wire::OverrideMode::{Drain, Maint};
    let origin = Origin::plain();
    for (mode, sentence) in [(Drain, "draining"), (Maint, "in maintenance")] {
        let gateway = Running::start(&config(&[origin.address()], ""));
        gateway.set_mode("shop", origin.address(), mode);
        let reply = gateway.get("/");
        assert_eq!((reply.status, reply.one("retry-after").as_str()), (503, "1"), "row {sentence}");
        assert!(!reply.text().contains("127.0.0.1"), "{}", reply.text());
        let verdict = gateway.failure("no-endpoint").verdict.clone();
        assert!(verdict.contains(sentence), "row {sentence}: {verdict}");
    }
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let gateway = Running::start(&config(&[gone], "health = { tcp = true, interval = \"200ms\", fall = 1 }"));
    wait_until("it is known to be down", || gateway.get("/").status == 503);
    assert!(gateway.failure("no-endpoint").verdict.contains("unhealthy"), "{:?}", gateway.failures());
}
