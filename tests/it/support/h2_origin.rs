// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints that speak HTTP/2: [`Echo`] is well-behaved and streams both ways; [`start`] serves each connection frame
//! by frame, right or wrong.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::runtime::{Builder, Runtime};

use super::h2::Raw;

/// A well-behaved endpoint. What it does depends on the path: `/echo` sends every piece back as it comes, and then the
/// trailers; `/status` only trailers, as gRPC does for an error; `/hold` nothing, ever; `/hint` a 103 and then `ok`;
/// `/big` a megabyte; everything else `ok`.
pub(crate) struct Echo {
    address: SocketAddr,
    seen: Arc<Seen>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Seen {
    heads: Mutex<Vec<Request<()>>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    cancelled: AtomicUsize,
}

impl Echo {
    pub(crate) fn start() -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).expect("a free port"), 100)
    }

    /// One that takes so many streams at once.
    pub(crate) fn of_streams(streams: u32) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).expect("a free port"), streams)
    }

    pub(crate) fn on(listener: TcpListener, streams: u32) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        listener.set_nonblocking(true).expect("a TCP socket");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let counts = Arc::clone(&seen);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, streams, Arc::clone(&counts)));
            }
        });
        Self { address, seen, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Streams that were reset while they were served.
    pub(crate) fn cancelled(&self) -> usize {
        self.seen.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.heads.lock().expect("no panic holds it").len()
    }

    /// The last request.
    pub(crate) fn head(&self) -> Request<()> {
        self.seen.heads.lock().expect("no panic holds it").last().cloned().expect("a request")
    }

    /// A field of the last request.
    pub(crate) fn field(&self, name: &str) -> String {
        let head = self.head();
        let all: Vec<_> = head.headers().get_all(name).iter().map(|v| v.to_str().expect("ASCII").to_owned()).collect();
        all.join("|")
    }
}

async fn serve(stream: tokio::net::TcpStream, streams: u32, seen: Arc<Seen>) {
    seen.open.fetch_add(1, Ordering::SeqCst);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(streams);
    if let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await {
        while let Some(Ok((request, respond))) = connection.accept().await {
            let (parts, body) = request.into_parts();
            let path = parts.uri.path().to_owned();
            seen.heads.lock().expect("no panic holds it").push(Request::from_parts(parts, ()));
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                if answer(&path, body, respond).await.is_none() {
                    seen.cancelled.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

/// Nothing if the stream was reset.
async fn answer(path: &str, body: RecvStream, mut respond: SendResponse<Bytes>) -> Option<()> {
    let mut head = Response::new(());
    match path {
        "/echo" => {
            let send = respond.send_response(head, false).ok()?;
            echo(body, send).await
        }
        "/status" => {
            head.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
            head.headers_mut().insert("grpc-status", "7".parse().expect("a value"));
            head.headers_mut().insert("grpc-message", "no".parse().expect("a value"));
            respond.send_response(head, true).ok().map(drop)
        }
        "/hold" => {
            std::future::poll_fn(|cx| respond.poll_reset(cx)).await.ok()?;
            None
        }
        "/hint" => {
            let mut hint = Response::new(());
            *hint.status_mut() = http::StatusCode::EARLY_HINTS;
            hint.headers_mut().insert("link", "</a.css>".parse().expect("a value"));
            respond.send_informational(hint).ok()?;
            respond.send_response(head, false).ok()?.send_data(Bytes::from_static(b"ok"), true).ok()
        }
        "/big" => {
            let mut send = respond.send_response(head, false).ok()?;
            write(&mut send, Bytes::from(vec![b'x'; 1 << 20])).await?;
            send.send_data(Bytes::new(), true).ok()
        }
        _ => {
            head.headers_mut().insert("content-length", "2".parse().expect("a value"));
            respond.send_response(head, false).ok()?.send_data(Bytes::from_static(b"ok"), true).ok()
        }
    }
}

async fn echo(mut body: RecvStream, mut send: SendStream<Bytes>) -> Option<()> {
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).ok()?;
        write(&mut send, data).await?;
    }
    match body.trailers().await.ok()? {
        Some(trailers) => send.send_trailers(trailers).ok(),
        None => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            send.send_trailers(trailers).ok()
        }
    }
}

async fn write(send: &mut SendStream<Bytes>, mut data: Bytes) -> Option<()> {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let mut room = send.capacity();
        if room == 0 {
            room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await?.ok()?;
        }
        send.send_data(data.split_to(room.min(data.len())), false).ok()?;
    }
    Some(())
}

/// An endpoint whose connections are served frame by frame, the first by index 0.
pub(crate) fn start(serve: impl Fn(&mut Raw, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                let mut raw = Raw::accepted(stream);
                serve(&mut raw, index);
            });
        }
    });
    address
}
