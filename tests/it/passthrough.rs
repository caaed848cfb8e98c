// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS that is passed on unopened: the endpoint is a second gateway that ends it, so that both sides are real.

use std::io::{Read, Write};
use std::net::SocketAddr;

use rustls::version::{TLS12, TLS13};

use crate::support::client::{Client, connect, get};
use crate::support::gateway::{Running, upstream};
use crate::support::origin::Origin;
use crate::support::tls::{certificate, config, handshake};
use crate::support::wait_until;

/// A gateway that ends TLS for a host and answers with its name.
fn site(name: &str, hosts: &[&str]) -> (Running, Origin, Vec<u8>) {
    let origin = Origin::named(name);
    let (table, der) = certificate("site", hosts);
    let listener =
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\ncertificates = [\"site\"]\n".to_owned();
    let text = format!("{listener}{table}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", &[origin.address()]));
    (Running::start(&text), origin, der)
}

fn tls(settings: &str, upstreams: &[(&str, SocketAddr)]) -> String {
    let upstreams: String = upstreams.iter().map(|(name, address)| upstream(name, &[*address])).collect();
    format!("[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"tls\"\n{settings}\n{upstreams}")
}

#[test]
fn the_first_message_chooses_the_endpoint_and_nothing_is_opened() {
    let (shop, _shop_origin, shop_der) = site("shop", &["shop.example", "x.example"]);
    let (rest, _rest_origin, rest_der) = site("rest", &["rest.example"]);
    let settings = "sni = { \"shop.example\" = \"shop\", \"*.shop.example\" = \"shop\" }\nalpn = { \"acme-tls/1\" = \"shop\" }\nupstream = \"rest\"";
    let gateway = Running::start(&tls(settings, &[("shop", shop.web()), ("rest", rest.web())]));
    for version in [&TLS13, &TLS12] {
        for (name, alpn, expected, der) in [
            ("shop.example", &["http/1.1"][..], "shop", &shop_der),
            ("Shop.Example", &[], "shop", &shop_der),
            ("a.b.shop.example", &[], "shop", &shop_der),
            ("rest.example", &[], "rest", &rest_der),
            ("127.0.0.1", &[], "rest", &rest_der),
            ("rest.example", &["acme-tls/1", "http/1.1"], "shop", &shop_der),
        ] {
            let mut client = handshake(gateway.web(), &config(&[version], alpn), name).unwrap();
            assert!(client.stream.conn.peer_certificates().unwrap()[0].to_vec() == *der, "row {name} {alpn:?}");
            client.say(get("/"));
            assert_eq!(client.reply().text(), expected, "row {name} {alpn:?}");
        }
    }
    assert!(handshake(gateway.web(), &config(&[&TLS13], &["h2"]), "shop.example").is_ok());
}

#[test]
fn a_first_message_in_any_pieces_is_understood() {
    let (shop, _origin, _) = site("shop", &["shop.example"]);
    let settings = "sni = { \"shop.example\" = \"shop\" }";
    let gateway = Running::start(&tls(settings, &[("shop", shop.web())]));
    let name = rustls::pki_types::ServerName::try_from("shop.example").unwrap();
    for (record, segment) in [(16_384, 1), (100, 50), (64, 7), (300, 16_384)] {
        let mut client = rustls::ClientConnection::new(config(&[&TLS13], &[]), name.clone()).unwrap();
        let mut whole = Vec::new();
        client.write_tls(&mut whole).unwrap();
        let pieces: Vec<u8> = whole[5..]
            .chunks(record)
            .flat_map(|piece| [&[22, 3, 1][..], &u16::try_from(piece.len()).unwrap().to_be_bytes(), piece].concat())
            .collect();
        let mut socket = connect(gateway.web());
        pieces.chunks(segment).for_each(|piece| socket.write_all(piece).unwrap());
        let mut stream = rustls::StreamOwned::new(client, socket);
        stream.write_all(get("/").as_bytes()).unwrap();
        assert_eq!(Client::over(stream).reply().text(), "shop", "records of {record}, segments of {segment}");
    }
}

#[test]
fn who_asks_for_nobody_we_know_is_told_by_an_alert() {
    let (shop, _origin, _) = site("shop", &["shop.example"]);
    let gateway = Running::start(&tls("sni = { \"shop.example\" = \"shop\" }", &[("shop", shop.web())]));
    let mut watch = gateway.gateway.observer().tap.watch(weirgate::observe::Filter::default()).unwrap();
    let error = handshake(gateway.web(), &config(&[&TLS13], &[]), "other.example").err().expect("it is refused");
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    let record = gateway.block_on(watch.next()).unwrap();
    assert_eq!((record.fault.as_deref(), record.protocol.as_str()), (Some("unknown-name"), "tls"));
    assert_eq!(record.host, "other.example");
    assert!(
        record.verdict.contains("no upstream is meant for the server name \"other.example\""),
        "{}",
        record.verdict
    );
}

#[test]
fn what_is_no_first_message_is_closed() {
    let origin = Origin::plain();
    let settings = "upstream = \"shop\"\ntimeouts = { handshake = \"300ms\" }";
    let gateway = Running::start(&tls(settings, &[("shop", origin.address())]));
    let mut watch = gateway.gateway.observer().tap.watch(weirgate::observe::Filter::default()).unwrap();
    let rows: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad-greeting"),
        (&[22, 3, 1, 0, 4, 1, 0, 0, 0], "bad-greeting"),
        (&[22, 3, 1], "greeting-timeout"),
        (b"", "greeting-timeout"),
    ];
    for (bytes, token) in rows {
        let mut socket = connect(gateway.web());
        socket.write_all(bytes).unwrap();
        // A close with bytes left unread is a reset, which is as good.
        let closed = matches!(socket.read(&mut [0; 16]), Ok(0) | Err(_));
        assert!(closed, "row {bytes:?}");
        assert_eq!(gateway.block_on(watch.next()).unwrap().fault.as_deref(), Some(*token), "row {bytes:?}");
    }
    let gone = connect(gateway.web());
    drop(gone);
    assert_eq!(gateway.block_on(watch.next()).unwrap().fault.as_deref(), Some("client-closed"));
    assert_eq!(origin.connections(), 0);
    wait_until("nobody is left", || crate::tcp::listed(&gateway).is_empty());
}
