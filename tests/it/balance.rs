// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an endpoint is chosen, seen from both ends: which endpoint answers whom, when one goes, when its weight changes,
//! when a tier or a zone runs out, when one is slow or full.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use weirgate_store::wire::ExplainRequest;
use weirgate_store::wire::OverrideMode::{Drain, Maint, Ready};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

const ALL: [&str; 10] = [
    "round-robin",
    "weighted",
    "random",
    "least-request",
    "least-connections",
    "peak-ewma",
    "source-ip",
    "ring",
    "maglev",
    "rendezvous",
];

const HASHES: [&str; 3] = ["ring", "maglev", "rendezvous"];

/// An upstream of endpoints with further fields each, and a route to it by the first segment of the path.
fn part(name: &str, settings: &str, endpoints: &[(SocketAddr, &str)]) -> String {
    let endpoints: Vec<_> =
        endpoints.iter().map(|(address, more)| format!("{{ address = \"{address}\"{more} }}")).collect();
    format!(
        "[upstreams.{name}]\n{settings}\nendpoints = [{}]\n[routes.{name}]\nmatch = {{ path = \"/{name}\" }}\nupstream = \
         \"{name}\"\n",
        endpoints.join(", ")
    )
}

fn plain(origins: &[Origin]) -> Vec<(SocketAddr, &'static str)> {
    origins.iter().map(|origin| (origin.address(), "")).collect()
}

fn named<const N: usize>(names: [&str; N]) -> [Origin; N] {
    names.map(Origin::named)
}

/// How often each endpoint answers so many requests.
fn counts(gateway: &Running, path: &str, requests: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut client = gateway.connect();
    for _ in 0..requests {
        client.say(get(path));
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{}", reply.text());
        *counts.entry(reply.text()).or_default() += 1;
    }
    counts
}

fn share(counts: &HashMap<String, usize>, name: &str) -> usize {
    counts.get(name).copied().unwrap_or_default() * 100 / counts.values().sum::<usize>()
}

/// A request with a key in the place that `by` names.
fn keyed(name: &str, by: &str, key: &str) -> String {
    match by {
        "path" => get(&format!("/{name}/{key}?x=1")),
        "query" => get(&format!("/{name}?a=b&user={key}")),
        "header" => format!("GET /{name} HTTP/1.1\r\nHost: a.example\r\nX-User: {key}\r\n\r\n"),
        "cookie" => format!("GET /{name} HTTP/1.1\r\nHost: a.example\r\nCookie: a=b; sid={key}\r\n\r\n"),
        _ => format!("GET /{name} HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: {key}\r\n\r\n"),
    }
}

/// The endpoint of each key.
fn places(gateway: &Running, name: &str, by: &str, keys: &[String]) -> Vec<String> {
    let mut client = gateway.connect();
    let ask = |key: &String| {
        client.say(keyed(name, by, key));
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    };
    keys.iter().map(ask).collect()
}

const BY: [(&str, &str); 5] = [
    ("source", "\"source-ip\""),
    ("path", "\"path\""),
    ("header", "{ header = \"X-User\" }"),
    ("cookie", "{ cookie = \"sid\" }"),
    ("query", "{ query = \"user\" }"),
];

/// A listener that believes who the client is.
fn trusting() -> String {
    format!("{WEB}trusted_proxies = [\"127.0.0.0/8\"]\n")
}

#[test]
fn a_key_goes_to_its_endpoint_and_only_its_own_keys_move_when_that_goes() {
    let origins = named(["a", "b", "c", "d"]);
    let mut config = trusting();
    for balance in HASHES {
        for (by, written) in BY {
            let settings = format!("balance = \"{balance}\"\nhash = {{ by = {written} }}");
            config += &part(&format!("{balance}-{by}"), &settings, &plain(&origins));
        }
    }
    config += &part("source-ip-source", "balance = \"source-ip\"", &plain(&origins));
    let gateway = Running::start(&config);
    let all = HASHES.iter().flat_map(|balance| BY.map(|(by, _)| (*balance, by))).chain([("source-ip", "source")]);
    for (balance, by) in all {
        let name = format!("{balance}-{by}");
        let keys: Vec<String> = (1..=40).map(|n| format!("10.{n}.0.{n}")).collect();
        let before = places(&gateway, &name, by, &keys);
        assert_eq!(places(&gateway, &name, by, &keys), before, "{name}: another connection, the same endpoints");
        assert!(before.iter().collect::<HashSet<_>>().len() >= 3, "{name}: {before:?}");
        gateway.set_mode(&name, origins[1].address(), Drain);
        let without = places(&gateway, &name, by, &keys);
        for (before, after) in before.iter().zip(&without) {
            assert_eq!(before == "b", before != after, "{name}: {before} became {after}");
        }
        gateway.set_mode(&name, origins[1].address(), Ready);
        assert_eq!(places(&gateway, &name, by, &keys), before, "{name}: it is back");
    }
}

