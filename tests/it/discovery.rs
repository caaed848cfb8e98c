// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that are found at run time: names, services, files and leases that grow, shrink, fail and come back, seen
//! through real requests. The name server is in this process and says what a row tells it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use weirgate::clock;
use weirgate_store::engine::{FoundRecord, LeaseRecord};
use weirgate_store::model::{Discovery, Endpoint};
use weirgate_store::wire::UpstreamStatus;

use crate::support::client::get;
use crate::support::dns::{NameServer, Says};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// A configuration with one upstream that looks for its endpoints at `source`.
fn looking(source: &str) -> String {
    format!(
        "{WEB}[upstreams.shop]\ndiscovery = {source}\nbalance = \"round-robin\"\n[routes.all]\nupstream = \"shop\"\n"
    )
}

fn asking(server: &NameServer, toml: &str) -> Running {
    Running::remembering(toml, |remembered| remembered.discovery.resolver = Some(server.address))
}

fn shop(gateway: &Running) -> UpstreamStatus {
    gateway.gateway.upstreams().into_iter().find(|upstream| upstream.name == "shop").unwrap()
}

fn says(gateway: &Running) -> String {
    shop(gateway).discovery.unwrap()
}

fn addresses(gateway: &Running) -> Vec<String> {
    shop(gateway).endpoints.into_iter().map(|endpoint| endpoint.address).collect()
}

/// Two endpoints with the same port and different addresses, as the addresses of one name are.
fn twins() -> (Origin, Origin) {
    let first = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let second = TcpListener::bind(("127.0.0.2", first.local_addr().unwrap().port())).unwrap();
    let named = |name: &'static str| {
        move |peer: &mut crate::support::origin::Accepted| {
            while peer.request().is_some() {
                peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
            }
        }
    };
    (Origin::on(first, named("one")), Origin::on(second, named("two")))
}

fn ips(origins: &[&Origin]) -> Vec<IpAddr> {
    origins.iter().map(|origin| origin.address().ip()).collect()
}

#[track_caller]
fn check_answers(gateway: &Running, want: &[&str]) {
    let mut seen: Vec<String> = (0..8).map(|_| gateway.get("/").text()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, want, "{:?}", shop(gateway));
}

#[test]
fn a_name_grows_and_shrinks_with_its_ttl() {
    let (server, (one, two)) = (NameServer::start(), twins());
    server.says("shop.test", Says::Addresses(0, ips(&[&one])));
    let gateway = asking(&server, &looking(&format!("{{ dns = \"shop.test.:{}\" }}", one.address().port())));
    wait_until("one is found", || addresses(&gateway) == [one.address().to_string()]);
    check_answers(&gateway, &["one"]);
    assert_eq!(shop(&gateway).endpoints[0].origin, "dns");
    assert!(says(&gateway).starts_with("1 address from DNS, TTL 1 s, asked "), "{}", says(&gateway));

    server.says("shop.test", Says::Addresses(0, ips(&[&one, &two])));
    wait_until("both are found", || addresses(&gateway).len() == 2);
    check_answers(&gateway, &["one", "two"]);
    let counted = shop(&gateway).endpoints[0].requests;
    assert!(counted > 8, "the counters of the one that stayed went on: {counted}");

    server.says("shop.test", Says::Addresses(3600, ips(&[&two])));
    wait_until("one is gone", || addresses(&gateway) == [two.address().to_string()]);
    check_answers(&gateway, &["two"]);
    assert!(says(&gateway).starts_with("1 address from DNS, TTL 300 s, asked "), "{}", says(&gateway));
    let asked = server.asked("shop.test");
    assert!((4..60).contains(&asked), "a TTL of 0 is no storm: {asked}");
}

