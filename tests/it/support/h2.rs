// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/2 in two ways: [`Raw`] writes any frame it is told, right or wrong; [`ask`] is a well-behaved client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::connect;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// The connection was given up with this code.
    Away(u32),
    Closed,
}

/// A frame from the gateway.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection on which any frame can be written.
pub(crate) struct Raw {
    stream: std::net::TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    /// Connects by prior knowledge. The table of the gateway's encoder is turned off, so that statuses can be read.
    pub(crate) fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self { stream: connect(address), buffer: Vec::new() };
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let all = std::iter::once(&(1, 0)).chain(settings);
        let payload: Vec<u8> = all
            .flat_map(|(id, value)| [id.to_be_bytes().as_slice(), value.to_be_bytes().as_slice()].concat())
            .collect();
        raw.frame(SETTINGS, 0, 0, &payload);
        raw
    }

    /// A connection that the gateway opened, its preface read and answered.
    pub(crate) fn accepted(stream: std::net::TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(super::PATIENCE)).expect("a TCP socket");
        let mut raw = Self { stream, buffer: Vec::new() };
        let mut preface = [0; 24];
        if std::io::Read::read_exact(&mut raw.stream, &mut preface).is_ok() {
            assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            raw.frame(SETTINGS, 0, 0, &[]);
        }
        raw
    }

    /// The stream of the next request; what belongs to the connection is answered. None at the end.
    pub(crate) fn request(&mut self) -> Option<u32> {
        while let Some(frame) = self.next() {
            match frame.kind {
                HEADERS => return Some(frame.stream),
                SETTINGS if frame.flags & 1 == 0 => _ = self.frame(SETTINGS, 1, 0, &[]),
                PING if frame.flags & 1 == 0 => _ = self.frame(PING, 1, 0, &frame.payload),
                _ => {}
            }
        }
        None
    }

    /// A whole reply.
    pub(crate) fn reply(&mut self, stream: u32) -> bool {
        self.frame(HEADERS, END_HEADERS, stream, &[0x88]) && self.frame(DATA, END_STREAM, stream, b"ok")
    }

    /// Writes; false once the gateway takes no more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        std::io::Write::write_all(&mut self.stream, bytes).is_ok()
    }

    /// Another handle to write with.
    pub(crate) fn writer(&self) -> Self {
        Self { stream: self.stream.try_clone().expect("a TCP socket"), buffer: Vec::new() }
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&encode(kind, flags, stream, payload))
    }

    /// A request without a body.
    pub(crate) fn get(&mut self, stream: u32) -> bool {
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&GET))
    }

    /// The next frame; none at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        while self.buffer.len() < 9 || self.buffer.len() < 9 + length(&self.buffer) {
            let mut piece = vec![0; 64 * 1024];
            let count = match std::io::Read::read(&mut self.stream, &mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the gateway says nothing"),
                Err(_) => 0,
            };
            if count == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&piece[..count]);
        }
        let end = 9 + length(&self.buffer);
        let whole: Vec<u8> = self.buffer.drain(..end).collect();
        let stream = u32::from_be_bytes([whole[5], whole[6], whole[7], whole[8]]) & 0x7fff_ffff;
        Some(Frame { kind: whole[3], flags: whole[4], stream, payload: whole[9..].to_vec() })
    }

    /// Reads until it is known what became of a stream.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.next() {
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(code(&frame.payload)),
                GOAWAY if code(&frame.payload[4..]) != 0 => return Outcome::Away(code(&frame.payload[4..])),
                SETTINGS if frame.flags & 1 == 0 => _ = self.frame(SETTINGS, 1, 0, &[]),
                PING if frame.flags & 1 == 0 => _ = self.frame(PING, 1, 0, &frame.payload),
                _ => {}
            }
        }
        Outcome::Closed
    }

    /// Reads until the connection ends; the code of the last GOAWAY, if there was one.
    pub(crate) fn end(&mut self) -> Option<u32> {
        let mut last = None;
        while let Some(frame) = self.next() {
            match frame.kind {
                GOAWAY => last = Some(code(&frame.payload[4..])),
                PING if frame.flags & 1 == 0 => _ = self.frame(PING, 1, 0, &frame.payload),
                _ => {}
            }
        }
        last
    }
}

/// The simplest request.
pub(crate) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

