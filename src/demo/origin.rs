// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP/1.1 server of the toy services: one listening socket and one task for each endpoint, on loopback.
//!
//! What is answered is decided in `service`. A handler that panics ends its connection and nothing else.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::service::{Answer, Service, TOYS};
use crate::clock;

/// Most connections of one endpoint. The gateway opens a few for each worker.
const CONNECTIONS_MAX: usize = 256;

/// Pause after an accept that failed, as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An endpoint that listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) service: Service,
    pub(super) address: SocketAddr,
}

/// Answers a method and a path.
type Handler = Arc<dyn Fn(&str, &str) -> Answer + Send + Sync>;

/// Starts every toy service on a free port. Dropping the set ends them.
pub(super) async fn start_all() -> std::io::Result<(JoinSet<()>, Vec<Listening>)> {
    let started = clock::now();
    let mut tasks = JoinSet::new();
    let mut endpoints = Vec::new();
    for toy in &TOYS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        endpoints.push(Listening { service: toy.service, address: listener.local_addr()? });
        let since = move || clock::now().saturating_duration_since(started);
        let handler = move |method: &str, path: &str| toy.answer(method, path, since(), fastrand::f64());
        tasks.spawn(serve(listener, Arc::new(handler)));
    }
    Ok((tasks, endpoints))
}

async fn serve(listener: TcpListener, handler: Handler) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    converse(stream, handler).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, handler: Handler) {
    let respond = service_fn(move |request| reply(request, Arc::clone(&handler)));
    // The gateway closes what it no longer uses; a time limit of our own would only race it.
    let mut builder = http1::Builder::new();
    let connection = builder.header_read_timeout(None).serve_connection(TokioIo::new(stream), respond);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to a toy service broke");
    }
}

async fn reply(request: Request<Incoming>, handler: Handler) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = handler(request.method().as_str(), request.uri().path());
    tokio::time::sleep(answer.after).await;
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(answer.media_type));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.map_or(String::new(), |_| reply)
    }

    #[tokio::test]
    async fn a_panic_ends_one_connection_only() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let handler = |_: &str, path: &str| {
            assert_ne!(path, "/panic", "as asked for");
            Answer { status: 200, media_type: "text/plain", body: "well".to_owned(), after: Duration::ZERO }
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::new(handler)));
        for (path, end) in [("/", "well"), ("/panic", ""), ("/", "well")] {
            let reply = ask(address, path).await;
            assert!(reply.ends_with(end) && reply.is_empty() == end.is_empty(), "row {path}: {reply:?}");
        }
    }
}