#[test]
fn the_last_good_answer_outlives_every_failure() {
    let (server, origin) = (NameServer::start(), Origin::named("one"));
    server.says("shop.test", Says::Addresses(0, ips(&[&origin])));
    let gateway = asking(&server, &looking(&format!("{{ dns = \"shop.test.:{}\" }}", origin.address().port())));
    wait_until("it is found", || addresses(&gateway).len() == 1);
    for (failure, words) in [
        (Says::ServerFailed, "DNS has no answer for shop.test.: SERVFAIL; the last good answer (1 address, "),
        (Says::NoSuchName, "DNS has no answer for shop.test.: NXDOMAIN; the last good answer (1 address, "),
        (Says::Addresses(0, vec![]), "DNS has no answer for shop.test.: no address; the last good answer (1 address, "),
        (Says::Silence, "DNS has no answer for shop.test.: no server answered in time; the last good"),
    ] {
        let row = format!("{failure:?}");
        server.says("shop.test", failure);
        wait_until(&row, || says(&gateway).starts_with(words));
        check_answers(&gateway, &["one"]);
    }
    server.says("shop.test", Says::Addresses(30, ips(&[&origin])));
    wait_until("it is well again", || says(&gateway).starts_with("1 address from DNS, TTL "));
}

#[test]
fn before_the_first_answer_there_is_no_endpoint_and_it_says_so() {
    let (server, origin) = (NameServer::start(), Origin::named("one"));
    let gateway = asking(&server, &looking(&format!("{{ dns = \"shop.test.:{}\" }}", origin.address().port())));
    wait_until("it was asked", || says(&gateway).starts_with("DNS has no answer for shop.test.: NXDOMAIN; tried "));
    assert_eq!(gateway.get("/").status, 503);
    let failure = gateway.failure("no-endpoint");
    assert!(failure.verdict.contains("DNS has given no address for shop.test."), "{}", failure.verdict);
    server.says("shop.test", Says::Addresses(30, ips(&[&origin])));
    wait_until("it is found in the end", || gateway.get("/").status == 200);
}

#[test]
fn a_service_brings_ports_weights_and_priorities() {
    let (server, one, two) = (NameServer::start(), Origin::named("one"), Origin::named("two"));
    server.says("a.shop.test", Says::Addresses(5, vec![[127, 0, 0, 1].into()]));
    let targets = vec![
        (10, 5, one.address().port(), "a.shop.test"),
        (20, 0, two.address().port(), "a.shop.test"),
        (20, 0, 9, "."),
    ];
    server.says("_http._tcp.shop.test", Says::Targets(60, targets));
    let gateway = asking(&server, &looking("{ srv = \"_http._tcp.shop.test.\" }"));
    wait_until("both are found", || addresses(&gateway).len() == 2);
    let found = &shop(&gateway).endpoints;
    let of = |origin: &Origin| found.iter().find(|e| e.address == origin.address().to_string()).unwrap();
    assert_eq!((of(&one).configured_weight, of(&one).origin.as_str()), (5, "srv"));
    assert_eq!(of(&two).configured_weight, 1);
    assert!(says(&gateway).starts_with("2 addresses from DNS, TTL 5 s, asked "), "{}", says(&gateway));
    server.says("_http._tcp.shop.test", Says::ServerFailed);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_file_counts_whole_or_not_at_all() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("endpoints");
    let write = |text: &str| {
        let beside = directory.path().join("beside");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    };
    let gateway = Running::start(&looking(&format!("{{ file = {{ path = \"{}\" }} }}", path.display())));
    wait_until("it is missed", || says(&gateway).contains("cannot be read"));
    write(&format!("# the first\n{} 3\n", one.address()));
    wait_until("one is found", || addresses(&gateway).len() == 1);
    assert_eq!(
        (shop(&gateway).endpoints[0].configured_weight, shop(&gateway).endpoints[0].origin.as_str()),
        (3, "file")
    );
    check_answers(&gateway, &["one"]);
    write(&format!("{}\nnonsense\n", two.address()));
    wait_until("the line is named", || says(&gateway).contains("line 2: \"nonsense\" is not an IP address and port"));
    check_answers(&gateway, &["one"]);
    write(&format!("{}\n{}\n", one.address(), two.address()));
    wait_until("both are found", || addresses(&gateway).len() == 2);
    check_answers(&gateway, &["one", "two"]);
    std::fs::remove_file(&path).unwrap();
    wait_until("it is missed again", || says(&gateway).contains("the last good answer (2 endpoints, "));
    check_answers(&gateway, &["one", "two"]);
    write("");
    wait_until("an empty file is an answer", || addresses(&gateway).is_empty());
}

