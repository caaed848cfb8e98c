// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upstreams that are given too much: limits, the queue, the breaker, the limit that finds itself, and what the client
//! and the operator are told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use weirgate_store::wire::{Event, UpstreamStatus};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// Holds requests back until a test lets them go, and counts how many it holds.
#[derive(Default)]
struct Gate {
    permits: Mutex<usize>,
    changed: Condvar,
    busy: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        let mut permits = self.permits.lock().unwrap();
        while *permits == 0 {
            permits = self.changed.wait(permits).unwrap();
        }
        *permits -= 1;
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    fn let_go(&self, count: usize) {
        *self.permits.lock().unwrap() += count;
        self.changed.notify_all();
    }

    /// An endpoint that answers when it is let.
    fn origin(self: &Arc<Self>) -> Origin {
        let gate = Arc::clone(self);
        Origin::serving(move |peer| {
            while peer.request().is_some() {
                gate.pass();
                peer.say(OK);
            }
        })
    }
}

/// Enough for everybody.
const ALL: usize = 1_000_000;

fn config(origins: &[&Origin], settings: &str) -> String {
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
    format!("{WEB}{}{settings}\n[routes.all]\nupstream = \"shop\"\n", upstream("shop", &addresses))
}

fn shop(gateway: &Running) -> UpstreamStatus {
    gateway.gateway.upstreams().into_iter().find(|upstream| upstream.name == "shop").unwrap()
}

#[track_caller]
fn wait_for_queue(gateway: &Running, length: u32) {
    wait_until(&format!("{length} wait"), || shop(gateway).queued == length);
}

/// Every place is given back.
#[track_caller]
fn wait_for_nothing(gateway: &Running) {
    wait_until("nothing waits and nothing is under way", || {
        let status = shop(gateway);
        (status.queued, status.requests) == (0, 0) && status.endpoints.iter().all(|endpoint| endpoint.in_flight == 0)
    });
}

/// Never more than the limit at the endpoints, over two workers, and all are served in the end.
#[test]
fn requests_over_the_limit_wait_and_none_is_lost() {
    for (limits, most) in [
        ("requests = 3", 3),
        ("endpoint_requests = 2", 4),
        ("requests = 3, endpoint_requests = 2", 3),
        ("endpoint_connections = 1", 2),
        ("connections = 2, endpoint_connections = 2", 2),
    ] {
        let gate = Arc::new(Gate::default());
        let (one, two) = (gate.origin(), gate.origin());
        let gateway =
            Running::start(&config(&[&one, &two], &format!("limits = {{ {limits}, queue_timeout = \"20s\" }}")));
        let (web, good) = (gateway.web(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    let mut client = Client::to(web);
                    for _ in 0..5 {
                        client.say(get("/"));
                        good.fetch_add(usize::from(client.reply().status == 200), Ordering::SeqCst);
                    }
                });
            }
            wait_until("as many as may are there", || gate.busy.load(Ordering::SeqCst) == most);
            wait_until("the others wait", || shop(&gateway).queued as usize == 24 - most);
            gate.let_go(ALL);
        });
        let last = gateway.failures().first().map(|record| (record.verdict.clone(), record.why.clone()));
        assert_eq!(good.into_inner(), 120, "row {limits}: {last:?}");
        assert_eq!(gate.most.load(Ordering::SeqCst), most, "row {limits}");
        wait_for_nothing(&gateway);
        let status = shop(&gateway);
        assert!(status.queue_timeouts == 0 && status.queue_us > 0, "row {limits}: {status:?}");
    }
}

/// One connection for two workers: whichever has requests gets it, though the other would keep it unused.
#[test]
fn an_unused_connection_of_another_worker_is_given_up() {
    let origin = Origin::plain();
    let limits = "limits = { endpoint_connections = 1, queue_timeout = \"10s\" }";
    let gateway = Running::start(&config(&[&origin], limits));
    for n in 0..40 {
        assert_eq!(gateway.get("/").status, 200, "request {n}");
        assert!(origin.open() <= 2, "one, and one that is just being closed");
    }
    assert!(shop(&gateway).endpoints[0].connections <= 1);
}

