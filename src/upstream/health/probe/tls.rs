// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS check: a handshake that ends well, whatever the certificate, and the TLS under other checks.
//!
//! It asks whether the endpoint can speak TLS now. Whether its certificate is to be trusted is for the connections that
//! carry requests, and an expired one must not look like a dead endpoint.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Failure;
use super::connect;
use crate::tls::originate::any_certificate;

/// The name to send as SNI; none if absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames(pub Option<Box<str>>);

/// A handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsCheck {
    pub names: ServerNames,
}

pub(super) async fn ask(check: &TlsCheck, address: SocketAddr) -> Result<(), Failure> {
    let tcp = connect(address).await?;
    let mut tls = handshake(tcp, address, &check.names, Speaks::Anything).await?;
    // It has shown that it can; how it takes the farewell says nothing.
    let _gone = tls.shutdown().await.is_err();
    Ok(())
}

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Anything,
    Http1,
    Http2,
}

pub(super) async fn handshake(
    tcp: TcpStream,
    address: SocketAddr,
    names: &ServerNames,
    speaks: Speaks,
) -> Result<TlsStream<TcpStream>, Failure> {
    let failed = |cause: String| Failure::Answer(format!("failed its TLS handshake: {cause}").into());
    let name = match &names.0 {
        Some(name) => ServerName::try_from(name.to_string()).map_err(|error| failed(error.to_string()))?,
        // An address is never sent as SNI (RFC 6066 section 3).
        None => ServerName::from(address.ip()),
    };
    let config = config(speaks).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| failed(error.to_string()))?;
    if speaks == Speaks::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(failed("it did not agree to HTTP/2".to_owned()));
    }
    Ok(stream)
}

/// The settings, made once each.
fn config(speaks: Speaks) -> Result<Arc<ClientConfig>, rustls::Error> {
    static CONFIGS: [OnceLock<Arc<ClientConfig>>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
    let [anything, http1, http2] = &CONFIGS;
    let (held, alpn): (_, &[u8]) = match speaks {
        Speaks::Anything => (anything, b""),
        Speaks::Http1 => (http1, b"http/1.1"),
        Speaks::Http2 => (http2, b"h2"),
    };
    if let Some(config) = held.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(any_certificate(&provider))
        .with_no_client_auth();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    Ok(Arc::clone(held.get_or_init(|| Arc::new(config))))
}
