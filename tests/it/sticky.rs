// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients stay on the endpoint that served them: over restarts and drains, never over health, and nobody can read or
//! make the word that keeps them there.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use weirgate::runtime::appliance::Traffic;
use weirgate::upstream::sticky::Sticky;
use weirgate_store::wire::OverrideMode::{Drain, Maint, Ready};

use crate::support::client::Reply;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;

const COOKIE: &str = "sticky = { cookie = { name = \"node\", path = \"/shop\", max_age = \"1h\" } }";
const HEADER: &str = "sticky = { header = \"X-Node\" }";

fn config(origins: &[SocketAddr], settings: &str) -> String {
    let origins = upstream("shop", origins);
    format!("{WEB}{origins}balance = \"round-robin\"\n{settings}\n[routes.all]\nupstream = \"shop\"\n")
}

fn named() -> ([Origin; 3], [SocketAddr; 3]) {
    let origins = ["a", "b", "c"].map(Origin::named);
    let addresses = [origins[0].address(), origins[1].address(), origins[2].address()];
    (origins, addresses)
}

fn with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// Replies to so many requests on one connection, so that one worker makes all choices.
fn on_one(gateway: &Running, fields: &str, count: usize) -> Vec<Reply> {
    let mut client = gateway.connect();
    let ask = |_| {
        client.say(with(fields));
        client.reply()
    };
    (0..count).map(ask).collect()
}

fn ask_with(gateway: &Running, cookie: &str) -> Reply {
    gateway.ask(&with(&format!("Cookie: {cookie}\r\n")))
}

/// `name=value` of the cookie that a reply sets.
fn set_cookie(reply: &Reply) -> String {
    reply.one("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn a_cookie_keeps_a_client_on_its_endpoint_also_after_a_restart() {
    let (origins, addresses) = named();
    let gateway = Running::start(&config(&addresses, COOKIE));
    let mut cookies = HashMap::new();
    for reply in on_one(&gateway, "", 6) {
        let set = reply.one("set-cookie");
        assert!(set.starts_with("node="), "{set}");
        assert!(set.ends_with("; Path=/shop; Max-Age=3600; HttpOnly; SameSite=Lax"), "{set}");
        let readable = |address: &SocketAddr| set.contains(&address.to_string()) || set.contains("127.0.0.1");
        assert!(!addresses.iter().any(readable), "{set}");
        cookies.insert(reply.text(), set_cookie(&reply));
    }
    assert_eq!(cookies.len(), 3, "without a cookie all take turns: {cookies:?}");
    let check = |gateway: &Running| {
        for (name, cookie) in cookies.iter().cycle().take(12) {
            let reply = ask_with(gateway, &format!("x=1; {cookie}; y=2"));
            assert_eq!((reply.text(), reply.one("set-cookie")), (name.clone(), String::new()));
        }
    };
    check(&gateway);
    for origin in &origins {
        assert_eq!(origin.field("cookie"), ["x=1; y=2"], "the endpoint does not see ours");
    }
    drop(gateway);
    let mut moved = addresses;
    moved.reverse();
    check(&Running::start(&config(&moved, COOKIE)));
}

#[test]
fn a_drained_endpoint_keeps_its_clients_and_a_dead_one_loses_them() {
    let (_origins, addresses) = named();
    let gateway = Running::start(&config(&addresses, COOKIE));
    let first = gateway.get("/");
    let (name, cookie) = (first.text(), set_cookie(&first));
    let at = addresses[["a", "b", "c"].iter().position(|one| *one == name).unwrap()];
    gateway.set_mode("shop", at, Drain);
    for _ in 0..6 {
        assert_eq!(ask_with(&gateway, &cookie).text(), name, "while it drains");
        assert_ne!(gateway.get("/").text(), name, "and nobody new");
    }
    gateway.set_mode("shop", at, Maint);
    let moved = ask_with(&gateway, &cookie);
    assert_ne!(moved.text(), name);
    let again = set_cookie(&moved);
    assert!(again.starts_with("node=") && again != cookie, "it gets a new one: {again}");
    gateway.set_mode("shop", at, Ready);
    assert_eq!(ask_with(&gateway, &again).text(), moved.text(), "and stays where it is now");
    assert_eq!(ask_with(&gateway, &cookie).text(), name);
    // Taken out of the list.
    let rest: Vec<_> = addresses.into_iter().filter(|address| *address != at).collect();
    gateway.apply(&config(&rest, COOKIE));
    let moved = ask_with(&gateway, &cookie);
    assert_ne!(moved.text(), name);
    assert!(!set_cookie(&moved).is_empty());
}

#[test]
fn a_retry_goes_elsewhere_and_the_client_follows() {
    let good = Origin::named("good");
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let dying = Origin::on(listener, |peer| {
        while peer.request().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ndying");
        }
    });
    let gateway =
        Running::start(&config(&[address, good.address()], &format!("{COOKIE}\nretry = {{ budget = \"100%\" }}")));
    let cookie =
        (0..10).map(|_| gateway.get("/")).find(|reply| reply.text() == "dying").map(|reply| set_cookie(&reply));
    let cookie = cookie.expect("it has its turn");
    assert_eq!(ask_with(&gateway, &cookie).text(), "dying");
    drop(dying);
    crate::support::wait_until("it is gone", || std::net::TcpStream::connect(address).is_err());
    let reply = ask_with(&gateway, &cookie);
    assert_eq!((reply.status, reply.text()), (200, "good".to_owned()));
    assert_eq!(ask_with(&gateway, &set_cookie(&reply)).one("set-cookie"), "");
}

