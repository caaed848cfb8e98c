// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client connection that speaks HTTP/2: each stream is an exchange through the page in `http`.
//!
//! Frames, flow control and most of RFC 9113's refusals are hyper's and h2's. Ours are the bounds they leave open: a
//! connection that resets more than it lets finish is ended, a stream whose window the client holds shut is ended, and
//! an idle connection goes away. Interim replies cannot be sent through hyper: 103 is not relayed on HTTP/2.

mod body;

mod flood;

mod message;

mod stream;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use self::body::{InBody, OutBody};
use self::flood::Watched;
use self::stream::Streams;
use super::worker::Worker;
use super::{http, http1};
use crate::config::snapshot::Listener;
use crate::exchange::Client;
use crate::protocol::rewind::Rewind;
use crate::protocol::stream::Stream;

/// What a client may send on one stream before we have read it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What a client may send on all streams of a connection before we have read it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What we hold of one reply that the client has not taken.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may reset before we looked at them (rapid reset).
const PENDING_RESETS_MAX: usize = 20;

/// Streams that we may have to reset because of what the client did on them.
const LOCAL_RESETS_MAX: usize = 256;

/// How often a silent client is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams that a client may cancel while they were served before the ratio of [`ABUSE_SHARE`] counts.
const RESETS_FREE: u32 = 100;

/// One in so many streams may be cancelled once the free ones are used up.
const ABUSE_SHARE: u32 = 2;

/// What one connection counts.
#[derive(Debug, Default)]
struct Counts {
    active: Cell<u32>,
    finished: Cell<u32>,
    cancelled: Cell<u32>,
}

impl Counts {
    /// Streams so far.
    fn begun(&self) -> u32 {
        self.active.get().saturating_add(self.finished.get()).saturating_add(self.cancelled.get())
    }

    /// Whether the client cancels so much that it must be an attack (CVE-2023-44487).
    fn is_abuse(&self) -> bool {
        let cancelled = self.cancelled.get();
        cancelled > RESETS_FREE && cancelled > self.finished.get() / ABUSE_SHARE
    }
}

/// Serves streams until the connection ends.
pub async fn serve(worker: Rc<Worker>, listener: &Listener, client: Rc<Client>, stream: Stream, input: BytesMut) {
    let counts = Rc::new(Counts::default());
    let streams = Streams::new(Rc::clone(&worker), listener.timeouts.write);
    let service = {
        let (worker, counts) = (Rc::clone(&worker), Rc::clone(&counts));
        let body_timeout = listener.timeouts.body;
        let fields_max = listener.head.fields;
        service_fn(move |request| {
            answer(Rc::clone(&worker), Rc::clone(&client), Rc::clone(&counts), request, body_timeout, fields_max)
        })
    };
    let io = TokioIo::new(Watched::new(Rewind::new(input, stream), worker.deadlines.clone()));
    let connection = builder(streams, listener).serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut drained = pin!(worker.drained.notified());
    let idle = worker.deadlines.unarmed();
    let parting = worker.deadlines.unarmed();
    let (mut was_idle, mut leaving) = (false, worker.is_draining());
    if leaving {
        connection.as_mut().graceful_shutdown();
    }
    poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(%error, "an HTTP/2 connection ended with an error");
            }
            return Poll::Ready(());
        }
        if counts.is_abuse() {
            tracing::info!(
                cancelled = counts.cancelled.get(),
                "an HTTP/2 client cancels nearly all it asks for: closed"
            );
            return Poll::Ready(());
        }
        let is_idle = counts.active.get() == 0;
        if is_idle && !was_idle {
            idle.reset_idle(listener.timeouts.idle);
            // The last reply may still be on its way, so the client has as long as for any piece of it.
            parting.reset(listener.timeouts.write);
        } else if !is_idle {
            idle.disarm();
        }
        was_idle = is_idle;
        let leave = drained.as_mut().poll(cx).is_ready()
            || (is_idle && idle.poll_expired(cx).is_ready())
            || (listener.requests != 0 && counts.begun() >= listener.requests);
        if leave && !leaving {
            leaving = true;
            connection.as_mut().graceful_shutdown();
            // A client that has no stream left says goodbye at once, unless it is in the middle of a head for ever.
            parting.reset(listener.timeouts.write);
            cx.waker().wake_by_ref();
        }
        if leaving && is_idle { parting.poll_expired(cx) } else { Poll::Pending }
    })
    .await;
}

fn builder(streams: Streams, listener: &Listener) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(listener.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(listener.head.head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// One stream: a request in, a reply out.
async fn answer(
    worker: Rc<Worker>,
    client: Rc<Client>,
    counts: Rc<Counts>,
    request: Request<Incoming>,
    body_timeout: Duration,
    fields_max: usize,
) -> Result<Response<OutBody>, Infallible> {
    let active = Active::new(counts);
    let (parts, incoming) = request.into_parts();
    let body = InBody::new(incoming, &worker.deadlines, body_timeout);
    let received = body.received();
    let begun = message::begin(&worker, &client, &parts, &body, fields_max);
    let mut journey = begun.journey;
    let framing = begun.framing.and_then(|framing| http1::hop_limit(&mut journey, framing));
    let reply = match framing {
        Ok(framing) => Box::pin(http::handle(&mut journey, &framing, body)).await,
        Err(fault) => http::refuse(&mut journey, fault),
    };
    let is_bodiless = journey.x.request.method == ::http::Method::HEAD || matches!(reply.status, 204 | 304);
    let (head, content) = message::reply_head(reply, &worker, is_bodiless);
    let out = OutBody::new(content, journey, received, active, is_bodiless);
    Ok(head.map(|()| out))
}

/// Counts a stream while it is served, and how it ended.
#[derive(Debug)]
struct Active {
    counts: Rc<Counts>,
    is_finished: bool,
}

impl Active {
    fn new(counts: Rc<Counts>) -> Self {
        counts.active.set(counts.active.get() + 1);
        Self { counts, is_finished: false }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let counts = &self.counts;
        counts.active.set(counts.active.get().saturating_sub(1));
        let ended = if self.is_finished { &counts.finished } else { &counts.cancelled };
        ended.set(ended.get().saturating_add(1));
    }
}
