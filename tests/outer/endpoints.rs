// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that come, go and are awaited, by the commands an operator types.

use std::process::Stdio;

use super::support::client::{Client, get};
use super::support::daemon::{Daemon, WEB, to_endpoints};
use super::support::origin::Origin;
use super::support::wait_until;

/// A request that is under way at `/slow`.
fn under_way(daemon: &Daemon, origin: &Origin) -> std::thread::JoinHandle<u16> {
    let web = daemon.web();
    let client = std::thread::spawn(move || get(web, "/slow").unwrap().status);
    wait_until("it is under way", || origin.waiting() > 0);
    client
}

#[test]
fn a_drain_is_awaited_until_what_was_in_flight_is_over() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let daemon = Daemon::start(&to_endpoints(&[one.address, two.address]));
    daemon.done(&["maint", "shop", &two.address.to_string()]);
    let client = under_way(&daemon, &one);
    daemon.done(&["ready", "shop", &two.address.to_string()]);
    let mut drain = daemon.client();
    drain.args(["drain", "shop", &one.address.to_string(), "--wait"]).stdout(Stdio::piped());
    let mut drain = drain.spawn().unwrap();
    wait_until("it drains", || daemon.done(&["status"]).contains("~ drain"));
    assert_eq!(get(daemon.web(), "/").unwrap().body, "two");
    assert!(drain.try_wait().unwrap().is_none(), "it did not wait");
    one.release();
    assert_eq!(client.join().unwrap(), 200);
    let output = drain.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.ends_with("nothing is in flight\n"), "{said}");
}

#[test]
fn a_drain_cuts_at_its_deadline_and_an_override_expires() {
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let address = origin.address.to_string();
    let mut client = Client::connect(daemon.web()).unwrap();
    let slow = std::thread::spawn(move || client.ask("POST", "/slow", "", "").unwrap().status);
    wait_until("it is under way", || origin.waiting() > 0);
    daemon.done(&["drain", "shop", &address, "--deadline", "1s", "--expires", "1h", "--wait", "--reason", "a test"]);
    assert_eq!(slow.join().unwrap(), 503);
    let status = daemon.done(&["status", "shop"]);
    assert!(status.contains("its deadline has passed: a test") && status.contains("ends in 59 m"), "{status}");
    daemon.done(&["maint", "shop", &address, "--expires", "1s"]);
    wait_until("it expires", || get(daemon.web(), "/").unwrap().status == 200);
    let audit = daemon.api("GET", "/v1/audit", "").unwrap().body;
    assert!(audit.contains("weirgate (expiry)") && audit.contains("the drain deadline passed"), "{audit}");
    assert_eq!(daemon.ask(&["maint", "shop", &address, "--expires", "10ms"]).code, Some(2));
    origin.release();
}

#[test]
fn endpoints_register_and_the_daemon_remembers_them() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&format!(
        "{WEB}[upstreams.live]\ndiscovery = {{ lease = {{ ttl = \"60s\" }} }}\n[routes.all]\nupstream = \"live\"\n"
    ));
    let address = origin.address.to_string();
    assert!(daemon.done(&["status"]).contains("live: no endpoint holds a lease"));
    assert_eq!(daemon.json(&["lease", "live", &address, "--weight", "3"])["origin"], "lease");
    assert_eq!(get(daemon.web(), "/").unwrap().body, "one");
    daemon.stop();
    daemon.restart();
    assert_eq!(get(daemon.web(), "/").unwrap().body, "one");
    assert!(daemon.done(&["status", "live"]).contains("1 endpoint holds a lease, which ends in "));
    daemon.done(&["lease", "live", &address, "--remove"]);
    assert_eq!(get(daemon.web(), "/").unwrap().status, 503);
    assert_eq!(daemon.ask(&["lease", "live", &address, "--remove"]).code, Some(1));
    assert_eq!(daemon.ask(&["lease", "live", &address, "--ttl", "2m"]).code, Some(1));
    assert_eq!(daemon.ask(&["lease", "live", "nonsense"]).code, Some(1));
    assert_eq!(daemon.status()["revision"]["number"], 1, "none of it is configuration");
}

#[test]
fn a_name_that_no_server_knows_is_told() {
    let mut daemon = Daemon::prepared(&format!(
        "{WEB}[upstreams.shop]\ndiscovery = {{ dns = \"shop.test.:80\" }}\n[routes.all]\nupstream = \"shop\"\n"
    ));
    // Nothing listens there, so whoever asks is told at once.
    let nobody = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let file = daemon.path("gate.toml");
    let mut command = daemon.command();
    daemon.launch(command.arg("--resolver").arg(nobody.to_string()).arg("--apply").arg(file));
    wait_until("it was asked", || daemon.done(&["status"]).contains("shop: DNS has no answer for shop.test.: "));
    assert_eq!(get(daemon.web(), "/").unwrap().status, 503);
}

#[test]
fn connections_are_listed_and_ended() {
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let mut client = Client::connect(daemon.web()).unwrap();
    assert_eq!(client.ask("GET", "/", "", "").unwrap().status, 200);
    let listed = daemon.json(&["connections", "--listener", "web"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let id = listed[0]["id"].to_string();
    assert!(daemon.done(&["connections"]).contains(&id));
    assert_eq!(daemon.json(&["connections", "--listener", "other"]).as_array().map(Vec::len), Some(0));
    daemon.done(&["connections", "kill", &id]);
    assert!(client.ask("GET", "/", "", "").is_err(), "it was ended");
    assert_eq!(daemon.ask(&["connections", "kill", &id]).code, Some(1));
}

#[test]
fn the_timeline_tells_when_and_why_an_endpoint_went() {
    let origin = Origin::named("one");
    let toml = to_endpoints(&[origin.address]);
    let checked = "health = { http = { path = \"/healthz\" }, interval = \"100ms\", fall = 2, rise = 2 }\n[routes.all]";
    let daemon = Daemon::start(&toml.replace("[routes.all]", checked));
    origin.set_sick(true);
    wait_until("it is down", || daemon.done(&["status", "shop"]).contains("✗ down"));
    origin.set_sick(false);
    wait_until("it is up", || daemon.done(&["status", "shop"]).contains("✓ up"));
    wait_until("both are told", || {
        let told = daemon.json(&["timeline", "shop"]);
        let words: Vec<_> = told.as_array().unwrap().iter().map(|event| event["health"].as_str().unwrap()).collect();
        words.starts_with(&["up", "down"])
    });
    let told = daemon.done(&["timeline", "shop", &format!(":{}", origin.address.port()), "-n", "2"]);
    assert!(told.contains("✗ down") && told.contains("500"), "{told}");
    assert_eq!(daemon.ask(&["timeline", "nobody"]).code, Some(1));
}
