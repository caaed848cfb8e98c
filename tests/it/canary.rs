// SPDX-License-Identifier: MIT OR Apache-2.0
//! A split that moves by itself: forward while all is well, back or to a stop when it is not, and on from where it was
//! after a restart. Steps are short and tests wait for what happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use weirgate::runtime::appliance::Traffic;
use weirgate_store::wire::{CanaryStatus, CanaryVerb};

use crate::support::client::get;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;
use crate::support::wait_until;

/// An endpoint whose status is decided while it runs.
fn answering(status: &Arc<AtomicU16>) -> Origin {
    let status = Arc::clone(status);
    Origin::serving(move |peer| {
        while peer.request().is_some() {
            let status = status.load(Ordering::SeqCst);
            peer.say(format!("HTTP/1.1 {status} Said\r\nContent-Length: 3\r\n\r\nnew"));
        }
    })
}

fn config(old: &Origin, new: &Origin, canary: &str) -> String {
    format!(
        "{WEB}{}{}[routes.all]\nsplit = [{{ upstream = \"old\", weight = 1 }}, {{ upstream = \"new\", weight = 0 }}]\n\
         canary = {{ upstream = \"new\", every = \"300ms\", requests = 10, {canary} }}\n",
        upstream("old", &[old.address()]),
        upstream("new", &[new.address()]),
    )
}

fn status(gateway: &Running) -> CanaryStatus {
    gateway.gateway.canaries.statuses().pop().expect("there is a canary")
}

/// Asks until `what` holds of the canary.
#[track_caller]
fn ask_until(gateway: &Running, what: &str, holds: impl Fn(&CanaryStatus) -> bool) -> CanaryStatus {
    let mut client = gateway.connect();
    wait_until(what, || {
        for _ in 0..10 {
            client.say(get("/"));
            client.reply();
        }
        holds(&status(gateway))
    });
    status(gateway)
}

#[test]
fn it_rises_by_its_steps_and_says_when_it_is_done() {
    let (old, fine) = (Origin::named("old"), Arc::new(AtomicU16::new(200)));
    let new = answering(&fine);
    let gateway = Running::start(&config(&old, &new, "steps = [\"20%\", \"60%\", \"100%\"]"));
    let first = status(&gateway);
    assert_eq!((first.percent, first.step, first.state.as_str()), (20, Some(0), "moving"));
    assert_eq!(gateway.gateway.snapshot().revision, 1);
    let second = ask_until(&gateway, "the second step", |canary| canary.step >= Some(1));
    assert!(second.since_ms - first.since_ms >= 300, "{first:?} {second:?}");
    let done = ask_until(&gateway, "it is done", |canary| canary.state == "done");
    assert_eq!((done.percent, done.step), (100, Some(2)));
    assert!(done.reason.contains("upstream = \"new\""), "{}", done.reason);
    assert!((0..10).all(|_| gateway.get("/").text() == "new"));
    assert_eq!(gateway.gateway.snapshot().revision, 1, "no revision was made");
}

#[test]
fn without_requests_it_stays_however_long() {
    let (old, fine) = (Origin::named("old"), Arc::new(AtomicU16::new(200)));
    let new = answering(&fine);
    let gateway = Running::start(
        &config(&old, &new, "steps = [\"50%\", \"100%\"]").replace("requests = 10", "requests = 1000000"),
    );
    let begun = weirgate::clock::now();
    ask_until(&gateway, "a second has passed", |_| begun.elapsed().as_secs() >= 1);
    assert_eq!(status(&gateway).step, Some(0));
}

