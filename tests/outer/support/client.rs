// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of HTTP/1.1 on any stream: one request, one whole reply, and the truth about what went wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A connection that is kept.
pub(crate) struct Client<S> {
    stream: BufReader<S>,
}

impl Client<TcpStream> {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::on(stream))
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn on(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a head and a body, and reads the reply whole.
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &str, body: &str) -> io::Result<Reply> {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: outer.test\r\n{fields}{length}\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.reply()
    }

    /// Reads one reply with a length or in chunks.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::Error::other(format!("closed after {:?}", head)));
            }
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        let lower = head.to_ascii_lowercase();
        let body = match lower.split_once("content-length:") {
            Some((_, rest)) => self.counted(rest.split("\r\n").next().unwrap_or_default().trim())?,
            None if lower.contains("transfer-encoding: chunked") => self.chunks()?,
            None => Vec::new(),
        };
        Ok(Reply { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn counted(&mut self, length: &str) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length.parse().map_err(io::Error::other)?];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; length + 2];
            self.stream.read_exact(&mut chunk)?;
            if length == 0 {
                return Ok(body);
            }
            chunk.truncate(length);
            body.append(&mut chunk);
        }
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> io::Result<Reply> {
    Client::connect(address)?.ask("GET", target, "", "")
}
