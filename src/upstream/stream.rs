// SPDX-License-Identifier: MIT OR Apache-2.0
//! The byte stream to an endpoint, and whether one that lies idle is still good: TCP and TLS have to find that out each
//! in its own way. How bytes pass is `protocol::stream`.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::protocol::stream;

/// The stream of one connection to an endpoint.
pub type Stream = stream::Stream<TlsStream<TcpStream>>;

/// What has happened on a stream that lies idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    Closed,
    /// Bytes came that nobody asked for.
    Unasked,
}

/// How sure [`Stream::liveness`] has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What the worker knows since its last look at epoll: no system call for a quiet stream.
    Known,
    /// The socket itself is asked.
    Socket,
}

impl Stream {
    /// The socket under it.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Whether the endpoint has closed or spoken since the last reply.
    ///
    /// `try_read` asks tokio's readiness first, which the last read has cleared, so on a quiet connection it costs no
    /// syscall: an event would have set it, as of the worker's last look at epoll. The moment since then is covered by
    /// sending again; a request that must not run twice therefore pays for a look at the socket itself.
    pub(super) fn liveness(&mut self, look: Look) -> Liveness {
        let seen = match self {
            Self::Tcp(stream) => stream.try_read(&mut [0]),
            Self::Tls(stream) => read_now(stream),
        };
        let seen = match seen {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && look == Look::Socket => {
                // On TLS the bytes may be no more than a ticket. Whoever asks so carefully takes a fresh connection.
                SockRef::from(self.tcp()).peek(&mut [MaybeUninit::uninit()])
            }
            seen => seen,
        };
        match seen {
            Ok(0) => Liveness::Closed,
            Ok(_) => Liveness::Unasked,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Liveness::Alive,
            Err(_) => Liveness::Closed,
        }
    }
}

/// A read that does not wait. What is TLS's own business (tickets, key updates) is dealt with on the way.
fn read_now(stream: &mut TlsStream<TcpStream>) -> io::Result<usize> {
    let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
    let mut buf = ReadBuf::new(&mut byte);
    match Pin::new(stream).poll_read(&mut cx, &mut buf) {
        Poll::Ready(read) => read.map(|()| buf.filled().len()),
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
