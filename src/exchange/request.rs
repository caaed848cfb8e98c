// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request as every stage sees it, whatever protocol it came by.

use http::Method;

use super::{Fields, Span, Trace};

/// The version of HTTP that a message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
}

impl Protocol {
    /// As it is written in a log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// A request head whose target is already normalised; the texts lie in the buffer of `fields`.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub protocol: Protocol,
    pub fields: Fields,
    /// Lower case, without port.
    pub host: Span,
    /// Host and port as the endpoint gets them.
    pub authority: Span,
    /// As it goes to the endpoint.
    pub path: Span,
    /// As routes and policies compare it; the same as `path` unless the client encoded delimiters or sent path
    /// parameters.
    pub matched: Span,
    pub query: Option<Span>,
    /// What the endpoint is asked for, where a policy rewrote it.
    pub sent: Option<Sent>,
    /// Its place in a trace, where a policy looked for one.
    pub trace: Option<Box<Trace>>,
}

/// Where a request goes at its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub path: Span,
    pub query: Option<Span>,
    pub authority: Span,
}

impl Request {
    /// Where the request goes at its endpoint: as it came, unless a policy rewrote it.
    pub fn sent(&self) -> Sent {
        self.sent.unwrap_or(Sent { path: self.path, query: self.query, authority: self.authority })
    }

    pub fn host(&self) -> &[u8] {
        self.fields.text(self.host)
    }

    pub fn path(&self) -> &[u8] {
        self.fields.text(self.path)
    }

    pub fn matched(&self) -> &[u8] {
        self.fields.text(self.matched)
    }

    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|span| self.fields.text(span))
    }
}
