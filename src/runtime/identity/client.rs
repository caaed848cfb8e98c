// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of issuers: one request at a time, bounded in time and size, with the TLS that endpoints get.
//!
//! It follows no redirect, because an address that somebody checked must be the one that is asked, and no proxy. hyper does
//! the talking. Who asks often keeps the connection and gives it with the next request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderName, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::schedule;
use crate::tls::originate::{Originate, Settings, explain};

/// The whole of one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of one reply.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Where to ask, and how to be sure who answers.
#[derive(Clone, Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    /// As the field `Host` has it.
    authority: String,
    target: String,
    tls: Option<Originate>,
}

/// What a request brought.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) body: Bytes,
    /// How long it holds, if it says so.
    pub(super) lasts: Option<Duration>,
}

impl Address {
    /// # Errors
    /// A sentence about what is wrong with it.
    pub(super) fn new(url: &str, ca: Option<&str>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("\"{url}\" is no address: {error}"))?;
        let authority = uri.authority().ok_or_else(|| format!("\"{url}\" names no host"))?.to_string();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let target = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        // A certificate for an address names it as an address; `Originate` takes that of the connection then.
        let server_name = host.parse::<IpAddr>().is_err().then_some(host.as_str());
        let settings = Settings {
            server_name,
            authorities: ca,
            pins: &[],
            identity: None,
            is_verified: true,
            protocol: b"http/1.1",
        };
        let tls = is_https.then(|| Originate::new(settings)).transpose().map_err(|error| error.to_string())?;
        Ok(Self { host, port, authority, target, tls })
    }

    fn request(&self, method: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(&self.target)
            .header(HOST, &self.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "weirgate")
    }
}

/// An open connection, unused for now. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Kept {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The one task that drives it.
    _driver: JoinSet<()>,
}

/// Asks for a document, on a connection of its own: the next time comes minutes later.
///
/// # Errors
/// A sentence about what went wrong.
pub(super) async fn get(address: &Address) -> Result<Got, String> {
    let request = address.request("GET").header(CONNECTION, "close").body(Full::default());
    let request = request.map_err(|error| error.to_string())?;
    let (status, got) = in_time(async { exchange(&mut open(address).await?, request).await }).await?;
    if status == 200 { Ok(got) } else { Err(format!("it answered {status}")) }
}

/// Sends a form, on a kept connection if there is one, and gives back what can be kept.
pub(super) async fn post(
    address: &Address,
    kept: Option<Kept>,
    authorization: &str,
    form: String,
) -> (Result<Bytes, String>, Option<Kept>) {
    let request = address.request("POST").header(AUTHORIZATION, authorization);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Full::from(form));
    let request = match request {
        Ok(request) => request,
        Err(error) => return (Err(error.to_string()), kept),
    };
    match in_time(post_patiently(address, kept, request)).await {
        Ok((200, got, kept)) => (Ok(got.body), Some(kept)),
        Ok((status, _, kept)) => (Err(format!("it answered {status}")), Some(kept)),
        Err(why) => (Err(why), None),
    }
}

async fn post_patiently(
    address: &Address,
    kept: Option<Kept>,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Got, Kept), String> {
    if let Some(mut kept) = kept.filter(|kept| !kept.sender.is_closed())
        && let Ok((status, got)) = exchange(&mut kept, request.clone()).await
    {
        return Ok((status, got, kept));
    }
    // Asking changes nothing there, so a connection that was closed meanwhile is a reason to ask on another.
    let mut fresh = open(address).await?;
    let (status, got) = exchange(&mut fresh, request).await?;
    Ok((status, got, fresh))
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, work).await.map_err(|_| format!("it did not answer in {TIMEOUT:?}"))?
}

async fn open(address: &Address) -> Result<Kept, String> {
    let (stream, peer) = connect(address).await?;
    match &address.tls {
        None => speak(stream).await,
        Some(tls) => speak(tls.handshake(stream, peer.ip()).await.map_err(|error| explain(&error))?).await,
    }
}

async fn connect(address: &Address) -> Result<(TcpStream, SocketAddr), String> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found = found.map_err(|error| format!("its name {} cannot be resolved: {error}", address.host))?;
    let mut trouble = format!("its name {} has no address", address.host);
    for peer in found.take(ADDRESSES_MAX) {
        match TcpStream::connect(peer).await {
            Ok(stream) => return Ok((stream, peer)),
            Err(error) => trouble = format!("{peer} does not take a connection: {error}"),
        }
    }
    Err(trouble)
}

async fn speak<S>(stream: S) -> Result<Kept, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    Ok(Kept { sender, _driver: driver })
}

fn broken(error: &hyper::Error) -> String {
    format!("the exchange with it broke off: {error}")
}

async fn exchange(kept: &mut Kept, request: Request<Full<Bytes>>) -> Result<(u16, Got), String> {
    kept.sender.ready().await.map_err(|error| broken(&error))?;
    let reply: Response<Incoming> = kept.sender.send_request(request).await.map_err(|error| broken(&error))?;
    let text = |name: HeaderName| reply.headers().get(name).and_then(|value| value.to_str().ok());
    let lasts = schedule::lasts(text(CACHE_CONTROL), text(AGE));
    let status = reply.status().as_u16();
    let body = Limited::new(reply.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| format!("its reply cannot be read (at most {BODY_BYTES_MAX} bytes): {error}"))?;
    Ok((status, Got { body: body.to_bytes(), lasts }))
}
