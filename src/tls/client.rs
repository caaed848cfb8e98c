// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates of clients: whom a listener asks for one, whose word it takes, and what one says.
//!
//! The verifier belongs to one compiled listener, and so do the tickets by which its sessions resume: a session that
//! was opened under other authorities, or before a certificate was revoked, is none of this listener.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

use crate::exchange::ClientCertificate;

/// Authorities of one listener.
pub const AUTHORITIES_MAX: usize = 1_000;

/// Alternative names that are read of one certificate.
const NAMES_MAX: usize = 100;

/// Why clients cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthError {
    #[error("it is not PEM with at least one certificate: {0}")]
    Authorities(String),
    #[error("it holds more than {AUTHORITIES_MAX} authorities")]
    TooMany,
    #[error("the revocation list cannot be read: {0}")]
    Revoked(String),
    #[error("{0}")]
    Unusable(String),
}

/// Whether a connection goes on without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Required,
    Optional,
}

/// Verifies clients by these authorities and revocation lists, in PEM form.
pub fn verifier(ca: &str, crl: Option<&str>, demand: Demand) -> Result<Arc<dyn ClientCertVerifier>, ClientAuthError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let certificate = certificate.map_err(|error| ClientAuthError::Authorities(error.to_string()))?;
        roots.add(certificate).map_err(|error| ClientAuthError::Authorities(error.to_string()))?;
        if roots.len() > AUTHORITIES_MAX {
            return Err(ClientAuthError::TooMany);
        }
    }
    if roots.is_empty() {
        return Err(ClientAuthError::Authorities("it is empty".to_owned()));
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(crl.unwrap_or_default().as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ClientAuthError::Revoked(error.to_string()))?;
    if crl.is_some() && lists.is_empty() {
        return Err(ClientAuthError::Revoked("there is none in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(lists);
    // An authority that publishes no list revokes nothing; that is not a reason to refuse its clients.
    builder = builder.allow_unknown_revocation_status();
    if demand == Demand::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| ClientAuthError::Unusable(error.to_string()))
}

/// What a verified certificate says. What of it cannot be read is left out, and the fingerprint is always there.
pub fn read(certificate: &CertificateDer<'_>) -> ClientCertificate {
    let mut fingerprint = [0; 32];
    fingerprint.iter_mut().zip(digest(&SHA256, certificate).as_ref()).for_each(|(to, from)| *to = *from);
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return ClientCertificate { fingerprint, ..ClientCertificate::default() };
    };
    ClientCertificate {
        fingerprint,
        subject: subject(parsed.subject()),
        names: names(&parsed),
        serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        not_after_s: parsed.validity().not_after.timestamp(),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let one = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    };
    extension.value.general_names.iter().filter_map(one).take(NAMES_MAX).collect()
}

fn subject(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|part| {
        let attributes = part.iter().map(|attribute| {
            let oid = attribute.attr_type();
            let kind = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
            let value = attribute.as_str().map_or_else(|_| hex(attribute.as_slice()), escaped);
            format!("{}={value}", kind.to_ascii_uppercase())
        });
        attributes.collect::<Vec<_>>().join("+")
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What separates the parts of a subject stands after a backslash.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if ",+\"\\<>;".contains(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("#".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::{ClientAuthError, Demand, read, verifier};

    #[test]
    fn a_certificate_is_read_as_it_says() {
        let mut params = CertificateParams::new(vec!["Api.Example".to_owned(), "10.1.2.3".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://example.org/Api".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("ana@example.org".try_into().unwrap()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "alice, the 1st");
        params.distinguished_name.push(DnType::OrganizationName, "Exämple");
        params.serial_number = Some(vec![1, 0xab].into());
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let seen = read(certificate.der());
        assert_eq!(seen.subject, "CN=alice\\, the 1st, O=Exämple");
        assert_eq!(seen.names, ["api.example", "10.1.2.3", "spiffe://example.org/Api", "ana@example.org"]);
        assert_eq!((seen.serial.as_str(), seen.not_after_s), ("01ab", 2_208_988_800));
        assert_eq!(seen.fingerprint_hex().len(), 64);
        assert!(verifier(&certificate.pem(), None, Demand::Optional).is_ok());
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for (ca, crl) in [
            ("", None),
            ("no certificate", None),
            ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", None),
        ] {
            assert!(matches!(verifier(ca, crl, Demand::Required), Err(ClientAuthError::Authorities(_))), "row {ca}");
        }
        let ca = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem();
        assert!(matches!(verifier(&ca, Some("none"), Demand::Required), Err(ClientAuthError::Revoked(_))));
    }
}
