// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request as every stage sees it, whatever protocol it came by.

use http::Method;

use super::{Fields, Span};

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
}

impl Request {
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
