// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client connection from accept to its protocol: limits, TLS, detection, and on to the page that serves it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::io::poll_read_buf;
use weirgate_store::model::ListenerProtocol;

use super::passage::Passage;
use super::worker::Worker;
use super::{greeting, http1, http2, tcp};
use crate::clock;
use crate::config::snapshot::Listener;
use crate::exchange::{Client, Presence, Scheme};
use crate::protocol::stream::Stream;
use crate::tls::client;

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HTTP2: &str = "http/2";

/// Serves one connection that was just accepted on the listener of that name. It spawns and returns at once.
pub fn serve(worker: &Rc<Worker>, listener_name: &Arc<str>, stream: TcpStream, peer: SocketAddr) {
    let snapshot = worker.snapshot();
    let Some(listener) = snapshot.listeners.get(listener_name).cloned() else { return };
    let Some(slot) = Slot::take(&listener) else {
        tracing::debug!(listener = %listener.name, limit = listener.connections, "a connection over the limit is closed");
        return;
    };
    let protocol = first_protocol(listener.protocol);
    let open = worker.census.enter(Presence::new(peer, Arc::clone(&listener.name), protocol, clock::wall_ms()));
    let (key, presence, serving) = (open.key, Rc::clone(&open.presence), Rc::clone(worker));
    let held = (slot, open);
    // Two tasks and not one that branches: an idle connection is as large as the larger of what its task may become.
    let task = if listener.has_routes() {
        tokio::task::spawn_local(async move {
            let _held = held;
            greet(serving, listener, presence, stream).await;
        })
    } else {
        tokio::task::spawn_local(async move {
            let _held = held;
            tcp::serve(serving, snapshot, listener, presence, stream).await;
        })
    };
    worker.census.served_by(key, task.abort_handle());
}

/// What a connection is taken for until it has shown what it is.
fn first_protocol(protocol: ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => "http/1.1",
        ListenerProtocol::Tcp => "tcp",
        ListenerProtocol::Tls => "tls",
        ListenerProtocol::Udp => "udp",
    }
}

/// One of the connections that a listener allows.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    pub(super) fn take(listener: &Listener) -> Option<Self> {
        let open = Arc::clone(&listener.open);
        if open.fetch_add(1, Ordering::Relaxed) < listener.connections {
            return Some(Self(open));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn greet(worker: Rc<Worker>, listener: Arc<Listener>, presence: Rc<Presence>, stream: TcpStream) {
    if listener.proxy_protocol && !Box::pin(introduce(&worker, &listener, &presence, &stream)).await {
        return;
    }
    let local = stream.local_addr().unwrap_or(listener.address);
    let client = |scheme, server_name| Client {
        server_name,
        local,
        trusted: listener.trusts(presence.client.get().ip().to_canonical()),
        ..Client::of(Rc::clone(&presence), scheme)
    };
    let Some(config) = &listener.tls else {
        let client = Rc::new(client(Scheme::Http, None));
        return plain(worker, &listener, client, Stream::Tcp(stream)).await;
    };
    let deadline = worker.deadlines.guard(listener.handshake);
    let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    let accepted = tokio::select! {
        accepted = accept => accepted,
        () = deadline.expired() => return tracing::debug!(client = %presence.client.get(), "a TLS handshake took too long"),
    };
    let stream = match accepted {
        Ok(stream) => Box::new(stream),
        Err(error) => return tracing::debug!(client = %presence.client.get(), %error, "a TLS handshake failed"),
    };
    drop(deadline);
    let session = stream.get_ref().1;
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = shown.map(|leaf| Box::new(client::read(leaf)));
    let server_name = session.server_name().map(|name| name.to_ascii_lowercase().into());
    let client = Rc::new(Client { certificate, ..client(Scheme::Https, server_name) });
    if session.alpn_protocol() == Some(b"h2") {
        presence.protocol.set(HTTP2);
        http2::serve(worker, &listener, client, Stream::Tls(stream), BytesMut::new()).await;
    } else {
        http1::serve(worker, &listener, client, Stream::Tls(stream), BytesMut::new()).await;
    }
}

/// Reads the PROXY header that this listener demands. A connection without a good one is recorded, for it will be in
/// no exchange.
async fn introduce(worker: &Rc<Worker>, listener: &Arc<Listener>, presence: &Rc<Presence>, stream: &TcpStream) -> bool {
    let deadline = worker.deadlines.guard(listener.handshake);
    let Err(fault) = greeting::proxy_header(listener, stream, presence, &deadline).await else { return true };
    let mut passage = Passage::new(Rc::clone(worker), Arc::clone(listener), Rc::clone(presence));
    passage.fault = Some(fault);
    false
}

/// HTTP/1, or HTTP/2 by prior knowledge: the first bytes tell, and they are only read until they do.
async fn plain(worker: Rc<Worker>, listener: &Listener, client: Rc<Client>, mut stream: Stream) {
    let deadline = worker.deadlines.unarmed();
    deadline.reset_idle(listener.timeouts.head);
    let mut input = BytesMut::new();
    loop {
        let read = poll_fn(|cx| {
            if input.capacity() == 0 {
                input = worker.buffers.input();
            }
            match poll_read_buf(Pin::new(&mut stream), cx, &mut input) {
                std::task::Poll::Pending => {
                    if input.is_empty() {
                        worker.buffers.return_input(std::mem::take(&mut input));
                    }
                    deadline.poll_expired(cx).map(|()| None)
                }
                ready @ std::task::Poll::Ready(_) => ready.map(Some),
            }
        });
        if !matches!(read.await, Some(Ok(count)) if count > 0) {
            return;
        }
        let known = input.len().min(PREFACE.len());
        if input.get(..known) != PREFACE.get(..known) {
            break drop(deadline);
        }
        if known == PREFACE.len() {
            drop(deadline);
            client.presence.protocol.set(HTTP2);
            return http2::serve(worker, listener, client, stream, input).await;
        }
    }
    http1::serve(worker, listener, client, stream, input).await;
}
