// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS to endpoints: who is trusted and under which name, what is shown of ourselves, and what a failed handshake says.

use weirgate_store::wire::EndpointHealth;

use crate::support::client::{get, values};
use crate::support::gateway::{Running, WEB};
use crate::support::origin::Origin;
use crate::support::secure::{Authority, Signed, Terminator};
use crate::support::{PATIENCE, wait_until};

/// A route to these endpoints over TLS.
fn to(addresses: &[std::net::SocketAddr], tls: &str, more: &str) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    let endpoints = endpoints.join(", ");
    let tls = if tls.is_empty() { String::new() } else { format!("[upstreams.shop.tls]\n{tls}\n") };
    format!(
        "{WEB}[upstreams.shop]\nprotocol = \"https\"\nendpoints = [{endpoints}]\n{more}\n{tls}[routes.all]\nupstream = \"shop\"\n"
    )
}

/// What the record says of the failed connection.
#[track_caller]
fn said(gateway: &Running) -> String {
    let record = gateway.failure("connect-failed");
    format!("{} {:?}", record.verdict, record.why)
}

/// The sentence of the fault with which a request ends.
#[track_caller]
fn fault(tls: &str, signed: &Signed) -> String {
    let origin = Origin::plain();
    let endpoint = Terminator::before(origin.address(), signed, &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], tls, ""));
    assert_eq!(gateway.get("/").status, 502);
    assert_eq!(origin.received(), 0, "something was sent");
    said(&gateway)
}

#[test]
fn an_endpoint_is_verified_and_its_connections_are_kept() {
    let (authority, origin) = (Authority::new(), Origin::plain());
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], &authority.ca(), ""));
    let mut client = gateway.connect();
    for _ in 0..20 {
        client.say(get("/"));
        assert_eq!(client.reply().text(), "ok");
    }
    // A request that must not run twice goes over the kept connection, too.
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.reply().status, 200);
    assert_eq!((endpoint.handshakes(), endpoint.name()), (1, None), "an IP address is not sent as SNI");
    assert_eq!(values(&origin.head(), "x-forwarded-proto"), ["http"]);
    // The same settings again change nothing; others take a connection of their own.
    gateway.apply(&to(&[endpoint.address()], &authority.ca(), ""));
    client.say(get("/"));
    assert_eq!((client.reply().status, endpoint.handshakes()), (200, 1));
    gateway.apply(&to(&[endpoint.address()], &format!("{}\nserver_name = \"127.0.0.1\"", authority.ca()), ""));
    client.say(get("/"));
    assert_eq!((client.reply().status, endpoint.handshakes()), (200, 2));
}

