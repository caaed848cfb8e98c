// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control API over its Unix socket: one connection per call, JSON in and out, and the stream of events.
//!
//! The only I/O towards the daemon that the console and the command line have. It does not retry and does not
//! reconnect (the console's socket task decides that), and every wait and every size has a named bound. An error is a
//! sentence that says what to do next.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weirgate_store::wire::{CHANNEL_FIELD, ErrorReply, Event};

use crate::sse::{RawEvent, SseParser};

/// Where the daemon listens unless told otherwise.
pub const SOCKET_DEFAULT: &str = "/run/weirgate/control.sock";

/// The variable that names the socket when `--socket` does not.
pub const SOCKET_VARIABLE: &str = "WEIRGATE_SOCKET";

/// How long the daemon may take to accept a connection.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long one call may take, from its first byte to its last; an apply with a big file is the longest of them.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// How long a long upload may take, such as the import of a million keys.
pub const UPLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Largest reply that is read. The key list of a million consumers fits.
pub const REPLY_BYTES_MAX: usize = 512 << 20;

/// Why a call did not succeed, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no daemon answers at {}: is weirgate running? start it with `systemctl start weirgate` or `weirgate run`, \
         or name its socket with --socket", .0.display()
    )]
    NotRunning(PathBuf),
    #[error(
        "permission denied at {}: you are not in group weirgate (to read) or weirgate-admin (to change); \
         add yourself with `usermod -aG weirgate $USER` and log in again, or use sudo", .0.display()
    )]
    Denied(PathBuf),
    #[error("cannot connect to {}: {source}", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the daemon did not {what} within {} s", .limit.as_secs())]
    Timeout { what: &'static str, limit: Duration },
    /// The daemon answered, and the answer is no.
    #[error("{}", refusal(.0))]
    Refused(Box<ErrorReply>),
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
    #[error("the daemon answered something this program does not understand: {0}; are both of the same version?")]
    NotUnderstood(String),
}

impl ClientError {
    /// Whether there is no daemon to talk to, so that something can be done without one.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NotRunning(_) | Self::Denied(_) | Self::Connect { .. })
    }
}

fn refusal(reply: &ErrorReply) -> &str {
    if reply.detail.is_empty() { &reply.title } else { &reply.detail }
}

/// The way to one daemon. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    /// How a revision names the way its author came.
    channel: &'static str,
}

