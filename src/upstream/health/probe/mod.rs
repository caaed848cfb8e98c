// SPDX-License-Identifier: MIT OR Apache-2.0
//! One active check: connect, ask, look at the answer, hang up. It keeps no state and decides nothing.
//!
//! Runs on the checker's thread, never on a worker. One file per kind. They speak for themselves rather than through
//! the proxy's codec, so that a check measures the endpoint and nothing of ours. What an endpoint sends is bounded in
//! bytes and in time. The plain ones, which are most, run in [`Attempts`]; each of the others is a future. HTTP and TCP
//! checks hang up with a reset: it saves both sides two packets, and one of them a minute of TIME_WAIT. What has a
//! handshake above TCP is closed properly, or servers would log each check as an error.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::plain::Link;
use super::{CheckOutcome, Failure};
use crate::clock;

pub mod agent;

mod attempts;

pub mod grpc;

pub mod http;

mod plain;

pub mod script;

pub mod tcp;

pub mod tls;

pub use attempts::Attempts;
pub use grpc::GrpcCheck;
pub use http::{BodyPattern, HttpCheck, Statuses};
pub use script::ScriptCheck;
pub use tcp::TcpCheck;
pub use tls::CheckTls;

/// Bytes of an answer that are looked at.
pub const REPLY_MAX: usize = 64 * 1024;

/// Time for one check, unless the upstream says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// What is asked of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    Grpc(GrpcCheck),
    Http(HttpCheck),
    Script(ScriptCheck),
    Tcp(TcpCheck),
    Tls(CheckTls),
}

/// A check of one endpoint, with everything prepared that is the same each time.
#[derive(Debug)]
pub struct Probe {
    check: Arc<Check>,
    address: SocketAddr,
    timeout: Duration,
    /// The request of an HTTP check, and the same for a connection that is to be kept.
    request: Box<[u8]>,
    lasting: Box<[u8]>,
    /// A connection that the last HTTP check left open, and how many checks it has carried.
    kept: RefCell<Option<Link>>,
}

/// Whether a check may leave its connection open for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thrift {
    /// Each check opens a connection of its own, which is part of what it checks.
    Fresh,
    /// So many are checked that opening connections would cost more than everything else: most checks use an open one.
    Kept,
}

impl Probe {
    pub fn new(check: &Arc<Check>, address: SocketAddr, timeout: Duration) -> Self {
        let request = match &**check {
            Check::Http(http) => (http.request(address, "close"), http.request(address, "keep-alive")),
            Check::Grpc(_) | Check::Script(_) | Check::Tcp(_) | Check::Tls(_) => Default::default(),
        };
        let (request, lasting) = request;
        Self { check: Arc::clone(check), address, timeout, request, lasting, kept: RefCell::new(None) }
    }

    /// Whether it is for [`Attempts`].
    pub fn is_plain(&self) -> bool {
        match &*self.check {
            Check::Http(check) => check.is_plain(),
            Check::Tcp(check) => check.is_plain(),
            Check::Grpc(_) | Check::Script(_) | Check::Tls(_) => false,
        }
    }

    fn can_keep(&self) -> bool {
        matches!(&*self.check, Check::Http(check) if check.can_keep())
    }

    /// Checks the endpoint once.
    pub async fn run(&self) -> CheckOutcome {
        let started = clock::now();
        let (address, limit) = (self.address, self.timeout);
        let result = match &*self.check {
            Check::Tcp(check) => timeout(limit, tcp::ask(check, address)).await,
            Check::Http(check) => timeout(limit, http::ask(check, &self.request, address)).await,
            Check::Tls(check) => timeout(limit, tls::ask(check, address)).await,
            Check::Grpc(check) => return done(started, limit, timeout(limit, grpc::ask(check, address, limit)).await),
            Check::Script(check) => timeout(limit, script::ask(check, address)).await,
        };
        done(started, limit, result.map(|result| result.map(|()| None)))
    }
}

type Answered = Result<Result<Option<&'static str>, Failure>, tokio::time::error::Elapsed>;

fn done(started: std::time::Instant, limit: Duration, result: Answered) -> CheckOutcome {
    match result {
        Err(_) => CheckOutcome::Failed(Failure::Timeout(limit)),
        Ok(Err(failure)) => CheckOutcome::Failed(failure),
        Ok(Ok(note)) => CheckOutcome::Passed { took: clock::now().saturating_duration_since(started), note },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    TcpStream::connect(address).await.map_err(|error| unconnected(&error))
}

fn unconnected(error: &std::io::Error) -> Failure {
    Failure::Connect(error.to_string().to_lowercase().into())
}

/// The same, for a check that hangs up with a reset once it knows enough.
async fn connect_briefly(address: SocketAddr) -> Result<TcpStream, Failure> {
    let tcp = connect(address).await?;
    // If it cannot, the check costs a little more, no less.
    let _slower = tcp.set_zero_linger().is_err();
    Ok(tcp)
}

/// Reads some more of an answer; false at its end or at the bound.
async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<bool, Failure> {
    let room = (REPLY_MAX.saturating_sub(bytes.len())) as u64;
    let read = stream.take(room).read_buf(bytes).await.map_err(|_| Failure::Closed)?;
    Ok(read > 0)
}

#[cfg(test)]
mod tests;
