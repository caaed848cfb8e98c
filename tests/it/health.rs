// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health of endpoints with real sockets: every kind of check takes one out and brings it back, requests eject it,
//! a hung one is left alone, and an upstream with nothing healthy comes back at once (hard cases 2 and 3).

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use weirgate::runtime::checker::Kept;
use weirgate_store::wire::{EndpointHealth, EndpointStatus, Event, UpstreamStatus};

use crate::support::client::get;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::{Accepted, OK, Origin};
use crate::support::wait_until;

const DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// One upstream with these settings behind a listener.
fn config(origins: &[SocketAddr], settings: &str) -> String {
    format!("{WEB}{}{settings}\n[routes.all]\nupstream = \"shop\"\n", upstream("shop", origins))
}

/// The checks of these tests: quick ones.
fn checks(what: &str) -> String {
    format!("health = {{ {what}, interval = \"60ms\", timeout = \"2s\", fall = 2, rise = 1 }}")
}

fn status(gateway: &Running, address: SocketAddr) -> EndpointStatus {
    gateway.gateway.endpoint("shop", &address.to_string()).expect("it is configured")
}

fn upstream_status(gateway: &Running) -> UpstreamStatus {
    gateway.gateway.upstreams().into_iter().find(|upstream| upstream.name == "shop").expect("it is configured")
}

#[track_caller]
fn wait_for(gateway: &Running, address: SocketAddr, health: EndpointHealth, reason: &str) {
    let is_so = || {
        let status = status(gateway, address);
        status.health == health && status.reason.contains(reason)
    };
    let start = weirgate::clock::now();
    while !is_so() {
        let status = status(gateway, address);
        let late = weirgate::clock::now() - start > Duration::from_secs(15);
        assert!(!late, "never {health:?} because of \"{reason}\", but {:?}: {}", status.health, status.reason);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Serves with `serve` while a switch says so and is off; the endpoint goes down and up as the switch does.
#[track_caller]
fn check(settings: &str, reason: &str, serve: impl Fn(&mut Accepted, bool) + Send + Sync + 'static) {
    let is_well = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_well);
    let origin = Origin::serving(move |peer| serve(peer, seen.load(SeqCst)));
    let gateway = Running::start(&config(&[origin.address()], settings));
    wait_for(&gateway, origin.address(), EndpointHealth::Up, "health check passed");
    is_well.store(false, SeqCst);
    wait_for(&gateway, origin.address(), EndpointHealth::Down, reason);
    assert_eq!(gateway.get("/").status, 503, "nobody is left");
    is_well.store(true, SeqCst);
    wait_for(&gateway, origin.address(), EndpointHealth::Up, "health check passed");
}

#[test]
fn an_http_check_sends_what_is_written_and_finds_what_is_expected() {
    let what = "http = { method = \"POST\", path = \"/live?deep=1\", host = \"probe.example\", \
        headers = { X-Probe = \"yes\" }, expect = [200, 204], body = \"state\\\":\\\"(green|amber)\" }";
    check(&checks(what), "got a body without", |peer, well| {
        let head = peer.head().unwrap_or_default();
        if !head.starts_with("POST /live?deep=1 HTTP/1.1\r\n") {
            peer.say(OK);
            return;
        }
        let right = head.contains("Host: probe.example\r\n") && head.contains("X-Probe: yes\r\n");
        assert!(right, "{head}");
        let state = if well { "amber" } else { "red" };
        peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{{\"state\":\"{state}\"}}"));
    });
}

#[test]
fn a_tcp_check_sends_and_expects() {
    let what = "tcp = { send = \"PING\\r\\n\", expect = \"+PONG\" }";
    check(&checks(what), "did not get what it expects", |peer, well| {
        if peer.take(6).as_deref() == Some(b"PING\r\n") {
            peer.say(if well { "hello\r\n+PONG\r\n" } else { "-LOADING\r\n" });
        }
    });
}

fn tls_server() -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["other.example".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions").with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![made.cert.der().clone()], key).expect("they fit"))
}

/// Any certificate is good enough, and what is no TLS is not.
#[test]
fn a_tls_check_wants_a_handshake_with_its_name() {
    let server = tls_server();
    let named = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&named);
    check(&checks("tls = { server_name = \"shop.example\" }"), "failed its TLS handshake", move |peer, well| {
        if !well {
            peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
            return;
        }
        let connection = ServerConnection::new(Arc::clone(&server)).expect("a good configuration");
        let mut stream = StreamOwned::new(connection, peer.socket());
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                return;
            }
        }
        seen.fetch_add(usize::from(stream.conn.server_name() == Some("shop.example")), SeqCst);
    });
    assert!(named.load(SeqCst) > 0, "the name was sent");
}

