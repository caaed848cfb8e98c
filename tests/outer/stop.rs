// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stop under load: requests in flight finish, nothing is cut, the exit code says so. And what is known survives it.

use super::support::client::{Client, get};
use super::support::daemon::{Daemon, WEB, to_endpoints};
use super::support::load::Load;
use super::support::origin::Origin;
use super::support::wait_until;

/// Requests that are under way when the stop comes.
const IN_FLIGHT: usize = 20;

#[test]
fn no_request_in_flight_is_cut() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let web = daemon.web();
    let asked: Vec<_> = (0..IN_FLIGHT).map(|_| std::thread::spawn(move || get(web, "/slow"))).collect();
    wait_until("all are under way", || origin.waiting() == IN_FLIGHT);
    let mut kept = Client::connect(web).unwrap();
    assert_eq!(kept.ask("GET", "/", "", "").unwrap().status, 200);
    daemon.signal("TERM");
    wait_until("it stops", || daemon.log().contains("stopping"));
    wait_until("no new connection is taken", || get(web, "/").is_err());
    origin.release();
    for (number, asked) in asked.into_iter().enumerate() {
        let reply = asked.join().unwrap().unwrap_or_else(|error| panic!("request {number} was cut: {error}"));
        assert_eq!((reply.status, reply.body.as_str()), (200, "one"), "request {number}");
    }
    let status = daemon.ended();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("stopped"), "{}", daemon.log());
    assert!(!daemon.socket().exists(), "the control socket is gone");
}

#[test]
fn a_stop_under_load_answers_what_it_took() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let load = Load::on(daemon.web(), &["/", "/", "/"], "");
    wait_until("traffic flows", || load.good() > 200);
    daemon.signal("TERM");
    let status = daemon.ended();
    let (_, failures) = load.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    // After the end nobody listens; before it, every request that was taken got its answer.
    let cut: Vec<_> = failures.iter().filter(|failure| !is_after_the_end(failure)).collect();
    assert!(cut.is_empty(), "{cut:#?}");
}

/// Refused, or closed while it was idle: no byte of a reply was lost.
fn is_after_the_end(failure: &str) -> bool {
    ["Connection refused", "Connection reset", "Broken pipe", "closed after \"\""]
        .iter()
        .any(|how| failure.contains(how))
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let second = daemon.command().output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another weirgate"), "{said}");
    assert_eq!(get(daemon.web(), "/").unwrap().status, 200);
    assert_eq!(daemon.status()["revision"]["number"], 1);
}

#[test]
fn two_daemons_do_not_share_a_port() {
    let origin = Origin::named("one");
    let first = Daemon::start(&to_endpoints(&[origin.address]));
    let toml = to_endpoints(&[origin.address]).replace("127.0.0.1:0", &first.web().to_string());
    let second = Daemon::prepared(&toml);
    let output = second.command().args(["--apply", "gate.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("listeners.web.address") && said.contains("another program has this port"), "{said}");
    // In one daemon a port goes from one listener to another in one change, and stays open.
    let moved = toml.replace("[listeners.web]", "[listeners.edge]");
    std::fs::write(first.path("moved.toml"), &moved).unwrap();
    let web = first.web();
    first.done(&["apply", "moved.toml"]);
    assert_eq!(first.bound("edge"), web);
    wait_until("it serves", || get(web, "/").is_ok_and(|reply| reply.status == 200));
}

#[test]
fn health_and_overrides_survive_a_restart() {
    let (well, sick) = (Origin::named("well"), Origin::named("sick"));
    sick.set_sick(true);
    let health =
        "health = { http = { path = \"/healthz\" }, interval = \"100ms\", timeout = \"1s\", fall = 1, rise = 1 }";
    let toml = format!(
        "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]\n{health}\n[routes.all]\nupstream = \"shop\"\n",
        well.address, sick.address
    );
    let mut daemon = Daemon::start(&toml);
    let of = |daemon: &Daemon, origin: &Origin| {
        let status = daemon.status();
        let all = status["upstreams"][0]["endpoints"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["address"] == origin.address.to_string()).unwrap()
    };
    wait_until("the sick one is found down", || of(&daemon, &sick)["health"] == "down");
    wait_until("the well one is found up", || of(&daemon, &well)["health"] == "up");
    let address = well.address.to_string();
    daemon.done(&["weight", "shop", &address, "7", "--reason", "a test"]);
    daemon.done(&["drain", "shop", &sick.address.to_string(), "--reason", "broken"]);
    // Slow enough that only what was remembered can be seen.
    daemon.done(&["upstream", "set", "shop", "health.interval=1h"]);
    daemon.stop();
    daemon.restart();
    assert_eq!(of(&daemon, &well)["weight"], 7, "{}", daemon.status());
    assert_eq!(of(&daemon, &sick)["override"]["mode"], "drain", "{}", daemon.status());
    assert_eq!(of(&daemon, &sick)["override"]["reason"], "broken");
    for _ in 0..20 {
        assert_eq!(get(daemon.web(), "/").unwrap().body, "well");
    }
    daemon.done(&["ready", "shop", &sick.address.to_string()]);
    daemon.kill();
    daemon.restart();
    assert!(of(&daemon, &sick)["override"].is_null(), "{}", daemon.status());
    assert_eq!(of(&daemon, &well)["weight"], 7, "a kill loses nothing that was acknowledged");
}
