// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client's half of HTTP/1.1, as much as the bench needs: send one GET, read one reply framed by Content-Length.
//!
//! A status other than 200, a reply without a length and a closed connection are errors: a bench that counts failures
//! as requests measures how fast a daemon fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No reply of the bench takes this long; a daemon that hangs must not hang the driver.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// One read takes at most this much.
const READ_BYTES: usize = 16 * 1024;

/// One keep-alive connection and the request it repeats.
pub struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(target: SocketAddr, path: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(target).map_err(|e| format!("cannot connect to {target}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).map_err(|e| e.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench.example.com\r\n\r\n").into_bytes();
        Ok(Self { stream, request, buffer: Vec::new() })
    }

    pub fn exchange(&mut self) -> Result<(), String> {
        self.stream.write_all(&self.request).map_err(|e| format!("write: {e}"))?;
        self.buffer.clear();
        loop {
            let mut chunk = [0; READ_BYTES];
            let n = self.stream.read(&mut chunk).map_err(|e| format!("read: {e}"))?;
            self.buffer.extend_from_slice(&chunk[..n]);
            if n == 0 {
                return Err("the connection closed before the reply was whole".to_owned());
            }
            if reply_length(&self.buffer)?.is_some_and(|length| self.buffer.len() >= length) {
                return Ok(());
            }
        }
    }

    /// Gives the buffer back, so that thousands of idle clients do not fill the machine under test.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
    }
}

/// The length of the whole reply, once its head is whole.
fn reply_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(head_bytes) = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..head_bytes]).map_err(|_| "the reply head is not text".to_owned())?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("not a 200: {}", head.lines().next().unwrap_or_default()));
    }
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    length.map(|body| Some(head_bytes + body)).ok_or_else(|| "the reply has no Content-Length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::reply_length;

    #[test]
    fn a_reply_is_whole_only_with_its_body() {
        assert_eq!(reply_length(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"), Ok(Some(41)));
        assert_eq!(reply_length(b"HTTP/1.1 200 OK\r\ncontent-le"), Ok(None));
        assert!(reply_length(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").is_err());
        assert!(reply_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