#[test]
fn the_name_and_the_pins_count() {
    let (authority, origin) = (Authority::new(), Origin::plain());
    let signed = authority.sign(&["shop.example"]);
    let endpoint = Terminator::before(origin.address(), &signed, &["http/1.1"]);
    let ca = authority.ca();
    for tls in [
        format!("{ca}\nserver_name = \"shop.example\""),
        format!("{ca}\nserver_name = \"shop.example\"\npins = [\"{}\"]", signed.pin),
        format!("verify = \"none\"\npins = [\"{}\"]", signed.pin),
        "verify = \"none\"\nserver_name = \"other.example\"".to_owned(),
    ] {
        let gateway = Running::start(&to(&[endpoint.address()], &tls, ""));
        assert_eq!(gateway.get("/").text(), "ok", "{tls}");
    }
    assert_eq!(endpoint.name().as_deref(), Some("other.example"));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let authority = Authority::new();
    let ca = authority.ca();
    let good = authority.sign(&["shop.example", "www.shop.example"]);
    let says = |tls: &str, signed: &Signed, want: &str| {
        let said = fault(tls, signed);
        assert!(said.contains(want), "{want:?} is not in {said:?}");
    };
    says(
        &format!("{ca}\nserver_name = \"b.example\""),
        &good,
        "its certificate is for shop.example, www.shop.example, not b.example",
    );
    says(&ca, &authority.sign(&["10.0.0.1"]), "its certificate is for 10.0.0.1, not 127.0.0.1");
    says("server_name = \"shop.example\"", &good, "signed by nobody we trust (the issuer is \"CN=test authority\")");
    let named = format!("{ca}\nserver_name = \"shop.example\"");
    let expired = authority.sign_with(&["shop.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 2, 3));
    says(&named, &expired, "its certificate expired on 2020-02-03");
    let early = authority.sign_with(&["shop.example"], |params| params.not_before = rcgen::date_time_ymd(2090, 2, 3));
    says(&named, &early, "its certificate is not valid before 2090-02-03");
    let other = authority.sign(&["shop.example"]).pin;
    says(&format!("{named}\npins = [\"{other}\"]"), &good, &format!("the pin of its own would be \"{}\"", good.pin));
}

#[test]
fn an_endpoint_that_does_not_shake_hands_is_a_failed_connection() {
    let authority = Authority::new();
    let plain = Origin::serving(|peer| {
        peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.hold();
    });
    let gateway = Running::start(&to(&[plain.address()], &authority.ca(), ""));
    assert_eq!(gateway.get("/").status, 502);
    let sentence = said(&gateway);
    assert!(sentence.contains("it does not speak TLS"), "{sentence}");
    // One that says nothing is left after timeouts.connect, and the next one is tried: nothing was sent.
    let silent = Origin::serving(|peer| peer.hold());
    let good = Origin::plain();
    let endpoint = Terminator::before(good.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let more = "balance = \"round-robin\"\ntimeouts = { connect = \"300ms\" }";
    let gateway = Running::start(&to(&[silent.address(), endpoint.address()], &authority.ca(), more));
    let start = weirgate::clock::now();
    for _ in 0..4 {
        assert_eq!(gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").text(), "ok");
    }
    assert!(weirgate::clock::now() - start < PATIENCE / 2);
    assert!(silent.connections() > 0);
}

#[test]
fn we_show_a_certificate_where_one_is_asked_for() {
    let (authority, clients, origin) = (Authority::new(), Authority::new(), Origin::plain());
    let endpoint = Terminator::before_known(origin.address(), &authority.sign(&["127.0.0.1"]), &clients);
    let own = clients.sign(&["gateway.example"]);
    let text = to(&[endpoint.address()], &format!("{}\ncertificate = \"own\"", authority.ca()), "");
    let gateway = Running::start(&format!("{}{text}", own.table("own")));
    assert_eq!(gateway.get("/").text(), "ok");
    // Without one, or with one of somebody else, the endpoint says no, and a POST may be tried elsewhere.
    let stranger = Authority::named("stranger").sign(&["gateway.example"]);
    for (tables, setting, want) in [
        (String::new(), String::new(), "it asks for a client certificate"),
        (stranger.table("own"), "\ncertificate = \"own\"".to_owned(), "it does not accept our client certificate"),
    ] {
        let text = to(&[endpoint.address()], &format!("{}{setting}", authority.ca()), "");
        let gateway = Running::start(&format!("{tables}{text}"));
        assert_eq!(gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").status, 502);
        let sentence = said(&gateway);
        assert!(sentence.contains(want), "{sentence}");
    }
}

#[test]
fn sessions_are_resumed() {
    let (authority, origin) =
        (Authority::new(), Origin::closing("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"));
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], &authority.ca(), ""));
    for _ in 0..6 {
        assert_eq!(gateway.get("/").text(), "ok");
    }
    assert_eq!(endpoint.handshakes(), 6);
    assert!(endpoint.resumed() >= 4, "{} of 6", endpoint.resumed());
}

#[test]
fn big_bodies_pass_both_ways() {
    let authority = Authority::new();
    let origin = Origin::serving(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.say(&body);
        }
    });
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], &authority.ca(), ""));
    let mut client = gateway.connect();
    let body: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    for _ in 0..3 {
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.say(&body);
        assert!(client.reply().body == body, "the body came back changed");
    }
    assert_eq!(endpoint.handshakes(), 1);
}