/// A full endpoint passes a request of its client on, and the session stays: waiting would hold up all behind it.
#[test]
fn a_full_endpoint_lends_its_client_out() {
    let is_held = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let held = std::sync::Arc::clone(&is_held);
    let home = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            if head.starts_with("GET /hold ") {
                held.store(true, std::sync::atomic::Ordering::SeqCst);
                return peer.hold();
            }
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhome");
        }
    });
    let other = Origin::named("other");
    let limits = format!("{COOKIE}\nlimits = {{ endpoint_requests = 1 }}");
    let gateway = Running::start(&config(&[home.address(), other.address()], &limits));
    let first = (0..10).map(|_| gateway.get("/")).find(|reply| reply.text() == "home").expect("it has its turn");
    let cookie = set_cookie(&first);
    crate::support::wait_until("nobody is there", || {
        gateway.gateway.upstreams()[0].endpoints.iter().all(|endpoint| endpoint.in_flight == 0)
    });
    let mut busy = gateway.connect();
    busy.say(format!("GET /hold HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
    crate::support::wait_until("it is full", || is_held.load(std::sync::atomic::Ordering::SeqCst));
    let lent = ask_with(&gateway, &cookie);
    assert_eq!((lent.text(), lent.one("set-cookie")), ("other".to_owned(), String::new()));
    busy.reset();
    crate::support::wait_until("it comes home", || ask_with(&gateway, &cookie).text() == "home");
}

/// Rows: values that are not ours, or not for here. Each is as good as none, and none is an error.
#[test]
fn a_value_that_is_not_ours_is_none() {
    let (origins, addresses) = named();
    let gateway = Running::start(&config(&addresses, COOKIE));
    let cookie = set_cookie(&gateway.get("/"));
    let value = cookie.strip_prefix("node=").unwrap();
    let mut flipped = value.to_owned().into_bytes();
    flipped[40] = if flipped[40] == b'0' { b'1' } else { b'0' };
    let long = "f".repeat(4000);
    let elsewhere = Running::start(&config(&addresses, COOKIE).replace("shop", "other").replace("/other", "/shop"));
    let foreign = set_cookie(&elsewhere.get("/")).replace("node=", "");
    let address = addresses[0].to_string();
    let rows = [
        "",
        "0",
        &address,
        &value[1..],
        &value.to_uppercase(),
        std::str::from_utf8(&flipped).unwrap(),
        &long,
        &foreign,
        "\"\"",
        "%00",
    ];
    for row in rows {
        let replies = on_one(&gateway, &format!("Cookie: node={row}\r\n"), 3);
        for reply in &replies {
            assert_eq!(reply.status, 200, "row {row}");
            assert!(set_cookie(reply).starts_with("node="), "row {row}: a good one is given");
        }
        let served: HashSet<_> = replies.iter().map(Reply::text).collect();
        assert_eq!(served.len(), 3, "row {row}: it chose an endpoint");
    }
    for origin in &origins {
        assert!(origin.field("cookie").is_empty(), "the endpoint sees none of it");
    }
    // A bad one before a good one, as a browser may send them.
    let name = ask_with(&gateway, &cookie).text();
    assert!((0..4).all(|_| ask_with(&gateway, &format!("node=x; {cookie}")).text() == name));
}

#[test]
fn a_header_keeps_a_client_too() {
    let (origins, addresses) = named();
    let gateway = Running::start(&config(&addresses, HEADER));
    let first = gateway.get("/");
    let word = first.one("x-node");
    assert!(!word.is_empty());
    for _ in 0..6 {
        let reply = gateway.ask(&with(&format!("x-node: {word}\r\n")));
        assert_eq!((reply.text(), reply.one("x-node")), (first.text(), String::new()));
    }
    assert!(origins.iter().all(|origin| origin.heads().iter().all(|head| !head.to_lowercase().contains("x-node"))));
}

/// Endpoints that begin a session for whoever has none, and say in each reply who they are.
fn sessions(name: &'static str) -> Origin {
    let count = std::sync::atomic::AtomicU32::new(0);
    Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            let new = !head.to_lowercase().contains("cookie: sid=");
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let set = if new { format!("Set-Cookie: sid={name}{number}; Path=/\r\n") } else { String::new() };
            peer.say(format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{name}", name.len()));
        }
    })
}

