// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes under load: no request fails that would not have failed without them, and nothing is closed that stays.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use weirgate_store::wire::OverrideMode;

use crate::support::client::{Client, connect, get};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

#[test]
fn two_hundred_changes_under_load_fail_no_request() {
    let origins: Vec<Origin> = (0..4).map(|_| Origin::plain()).collect();
    let addresses: Vec<SocketAddr> = origins.iter().map(Origin::address).collect();
    // Which endpoints, and how many routes beside the one that is used, differ from change to change.
    let text = |n: usize| {
        let some: Vec<_> =
            addresses.iter().enumerate().filter(|(at, _)| *at == 0 || (n >> at) & 1 == 1).map(|(_, a)| *a).collect();
        let mut text = to_endpoints(&some);
        for extra in 0..n % 7 {
            writeln!(text, "[routes.r{extra}]\nmatch = {{ path = \"/r{extra}\" }}\nupstream = \"shop\"").unwrap();
        }
        if n.is_multiple_of(3) {
            text += "[policies.edge]\nrequest_headers = { set = { \"X-Edge\" = \"1\" } }\n";
            text = text.replace("[routes.all]", "[routes.all]\npolicies = [\"edge\"]");
        }
        text
    };
    let gateway = Running::start(&text(0));
    let (web, is_over) = (gateway.web(), AtomicBool::new(false));
    let (good, bad) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (is_over, good, bad) = (&is_over, &good, &bad);
            scope.spawn(move || {
                let mut client = Client::to(web);
                let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned();
                let request = if thread % 4 == 3 { post } else { get("/") };
                while !is_over.load(Ordering::Relaxed) {
                    client.say(&request);
                    let reply = client.reply();
                    if reply.status == 200 && reply.one("connection").is_empty() {
                        good.fetch_add(1, Ordering::Relaxed);
                    } else {
                        bad.lock().unwrap().push(format!("{}{}", reply.head, reply.text()));
                    }
                }
            });
        }
        for n in 1..=200 {
            if n % 10 == 0 {
                gateway.set_mode("shop", addresses[0], OverrideMode::Ready);
            }
            gateway.apply(&text(n));
            if n % 10 == 5 && (n >> 1) & 1 == 1 {
                gateway.set_mode("shop", addresses[0], OverrideMode::Drain);
            }
            if n % 10 == 5 || n % 10 == 9 {
                // Something must be there beside the one that is drained.
                gateway.set_mode("shop", addresses[0], OverrideMode::Ready);
            }
            let before = good.load(Ordering::Relaxed);
            wait_until("requests pass between two changes", || good.load(Ordering::Relaxed) > before + 5);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{} of {} failed, such as {}", bad.len(), good.into_inner(), bad[0]);
    assert!(origins.iter().all(|origin| !origin.heads().is_empty()), "an endpoint that was added got nothing");
}

/// What was under way when its endpoint, its route or its upstream is taken out finishes where it began.
#[test]
fn a_request_under_way_outlives_what_it_used() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let slow = Origin::serving(move |peer| {
        while peer.request().is_some() {
            wait.lock().unwrap().recv().unwrap();
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    let other = Origin::named("other");
    let gateway = Running::start(&to_endpoints(&[slow.address()]));
    for change in [
        to_endpoints(&[other.address()]),
        format!("{WEB}{}[routes.new]\nupstream = \"new\"\n", upstream("new", &[other.address()])),
        format!(
            "{WEB}[routes.none]\nmatch = {{ path = \"/none\" }}\nupstream = \"new\"\n{}",
            upstream("new", &[other.address()])
        ),
    ] {
        gateway.apply(&to_endpoints(&[slow.address()]));
        let seen = slow.heads().len();
        let mut client = gateway.connect();
        client.say(get("/"));
        wait_until("the request is under way", || slow.heads().len() > seen);
        gateway.apply(&change);
        go.send(()).unwrap();
        assert_eq!(client.reply().text(), "slow");
        // The next one on the same connection goes by the new configuration.
        client.say(get("/"));
        assert_eq!(client.reply().status, if change.contains("/none") { 404 } else { 200 });
        wait_until("connections to what is gone are closed", || slow.open() == 0);
    }
}

/// A drained endpoint gets nothing new, keeps what it has, and comes back.
#[test]
fn an_endpoint_drains_and_returns() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let slow = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            if head.contains("/slow") {
                wait.lock().unwrap().recv().unwrap();
            }
            peer.say(OK);
        }
    });
    let other = Origin::named("other");
    let gateway = Running::start(&to_endpoints(&[slow.address(), other.address()]));
    gateway.set_mode("shop", other.address(), OverrideMode::Drain);
    let mut client = gateway.connect();
    client.say(get("/slow"));
    wait_until("the request is under way", || slow.heads().len() == 1);
    gateway.set_mode("shop", other.address(), OverrideMode::Ready);
    gateway.set_mode("shop", slow.address(), OverrideMode::Drain);
    // A change of the configuration does not take the operator's word back.
    gateway.apply(&to_endpoints(&[slow.address(), other.address()]));
    assert!((0..20).all(|_| gateway.get("/").text() == "other"));
    go.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
    gateway.set_mode("shop", slow.address(), OverrideMode::Ready);
    wait_until("it gets requests again", || gateway.get("/").text() == "ok");
}

#[test]
fn listeners_come_and_go() {
    let origin = Origin::plain();
    let text = |names: &[&str]| {
        let listeners: String = names.iter().map(|name| WEB.replace("web", name)).collect();
        format!("{listeners}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[origin.address()]))
    };
    let gateway = Running::start(&text(&["web"]));
    let mut kept = gateway.connect();
    gateway.apply(&text(&["web", "more"]));
    let more = gateway.gateway.bound("more").unwrap();
    assert_ne!(more, gateway.web());
    let mut leaving = Client::to(more);
    leaving.say(get("/"));
    assert_eq!(leaving.reply().status, 200);
    gateway.apply(&text(&["web"]));
    assert!(gateway.gateway.bound("more").is_none());
    wait_until("nobody listens any more", || std::net::TcpStream::connect(more).is_err());
    // The other listener noticed nothing.
    kept.say(get("/"));
    assert_eq!(kept.reply().status, 200);
    // A connection of the listener that went is answered once more, and told that this was the last time.
    leaving.say(get("/"));
    let reply = leaving.reply();
    assert_eq!((reply.status, reply.one("connection").as_str()), (200, "close"));
    leaving.expect_closed("the listener is gone");
    drop(connect(gateway.web()));
}

/// A change that cannot run changes nothing.
#[test]
fn a_refused_change_touches_nothing() {
    let origin = Origin::plain();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let gateway = Running::before(&origin);
    let before = gateway.gateway.snapshot().revision;
    let text = format!(
        "{WEB}[listeners.more]\naddress = \"{}\"\nprotocol = \"http\"\n{}[routes.all]\nupstream = \"shop\"\n",
        taken.local_addr().unwrap(),
        upstream("shop", &[Origin::absent()])
    );
    let problems = gateway.refused(&text);
    assert!(problems[0].path == "listeners.more.address", "{problems:?}");
    assert_eq!((gateway.gateway.snapshot().revision, gateway.get("/").status), (before, 200));
}