#[test]
fn a_full_queue_refuses_at_once_and_says_why() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let limits = "limits = { requests = 1, queue = 1, queue_timeout = \"20s\" }";
    let gateway = Running::start(&config(&[&origin], limits));
    let web = gateway.web();
    std::thread::scope(|scope| {
        let served: Vec<_> = (0..2).map(|_| scope.spawn(|| Client::ask(web, &get("/")).status)).collect();
        wait_for_queue(&gateway, 1);
        let reply = gateway.get("/");
        assert_eq!((reply.status, reply.one("retry-after").as_str()), (503, "1"));
        assert!(reply.text().contains("\"code\":\"queue-full\""), "{}", reply.text());
        let verdict = gateway.failure("queue-full").verdict.clone();
        assert!(verdict.contains("upstream shop is full (1 of 1 requests are in flight)"), "{verdict}");
        gate.let_go(ALL);
        assert!(served.into_iter().all(|served| served.join().unwrap() == 200));
    });
    let limits = "limits = { endpoint_requests = 1, queue = 0 }";
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    gateway.apply(&config(&[&origin], limits));
    std::thread::scope(|scope| {
        let served = scope.spawn(|| Client::ask(web, &get("/")).status);
        wait_until("one is there", || gate.busy.load(Ordering::SeqCst) == 1);
        assert_eq!(gateway.get("/").status, 503, "no queue at all");
        wait_until("it is recorded", || gateway.failures().len() > 1);
        let verdict = gateway.failures()[0].verdict.clone();
        assert!(verdict.contains(&format!("{} has 1 of 1 requests", origin.address())), "{verdict}");
        gate.let_go(ALL);
        assert_eq!(served.join().unwrap(), 200);
    });
}

#[test]
fn a_wait_has_an_end_and_is_told() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let gateway = Running::start(&config(&[&origin], "limits = { requests = 1, queue_timeout = \"200ms\" }"));
    let web = gateway.web();
    std::thread::scope(|scope| {
        let served = scope.spawn(|| Client::ask(web, &get("/")).status);
        wait_until("one is there", || gate.busy.load(Ordering::SeqCst) == 1);
        let begun = weirgate::clock::now();
        let reply = gateway.get("/");
        assert_eq!((reply.status, reply.one("retry-after").as_str()), (503, "1"));
        assert!(weirgate::clock::now() - begun >= Duration::from_millis(200));
        let record = gateway.failure("queue-timeout");
        assert!(record.why.iter().any(|line| line.starts_with("waited 2") && line.ends_with("queue of shop")));
        let queued = record.timeline.iter().find(|step| step.stage == "queue").unwrap();
        assert!(queued.micros >= 200_000, "{queued:?}");
        assert_eq!(shop(&gateway).queue_timeouts, 1);
        gate.let_go(ALL);
        assert_eq!(served.join().unwrap(), 200);
    });
}

/// The more urgent first, by route or by consumer, and equals in turn.
#[test]
fn the_queue_is_ordered_by_urgency() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let secret = "0123456789abcdef";
    let gateway = Running::start(&format!(
        "{WEB}{}limits = {{ requests = 1, queue_timeout = \"20s\" }}\n\
         [routes.all]\nupstream = \"shop\"\n\
         [routes.low]\nmatch = {{ path = \"/low\" }}\nupstream = \"shop\"\nurgency = 7\n\
         [routes.high]\nmatch = {{ path = \"/high\" }}\nupstream = \"shop\"\nurgency = 1\n\
         [routes.ours]\nmatch = {{ path = \"/ours\" }}\nupstream = \"shop\"\nurgency = 7\npolicies = [\"key\"]\n\
         [policies.key]\napi_key = {{ header = \"X-Key\" }}\n\
         [consumers.boss]\nurgency = 0\napi_keys = [{{ secret = \"{secret}\" }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let web = gateway.web();
    let order = ["/first", "/low", "/one", "/two", "/high", "/ours"];
    std::thread::scope(|scope| {
        for (waiting, path) in order.iter().enumerate() {
            scope.spawn(move || {
                let request = get(path).replace("Host:", &format!("X-Key: {secret}\r\nHost:"));
                assert_eq!(Client::ask(web, &request).status, 200);
            });
            match waiting {
                0 => wait_until("the first is there", || gate.busy.load(Ordering::SeqCst) == 1),
                _ => wait_for_queue(&gateway, u32::try_from(waiting).unwrap()),
            }
        }
        gate.let_go(ALL);
    });
    let heads = origin.heads();
    let served: Vec<_> = heads.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(served, ["/first", "/ours", "/high", "/one", "/two", "/low"]);
}

#[test]
fn a_client_that_leaves_leaves_the_queue() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let gateway = Running::start(&config(&[&origin], "limits = { requests = 1, queue_timeout = \"20s\" }"));
    let web = gateway.web();
    std::thread::scope(|scope| {
        let served = scope.spawn(|| Client::ask(web, &get("/")).status);
        wait_until("one is there", || gate.busy.load(Ordering::SeqCst) == 1);
        let mut leaving = gateway.connect();
        leaving.say(get("/gone"));
        wait_for_queue(&gateway, 1);
        let staying = scope.spawn(|| Client::ask(web, &get("/stays")).status);
        wait_for_queue(&gateway, 2);
        leaving.reset();
        wait_for_queue(&gateway, 1);
        gate.let_go(ALL);
        assert_eq!((served.join().unwrap(), staying.join().unwrap()), (200, 200));
    });
    assert!(origin.heads().iter().all(|head| !head.starts_with("GET /gone")), "{:?}", origin.heads());
}

