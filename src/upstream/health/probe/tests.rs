// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each kind of check against endpoints that answer it right, wrong, late and not at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::agent::{self, AgentCheck};
use super::{
    Attempts, BodyPattern, Check, CheckOutcome, CheckTls, Failure, GrpcCheck, HttpCheck, Probe, REPLY_MAX, ScriptCheck,
    Statuses, TcpCheck, Thrift,
};

use crate::clock;
use crate::tls::originate::{Originate, Settings};

/// Far above what any check here takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// An origin that answers one connection with `reply` and then closes, or keeps it open for ever without one.
async fn origin(wants: &'static str, reply: Option<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let n = if wants.is_empty() { 0 } else { tcp.read(&mut request).await.unwrap_or_default() };
        let text = String::from_utf8_lossy(&request[..n]).into_owned();
        match reply {
            Some(reply) if text.starts_with(wants) => drop(tcp.write_all(&reply).await),
            Some(_) => drop(tcp.write_all(b"HTTP/1.1 599 wrong request\r\n\r\n").await),
            None => std::future::pending().await,
        }
    });
    address
}

async fn run(check: Check, address: SocketAddr, limit: Duration) -> Result<(), Failure> {
    let probe = Rc::new(Probe::new(&Arc::new(check), address, limit));
    match outcome(&mut Attempts::new().unwrap(), &probe, Thrift::Fresh).await {
        CheckOutcome::Passed { .. } => Ok(()),
        CheckOutcome::Failed(failure) => Err(failure),
    }
}

/// What comes of one check.
async fn outcome(attempts: &mut Attempts, probe: &Rc<Probe>, thrift: Thrift) -> CheckOutcome {
    if !probe.is_plain() {
        return probe.run().await;
    }
    let mut over = Vec::new();
    over.extend(attempts.start(7, probe, thrift, clock::now()).map(|outcome| (7, outcome)));
    while over.is_empty() {
        tokio::task::yield_now().await;
        attempts.look(clock::now(), &mut over);
    }
    assert!(attempts.is_empty() && over.len() == 1, "{over:?}");
    over.remove(0).1
}

fn answer(text: &str) -> Result<(), Failure> {
    Err(Failure::Answer(text.into()))
}

async fn http(body: Option<&str>, reply: Option<&[u8]>, want: Result<(), Failure>) {
    let http = HttpCheck {
        path: "/healthz".into(),
        host: Some("shop".into()),
        expect: Statuses::of(&[200, 204]),
        body: body.map(|pattern| BodyPattern(Regex::new(pattern).unwrap())),
        ..HttpCheck::default()
    };
    let limit = if reply.is_some() { PATIENCE } else { Duration::from_millis(30) };
    let address = origin("GET /healthz HTTP/1.1\r\nHost: shop\r\n", reply.map(<[u8]>::to_vec)).await;
    assert_eq!(run(Check::Http(http), address, limit).await, want, "{:?}", reply.map(String::from_utf8_lossy));
}

#[tokio::test]
async fn an_http_check_reads_the_status() {
    http(None, Some(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"), Ok(())).await;
    http(None, Some(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), Ok(())).await;
    let status = Failure::Status { got: 500, want: "200 or 204".into() };
    http(None, Some(b"HTTP/1.1 500 Oops\r\n\r\n"), Err(status)).await;
    http(None, Some(b"SSH-2.0-x\r\n"), Err(Failure::NotHttp("its head is malformed"))).await;
    http(None, Some(b"HTTP/1.1 200 OK\r\nX: "), Err(Failure::Closed)).await;
    http(None, None, Err(Failure::Timeout(Duration::from_millis(30)))).await;
    let mut endless = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    endless.resize(REPLY_MAX + 10, b'x');
    http(None, Some(&endless), Err(Failure::NotHttp("its head is larger than 64 KiB"))).await;
}

#[tokio::test]
async fn an_http_check_finds_something_in_the_body() {
    let missing = || answer("got a body without \"status.: *.ok\"");
    let body = Some("status.: *.ok");
    http(body, Some(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}and more"), Ok(())).await;
    http(body, Some(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"no\"}"), missing()).await;
    http(body, Some(b"HTTP/1.1 200 OK\r\n\r\nuntil the end: status\": \"ok"), Ok(())).await;
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"status\r\n7\r\n\":\"ok\"}\r\n0\r\n\r\n";
    http(body, Some(chunked), Ok(())).await;
    let mut far = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    far.resize(REPLY_MAX, b'x');
    far.extend_from_slice(b"status: ok");
    http(body, Some(&far), missing()).await;
}

/// Five checks over one connection, then another; one that the endpoint closes is replaced within the check.
#[tokio::test]
async fn kept_connections_carry_a_few_checks() {
    for (reply, closes, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 3),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, 12),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, 12),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, 12),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while tcp.read(&mut request).await.is_ok_and(|count| count > 0) {
                        if tcp.write_all(reply.as_bytes()).await.is_err() || closes {
                            return;
                        }
                    }
                });
            }
        });
        let http = HttpCheck { expect: Statuses::of(&[200, 204]), ..HttpCheck::default() };
        let probe = Rc::new(Probe::new(&Arc::new(Check::Http(http)), address, PATIENCE));
        let mut attempts = Attempts::new().unwrap();
        for n in 0..12 {
            let outcome = outcome(&mut attempts, &probe, Thrift::Kept).await;
            assert!(matches!(outcome, CheckOutcome::Passed { .. }), "check {n} of {reply:?}: {outcome:?}");
        }
        assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), want, "{reply:?}, closes: {closes}");
    }
}