/// A gRPC server that answers each health check with what `answer` says: a state, or a status of the call.
fn grpc(answer: impl Fn(Vec<u8>) -> Result<u8, u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            let answer = Arc::new(answer);
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(grpc_connection(tcp, Arc::clone(&answer)));
            }
        });
    });
    address
}

async fn grpc_connection(tcp: tokio::net::TcpStream, answer: Arc<impl Fn(Vec<u8>) -> Result<u8, u8>>) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert!(request.headers().contains_key("grpc-timeout"));
        let mut body = request.into_body();
        let mut whole = Box::pin(async move {
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend_from_slice(&piece);
            }
            asked
        });
        // The connection has to be driven for the body to come.
        let asked = std::future::poll_fn(|cx| {
            let _later = connection.poll_closed(cx).is_ready();
            whole.as_mut().poll(cx)
        })
        .await;
        let head = http::Response::builder().header("content-type", "application/grpc");
        match answer(asked) {
            Err(code) => {
                let head = head.header("grpc-status", code.to_string()).body(()).expect("a head");
                respond.send_response(head, true).expect("an open stream");
            }
            Ok(state) => {
                let mut stream = respond.send_response(head.body(()).expect("a head"), false).expect("an open stream");
                stream.send_data(vec![0, 0, 0, 0, 2, 8, state].into(), false).expect("an open stream");
                let trailers = [("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))];
                stream.send_trailers(trailers.into_iter().collect()).expect("an open stream");
            }
        }
    }
}

#[test]
fn a_grpc_check_takes_only_serving() {
    let state = Arc::new(AtomicUsize::new(1));
    let (seen, asked) = (Arc::clone(&state), Arc::new(std::sync::Mutex::new(Vec::new())));
    let heard = Arc::clone(&asked);
    let address = grpc(move |message| {
        *heard.lock().expect("whole") = message;
        match seen.load(SeqCst) {
            state @ 0..10 => Ok(u8::try_from(state).expect("small")),
            code => Err(u8::try_from(code - 10).expect("small")),
        }
    });
    let gateway = Running::start(&config(&[address], &checks("grpc = { service = \"cart\" }")));
    wait_for(&gateway, address, EndpointHealth::Up, "health check passed");
    assert_eq!(*asked.lock().expect("whole"), b"\0\0\0\0\x06\x0a\x04cart");
    for (answer, reason) in [(2, "answered NOT_SERVING"), (15, "NOT_FOUND: the health service does not know \"cart\"")]
    {
        state.store(answer, SeqCst);
        wait_for(&gateway, address, EndpointHealth::Down, reason);
        state.store(1, SeqCst);
        wait_for(&gateway, address, EndpointHealth::Up, "health check passed");
    }
    state.store(2, SeqCst);
    wait_for(&gateway, address, EndpointHealth::Down, "answered NOT_SERVING");
    state.store(22, SeqCst);
    wait_for(&gateway, address, EndpointHealth::Up, "does not implement grpc.health.v1.Health");
}

#[test]
fn a_script_is_asked_with_the_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, flag) = (directory.path().join("check"), directory.path().join("down"));
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2\" = '-q 127.0.0.1' ] && [ ! -e {} ] || {{ echo no lease; exit 2; }}\n",
        flag.display()
    );
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let origin = Origin::plain();
    let what = checks(&format!("script = {{ path = \"{}\", args = [\"-q\"] }}", path.display()));
    let gateway = Running::start(&config(&[origin.address()], &what));
    wait_for(&gateway, origin.address(), EndpointHealth::Up, "health check passed");
    std::fs::write(&flag, "").expect("a file");
    wait_for(&gateway, origin.address(), EndpointHealth::Down, "exited with 2: no lease");
    std::fs::remove_file(&flag).expect("it is there");
    wait_for(&gateway, origin.address(), EndpointHealth::Up, "health check passed");
    assert_eq!(origin.connections(), 0, "the script asks, and nobody else");
}