/// Waiters are served by an endpoint that comes back, though nothing was freed that could have called them.
#[test]
fn a_returning_endpoint_takes_those_who_wait() {
    use weirgate_store::wire::OverrideMode::{Drain, Ready};
    let (gate, free) = (Arc::new(Gate::default()), Origin::named("free"));
    let held = gate.origin();
    let limits = "limits = { endpoint_requests = 1, queue_timeout = \"20s\" }";
    let gateway = Running::start(&config(&[&held, &free], limits));
    gateway.set_mode("shop", free.address(), Drain);
    let web = gateway.web();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| Client::ask(web, &get("/")).text());
        wait_until("one is there", || gate.busy.load(Ordering::SeqCst) == 1);
        let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| Client::ask(web, &get("/")).text())).collect();
        wait_for_queue(&gateway, 5);
        gateway.set_mode("shop", free.address(), Ready);
        assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap() == "free"));
        gate.let_go(ALL);
        assert_eq!(first.join().unwrap(), "ok");
    });
}

/// Failures open the breaker; while it is open nothing reaches the endpoint; exactly one request is let through.
#[test]
fn the_breaker_opens_probes_and_closes() {
    let is_well = Arc::new(AtomicBool::new(false));
    let (seen, gate) = (Arc::clone(&is_well), Arc::new(Gate::default()));
    let held = Arc::clone(&gate);
    let origin = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            if head.starts_with("GET /held ") {
                held.pass();
            }
            let well = seen.load(Ordering::SeqCst);
            peer.say(if well { OK } else { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" });
        }
    });
    let breaker = "breaker = { consecutive_failures = 3, open = \"300ms\", open_max = \"10s\" }";
    let gateway = Running::start(&config(&[&origin], breaker));
    let mut events = gateway.gateway.observer().subscribe();
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 500);
    }
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.one("retry-after").as_str()), (503, "1"));
    assert_eq!(origin.heads().len(), 3, "nothing reaches the endpoint");
    let verdict = gateway.failure("breaker-open").verdict.clone();
    assert!(verdict.contains("3 requests failed in a row"), "{verdict}");
    let status = shop(&gateway);
    let trouble = status.trouble.clone().unwrap_or_default();
    assert!(status.breaker_open && trouble.contains("3 requests failed in a row"), "{status:?}");
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let told: Vec<_> = told
        .filter_map(|event| match &*event {
            Event::Audit { text, .. } => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["upstream shop: the circuit breaker is open for 300ms: 3 requests failed in a row"]);
    // One request goes when the time is over; whatever else comes meanwhile is refused.
    is_well.store(true, Ordering::SeqCst);
    let web = gateway.web();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut refused = 0;
                    loop {
                        match Client::ask(web, &get("/held")).status {
                            200 => return refused,
                            503 => refused += 1,
                            other => panic!("{other}"),
                        }
                        std::thread::park_timeout(Duration::from_millis(10));
                    }
                })
            })
            .collect();
        wait_until("the probe is there", || gate.busy.load(Ordering::SeqCst) == 1);
        (0..20).for_each(|_| assert_eq!(gateway.get("/").status, 503));
        assert_eq!(origin.heads().len(), 4, "one probe");
        gate.let_go(ALL);
        assert!(clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>() > 0);
    });
    assert!(!shop(&gateway).breaker_open);
    assert_eq!(gateway.get("/").status, 200);
}

