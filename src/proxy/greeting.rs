// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client, or the proxy before it, must say before its protocol begins: the PROXY header, and the first TLS
//! message of a connection that is passed on unopened.
//!
//! Of the header exactly its own bytes are taken from the socket, so that whatever follows finds its stream untouched.
//! Both waits share `timeouts.handshake`.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::clock::Deadline;
use crate::config::snapshot::Listener;
use crate::exchange::Presence;
use crate::fault::Fault;
use crate::protocol::client_hello::{self, Hello};
use crate::protocol::proxy_header::{self, Said};

/// Bytes that one look at a socket takes. Nearly every header and most first messages are smaller.
const LOOK_BYTES: usize = 2048;

/// Reads the PROXY header of a listener that demands one, and makes the client it names the client. The address that
/// the client connected to, if the header says.
pub(super) async fn proxy_header(
    listener: &Listener,
    stream: &TcpStream,
    presence: &Presence,
    deadline: &Deadline,
) -> Result<Option<SocketAddr>, Fault> {
    let peer = presence.client.get().ip().to_canonical();
    if !listener.trusts(peer) {
        return Err(Fault::UntrustedProxy(peer));
    }
    let mut taken = Vec::new();
    loop {
        let mut look = [0; LOOK_BYTES];
        let count = wait(stream, deadline, listener.handshake, Look::Peek, &mut look).await?;
        let before = taken.len();
        taken.extend_from_slice(look.get(..count).unwrap_or_default());
        let parsed = proxy_header::parse(&taken).map_err(|mistake| Fault::BadGreeting(mistake.to_string()))?;
        let own = parsed.map_or(count, |header| header.len.saturating_sub(before));
        let own = look.get_mut(..own).unwrap_or_default();
        if wait(stream, deadline, listener.handshake, Look::Take, own).await? != own.len() {
            return Err(Fault::Internal("a socket took back what it showed"));
        }
        match parsed.map(|header| header.said) {
            Some(Said::Client { source, destination }) => {
                presence.client.set(source);
                return Ok(Some(destination));
            }
            Some(Said::Itself) => return Ok(None),
            None => {}
        }
    }
}

/// Reads the first TLS message: what it says, and the bytes, which the endpoint gets as they came.
pub(super) async fn client_hello(
    stream: &TcpStream,
    deadline: &Deadline,
    patience: Duration,
) -> Result<(Hello, Vec<u8>), Fault> {
    let mut bytes = Vec::new();
    loop {
        let mut look = [0; LOOK_BYTES];
        let count = wait(stream, deadline, patience, Look::Take, &mut look).await?;
        bytes.extend_from_slice(look.get(..count).unwrap_or_default());
        match client_hello::parse(&bytes) {
            Ok(Some(hello)) => return Ok((hello, bytes)),
            Ok(None) => {}
            Err(mistake) => return Err(Fault::BadGreeting(mistake.to_string())),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Leave the bytes in the socket.
    Peek,
    Take,
}

/// Waits for bytes, at least one.
async fn wait(
    stream: &TcpStream,
    deadline: &Deadline,
    patience: Duration,
    look: Look,
    into: &mut [u8],
) -> Result<usize, Fault> {
    let read = poll_fn(|cx| {
        let polled = match look {
            Look::Peek => stream.poll_peek(cx, &mut ReadBuf::new(into)),
            Look::Take => poll_take(stream, cx, into),
        };
        match polled {
            Poll::Pending => deadline.poll_expired(cx).map(|()| Err(Fault::GreetingTimeout(patience))),
            Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(Ok(count)),
            Poll::Ready(_) => Poll::Ready(Err(Fault::ClientClosed)),
        }
    });
    read.await
}

fn poll_take(stream: &TcpStream, cx: &mut std::task::Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
}
