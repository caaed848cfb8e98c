// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to an endpoint within a time limit, its TLS handshake included, or a sentence that says why there is
//! none.
//!
//! It knows addresses, not endpoints: the pool turns its error into a fault with the endpoint's name. Nothing of a
//! request has left while it works, so whatever fails here may be tried again.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weirgate_store::model::ProxyProtocol;

use super::pool::Named;
use super::stream::Stream;
use super::transport::{Speech, Transport};
use crate::clock::Deadline;
use crate::protocol::proxy_header;
use crate::tls::originate::{self, Originate};

/// What an endpoint of HTTP/2 agrees on by ALPN.
pub const ALPN_H2: &[u8] = b"h2";

/// What an endpoint of HTTP/1.1 agrees on by ALPN.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no answer in time")]
    TimedOut,
    #[error("{}", cause(.0))]
    Failed(io::Error),
    /// It opened, and what came then is not what was agreed on.
    #[error("{0}")]
    Refused(String),
}

/// Connects to `address` before `deadline` passes. Small writes leave at once (TCP_NODELAY): a head waits for nothing.
pub async fn connect(address: SocketAddr, deadline: &Deadline) -> Result<TcpStream, ConnectError> {
    let connecting = pin!(TcpStream::connect(address));
    let stream = within(deadline, connecting).await?.map_err(ConnectError::Failed)?;
    stream.set_nodelay(true).map_err(ConnectError::Failed)?;
    Ok(stream)
}

/// Connects and does all that comes before the first byte of HTTP.
pub async fn open(
    address: SocketAddr,
    transport: &Transport,
    named: Option<Named>,
    deadline: &Deadline,
) -> Result<Stream, ConnectError> {
    let mut stream = connect(address, deadline).await?;
    if let Some(version) = transport.proxy_header {
        introduce(&mut stream, version, named, deadline).await?;
    }
    match &transport.tls {
        None => Ok(Stream::Tcp(stream)),
        // Boxed, so that a plain connection does not carry the room for a handshake.
        Some(tls) => Box::pin(secure(stream, address, tls, transport.speech, deadline)).await,
    }
}

/// Says who the client is, before anything else.
async fn introduce(
    stream: &mut TcpStream,
    version: ProxyProtocol,
    named: Option<Named>,
    deadline: &Deadline,
) -> Result<(), ConnectError> {
    let mut header = Vec::new();
    match named {
        Some(named) => proxy_header::write(&mut header, version, named.source, named.destination),
        None => proxy_header::write_local(&mut header, version),
    }
    within(deadline, pin!(stream.write_all(&header))).await?.map_err(ConnectError::Failed)
}

async fn secure(
    stream: TcpStream,
    address: SocketAddr,
    tls: &Originate,
    speech: Speech,
    deadline: &Deadline,
) -> Result<Stream, ConnectError> {
    let shaking = pin!(tls.handshake(stream, address.ip()));
    let shaken = within(deadline, shaking).await?;
    let stream = shaken.map_err(|error| ConnectError::Refused(originate::explain(&error)))?;
    let agreed = stream.get_ref().1.alpn_protocol();
    if speech == Speech::Http2 && agreed != Some(ALPN_H2) {
        let agreed = agreed.map_or_else(|| "nothing".into(), String::from_utf8_lossy);
        let sentence =
            format!("it does not speak HTTP/2 over TLS: it agreed to {agreed} by ALPN; use protocol \"https\"");
        return Err(ConnectError::Refused(sentence));
    }
    Ok(Stream::Tls(Box::new(stream)))
}

/// What a future gives, unless the deadline passes first.
pub(super) async fn within<F: Future>(deadline: &Deadline, mut future: Pin<&mut F>) -> Result<F::Output, ConnectError> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => deadline.poll_expired(cx).map(|()| Err(ConnectError::TimedOut)),
    })
    .await
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
