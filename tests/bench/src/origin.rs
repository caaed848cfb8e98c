// SPDX-License-Identifier: MIT OR Apache-2.0
//! The endpoint every daemon forwards to: keep-alive HTTP/1.1 that answers from bytes rendered once.
//!
//! It must never be what limits a run, so it looks only for the end of a head and at the path; it is safe against
//! pipelining and refuses nothing. Requests with a body are not part of the bench and are answered by closing.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A head longer than this ends the connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The replies, rendered before the first request: `/1m…` gets a mebibyte, every other path a kibibyte.
struct Replies {
    small: Vec<u8>,
    large: Vec<u8>,
}

impl Replies {
    fn render() -> Self {
        Self { small: reply(1024), large: reply(1024 * 1024) }
    }

    fn for_head(&self, head: &[u8]) -> &[u8] {
        let path = head.strip_prefix(b"GET ").unwrap_or_default();
        if path.starts_with(b"/1m") { &self.large } else { &self.small }
    }
}

fn reply(body_bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'x');
    bytes
}

pub async fn serve(listen: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    let replies = Rc::new(Replies::render());
    loop {
        // A failed accept is a client that left; the driver notices errors where they count, at the generator.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(converse(stream, Rc::clone(&replies)));
        }
    }
}

async fn converse(mut stream: TcpStream, replies: Rc<Replies>) {
    let nodelay = stream.set_nodelay(true);
    let mut pending = Vec::with_capacity(4096);
    let mut out = Vec::new();
    while nodelay.is_ok() && pending.len() < HEAD_BYTES_MAX {
        match stream.read_buf(&mut pending).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let used = answer(&pending, &replies, &mut out);
        pending.drain(..used);
        if !out.is_empty() && stream.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

/// Appends a reply for every whole head in `pending`; returns how many bytes were used up.
fn answer(pending: &[u8], replies: &Replies, out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(length) = head_length(&pending[used..]) {
        out.extend_from_slice(replies.for_head(&pending[used..used + length]));
        used += length;
    }
    used
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    // The usual case, one whole head and nothing after it, needs no search.
    if bytes.ends_with(b"\r\n\r\n") && !bytes[..bytes.len() - 4].windows(4).any(|w| w == b"\r\n\r\n") {
        return Some(bytes.len());
    }
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelined_heads_get_one_reply_each() {
        let replies = Replies { small: b"S".to_vec(), large: b"L".to_vec() };
        let check = |input: &[u8], used: usize, output: &[u8]| {
            let mut out = Vec::new();
            assert_eq!(answer(input, &replies, &mut out), used, "{input:?}");
            assert_eq!(out, output, "{input:?}");
        };
        check(b"GET /1k HTTP/1.1\r\n\r\n", 20, b"S");
        check(b"GET /1m HTTP/1.1\r\n\r\nGET /1k HTTP/1.1\r\n\r\n", 40, b"LS");
        check(b"GET /1k HTTP/1.1\r\n\r\nGET /1", 20, b"S");
        check(b"GET /1k HTTP/1.1\r\n", 0, b"");
    }
}
