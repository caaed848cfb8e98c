// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reply on its way to the client, from wherever it came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::exchange::{Fields, Known};
use crate::fault::Fault;
use crate::policy;
use crate::protocol::http1::Framing;
use crate::response::Answer;
use crate::upstream::ReplyBody;
use crate::upstream::connection::{self, Tunnel};

/// A reply with its body still to be read.
#[derive(Debug)]
pub struct Reply<B> {
    pub status: u16,
    pub fields: Fields,
    /// How the end of the body is known to us; each protocol frames it anew.
    pub framing: Framing,
    pub body: Content<B>,
    /// The endpoint's side of an upgraded connection.
    pub tunnel: Option<Box<Tunnel>>,
}

/// What a reply consists of.
#[derive(Debug)]
pub enum Content<B> {
    /// All of it, or nothing.
    Whole(Bytes),
    Endpoint(ReplyBody<B>),
}

impl<B> Reply<B> {
    /// A reply of our own.
    pub fn of_answer(answer: Answer) -> Self {
        let framing = Framing::Length(answer.body.len() as u64);
        let body = Content::Whole(answer.body);
        Self { status: answer.status, fields: answer.fields, framing, body, tunnel: None }
    }

    /// A reply that a policy gave.
    pub fn of_policy(reply: policy::Reply) -> Self {
        let body = match reply.body {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let mut fields = reply.fields;
        fields.set(Known::ContentLength, body.len().to_string().as_bytes());
        let framing = Framing::Length(body.len() as u64);
        Self { status: reply.status, fields, framing, body: Content::Whole(body), tunnel: None }
    }

    /// An endpoint's reply.
    pub fn of_endpoint(reply: connection::Reply<B>) -> Self {
        let connection::Reply { line, fields, framing, body, tunnel } = reply;
        Self { status: line.status, fields, framing, body: Content::Endpoint(body), tunnel }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for Content<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Endpoint(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Endpoint(body) => body.is_end_stream(),
        }
    }
}
