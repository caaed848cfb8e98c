// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TCP connection to an endpoint, within a time limit, or a sentence that says why there is none.
//!
//! It knows addresses, not endpoints: the pool turns its error into a fault with the endpoint's name.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;

use crate::clock::Deadline;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no answer in time")]
    TimedOut,
    #[error("{}", cause(.0))]
    Failed(io::Error),
}

/// Connects to `address` before `deadline` passes. Small writes leave at once (TCP_NODELAY): a head waits for nothing.
pub async fn connect(address: SocketAddr, deadline: &Deadline) -> Result<TcpStream, ConnectError> {
    let mut connecting = pin!(TcpStream::connect(address));
    let stream = poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(ConnectError::Failed)),
        Poll::Pending => deadline.poll_expired(cx).map(|()| Err(ConnectError::TimedOut)),
    })
    .await?;
    stream.set_nodelay(true).map_err(ConnectError::Failed)?;
    Ok(stream)
}

/// What an operator can act on.
fn cause(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens at that address and port",
        io::ErrorKind::HostUnreachable => "no route to the host",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        io::ErrorKind::TimedOut => "the kernel gave up: no answer to the connection attempt",
        io::ErrorKind::AddrNotAvailable => "no free local port left for this address",
        io::ErrorKind::PermissionDenied => "a local firewall or sandbox forbids the connection",
        io::ErrorKind::ConnectionReset => "connection reset during the handshake",
        _ => return error.to_string(),
    };
    known.to_owned()
}