#[test]
fn an_endpoint_that_is_removed_moves_its_keys_and_few_others() {
    let origins = named(["a", "b", "c", "d", "e"]);
    let config = |origins: &[Origin]| {
        let of = |balance| {
            let settings = format!("balance = \"{balance}\"\nhash = {{ by = {{ header = \"X-User\" }} }}");
            part(balance, &settings, &plain(origins))
        };
        format!("{WEB}{}", HASHES.map(of).concat())
    };
    let gateway = Running::start(&config(&origins));
    let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let before = HASHES.map(|name| places(&gateway, name, "header", &keys));
    gateway.apply(&config(&origins[..4]));
    for (name, before) in HASHES.iter().zip(before) {
        let after = places(&gateway, name, "header", &keys);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let owned = before.iter().filter(|place| *place == "e").count();
        assert!(owned > 10 && moved >= owned, "{name}: {moved} of {owned}");
        assert!(moved * 10 <= owned * 13, "{name}: {moved} moved where {owned} had to");
    }
}

#[test]
fn a_request_without_the_key_is_spread() {
    let origins = named(["a", "b", "c"]);
    let mut config = WEB.to_owned();
    for (by, written) in [("header", "{ header = \"X-User\" }"), ("certificate", "\"client-certificate\"")] {
        config += &part(by, &format!("balance = \"maglev\"\nhash = {{ by = {written} }}"), &plain(&origins));
    }
    let gateway = Running::start(&config);
    for path in ["/header", "/certificate"] {
        let counts = counts(&gateway, path, 90);
        assert!(counts.len() == 3 && counts.values().all(|count| *count >= 12), "{path}: {counts:?}");
    }
}

#[test]
fn weights_are_shares_and_change_live() {
    let origins = named(["a", "b", "c", "d"]);
    let weighted: Vec<_> = origins.iter().map(|origin| (origin.address(), ", weight = 2")).collect();
    let key = "hash = { by = { query = \"n\" } }";
    let parts = ["weighted", "random", "least-request", "ring", "maglev", "rendezvous"].map(|balance| {
        let hash = if HASHES.contains(&balance) { key } else { "" };
        (balance, part(balance, &format!("balance = \"{balance}\"\n{hash}"), &weighted))
    });
    let config: String = parts.iter().map(|(_, text)| text.as_str()).collect();
    let gateway = Running::start(&format!("{WEB}{config}"));
    for (balance, _) in &parts {
        let share = || {
            let mut client = gateway.connect();
            let ask = |n: usize| {
                client.say(get(&format!("/{balance}?n=key{n}")));
                client.reply().text()
            };
            (0..300).map(ask).filter(|name| name == "a").count() / 3
        };
        let base = share();
        assert!((12..=40).contains(&base), "{balance}: {base} % of a quarter");
        gateway.set_weight(balance, origins[0].address(), 18);
        let heavy = share();
        assert!((62..=86).contains(&heavy), "{balance}: {heavy} % of three quarters");
        gateway.set_weight(balance, origins[0].address(), 1);
        let light = share();
        assert!((4..=25).contains(&light) && light < base, "{balance}: {light} % of a seventh, {base} % before");
        gateway.set_weight(balance, origins[0].address(), 0);
        assert_eq!(share(), 0, "{balance}");
        gateway.set_mode(balance, origins[0].address(), Ready);
        let back = share();
        assert!((12..=40).contains(&back), "{balance}: {back} % of a quarter again");
        if HASHES.contains(balance) {
            assert_eq!(back, base, "{balance}: the same keys");
        }
    }
}

#[test]
fn tiers_take_over_one_after_the_other() {
    let origins = named(["first", "second", "third", "backup"]);
    let places = ["", ", priority = 2", ", priority = 9", ", backup = true"];
    let endpoints: Vec<_> = origins.iter().map(Origin::address).zip(places).collect();
    let config = ALL.map(|balance| part(balance, &format!("balance = \"{balance}\""), &endpoints)).concat();
    let gateway = Running::start(&format!("{WEB}{config}"));
    for balance in ALL {
        let path = format!("/{balance}");
        let answers = |name: &str| assert_eq!(counts(&gateway, &path, 5), HashMap::from([(name.to_owned(), 5)]));
        answers("first");
        gateway.set_mode(balance, origins[0].address(), Drain);
        answers("second");
        gateway.set_mode(balance, origins[1].address(), Maint);
        answers("third");
        gateway.set_weight(balance, origins[2].address(), 0);
        answers("backup");
        gateway.set_mode(balance, origins[1].address(), Ready);
        answers("second");
        gateway.set_mode(balance, origins[0].address(), Ready);
        answers("first");
    }
}