/// An endpoint that closes what lies idle, or restarts: the client sees nothing of it.
#[test]
fn a_stale_connection_is_no_failure() {
    let authority = Authority::new();
    // Each connection serves two requests and closes without a word.
    let origin = Origin::serving(|peer| {
        for _ in 0..2 {
            if peer.request().is_none() {
                return;
            }
            peer.say(crate::support::origin::OK);
        }
    });
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], &authority.ca(), "retry = { attempts = 0 }"));
    let mut client = gateway.connect();
    for turn in 0..60 {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200, "turn {turn}");
    }
    assert!(gateway.failures().is_empty());
}

#[test]
fn a_websocket_passes_over_tls() {
    let authority = Authority::new();
    let origin = Origin::serving(|peer| {
        peer.head();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome;");
        while let Some(frame) = peer.take(4) {
            peer.say(frame.to_ascii_uppercase());
        }
    });
    let endpoint = Terminator::before(origin.address(), &authority.sign(&["127.0.0.1"]), &["http/1.1"]);
    let gateway = Running::start(&to(&[endpoint.address()], &authority.ca(), ""));
    let mut client = gateway.connect();
    client.say(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\nearl",
    );
    assert_eq!(client.head().0, 101);
    assert_eq!(client.take_to("EARL"), "welcome;EARL");
    for _ in 0..50 {
        client.say("ping");
        assert_eq!(client.take_to("PING"), "PING");
    }
    client.finish();
    assert_eq!(client.rest(), b"");
    wait_until("the endpoint's side is closed", || origin.open() == 0);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let authority = Authority::new();
    let gateway = Running::start("");
    let address = [([127, 0, 0, 1], 9).into()];
    for (tls, path) in [
        ("ca = '''-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'''", "upstreams.shop.tls.ca"),
        ("ca = \"no certificate\"", "upstreams.shop.tls.ca"),
        (&format!("{}\nserver_name = \"-bad-.example..\"", authority.ca()), "upstreams.shop.tls.server_name"),
    ] {
        let problems = gateway.refused(&to(&address, tls, ""));
        assert_eq!(problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [path], "{problems:?}");
    }
}

/// A check trusts whom requests trust, and shows what they show: what every request would refuse is down.
#[test]
fn a_check_sees_the_certificate_as_requests_do() {
    let authority = Authority::new();
    let ca = authority.ca();
    let checked = |check: &str, tls: &str, signed: &Signed| {
        let origin = Origin::plain();
        let endpoint = Terminator::before(origin.address(), signed, &["http/1.1"]);
        let health = format!("health = {{ {check}, interval = \"60ms\", timeout = \"5s\", fall = 1, rise = 1 }}");
        let gateway = Running::start(&to(&[endpoint.address()], tls, &health));
        let known = || {
            let status = gateway.gateway.endpoint("shop", &endpoint.address().to_string()).expect("it is configured");
            (status.health != EndpointHealth::Unknown).then_some((status.health, status.reason))
        };
        wait_until("the first check is over", || known().is_some());
        known().expect("it was known a moment ago")
    };
    let good = authority.sign(&["127.0.0.1"]);
    let expired = authority.sign_with(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2020, 2, 3));
    for check in ["http = { path = \"/\" }", "tls = true"] {
        assert_eq!(checked(check, &ca, &good).0, EndpointHealth::Up, "{check}");
        assert_eq!(checked(check, "verify = \"none\"", &expired).0, EndpointHealth::Up, "{check}");
        let (health, reason) = checked(check, &ca, &expired);
        assert_eq!(health, EndpointHealth::Down, "{check}");
        assert!(reason.contains("failed its TLS handshake: its certificate expired on 2020-02-03"), "{reason}");
    }
    // A check that asks for another name is about another certificate.
    assert_eq!(checked("tls = { server_name = \"b.example\" }", &ca, &expired).0, EndpointHealth::Up);
}
