// SPDX-License-Identifier: MIT OR Apache-2.0
//! An endpoint on a port of its own that does what a test says and remembers every byte that reached it.
//!
//! Each connection is served by the test's own function on a thread; [`Accepted`] is what that function acts with. An
//! endpoint that reaches its end closes the connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{PATIENCE, find, wait_until};

/// An endpoint.
pub(crate) struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
    is_over: Arc<AtomicBool>,
}

#[derive(Default)]
struct Seen {
    /// By connection, in the order in which they were accepted.
    bytes: Mutex<Vec<Vec<u8>>>,
    heads: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
    open: AtomicUsize,
}

impl Origin {
    /// An endpoint that serves each connection with `serve`.
    pub(crate) fn serving(serve: impl Fn(&mut Accepted) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        Self::on(listener, serve)
    }

    /// The same on a socket that is already bound.
    pub(crate) fn on(listener: TcpListener, serve: impl Fn(&mut Accepted) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let (seen, is_over) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let (remembered, over, serve) = (Arc::clone(&seen), Arc::clone(&is_over), Arc::new(serve));
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, serve) = (Arc::clone(&remembered), Arc::clone(&serve));
                seen.bytes.lock().expect("no panic holds it").push(Vec::new());
                std::thread::spawn(move || {
                    seen.open.fetch_add(1, Ordering::SeqCst);
                    let mut peer = Accepted::new(stream, index, Arc::clone(&seen));
                    serve(&mut peer);
                    drop(peer);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, is_over }
    }

    /// An endpoint that reads each request whole and answers it with `reply`, for as long as it is asked.
    pub(crate) fn replying(reply: impl Into<String>) -> Self {
        let reply = reply.into();
        Self::serving(move |peer| {
            while peer.request().is_some() {
                peer.say(&reply);
            }
        })
    }

    /// The most ordinary endpoint.
    pub(crate) fn plain() -> Self {
        Self::replying(OK)
    }

    /// An endpoint that answers with its own name.
    pub(crate) fn named(name: &str) -> Self {
        Self::replying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))
    }

    /// An endpoint that answers the first request of each connection with `reply` and closes.
    pub(crate) fn closing(reply: impl Into<String>) -> Self {
        let reply = reply.into();
        Self::serving(move |peer| {
            if peer.request().is_some() {
                peer.say(&reply);
            }
        })
    }

    /// A port at which nothing listens.
    pub(crate) fn absent() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.local_addr().expect("it is bound")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that reached it, over all connections.
    pub(crate) fn received(&self) -> usize {
        self.seen.bytes.lock().expect("no panic holds it").iter().map(Vec::len).sum()
    }

    /// The bytes that reached it, one connection after the other.
    pub(crate) fn everything(&self) -> Vec<u8> {
        self.seen.bytes.lock().expect("no panic holds it").concat()
    }

    /// Forgets what reached it.
    pub(crate) fn forget(&self) {
        self.seen.bytes.lock().expect("no panic holds it").iter_mut().for_each(Vec::clear);
        self.seen.heads.lock().expect("no panic holds it").clear();
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.bytes.lock().expect("no panic holds it").len()
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// The heads of requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().expect("no panic holds it").clone()
    }

    /// The head of the last request; waits for one.
    #[track_caller]
    pub(crate) fn head(&self) -> String {
        wait_until("a request reaches the endpoint", || !self.heads().is_empty());
        self.heads().pop().expect("just seen")
    }

    /// The bodies of requests that came whole.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen.bodies.lock().expect("no panic holds it").clone()
    }

    /// Values of a field of the last request.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        super::client::values(&self.head(), name)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then gives the port back.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

/// A plain good reply.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One connection as the endpoint sees it.
pub(crate) struct Accepted {
    stream: TcpStream,
    /// Which connection of the endpoint this is.
    pub(crate) index: usize,
    seen: Arc<Seen>,
    buffer: Vec<u8>,
}

impl Accepted {
    fn new(stream: TcpStream, index: usize, seen: Arc<Seen>) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a TCP socket");
        Self { stream, index, seen, buffer: Vec::new() }
    }

    /// Reads some more; false at the end.
    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let count = self.stream.read(&mut piece).unwrap_or(0);
        self.buffer.extend_from_slice(&piece[..count]);
        self.seen.bytes.lock().expect("no panic holds it")[self.index].extend_from_slice(&piece[..count]);
        count > 0
    }

    /// Takes everything up to and with `end` out of what was read.
    fn take_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// The next line, with its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.take_to(b"\r\n")?).into_owned())
    }

    /// The next request head.
    pub(crate) fn head(&mut self) -> Option<String> {
        let head = String::from_utf8_lossy(&self.take_to(b"\r\n\r\n")?).into_owned();
        self.seen.heads.lock().expect("no panic holds it").push(head.clone());
        Some(head)
    }

    /// The body that such a head announces, as it came: chunks are not decoded.
    pub(crate) fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let length = super::client::values(head, "content-length");
        let body = if let Some(length) = length.first() {
            self.take(length.parse().expect("we send numbers"))?
        } else if super::client::values(head, "transfer-encoding").is_empty() {
            Vec::new()
        } else {
            self.chunks()?
        };
        self.seen.bodies.lock().expect("no panic holds it").push(body.clone());
        Some(body)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = self.take_to(b"\r\n")?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("we send sizes");
            all.extend_from_slice(&line);
            if size == 0 {
                break;
            }
            all.extend_from_slice(&self.take(size + 2)?);
        }
        loop {
            let line = self.take_to(b"\r\n")?;
            all.extend_from_slice(&line);
            if line == b"\r\n" {
                return Some(all);
            }
        }
    }

    /// Reads a whole request; its head.
    pub(crate) fn request(&mut self) -> Option<String> {
        let head = self.head()?;
        self.body(&head)?;
        Some(head)
    }

    /// Writes this at once.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(text.as_ref()).is_ok()
    }

    /// The connection itself, for what speaks another protocol on it.
    pub(crate) fn socket(&self) -> TcpStream {
        self.stream.try_clone().expect("an open socket")
    }

    /// Waits for the other side to close; what comes until then is remembered.
    pub(crate) fn hold(&mut self) {
        while self.fill() {}
    }

    /// Closes with a reset.
    pub(crate) fn reset(&mut self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
    }
}
