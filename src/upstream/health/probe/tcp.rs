// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TCP check: a connection that opens, and perhaps bytes that are answered by other bytes.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::AsyncWriteExt;

use super::super::Failure;
use super::{REPLY_MAX, connect_briefly, read_more};

/// What is sent and what must come; with neither, a connection is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpCheck {
    pub send: Option<Box<[u8]>>,
    pub expect: Option<Box<[u8]>>,
}

impl TcpCheck {
    /// Whether it is nothing but a connection.
    pub(super) fn is_plain(&self) -> bool {
        self.send.is_none() && self.expect.is_none()
    }
}

pub(super) async fn ask(check: &TcpCheck, address: SocketAddr) -> Result<(), Failure> {
    let mut tcp = connect_briefly(address).await?;
    if let Some(send) = &check.send {
        tcp.write_all(send).await.map_err(|_| Failure::Closed)?;
    }
    let Some(expect) = &check.expect else { return Ok(()) };
    let finder = memmem::Finder::new(expect);
    let mut bytes = Vec::with_capacity(1024);
    loop {
        // What is wanted may begin in the piece before.
        let from = bytes.len().saturating_sub(expect.len());
        if !read_more(&mut tcp, &mut bytes).await? {
            let full = bytes.len() >= REPLY_MAX;
            let end = if full { "64 KiB came" } else { "the connection was closed" };
            return Err(Failure::Answer(format!("did not get what it expects before {end}").into()));
        }
        if finder.find(bytes.get(from..).unwrap_or_default()).is_some() {
            return Ok(());
        }
    }
}
