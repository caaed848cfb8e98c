// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP listeners: bytes pass both ways, each end by itself; endpoints that fail; connections that are listed and ended.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use weirgate::observe::Filter;
use weirgate::proxy::census::Wanted;
use weirgate_store::wire::{ConnectionInfo, OverrideMode};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, WEB, to_endpoints, upstream};
use crate::support::origin::Origin;
use crate::support::wait_until;

/// A TCP listener named `web`, with more settings, to endpoints at these addresses.
pub(crate) fn tcp(settings: &str, addresses: &[SocketAddr]) -> String {
    let listener = "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"db\"\n";
    format!("{listener}{settings}\n{}", upstream("db", addresses))
}

/// An endpoint that sends everything back as it comes.
fn echo() -> Origin {
    Origin::serving(|peer| {
        while let Some(byte) = peer.take(1) {
            if !peer.say(byte) {
                return;
            }
        }
    })
}

pub(crate) fn listed(gateway: &Running) -> Vec<ConnectionInfo> {
    gateway.block_on(gateway.gateway.connections(Wanted { limit: 100, ..Wanted::default() }))
}

#[test]
fn bytes_pass_both_ways_and_each_end_by_itself() {
    let origin = Origin::serving(|peer| {
        peer.say("ready;");
        let mut count = 0;
        while peer.take(1).is_some() {
            count += 1;
        }
        // The client has ended; what the endpoint says now still has to arrive.
        peer.say(format!("{count} bytes"));
    });
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut watch = gateway.gateway.observer().tap.watch(Filter::default()).unwrap();
    let mut client = gateway.connect();
    assert_eq!(client.take_to("ready;"), "ready;", "the endpoint may speak first");
    client.say("hello");
    client.say("again");
    client.finish();
    assert_eq!(client.rest(), b"10 bytes");
    let record = gateway.block_on(watch.next()).unwrap();
    assert_eq!((record.protocol.as_str(), record.method.as_str(), record.status), ("tcp", "", 0));
    assert_eq!((record.bytes_in, record.bytes_out, record.attempts), (10, 14, 1));
    assert_eq!((record.upstream.as_deref(), record.fault.as_deref()), (Some("db"), None));
    assert_eq!(record.endpoint, Some(origin.address().to_string()));
    assert!(record.verdict.contains("ended by both sides"), "{}", record.verdict);
    assert!(record.why.iter().any(|line| line.contains("db")), "{:?}", record.why);
    wait_until("nobody is listed", || listed(&gateway).is_empty());
}

