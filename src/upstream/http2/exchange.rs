// SPDX-License-Identifier: MIT OR Apache-2.0
//! One request on one HTTP/2 stream, up to the head of its reply, and what a failure means: whether the endpoint can
//! have looked at the request.
//!
//! A request above the last stream that a GOAWAY names, or refused with REFUSED_STREAM, was not looked at (RFC 9113
//! sections 6.8 and 8.7), so that even one that must not run twice may be sent again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Error, Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;

use super::body::Incoming;
use super::connection::Slot;
use super::upload::Upload;
use crate::clock::Deadline;
use crate::exchange::{Fields, Known};
use crate::fault::{Fault, Sent};
use crate::protocol::http1::{Framing, HeadLimits, ReplyLine, Version};
use crate::upstream::connection::{INFORMATIONAL_MAX, Patience, Reply, SendError};
use crate::upstream::reply_body::ReplyBody;

/// A request as it goes to an endpoint.
#[derive(Debug)]
pub struct Outgoing<B> {
    pub head: Request<()>,
    /// Whether the head is the whole request.
    pub is_bodiless: bool,
    pub body: B,
    /// Used for the fields of the reply; what it held is forgotten and its memory is reused.
    pub fields: Fields,
    pub limits: HeadLimits,
    pub patience: Patience,
}

/// A request that has no final reply yet.
struct Waiting<B> {
    slot: Slot,
    reply: ResponseFuture,
    upload: Upload<B>,
    method: Method,
    fields: Fields,
    limits: HeadLimits,
    patience: Patience,
    deadline: Deadline,
    informational: u32,
    is_informed: bool,
    is_paused: bool,
}

