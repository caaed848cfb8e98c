// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP listeners: sessions by client address, each on one endpoint, with real sockets on both sides.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use weirgate::observe::Filter;
use weirgate_store::wire::OverrideMode;

use crate::support::gateway::{Running, upstream};
use crate::support::{PATIENCE, wait_until};
use crate::tcp::listed;

/// An endpoint that answers each datagram with its name and what came.
struct Echo {
    address: SocketAddr,
    received: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Echo {
    fn named(name: &'static str) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (received, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&received), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut datagram = vec![0; 1 << 16];
            while !over.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let reply = [name.as_bytes(), &datagram[..length]].concat();
                socket.send_to(&reply, from).unwrap();
            }
        });
        Self { address, received, is_over }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// A UDP listener named `web`, with more settings.
fn udp(settings: &str, addresses: &[SocketAddr]) -> String {
    let listener = "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"udp\"\nupstream = \"dns\"\n";
    format!("{listener}{settings}\n{}", upstream("dns", addresses))
}

/// A client that hears from one address only.
fn client(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

#[track_caller]
fn ask(client: &UdpSocket, text: &str) -> String {
    client.send(text.as_bytes()).unwrap();
    hear(client)
}

/// Asks until this is the answer: a datagram that meets a socket or a session at its end is lost, as any may be.
#[track_caller]
fn ask_until(client: &UdpSocket, text: &str, want: &str) {
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    wait_until(want, || {
        client.send(text.as_bytes()).unwrap();
        let mut reply = [0; 64];
        client.recv(&mut reply).is_ok_and(|length| &reply[..length] == want.as_bytes())
    });
}

#[track_caller]
fn hear(client: &UdpSocket) -> String {
    let mut reply = vec![0; 1 << 16];
    let length = client.recv(&mut reply).expect("a reply comes");
    String::from_utf8_lossy(&reply[..length]).into_owned()
}

/// An address at which nothing listens.
fn absent() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_client_stays_on_its_endpoint_and_every_size_passes() {
    let (a, b) = (Echo::named("a"), Echo::named("b"));
    let text = udp("", &[a.address, b.address]);
    let gateway = Running::start(&format!("{text}balance = \"round-robin\"\n"));
    let clients: Vec<_> = (0..8).map(|_| client(gateway.web())).collect();
    let first: Vec<_> = clients.iter().map(|client| ask(client, "?")).collect();
    assert!(first.contains(&"a?".to_owned()) && first.contains(&"b?".to_owned()), "{first:?}");
    for _ in 0..20 {
        let again: Vec<_> = clients.iter().map(|client| ask(client, "?")).collect();
        assert_eq!(again, first, "a session moved");
    }
    assert_eq!(listed(&gateway).len(), 8);
    assert!(
        listed(&gateway).iter().all(|info| (info.protocol.as_str(), info.bytes_in, info.bytes_out) == ("udp", 21, 42))
    );
    for size in [0, 1, 1_472, 9_000, 60_000] {
        let text = "x".repeat(size);
        assert_eq!(ask(&clients[0], &text).len(), size + 1, "{size} bytes");
    }
}

#[test]
fn a_burst_comes_back_whole() {
    let echo = Echo::named("");
    let gateway = Running::start(&udp("", &[echo.address]));
    let clients: Vec<_> = (0..16).map(|_| client(gateway.web())).collect();
    for round in 0..20 {
        for client in &clients {
            (0..8).for_each(|at| drop(client.send(format!("{round}:{at}").as_bytes())));
        }
        for client in &clients {
            let got: Vec<_> = (0..8).map(|_| hear(client)).collect();
            let sent: Vec<_> = (0..8).map(|at| format!("{round}:{at}")).collect();
            assert_eq!(got, sent, "one client's datagrams stay in order");
        }
    }
}

#[test]
fn silence_ends_a_session_and_it_is_recorded() {
    let echo = Echo::named("a");
    let gateway = Running::start(&udp("timeouts = { session = \"200ms\" }", &[echo.address]));
    let mut watch = gateway.gateway.observer().tap.watch(Filter::default()).unwrap();
    let client = client(gateway.web());
    assert_eq!(ask(&client, "hello"), "ahello");
    let record = gateway.block_on(watch.next()).unwrap();
    assert_eq!((record.protocol.as_str(), record.status, record.fault.as_deref()), ("udp", 0, None));
    assert_eq!((record.bytes_in, record.bytes_out), (5, 6));
    assert!(record.verdict.contains("ended by silence"), "{}", record.verdict);
    wait_until("it is gone", || listed(&gateway).is_empty());
    assert_eq!(ask(&client, "back"), "aback", "the next datagram begins anew");
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_without_a_loss() {
    let echo = Echo::named("a");
    let text = udp("", &[absent(), echo.address]);
    let gateway = Running::start(&format!("{text}balance = \"round-robin\"\nretry = {{ budget = \"100%\" }}\n"));
    for _ in 0..10 {
        assert_eq!(ask(&client(gateway.web()), "?"), "a?");
    }
    let nobody = Running::start(&udp("", &[absent()]));
    let lost = client(nobody.web());
    lost.send(b"?").unwrap();
    let record = nobody.failure("connect-failed");
    assert_eq!(record.protocol, "udp");
    assert!(record.verdict.contains("connection refused"), "{}", record.verdict);
}

#[test]
fn a_session_moves_when_its_endpoint_is_taken_out() {
    let (a, b) = (Echo::named("a"), Echo::named("b"));
    let gateway = Running::start(&udp("", &[a.address, b.address]));
    let client = client(gateway.web());
    let first = ask(&client, "");
    let (own, other) = if first == "a" { (&a, &b) } else { (&b, &a) };
    gateway.set_mode("dns", own.address, OverrideMode::Drain);
    assert_eq!(ask(&client, ""), first, "a drain lets sessions finish");
    gateway.set_mode("dns", own.address, OverrideMode::Maint);
    assert_ne!(ask(&client, ""), first);
    assert_eq!((own.received.load(Ordering::SeqCst), other.received.load(Ordering::SeqCst)), (2, 1));
    gateway.set_mode("dns", other.address, OverrideMode::Maint);
    client.send(b"?").unwrap();
    assert!(gateway.failure("no-endpoint").verdict.contains("in maintenance"));
}

#[test]
fn sessions_are_bounded_and_can_be_ended() {
    let echo = Echo::named("a");
    let gateway = Running::start(&udp("limits = { connections = 2 }", &[echo.address]));
    let clients = [client(gateway.web()), client(gateway.web()), client(gateway.web())];
    assert_eq!([ask(&clients[0], "?"), ask(&clients[1], "?")], ["a?", "a?"]);
    clients[2].send(b"?").unwrap();
    assert_eq!(gateway.failure("connections").protocol, "udp");
    assert_eq!(echo.received.load(Ordering::SeqCst), 2);
    let ended = listed(&gateway).into_iter().find(|info| info.client == clients[0].local_addr().unwrap().to_string());
    assert!(gateway.block_on(gateway.gateway.kill(ended.unwrap().id)));
    wait_until("there is room", || listed(&gateway).len() == 1);
    assert_eq!(ask(&clients[2], "!"), "a!");
}

#[test]
fn a_reply_comes_from_the_address_that_was_asked() {
    let echo = Echo::named("a");
    let text = udp("", &[echo.address]).replace("127.0.0.1:0", "0.0.0.0:0");
    let gateway = Running::start(&text);
    for host in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 9, 9, 9]] {
        // A connected socket hears nothing from anywhere else.
        assert_eq!(ask(&client((host, gateway.web().port()).into()), "?"), "a?", "asked {host:?}");
    }
}

