// SPDX-License-Identifier: MIT OR Apache-2.0
//! One active check: connect, ask, read a status, hang up. It keeps no state and decides nothing.
//!
//! Runs on the control runtime, never on a worker. Its own few lines of HTTP/1.1 rather than the proxy's codec, so
//! that a check measures the endpoint and nothing of ours. What an endpoint sends is bounded in bytes and in time,
//! and its body is not read.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CheckOutcome, Failure};
use crate::clock;

/// Bytes of a reply that are looked at; a reply head larger than this is a failure.
pub const REPLY_MAX: usize = 64 * 1024;

/// Fields in a reply head.
const FIELDS_MAX: usize = 128;

/// Time for one check, unless the upstream says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// How an endpoint is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    Http(HttpCheck),
    /// A TCP connection that is accepted is enough.
    Tcp {
        timeout: Duration,
    },
}

/// A request and the statuses that count as healthy. `method`, `path` and `host` are checked when they are parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    pub method: Box<str>,
    pub path: Box<str>,
    /// The Host field; the address of the endpoint if none is given.
    pub host: Option<Box<str>>,
    pub expect: Statuses,
    pub timeout: Duration,
}

impl Default for HttpCheck {
    fn default() -> Self {
        let expect = Statuses(Box::new([200..=399]));
        Self { method: "GET".into(), path: "/".into(), host: None, expect, timeout: TIMEOUT_DEFAULT }
    }
}

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Box<[RangeInclusive<u16>]>);

impl Statuses {
    /// Exactly these codes.
    pub fn of(codes: &[u16]) -> Self {
        Self(codes.iter().map(|code| *code..=*code).collect())
    }

    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    fn words(&self) -> Box<str> {
        let word = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start} to {end}"),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(" or ").into()
    }
}

/// Checks the endpoint once.
pub async fn probe(check: &Check, address: SocketAddr) -> CheckOutcome {
    let started = clock::now();
    let (limit, result) = match check {
        Check::Tcp { timeout: limit } => (*limit, timeout(*limit, connect(address)).await.map(|tcp| tcp.map(drop))),
        Check::Http(http) => (http.timeout, timeout(http.timeout, ask(http, address)).await),
    };
    match result {
        Err(_) => CheckOutcome::Failed(Failure::Timeout(limit)),
        Ok(Err(failure)) => CheckOutcome::Failed(failure),
        Ok(Ok(())) => CheckOutcome::Passed { took: clock::now().duration_since(started) },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let words = |error: std::io::Error| Failure::Connect(error.to_string().to_lowercase().into());
    TcpStream::connect(address).await.map_err(words)
}

async fn ask(check: &HttpCheck, address: SocketAddr) -> Result<(), Failure> {
    let mut tcp = connect(address).await?;
    let HttpCheck { method, path, host, expect, .. } = check;
    let own = address.to_string();
    let host = host.as_deref().unwrap_or(&own);
    let agent = concat!("weirgate-health/", env!("CARGO_PKG_VERSION"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    tcp.write_all(request.as_bytes()).await.map_err(|_| Failure::Closed)?;
    let got = read_status(&mut tcp).await?;
    if expect.contain(got) { Ok(()) } else { Err(Failure::Status { got, want: expect.words() }) }
}

/// Reads until a final reply head is whole and gives its status.
async fn read_status(tcp: &mut TcpStream) -> Result<u16, Failure> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = tcp.take((REPLY_MAX - bytes.len()) as u64).read_buf(&mut bytes).await;
        if read.map_err(|_| Failure::Closed)? == 0 {
            let full = bytes.len() >= REPLY_MAX;
            return Err(if full { Failure::NotHttp("its head is larger than 64 KiB") } else { Failure::Closed });
        }
        if let Some(status) = final_status(&bytes)? {
            return Ok(status);
        }
    }
}

/// The status of the first head that is not an interim one, if it is all there.
fn final_status(mut bytes: &[u8]) -> Result<Option<u16>, Failure> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut reply = httparse::Response::new(&mut fields);
        let parsed = reply.parse(bytes).map_err(|_| Failure::NotHttp("its head is malformed"))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        match reply.code {
            Some(100..=199) => bytes = bytes.get(length..).unwrap_or_default(),
            status => return Ok(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{Check, CheckOutcome, Failure, HttpCheck, Statuses, probe};

    /// An origin that answers one connection with `reply` and then closes, or keeps it open for ever without one.
    async fn origin(reply: Option<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let n = tcp.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..n]).into_owned();
            match reply {
                Some(reply) if text.starts_with("GET /healthz HTTP/1.1\r\nHost: shop\r\n") => {
                    drop(tcp.write_all(&reply).await);
                }
                Some(_) => drop(tcp.write_all(b"HTTP/1.1 599 wrong request\r\n\r\n").await),
                None => std::future::pending().await,
            }
        });
        address
    }

    async fn check(reply: Option<&[u8]>, want: Result<(), Failure>) {
        let expect = Statuses::of(&[200, 204]);
        let limit = Duration::from_millis(if reply.is_some() { 5_000 } else { 30 });
        let http = HttpCheck {
            path: "/healthz".into(),
            host: Some("shop".into()),
            expect,
            timeout: limit,
            ..HttpCheck::default()
        };
        let address = origin(reply.map(<[u8]>::to_vec)).await;
        match (probe(&Check::Http(http), address).await, want) {
            (CheckOutcome::Passed { .. }, Ok(())) => {}
            (CheckOutcome::Failed(got), Err(want)) => assert_eq!(got, want),
            (got, want) => panic!("got {got:?}, want {want:?}"),
        }
    }

    #[tokio::test]
    async fn an_http_check_reads_the_status_and_nothing_else() {
        check(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"), Ok(())).await;
        check(Some(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), Ok(())).await;
        let status = Failure::Status { got: 500, want: "200 or 204".into() };
        check(Some(b"HTTP/1.1 500 Oops\r\n\r\n"), Err(status)).await;
        check(Some(b"SSH-2.0-x\r\n"), Err(Failure::NotHttp("its head is malformed"))).await;
        check(Some(b"HTTP/1.1 200 OK\r\nX: "), Err(Failure::Closed)).await;
        check(None, Err(Failure::Timeout(Duration::from_millis(30)))).await;
        let mut endless = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        endless.resize(super::REPLY_MAX + 10, b'x');
        check(Some(&endless), Err(Failure::NotHttp("its head is larger than 64 KiB"))).await;
    }

    #[tokio::test]
    async fn a_tcp_check_wants_a_connection() {
        let tcp = Check::Tcp { timeout: Duration::from_secs(5) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(probe(&tcp, address).await, CheckOutcome::Passed { .. }));
        drop(listener);
        let CheckOutcome::Failed(failure) = probe(&tcp, address).await else { panic!("nobody listens there") };
        assert!(failure.to_string().starts_with("could not connect: connection refused"), "{failure}");
    }
}
