// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP check: a request, the status of its reply, and perhaps something to find in the body.
//!
//! Its own few lines of HTTP/1.1. The body is read only if something is to be found in it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::super::Failure;
use super::tls::{CheckTls, handshake};
use super::{REPLY_MAX, Thrift, connect_briefly, read_more};

/// Checks over one kept connection: the next one opens another, which is part of what is checked.
pub(super) const KEPT_CHECKS_MAX: u32 = 5;

/// Longest body that is read so that a connection can be kept; after a longer one it is closed.
const KEPT_BODY_MAX: usize = 2 * 1024;

/// Fields in a reply head.
const FIELDS_MAX: usize = 128;

/// A request and the statuses that count as healthy. Everything written was checked when it was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    pub method: Box<str>,
    pub path: Box<str>,
    /// The Host field; the address of the endpoint if none is given.
    pub host: Option<Box<str>>,
    pub fields: Box<[(Box<str>, Box<str>)]>,
    pub expect: Statuses,
    /// Must be found in the first 64 KiB of the body.
    pub body: Option<BodyPattern>,
    pub tls: Option<CheckTls>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            host: None,
            fields: Box::default(),
            expect: Statuses(Box::new([200..=399])),
            body: None,
            tls: None,
        }
    }
}

/// A regular expression for a body. Two are the same if they are written the same.
#[derive(Clone, Debug)]
pub struct BodyPattern(pub Regex);

impl PartialEq for BodyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for BodyPattern {}

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Box<[RangeInclusive<u16>]>);

impl Statuses {
    /// Exactly these codes.
    pub fn of(codes: &[u16]) -> Self {
        Self(codes.iter().map(|code| *code..=*code).collect())
    }

    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    fn words(&self) -> Box<str> {
        let word = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start} to {end}"),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(" or ").into()
    }
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Ends,
    Lasts,
}

impl HttpCheck {
    /// Whether it is nothing but a request and the head of its reply.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none() && self.body.is_none()
    }

    /// Whether its connection may be kept: its reply has the body that it says, and none is looked at.
    pub(super) fn can_keep(&self) -> bool {
        self.is_plain() && &*self.method == "GET"
    }

    /// Judges a plain reply by what has come of it; none while that is too little.
    pub(super) fn judge(&self, bytes: &[u8], thrift: Thrift) -> Result<Option<After>, Failure> {
        let Some(head) = final_head(bytes)? else { return Ok(None) };
        self.accept(&head)?;
        let length = head.length.filter(|length| *length <= KEPT_BODY_MAX && !head.is_chunked);
        let end = length.filter(|_| thrift == Thrift::Kept && head.lasts).map(|length| head.body + length);
        Ok(match end {
            Some(end) if bytes.len() < end => None,
            Some(end) if bytes.len() == end => Some(After::Lasts),
            _ => Some(After::Ends),
        })
    }

    fn accept(&self, head: &ReplyHead) -> Result<(), Failure> {
        let is_expected = self.expect.contain(head.status);
        let failure = || Failure::Status { got: head.status, want: self.expect.words() };
        if is_expected { Ok(()) } else { Err(failure()) }
    }

    /// The request to an endpoint at this address.
    pub(super) fn request(&self, address: SocketAddr, connection: &str) -> Box<[u8]> {
        let Self { method, path, host, fields, .. } = self;
        let own = address.to_string();
        let host = host.as_deref().unwrap_or(&own);
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n");
        let ours = [("User-Agent", concat!("weirgate-health/", env!("CARGO_PKG_VERSION"))), ("Accept", "*/*")];
        let is_given = |name: &str| fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let ours = ours.into_iter().filter(|(name, _)| !is_given(name));
        for (name, value) in ours.chain(fields.iter().map(|(name, value)| (&**name, &**value))) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.into_bytes().into()
    }
}

pub(super) async fn ask(check: &HttpCheck, request: &[u8], address: SocketAddr) -> Result<(), Failure> {
    let Some(tls) = &check.tls else {
        return converse(check, request, &mut connect_briefly(address).await?).await;
    };
    converse(check, request, &mut handshake(tls, address).await?).await
}

async fn converse<S>(check: &HttpCheck, request: &[u8], stream: &mut S) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await.map_err(|_| Failure::Closed)?;
    stream.flush().await.map_err(|_| Failure::Closed)?;
    let mut bytes = Vec::with_capacity(1024);
    let head = read_head(stream, &mut bytes).await?;
    check.accept(&head)?;
    match &check.body {
        None => Ok(()),
        Some(pattern) => find(stream, &head, &mut bytes, pattern).await,
    }
}

/// What matters of the head of a reply.
struct ReplyHead {
    status: u16,
    /// Where the body begins.
    body: usize,
    length: Option<usize>,
    is_chunked: bool,
    /// Whether the endpoint means to leave the connection open.
    lasts: bool,
}

/// Reads until a final reply head is whole.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<ReplyHead, Failure> {
    loop {
        if !read_more(stream, bytes).await? {
            let full = bytes.len() >= REPLY_MAX;
            return Err(if full { Failure::NotHttp("its head is larger than 64 KiB") } else { Failure::Closed });
        }
        if let Some(head) = final_head(bytes)? {
            return Ok(head);
        }
    }
}

/// The first head that is not an interim one, if it is all there.
fn final_head(bytes: &[u8]) -> Result<Option<ReplyHead>, Failure> {
    let mut at = 0;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut reply = httparse::Response::new(&mut fields);
        let rest = bytes.get(at..).unwrap_or_default();
        let parsed = reply.parse(rest).map_err(|_| Failure::NotHttp("its head is malformed"))?;
        let (httparse::Status::Complete(length), Some(status)) = (parsed, reply.code) else { return Ok(None) };
        at += length;
        if (100..200).contains(&status) {
            continue;
        }
        let value = |name: &str| reply.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let length =
            value("content-length").and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse().ok());
        let says_close = value("connection").is_some_and(|field| field.value.eq_ignore_ascii_case(b"close"));
        let lasts = reply.version == Some(1) && !says_close;
        let is_chunked = value("transfer-encoding").is_some();
        return Ok(Some(ReplyHead { status, body: at, length, is_chunked, lasts }));
    }
}

/// Reads the body to its end or the bound, and looks for the pattern once: a body that drips must not cost more.
async fn find<S>(stream: &mut S, head: &ReplyHead, bytes: &mut Vec<u8>, pattern: &BodyPattern) -> Result<(), Failure>
where
    S: AsyncRead + Unpin,
{
    let is_over = |bytes: &[u8]| match head.length {
        _ if head.is_chunked => bytes.ends_with(b"0\r\n\r\n"),
        Some(length) => bytes.len().saturating_sub(head.body) >= length,
        None => false,
    };
    while !is_over(bytes) && read_more(stream, bytes).await? {}
    let raw = bytes.get(head.body..).unwrap_or_default();
    let found = if head.is_chunked { pattern.0.is_match(&joined(raw)) } else { pattern.0.is_match(raw) };
    let missing = || Failure::Answer(format!("got a body without \"{}\"", pattern.0.as_str().escape_debug()).into());
    if found { Ok(()) } else { Err(missing()) }
}

/// The data of chunks, as far as they are here and well formed.
fn joined(mut raw: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(raw.len());
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(raw) {
        let rest = raw.get(start..).unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        data.extend_from_slice(rest.get(..size.min(rest.len())).unwrap_or_default());
        if size == 0 || size >= rest.len() {
            break;
        }
        raw = rest.get(size..).and_then(|rest| rest.strip_prefix(b"\r\n")).unwrap_or_default();
    }
    data
}