#[test]
fn a_drain_waits_for_replies_and_no_longer() {
    let echo = Echo::named("a");
    let gateway = Running::start(&udp("", &[echo.address]));
    let client = client(gateway.web());
    assert_eq!(ask(&client, "?"), "a?");
    let start = weirgate::clock::now();
    let draining = gateway.begin_drain(PATIENCE);
    gateway.block_on(draining).unwrap();
    assert!(weirgate::clock::now() - start < PATIENCE / 2, "sessions hold up the end");
}

#[test]
fn a_listener_that_changes_its_transport_is_opened_anew() {
    let echo = Echo::named("a");
    let gateway = Running::start(&udp("", &[echo.address]));
    let old = client(gateway.web());
    assert_eq!(ask(&old, "?"), "a?");
    let port = gateway.web().port();
    // An address of its own: on 127.0.0.1 the TCP port of that number may be somebody's way out.
    let fixed = udp("", &[echo.address]).replace("127.0.0.1:0", &format!("127.0.0.77:{port}"));
    gateway.apply(&fixed);
    ask_until(&client(gateway.web()), "?", "a?");
    wait_until("sessions of the old sockets are over", || listed(&gateway).len() == 1);
    gateway.apply(&fixed.replace("\"udp\"", "\"tcp\""));
    let origin_is_udp = std::net::TcpStream::connect(gateway.web());
    assert!(origin_is_udp.is_ok(), "it listens for connections now");
    wait_until("no session is left", || listed(&gateway).iter().all(|info| info.protocol != "udp"));
}

#[test]
fn a_session_moves_on_when_its_drained_endpoint_is_cut() {
    let (one, two) = (Echo::named("one;"), Echo::named("two;"));
    let gateway = Running::start(&udp("", &[one.address, two.address]));
    gateway.set_mode("dns", two.address, OverrideMode::Drain);
    let client = client(gateway.web());
    assert_eq!(ask(&client, "a"), "one;a");
    gateway.set_mode("dns", two.address, OverrideMode::Ready);
    gateway.set_mode("dns", one.address, OverrideMode::Drain);
    assert_eq!(ask(&client, "b"), "one;b", "a drained endpoint keeps its sessions");
    gateway.block_on(gateway.gateway.cut("dns", &one.address.to_string()));
    ask_until(&client, "c", "two;c");
}