/// Byte after byte, over a fresh and over a kept connection.
#[tokio::test]
async fn a_reply_may_come_in_pieces() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            let mut request = [0; 4096];
            while tcp.read(&mut request).await.is_ok_and(|count| count > 0) {
                for byte in b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" {
                    let _gone = tcp.write_all(&[*byte]).await.is_err();
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let probe = Rc::new(Probe::new(&Arc::new(Check::Http(HttpCheck::default())), address, PATIENCE));
    let mut attempts = Attempts::new().unwrap();
    for thrift in [Thrift::Fresh, Thrift::Kept, Thrift::Kept, Thrift::Kept] {
        let outcome = outcome(&mut attempts, &probe, thrift).await;
        assert!(matches!(outcome, CheckOutcome::Passed { .. }), "{thrift:?}: {outcome:?}");
    }
}

/// Silent endpoints hold up nobody, each ends at its time, and one that is begun anew ends once.
#[tokio::test]
async fn many_checks_are_under_way_at_once() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let check = Arc::new(Check::Http(HttpCheck::default()));
    let (mut attempts, mut over) = (Attempts::new().unwrap(), Vec::new());
    let started = clock::now();
    for id in 0..40 {
        let limit = Duration::from_millis(20 + id % 4 * 10);
        let probe = Rc::new(Probe::new(&check, silent.local_addr().unwrap(), limit));
        for _ in 0..2 {
            assert_eq!(attempts.start(id, &probe, Thrift::Fresh, started), None);
        }
    }
    assert_eq!(attempts.len(), 40);
    let answers = origin("GET / ", Some(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await;
    assert_eq!(run(Check::Http(HttpCheck::default()), answers, PATIENCE).await, Ok(()));
    attempts.look(started + Duration::from_millis(19), &mut over);
    assert_eq!((over.len(), attempts.len()), (0, 40), "not before its time");
    for (late_ms, want) in [(20, 10), (30, 20), (49, 30), (50, 40)] {
        attempts.look(started + Duration::from_millis(late_ms), &mut over);
        assert_eq!((over.len(), attempts.len()), (want, 40 - want), "after {late_ms} ms");
    }
    assert_eq!(attempts.next(), None, "nothing is left to look for");
    assert!(over.iter().all(|(_, outcome)| matches!(outcome, CheckOutcome::Failed(Failure::Timeout(_)))));
}

#[test]
fn a_request_has_what_was_written_and_nothing_twice() {
    let fields = [("user-agent".into(), "mine".into()), ("X-A".into(), "1".into())];
    let check = HttpCheck { method: "HEAD".into(), path: "/a?b".into(), fields: fields.into(), ..HttpCheck::default() };
    let request = check.request(([127, 0, 0, 1], 80).into(), "close");
    let want = "HEAD /a?b HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\nAccept: */*\r\nuser-agent: mine\r\nX-A: 1\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&request), want);
}

#[tokio::test]
async fn a_tcp_check_wants_a_connection_or_an_answer() {
    let plain = Check::Tcp(TcpCheck::default());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(run(plain.clone(), address, PATIENCE).await, Ok(()));
    let listener = listener.into_std().unwrap();
    let seen = listener.accept().map_err(|error| error.kind());
    assert_eq!(seen.unwrap_err(), std::io::ErrorKind::WouldBlock, "whoever listens sees nothing of it");
    drop(listener);
    let failure = run(plain, address, PATIENCE).await.unwrap_err();
    assert!(failure.to_string().starts_with("could not connect: connection refused"), "{failure}");
    let ask =
        Check::Tcp(TcpCheck { send: Some(b"PING\r\n".as_slice().into()), expect: Some(b"PONG".as_slice().into()) });
    let pong = origin("PING\r\n", Some(b"+PONG\r\n".to_vec())).await;
    assert_eq!(run(ask.clone(), pong, PATIENCE).await, Ok(()));
    let other = origin("PING\r\n", Some(b"-ERR\r\n".to_vec())).await;
    assert_eq!(run(ask, other, PATIENCE).await, answer("did not get what it expects before the connection was closed"));
}

#[tokio::test]
async fn a_tls_check_wants_a_handshake() {
    let plain = origin("", Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let settings =
        Settings { server_name: None, authorities: None, pins: &[], identity: None, is_verified: false, protocol: b"" };
    let tls = CheckTls::new(&Originate::new(settings).unwrap(), b"", "");
    let failure = run(Check::Tls(tls), plain, PATIENCE).await.unwrap_err();
    assert!(failure.to_string().starts_with("failed its TLS handshake: "), "{failure}");
}

#[tokio::test]
async fn a_grpc_check_wants_http2() {
    let plain = origin("", Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let failure = run(Check::Grpc(GrpcCheck::default()), plain, PATIENCE).await.unwrap_err();
    assert!(failure.to_string().starts_with("failed its HTTP/2 exchange: "), "{failure}");
}

#[tokio::test]
async fn an_agent_says_a_line() {
    let check = |address: SocketAddr| AgentCheck { port: address.port(), send: Some("web1\n".into()) };
    let address = origin("web1\n", Some(b"75% ready\nmore".to_vec())).await;
    assert_eq!(agent::ask(&check(address), address, PATIENCE).await, Ok("75% ready".to_owned()));
    let silent = origin("web1\n", Some(Vec::new())).await;
    assert_eq!(agent::ask(&check(silent), silent, PATIENCE).await, Err(Failure::Closed));
}

/// A script with this text, and what its check makes of it. It is told apart by its name.
async fn script(name: &str, text: &str, limit: Duration) -> Result<(), Failure> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let check = ScriptCheck { path: path.to_string_lossy().into(), args: Box::new(["-x".into()]) };
    run(Check::Script(check), ([127, 0, 0, 1], 8080).into(), limit).await
}

#[tokio::test]
async fn a_script_says_by_its_exit_code() {
    let right = "#!/bin/sh\n[ \"$*\" = '-x 127.0.0.1 8080' ] && [ -z \"$HOME\" ] && [ -n \"$PATH\" ] && ! read line\n";
    assert_eq!(script("right", right, PATIENCE).await, Ok(()));
    let wrong = script("wrong", "#!/bin/sh\necho disk full\necho more\nexit 3\n", PATIENCE).await;
    assert_eq!(wrong, answer("exited with 3: disk full"));
    assert_eq!(script("killed", "#!/bin/sh\nkill -9 $$\n", PATIENCE).await, answer("was ended by signal 9"));
    let loud = "#!/bin/sh\ni=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 0\n";
    assert_eq!(script("loud", loud, PATIENCE).await, Ok(()), "what is too much is read and forgotten");
    let absent = Check::Script(ScriptCheck { path: "/nonexistent/check".into(), args: Box::default() });
    let failure = run(absent, ([127, 0, 0, 1], 80).into(), PATIENCE).await.unwrap_err();
    assert!(failure.to_string().starts_with("could not run /nonexistent/check: "), "{failure}");
}

#[tokio::test]
async fn a_script_that_hangs_is_killed_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let text = format!("#!/bin/sh\nsleep 100 &\necho $! > {0}\necho $$ >> {0}\nwait\n", pids.display());
    let failed = script("hangs", &text, Duration::from_millis(500)).await;
    assert_eq!(failed, Err(Failure::Timeout(Duration::from_millis(500))));
    let pids = std::fs::read_to_string(&pids).unwrap();
    let lives = |pid: &str| {
        // A killed one that is not waited for yet is a zombie.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    let started = clock::now();
    while pids.lines().any(lives) {
        assert!(started.elapsed() < PATIENCE, "left over: {pids}");
        tokio::task::yield_now().await;
    }
}
