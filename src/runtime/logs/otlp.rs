// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spans to a collector: OTLP over HTTP with JSON (opentelemetry-proto, `docs/specification.md`, OTLP/HTTP).
//!
//! A request is a head, a body of known length and a status line: written here rather than by an HTTP library, because it
//! is done on a thread that may block. Each request has its own connection: a batch goes every quarter of a second at
//! most, and a collector that restarts loses nothing by it.

use std::io::{Read as _, Write as _};

use super::output::Unwritten;
use super::tcp::connect;
use crate::observe::log::queue::Batch;

/// Bytes of a reply that are read: its status line.
const REPLY_BYTES_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Collector {
    authority: String,
    path: String,
}

impl Collector {
    /// A collector at `http://host:port/path`.
    pub(super) fn new(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, "v1/traces"));
        Self { authority: authority.to_owned(), path: format!("/{path}") }
    }

    /// Posts every span of a batch.
    pub(super) fn post(&self, batch: &Batch) -> Result<(), Unwritten> {
        let mut body = b"{\"resourceSpans\":[".to_vec();
        for (index, (line, _)) in batch.lines().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(line);
        }
        body.extend_from_slice(b"]}");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nUser-Agent: weirgate/{}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.authority,
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        let mut stream = connect(&self.authority)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        let mut reply = Vec::new();
        stream.take(REPLY_BYTES_MAX as u64).read_to_end(&mut reply)?;
        judge(&reply)
    }
}

/// What a status says of trying again (OTLP/HTTP, "Failures").
fn judge(reply: &[u8]) -> Result<(), Unwritten> {
    let line = reply.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let said = String::from_utf8_lossy(line).into_owned();
    let status = said.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(429 | 502..=504) | None => {
            Err(Unwritten::Later(format!("the collector said \"{}\"", said.escape_debug())))
        }
        Some(_) => Err(Unwritten::Never(format!("the collector refused spans: \"{}\"", said.escape_debug()))),
    }
}
