// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes before and beside requests on connections to endpoints: CONNECT where a route lets it through, the PROXY
//! header, and connections that are kept open ahead of need.

use std::net::SocketAddr;

use crate::support::client::{Client, get, values};
use crate::support::gateway::{Running, WEB, to_endpoints};
use crate::support::h2_origin::Echo;
use crate::support::origin::{OK, Origin};
use crate::support::secure::{Authority, Terminator};
use crate::support::wait_until;

fn to(address: SocketAddr, upstream: &str, route: &str) -> String {
    format!(
        "{WEB}[upstreams.shop]\nendpoints = [{{ address = \"{address}\" }}]\n{upstream}\n[routes.all]\nupstream = \"shop\"\n{route}\n"
    )
}

const CONNECT: &str = "CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n";

/// Opens a tunnel and sends back what it gets, in capitals; refuses the port 1.
fn tunnels() -> Origin {
    Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("CONNECT x:1 ") {
                peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
                continue;
            }
            // A length here means nothing (RFC 9110 section 9.3.6).
            peer.say("HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\nhello;");
            while let Some(piece) = peer.take(4) {
                peer.say(piece.to_ascii_uppercase());
            }
            peer.say("bye;");
            return;
        }
    })
}

#[test]
fn connect_passes_where_a_route_says_so() {
    let origin = tunnels();
    let gateway = Running::start(&to(origin.address(), "", "connect = true"));
    let mut client = gateway.connect();
    client.say(format!("{CONNECT}earl"));
    let (status, head) = client.head();
    assert_eq!(
        (status, values(&head, "content-length").len(), values(&head, "connection").len()),
        (200, 0, 0),
        "{head}"
    );
    assert_eq!(client.take_to("EARL"), "hello;EARL");
    let sent = origin.head();
    assert!(sent.starts_with("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n"), "{sent}");
    assert_eq!(values(&sent, "via"), ["1.1 weirgate"]);
    for _ in 0..100 {
        client.say("ping");
        assert_eq!(client.take_to("PING"), "PING");
    }
    client.finish();
    assert_eq!(client.rest(), b"bye;");
    wait_until("the endpoint's side is closed", || origin.open() == 0);
    // An endpoint that refuses is an ordinary reply.
    let mut client = gateway.connect();
    client.say("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (403, "no"));
    client.expect_closed("after a CONNECT that was refused");
}

#[test]
fn connect_is_refused_everywhere_else() {
    let origin = tunnels();
    let other = Origin::plain();
    let text = to(origin.address(), "", "connect = true\nmatch = { hosts = [\"db.example\"] }");
    let gateway = Running::start(&format!(
        "{text}[upstreams.other]\nendpoints = [{{ address = \"{}\" }}]\n[routes.rest]\nupstream = \"other\"\nmatch = {{ hosts = [\"www.example\"] }}\n",
        other.address()
    ));
    for request in [
        "CONNECT www.example:443 HTTP/1.1\r\nHost: www.example:443\r\n\r\n",
        "CONNECT nobody.example:443 HTTP/1.1\r\nHost: nobody.example:443\r\n\r\n",
        "CONNECT db.example HTTP/1.1\r\nHost: db.example\r\n\r\n",
        "CONNECT db.example:5432 HTTP/1.1\r\nHost: www.example\r\n\r\n",
        "CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\nContent-Length: 3\r\n\r\nabc",
        "CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: db.example\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.say(request);
        assert_eq!(client.reply().status, 400, "{request}");
        client.expect_closed(request);
    }
    assert_eq!((origin.received(), other.received()), (0, 0));
}

#[test]
fn connect_passes_over_tls() {
    let (authority, origin) = (Authority::new(), tunnels());
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let upstream = format!("protocol = \"https\"\ntls = {{ {} }}", authority.ca());
    let gateway = Running::start(&to(endpoint.address(), &upstream, "connect = true"));
    let mut client = gateway.connect();
    client.say(CONNECT);
    assert_eq!(client.head().0, 200);
    client.say("ping");
    assert_eq!(client.take_to("PING"), "hello;PING");
}

/// An endpoint that wants a PROXY header: it answers with the line, whose connection it counts.
fn proxied() -> Origin {
    Origin::serving(|peer| {
        let Some(line) = peer.line() else { return };
        while peer.request().is_some() {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len()));
        }
    })
}

#[test]
fn the_endpoint_is_told_who_the_client_is() {
    let origin = proxied();
    let gateway = Running::start(&to(origin.address(), "proxy_protocol = \"v1\"", ""));
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    let web = gateway.web().port();
    let line = |client: &Client| format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {web}\r\n", client.port());
    for _ in 0..3 {
        for client in [&mut one, &mut two] {
            client.say(get("/"));
            let want = line(client);
            assert_eq!(client.reply().text(), want);
        }
    }
    // Each client has one connection, which is never another's.
    assert_eq!(origin.connections(), 2);
    // Version 2 is bytes: signature, PROXY over TCP over IPv4, 12 bytes.
    let origin = Origin::serving(|peer| {
        let header = peer.take(28).unwrap();
        assert_eq!(&header[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        while peer.request().is_some() {
            peer.say(OK);
        }
    });
    gateway.apply(&to(origin.address(), "proxy_protocol = \"v2\"", ""));
    for _ in 0..2 {
        one.say(get("/"));
        assert_eq!(one.reply().text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn connections_are_opened_ahead_of_need() {
    let origin = Origin::plain();
    let gateway = Running::start(&to(origin.address(), "pool = { warm = 3 }\ntimeouts = { idle = \"1s\" }", ""));
    // Two workers, three each.
    wait_until("they are warm", || origin.open() == 6);
    assert_eq!(origin.heads().len(), 0);
    for _ in 0..4 {
        assert_eq!(gateway.get("/").status, 200);
    }
    // What is closed for its age is opened again, without a request.
    wait_until("they are renewed", || origin.connections() > 12);
    wait_until("they are warm again", || origin.open() >= 6);
    // Nobody warms up for an endpoint that takes no work.
    gateway.set_mode("shop", origin.address(), weirgate_store::wire::OverrideMode::Drain);
    wait_until("the old ones end", || origin.open() == 0);
    // The same over HTTP/2: connections, not streams.
    let endpoint = Echo::start();
    gateway.apply(&to(endpoint.address(), "protocol = \"h2c\"\npool = { warm = 1 }", ""));
    wait_until("they are warm", || endpoint.open() == 2);
    assert_eq!((gateway.get("/").status, endpoint.connections()), (200, 2));
}

#[test]
fn the_number_of_unused_connections_is_bounded() {
    let origin = Origin::plain();
    let burst = |gateway: &Running| {
        let mut clients: Vec<Client> = (0..20).map(|_| gateway.connect()).collect();
        clients.iter_mut().for_each(|client| _ = client.say(get("/")));
        clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
    };
    let gateway = Running::start(&to(origin.address(), "pool = { idle = 0 }", ""));
    burst(&gateway);
    wait_until("none is kept", || origin.open() == 0);
    gateway.apply(&to_endpoints(&[origin.address()]));
    burst(&gateway);
    assert!(origin.open() > 0, "some are kept by default");
}
