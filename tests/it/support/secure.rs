// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoints behind TLS: an authority made on the spot, certificates that it signs, and a terminator in front of a
//! plain [`Origin`](super::origin::Origin) or any other listener, which counts handshakes and can be stopped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// An authority.
pub(crate) struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Signed {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    /// SHA-256 of its public key in base64, as openssl would say it.
    pub(crate) pin: String,
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("test authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// Its certificate, as a setting.
    pub(crate) fn ca(&self) -> String {
        format!("ca = '''{}'''", self.pem)
    }

    /// A certificate for these names.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_with(names, |_| {})
    }

    /// The same with something else changed.
    pub(crate) fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let der = certificate.der().clone();
        Signed {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            pin: pin(&der),
            der,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }
    }
}

impl Signed {
    /// Its table in the configuration.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("[certificates.{name}]\nchain = '''{}'''\nkey = '''{}'''\n", self.pem, self.key_pem)
    }
}

fn pin(der: &CertificateDer<'_>) -> String {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(der).expect("just made");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.public_key().raw);
    let bits: String = digest.as_ref().iter().map(|byte| format!("{byte:08b}")).collect();
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let digit = |at: usize| {
        let six: String = bits.chars().skip(at * 6).chain("00".chars()).take(6).collect();
        alphabet[usize::from_str_radix(&six, 2).expect("bits")]
    };
    (0..43).map(digit).chain(['=']).collect()
}

/// TLS in front of another listener.
pub(crate) struct Terminator {
    address: SocketAddr,
    seen: Arc<Seen>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Seen {
    handshakes: AtomicUsize,
    resumed: AtomicUsize,
    names: Mutex<Vec<Option<String>>>,
}

impl Terminator {
    /// Serves this certificate in front of `inner`, and speaks these protocols.
    pub(crate) fn before(inner: SocketAddr, signed: &Signed, protocols: &[&str]) -> Self {
        Self::start(inner, signed, protocols, None)
    }

    /// The same, only for clients with a certificate of this authority.
    pub(crate) fn before_known(inner: SocketAddr, signed: &Signed, authority: &Authority) -> Self {
        Self::start(inner, signed, &["http/1.1"], Some(authority))
    }

    fn start(inner: SocketAddr, signed: &Signed, protocols: &[&str], clients: Option<&Authority>) -> Self {
        let config = Arc::new(config(signed, protocols, clients));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
        let (address, seen) = (listener.local_addr().expect("it is bound"), Arc::new(Seen::default()));
        let counts = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(terminate(stream, inner, TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&counts)));
            }
        });
        Self { address, seen, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Handshakes that ended well.
    pub(crate) fn handshakes(&self) -> usize {
        self.seen.handshakes.load(Ordering::SeqCst)
    }

    /// Those of them that resumed a session.
    pub(crate) fn resumed(&self) -> usize {
        self.seen.resumed.load(Ordering::SeqCst)
    }

    /// The server name of the last handshake.
    pub(crate) fn name(&self) -> Option<String> {
        self.seen.names.lock().expect("no panic holds it").last().cloned().flatten()
    }
}

fn config(signed: &Signed, protocols: &[&str], clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let mut config =
        builder.with_single_cert(vec![signed.der.clone()], signed.key.clone_key()).expect("a key that fits");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

async fn terminate(stream: TcpStream, inner: SocketAddr, acceptor: TlsAcceptor, seen: Arc<Seen>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let connection = stream.get_ref().1;
    seen.names.lock().expect("no panic holds it").push(connection.server_name().map(str::to_owned));
    seen.handshakes.fetch_add(1, Ordering::SeqCst);
    if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
        seen.resumed.fetch_add(1, Ordering::SeqCst);
    }
    let Ok(mut plain) = TcpStream::connect(inner).await else { return };
    drop(copy_bidirectional(&mut stream, &mut plain).await);
}
