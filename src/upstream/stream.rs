// SPDX-License-Identifier: MIT OR Apache-2.0
//! The byte stream to an endpoint: TCP, or TLS over TCP. An enum and not a trait object, so that plain traffic pays a
//! branch and no vtable.
//!
//! It also knows whether a stream that lies idle is still good, which each kind has to find out in its own way.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The stream of one connection to an endpoint.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    /// Boxed: a TLS session is some hundred bytes that a plain connection should not carry.
    Tls(Box<TlsStream<TcpStream>>),
}

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

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // TCP holds nothing back.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
