// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client connection that speaks HTTP/1: requests one after another, each through the page in `http`.

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use ::http::Method;
use bytes::{Bytes, BytesMut};
use http_body::Body;

use super::http::{self, ReplyTo, RequestBody};
use super::journey::Journey;
use super::reply::{Content, Reply};
use super::worker::{LocalSnapshot, Worker};
use super::{edge, forward, tunnel};
use crate::clock;
use crate::config::snapshot::Listener;
use crate::exchange::{Client, Exchange, Fields, Known, Protocol, Request, Span};
use crate::fault::{Blame, Fault};
use crate::protocol::client::{self, ClientSide};
use crate::protocol::http1::{self as codec, Framing, RequestFraming, RequestLine, Version};
use crate::protocol::stream::Stream;
use crate::protocol::taker::Taker;
use crate::protocol::target;

/// A reply body up to this size is copied behind its head, so that both leave in one write.
const COPY_BYTES_MAX: usize = 16 * 1024;

impl RequestBody for client::RequestBody {
    fn limit(&self, limit: u64) -> Result<(), Fault> {
        self.side().limit_body(limit)
    }

    fn copy_to(&mut self, taker: Taker) {
        Self::copy_to(self, taker);
    }

    /// 100 is not passed on: the client is told to go on when its body is read.
    #[cold]
    fn inform(&self, status: u16, fields: &Fields) {
        if status != 100 && self.side().takes_interim() {
            let mut fields = fields.clone();
            edge::clean_reply(&mut fields);
            fields.remove(Known::ContentLength);
            let mut head = Vec::new();
            codec::reply_head(&mut head, status, &fields);
            self.side().inform(&head);
        }
    }
}

/// What becomes of the connection after an exchange.
pub(super) enum Next {
    Request,
    Close,
    /// It is cut.
    Gone,
    /// It becomes a tunnel.
    Tunnel(Box<(Box<Journey>, ReplyTo<client::RequestBody>)>),
}

/// Serves requests until the connection ends.
pub async fn serve(worker: Rc<Worker>, listener: &Listener, client: Rc<Client>, stream: Stream, input: BytesMut) {
    let buffers = Rc::clone(&worker.buffers);
    let side = Rc::new(ClientSide::new(stream, input, buffers, &worker.deadlines, listener.timeouts));
    let mut served = 0_u32;
    loop {
        let mut fields = worker.buffers.fields();
        let line = match side.read_head(&listener.head, &mut fields).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) | Err(Fault::ClientClosed) => {
                worker.buffers.return_fields(fields);
                break;
            }
            Err(fault) => Err(fault),
        };
        served = served.saturating_add(1);
        let last = served == listener.requests;
        // Boxed, so that an idle connection is as small as its wait and not as its largest exchange.
        let exchange = Box::pin(exchange(&worker, &client, Rc::clone(&side), line, fields, last));
        match exchange.await {
            // A reply that began before the drain promised more; idle connections were ended while it was on its way.
            Next::Request if worker.is_draining() => break,
            Next::Request => {}
            Next::Close => break,
            Next::Gone => return,
            // The exchange is over, so the connection has one owner again.
            Next::Tunnel(upgraded) => return Box::pin(tunnel::run(upgraded.0, side, upgraded.1)).await,
        }
    }
    side.close().await;
}

async fn exchange(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    side: Rc<ClientSide>,
    line: Result<RequestLine, Fault>,
    fields: Fields,
    last: bool,
) -> Next {
    let snapshot = worker.snapshot();
    let version = line.as_ref().map_or(Version::Http11, |line| line.version);
    // Nobody connects here any more: what is open may finish, and no more.
    let is_closing = !snapshot.listeners.contains_key(&client.listener);
    let (mut journey, prepared) = begin(worker, client, snapshot, line, fields);
    let wants_more = prepared.as_ref().is_ok_and(|framing| framing.keep_alive);
    let reply = match prepared {
        Ok(framing) => {
            let body = side.begin_body(version, framing.framing, framing.expect_continue);
            let handling = std::pin::pin!(http::handle(&mut journey, &framing, body));
            while_there(&side, handling).await
        }
        Err(fault) => Some(http::refuse(&mut journey, fault)),
    };
    let Some(mut reply) = reply else {
        journey.cut(Fault::ClientClosed);
        return Next::Gone;
    };
    let keep = wants_more && !last && !is_closing && side.can_keep_alive() && !worker.is_draining();
    if reply.tunnel.is_some() {
        return Next::Tunnel(Box::new((journey, reply)));
    }
    let head = ReplyHead { is_http10: version == Version::Http10, keep, method: journey.x.request.method.clone() };
    let mut written = write_reply(&side, worker, &head, &mut reply, &mut journey).await;
    if let Err(fault) = &written
        && fault.facts().blame == Blame::Endpoint
        && !side.has_sent()
    {
        // The reply broke off before any of it left: it can still be a whole one that says so.
        written = Box::pin(write_fault(&side, worker, &head, fault.clone(), &mut journey)).await;
    }
    drop(reply);
    (journey.bytes_in, journey.bytes_out) = side.take_counts();
    match written {
        Ok(true) => {}
        Ok(false) => return Next::Close,
        Err(fault) => {
            if head.is_http10 {
                side.abort();
            }
            journey.cut(fault);
            return Next::Gone;
        }
    }
    drop(journey);
    if side.discard_body().await { Next::Request } else { Next::Close }
}

