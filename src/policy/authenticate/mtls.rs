// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client certificate. The handshake has verified it against the authorities of the listener; here it is asked whose
//! it is, and whether it still holds, because a connection may outlive it.

use std::sync::Arc;

use super::{challenge_of, identify};
use crate::exchange::ClientCertificate;
use crate::fault::{Fault, Refusal};
use crate::policy::{Request, Verdict, is_certificate};

const SUBJECT: &[u8] = b"X-Client-Cert-Subject";
const FINGERPRINT: &[u8] = b"X-Client-Cert-Fingerprint";

/// Whether the endpoint is told about the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    Yes,
    No,
}

/// Asks for a client certificate of a consumer.
#[derive(Clone, Debug)]
pub struct Mtls {
    pub name: Arc<str>,
    forward: Forward,
    challenge: Arc<str>,
}

impl Mtls {
    pub fn new(name: Arc<str>, realm: &str, forward: Forward) -> Self {
        Self { name, forward, challenge: challenge_of("Certificate", realm, "") }
    }

    pub(super) fn challenge(&self) -> &Arc<str> {
        &self.challenge
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let client = request.client;
        let Some(certificate) = &client.certificate else { return Err(self.refused(Refusal::CertificateMissing)) };
        if certificate.not_after_s < request.now_s {
            return Err(self.refused(Refusal::CertificateExpired));
        }
        let credentials = request.credentials;
        let id = credentials.proofs().certificates.find(certificate);
        let Some(consumer) = id.and_then(|id| credentials.consumer(id)) else {
            return Err(self.refused(Refusal::CertificateUnknown));
        };
        identify(&self.name, at, request, consumer)?;
        if self.forward == Forward::Yes {
            announce(certificate, request);
        }
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Fault {
        Fault::Unauthenticated { policy: Arc::clone(&self.name), refusal, challenge: Arc::clone(&self.challenge) }
    }
}

fn announce(certificate: &ClientCertificate, request: &mut Request<'_>) {
    let fields = &mut request.head.fields;
    fields.retain(|field| !is_certificate(field.name));
    fields.push(SUBJECT, &visible(&certificate.subject));
    fields.push(FINGERPRINT, certificate.fingerprint_hex().as_bytes());
}

/// Percent-encodes what a field value may not hold, and the per cent sign.
fn visible(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}
