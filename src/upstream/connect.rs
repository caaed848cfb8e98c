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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use tokio::runtime::{Builder, LocalOptions};

    use super::{ConnectError, connect};
    use crate::clock::{self, Deadlines, TICK};

    /// Connects to a port that listens, with a deadline that has passed or not.
    fn check(ticks_passed: u32) -> Result<(), ConnectError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let start = clock::now();
        let deadlines = Deadlines::new(start);
        let deadline = deadlines.guard(Duration::ZERO);
        deadlines.tick(start + TICK * ticks_passed);
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_io().build_local(LocalOptions::default()).expect("a runtime");
        runtime.block_on(async { connect(address, &deadline).await.map(drop) })
    }

    #[test]
    fn the_deadline_ends_the_attempt() {
        assert!(check(0).is_ok());
        assert!(matches!(check(1), Err(ConnectError::TimedOut)));
    }
}