#[test]
fn a_zone_keeps_its_requests_and_spills_what_it_cannot_carry() {
    let origins = named(["near", "near", "near", "far", "far"]);
    let zones = [", zone = \"eu-1\""; 3].into_iter().chain([", zone = \"eu-2\"", ""]);
    let endpoints: Vec<_> = origins.iter().map(Origin::address).zip(zones).collect();
    let balances = ["least-request", "round-robin", "maglev"];
    let parts = balances.map(|balance| {
        let hash = if balance == "maglev" { "hash = { by = { header = \"X-None\" } }\n" } else { "" };
        let zone = "zone = { prefer = \"eu-1\", enough = \"60%\" }";
        part(balance, &format!("balance = \"{balance}\"\n{hash}{zone}"), &endpoints)
    });
    let gateway = Running::start(&format!("{WEB}{}", parts.concat()));
    for balance in balances {
        let near = || share(&counts(&gateway, &format!("/{balance}"), 200), "near");
        assert_eq!(near(), 100, "{balance}: all are well");
        gateway.set_mode(balance, origins[0].address(), Drain);
        assert_eq!(near(), 100, "{balance}: two of three are enough");
        gateway.set_mode(balance, origins[1].address(), Drain);
        let part = near();
        assert!((40..=70).contains(&part), "{balance}: {part} % stay where 56 % should");
        gateway.set_mode(balance, origins[2].address(), Drain);
        assert_eq!(near(), 0, "{balance}: nobody is left");
        origins.iter().take(3).for_each(|origin| gateway.set_mode(balance, origin.address(), Ready));
        assert_eq!(near(), 100, "{balance}: all are back");
    }
}

/// Endpoints that answer when they are told to, and the way to tell them.
fn held<const N: usize>() -> ([Origin; N], impl Fn()) {
    let (go, wait) = sync_channel::<()>(64);
    let wait = std::sync::Arc::new(Mutex::new(wait));
    let origins = std::array::from_fn(|_| {
        let wait = std::sync::Arc::clone(&wait);
        Origin::serving(move |peer| {
            while peer.request().is_some() {
                wait.lock().unwrap().recv().unwrap();
                peer.say(OK);
            }
        })
    });
    (origins, move || go.send(()).unwrap())
}

/// Sends so many requests, each when the one before has reached an endpoint, and tells how many each endpoint has.
fn in_flight(gateway: &Running, origins: &[Origin], request: &str, number: usize) -> (Vec<Client>, Vec<usize>) {
    let has = || origins.iter().map(|origin| origin.heads().len()).collect::<Vec<_>>();
    let mut clients = Vec::new();
    for at in 1..=number {
        let mut client = gateway.connect();
        client.say(request);
        wait_until("a request reaches an endpoint", || has().iter().sum::<usize>() == at);
        clients.push(client);
    }
    (clients, has())
}

#[test]
fn a_bounded_load_sends_a_hot_key_elsewhere() {
    for balance in ["source-ip", "ring", "maglev", "rendezvous"] {
        let (origins, answer) = held::<4>();
        let settings = format!("balance = \"{balance}\"\nhash = {{ bounded_load = \"150%\" }}");
        let gateway = Running::start(&format!("{WEB}{}", part("hot", &settings, &plain(&origins))));
        let (mut clients, has) = in_flight(&gateway, &origins, &get("/hot"), 8);
        // Eight in flight are two on average, and half as many more may be at one.
        assert_eq!(has.iter().max(), Some(&3), "{balance}: {has:?}");
        clients.iter().for_each(|_| answer());
        clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
    }
}

#[test]
fn least_connections_levels_what_is_open() {
    let (origins, answer) = held::<3>();
    let endpoints: Vec<_> = origins.iter().map(Origin::address).zip(["", "", ", weight = 2"]).collect();
    let config = part("few", "balance = \"least-connections\"", &endpoints);
    let gateway = Running::start(&format!("{WEB}{config}"));
    let (mut clients, has) = in_flight(&gateway, &origins, &get("/few"), 8);
    assert_eq!(has, [2, 2, 4], "twice the weight, twice as many");
    clients.iter().for_each(|_| answer());
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
}

#[test]
fn an_endpoint_that_lets_its_replies_drip_gets_no_more() {
    for balance in ["least-request", "least-connections"] {
        let dripping = Origin::serving(|peer| {
            if peer.request().is_some() {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ndrop");
                peer.hold();
            }
        });
        let quick = Origin::named("quick");
        let endpoints = [(dripping.address(), ""), (quick.address(), "")];
        let gateway =
            Running::start(&format!("{WEB}{}", part("both", &format!("balance = \"{balance}\""), &endpoints)));
        let mut stuck = None;
        wait_until("the dripping one is asked", || {
            let mut client = gateway.connect();
            client.say(get("/both"));
            client.head();
            let is_stuck = !dripping.heads().is_empty();
            stuck = is_stuck.then_some(client);
            is_stuck
        });
        assert_eq!(counts(&gateway, "/both", 20), HashMap::from([("quick".to_owned(), 20)]), "{balance}");
        assert_eq!(dripping.heads().len(), 1, "{balance}");
    }
}