/// The agent is on another port, beside another check, and each undoes only what it did.
#[test]
fn an_agent_weighs_drains_and_takes_down() {
    let line = Arc::new(std::sync::Mutex::new("ready 100%\n".to_owned()));
    let said = Arc::clone(&line);
    let agent = Origin::serving(move |peer| {
        if peer.take(5).as_deref() == Some(b"web1\n") {
            peer.say(said.lock().expect("whole").as_str());
        }
    });
    let (first, second) = (Origin::named("first"), Origin::named("second"));
    let what = format!("tcp = true, agent = {{ port = {}, send = \"web1\\n\" }}", agent.address().port());
    let gateway = Running::start(&config(&[first.address()], &checks(&what)));
    let say = |text: &str| *line.lock().expect("whole") = format!("{text}\r\n");
    let address = first.address();
    wait_for(&gateway, address, EndpointHealth::Up, "");
    say("40%");
    wait_until("the weight has a share", || status(&gateway, address).share_percent == Some(40));
    say("100% drain");
    wait_for(&gateway, address, EndpointHealth::Down, "the agent says drain");
    assert_eq!(gateway.get("/").status, 503);
    say("up");
    say("ready");
    wait_for(&gateway, address, EndpointHealth::Up, "the agent says ready");
    assert_eq!(gateway.get("/").text(), "first");
    say("down#disk full");
    wait_for(&gateway, address, EndpointHealth::Down, "the agent says down, disk full");
    assert_eq!(gateway.get("/").status, 503);
    say("up");
    wait_for(&gateway, address, EndpointHealth::Up, "the agent says ready");
    assert_eq!(gateway.get("/").text(), "first");
    drop(second);
}

#[test]
fn a_check_goes_to_another_port() {
    let (origin, admin) = (Origin::plain(), Origin::replying(DOWN));
    let what = format!("http = {{ path = \"/\" }}, port = {}", admin.address().port());
    let gateway = Running::start(&config(&[origin.address()], &checks(&what)));
    wait_for(&gateway, origin.address(), EndpointHealth::Down, "got 503 twice (want 200)");
    assert_eq!(origin.connections(), 0);
}

/// Out after five failures, never the last one, and back when the time is over; each with an event.
#[test]
fn requests_eject_an_endpoint_and_time_brings_it_back() {
    let (bad, good) = (Origin::replying(DOWN), Origin::plain());
    let settings =
        "balance = \"round-robin\"\noutlier = { eject = \"700ms\", eject_max = \"2s\" }\nretry = { attempts = 0 }";
    let gateway = Running::start(&config(&[bad.address(), good.address()], settings));
    let mut events = gateway.gateway.observer().subscribe();
    let failed = (0..60).filter(|_| gateway.get("/").status == 503).count();
    assert!((5..=8).contains(&failed), "{failed} requests failed before it was ejected");
    let out = status(&gateway, bad.address());
    assert!(out.ejected_until_ms.is_some() && out.health == EndpointHealth::Down, "{out:?}");
    assert!(out.reason.starts_with("ejected for 700ms: 5 requests failed in a row"), "{}", out.reason);
    wait_for(&gateway, bad.address(), EndpointHealth::Up, "its ejection is over");
    assert_eq!(status(&gateway, bad.address()).ejected_until_ms, None);
    let before = bad.heads().len();
    wait_until("it is ejected again, for longer", || {
        gateway.get("/");
        status(&gateway, bad.address()).reason.starts_with("ejected for 1.4s, for the 2. time")
    });
    assert!(bad.heads().len() > before, "it got requests in between");
    let mut reasons = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Health(event) = &*event {
            reasons.push(event.reason.clone());
        }
    }
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(gateway.gateway.take_events().len(), 3, "and as many for the timeline");
}

/// An ejection outlives a restart, with what is left of its time and how many there were.
#[test]
fn an_ejection_outlives_a_restart() {
    let (out, other) = (Origin::named("out"), Origin::named("other"));
    let state = weirgate::upstream::health::State::Unknown;
    let kept = Kept { state, ejected_until_ms: Some(weirgate::clock::wall_ms() + 700), ejections: 3 };
    let known = [(("shop".to_owned(), out.address().to_string()), kept)];
    let settings = "balance = \"round-robin\"\noutlier = { consecutive_failures = 2, eject = \"10s\" }";
    let toml = config(&[out.address(), other.address()], settings);
    let gateway = Running::remembering(&toml, |remembered| remembered.health = known.into());
    wait_until("it is ejected", || status(&gateway, out.address()).health == EndpointHealth::Down);
    assert!((0..10).all(|_| gateway.get("/").text() == "other"));
    wait_for(&gateway, out.address(), EndpointHealth::Up, "its ejection is over");
    wait_until("it gets requests again", || gateway.get("/").text() == "out");
}

