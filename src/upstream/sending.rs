// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request on its way over a connection of HTTP/1, until the head of its final reply is here.
//!
//! [`Sending`] is a future written by hand: an `async fn` keeps its arguments beside what it makes of them, and every
//! function that waits for it pays for that room once more. Here each part is there once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Method;
use http_body::Body;

use super::connection::{CONTINUE_WAIT, Connection, INFORMATIONAL_MAX, Reply, SendError};
use super::reply_body::ReplyBody;
use super::upload::{Stopped, Upload};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;
use crate::protocol::http1::{
    Bad, Decoder, Framing, HeadLimits, HeadScanner, ReplyFraming, ReplyLine, parse_reply, reply_framing,
};
use crate::tls::originate;

/// How long an endpoint may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the last byte of request that it took to the head of its reply.
    pub reply: Duration,
    /// Between two pieces of its reply body.
    pub silence: Duration,
}

/// A request as it goes to an endpoint.
#[derive(Debug)]
pub struct Outgoing<'a, B> {
    pub method: &'a Method,
    /// The whole head as it is written, its framing fields included.
    pub head: &'a [u8],
    /// How the body is written; what `head` says.
    pub framing: Framing,
    /// Whether `head` expects `100-continue`, so that the body waits for it.
    pub expect_continue: bool,
    /// Whether `head` asks for an upgrade, so that a 101 is an answer.
    pub upgrade: bool,
    pub body: B,
    /// Used for the fields of the reply; what it held is forgotten and its memory is reused.
    pub fields: Fields,
    pub limits: HeadLimits,
    pub patience: Patience,
}

impl Connection {
    /// Sends a request and waits for the head of its final reply. Each informational reply (100, 102, 103) is shown to
    /// `on_informational` as it comes, with the request body, which knows the client.
    pub fn send<B, I>(self, request: Outgoing<'_, B>, on_informational: I) -> Sending<'_, B, I>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
        I: FnMut(u16, &Fields, &B),
    {
        let Outgoing { method, head, framing, expect_continue, upgrade, body, fields, limits, patience } = request;
        let upload = Upload::new(head.len(), body, framing, expect_continue);
        self.socket.deadline.reset(if upload.is_held() { CONTINUE_WAIT } else { patience.reply });
        let waiting = Waiting {
            connection: self,
            method,
            head,
            upload,
            fields,
            limits,
            patience,
            upgrade,
            scanner: HeadScanner::default(),
            informational: 0,
            has_answered: false,
            is_paused: false,
        };
        Sending { waiting: Some(waiting), on_informational }
    }
}

/// A request that has no final reply yet; ready with it.
#[derive(Debug)]
pub struct Sending<'a, B, I> {
    /// None once it is over.
    waiting: Option<Waiting<'a, B>>,
    on_informational: I,
}

impl<B, I> Future for Sending<'_, B, I>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    I: FnMut(u16, &Fields, &B) + Unpin,
{
    type Output = Result<Reply<B>, SendError<B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { waiting, on_informational } = self.get_mut();
        let under_way = waiting.as_mut().expect("a future is not polled once it was ready");
        let outcome = ready!(under_way.poll(cx, on_informational));
        let Some(waiting) = waiting.take() else { return Poll::Pending };
        Poll::Ready(match outcome.and_then(|line| waiting.judge(line)) {
            Ok((line, said)) => Ok(waiting.answer(line, said)),
            Err(fault) => Err(SendError { fault, body: waiting.upload.into_untouched() }),
        })
    }
}