#[test]
fn peak_ewma_learns_who_is_slow_and_says_so() {
    for (at_once, later) in [("", OK), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok")] {
        let slow = Origin::serving(move |peer| {
            while peer.request().is_some() {
                peer.say(at_once);
                // Not a wait for anything: this is what being slow is, to the first byte or to the last.
                std::thread::park_timeout(Duration::from_millis(40));
                peer.say(later);
            }
        });
        learns(&slow);
    }
}

fn learns(slow: &Origin) {
    let quick = named(["quick", "quick"]);
    let endpoints: Vec<_> = [(slow.address(), "")].into_iter().chain(plain(&quick)).collect();
    let gateway = Running::start(&format!("{WEB}{}", part("mix", "balance = \"peak-ewma\"", &endpoints)));
    let counts = counts(&gateway, "/mix", 100);
    assert!((1..=4).contains(&slow.heads().len()), "{counts:?}");
    let latency = |address: SocketAddr| {
        let status = gateway.gateway.endpoint("mix", &address.to_string()).expect("it is there");
        status.latency_us.expect("it is measured")
    };
    assert!((20_000..1_000_000).contains(&latency(slow.address())), "{}", latency(slow.address()));
    assert!(quick.iter().all(|origin| latency(origin.address()) < latency(slow.address())));
}

#[test]
fn peak_ewma_is_not_attracted_by_fast_refusals() {
    let refusal = |head: &str| Origin::replying(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n"));
    for bad in [refusal("503 No\r\nRetry-After: 60"), refusal("429 No"), Origin::serving(|peer| drop(peer.request()))] {
        let good = Origin::serving(|peer| {
            while peer.request().is_some() {
                std::thread::park_timeout(Duration::from_millis(2));
                peer.say(OK);
            }
        });
        let endpoints = [(bad.address(), ""), (good.address(), "")];
        let gateway = Running::start(&format!("{WEB}{}", part("two", "balance = \"peak-ewma\"", &endpoints)));
        let mut client = gateway.connect();
        for _ in 0..60 {
            client.say(get("/two"));
            client.reply();
        }
        // A few while nothing is known, and more when the machine stalls; one that is attracted gets nearly all.
        assert!((1..=10).contains(&bad.heads().len()), "{} requests", bad.heads().len());
    }
}

#[test]
fn explain_shows_the_choice_and_what_speaks_for_each_endpoint() {
    let origins = named(["a", "b"]);
    let places = [", zone = \"eu-1\"", ", priority = 1, weight = 3"];
    let endpoints: Vec<_> = origins.iter().map(Origin::address).zip(places).collect();
    let mut config = WEB.to_owned();
    for balance in ALL {
        write!(config, "{}", part(balance, &format!("balance = \"{balance}\""), &endpoints)).unwrap();
    }
    let gateway = Running::start(&config);
    for (balance, score) in [
        ("round-robin", "in-flight 0, priority 1"),
        ("weighted", "weight 3"),
        ("random", "weight 3"),
        ("least-request", "load 0.00 (in-flight 0 / weight 3)"),
        ("least-connections", "load 0.00 (in-flight 0 / weight 3)"),
        ("peak-ewma", "not measured"),
        ("source-ip", "score "),
        ("ring", "100.00 % of the keys"),
        ("maglev", "100.00 % of the keys"),
        ("rendezvous", "score "),
    ] {
        let ask = || {
            let (method, url) = ("GET".to_owned(), format!("http://a.example/{balance}"));
            let reply = gateway.explain(&ExplainRequest { method, url, headers: BTreeMap::new(), client: None });
            reply.steps.into_iter().find(|step| step.stage == "balance").expect("it comes so far")
        };
        let step = ask();
        assert!(step.decision.starts_with(&format!("{balance}: {}", origins[0].address())), "{}", step.decision);
        assert!(step.details[1].contains(score), "{:?}", step.details);
        assert!(step.details[0].contains(", zone eu-1"), "{:?}", step.details);
        gateway.set_mode(balance, origins[0].address(), Drain);
        let step = ask();
        let why = "; of priority 1, because none of a lower number can take a request";
        assert!(step.decision.contains(&origins[1].address().to_string()), "{}", step.decision);
        assert!(step.decision.ends_with(why), "{}", step.decision);
    }
}
