// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP/1 client that writes what it is told, right or wrong, and reads replies strictly.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::{PATIENCE, find};

/// One connection to the gateway, plain or over TLS.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// A reply that was read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// Decoded.
    pub(crate) body: Vec<u8>,
    /// The trailer section as it came.
    pub(crate) trailers: String,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Values of a field.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        values(&self.head, name)
    }

    /// The one value of a field, or nothing.
    pub(crate) fn one(&self, name: &str) -> String {
        let all = self.field(name);
        assert!(all.len() < 2, "{name} came more than once: {}", self.head);
        all.into_iter().next().unwrap_or_default()
    }
}

/// Values of a field in the text of a head.
pub(crate) fn values(head: &str, name: &str) -> Vec<String> {
    let lines = head.split("\r\n").skip(1);
    let fields = lines.filter_map(|line| line.split_once(':'));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}

/// A plain GET.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

impl Client {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(connect(address))
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(address: SocketAddr, request: &str) -> Reply {
        let mut client = Self::to(address);
        client.say(request);
        client.reply_to(request.split(' ').next().unwrap_or_default())
    }

    /// Its own port.
    pub(crate) fn port(&self) -> u16 {
        self.stream.local_addr().expect("it is connected").port()
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it was open");
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
    }
}

/// A socket that gives up after [`PATIENCE`].
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the gateway listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a TCP socket");
    stream
}

impl<S: Read + Write> Client<S> {
    /// A connection that is already open.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Writes; a connection that is closed meanwhile is found by reading.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(text.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                count > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the gateway says nothing"),
            Err(_) => false,
        }
    }

    /// Everything up to and with `end`.
    #[track_caller]
    pub(crate) fn take_to(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.buffer, end.as_bytes()) {
                let taken: Vec<u8> = self.buffer.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            assert!(self.fill(), "closed before {end:?}; there was {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "closed after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// The next head, final or not.
    #[track_caller]
    pub(crate) fn head(&mut self) -> (u16, String) {
        let head = self.take_to("\r\n\r\n");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        (status.expect("a status line"), head)
    }

    /// The next reply, to a request with a method other than HEAD.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// The next reply, to a request with that method.
    #[track_caller]
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        let (status, head) = self.head();
        let mut reply = Reply { status, head, body: Vec::new(), trailers: String::new() };
        if method == "HEAD" || matches!(status, 100..200 | 204 | 304) {
            return reply;
        }
        let (length, coding) = (reply.one("content-length"), reply.one("transfer-encoding"));
        assert!(length.is_empty() || coding.is_empty(), "two framings: {}", reply.head);
        if !coding.is_empty() {
            self.chunks(&mut reply);
        } else if length.is_empty() {
            reply.body = self.rest();
        } else {
            reply.body = self.take(length.parse().expect("a number"));
        }
        reply
    }

    #[track_caller]
    fn chunks(&mut self, reply: &mut Reply) {
        loop {
            let line = self.take_to("\r\n");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
            if size == 0 {
                break;
            }
            reply.body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
        }
        loop {
            let line = self.take_to("\r\n");
            if line == "\r\n" {
                return;
            }
            reply.trailers.push_str(&line);
        }
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether a good reply comes; false if the connection is closed instead.
    pub(crate) fn rest_or_reply(&mut self) -> bool {
        self.rest_or_status() == Some(200)
    }

    /// The status of the reply that comes; none if the connection is closed instead.
    pub(crate) fn rest_or_status(&mut self) -> Option<u16> {
        while find(&self.buffer, b"\r\n\r\n").is_none() {
            if !self.fill() {
                return None;
            }
        }
        Some(self.reply().status)
    }

    /// Reads a reply for as long as it comes, whole or not.
    pub(crate) fn rest_or_head(&mut self) {
        while !self.buffer.ends_with(b"ok") && self.fill() {}
    }

    /// Nothing more comes and the connection is closed.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self, row: &str) {
        let rest = self.rest();
        assert!(rest.is_empty(), "row {row}: after the end came {:?}", String::from_utf8_lossy(&rest));
    }
}
