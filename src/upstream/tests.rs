// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that behave and endpoints that do not, one row each: what they do on each connection, and what comes of
//! requests sent one after the other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body, Frame};
use tokio::runtime::{Builder, LocalOptions};

use super::connection::{Outgoing, Patience, Reply, SendError};
use super::origin::{Step, start};
use super::pool::{Buffers, Pool, Reuse};
use super::transport::Transport;
use crate::clock::{self, Deadlines, TICK};
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::protocol::http1::{Framing, HeadLimits};

use Step::{Await, Drip, Flood, Hold, Never, Reset, Say};

/// One piece of a request body.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Data(&'static str),
    Trailer,
    /// Nothing until the gate opens.
    Gate,
    Fail,
}

/// A request body as a row says it.
#[derive(Clone, Debug, Default)]
struct Pieces {
    left: VecDeque<Piece>,
    gate: Rc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    is_open: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.is_open.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if matches!(self.left.front(), Some(Piece::Gate)) {
            if !self.gate.is_open.get() {
                self.gate.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            self.left.pop_front();
        }
        Poll::Ready(self.left.pop_front().map(|piece| match piece {
            Piece::Data(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Piece::Trailer => Ok(Frame::trailers(HeaderMap::from_iter([(
                http::header::HeaderName::from_static("x-sum"),
                HeaderValue::from_static("7"),
            )]))),
            Piece::Fail | Piece::Gate => Err(Fault::ClientClosed),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }
}

/// A request as a row says it.
#[derive(Clone, Copy, Debug)]
struct Request {
    head: &'static str,
    framing: Framing,
    body: &'static [Piece],
}

const GET: Request = Request { head: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", framing: Framing::None, body: &[] };
const HEAD: Request = Request { head: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", framing: Framing::None, body: &[] };
const POST: Request = Request {
    head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    framing: Framing::Length(4),
    body: &[Piece::Data("abcd")],
};
const CHUNKED: Request = Request {
    head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    framing: Framing::Chunked,
    body: &[Piece::Data("abc"), Piece::Data(""), Piece::Data("0123456789"), Piece::Trailer],
};
const CHUNKED_PLAIN: Request = Request { body: &[Piece::Data("abc"), Piece::Data("de")], ..CHUNKED };
const EXPECT: Request =
    Request { head: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", ..POST };
const UPGRADE: Request =
    Request { head: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", ..GET };
const STALLED: Request = Request { body: &[Piece::Data("ab"), Piece::Gate, Piece::Data("cd")], ..POST };
const FAILING: Request = Request { body: &[Piece::Data("ab"), Piece::Fail], ..POST };

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The worker of a test: its pool, and time that it moves itself.
struct Worker {
    deadlines: Deadlines,
    pool: Rc<Pool>,
}

impl Worker {
    fn new(connections: &'static [&'static [Step]]) -> Self {
        let deadlines = Deadlines::new(clock::now());
        let address = start(connections);
        let pool =
            Pool::new("e1".into(), address, Arc::new(Transport::default()), deadlines.clone(), Buffers::default());
        Self { deadlines, pool }
    }

    async fn send(&self, request: Request, patience: Patience, gate: &Rc<Gate>) -> (String, SendResult) {
        let connection = match self.pool.checkout(self.deadlines.now(), Reuse::Any) {
            Some(connection) => connection,
            None => self.pool.connect(Duration::from_secs(3600)).await.expect("the origin listens"),
        };
        let mut informational = String::new();
        let method = Method::from_bytes(request.head.split(' ').next().unwrap_or_default().as_bytes()).expect("method");
        let outgoing = Outgoing {
            method: &method,
            head: request.head.as_bytes(),
            framing: request.framing,
            expect_continue: request.head.contains("100-continue"),
            upgrade: request.head.contains("Upgrade"),
            body: Pieces { left: request.body.iter().copied().collect(), gate: Rc::clone(gate) },
            fields: Fields::new(),
            limits: HeadLimits { head_bytes: 4096, ..HeadLimits::default() },
            patience,
        };
        let result = connection.send(outgoing, |status, _, _| informational.push_str(&format!("{status} "))).await;
        (informational, result)
    }
}

type SendResult = Result<Reply<Pieces>, SendError<Pieces>>;

/// Everything that came of one request: `[1xx ...]status body [trailers]` or the fault, then `kept` or `gone`.
async fn outcome(worker: &Worker, request: Request, patience: Patience) -> String {
    let (informational, result) = worker.send(request, patience, &Rc::default()).await;
    let told = match result {
        Err(SendError { fault, body }) => {
            let back = if body.is_some() { ", body untouched" } else { "" };
            format!("{}: {fault}{back}", fault.facts().token)
        }
        Ok(mut reply) => {
            let text = collect(&mut reply.body).await;
            let tunnel = reply.tunnel.map(|tunnel| format!("tunnel {:?} ", tunnel.leftover)).unwrap_or_default();
            format!("{} {tunnel}{text}", reply.line.status)
        }
    };
    let kept = if worker.pool.idle() > 0 { "kept" } else { "gone" };
    format!("{informational}{told} {kept}")
}

async fn collect(body: &mut (impl Body<Data = Bytes, Error = Fault> + Unpin)) -> String {
    let mut text = String::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if data.len() > 100 => text.push_str(&format!("({})", data.len())),
            Ok(Ok(data)) => text.push_str(&String::from_utf8_lossy(&data)),
            Ok(Err(_)) => text.push_str(" trailers"),
            Err(fault) => text.push_str(&format!(" {}: {fault}", fault.facts().token)),
        }
    }
    text
}

/// Runs a test as a worker runs: on one thread, with tasks that need not be `Send`.
fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_io().build_local(LocalOptions::default()).expect("a runtime");
    runtime.block_on(test)
}

/// Moves time a tick at a time whenever `future` waits. Only for rows in which nothing but time can end the wait.
async fn while_time_passes<T>(deadlines: &Deadlines, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = polled {
            return done;
        }
        deadlines.tick(deadlines.now() + TICK);
        tokio::task::yield_now().await;
    }
}

const PATIENT: Patience = Patience { reply: Duration::from_secs(86_400), silence: Duration::from_secs(86_400) };
const IMPATIENT: Patience = Patience { reply: Duration::from_secs(30), silence: Duration::from_secs(10) };

fn check(name: &str, connections: &'static [&'static [Step]], requests: &[(Request, &str)]) {
    run(async {
        let worker = Worker::new(connections);
        for (request, want) in requests {
            let got = outcome(&worker, *request, PATIENT).await;
            assert!(got.starts_with(want), "{name}: {:?}\n  want {want}\n  got  {got}", request.head);
        }
        worker.pool.close_all();
        assert_eq!(worker.pool.open(), 0, "{name}: connections are counted");
        assert_eq!(worker.deadlines.len(), 0, "{name}: deadlines are given back");
    });
}

#[test]
fn plain_exchanges() {
    check(
        "one connection serves many",
        &[&[Await("\r\n\r\n"), Say(OK), Await("\r\n\r\n"), Say(OK), Await("\r\n\r\n"), Say(OK), Hold]],
        &[(GET, "200 ok kept"), (GET, "200 ok kept"), (GET, "200 ok kept")],
    );
    check("drip", &[&[Await("\r\n\r\n"), Drip(OK), Hold]], &[(GET, "200 ok kept")]);
    check(
        "no body whatever is said",
        &[&[
            Await("HEAD"),
            Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            Await("GET"),
            Say("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"),
            Await("GET"),
            Say("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Hold,
        ]],
        &[(HEAD, "200  kept"), (GET, "204  kept"), (GET, "304  kept")],
    );
    check(
        "chunks and trailers",
        &[&[
            Await("GET"),
            Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            Drip("1\r\n!\r\n0\r\nx-a: b\r\n\r\n"),
            Hold,
        ]],
        &[(GET, "200 ok! trailers kept")],
    );
    check("until close", &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\n\r\nall of it")]], &[(GET, "200 all of it gone")]);
    check(
        "close is honoured",
        &[
            &[Await("GET"), Say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), Hold],
            &[Await("GET"), Say("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), Hold],
        ],
        &[(GET, "200 ok gone"), (GET, "200 ok gone")],
    );
}

#[test]
fn large_replies_come_whole() {
    const HEAD_1M: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n";
    run(async {
        let worker = Worker::new(&[&[Await("GET"), Say(HEAD_1M), Flood(1_048_576), Hold]]);
        let (_, result) = worker.send(GET, PATIENT, &Rc::default()).await;
        let mut reply = result.expect("a reply");
        assert_eq!(reply.body.size_hint().exact(), Some(1_048_576));
        let mut sum = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut reply.body).poll_frame(cx)).await {
            sum += frame.expect("no fault").into_data().expect("data").len();
            assert_eq!(reply.body.is_end_stream(), sum == 1_048_576, "known to be the last frame at {sum}");
        }
        assert_eq!((sum, worker.pool.idle()), (1_048_576, 1));
    });
}

#[test]
fn request_bodies() {
    check("length", &[&[Await("\r\n\r\nabcd"), Say(OK), Hold]], &[(POST, "200 ok kept")]);
    check(
        "chunked with trailers",
        &[&[Await("\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\nx-sum: 7\r\n\r\n"), Say(OK), Hold]],
        &[(CHUNKED, "200 ok kept")],
    );
    check(
        "chunked",
        &[&[Await("\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), Say(OK), Hold]],
        &[(CHUNKED_PLAIN, "200 ok kept")],
    );
    check(
        "the client's body fails",
        &[&[Hold]],
        &[(FAILING, "client-closed: the client closed the connection before")],
    );
    check(
        "refused early, upload goes nowhere",
        &[&[Await("ab"), Say("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"), Hold]],
        &[(STALLED, "413 no gone")],
    );
}

#[test]
fn continue_and_other_informational_replies() {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    check(
        "the body waits for 100",
        &[&[Await("\r\n\r\n"), Never("abcd"), Say(CONTINUE), Await("abcd"), Say(OK), Hold]],
        &[(EXPECT, "100 200 ok kept")],
    );
    check(
        "a final reply in place of 100 leaves the body alone",
        &[&[Await("\r\n\r\n"), Say("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), Hold]],
        &[(EXPECT, "417  gone")],
    );
    check(
        "hints before the reply",
        &[&[Await("GET"), Drip(HINTS), Say(HINTS), Say(OK), Hold]],
        &[(GET, "103 103 200 ok kept")],
    );
    check(
        "a flood",
        &[&[
            Await("GET"),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Say(HINTS),
            Hold,
        ]],
        &[(GET, "103 103 103 103 103 103 103 103 bad-reply: endpoint e1 sent a reply that is not HTTP: too many")],
    );
    check("100 is not an answer", &[&[Await("GET"), Say(CONTINUE)]], &[(GET, "100 reply-cut: ")]);
}

#[test]
fn upgrades() {
    const SWITCH: &str = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    check("asked for", &[&[Await("\r\n\r\n"), Say(SWITCH), Hold]], &[(UPGRADE, "101 tunnel b\"hello\"  gone")]);
    check("unasked", &[&[Await("\r\n\r\n"), Say(SWITCH), Hold]], &[(GET, "bad-reply: ")]);
    check("refused", &[&[Await("\r\n\r\n"), Say(OK), Hold]], &[(UPGRADE, "200 ok kept")]);
}

#[test]
fn replies_that_lie() {
    check(
        "two framings",
        &[&[
            Await("GET"),
            Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Hold,
        ]],
        &[(GET, "bad-reply: endpoint e1 sent a reply that is not HTTP: Content-Length with")],
    );
    check(
        "two lengths",
        &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), Hold]],
        &[(GET, "bad-reply: ")],
    );
    check("no HTTP", &[&[Await("GET"), Say("220 smtp ready\r\n"), Hold]], &[(GET, "bad-reply: ")]);
    check(
        "endless head",
        &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nA: "), Flood(5000), Hold]],
        &[(GET, "bad-reply: ")],
    );
    check("a long status", &[&[Await("GET"), Say("HTTP/1.1 2000 OK\r\n\r\n"), Hold]], &[(GET, "bad-reply: ")]);
    check(
        "bad chunk",
        &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokx\r\n"), Hold]],
        &[(GET, "200 ok reply-cut: endpoint e1 broke off in the middle of a reply: a chunk is longer")],
    );
    check(
        "bytes after the end",
        &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n"), Hold]],
        &[(GET, "200 ok gone")],
    );
    check(
        "bytes after the last chunk",
        &[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"), Hold]],
        &[(GET, "200  gone")],
    );
}

#[test]
fn connections_that_die() {
    check(
        "at once",
        &[&[Await("\r\n\r\n")]],
        &[(
            GET,
            "endpoint-closed: endpoint e1 closed the connection before a byte of reply; the whole request was sent, body untouched gone",
        )],
    );
    check("by reset", &[&[Await("\r\n\r\n"), Reset]], &[(GET, "endpoint-closed: ")]);
    check("in the head", &[&[Await("\r\n\r\n"), Say("HTTP/1.1 2")]], &[(GET, "reply-cut: ")]);
    check(
        "in the body",
        &[&[Await("\r\n\r\n"), Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")]],
        &[(GET, "200 ok reply-cut: endpoint e1 broke off in the middle of a reply: the body ends before its length")],
    );
    check(
        "in a chunk",
        &[&[Await("\r\n\r\n"), Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")]],
        &[(GET, "200 ok reply-cut: ")],
    );
    check(
        "kept, and closed when the next request comes",
        &[&[Await("\r\n\r\n"), Say(OK), Await("\r\n\r\n")], &[Await("\r\n\r\n"), Say(OK), Hold]],
        &[
            (GET, "200 ok kept"),
            (
                GET,
                "stale-connection: endpoint e1 closed a kept connection before a byte of reply; the whole request was sent, body untouched",
            ),
            (GET, "200 ok kept"),
        ],
    );
    check(
        "kept, with a body half taken",
        &[&[Await("\r\n\r\n"), Say(OK), Await("ab")]],
        &[
            (GET, "200 ok kept"),
            (
                STALLED,
                "stale-connection: endpoint e1 closed a kept connection before a byte of reply; part of the request was sent gone",
            ),
        ],
    );
}

#[test]
fn time_limits_blame_the_right_side() {
    run(async {
        let worker = Worker::new(&[&[Await("\r\n\r\n"), Hold]]);
        let got = while_time_passes(&worker.deadlines, outcome(&worker, GET, IMPATIENT)).await;
        assert!(
            got.starts_with("reply-timeout: endpoint e1 did not answer in 30s; the whole request was sent"),
            "{got}"
        );
    });
    run(async {
        let worker = Worker::new(&[&[Await("\r\n\r\n"), Await("abcd"), Say(OK), Hold]]);
        let got = while_time_passes(&worker.deadlines, outcome(&worker, EXPECT, PATIENT)).await;
        assert_eq!(got, "200 ok kept", "a held body goes after a second");
    });
    run(async {
        let worker = Worker::new(&[&[Await("ab"), Await("cd"), Say(OK), Hold]]);
        let gate = Rc::new(Gate::default());
        let mut sending = pin!(worker.send(STALLED, IMPATIENT, &gate));
        let start = clock::now();
        for minute in 1..10 {
            let polled = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
            assert!(polled.is_pending(), "a slow client is no fault of the endpoint");
            worker.deadlines.tick(start + Duration::from_secs(60 * minute));
            tokio::task::yield_now().await;
        }
        gate.open();
        assert!(sending.await.1.is_ok());
    });
}

#[test]
fn silence_in_a_body_is_a_cut() {
    run(async {
        let worker = Worker::new(&[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), Hold]]);
        let mut reply = worker.send(GET, IMPATIENT, &Rc::default()).await.1.expect("a head");
        let got = while_time_passes(&worker.deadlines, collect(&mut reply.body)).await;
        assert_eq!(got, "ok reply-cut: endpoint e1 broke off in the middle of a reply: it was silent for too long");
    });
}

#[test]
fn an_upload_goes_on_under_an_early_reply() {
    run(async {
        let worker = Worker::new(&[&[
            Await("ab"),
            Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Await("cd"),
            Say("2\r\nok\r\n0\r\n\r\n"),
            Hold,
        ]]);
        let gate = Rc::new(Gate::default());
        let mut reply = worker.send(STALLED, PATIENT, &gate).await.1.expect("an early head");
        gate.open();
        assert_eq!(collect(&mut reply.body).await, "ok");
        assert_eq!(worker.pool.idle(), 1, "both ended, so the connection is kept");
    });
}

#[test]
fn a_dropped_body_closes_its_connection() {
    run(async {
        let worker = Worker::new(&[&[Await("GET"), Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), Hold]]);
        let reply = worker.send(GET, PATIENT, &Rc::default()).await.1.expect("a head");
        assert_eq!(worker.pool.open(), 1);
        drop(reply);
        assert_eq!((worker.pool.open(), worker.pool.idle()), (0, 0));
    });
}