/// The reply, or nothing once the client is gone and nobody waits for it.
///
/// It borrows the future: one taken by value would be held twice, in a box that is made for every exchange.
async fn while_there<R>(side: &ClientSide, mut handling: Pin<&mut impl Future<Output = R>>) -> Option<R> {
    std::future::poll_fn(|cx| match handling.as_mut().poll(cx) {
        Poll::Ready(reply) => Poll::Ready(Some(reply)),
        Poll::Pending => side.poll_gone(cx).map(|()| None),
    })
    .await
}

/// Makes an exchange of a head, or the fault that it deserves. Both are journeys, so both are recorded.
fn begin(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    snapshot: LocalSnapshot,
    line: Result<RequestLine, Fault>,
    mut fields: Fields,
) -> (Box<Journey>, Result<RequestFraming, Fault>) {
    let arrived = clock::now();
    let mut client_ip = client.peer.ip().to_canonical();
    let mut method = Method::GET;
    let mut protocol = Protocol::Http11;
    let mut found = None;
    let mut raw = Span::default();
    let prepared = line.and_then(|line| {
        method = line.method;
        if line.version == Version::Http10 {
            protocol = Protocol::Http10;
        }
        let mut framing = codec::request_framing(&method, line.version, &fields)?;
        // What a client sends behind a CONNECT that is refused may not be HTTP.
        framing.keep_alive &= method != Method::CONNECT;
        raw = line.target;
        let version = if line.version == Version::Http10 { ::http::Version::HTTP_10 } else { ::http::Version::HTTP_11 };
        let target = target::http1(version, &method, line.target, &mut fields)?;
        found = Some(target);
        let listener = snapshot.listeners.get(&client.listener);
        let trusts = |ip| listener.is_some_and(|listener| listener.trusts(ip));
        client_ip = edge::client_ip(client, &fields, trusts);
        edge::clean_request(&mut fields, client.trusted);
        Ok(framing)
    });
    let text = |span: fn(&target::Target) -> Span| found.as_ref().map_or(raw, span);
    let request = Request {
        method,
        protocol,
        host: found.as_ref().map_or(Span::default(), |target| target.host),
        authority: found.as_ref().map_or(Span::default(), |target| target.authority),
        path: text(|target| target.path),
        matched: text(|target| target.matched),
        query: found.as_ref().and_then(|target| target.query),
        fields,
    };
    let id = worker.request_id();
    let x = Exchange { id, client: Rc::clone(client), client_ip, request, arrived, attempts: 0 };
    let mut journey = Journey::new(x, Rc::clone(worker), snapshot);
    let prepared = prepared.and_then(|framing| hop_limit(&mut journey, framing));
    (journey, prepared)
}

/// `Max-Forwards` counts down, and stops here at 0.
pub(super) fn hop_limit(journey: &mut Journey, framing: RequestFraming) -> Result<RequestFraming, Fault> {
    let request = &mut journey.x.request;
    match edge::max_forwards(request) {
        edge::MaxForwards::Pass => Ok(framing),
        edge::MaxForwards::Forward(left) => {
            let mut digits = [0; 20];
            let left = forward::render(u64::from(left), &mut digits);
            request.fields.set(Known::MaxForwards, left);
            Ok(framing)
        }
        edge::MaxForwards::Last => Err(Fault::Method { allowed: String::new() }),
        edge::MaxForwards::Invalid => Err(Fault::Malformed("Max-Forwards is not a number")),
    }
}

/// What the head of a reply depends on besides the reply.
#[derive(Clone)]
struct ReplyHead {
    is_http10: bool,
    keep: bool,
    method: Method,
}

/// How the end of a reply body is marked for this client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Chunked,
}

impl ReplyHead {
    /// Whether the reply has no body, whatever its fields say (RFC 9112 section 6.3).
    fn is_bodiless(&self, status: u16) -> bool {
        self.method == Method::HEAD || status == 204 || status == 304 || status < 200
    }

