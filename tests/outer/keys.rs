// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many API keys: they are taken in, found, kept over a restart, and cost little memory.

use std::fmt::Write;
use std::fs;

use super::support::amount;
use super::support::client::Client;
use super::support::daemon::{Daemon, to_endpoints};
use super::support::origin::Origin;

/// The promise for a million keys; fewer must cost less.
const RESIDENT_BYTES_MAX: u64 = 250 << 20;

/// How many keys one answer lists.
const LISTED_MAX: usize = 10_000;

fn secret(number: usize) -> String {
    format!("{:032x}", (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

#[test]
fn many_keys_are_imported_and_found() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::start(&format!(
        "{}[policies.key]\napi_key = {{ header = \"X-Api-Key\" }}\n\
         [routes.keyed]\nmatch = {{ path = \"/keyed\" }}\nupstream = \"shop\"\npolicies = [\"key\"]\n[consumers.alice]\n",
        to_endpoints(&[origin.address])
    ));
    let all = amount(20_000, 1_000_000);
    let mut text = String::new();
    (0..all).for_each(|number| writeln!(text, "{}", secret(number)).unwrap());
    fs::write(daemon.path("keys.txt"), text).unwrap();
    let imported = daemon.json(&["key", "import", "alice", "keys.txt"]);
    assert_eq!(imported["imported"], all, "{imported}");
    let check = |daemon: &Daemon, revoked: &str| {
        let mut client = Client::connect(daemon.web()).unwrap();
        for number in (0..all).step_by(all / 200).chain([all - 1]) {
            let reply = client.ask("GET", "/keyed", &format!("X-Api-Key: {}\r\n", secret(number)), "").unwrap();
            assert_eq!(reply.status, 200, "key {number}");
        }
        for unknown in [&secret(all), revoked] {
            let reply = client.ask("GET", "/keyed", &format!("X-Api-Key: {unknown}\r\n"), "").unwrap();
            assert_eq!(reply.status, 401, "{unknown} was never imported, or is revoked");
        }
    };
    check(&daemon, "never-issued-0123456789");
    let listed = daemon.json(&["key", "list", "alice"]);
    assert_eq!((listed["keys"].as_array().unwrap().len(), &listed["truncated"]), (LISTED_MAX, &true.into()));
    let mut issued = std::iter::repeat_with(|| daemon.json(&["key", "issue", "alice"]));
    // They are listed in the order of their ids: one that comes after the last is beyond the list.
    let last = listed["keys"][LISTED_MAX - 1]["id"].as_str().unwrap();
    let beyond = issued.find(|issued| issued["key"]["id"].as_str().unwrap() > last).expect("half of them are");
    daemon.done(&["key", "revoke", "alice", beyond["key"]["id"].as_str().unwrap()]);
    let revoked = beyond["secret"].as_str().unwrap();
    check(&daemon, revoked);
    assert!(daemon.resident() < RESIDENT_BYTES_MAX, "{} bytes are resident", daemon.resident());
    daemon.kill();
    daemon.restart();
    check(&daemon, revoked);
    assert!(daemon.resident() < RESIDENT_BYTES_MAX, "{} bytes are resident after a restart", daemon.resident());
    let again = daemon.ask(&["key", "import", "alice", "keys.txt"]);
    eprintln!("{all} keys; resident {}; a second import says {}", daemon.resident(), again.all());
    check(&daemon, revoked);
}