#[test]
fn failures_send_it_back_and_an_operator_starts_it_again() {
    let (old, fine) = (Origin::named("old"), Arc::new(AtomicU16::new(200)));
    let new = answering(&fine);
    let gateway = Running::start(
        &config(&old, &new, "steps = [\"50%\", \"90%\"], every = \"1h\"").replace("every = \"300ms\", ", ""),
    );
    fine.store(503, Ordering::SeqCst);
    let back = ask_until(&gateway, "it goes back", |canary| canary.state == "back");
    assert_eq!((back.percent, back.step), (0, None));
    assert!(back.reason.contains("went back from 50%") && back.reason.contains("failed"), "{}", back.reason);
    assert!((0..20).all(|_| gateway.get("/").text() == "old"));
    // Another revision changes nothing about that.
    gateway.apply(
        &config(&old, &new, "steps = [\"50%\", \"90%\"], errors_max = \"50%\", every = \"1h\"")
            .replace("every = \"300ms\", ", ""),
    );
    assert_eq!(status(&gateway).state, "back");
    let ask = |verb| gateway.gateway.canaries.ask("all", verb, "ana", weirgate::clock::wall_ms());
    assert!(ask(CanaryVerb::Resume).is_err_and(|why| why.contains("start it")));
    fine.store(200, Ordering::SeqCst);
    ask(CanaryVerb::Start).unwrap();
    assert_eq!((status(&gateway).percent, status(&gateway).reason.as_str()), (50, "started by ana"));
    ask(CanaryVerb::Stop).unwrap();
    assert_eq!((status(&gateway).percent, status(&gateway).state.as_str()), (50, "stopped"));
    ask(CanaryVerb::Resume).unwrap();
    ask(CanaryVerb::Back).unwrap();
    assert!((0..20).all(|_| gateway.get("/").text() == "old"));
    assert!(gateway.gateway.canaries.ask("none", CanaryVerb::Back, "ana", 0).is_err());
}

#[test]
fn slow_replies_stop_it_where_it_is() {
    let old = Origin::named("old");
    let slow = Origin::serving(|peer| {
        while peer.request().is_some() {
            // Slow by having much to do, not by a clock.
            let begun = weirgate::clock::now();
            while begun.elapsed().as_millis() < 30 {
                std::thread::yield_now();
            }
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
        }
    });
    let settings = "steps = [\"50%\", \"90%\"], latency_max = \"10ms\", on_trouble = \"stop\"";
    let gateway = Running::start(&config(&old, &slow, settings));
    let stopped = ask_until(&gateway, "it stops", |canary| canary.state == "stopped");
    assert_eq!((stopped.percent, stopped.step), (50, Some(0)));
    assert!(stopped.reason.contains("in the mean"), "{}", stopped.reason);
}

#[test]
fn a_restart_goes_on_from_the_step_that_was_reached() {
    let (old, fine) = (Origin::named("old"), Arc::new(AtomicU16::new(200)));
    let new = answering(&fine);
    let text = config(&old, &new, "steps = [\"10%\", \"40%\", \"100%\"]");
    let gateway = Running::start(&text);
    ask_until(&gateway, "the second step", |canary| canary.step == Some(1) || canary.state == "done");
    gateway.gateway.canaries.ask("all", CanaryVerb::Stop, "ana", weirgate::clock::wall_ms()).ok();
    let kept = gateway.gateway.canaries.records().borrow().clone();
    let before = status(&gateway);
    drop(gateway);
    let gateway =
        Running::remembering(&text, |known| known.traffic = Traffic { canaries: kept.clone(), ..Traffic::default() });
    assert_eq!(status(&gateway), before);
    drop(gateway);
    // Other steps are another canary.
    let other = config(&old, &new, "steps = [\"15%\", \"100%\"]");
    let gateway =
        Running::remembering(&other, |known| known.traffic = Traffic { canaries: kept, ..Traffic::default() });
    assert_eq!((status(&gateway).percent, status(&gateway).step), (15, Some(0)));
    // And a route without one has none.
    let plain = other.lines().filter(|line| !line.starts_with("canary")).collect::<Vec<_>>().join("\n");
    gateway.apply(&plain.replace("weight = 0", "weight = 3"));
    assert!(gateway.gateway.canaries.statuses().is_empty() && gateway.gateway.canaries.records().borrow().is_empty());
}