impl Slot {
    /// Sends a request and waits for the head of its final reply. Each informational reply is shown to
    /// `on_informational` as it comes, with the request body, which knows the client.
    pub async fn send<B>(
        self,
        request: Outgoing<B>,
        mut on_informational: impl FnMut(u16, &Fields, &B),
    ) -> Result<Reply<B>, SendError<B>>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let Outgoing { head, is_bodiless, body, fields, limits, patience } = request;
        let method = head.method().clone();
        let begun = match self.sender() {
            Some(mut sender) => sender.send_request(head, is_bodiless).map_err(|error| self.unsent(&error)),
            None => Err(Fault::Stale { endpoint: self.endpoint(), sent: Sent::Nothing }),
        };
        let (reply, stream) = match begun {
            Ok(begun) => begun,
            Err(fault) => return Err(SendError { fault, body: Some(body) }),
        };
        let deadline = self.shared.deadlines.guard(patience.reply);
        deadline.join(self.shared.group);
        let upload = Upload::new(body, stream, is_bodiless);
        let mut waiting = Waiting {
            slot: self,
            reply,
            upload,
            method,
            fields,
            limits,
            patience,
            deadline,
            informational: 0,
            is_informed: false,
            is_paused: false,
        };
        match poll_fn(|cx| waiting.poll(cx, &mut on_informational)).await {
            Ok((head, incoming)) => waiting.answer(&head, incoming),
            Err(fault) => Err(SendError { fault, body: waiting.upload.into_untouched() }),
        }
    }

    pub(super) fn endpoint(&self) -> Arc<str> {
        Arc::clone(&self.shared.endpoint)
    }

    /// The request did not leave.
    #[cold]
    fn unsent(&self, error: &Error) -> Fault {
        self.shared.leave();
        if error.is_io() || error.is_go_away() {
            return Fault::Stale { endpoint: self.endpoint(), sent: Sent::Nothing };
        }
        tracing::debug!(%error, "a request cannot be sent over HTTP/2");
        Fault::Internal("a request that HTTP/2 cannot carry")
    }

    /// What it means that a stream failed before the head of a reply.
    #[cold]
    fn failed(&self, error: &Error, sent: Sent) -> Fault {
        let endpoint = self.endpoint();
        if error.is_go_away() && error.is_remote() {
            self.shared.leave();
            return Fault::Stale { endpoint, sent: Sent::Nothing };
        }
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Fault::StreamRefused { endpoint },
            Some(Reason::HTTP_1_1_REQUIRED) if error.is_remote() => {
                Fault::BadReply { endpoint, what: "it wants HTTP/1.1 for this" }
            }
            Some(reason) if error.is_reset() && error.is_remote() => {
                Fault::StreamReset { endpoint, reason: reason.to_string().into(), sent }
            }
            Some(_) => Fault::BadReply { endpoint, what: "its frames or fields are not HTTP/2" },
            None => {
                self.shared.leave();
                if self.is_kept { Fault::Stale { endpoint, sent } } else { Fault::Closed { endpoint, sent } }
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Waiting<B> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Poll<Result<(Response<()>, RecvStream), Fault>> {
        let before = self.upload.pieces();
        self.upload.poll_send(cx)?;
        if before != self.upload.pieces() {
            self.deadline.reset(self.patience.reply);
        }
        self.poll_informational(cx, on_informational)?;
        match std::pin::Pin::new(&mut self.reply).poll(cx) {
            Poll::Ready(Ok(reply)) => {
                self.slot.note_reply();
                let (parts, incoming) = reply.into_parts();
                Poll::Ready(Ok((Response::from_parts(parts, ()), incoming)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.slot.failed(&error, self.upload.sent()))),
            Poll::Pending => self.poll_patience(cx),
        }
    }

    fn poll_informational(
        &mut self,
        cx: &mut Context<'_>,
        on_informational: &mut impl FnMut(u16, &Fields, &B),
    ) -> Result<(), Fault> {
        while !self.is_informed {
            match self.reply.poll_informational(cx) {
                Poll::Pending => return Ok(()),
                // The final reply, or the end of the stream, which the reply tells.
                Poll::Ready(None | Some(Err(_))) => self.is_informed = true,
                Poll::Ready(Some(Ok(interim))) => {
                    self.informational += 1;
                    if self.informational > INFORMATIONAL_MAX {
                        return Err(self.bad("too many informational replies"));
                    }
                    self.slot.shared.hear();
                    read_fields(interim.headers(), &mut self.fields, &self.limits).map_err(|what| self.bad(what))?;
                    on_informational(interim.status().as_u16(), &self.fields, self.upload.body());
                }
            }
        }
        Ok(())
    }

    /// Only the endpoint's time counts: while the next step is the client's, its own deadline runs.
    fn poll_patience<T>(&mut self, cx: &Context<'_>) -> Poll<Result<T, Fault>> {
        if self.upload.waits_for_client() {
            if !self.is_paused {
                self.deadline.disarm();
                self.is_paused = true;
            }
            // Disarmed, it passes only if the endpoint is cut off.
            ready!(self.deadline.poll_expired(cx));
            return Poll::Ready(Err(self.cut_off()));
        }
        if self.is_paused {
            self.deadline.reset(self.patience.reply);
            self.is_paused = false;
        }
        ready!(self.deadline.poll_expired(cx));
        if self.deadline.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        // The others on this connection want to know whether it is only this one that takes so long.
        self.slot.shared.ask();
        let (endpoint, after, sent) = (self.slot.endpoint(), self.patience.reply, self.upload.sent());
        Poll::Ready(Err(Fault::ReplyTimeout { endpoint, after, sent }))
    }

    /// The reply that has begun.
    fn answer(self, head: &Response<()>, incoming: RecvStream) -> Result<Reply<B>, SendError<B>> {
        let Self { slot, mut fields, limits, upload, method, patience, deadline, .. } = self;
        let status = head.status().as_u16();
        let read = read_fields(head.headers(), &mut fields, &limits);
        let framing = read.and_then(|()| framing(&method, status, &fields, incoming.is_end_stream()));
        let framing = match framing {
            Ok(framing) => framing,
            Err(what) => {
                let fault = Fault::BadReply { endpoint: slot.endpoint(), what };
                return Err(SendError { fault, body: upload.into_untouched() });
            }
        };
        let line = ReplyLine { version: Version::Http11, status, head_len: 0 };
        let body = if incoming.is_end_stream() {
            ReplyBody::whole(Bytes::new(), upload.into_untouched())
        } else {
            ReplyBody::multiplexed(Incoming::new(slot, incoming, upload, deadline, patience.silence))
        };
        Ok(Reply { line, fields, framing, body, tunnel: None })
    }

    #[cold]
    fn cut_off(&self) -> Fault {
        Fault::CutOff { endpoint: self.slot.endpoint(), sent: self.upload.sent() }
    }

    #[cold]
    fn bad(&self, what: &'static str) -> Fault {
        Fault::BadReply { endpoint: self.slot.endpoint(), what }
    }
}

/// Copies the fields of a reply.
fn read_fields(headers: &HeaderMap, fields: &mut Fields, limits: &HeadLimits) -> Result<(), &'static str> {
    fields.reset(limits.head_bytes);
    if headers.len() > limits.fields {
        return Err("too many fields");
    }
    for (name, value) in headers {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    Ok(())
}

/// How the end of the body is known. h2 has held the length against the data frames; here it is only read.
fn framing(method: &Method, status: u16, fields: &Fields, is_over: bool) -> Result<Framing, &'static str> {
    if status < 200 {
        return Err("an informational status as the final one");
    }
    let length = match (fields.find(Known::ContentLength), fields.count(Known::ContentLength)) {
        (None, _) => None,
        (Some(value), 1) => {
            let digits = std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            Some(digits.and_then(|digits| digits.parse().ok()).ok_or("Content-Length is not a number")?)
        }
        (Some(_), _) => return Err("more than one Content-Length"),
    };
    Ok(match length {
        _ if *method == Method::HEAD || matches!(status, 204 | 304) => Framing::None,
        Some(length) => Framing::Length(length),
        None if is_over => Framing::None,
        None => Framing::Chunked,
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::framing;
    use crate::exchange::{Fields, Known};
    use crate::protocol::http1::Framing;

    fn check(method: &Method, status: u16, lengths: &[&str], is_over: bool, want: Option<Framing>) {
        let mut fields = Fields::new();
        lengths.iter().for_each(|length| fields.push_known(Known::ContentLength, length.as_bytes()));
        assert_eq!(framing(method, status, &fields, is_over).ok(), want, "row {method} {status} {lengths:?} {is_over}");
    }

    #[test]
    fn the_head_says_how_the_body_ends() {
        check(&Method::GET, 200, &[], true, Some(Framing::None));
        check(&Method::GET, 200, &[], false, Some(Framing::Chunked));
        check(&Method::GET, 200, &["0"], true, Some(Framing::Length(0)));
        check(&Method::GET, 200, &["7"], false, Some(Framing::Length(7)));
        check(&Method::HEAD, 200, &["7"], true, Some(Framing::None));
        check(&Method::GET, 304, &["7"], true, Some(Framing::None));
        check(&Method::GET, 204, &[], true, Some(Framing::None));
        check(&Method::GET, 200, &["7", "7"], false, None);
        check(&Method::GET, 200, &["+7"], false, None);
        check(&Method::GET, 101, &[], true, None);
    }
}