/// The limit is found, shown, and never left; more than it wait.
#[test]
fn the_adaptive_limit_holds() {
    let gate = Arc::new(Gate::default());
    gate.let_go(ALL);
    let origin = gate.origin();
    let limits = "limits = { adaptive = { least = 2, most = 6 }, queue_timeout = \"20s\" }";
    let gateway = Running::start(&config(&[&origin], limits));
    assert_eq!(shop(&gateway).requests_max, Some(2));
    let (web, is_over) = (gateway.web(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut client = Client::to(web);
                while !is_over.load(Ordering::SeqCst) {
                    client.say(get("/"));
                    assert_eq!(client.reply().status, 200);
                }
            });
        }
        wait_until("it has grown", || shop(&gateway).requests_max.is_some_and(|most| most > 2));
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(gate.most.load(Ordering::SeqCst) <= 6);
}

/// A limit that is added while requests are under way counts those that come after it.
#[test]
fn limits_change_with_the_configuration() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let gateway = Running::start(&config(&[&origin], "limits = { requests = 1, queue_timeout = \"20s\" }"));
    let web = gateway.web();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| Client::ask(web, &get("/")).status)).collect();
        wait_for_queue(&gateway, 3);
        // Those who wait do so by the limits they came under; a newcomer has a place at once but does not overtake.
        gateway.apply(&config(&[&origin], "limits = { requests = 9, queue_timeout = \"20s\" }"));
        let late = scope.spawn(|| Client::ask(web, &get("/")).status);
        wait_until("the newcomer waits or is served", || {
            shop(&gateway).queued != 3 || gate.busy.load(Ordering::SeqCst) > 1
        });
        gate.let_go(ALL);
        assert!(clients.into_iter().chain([late]).all(|client| client.join().unwrap() == 200));
    });
    wait_for_nothing(&gateway);
}

/// Each bad state has a sentence of its own for the operator, and a clean 503 for the client.
#[test]
fn explain_says_what_the_limits_would_say() {
    let gate = Arc::new(Gate::default());
    let origin = gate.origin();
    let gateway = Running::start(&config(&[&origin], "limits = { requests = 1, queue_timeout = \"20s\" }"));
    let explained = || {
        let request = weirgate_store::wire::ExplainRequest {
            method: "GET".to_owned(),
            url: "http://a.example/".to_owned(),
            ..Default::default()
        };
        let reply = weirgate::control::seam::Appliance::explain(&*gateway.gateway, &request).unwrap();
        let step = reply.steps.iter().find(|step| step.stage == "limits").unwrap();
        step.decision.clone()
    };
    assert_eq!(explained(), "there is a place");
    let web = gateway.web();
    std::thread::scope(|scope| {
        let served = scope.spawn(|| Client::ask(web, &get("/")).status);
        wait_until("one is there", || gate.busy.load(Ordering::SeqCst) == 1);
        assert_eq!(explained(), "waits in the queue of shop, up to 20s: 1 of 1 requests are in flight");
        gate.let_go(ALL);
        assert_eq!(served.join().unwrap(), 200);
    });
}

/// A TCP connection over the limit waits like a request, and gets the place of one that ends.
#[test]
fn a_tcp_connection_waits_in_the_same_queue() {
    let origin = Origin::serving(|peer| {
        while let Some(bytes) = peer.take(1) {
            peer.say(bytes);
        }
    });
    let gateway = Running::start(&format!(
        "[listeners.raw]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"shop\"\n\
         {}limits = {{ connections = 1, queue = 1, queue_timeout = \"20s\" }}\n",
        upstream("shop", &[origin.address()])
    ));
    let raw = gateway.gateway.bound("raw").unwrap();
    let mut first = Client::to(raw);
    first.say("x");
    assert_eq!(first.take_to("x"), "x");
    assert_eq!(shop(&gateway).connections, 1);
    let mut second = Client::to(raw);
    second.say("y");
    wait_for_queue(&gateway, 1);
    Client::to(raw).expect_closed("the queue is full");
    gateway.failure("queue-full");
    drop(first);
    assert_eq!(second.take_to("y"), "y");
    assert_eq!(origin.connections(), 2);
    drop(second);
    wait_until("every place is given back", || shop(&gateway).connections == 0);
}