/// A reply that breaks off counts like one that never came, though its head was good.
#[test]
fn cut_replies_eject() {
    let cut = Origin::serving(|peer| {
        if peer.request().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly a part");
        }
    });
    let good = Origin::plain();
    let settings = "balance = \"round-robin\"\noutlier = { eject = \"60s\" }";
    let gateway = Running::start(&config(&[cut.address(), good.address()], settings));
    for _ in 0..40 {
        let mut client = gateway.connect();
        client.say(get("/"));
        client.rest_or_head();
    }
    wait_for(&gateway, cut.address(), EndpointHealth::Down, "5 requests failed in a row");
}

/// Idle connections that die count against nobody (hard case 1).
#[test]
fn stale_connections_eject_nobody() {
    let closing = [Origin::closing(OK), Origin::closing(OK)];
    let addresses: Vec<_> = closing.iter().map(Origin::address).collect();
    let settings = "balance = \"round-robin\"\noutlier = { consecutive_failures = 1, eject = \"60s\" }";
    let gateway = Running::start(&config(&addresses, settings));
    let mut client = gateway.connect();
    for _ in 0..200 {
        client.say(get("/"));
        assert_eq!(client.reply().status, 200);
    }
    for address in addresses {
        assert_eq!(status(&gateway, address).ejected_until_ms, None);
    }
}

/// Half of the endpoints at most, and one is always left; when that one fails too, the others get their chance back, so
/// that the first to return is used at once.
#[test]
fn a_total_outage_ejects_no_more_than_it_may() {
    let is_well = Arc::new(AtomicBool::new(false));
    let serve = |is_well: Arc<AtomicBool>| {
        Origin::serving(move |peer| {
            while peer.request().is_some() {
                peer.say(if is_well.load(SeqCst) { OK } else { DOWN });
            }
        })
    };
    let first = serve(Arc::clone(&is_well));
    let others: Vec<_> = (0..2).map(|_| serve(Arc::default())).collect();
    let addresses = [first.address(), others[0].address(), others[1].address()];
    let settings = "balance = \"round-robin\"\noutlier = { eject = \"60s\" }\nretry = { attempts = 0 }";
    let gateway = Running::start(&config(&addresses, settings));
    for _ in 0..100 {
        assert_eq!(gateway.get("/").status, 503);
        let out = upstream_status(&gateway).endpoints.iter().filter(|e| e.ejected_until_ms.is_some()).count();
        assert!(out <= 1, "{out} of three are ejected");
    }
    assert!(others.iter().chain([&first]).all(|origin| origin.heads().len() > 10), "everybody is asked");
    is_well.store(true, SeqCst);
    // Patience is half of the time that they are ejected for.
    wait_until("traffic flows", || gateway.get("/").status == 200);
    wait_until("one of the others is ejected", || {
        gateway.get("/");
        upstream_status(&gateway).endpoints.iter().any(|endpoint| endpoint.ejected_until_ms.is_some())
    });
    assert_eq!(status(&gateway, first.address()).ejected_until_ms, None);
}

/// A good check brings an ejected endpoint back before its time.
#[test]
fn a_good_check_ends_an_ejection() {
    let is_well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_well);
    let ill = Origin::serving(move |peer| {
        while peer.request().is_some() {
            peer.say(if seen.load(SeqCst) { OK } else { DOWN });
        }
    });
    let good = Origin::plain();
    let settings = format!(
        "balance = \"round-robin\"\noutlier = {{ eject = \"60s\" }}\n{}",
        "health = { http = { path = \"/healthz\" }, interval = \"200ms\", fall = 100, rise = 2 }"
    );
    let gateway = Running::start(&config(&[ill.address(), good.address()], &settings));
    wait_until("it is ejected", || {
        gateway.get("/");
        status(&gateway, ill.address()).ejected_until_ms.is_some()
    });
    is_well.store(true, SeqCst);
    wait_for(&gateway, ill.address(), EndpointHealth::Up, "a health check passed, so it is ejected no more");
    wait_until("it gets requests again", || {
        gateway.get("/").status == 200 && ill.heads().iter().any(|h| h.starts_with("GET / "))
    });
}