impl Client {
    /// For the command line.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, channel: "cli" }
    }

    pub fn of_console(socket: PathBuf) -> Self {
        Self { socket, channel: "console" }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for a JSON document.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send::<T, ()>(Method::GET, path, None).await
    }

    /// Sends a JSON document, or nothing, and reads one back. An empty reply reads as JSON `null`.
    pub async fn send<T, B>(&self, method: Method, path: &str, body: Option<&B>) -> Result<T, ClientError>
    where
        T: DeserializeOwned,
        B: Serialize + ?Sized,
    {
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|e| ClientError::NotUnderstood(e.to_string()))?,
            None => Vec::new(),
        };
        let reply = self.call(CALL_LIMIT, request(method, path, "application/json", bytes)?).await?;
        let reply: &[u8] = if reply.is_empty() { b"null" } else { &reply };
        serde_json::from_slice(reply).map_err(|e| ClientError::NotUnderstood(format!("{path}: {e}")))
    }

    /// Sends plain text and reads a JSON document back.
    pub async fn send_text<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T, ClientError> {
        let reply = self
            .call(UPLOAD_LIMIT, request(Method::POST, path, "text/plain; charset=utf-8", text.into_bytes())?)
            .await?;
        serde_json::from_slice(&reply).map_err(|e| ClientError::NotUnderstood(format!("{path}: {e}")))
    }

    /// Asks for a text: an export, a revision, the metrics.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let reply = self.call(CALL_LIMIT, request(Method::GET, path, "", Vec::new())?).await?;
        String::from_utf8(reply.into()).map_err(|e| ClientError::NotUnderstood(format!("{path}: {e}")))
    }

    /// Opens a stream of events, such as `/v1/events?topics=traffic`. It ends when it is dropped.
    pub async fn events(&self, path: &str) -> Result<EventStream, ClientError> {
        let request = request(Method::GET, path, "", Vec::new())?;
        let open = async {
            let (reply, driver) = self.exchange(request).await?;
            match reply.status() {
                StatusCode::OK => Ok((reply.into_body(), driver)),
                status => Err(refused(status, &collect(reply).await?)),
            }
        };
        let (body, driver) = within(CALL_LIMIT, "open the event stream", open).await?;
        Ok(EventStream { body, parser: SseParser::default(), ready: VecDeque::new(), _driver: driver })
    }

    async fn call(&self, limit: Duration, request: Request<Full<Bytes>>) -> Result<Bytes, ClientError> {
        let call = async {
            // The driver must live until the body is read.
            let (reply, _driver) = self.exchange(request).await?;
            let status = reply.status();
            let body = collect(reply).await?;
            if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
        };
        within(limit, "answer", call).await
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, Driver), ClientError> {
        request.headers_mut().insert(CHANNEL_FIELD, HeaderValue::from_static(self.channel));
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let driver = Driver(tokio::spawn(async move {
            // What goes wrong here also ends the request or the body, which report it.
            drop(connection.await);
        }));
        let reply = sender.send_request(request).await.map_err(|e| broken(&e))?;
        Ok((reply, driver))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let connecting = async { UnixStream::connect(&self.socket).await.map_err(|e| self.no_connection(e)) };
        within(CONNECT_LIMIT, "accept the connection", connecting).await
    }

    fn no_connection(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning(socket),
            io::ErrorKind::PermissionDenied => ClientError::Denied(socket),
            _ => ClientError::Connect { socket, source },
        }
    }
}

/// Events as the daemon sends them.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    parser: SseParser,
    ready: VecDeque<RawEvent>,
    _driver: Driver,
}

impl EventStream {
    /// The next event; `None` when the daemon has closed the stream. Safe to drop and call again (cancel-safe).
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(decode(&event));
            }
            let bytes = match self.body.frame().await? {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => return Some(Err(broken(&error))),
            };
            let mut events = Vec::new();
            if let Err(error) = self.parser.feed(&bytes, &mut events) {
                return Some(Err(ClientError::NotUnderstood(error.to_string())));
            }
            self.ready.extend(events);
        }
    }
}

fn decode(event: &RawEvent) -> Result<Event, ClientError> {
    serde_json::from_str(&event.data).map_err(|e| ClientError::NotUnderstood(format!("event {:?}: {e}", event.name)))
}

/// The task that moves the bytes of one connection; it ends with its owner.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A name or an address as one segment of a path, or as a value in a query.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn request(method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut builder = Request::builder().method(method).uri(path).header(header::HOST, "weirgate");
    if !body.is_empty() {
        builder = builder.header(header::CONTENT_TYPE, kind);
    }
    builder.body(Full::new(Bytes::from(body))).map_err(|e| ClientError::NotUnderstood(format!("{path}: {e}")))
}

async fn collect(reply: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(reply.into_body(), REPLY_BYTES_MAX).collect().await;
    Ok(body.map_err(|e| ClientError::Broken(e.to_string()))?.to_bytes())
}

fn refused(status: StatusCode, body: &[u8]) -> ClientError {
    let reply = serde_json::from_slice(body).unwrap_or_else(|_| ErrorReply {
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or("refused").to_owned(),
        detail: format!("the daemon answered {status}: {}", String::from_utf8_lossy(body).trim()),
        problems: Vec::new(),
    });
    ClientError::Refused(Box::new(reply))
}

fn broken(error: &hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}

async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(limit, work).await.unwrap_or(Err(ClientError::Timeout { what, limit }))
}

#[cfg(test)]
mod tests;