fn learning(entries: u32) -> String {
    format!("sticky = {{ learn = {{ cookie = \"sid\", entries = {entries}, idle = \"10m\" }} }}")
}

#[test]
fn what_an_endpoint_sets_is_learnt_and_known_after_a_restart() {
    let origins = ["a", "b", "c"].map(sessions);
    let addresses = [origins[0].address(), origins[1].address(), origins[2].address()];
    let text = config(&addresses, &learning(64));
    let gateway = Running::start(&text);
    let begun: Vec<_> = on_one(&gateway, "", 9).iter().map(|reply| (reply.text(), set_cookie(reply))).collect();
    let check = |gateway: &Running| {
        for (name, cookie) in begun.iter().chain(&begun) {
            assert_eq!(ask_with(gateway, cookie).text(), *name, "{cookie}");
        }
    };
    check(&gateway);
    assert!(begun.iter().map(|(name, _)| name).collect::<HashSet<_>>().len() == 3);
    // The endpoint gets its own cookie, and one that nobody set is not learnt.
    assert!(origins[0].field("cookie")[0].starts_with("sid=a"));
    let served: HashSet<_> = on_one(&gateway, "Cookie: sid=made-up\r\n", 3).iter().map(Reply::text).collect();
    assert_eq!(served.len(), 3, "{served:?}");
    // A change of something else keeps it, and so does a drain.
    gateway.apply(&format!("{text}max_body = \"1KiB\"\n"));
    check(&gateway);
    gateway.set_mode("shop", addresses[0], Drain);
    check(&gateway);
    let snapshot = gateway.gateway.snapshot();
    let Some(Sticky::Learn { table, idle_s, .. }) = &snapshot.upstreams[0].sticky else { panic!("it learns") };
    let now_s = u32::try_from(weirgate::clock::wall_ms() / 1000).unwrap();
    let learned = HashMap::from([("shop".to_owned(), table.export(now_s, *idle_s))]);
    drop(gateway);
    check(&Running::remembering(&text, |known| known.traffic = Traffic { learned, ..Traffic::default() }));
}

#[test]
fn a_learnt_session_moves_with_its_client() {
    let origins = ["a", "b"].map(sessions);
    let addresses = [origins[0].address(), origins[1].address()];
    let gateway = Running::start(&config(&addresses, &learning(64)));
    let first = gateway.get("/");
    let at = usize::from(first.text() == "b");
    let cookie = set_cookie(&first);
    gateway.set_mode("shop", addresses[at], Maint);
    let moved = ask_with(&gateway, &cookie).text();
    assert_ne!(moved, first.text());
    gateway.set_mode("shop", addresses[at], Ready);
    assert!((0..4).all(|_| ask_with(&gateway, &cookie).text() == moved), "it stays where it went");
}

#[test]
fn the_table_of_what_was_learnt_is_bounded() {
    let origin = sessions("a");
    let gateway = Running::start(&config(&[origin.address()], &learning(16)));
    let mut client = gateway.connect();
    for _ in 0..300 {
        client.say(crate::support::client::get("/"));
        assert_eq!(client.reply().status, 200);
    }
    let snapshot = gateway.gateway.snapshot();
    let Some(Sticky::Learn { table, .. }) = &snapshot.upstreams[0].sticky else { panic!("it learns") };
    let known = table.export(u32::MAX / 2, u32::MAX).len();
    assert!((8..=16).contains(&known), "{known}");
}

/// A split by chance would tear a session apart, so a session keeps its side while that has a share.
#[test]
fn a_session_keeps_its_side_of_a_split() {
    let (old, new) = (["old-1", "old-2"].map(Origin::named), ["new-1", "new-2"].map(Origin::named));
    let sides = |weights: [u32; 2]| {
        let group = |name: &str, origins: &[Origin; 2]| {
            format!("{}{COOKIE}\n", upstream(name, &[origins[0].address(), origins[1].address()]))
        };
        let [one, two] = weights;
        format!(
            "{WEB}{}{}[routes.all]\nsplit = [{{ upstream = \"old\", weight = {one} }}, {{ upstream = \"new\", weight = {two} }}]\n",
            group("old", &old),
            group("new", &new)
        )
    };
    let gateway = Running::start(&sides([1, 1]));
    for _ in 0..10 {
        let first = gateway.get("/");
        let cookie = set_cookie(&first);
        assert!((0..4).all(|_| ask_with(&gateway, &cookie).text() == first.text()));
    }
    let first = (0..50).map(|_| gateway.get("/")).find(|reply| reply.text().starts_with("new")).expect("a half");
    gateway.apply(&sides([1, 0]));
    let moved = ask_with(&gateway, &set_cookie(&first));
    assert!(moved.text().starts_with("old"), "a side without a share keeps nobody");
    assert!(!set_cookie(&moved).is_empty());
}
