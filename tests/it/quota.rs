// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotas, requests at once and plans end to end: exact across workers, kept over a restart, told to clients and
//! operators, and reset by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weirgate::clock;
use weirgate::control::seam::Appliance;
use weirgate_store::wire::{ConsumerUsage, ExplainRequest};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

const ALICE: &str = "alice-one-0123456789abcdef";
const BOB: &str = "bob-one-0123456789abcdefgh";

/// A route behind keys, with these policies and consumers of these settings.
fn config(policies: &str, alice: &str, more: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ api_key = {{ header = \"X-Api-Key\" }} }}{policies}]\n\
         [consumers.alice]\napi_keys = [{{ secret = \"{ALICE}\" }}]\n{alice}\n\
         [consumers.bob]\napi_keys = [{{ secret = \"{BOB}\" }}]\n{more}",
        upstream("shop", &[origin.address()])
    )
}

fn as_(key: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n")
}

fn usage(gateway: &Running, consumer: &str) -> ConsumerUsage {
    Appliance::usage(&*gateway.gateway, consumer).expect("there is such a consumer")
}

/// The name, the limit and what is used of it, of each limit.
fn used(gateway: &Running, consumer: &str) -> Vec<(String, u64, u64)> {
    usage(gateway, consumer).limits.into_iter().map(|limit| (limit.name, limit.limit, limit.used)).collect()
}

#[test]
fn a_quota_is_exact_across_workers_and_a_restart() {
    let origin = Origin::plain();
    let toml = config(", { quota = { requests = 100, per = \"month\" } }", "", "", &origin);
    let hammer = |gateway: &Running, clients: usize| {
        let (web, granted) = (gateway.web(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut client = Client::to(web);
                    for _ in 0..10 {
                        client.say(as_(ALICE));
                        match client.reply().status {
                            200 => _ = granted.fetch_add(1, Ordering::SeqCst),
                            status => assert_eq!(status, 429),
                        }
                    }
                });
            }
        });
        granted.into_inner()
    };
    let gateway = Running::start(&toml);
    assert_eq!(hammer(&gateway, 6), 60);
    let kept = gateway.gateway.take_counts();
    drop(gateway);
    let gateway = Running::remembering(&toml, |remembered| remembered.traffic.counts = kept);
    assert_eq!(used(&gateway, "alice"), [("all.quota".to_owned(), 100, 60)]);
    assert_eq!(hammer(&gateway, 20), 40);
    let reply = gateway.ask(&as_(ALICE));
    assert_eq!(
        (reply.status, reply.one("ratelimit").starts_with("\"all.quota\";r=0;t=")),
        (429, true),
        "{}",
        reply.head
    );
    assert!(reply.one("ratelimit-policy").starts_with("\"all.quota\";q=100;w=2"), "{}", reply.head);
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!((&problem["code"], &problem["violated-policies"][0]), (&"quota-exceeded".into(), &"all.quota".into()));
    assert_eq!(gateway.ask(&as_(BOB)).status, 200, "another consumer has another count");
    // A change forgets nothing; more requests are more requests.
    gateway.apply(&toml.replace("requests = 100", "requests = 102"));
    assert_eq!([ALICE, ALICE, ALICE].map(|key| gateway.ask(&as_(key)).status), [200, 200, 429]);
    assert!(gateway.gateway.reset_usage("alice") && !gateway.gateway.reset_usage("nobody"));
    assert_eq!(gateway.ask(&as_(ALICE)).status, 200);
    assert_eq!(used(&gateway, "alice"), [("all.quota".to_owned(), 102, 1)]);
    assert_eq!(origin.heads().len(), 104, "a refused request reached the endpoint");
}

#[test]
fn a_plan_holds_on_all_routes_and_an_own_quota_stands_in_for_its_own() {
    let origin = Origin::plain();
    let more = "[plans.gold]\nrate_limits = [{ rate = \"100/h\", burst = 50 }]\n\
                quotas = [{ requests = 3, per = \"day\", timezone = \"UTC\" }, { requests = 9, per = \"month\" }]\n\
                [plans.default]\nquotas = [{ requests = 1, per = \"month\" }]\n\
                [routes.other]\nmatch = { path = \"/other\" }\nupstream = \"shop\"\n\
                policies = [{ api_key = { header = \"X-Api-Key\" } }]\n\
                [routes.open]\nmatch = { path = \"/open\" }\nupstream = \"shop\"\n";
    let toml = config("", "plan = \"gold\"\nquota = { requests = 5, per = \"day\" }", more, &origin);
    let gateway = Running::start(&toml);
    let to = |path: &str, key: &str| gateway.ask(&as_(key).replace("GET /", &format!("GET {path}")));
    let statuses = ["/", "/other", "/", "/other", "/", "/"].map(|path| to(path, ALICE).status);
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429], "one count for all routes, and her own quota");
    let refused = to("/", ALICE);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["violated-policies"], serde_json::json!(["alice:day"]));
    assert_eq!([to("/", BOB).status, to("/other", BOB).status], [200, 429], "bob has the default plan");
    assert_eq!(gateway.get("/open").status, 200, "nobody is known here");
    let alice = usage(&gateway, "alice");
    assert_eq!(alice.plan.as_deref(), Some("gold"));
    let left: Vec<_> = alice.limits.iter().map(|limit| (limit.name.as_str(), limit.used)).collect();
    assert_eq!(left, [("gold:100/h", 5), ("gold:month", 5), ("alice:day", 5)]);
    assert!(alice.limits.iter().all(|limit| limit.resets_ms.is_some_and(|at| at > clock::wall_ms())), "{alice:?}");
    // Another plan is no fresh allowance, nor is being away; a restart is none either.
    gateway.apply(&toml.replace("plan = \"gold\"\nquota = { requests = 5, per = \"day\" }", ""));
    assert_eq!(to("/", ALICE).status, 429);
    gateway.apply(&toml.replace("requests = 5", "requests = 6"));
    assert_eq!([to("/", ALICE).status, to("/", ALICE).status], [200, 429]);
    let kept = gateway.gateway.take_counts();
    drop(gateway);
    let gateway = Running::remembering(&toml, |remembered| remembered.traffic.counts = kept);
    assert_eq!(gateway.ask(&as_(ALICE)).status, 429);
    let headers = [("X-Api-Key".to_owned(), ALICE.to_owned())].into();
    let request =
        ExplainRequest { method: "GET".into(), url: "http://a/".into(), headers, ..ExplainRequest::default() };
    let explained = gateway.explain(&request);
    assert!(explained.verdict.contains("policy alice:day: the quota is used up"), "{explained:?}");
    assert!(gateway.gateway.reset_usage("alice"));
    let explained = gateway.explain(&request);
    let told = explained.steps.iter().flat_map(|step| &step.details).any(|line| line.contains("alice:day 5 of 5 left"));
    assert!(told, "{explained:?}");
}