/// Two of three die; below the threshold all are used, and the status says so.
#[test]
fn panic_ignores_health_and_says_so() {
    let down: Vec<_> = (0..2)
        .map(|_| {
            Origin::serving(|peer| {
                while let Some(head) = peer.request() {
                    peer.say(if head.starts_with("GET /healthz ") { DOWN } else { OK });
                }
            })
        })
        .collect();
    let up = Origin::plain();
    let addresses = [down[0].address(), down[1].address(), up.address()];
    let settings = format!("panic = \"50%\"\nbalance = \"round-robin\"\n{}", checks("http = { path = \"/healthz\" }"));
    let gateway = Running::start(&config(&addresses, &settings));
    wait_until("panic", || {
        upstream_status(&gateway)
            .trouble
            .is_some_and(|trouble| trouble.contains("only 1 of 3 endpoints are usable, fewer than 50%"))
    });
    let requests = |origin: &Origin| origin.heads().iter().filter(|head| head.starts_with("GET / ")).count();
    for _ in 0..12 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(down.iter().all(|origin| requests(origin) >= 3), "health is ignored");
    gateway.apply(&config(&addresses, &settings.replace("panic = \"50%\"", "panic = \"30%\"")));
    wait_until("no panic", || upstream_status(&gateway).trouble.is_none());
    let before = requests(&down[0]);
    for _ in 0..12 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(requests(&down[0]), before, "health counts again");
}

/// Never at the start, and in steps to all of its weight after it was down.
#[test]
fn an_endpoint_that_came_back_starts_slowly() {
    let is_well = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_well);
    let slow = Origin::serving(move |peer| {
        while let Some(head) = peer.request() {
            let well = seen.load(SeqCst) || !head.starts_with("GET /healthz ");
            peer.say(if well { OK } else { DOWN });
        }
    });
    let other = Origin::plain();
    let settings = format!("slow_start = \"2s\"\nbalance = \"weighted\"\n{}", checks("http = { path = \"/healthz\" }"));
    let gateway = Running::start(&config(&[slow.address(), other.address()], &settings));
    wait_for(&gateway, slow.address(), EndpointHealth::Up, "health check passed");
    assert_eq!(status(&gateway, slow.address()).share_percent, None, "never at the start");
    is_well.store(false, SeqCst);
    wait_for(&gateway, slow.address(), EndpointHealth::Down, "got 503");
    slow.forget();
    is_well.store(true, SeqCst);
    wait_for(&gateway, slow.address(), EndpointHealth::Up, "health check passed");
    let mut shares = vec![status(&gateway, slow.address()).share_percent.expect("it starts slowly")];
    assert!(shares[0] <= 20, "{shares:?}");
    let asked = (0..40).filter(|_| gateway.get("/").status == 200).count();
    let got = slow.heads().iter().filter(|head| head.starts_with("GET / ")).count();
    assert!(asked == 40 && got < 16, "{got} of {asked} requests went to it");
    wait_until("it has all its weight", || {
        let share = status(&gateway, slow.address()).share_percent.unwrap_or(100);
        shares.push(share);
        share == 100
    });
    assert!(shares.is_sorted(), "{shares:?}");
}

/// An endpoint that takes requests and answers none gets fewer than twenty, with nothing configured; the others go on
/// as if nothing was (hard case 2), and when it answers it is used again.
#[test]
fn a_hung_endpoint_is_left_alone() {
    let is_hung = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_hung);
    let hanging = Origin::serving(move |peer| {
        while peer.request().is_some() {
            wait_until("it answers again", || !seen.load(SeqCst));
            peer.say(OK);
        }
    });
    let others = [Origin::plain(), Origin::plain()];
    let addresses = [hanging.address(), others[0].address(), others[1].address()];
    let gateway = Running::start(&config(&addresses, "balance = \"round-robin\"\ntimeouts = { response = \"10m\" }"));
    for _ in 0..60 {
        assert_eq!(gateway.get("/").status, 200);
    }
    let before = hanging.heads().len();
    is_hung.store(true, SeqCst);
    let (web, done) = (gateway.web(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                while done.load(SeqCst) < 2_000 {
                    assert_eq!(crate::support::client::Client::ask(web, &get("/")).status, 200);
                    done.fetch_add(1, SeqCst);
                }
                is_hung.store(false, SeqCst);
            });
        }
    });
    let got = hanging.heads().len() - before;
    assert!(got < 20, "it was sent {got} requests while it hung");
    wait_until("it is used again", || gateway.get("/").status == 200 && hanging.heads().len() > before + got + 3);
}

/// With everybody hung there is nobody better: holds refuse no request.
#[test]
fn holds_never_refuse() {
    let hung = Origin::serving(|peer| {
        peer.head();
        peer.hold();
    });
    let gateway =
        Running::start(&config(&[hung.address()], "timeouts = { response = \"150ms\" }\nretry = { attempts = 0 }"));
    for _ in 0..15 {
        assert_eq!(gateway.get("/").status, 504);
    }
    wait_for(&gateway, hung.address(), EndpointHealth::Down, "it hangs: no reply to");
}
