// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS towards endpoints: whom we trust, under which name, what we show of ourselves, and why a handshake failed, in
//! words an operator can act on.
//!
//! Settings are made while a configuration is compiled, off the request path; the system's authorities are read once.
//! A session is resumed on any worker. It knows nothing of HTTP beyond the protocol names of ALPN.

mod distrust;

mod verify;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::verify::{Trust, Verifier};

pub use self::distrust::{explain, refusal};

/// Sessions remembered for resumption by one upstream.
const SESSIONS_MAX: usize = 256;

/// Why endpoints cannot be spoken to so.
#[derive(Debug, thiserror::Error)]
pub enum OriginateError {
    #[error("the authorities are not PEM with at least one certificate: {0}")]
    Authorities(String),
    #[error("this system has no certificate authorities")]
    NoSystemAuthorities,
    #[error("\"{name}\" is not a server name: {why}")]
    Name { name: String, why: InvalidDnsNameError },
    #[error("{0}")]
    Settings(String),
}

/// What an upstream says of TLS.
#[derive(Debug)]
pub struct Settings<'a> {
    pub server_name: Option<&'a str>,
    /// PEM text of the authorities to trust instead of the system's.
    pub authorities: Option<&'a str>,
    /// SHA-256 of public keys, in base64.
    pub pins: &'a [String],
    /// What we show if asked who we are.
    pub identity: Option<Arc<CertifiedKey>>,
    /// Whether chain, name and dates are verified.
    pub is_verified: bool,
    /// The one protocol offered by ALPN.
    pub protocol: &'static [u8],
}

/// How to shake hands with the endpoints of one upstream.
#[derive(Clone, Debug)]
pub struct Originate {
    config: Arc<ClientConfig>,
    /// The endpoint's address if there is none.
    name: Option<ServerName<'static>>,
}

impl Originate {
    /// Makes the settings.
    pub fn new(settings: Settings<'_>) -> Result<Self, OriginateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| OriginateError::Settings(error.to_string()))?;
        let verifier = verifier(&settings, &provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match settings.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![settings.protocol.to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        // 0-RTT data can be replayed; nothing here may run twice.
        config.enable_early_data = false;
        let name = settings.server_name.map(|name| {
            ServerName::try_from(name.to_owned()).map_err(|why| OriginateError::Name { name: name.to_owned(), why })
        });
        Ok(Self { config: Arc::new(config), name: name.transpose()? })
    }

    /// The same for somebody who only looks whether it works: with another protocol in ALPN, none if it is empty, and every
    /// certificate anew, as a session that is resumed shows none.
    #[must_use]
    pub fn for_checks(&self, protocol: &[u8]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = if protocol.is_empty() { Vec::new() } else { vec![protocol.to_vec()] };
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config), name: self.name.clone() }
    }

    /// Shakes hands over a connection that is open.
    pub async fn handshake(&self, stream: TcpStream, ip: IpAddr) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(ip.to_canonical().into()));
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

fn verifier(
    settings: &Settings<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OriginateError> {
    let trust = match (settings.is_verified, settings.authorities) {
        (false, _) => Trust::Anyone,
        (true, Some(pem)) => Trust::Authorities(Arc::new(authorities(pem)?)),
        (true, None) => Trust::Authorities(system()?),
    };
    let verifier = Verifier::new(trust, settings.pins, provider);
    Ok(Arc::new(verifier.map_err(|error| OriginateError::Settings(error.to_string()))?))
}

fn authorities(pem: &str) -> Result<RootCertStore, OriginateError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| OriginateError::Authorities(error.to_string()))?;
        roots.add(certificate).map_err(|error| OriginateError::Authorities(error.to_string()))?;
    }
    if roots.is_empty() { Err(OriginateError::Authorities("it is empty".to_owned())) } else { Ok(roots) }
}

/// The authorities of the system, read at first use. A system without any is asked again the next time.
fn system() -> Result<Arc<RootCertStore>, OriginateError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = SYSTEM.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(OriginateError::NoSystemAuthorities);
    }
    Ok(Arc::clone(SYSTEM.get_or_init(|| Arc::new(roots))))
}
