// SPDX-License-Identifier: MIT OR Apache-2.0
//! `kill -9` at random moments while changes are applied: what was acknowledged is there after the restart, and what
//! was not is there whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::support::daemon::{Daemon, WEB, upstream};
use super::support::origin::Origin;
use super::support::{amount, pause};

/// Changes per kill, about.
const CHANGES_PER_KILL: u64 = 12;

/// Applies changes until the daemon dies; each one writes its number into three objects.
fn apply_until_killed(daemon: &Daemon, asked: &AtomicU64, kept: &AtomicU64) {
    let Ok(mut control) = daemon.control() else { return };
    loop {
        let number = asked.load(Ordering::SeqCst) + 1;
        asked.store(number, Ordering::SeqCst);
        let put = |kind: &str, name: &str, object: serde_json::Value| json!({ "op": "merge", "kind": kind, "name": name, "patch": object });
        let change = json!({ "comment": format!("{number}"), "edits": [
            put("route", "all", json!({ "match": { "path": format!("/{number}") } })),
            put("upstream", "shop", json!({ "timeouts": { "connect": format!("{}ms", number + 1000) } })),
            put("consumer", "alice", json!({ "groups": [format!("g{number}")] })),
        ] });
        match control.ask("POST", "/v1/change", "Content-Type: application/json\r\n", &change.to_string()) {
            Ok(reply) if reply.status == 200 => kept.store(number, Ordering::SeqCst),
            Ok(reply) => panic!("change {number}: {} {}", reply.status, reply.body),
            Err(_) => return,
        }
    }
}

/// The number that all three objects agree on.
#[track_caller]
fn number_in(daemon: &Daemon) -> u64 {
    let route = daemon.json(&["route", "show", "all"]);
    let path = route["match"]["path"].as_str().unwrap_or("/0").trim_start_matches('/').parse().unwrap_or(0);
    let consumer = daemon.json(&["consumer", "show", "alice"]);
    let group = consumer["groups"][0].as_str().unwrap_or("g0").trim_start_matches('g').parse().unwrap_or(0);
    assert_eq!(path, group, "half a change: {route} {consumer}");
    let shop = daemon.json(&["upstream", "show", "shop"]);
    if path > 0 {
        let connect = shop["timeouts"]["connect"].as_str().unwrap_or_default();
        let ms = |text: &str| {
            let seconds = text.strip_suffix("ms").map(|ms| ms.parse::<u64>().unwrap_or(0));
            seconds.or_else(|| text.strip_suffix('s').map(|s| s.parse::<u64>().unwrap_or(0) * 1000))
        };
        assert_eq!(ms(connect), Some(path + 1000), "half a change: {route} {shop}");
    }
    path
}

#[test]
fn every_acknowledged_change_survives_a_kill() {
    let origin = Origin::named("one");
    let toml = format!(
        "{WEB}{}[routes.all]\nmatch = {{ path = \"/0\" }}\nupstream = \"shop\"\n[consumers.alice]\n",
        upstream("shop", &[origin.address])
    );
    let mut daemon = Daemon::start(&toml);
    let (asked, kept) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (mut dice, mut kills) = (fastrand::Rng::with_seed(7), 0);
    let all = amount(60, 500) as u64;
    while kept.load(Ordering::SeqCst) < all {
        let target = kept.load(Ordering::SeqCst) + dice.u64(1..CHANGES_PER_KILL * 2);
        let after = Duration::from_micros(dice.u64(0..20_000));
        let pid = daemon.pid();
        let reached = Arc::clone(&kept);
        let killer = std::thread::spawn(move || {
            super::support::wait_until("the change before the kill", || reached.load(Ordering::SeqCst) >= target);
            pause(after);
            super::support::output_of(std::process::Command::new("kill").arg("-9").arg(pid.to_string()));
        });
        apply_until_killed(&daemon, &asked, &kept);
        killer.join().unwrap();
        kills += 1;
        daemon.kill();
        daemon.restart();
        let found = number_in(&daemon);
        let (kept_now, asked_now) = (kept.load(Ordering::SeqCst), asked.load(Ordering::SeqCst));
        assert!(found >= kept_now, "change {kept_now} was acknowledged and is lost: {found} runs\n{}", daemon.log());
        assert!(found <= asked_now, "{found} was never asked for");
        kept.store(found, Ordering::SeqCst);
        asked.store(found, Ordering::SeqCst);
        assert_eq!(daemon.status()["store"]["health"], "ok", "{}", daemon.log());
    }
    eprintln!("{} changes, {kills} kills", kept.load(Ordering::SeqCst));
}
