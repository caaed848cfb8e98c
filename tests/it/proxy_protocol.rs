// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PROXY header: from trusted proxies only, in any pieces, and then its client is the client everywhere; and the
//! one that endpoints are told.

use std::io::Write;

use weirgate::observe::Filter;

use crate::support::client::{Client, connect, get};
use crate::support::gateway::{Running, upstream};
use crate::support::origin::Origin;
use crate::support::tls::{certificate, config};
use crate::support::wait_until;
use crate::tcp::{listed, tcp};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 80\r\n";

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x0f\xa0\0\x50";

const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

const TRUSTED: &str = "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]\n";

/// An HTTP listener that demands the header.
fn http(settings: &str, origin: &Origin) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n{settings}\n{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address()])
    )
}

#[test]
fn the_client_of_the_header_is_the_client() {
    let origin = Origin::plain();
    let gateway = Running::start(&http(TRUSTED, &origin));
    let rows: &[(&[u8], &str)] = &[
        (V1, "192.0.2.1"),
        (V2, "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 80\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (V2_LOCAL, "127.0.0.1"),
    ];
    for (header, client) in rows {
        for piece in [1, 10, 1000] {
            let mut connection = gateway.connect();
            // The request follows in the same segment, as a proxy sends it.
            let bytes = [header, get("/").as_bytes()].concat();
            bytes.chunks(piece).for_each(|piece| assert!(connection.say(piece)));
            assert_eq!(connection.reply().status, 200, "row {header:?} in pieces of {piece}");
            assert_eq!(origin.field("x-forwarded-for"), [*client]);
            connection.say(get("/again"));
            assert_eq!(connection.reply().status, 200, "the header comes once");
        }
    }
    // A client that is none of the trusted proxies does not become one by the header.
    let mut spoofing = gateway.connect();
    spoofing.say(V1);
    spoofing.say("GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    assert_eq!(spoofing.reply().status, 200);
    assert_eq!(origin.field("x-forwarded-for"), ["192.0.2.1"]);
    assert_eq!(listed(&gateway)[0].client, "192.0.2.1:4000");
}

#[test]
fn limits_count_the_client_of_the_header() {
    let origin = Origin::plain();
    let policy = "policies = [{ rate_limit = { per = \"ip\", rate = \"1/h\" } }]\n";
    let gateway = Running::start(&format!("{}{policy}", http(TRUSTED, &origin)));
    let ask = |client: &str| {
        let mut connection = gateway.connect();
        connection.say(format!("PROXY TCP4 {client} 198.51.100.2 4000 80\r\n{}", get("/")));
        connection.reply().status
    };
    assert_eq!([ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")], [200, 429, 200]);
}

#[test]
fn it_comes_before_tls() {
    let origin = Origin::plain();
    let (site, _) = certificate("site", &["a.example"]);
    let settings = format!("certificates = [\"site\"]\n{TRUSTED}");
    let text = http(&settings, &origin).replace("\"http\"", "\"https\"");
    let gateway = Running::start(&format!("{text}{site}"));
    let mut socket = connect(gateway.web());
    socket.write_all(V2).unwrap();
    let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
    let client = rustls::ClientConnection::new(config(&[&rustls::version::TLS13], &[]), name).unwrap();
    let mut client = Client::over(rustls::StreamOwned::new(client, socket));
    client.say(get("/"));
    assert_eq!(client.reply().status, 200);
    assert_eq!(origin.field("x-forwarded-for"), ["192.0.2.1"]);
}

#[test]
fn who_may_not_say_it_or_says_it_wrong_is_refused() {
    let origin = Origin::plain();
    let gateway = Running::start(&http("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]", &origin));
    let mut stranger = gateway.connect();
    stranger.say(V1);
    stranger.rest();
    let record = gateway.failure("untrusted-proxy");
    assert!(record.verdict.contains("127.0.0.1 is none of them"), "{}", record.verdict);
    gateway.apply(&http(&format!("{TRUSTED}timeouts = {{ handshake = \"300ms\" }}"), &origin));
    let mut watch = gateway.gateway.observer().tap.watch(Filter::default()).unwrap();
    let rows: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "bad-greeting"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "bad-greeting"),
        (b"PROXY TCP4 192.0.2.1 ", "greeting-timeout"),
        (b"", "greeting-timeout"),
    ];
    for (bytes, token) in rows {
        let mut client = gateway.connect();
        client.say(bytes);
        client.rest();
        assert_eq!(gateway.block_on(watch.next()).unwrap().fault.as_deref(), Some(*token), "row {bytes:?}");
    }
    assert_eq!(origin.received(), 0);
    wait_until("nobody is left", || listed(&gateway).is_empty());
}

#[test]
fn endpoints_are_told_who_the_client_is() {
    let origin = Origin::serving(|peer| peer.hold());
    for (version, is_v2) in [("v1", false), ("v2", true)] {
        let text = format!("{}proxy_protocol = \"{version}\"\n", tcp("", &[origin.address()]));
        let gateway = Running::start(&text);
        origin.forget();
        let mut client = gateway.connect();
        client.say("hello");
        let (source, to) = (client.stream.local_addr().unwrap(), gateway.web());
        let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello", source.port(), to.port());
        let ports = [source.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        let bytes = [&V2[..16], &[127, 0, 0, 1, 127, 0, 0, 1], &ports, b"hello"].concat();
        let expected = if is_v2 { bytes } else { line.into_bytes() };
        wait_until("the endpoint has it", || origin.everything().ends_with(&expected));
    }
    // What a proxy before us said goes on.
    let settings = format!("{TRUSTED}\n");
    let gateway = Running::start(&format!("{}proxy_protocol = \"v1\"\n", tcp(&settings, &[origin.address()])));
    origin.forget();
    let mut client = gateway.connect();
    client.say([V2, b"hello"].concat());
    wait_until("the endpoint has it", || origin.everything().ends_with(&[V1, b"hello"].concat()));
}