/// A frame in bytes.
pub(crate) fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a small payload").to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block without any compression: what is written is what is meant, byte for byte.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        text(&mut out, name.as_ref());
        text(&mut out, value.as_ref());
    }
    out
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(u8::try_from(text.len()).expect("small"));
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).expect("small") | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).expect("small"));
    }
    out.extend_from_slice(text);
}

fn length(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])
}

/// The status at the front of a reply's header block.
fn status(block: &[u8]) -> u16 {
    let mut rest = block;
    while let [0x20..=0x3f, tail @ ..] = rest {
        rest = tail;
    }
    match rest {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x08 | 0x18 | 0x48, len, digits @ ..] if len & 0x80 != 0 => huffman_digits(&digits[..usize::from(len & 0x7f)]),
        [0x08 | 0x18 | 0x48, 3, digits @ ..] => String::from_utf8_lossy(&digits[..3]).parse().expect("digits"),
        other => panic!("no status at the front of {other:02x?}"),
    }
}

/// Three digits in the code of RFC 7541 appendix B.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let short = u16::from_str_radix(&bits[at..at + 5], 2).expect("bits");
        if short < 3 {
            number = number * 10 + short;
            at += 5;
        } else {
            number = number * 10 + u16::from_str_radix(&bits[at..at + 6], 2).expect("bits") - 0b01_1001 + 3;
            at += 6;
        }
    }
    number
}

/// A reply that was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(crate) fn field(&self, name: &str) -> String {
        let all: Vec<_> = self.head.headers().get_all(name).iter().map(|v| v.to_str().expect("ASCII")).collect();
        all.join("|")
    }
}

/// What a stream sends after its head.
pub(crate) type Upload = (Vec<u8>, Option<HeaderMap>);

/// A well-behaved connection.
pub(crate) struct Streams {
    requests: h2::client::SendRequest<Bytes>,
}

impl Streams {
    /// Shakes hands over a stream that is open.
    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
        let (requests, connection) = builder.handshake(io).await.expect("an HTTP/2 connection");
        tokio::spawn(connection);
        Self { requests }
    }

    /// Connects by prior knowledge.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(tokio::net::TcpStream::connect(address).await.expect("the gateway listens")).await
    }

    /// Sends a request and reads its whole reply.
    pub(crate) async fn ask(&self, request: Request<()>, upload: Option<Upload>) -> Result<Answer, h2::Error> {
        let mut ready = self.requests.clone().ready().await?;
        let (reply, mut send) = ready.send_request(request, upload.is_none())?;
        if let Some((body, trailers)) = upload {
            send_all(&mut send, body, trailers.is_none()).await?;
            if let Some(trailers) = trailers {
                send.send_trailers(trailers)?;
            }
        }
        let (head, mut incoming) = reply.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = incoming.data().await {
            let data = data?;
            incoming.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = incoming.trailers().await?;
        Ok(Answer { head: Response::from_parts(head, ()), body, trailers })
    }

    /// A plain GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        self.ask(request("GET", path), None).await
    }
}

async fn send_all(send: &mut h2::SendStream<Bytes>, body: Vec<u8>, is_last: bool) -> Result<(), h2::Error> {
    let mut rest = Bytes::from(body);
    while !rest.is_empty() {
        send.reserve_capacity(rest.len());
        let Some(room) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return Ok(()) };
        let piece = rest.split_to(room?.min(rest.len()));
        send.send_data(piece, is_last && rest.is_empty())?;
    }
    if is_last && send.capacity() == 0 {
        // A body of nothing still has to end; one that ended does not mind.
        drop(send.send_data(Bytes::new(), true));
    }
    Ok(())
}

/// A request for `a.example`.
pub(crate) fn request(method: &str, path: &str) -> Request<()> {
    let builder = Request::builder().method(method).uri(format!("http://a.example{path}"));
    builder.version(http::Version::HTTP_2).body(()).expect("a request")
}

impl Raw {
    /// Whether the gateway has said that it is done with this connection; looks, and waits for nothing.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut piece = [0; 4096];
        self.stream.set_nonblocking(true).expect("a TCP socket");
        let read = std::io::Read::read(&mut self.stream, &mut piece);
        self.stream.set_nonblocking(false).expect("a TCP socket");
        match read {
            Ok(0) => return true,
            Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        let mut rest = &self.buffer[..];
        while rest.len() >= 9 && rest.len() >= 9 + length(rest) {
            if rest[3] == GOAWAY {
                return true;
            }
            rest = &rest[9 + length(rest)..];
        }
        false
    }
}
