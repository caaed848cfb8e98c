// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gRPC health protocol: one call of `grpc.health.v1.Health/Check` over HTTP/2, with a deadline.
//!
//! Its two messages have one field each, so they are written and read by hand. Only SERVING is healthy. A server that
//! does not implement the service is alive and says nothing else: it passes, as gRPC's own clients hold it, and the
//! reason says so. One that implements it and does not know the service it is asked about fails.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::Failure;
use super::connect;
use super::tls::{CheckTls, handshake};
use crate::upstream::connect::ALPN_H2;

/// Bytes of a reply that are looked at; a right one has seven.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// The status codes that mean something here.
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";

/// What a server without the service is said to be.
const WITHOUT_SERVICE: &str = "it answers gRPC but does not implement grpc.health.v1.Health, so it is taken to be up";

/// Which service is asked about, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcCheck {
    /// The whole server if empty.
    pub service: Box<str>,
    pub tls: Option<CheckTls>,
}

pub(super) async fn ask(
    check: &GrpcCheck,
    address: SocketAddr,
    limit: Duration,
) -> Result<Option<&'static str>, Failure> {
    let Some(tls) = &check.tls else { return call(check, address, limit, connect(address).await?).await };
    let stream = handshake(tls, address).await?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
        return Err(Failure::Answer("did not agree to HTTP/2 in its TLS handshake".into()));
    }
    call(check, address, limit, stream).await
}

async fn call<S>(
    check: &GrpcCheck,
    address: SocketAddr,
    limit: Duration,
    io: S,
) -> Result<Option<&'static str>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (client, connection) = h2::client::handshake(io).await.map_err(|error| not_grpc(&error))?;
    let scheme = if check.tls.is_some() { "https" } else { "http" };
    tokio::select! {
        answer = check_once(client, check, scheme, address, limit) => answer,
        ended = connection => Err(ended.map_or_else(|error| not_grpc(&error), |()| Failure::Closed)),
    }
}

async fn check_once(
    client: SendRequest<Bytes>,
    check: &GrpcCheck,
    scheme: &str,
    address: SocketAddr,
    limit: Duration,
) -> Result<Option<&'static str>, Failure> {
    let mut client = client.ready().await.map_err(|error| not_grpc(&error))?;
    let uri =
        Uri::builder().scheme(scheme).authority(address.to_string()).path_and_query("/grpc.health.v1.Health/Check");
    let request = Request::post(uri.build().unwrap_or_default())
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("weirgate-health/", env!("CARGO_PKG_VERSION")))
        .header("grpc-timeout", format!("{}m", limit.as_millis()))
        .body(())
        .map_err(|_| Failure::NotHttp("its address makes no request"))?;
    let (reply, mut body) = client.send_request(request, false).map_err(|error| not_grpc(&error))?;
    body.send_data(question(&check.service), true).map_err(|error| not_grpc(&error))?;
    judge(check, reply).await
}

async fn judge(check: &GrpcCheck, reply: ResponseFuture) -> Result<Option<&'static str>, Failure> {
    let (head, mut body) = reply.await.map_err(|error| not_grpc(&error))?.into_parts();
    if head.status != 200 {
        return Err(Failure::Status { got: head.status.as_u16(), want: "200".into() });
    }
    if let Some(code) = status(&head.headers) {
        return verdict(check, code, &[]);
    }
    let mut message = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| not_grpc(&error))?;
        let room = MESSAGE_BYTES_MAX.saturating_sub(message.len()).min(piece.len());
        message.extend_from_slice(piece.get(..room).unwrap_or_default());
        // A closed window is a reply that never ends, which the time limit ends.
        let _closed = body.flow_control().release_capacity(piece.len()).is_err();
    }
    let trailers = body.trailers().await.map_err(|error| not_grpc(&error))?;
    let code = trailers.as_ref().and_then(status).ok_or(Failure::NotHttp("it has no grpc-status"))?;
    verdict(check, code, &message)
}

fn status(fields: &HeaderMap) -> Option<&str> {
    fields.get("grpc-status")?.to_str().ok()
}

fn verdict(check: &GrpcCheck, code: &str, message: &[u8]) -> Result<Option<&'static str>, Failure> {
    let answer = |text: String| Err(Failure::Answer(text.into()));
    match code {
        "0" => match serving(message) {
            Some(1) => Ok(None),
            Some(0) => answer("answered UNKNOWN (want SERVING)".to_owned()),
            Some(2) => answer("answered NOT_SERVING (want SERVING)".to_owned()),
            Some(3) => answer("answered SERVICE_UNKNOWN (want SERVING)".to_owned()),
            Some(other) => answer(format!("answered the unknown state {other} (want SERVING)")),
            None => answer("got a reply that is no HealthCheckResponse".to_owned()),
        },
        UNIMPLEMENTED => Ok(Some(WITHOUT_SERVICE)),
        NOT_FOUND => {
            answer(format!("got NOT_FOUND: the health service does not know \"{}\"", check.service.escape_debug()))
        }
        code => answer(format!("got grpc-status {} (want 0)", code.escape_debug())),
    }
}

fn not_grpc(error: &h2::Error) -> Failure {
    Failure::Answer(format!("failed its HTTP/2 exchange: {error}").into())
}

/// A `HealthCheckRequest` in its gRPC frame: no compression, the length, and field 1 (a string) unless it is empty.
fn question(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 8);
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// Field 1 (a number) of a `HealthCheckResponse` in its frame; 0 if it is left out, as protobuf does with zeros.
fn serving(framed: &[u8]) -> Option<u64> {
    let (head, message) = framed.split_first_chunk::<5>()?;
    let [0, length @ ..] = *head else { return None };
    let mut rest = message.get(..u32::from_be_bytes(length) as usize)?;
    let mut state = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => state = varint(&mut rest)?,
            (_, 0) => _ = varint(&mut rest)?,
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(state)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{question, serving};

    #[test]
    fn messages_as_protobuf_writes_them() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(&question(&"x".repeat(200))[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        for (framed, want) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 7, 0x12, 1, b'x', 0x18, 9, 8, 1], Some(1)),
            (&[0, 0, 0, 0, 2, 8], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0], None),
            (&[0, 0, 0, 0, 1, 8], None),
            (&[0, 0, 0, 0, 2, 0x12, 200], None),
        ] {
            assert_eq!(serving(framed), want, "{framed:?}");
        }
    }
}
