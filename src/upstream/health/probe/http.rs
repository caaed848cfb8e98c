// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP check: a request, the status of its reply, and perhaps something to find in the body.
//!
//! Its own few lines of HTTP/1.1. The body is read only if something is to be found in it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::Failure;
use super::tls::{ServerNames, Speaks, handshake};
use super::{REPLY_MAX, connect, connect_briefly, read_more};

/// Checks over one kept connection: the next one opens another, which is part of what is checked.
const KEPT_CHECKS_MAX: u32 = 5;

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
    /// Over TLS, with this name.
    pub tls: Option<ServerNames>,
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

impl HttpCheck {
    /// Whether its connection may be kept: it is plain, its reply has the body that it says, and none is looked at.
    pub(super) fn can_keep(&self) -> bool {
        self.tls.is_none() && self.body.is_none() && &*self.method == "GET"
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

/// The same over a connection that an earlier check left open, if there is one and it still answers. Every
/// [`KEPT_CHECKS_MAX`]th check opens a new one, and so does every one after a failure.
pub(super) async fn ask_kept(
    check: &HttpCheck,
    request: &[u8],
    address: SocketAddr,
    kept: &RefCell<Option<(TcpStream, u32)>>,
) -> Result<(), Failure> {
    // Taken out first: it must not be borrowed over a wait.
    let held = kept.take();
    if let Some((mut tcp, uses)) = held {
        // One that the endpoint has closed meanwhile says nothing about the endpoint.
        if let Ok(head) = exchange(request, &mut tcp).await {
            return finish(check, &head, tcp, uses, kept);
        }
    }
    let mut tcp = connect_briefly(address).await?;
    let head = exchange(request, &mut tcp).await?;
    finish(check, &head, tcp, 0, kept)
}

/// Judges a reply, and keeps the connection if nothing speaks against it.
fn finish(
    check: &HttpCheck,
    head: &ReplyHead,
    tcp: TcpStream,
    uses: u32,
    kept: &RefCell<Option<(TcpStream, u32)>>,
) -> Result<(), Failure> {
    if !check.expect.contain(head.status) {
        return Err(Failure::Status { got: head.status, want: check.expect.words() });
    }
    if head.lasts && uses + 1 < KEPT_CHECKS_MAX {
        kept.replace(Some((tcp, uses + 1)));
    }
    Ok(())
}

/// Sends a request and reads the head of its reply, and the body if it is short and the connection can be used again.
async fn exchange(request: &[u8], tcp: &mut TcpStream) -> Result<ReplyHead, Failure> {
    tcp.write_all(request).await.map_err(|_| Failure::Closed)?;
    let mut bytes = Vec::with_capacity(2 * KEPT_BODY_MAX);
    let mut head = read_head(tcp, &mut bytes).await?;
    let end =
        head.length.filter(|length| *length <= KEPT_BODY_MAX && !head.is_chunked).map(|length| head.body + length);
    let Some(end) = end.filter(|_| head.lasts) else {
        head.lasts = false;
        return Ok(head);
    };
    while bytes.len() < end && read_more(tcp, &mut bytes).await? {}
    head.lasts = bytes.len() == end;
    Ok(head)
}

pub(super) async fn ask(check: &HttpCheck, request: &[u8], address: SocketAddr) -> Result<(), Failure> {
    let Some(names) = &check.tls else {
        return converse(check, request, &mut connect_briefly(address).await?).await;
    };
    let mut tls = handshake(connect(address).await?, address, names, Speaks::Http1).await?;
    converse(check, request, &mut tls).await
}

async fn converse<S>(check: &HttpCheck, request: &[u8], stream: &mut S) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await.map_err(|_| Failure::Closed)?;
    stream.flush().await.map_err(|_| Failure::Closed)?;
    let mut bytes = Vec::with_capacity(1024);
    let head = read_head(stream, &mut bytes).await?;
    if !check.expect.contain(head.status) {
        return Err(Failure::Status { got: head.status, want: check.expect.words() });
    }
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
