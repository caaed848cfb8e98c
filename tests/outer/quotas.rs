// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotas of a real daemon: `kill -9` at random moments forgets no more than was counted since the last flush, a stop
//! forgets nothing, and a refused request is never counted. And the rate of a limit for as long as the release notes say.

use std::time::{Duration, Instant};

use weirgate::clock;
use weirgate::runtime::counting::FLUSH_EVERY;

use super::support::client::Client;
use super::support::daemon::{Daemon, WEB, upstream};
use super::support::origin::Origin;
use super::support::{amount, wait_until};

const KEY: &str = "X-Api-Key: alice-one-0123456789abcdef\r\n";

/// What a flush may take beyond its time on a busy machine.
const FLUSH_TAKES_MAX: Duration = Duration::from_secs(3);

fn config(quota: u64, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ api_key = {{ header = \"X-Api-Key\" }} }}, \"month\"]\n\
         [policies.month]\nquota = {{ requests = {quota}, per = \"month\" }}\n\
         [plans.default]\nquotas = [{{ requests = {quota}, per = \"day\" }}]\n\
         [consumers.alice]\napi_keys = [{{ secret = \"alice-one-0123456789abcdef\" }}]\n",
        upstream("shop", &[origin.address])
    )
}

/// What is used of both quotas, which count the same requests. They are flushed one after the other, so after a kill
/// one may know a little more.
#[track_caller]
fn used(daemon: &Daemon) -> u64 {
    let usage = daemon.json(&["usage", "alice"]);
    let used: Vec<_> =
        usage["limits"].as_array().unwrap().iter().map(|limit| limit["used"].as_u64().unwrap()).collect();
    assert_eq!(used.len(), 2, "{usage}");
    used[0].min(used[1])
}

/// Asks until the time is over; when each request was granted.
fn ask_for(daemon: &Daemon, time: Duration) -> Vec<Instant> {
    let mut client = Client::connect(daemon.web()).unwrap();
    let (begun, mut granted) = (clock::now(), Vec::new());
    while clock::now() - begun < time {
        let reply = client.ask("GET", "/", KEY, "").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.head);
        granted.push(clock::now());
    }
    granted
}

#[test]
fn a_kill_forgets_no_more_than_one_flush() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&config(1_000_000_000, &origin));
    let (mut dice, mut before) = (fastrand::Rng::with_seed(11), 0);
    for round in 0..amount(2, 12) {
        let granted = ask_for(&daemon, FLUSH_EVERY + Duration::from_millis(dice.u64(0..5_000)));
        let killed = clock::now();
        daemon.kill();
        daemon.restart();
        let found = used(&daemon);
        let all = before + granted.len() as u64;
        let kept = |at: &&Instant| killed - **at > FLUSH_EVERY + FLUSH_TAKES_MAX;
        let least = before + granted.iter().filter(kept).count() as u64;
        assert!(
            (least..=all).contains(&found),
            "round {round}: {found} are known of {all}, at least {least} were kept"
        );
        before = found;
    }
    daemon.stop();
    daemon.restart();
    assert_eq!(used(&daemon), before, "a stop forgets nothing");
    let shown = daemon.done(&["usage", "alice"]);
    assert!(shown.contains("default:day") && shown.contains("month"), "{shown}");
    assert!(daemon.done(&["usage", "alice", "--reset", "--dry-run"]).contains("month"));
    assert_eq!(used(&daemon), before);
    daemon.done(&["usage", "alice", "--reset"]);
    assert_eq!(used(&daemon), 0);
    daemon.stop();
}

#[test]
fn a_used_up_quota_stays_used_up_over_a_restart() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&config(20, &origin));
    let ask = |daemon: &Daemon| {
        let mut client = Client::connect(daemon.web()).unwrap();
        client.ask("GET", "/", KEY, "").unwrap().status
    };
    let statuses: Vec<_> = (0..30).map(|_| ask(&daemon)).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20, "{statuses:?}");
    daemon.stop();
    daemon.restart();
    assert_eq!((ask(&daemon), used(&daemon)), (429, 20));
    daemon.stop();
}

#[test]
fn a_limit_is_exact_for_as_long_as_it_is_hammered() {
    const RATE: f64 = 200.0;
    const BURST: f64 = 100.0;
    let origin = Origin::named("one");
    let toml = format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\n\
         policies = [{{ rate_limit = {{ per = \"route\", rate = \"200/s\", burst = 100 }} }}]\n",
        upstream("shop", &[origin.address])
    );
    let mut daemon = Daemon::start(&toml);
    let (web, time) = (daemon.web(), Duration::from_secs(amount(5, 30) as u64));
    let begun = clock::now();
    let counts: Vec<(u64, Instant, Instant)> = std::thread::scope(|scope| {
        let client = || {
            let mut client = Client::connect(web).unwrap();
            let (mut granted, mut first) = (0, None);
            loop {
                let asked = clock::now();
                match client.ask("GET", "/", "", "").unwrap().status {
                    200 => {
                        granted += 1;
                        first.get_or_insert_with(clock::now);
                    }
                    429 if asked - begun >= time => return (granted, first.unwrap_or(asked), asked),
                    status => assert_eq!(status, 429),
                }
            }
        };
        let clients: Vec<_> = (0..64).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let ended = clock::now();
    let granted = counts.iter().map(|(granted, ..)| *granted).sum::<u64>();
    let first = counts.iter().map(|(_, first, _)| *first).min().unwrap();
    let refused = counts.iter().map(|(.., refused)| *refused).max().unwrap();
    let due = |from: Instant, to: Instant| (to - from).as_secs_f64() * RATE + BURST;
    let (least, most) = (due(first, refused) - 1.0, due(begun, ended) + 1.0);
    let got = f64::from(u32::try_from(granted).unwrap());
    assert!((least..=most).contains(&got), "{got} of {least:.1} to {most:.1} in {time:?}");
    eprintln!("{got} requests; {least:.1} to {most:.1} were due in {time:?}");
    wait_until("it still answers", || daemon.status()["revision"]["number"] == 1);
    daemon.stop();
}