#[test]
fn places_among_requests_under_way_come_back_however_they_end() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let origin = Origin::serving(move |peer| {
        while peer.request().is_some() {
            while !gate.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(2));
            }
            peer.say(OK);
        }
    });
    let gateway = Running::start(&format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ concurrency = {{ per = \"ip\", max = 3 }} }}]\n",
        upstream("shop", &[origin.address()])
    ));
    let begin = || {
        let mut client = gateway.connect();
        client.say(get("/"));
        client
    };
    let mut held: Vec<_> = (0..3).map(|_| begin()).collect();
    wait_until("three are under way", || origin.heads().len() == 3);
    for _ in 0..4 {
        let refused = gateway.get("/");
        assert_eq!((refused.status, refused.one("retry-after")), (429, "1".to_owned()), "{}", refused.head);
        assert!(refused.text().contains("too-many-at-once"), "{}", refused.text());
    }
    // A client that goes away gives its place back: another one gets in.
    drop(held.pop());
    let mut next = None;
    wait_until("there is room again", || {
        let mut client = begin();
        let in_time = origin.heads().len();
        wait_until("it is refused or under way", || client.is_answered() || origin.heads().len() > in_time);
        if client.is_answered() {
            assert_eq!(client.reply().status, 429);
            return false;
        }
        next = Some(client);
        true
    });
    held.extend(next);
    open.store(true, Ordering::SeqCst);
    held.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
    wait_until("all places are free", || (0..3).all(|_| gateway.get("/").status == 200));
}

/// 64 clients ask without a pause; what gets through is the rate times the time and one burst, not one more or less. The
/// time is known from two sides: what was granted by a moment is at least what was due before it and at most what was due
/// after it.
fn hammer(workers: usize, time: Duration) {
    const RATE: f64 = 100.0;
    const BURST: f64 = 50.0;
    let origin = Origin::plain();
    let toml = format!(
        "{WEB}{}[policies.gold]\nrate_limit = {{ per = \"route\", rate = \"100/s\", burst = 50 }}\n\
         [routes.all]\nupstream = \"shop\"\npolicies = [\"gold\"]\n",
        upstream("shop", &[origin.address()])
    );
    let gateway = Running::with_workers(workers, &toml);
    let (web, granted, over) = (gateway.web(), AtomicUsize::new(0), AtomicBool::new(false));
    let begun = clock::now();
    let asked_last: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let client = || {
            let mut client = Client::to(web);
            let mut first = None;
            loop {
                let asked = clock::now();
                let last = over.load(Ordering::SeqCst);
                client.say(get("/"));
                match client.reply().status {
                    200 => {
                        granted.fetch_add(1, Ordering::SeqCst);
                        first.get_or_insert_with(clock::now);
                    }
                    429 if last => return (first.unwrap_or(asked), asked),
                    status => assert_eq!(status, 429),
                }
            }
        };
        let clients: Vec<_> = (0..64).map(|_| scope.spawn(client)).collect();
        wait_until("the time is over", || clock::now() - begun >= time);
        over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let ended = clock::now();
    let granted = granted.into_inner();
    assert_eq!(origin.heads().len(), granted, "a refused request reached the endpoint");
    let first = asked_last.iter().map(|(first, _)| *first).min().unwrap();
    let refused = asked_last.iter().map(|(_, refused)| *refused).max().unwrap();
    let due = |from: Instant, to: Instant| (to - from).as_secs_f64() * RATE + BURST;
    let (least, most) = (due(first, refused) - 1.0, due(begun, ended) + 1.0);
    let got = f64::from(u32::try_from(granted).unwrap());
    assert!((least..=most).contains(&got), "{workers} workers let {got} through, and {least:.1} to {most:.1} were due");
}

#[test]
fn sixty_four_clients_get_the_rate_and_a_burst_for_any_number_of_workers() {
    for workers in [1, 2, 4] {
        hammer(workers, Duration::from_secs(2));
    }
}