#[derive(Debug)]
struct Waiting<'a, B> {
    connection: Connection,
    method: &'a Method,
    /// The whole head as it is written.
    head: &'a [u8],
    upload: Upload<B>,
    fields: Fields,
    limits: HeadLimits,
    patience: Patience,
    upgrade: bool,
    scanner: HeadScanner,
    informational: u32,
    /// Whether a byte of a reply has come.
    has_answered: bool,
    /// Whether the deadline stands still because the client has to send first.
    is_paused: bool,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Waiting<'_, B> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Poll<Result<ReplyLine, Fault>> {
        loop {
            self.write(cx)?;
            match self.connection.poll_read(cx) {
                Poll::Ready(Ok(read)) if read > 0 => {
                    self.has_answered = true;
                    if let Some(line) = self.take_head(on_informational)? {
                        return Poll::Ready(Ok(line));
                    }
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(self.closed())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.failed(&error))),
                Poll::Pending => ready!(self.poll_patience(cx))?,
            }
        }
    }

    /// Writes what can be written. A socket that takes nothing more may still have a reply, so that is no fault yet.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let before = self.upload.written();
        let stopped = match self.upload.poll_send(cx, &mut self.connection.socket.stream, self.head) {
            Poll::Ready(Err(stopped)) => Some(stopped),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        if before != 0 && before != self.upload.written() {
            self.connection.socket.deadline.reset(self.patience.reply);
        }
        match stopped {
            Some(Stopped::Client(fault)) => Err(fault),
            Some(Stopped::Endpoint) => {
                self.upload.stop();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ready with nothing when a held body may go, with a fault when the endpoint took too long; pending while the next
    /// step is the client's, whose own deadline runs.
    fn poll_patience(&mut self, cx: &Context<'_>) -> Poll<Result<(), Fault>> {
        let deadline = &self.connection.socket.deadline;
        if self.upload.waits_for_client() {
            if !self.is_paused {
                deadline.disarm();
                self.is_paused = true;
            }
            // Disarmed, it passes only if the endpoint is cut off.
            ready!(deadline.poll_expired(cx));
            return Poll::Ready(Err(self.cut_off()));
        }
        if self.is_paused {
            deadline.reset(self.patience.reply);
            self.is_paused = false;
        }
        ready!(deadline.poll_expired(cx));
        if deadline.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        if self.upload.is_held() {
            self.upload.release();
            deadline.reset(self.patience.reply);
            return Poll::Ready(Ok(()));
        }
        let (after, sent) = (self.patience.reply, self.upload.sent());
        Poll::Ready(Err(Fault::ReplyTimeout { endpoint: self.connection.endpoint(), after, sent }))
    }

    #[cold]
    fn cut_off(&self) -> Fault {
        Fault::CutOff { endpoint: self.connection.endpoint(), sent: self.upload.sent() }
    }

    /// The final head, if it is in the buffer; informational ones before it are taken out on the way.
    fn take_head(&mut self, on_informational: &mut impl FnMut(u16, &Fields, &B)) -> Result<Option<ReplyLine>, Fault> {
        while self.scanner.is_worth_parsing(&self.connection.buf, &self.limits) {
            self.fields.reset(self.limits.head_bytes);
            let parsed = parse_reply(&self.connection.buf, &self.limits, &mut self.fields);
            let Some(line) = parsed.map_err(|bad| self.connection.bad_reply(bad))? else { return Ok(None) };
            self.connection.buf.advance(line.head_len);
            self.scanner = HeadScanner::default();
            match line.status {
                101 if self.upgrade && self.upload.is_done() => return Ok(Some(line)),
                101 => return Err(self.connection.bad_reply(Bad("it switched protocols unasked"))),
                100..=199 => self.inform(line.status, on_informational)?,
                _ => return Ok(Some(line)),
            }
            if self.connection.buf.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    fn inform(&mut self, status: u16, on_informational: &mut impl FnMut(u16, &Fields, &B)) -> Result<(), Fault> {
        self.informational += 1;
        if self.informational > INFORMATIONAL_MAX {
            return Err(self.connection.bad_reply(Bad("too many informational replies")));
        }
        if status == 100 && self.upload.is_held() {
            self.upload.release();
            self.connection.socket.deadline.reset(self.patience.reply);
        }
        on_informational(status, &self.fields, self.upload.body());
        Ok(())
    }

    /// What it means that nothing can be read before a final reply.
    #[cold]
    fn failed(&self, error: &io::Error) -> Fault {
        match originate::refusal(error) {
            Some(cause) if !self.has_answered && !self.connection.is_kept => {
                Fault::Connect { endpoint: self.connection.endpoint(), cause }
            }
            _ => self.closed(),
        }
    }

    /// What it means that the endpoint closed before a final reply.
    #[cold]
    fn closed(&self) -> Fault {
        let (endpoint, sent) = (self.connection.endpoint(), self.upload.sent());
        match (self.has_answered, self.connection.is_kept) {
            (true, _) => self.connection.reply_cut("it closed in the reply head"),
            (false, true) => Fault::Stale { endpoint, sent },
            (false, false) => Fault::Closed { endpoint, sent },
        }
    }

    /// The line with how the body behind its head is framed.
    fn judge(&self, line: ReplyLine) -> Result<(ReplyLine, ReplyFraming), Fault> {
        match reply_framing(self.method, &line, &self.fields) {
            Ok(said) => Ok((line, said)),
            Err(bad) => Err(self.connection.bad_reply(bad)),
        }
    }

    /// The reply that has begun; its body goes on with the connection unless all of it is here.
    fn answer(self, line: ReplyLine, said: ReplyFraming) -> Reply<B> {
        let Self { mut connection, mut upload, mut fields, patience, .. } = self;
        let ReplyFraming { framing, keep_alive } = said;
        let mut tunnel = None;
        let body = if becomes_tunnel(self.method, line.status) {
            // What follows is no body (RFC 9110 section 9.3.6).
            fields.remove(Known::ContentLength);
            tunnel = Some(Box::new(connection.into_tunnel()));
            ReplyBody::whole(Bytes::new(), None)
        } else if let (Some(len), true) = (connection.has_whole(framing), upload.is_done()) {
            let data = if len == 0 { Bytes::new() } else { connection.buf.split_to(len).freeze() };
            connection.finish(keep_alive, stated_idle(&fields));
            ReplyBody::whole(data, upload.into_untouched())
        } else {
            if upload.is_held() || !upload.has_sent_head() {
                upload.stop();
            }
            connection.expect(framing);
            let stated = stated_idle(&fields);
            ReplyBody::streaming(connection, Decoder::new(framing), upload, keep_alive, stated, patience.silence)
        };
        Reply { line, fields, framing, body, tunnel }
    }
}

/// Whether what follows such a reply is no HTTP any more. A 101 that nobody asked for has been refused before.
fn becomes_tunnel(method: &Method, status: u16) -> bool {
    status == 101 || (*method == Method::CONNECT && (200..300).contains(&status))
}

/// The idle limit in `Keep-Alive: timeout=N`, a second early, as the field is a promise only of the other side's clock.
fn stated_idle(fields: &Fields) -> Option<Duration> {
    let value = fields.find(Known::KeepAlive)?;
    let parameter = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameter.filter_map(|text| text.strip_prefix(b"timeout=")).next()?;
    let seconds: u32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let stated = Duration::from_secs(u64::from(seconds));
    Some(stated.saturating_sub(Duration::from_secs(1)).max(stated / 2))
}