#[test]
fn a_lease_lives_until_it_ends_and_over_a_restart() {
    let origin = Origin::named("one");
    let toml = looking("{ lease = { ttl = \"10s\" } }");
    let gateway = Running::start(&toml);
    let endpoint = Endpoint { weight: 7, ..Endpoint::plain(origin.address()) };
    let until = |seconds: i64| clock::wall_ms() + seconds * 1000;
    assert_eq!(gateway.get("/").status, 503);
    gateway.gateway.register("shop", endpoint.clone(), until(60), "test").unwrap();
    check_answers(&gateway, &["one"]);
    assert_eq!((shop(&gateway).endpoints[0].weight, shop(&gateway).endpoints[0].origin.as_str()), (7, "lease"));
    let (found, leases) = gateway.gateway.found_to_keep().unwrap();
    assert!(found.is_empty() && leases.len() == 1 && gateway.gateway.found_to_keep().is_none());
    assert!(gateway.gateway.unregister("shop", origin.address()));
    assert!(!gateway.gateway.unregister("shop", origin.address()));
    assert_eq!(gateway.get("/").status, 503);
    assert!(gateway.gateway.register("other", endpoint, until(60), "test").is_err());
    drop(gateway);

    let ended = LeaseRecord { expires_ms: until(1), ..leases[0].clone() };
    let gateway = Running::remembering(&toml, |remembered| remembered.discovery.leases = vec![ended]);
    check_answers(&gateway, &["one"]);
    wait_until("its time is over", || addresses(&gateway).is_empty());
    assert_eq!(says(&gateway), "no endpoint holds a lease");
}

#[test]
fn a_restart_begins_with_the_last_good_answer() {
    let (server, origin) = (NameServer::start(), Origin::named("one"));
    server.says("shop.test", Says::Silence);
    let dns = format!("shop.test.:{}", origin.address().port());
    let record = FoundRecord {
        upstream: "shop".to_owned(),
        source: Discovery::Dns(dns.clone()),
        endpoints: vec![Endpoint::plain(origin.address())],
        time_ms: clock::wall_ms(),
    };
    let gateway = Running::remembering(&looking(&format!("{{ dns = \"{dns}\" }}")), |remembered| {
        remembered.discovery.resolver = Some(server.address);
        remembered.discovery.found = vec![record];
    });
    check_answers(&gateway, &["one"]);
}

/// A change of the configuration, of the source, and of what is written besides, while endpoints come and go.
#[test]
fn changes_and_discovery_do_not_undo_each_other() {
    let (server, one, two) = (NameServer::start(), Origin::named("one"), Origin::named("two"));
    server.says("one.test", Says::Addresses(1, ips(&[&one])));
    server.says("two.test", Says::Addresses(1, ips(&[&two])));
    let source = |name: &str, port: u16| looking(&format!("{{ dns = \"{name}.:{port}\" }}"));
    let gateway = asking(&server, &source("one.test", one.address().port()));
    wait_until("it is found", || addresses(&gateway).len() == 1);
    gateway.apply(&source("one.test", one.address().port()).replace("round-robin", "least-request"));
    check_answers(&gateway, &["one"]);
    gateway.apply(&source("two.test", two.address().port()));
    wait_until("the other is found", || addresses(&gateway) == [two.address().to_string()]);
    check_answers(&gateway, &["two"]);
    let written = upstream("shop", &[one.address()]).replace("[upstreams.shop]\n", "");
    let both = source("two.test", two.address().port()).replace("balance", &format!("{written}balance"));
    gateway.apply(&both);
    check_answers(&gateway, &["one", "two"]);
    let origins: Vec<_> = shop(&gateway).endpoints.into_iter().map(|endpoint| endpoint.origin).collect();
    assert_eq!(origins, ["written", "dns"]);
}

#[test]
fn a_removed_endpoint_finishes_what_is_in_flight() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serving(move |peer| {
        while peer.request().is_some() {
            wait.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
            peer.say(OK);
        }
    });
    let gateway = Running::start(&looking("{ lease = {} }"));
    let address: SocketAddr = origin.address();
    gateway.gateway.register("shop", Endpoint::plain(address), i64::MAX, "test").unwrap();
    let mut client = gateway.connect();
    client.say(get("/"));
    wait_until("it is under way", || origin.heads().len() == 1);
    assert!(gateway.gateway.unregister("shop", address));
    assert_eq!(gateway.get("/").status, 503);
    go.send(()).unwrap();
    assert_eq!(client.reply().status, 200);
}
