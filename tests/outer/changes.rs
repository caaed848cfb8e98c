// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes in a row under load: no request fails, no connection is dropped, memory stays flat.

use serde_json::json;

use super::support::client::Client;
use super::support::daemon::{Daemon, WEB, upstream};
use super::support::load::Load;
use super::support::origin::Origin;
use super::support::{amount, wait_until};

/// Memory may grow by this much between a fifth of the changes and all of them: what one more revision costs in caches
/// is bounded, a leak per change is not.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

/// Changes between two looks at the drained endpoint.
const ROUND: usize = 5;

struct Steps<'a> {
    daemon: &'a Daemon,
    origins: &'a [Origin],
    control: Client<std::os::unix::net::UnixStream>,
}

impl Steps<'_> {
    #[track_caller]
    fn send(&mut self, method: &str, target: &str, body: &serde_json::Value) -> serde_json::Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.control.ask(method, target, "Content-Type: application/json\r\n", &body).expect("it answers");
        assert!(reply.status < 300, "{method} {target} {body}: {} {}\n{}", reply.status, reply.body, self.daemon.log());
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    /// One change of each sort, in turn.
    fn step(&mut self, number: usize) {
        let endpoints = |count: usize, weight: usize| {
            let one = |origin: &Origin| json!({ "address": origin.address.to_string(), "weight": weight });
            json!({ "endpoints": self.origins.iter().take(count).map(one).collect::<Vec<_>>() })
        };
        match number % ROUND {
            0 => {
                let to = if number.is_multiple_of(2 * ROUND) { "spare" } else { "shop" };
                self.send("PATCH", "/v1/routes/edited", &json!({ "upstream": to }));
            }
            1 => drop(self.send("PATCH", "/v1/upstreams/shop", &endpoints(4, 1 + number % 7))),
            2 => {
                let target = format!("/v1/upstreams/shop/endpoints/{}/override", self.origins[0].address);
                self.send("PUT", &target, &json!({ "mode": "drain", "reason": "outer" }));
                let route = json!({ "match": { "path": format!("/new/{number}") }, "upstream": "shop" });
                self.send("PUT", "/v1/routes/extra", &route);
            }
            3 => {
                self.send("DELETE", "/v1/routes/extra", &json!(null));
                let target = format!("/v1/upstreams/shop/endpoints/{}/override", self.origins[0].address);
                self.send("PUT", &target, &json!({ "mode": "ready" }));
            }
            _ => drop(self.send("PATCH", "/v1/upstreams/shop", &endpoints(2, 1))),
        }
    }
}

#[test]
fn no_request_fails_while_changes_are_applied() {
    let origins: Vec<_> = ["a", "b", "c", "d"].map(Origin::named).into();
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let toml = format!(
        "{WEB}{}{}[routes.all]\nupstream = \"shop\"\n[routes.edited]\nmatch = {{ path = \"/edited\" }}\nupstream = \"shop\"\n",
        upstream("shop", &addresses[..2]),
        upstream("spare", &addresses[1..])
    );
    let daemon = Daemon::start(&toml);
    let load = Load::on(daemon.web(), &["/", "/edited", "/", "/edited/x"], "");
    wait_until("traffic flows", || load.good() > 100);
    let all = amount(100, 1_000);
    let mut steps = Steps { daemon: &daemon, origins: &origins, control: daemon.control().unwrap() };
    let mut early = 0;
    for number in 0..all {
        if number == all / 5 {
            early = daemon.resident();
        }
        let before = load.good();
        steps.step(number);
        // Traffic is seen between any two changes.
        wait_until("traffic goes on", || load.good() > before + 4);
    }
    let late = daemon.resident();
    let (good, failures) = load.stop();
    eprintln!("{all} changes, {good} requests; resident {early} after a fifth, {late} at the end");
    assert!(failures.is_empty(), "of {good} requests failed: {failures:#?}\n{}", daemon.log());
    assert!(late < early + GROWTH_BYTES_MAX, "memory grew from {early} to {late}");
    let applied = daemon.status()["revision"]["number"].as_u64().unwrap();
    assert!(applied as usize > all * 3 / 5, "{applied} revisions");
    assert!(origins.iter().all(|origin| origin.requests() > 0), "every endpoint was used");
}
