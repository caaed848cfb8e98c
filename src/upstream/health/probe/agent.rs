// SPDX-License-Identifier: MIT OR Apache-2.0
//! One question to an agent: connect, perhaps send, read a line. What the line means is `health::agent`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::Failure;
use super::connect;

/// Bytes of a line that are read.
const LINE_BYTES_MAX: u64 = 1_024;

/// Where an agent listens, and what it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentCheck {
    pub port: u16,
    pub send: Option<Box<str>>,
}

/// The line of an agent.
///
/// # Errors
/// No connection, or no line in time.
pub async fn ask(check: &AgentCheck, mut address: SocketAddr, limit: Duration) -> Result<String, Failure> {
    address.set_port(check.port);
    timeout(limit, line(check, address)).await.unwrap_or(Err(Failure::Timeout(limit)))
}

async fn line(check: &AgentCheck, address: SocketAddr) -> Result<String, Failure> {
    let mut tcp = connect(address).await?;
    if let Some(send) = &check.send {
        tcp.write_all(send.as_bytes()).await.map_err(|_| Failure::Closed)?;
    }
    let mut bytes = Vec::with_capacity(128);
    let mut bounded = (&mut tcp).take(LINE_BYTES_MAX);
    let end = |bytes: &[u8]| bytes.iter().position(|b| matches!(b, b'\r' | b'\n'));
    while end(&bytes).is_none() && bounded.read_buf(&mut bytes).await.map_err(|_| Failure::Closed)? > 0 {}
    if bytes.is_empty() {
        return Err(Failure::Closed);
    }
    bytes.truncate(end(&bytes).unwrap_or(bytes.len()));
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
