// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: which certificate is served, which protocol is agreed on, which version, and who is not waited for.

use std::time::Duration;

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};

use crate::support::client::{Client, get};
use crate::support::gateway::{Running, upstream};
use crate::support::h2::{Streams, request};
use crate::support::origin::Origin;
use crate::support::tls::{certificate, config, handshake};
use crate::support::wait_until;

fn listener(certificates: &str, settings: &str) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\ncertificates = [{certificates}]\n{settings}\n"
    )
}

fn to(origin: &Origin) -> String {
    format!("{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[origin.address()]))
}

#[test]
fn the_name_chooses_the_certificate() {
    let origin = Origin::plain();
    let (first, first_der) = certificate("first", &["a.example"]);
    let (second, second_der) = certificate("second", &["b.example", "*.c.example"]);
    let text = format!("{}{first}{second}{}", listener("\"first\", \"second\"", ""), to(&origin));
    let gateway = Running::start(&text);
    let served = |name: &str, client: &std::sync::Arc<rustls::ClientConfig>| {
        let mut client = handshake(gateway.web(), client, name).unwrap();
        let der = client.stream.conn.peer_certificates().unwrap()[0].to_vec();
        client.say(get("/"));
        assert_eq!(client.reply().text(), "ok", "{name}");
        der
    };
    let client = config(&[&TLS13, &TLS12], &[]);
    for (name, der) in [
        ("a.example", &first_der),
        ("b.example", &second_der),
        ("x.c.example", &second_der),
        ("c.example", &first_der),
        ("x.y.c.example", &first_der),
        ("unknown.example", &first_der),
        ("127.0.0.1", &first_der),
    ] {
        assert!(served(name, &client) == *der, "{name} was served another certificate");
    }
    // The scheme and the secure end are told to the endpoint.
    assert_eq!(origin.field("x-forwarded-proto"), ["https"]);
    assert_eq!(origin.field("forwarded"), ["for=127.0.0.1;host=\"a.example\";proto=https"]);
    // Another certificate for a name, while connections are open.
    let mut open = handshake(gateway.web(), &client, "a.example").unwrap();
    let (renewed, renewed_der) = certificate("first", &["a.example"]);
    gateway.apply(&format!("{}{renewed}{second}{}", listener("\"first\", \"second\"", ""), to(&origin)));
    assert!(served("a.example", &config(&[&TLS13], &[])) == renewed_der, "the old certificate is still served");
    open.say(get("/"));
    assert_eq!(open.reply().status, 200);
}

#[test]
fn versions_and_protocols() {
    let origin = Origin::plain();
    let (site, _) = certificate("site", &["a.example"]);
    let gateway = Running::start(&format!("{}{site}{}", listener("\"site\"", ""), to(&origin)));
    for version in [&TLS12, &TLS13] {
        for (offered, agreed) in [
            (&[][..], None),
            (&["http/1.1"][..], Some("http/1.1")),
            (&["h2", "http/1.1"], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
        ] {
            let client = handshake(gateway.web(), &config(&[version], offered), "a.example").unwrap();
            let got = client.stream.conn.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
            assert_eq!(got.as_deref(), agreed, "{:?} {offered:?}", version.version);
            assert_eq!(client.stream.conn.protocol_version(), Some(version.version));
        }
    }
    assert!(handshake(gateway.web(), &config(&[&TLS13], &["spdy/3"]), "a.example").is_err(), "nothing in common");
    gateway.block_on(async {
        let connector = tokio_rustls::TlsConnector::from(config(&[&TLS13], &["h2"]));
        let tcp = tokio::net::TcpStream::connect(gateway.web()).await.unwrap();
        let stream = connector.connect(ServerName::try_from("a.example").unwrap(), tcp).await.unwrap();
        let session = Streams::over(stream).await;
        for _ in 0..3 {
            assert_eq!(session.get("/").await.unwrap().body, b"ok");
        }
        let upload = Some((vec![b'x'; 300_000], None));
        assert_eq!(session.ask(request("POST", "/"), upload).await.unwrap().status(), 200);
        assert_eq!(origin.bodies().last().map(|body| body.len() > 300_000), Some(true));
    });
}

#[test]
fn a_session_is_resumed() {
    let origin = Origin::plain();
    let (site, _) = certificate("site", &["a.example"]);
    let gateway = Running::start(&format!("{}{site}{}", listener("\"site\"", ""), to(&origin)));
    for version in [&TLS12, &TLS13] {
        let client = config(&[version], &["http/1.1"]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut connection = handshake(gateway.web(), &client, "a.example").unwrap();
            // A ticket of TLS 1.3 comes with the first reply.
            connection.say(get("/"));
            assert_eq!(connection.reply().status, 200);
            let kind = connection.stream.conn.handshake_kind();
            let retried = expected == HandshakeKind::Full && kind == Some(HandshakeKind::FullWithHelloRetryRequest);
            assert!(kind == Some(expected) || retried, "{:?}: {kind:?}", version.version);
        }
    }
}

#[test]
fn who_does_not_shake_hands_is_let_go() {
    let origin = Origin::plain();
    let (site, _) = certificate("site", &["a.example"]);
    let text = format!(
        "{}{site}{}",
        listener("\"site\"", "timeouts = { handshake = \"300ms\", idle = \"300ms\" }"),
        to(&origin)
    );
    let gateway = Running::start(&text);
    Client::to(gateway.web()).expect_closed("silence");
    let mut client = Client::to(gateway.web());
    client.say([22, 3, 1, 0, 200, 1]);
    client.expect_closed("half a hello");
    // Plain HTTP on a TLS port is no handshake; what comes back, if anything, is an alert.
    let mut client = Client::to(gateway.web());
    client.say(get("/"));
    assert!(client.rest().len() < 20);
    // After the handshake the ordinary limits hold.
    let mut client = handshake(gateway.web(), &config(&[&TLS13], &[]), "a.example").unwrap();
    client.say(get("/"));
    assert_eq!(client.reply().status, 200);
    client.expect_closed("idle");
    assert_eq!(origin.heads().len(), 1);
}

#[test]
fn big_bodies_and_refusals_over_tls() {
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.say(&body);
        }
    });
    let (site, _) = certificate("site", &["a.example"]);
    let gateway = Running::start(&format!("{}{site}{}", listener("\"site\"", ""), to(&origin)));
    let client = config(&[&TLS13], &[]);
    let mut connection = handshake(gateway.web(), &client, "a.example").unwrap();
    let body = vec![b'x'; 60_000];
    for _ in 0..20 {
        connection.say(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", body.len()));
        connection.say(&body);
        assert!(connection.reply().body == body);
    }
    connection.say("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let reply = connection.reply();
    assert_eq!((reply.status, reply.one("connection").as_str()), (400, "close"));
    connection.expect_closed("a proper end of TLS");
}

/// A client that says goodbye as TLS has it done is gone, and its endpoint is freed.
#[test]
fn a_client_that_leaves_frees_the_endpoint() {
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let (site, _) = certificate("site", &["a.example"]);
    let gateway = Running::start(&format!("{}{site}{}", listener("\"site\"", ""), to(&origin)));
    let mut client = handshake(gateway.web(), &config(&[&TLS13], &[]), "a.example").unwrap();
    client.say(get("/"));
    wait_until("the request is there", || origin.heads().len() == 1);
    client.stream.conn.send_close_notify();
    client.stream.conn.write_tls(&mut client.stream.sock).unwrap();
    wait_until("the endpoint's connection is closed", || origin.open() == 0);
}

#[test]
fn a_drain_lets_a_tls_connection_finish() {
    let origin = Origin::plain();
    let (site, _) = certificate("site", &["a.example"]);
    let gateway = Running::start(&format!("{}{site}{}", listener("\"site\"", ""), to(&origin)));
    let mut idle = handshake(gateway.web(), &config(&[&TLS13], &[]), "a.example").unwrap();
    idle.say(get("/"));
    assert_eq!(idle.reply().status, 200);
    let draining = gateway.begin_drain(Duration::from_secs(20));
    idle.expect_closed("idle");
    gateway.block_on(draining).unwrap();
}
