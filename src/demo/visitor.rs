// SPDX-License-Identifier: MIT OR Apache-2.0
//! One client of the demo: a keep-alive connection to the gateway, one request at a time.
//!
//! It reads what it needs to keep the connection (status line, length) and no more; anything it does not understand
//! closes the connection and the next request opens another. It never fails and never hurries.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::setup::{Keys, SITE_HOST, Setup};
use super::traffic::{Ask, Door, Habit, Key};
use crate::clock;

/// How long one request may take, with its connection.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a reply that are read at most.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Numbers that stand in paths are below this.
const NUMBERS: u32 = 500;

/// A key nobody has.
const WRONG_KEY: &str = "expired-0123456789abcdef";

/// How the gateway is reached.
#[derive(Clone)]
pub(super) struct Gateway {
    http: SocketAddr,
    https: SocketAddr,
    tls: TlsConnector,
    keys: Arc<Keys>,
    started: Instant,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Gateway {
    pub(super) fn new(setup: &Setup) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(setup.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let keys = Arc::new(setup.keys.clone());
        Ok(Self { http: setup.http, https: setup.https, tls: tls.into(), keys, started: clock::now() })
    }

    async fn connect(&self, door: Door, from: u8) -> std::io::Result<Box<dyn Stream>> {
        match door {
            Door::Http => Ok(Box::new(open(self.http, from).await?)),
            Door::Https => {
                let name = ServerName::try_from(SITE_HOST).map_err(std::io::Error::other)?;
                Ok(Box::new(self.tls.connect(name, open(self.https, from).await?).await?))
            }
        }
    }
}

/// Connects from an address of its own, so that limits by address and the list of clients have something to tell
/// apart. Where loopback has one address only, from that.
async fn open(gateway: SocketAddr, from: u8) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).is_err() {
        return TcpStream::connect(gateway).await;
    }
    let stream = socket.connect(gateway).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One client.
pub(super) struct Visitor {
    habit: Habit,
    gateway: Gateway,
    connection: Option<Box<dyn Stream>>,
}

impl Visitor {
    pub(super) fn new(habit: Habit, gateway: Gateway) -> Self {
        Self { habit, gateway, connection: None }
    }

    /// Asks until it is ended.
    pub(super) async fn live(mut self) {
        loop {
            let since = clock::now().saturating_duration_since(self.gateway.started);
            sleep(self.habit.pause(since, fastrand::f64())).await;
            let Some(ask) = fastrand::choice(self.habit.asks) else { return };
            let request = self.request(ask);
            // The connection is out of its place while it is used, so one that failed is gone.
            if let Ok(Ok(kept)) = timeout(ASK_LIMIT, self.ask(&request)).await {
                self.connection = kept;
            }
        }
    }

    async fn ask(&mut self, request: &str) -> std::io::Result<Option<Box<dyn Stream>>> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => self.gateway.connect(self.habit.door, self.habit.from).await?,
        };
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut read = Vec::new();
        loop {
            match reply_state(&read) {
                ReplyState::Whole => return Ok(Some(stream)),
                ReplyState::Last => return Ok(None),
                ReplyState::Partial if stream.read_buf(&mut read).await? == 0 => return Ok(None),
                ReplyState::Partial => {}
            }
        }
    }

    fn request(&self, ask: &Ask) -> String {
        let Ask { method, host, path, body } = ask;
        let path = path.replace("{n}", &fastrand::u32(..NUMBERS).to_string());
        let keys = &self.gateway.keys;
        let key = match self.habit.key {
            Key::Nobody => None,
            Key::Alice => Some(keys.alice.as_str()),
            Key::Acme => Some(keys.acme.as_str()),
            Key::Ben => Some(keys.ben.as_str()),
            Key::Wrong => Some(WRONG_KEY),
        };
        let key = key.map(|key| format!("X-Api-Key: {key}\r\n")).unwrap_or_default();
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let agent = self.habit.agent;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{key}{length}\r\n{body}")
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ReplyState {
    Partial,
    /// Read, and the connection can be used again.
    Whole,
    /// Nothing after it can be read.
    Last,
}

fn reply_state(read: &[u8]) -> ReplyState {
    let Some(at) = memchr::memmem::find(read, b"\r\n\r\n") else {
        return if read.len() < REPLY_BYTES_MAX { ReplyState::Partial } else { ReplyState::Last };
    };
    let head = String::from_utf8_lossy(read.get(..at).unwrap_or_default()).to_ascii_lowercase();
    let field = |name: &str| {
        let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| *field == name).map(|(_, value)| value.trim().to_owned()).next()
    };
    if field("connection").is_some_and(|value| value == "close") {
        return ReplyState::Last;
    }
    match field("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > REPLY_BYTES_MAX => ReplyState::Last,
        Some(length) if read.len() < at + 4 + length => ReplyState::Partial,
        Some(_) => ReplyState::Whole,
        None => ReplyState::Last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_after_a_whole_reply_only() {
        let check = |read: &str, state: ReplyState| assert_eq!(reply_state(read.as_bytes()), state, "row {read:?}");
        check("", ReplyState::Partial);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1", ReplyState::Partial);
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n12", ReplyState::Whole);
        check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ReplyState::Whole);
        check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ReplyState::Last);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ReplyState::Last);
        check("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ReplyState::Last);
    }
}
