// SPDX-License-Identifier: MIT OR Apache-2.0
//! A certificate as it is served, and the table that finds one by server name (SNI).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the chain is not PEM with at least one certificate: {0}")]
    Chain(String),
    #[error("the key is not a private key in PEM form: {0}")]
    Key(String),
    #[error("the key does not belong to the first certificate of the chain")]
    Mismatch,
}

/// A chain with its key, and what an operator wants to know of it.
#[derive(Debug)]
pub struct ServedCertificate {
    pub key: Arc<CertifiedKey>,
    /// DNS names of the first certificate, in lower case; `*.` for one label.
    pub names: Vec<String>,
    /// End of validity, seconds since 1970 UTC.
    pub expires: i64,
}

impl ServedCertificate {
    /// Parses and checks a chain and its key.
    pub fn parse(chain_pem: &str, key_pem: &str) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Chain(error.to_string()))?;
        let first = chain.first().ok_or_else(|| CertificateError::Chain("it is empty".to_owned()))?;
        let (names, expires) = facts(first)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let key = any_supported_type(&key).map_err(|error| CertificateError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| CertificateError::Mismatch)?;
        Ok(Self { key: Arc::new(certified), names, expires })
    }
}

fn facts(first: &CertificateDer<'_>) -> Result<(Vec<String>, i64), CertificateError> {
    let (_, parsed) = X509Certificate::from_der(first).map_err(|error| CertificateError::Chain(error.to_string()))?;
    let san = parsed.subject_alternative_name().ok().flatten();
    let names = san.map(|extension| {
        let dns = extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        dns.collect()
    });
    Ok((names.unwrap_or_default(), parsed.validity().not_after.timestamp()))
}

/// Server name to certificate: exact, then one-level wildcard, then the default.
#[derive(Debug)]
pub struct SniTable {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Keyed by what follows the `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl SniTable {
    /// The first certificate is the default; where two carry the same name the earlier one is served.
    pub fn new(certificates: &[Arc<ServedCertificate>]) -> Option<Self> {
        let default = Arc::clone(&certificates.first()?.key);
        let mut table = Self { exact: HashMap::new(), wildcard: HashMap::new(), default };
        for certificate in certificates {
            for name in &certificate.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_insert_with(|| Arc::clone(&certificate.key));
            }
        }
        Some(table)
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(by_wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for SniTable {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(hello.server_name().map_or(&self.default, |name| self.find(name))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CertificateError, ServedCertificate, SniTable};

    fn certificate(names: &[&str]) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let made = made.unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn served(names: &[&str]) -> Arc<ServedCertificate> {
        let (chain, key) = certificate(names);
        Arc::new(ServedCertificate::parse(&chain, &key).unwrap())
    }

    #[test]
    fn a_name_finds_its_certificate() {
        let all = [served(&["a.example"]), served(&["*.b.example", "b.example"])];
        let table = SniTable::new(&all).unwrap();
        for (name, want) in
            [("a.example", 0), ("A.Example", 0), ("x.b.example", 1), ("b.example", 1), ("x.y.b.example", 0), ("z", 0)]
        {
            assert!(Arc::ptr_eq(table.find(name), &all[want].key), "row {name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let ((chain, key), (_, other)) = (certificate(&["a.example"]), certificate(&["a.example"]));
        assert!(matches!(ServedCertificate::parse(&chain, &other), Err(CertificateError::Mismatch)));
        assert!(matches!(ServedCertificate::parse("", &key), Err(CertificateError::Chain(_))));
        assert!(matches!(ServedCertificate::parse(&chain, "no key"), Err(CertificateError::Key(_))));
    }
}