#[test]
fn large_streams_arrive_whole_in_both_directions_at_once() {
    const BYTES: usize = 12 << 20;
    let origin = Origin::serving(|peer| {
        while let Some(piece) = peer.take(64 << 10) {
            if !peer.say(piece) {
                return;
            }
        }
    });
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut client = gateway.connect();
    let sent: Vec<u8> = (0..BYTES).map(|at| (at * 7 + at / 251) as u8).collect();
    let (mut writing, text) = (client.stream.try_clone().unwrap(), sent.clone());
    let writer = std::thread::spawn(move || {
        // Pieces of every size, so that copying and splicing take turns.
        let mut rest = text.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(size.min(rest.len()));
            writing.write_all(piece).unwrap();
            (rest, size) = (tail, if size > 1 << 20 { 1 } else { size * 3 });
        }
        writing.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut received = vec![0; BYTES];
    client.stream.read_exact(&mut received).unwrap();
    assert!(received == sent, "bytes were changed on the way");
    writer.join().unwrap();
    client.expect_closed("after the last byte");
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let origin = echo();
    let text = tcp("", &[Origin::absent(), origin.address()]);
    let gateway = Running::start(&format!("{text}balance = \"round-robin\"\nretry = {{ budget = \"100%\" }}\n"));
    for _ in 0..10 {
        let mut client = gateway.connect();
        client.say("ping;");
        assert_eq!(client.take_to("ping;"), "ping;");
    }
}

#[test]
fn when_nobody_takes_it_the_connection_closes_and_says_why() {
    let gateway = Running::start(&tcp("", &[Origin::absent()]));
    gateway.connect().expect_closed("nobody");
    let record = gateway.failure("connect-failed");
    assert_eq!((record.protocol.as_str(), record.listener.as_str(), record.status), ("tcp", "web", 502));
    assert!(record.verdict.contains("connection refused"), "{}", record.verdict);
    let origin = echo();
    gateway.apply(&tcp("", &[origin.address()]));
    gateway.set_mode("db", origin.address(), OverrideMode::Drain);
    gateway.connect().expect_closed("drained");
    assert!(gateway.failure("no-endpoint").verdict.contains("is draining"));
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_reset_of_one_side_is_a_reset_of_the_other() {
    let origin = Origin::serving(|peer| {
        let word = peer.take(4).unwrap_or_default();
        if word == b"die;" {
            peer.reset();
        } else {
            peer.hold();
        }
    });
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut client = gateway.connect();
    client.say("die;");
    let error = client.stream.read(&mut [0; 16]).expect_err("it is not an orderly end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let record = gateway.failure("endpoint-reset");
    assert_eq!((record.bytes_in, record.bytes_out), (4, 0));
    let mut client = gateway.connect();
    client.say("stay");
    wait_until("the endpoint has it", || origin.received() == 8);
    client.reset();
    wait_until("the endpoint is let go", || origin.open() == 0);
}

#[test]
fn silence_and_limits_end_connections() {
    let origin = echo();
    let settings = "timeouts = { tunnel = \"200ms\" }\nlimits = { connections = 2 }";
    let gateway = Running::start(&tcp(settings, &[origin.address()]));
    let mut watch = gateway.gateway.observer().tap.watch(Filter::default()).unwrap();
    let mut one = gateway.connect();
    one.say("a;");
    assert_eq!(one.take_to("a;"), "a;");
    one.expect_closed("after a silence");
    assert_eq!(gateway.block_on(watch.next()).unwrap().fault.as_deref(), Some("tunnel-idle"));
    gateway.apply(&tcp("limits = { connections = 2 }", &[origin.address()]));
    let mut held = [gateway.connect(), gateway.connect()];
    for client in &mut held {
        client.say("a;");
        client.take_to("a;");
    }
    gateway.connect().expect_closed("over the limit");
    drop(held);
    wait_until("there is room again", || {
        let mut client = gateway.connect();
        client.say("b;") && client.stream.read(&mut [0; 2]).is_ok_and(|count| count > 0)
    });
}

#[test]
fn a_drain_lets_tunnels_finish_and_refuses_new_ones() {
    let origin = echo();
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut client = gateway.connect();
    client.say("one;");
    client.take_to("one;");
    let web = gateway.web();
    let draining = gateway.begin_drain(Duration::from_secs(25));
    wait_until("new connections are refused", || std::net::TcpStream::connect(web).is_err());
    client.say("two;");
    assert_eq!(client.take_to("two;"), "two;");
    client.finish();
    client.expect_closed("the end");
    gateway.block_on(draining).unwrap();
}

#[test]
fn a_drain_that_takes_too_long_cuts_tunnels_and_says_so() {
    let origin = echo();
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut client = gateway.connect();
    client.say("one;");
    client.take_to("one;");
    let draining = gateway.begin_drain(Duration::from_millis(100));
    client.rest();
    gateway.block_on(draining).unwrap();
    gateway.failure("draining");
}

#[test]
fn connections_are_listed_and_ended() {
    let (origin, web) = (echo(), Origin::plain());
    let text = format!(
        "{}[listeners.http]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n{}[routes.all]\nupstream = \"shop\"\n",
        tcp("", &[origin.address()]),
        upstream("shop", &[web.address()])
    );
    let gateway = Running::start(&text);
    let mut tunnel = gateway.connect();
    tunnel.say("12345;");
    tunnel.take_to("12345;");
    let mut idle = Client::to(gateway.gateway.bound("http").unwrap());
    idle.say(get("/"));
    assert_eq!(idle.reply().status, 200);
    wait_until("both are listed with what passed", || {
        let all = listed(&gateway);
        all.len() == 2 && all.iter().all(|info| info.bytes_in > 0 && info.bytes_out > 0)
    });
    let all = listed(&gateway);
    let of = |listener: &str| all.iter().find(|info| info.listener == listener).unwrap();
    let (tcp, http) = (of("web"), of("http"));
    assert_eq!((tcp.protocol.as_str(), tcp.bytes_in, tcp.bytes_out), ("tcp", 6, 6));
    assert_eq!((tcp.upstream.as_deref(), tcp.endpoint.clone()), (Some("db"), Some(origin.address().to_string())));
    assert_eq!(tcp.client, tunnel.stream.local_addr().unwrap().to_string());
    assert_eq!((http.protocol.as_str(), http.upstream.as_deref()), ("http/1.1", None));
    let wanted = |listener: Option<&str>, upstream: Option<&str>, limit| Wanted {
        listener: listener.map(str::to_owned),
        upstream: upstream.map(str::to_owned),
        limit,
    };
    let count = |wanted| gateway.block_on(gateway.gateway.connections(wanted)).len();
    assert_eq!(count(wanted(Some("http"), None, 9)), 1);
    assert_eq!(count(wanted(None, Some("db"), 9)), 1);
    assert_eq!(count(wanted(None, Some("shop"), 9)), 0);
    assert_eq!(count(wanted(None, None, 1)), 1);
    assert!(!gateway.block_on(gateway.gateway.kill(7)), "nobody has that number");
    let mut watch = gateway.gateway.observer().tap.watch(Filter::default()).unwrap();
    for info in [tcp, http] {
        assert!(gateway.block_on(gateway.gateway.kill(info.id)));
        assert!(!gateway.block_on(gateway.gateway.kill(u64::MAX)));
    }
    tunnel.rest();
    idle.expect_closed("ended by an operator");
    let record = gateway.block_on(watch.next()).unwrap();
    assert_eq!((record.fault.as_deref(), record.bytes_in), (Some("killed"), 6));
    assert!(gateway.failures().is_empty(), "what an operator ended is no failure");
    wait_until("nobody is left", || listed(&gateway).is_empty());
}

#[test]
fn a_change_of_protocol_on_the_same_address_is_for_new_connections() {
    let origin = Origin::plain();
    let gateway = Running::start(&tcp("", &[origin.address()]));
    let mut tunnel = gateway.connect();
    tunnel.say(get("/"));
    assert_eq!(tunnel.reply().text(), "ok");
    let web = gateway.web();
    gateway.apply(&to_endpoints(&[origin.address()]));
    assert_eq!(gateway.web(), web, "{WEB}");
    assert!(!gateway.get("/").field("via").is_empty(), "a proxy of requests says so");
    tunnel.say(get("/"));
    assert!(tunnel.reply().field("via").is_empty(), "what is open stays what it is");
}
