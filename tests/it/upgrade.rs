// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upgrades: a WebSocket passes and is a tunnel from then on; every other protocol does not.

use std::time::Duration;

use crate::support::client::{Client, get, values};
use crate::support::gateway::Running;
use crate::support::origin::{OK, Origin};
use crate::support::wait_until;

/// The opening of RFC 6455 section 1.3.
const OPENING: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://a.example\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Accepts, greets before it is asked, then sends back what it gets, in capitals.
fn echo() -> Origin {
    Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            if !head.contains("Sec-WebSocket-Key") {
                peer.say(OK);
                continue;
            }
            peer.say(format!("{ACCEPTED}welcome;"));
            while let Some(frame) = peer.take(4) {
                peer.say(frame.to_ascii_uppercase());
            }
            peer.say("bye;");
            return;
        }
    })
}

#[test]
fn a_websocket_passes_both_ways_until_both_are_done() {
    let origin = echo();
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    // What a hasty client sends right behind its opening is not lost.
    client.say(format!("{OPENING}one;"));
    let (status, head) = client.head();
    assert_eq!(status, 101);
    assert_eq!(values(&head, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_eq!(
        (values(&head, "upgrade").join(""), values(&head, "connection").join("")),
        ("websocket".into(), "Upgrade".into())
    );
    assert_eq!(client.take_to("welcome;ONE;"), "welcome;ONE;");
    let sent = origin.head();
    assert_eq!(
        (values(&sent, "upgrade").join(""), values(&sent, "connection").join("")),
        ("websocket".into(), "Upgrade".into())
    );
    assert_eq!(values(&sent, "sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    for _ in 0..100 {
        client.say("ping");
        assert_eq!(client.take_to("PING"), "PING");
    }
    // A change of the configuration leaves it alone.
    gateway.apply(&crate::support::gateway::to_endpoints(&[origin.address()]));
    client.say("ping");
    assert_eq!(client.take_to("PING"), "PING");
    // One side is done, the other may still speak.
    client.finish();
    assert_eq!(client.rest(), b"bye;");
    wait_until("the endpoint's side is closed", || origin.open() == 0);
}

#[test]
fn a_websocket_that_is_refused_is_an_ordinary_reply() {
    let origin = Origin::replying("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.say(OPENING);
        assert_eq!((client.reply().status, origin.connections()), (426, 1));
    }
}

/// Behind an upgrade that we do not know, requests would pass unseen: it stays on its hop (RFC 9110 section 7.8).
#[test]
fn other_upgrades_stay_here() {
    let origin = Origin::plain();
    let gateway = Running::before(&origin);
    for protocol in ["h2c", "h2c, websocket", "websocket, h2c", "TLS/1.0", "IRC/6.9", "h2c-17", "websocket/1"] {
        let mut client = gateway.connect();
        client.say(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: {protocol}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ));
        assert_eq!(client.reply().status, 200, "{protocol}");
        let head = origin.head().to_ascii_lowercase();
        assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{protocol}: {head}");
        client.say(get("/"));
        assert_eq!(client.reply().status, 200, "{protocol}");
    }
    // Without the Connection option, or in HTTP/1.0, it is not one at all.
    for request in [OPENING.replace("Connection: Upgrade\r\n", ""), OPENING.replace("HTTP/1.1", "HTTP/1.0")] {
        assert_eq!(gateway.ask(&request).status, 200);
        assert_eq!(origin.field("upgrade"), Vec::<String>::new());
    }
}

/// A 101 to a request with a body that is still on its way would let the rest of the body pass as the new protocol.
#[test]
fn a_tunnel_is_never_opened_around_a_body() {
    let origin = Origin::serving(|peer| {
        if peer.head().is_some() {
            peer.say(ACCEPTED);
            peer.hold();
        }
    });
    let gateway = Running::before(&origin);
    let mut client: Client = gateway.connect();
    client.say(OPENING.replace("\r\n\r\n", "\r\nContent-Length: 50\r\n\r\nhalf of it"));
    assert_eq!(client.reply().status, 502);
}

#[test]
fn a_drain_ends_tunnels_at_its_limit_and_not_before() {
    let origin = echo();
    let gateway = Running::before(&origin);
    let mut client = gateway.connect();
    client.say(OPENING);
    client.take_to("welcome;");
    let draining = gateway.begin_drain(Duration::from_secs(1));
    client.say("ping");
    assert_eq!(client.take_to("PING"), "PING");
    client.rest();
    gateway.block_on(draining).unwrap();
}