    /// Writes the head, and says how the body must be written and whether the connection can live on.
    fn write<B>(&self, out: &mut Vec<u8>, reply: &Reply<B>, wall_s: i64) -> (Coding, bool) {
        let bodiless = self.is_bodiless(reply.status);
        let (coding, keep) = match reply.framing {
            _ if bodiless => (Coding::Plain, self.keep),
            Framing::Chunked | Framing::UntilClose if self.is_http10 => (Coding::Plain, false),
            Framing::Chunked | Framing::UntilClose => (Coding::Chunked, self.keep),
            Framing::Length(_) | Framing::None => (Coding::Plain, self.keep),
        };
        codec::reply_line(out, reply.status);
        codec::fields(out, &reply.fields);
        if reply.fields.count(Known::Date) == 0 {
            date::write(out, wall_s);
        }
        if coding == Coding::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if !bodiless && reply.framing == Framing::None {
            out.extend_from_slice(b"Content-Length: 0\r\n");
        }
        match (keep, self.is_http10) {
            (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, false) => {}
        }
        codec::end_head(out);
        (coding, keep)
    }
}

/// Writes the page of a fault in place of a reply, as the last of its connection.
async fn write_fault(
    side: &ClientSide,
    worker: &Worker,
    head: &ReplyHead,
    fault: Fault,
    journey: &mut Journey,
) -> Result<bool, Fault> {
    journey.cut(fault.clone());
    let mut page = http::refuse::<client::RequestBody>(journey, fault);
    write_reply(side, worker, &ReplyHead { keep: false, ..head.clone() }, &mut page, journey).await
}

/// Writes a reply; whether the connection can live on.
async fn write_reply<B>(
    side: &ClientSide,
    worker: &Worker,
    head: &ReplyHead,
    reply: &mut Reply<B>,
    journey: &mut Journey,
) -> Result<bool, Fault>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let mut out = worker.buffers.output();
    let (coding, keep) = head.write(&mut out, reply, worker.wall_s());
    let outcome = if head.is_bodiless(reply.status) {
        side.write_all(&out, &[]).await
    } else {
        write_body(side, &mut out, &mut reply.body, coding, journey).await
    };
    let outcome = match outcome {
        Ok(()) => side.flush().await,
        fault => fault,
    };
    worker.buffers.return_output(out);
    worker.buffers.return_fields(std::mem::take(&mut reply.fields));
    outcome.map(|()| keep)
}

/// Passes the body on, with what is already in `out` in front. A frame that is in hand leaves with what came before it.
async fn write_body<B>(
    side: &ClientSide,
    out: &mut Vec<u8>,
    body: &mut Content<B>,
    coding: Coding,
    journey: &mut Journey,
) -> Result<(), Fault>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    loop {
        let frame = match next_frame(side, out, body).await {
            Ok(frame) => frame,
            Err(fault) => {
                journey.fault = Some(fault.clone());
                return Err(fault);
            }
        };
        let Some(frame) = frame else {
            if coding == Coding::Chunked {
                out.extend_from_slice(codec::LAST_CHUNK);
            }
            return side.write_all(out, &[]).await;
        };
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => write_data(side, out, &data, coding).await?,
            Err(frame) => {
                if let (Coding::Chunked, Ok(trailers)) = (coding, frame.into_trailers()) {
                    codec::last_chunk(out, &trailers);
                    return side.write_all(out, &[]).await;
                }
            }
        }
    }
}

/// The next frame; what is in `out` is written before waiting for it.
async fn next_frame<B>(
    side: &ClientSide,
    out: &mut Vec<u8>,
    body: &mut Content<B>,
) -> Result<Option<http_body::Frame<Bytes>>, Fault>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let ready = std::future::poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(Some(frame)),
        Poll::Pending => Poll::Ready(None),
    });
    let frame = match ready.await {
        Some(frame) => frame,
        None => {
            if !out.is_empty() {
                side.write_all(out, &[]).await?;
                side.flush().await?;
                out.clear();
            }
            std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
        }
    };
    frame.transpose()
}

async fn write_data(side: &ClientSide, out: &mut Vec<u8>, data: &Bytes, coding: Coding) -> Result<(), Fault> {
    if coding == Coding::Chunked {
        let mut line = [0; codec::CHUNK_SIZE_MAX];
        out.extend_from_slice(codec::chunk_size(data.len(), &mut line));
    }
    if out.len() + data.len() <= COPY_BYTES_MAX {
        out.extend_from_slice(data);
    } else {
        side.write_all(out, data).await?;
        out.clear();
    }
    if coding == Coding::Chunked {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// The `Date` of replies that have none (RFC 9110 section 6.6.1), rendered once a second.
mod date {
    use std::cell::RefCell;

    thread_local! {
        static CACHED: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
    }

    pub(super) fn write(out: &mut Vec<u8>, seconds: i64) {
        CACHED.with_borrow_mut(|(at, line)| {
            if *at != seconds {
                *at = seconds;
                *line = render(seconds);
            }
            out.extend_from_slice(line.as_bytes());
        });
    }

    fn render(seconds: i64) -> String {
        let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        format!("Date: {}\r\n", moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    }
}
