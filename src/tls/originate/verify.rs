// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an endpoint is who it should be: its chain, name and dates by webpki, and its key by pins beside that.
//!
//! A signature of the handshake is verified in every case, so that a certificate is shown only by who has its key.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::VerifierBuilderError;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::distrust::Distrust;

/// Whose word counts.
#[derive(Debug)]
pub(super) enum Trust {
    Anyone,
    Authorities(Arc<RootCertStore>),
}

#[derive(Debug)]
pub(super) struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// SHA-256 of public keys, in base64.
    pins: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Takes every certificate, and still wants the handshake to be signed with its key.
    pub(super) fn of_anyone(provider: &CryptoProvider) -> Self {
        Self { chain: None, pins: Vec::new(), algorithms: provider.signature_verification_algorithms }
    }

    pub(super) fn new(
        trust: Trust,
        pins: &[String],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chain = match trust {
            Trust::Anyone => None,
            Trust::Authorities(roots) => {
                Some(WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?)
            }
        };
        Ok(Self { chain, pins: pins.to_vec(), ..Self::of_anyone(provider) })
    }

    /// Without a verified chain only the first certificate is the endpoint's own: anyone can add others behind it.
    fn is_pinned(&self, first: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
        let others = if self.chain.is_some() { others } else { &[] };
        let mut keys = std::iter::once(first).chain(others).filter_map(key_digest);
        self.pins.is_empty() || keys.any(|key| self.pins.contains(&key))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(first, others, name, ocsp, now).map_err(|e| Distrust::of(e, first, name))?;
        }
        if !self.is_pinned(first, others) {
            return Err(Distrust::unpinned(key_digest(first)));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// SHA-256 of the public key (SPKI) of a certificate, in base64.
fn key_digest(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(base64(digest(&SHA256, parsed.public_key().raw).as_ref()))
}

/// The standard alphabet, with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let mut group = [0; 3];
        group.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            text.push(char::from(if digit <= piece.len() { letter } else { b'=' }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, want) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), want, "row {bytes}");
        }
    }
}
