// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Certificate: a chain and its private key.
//!
//! A file names files; `apply` puts the text of the chain into the model and the key into the state directory, so
//! that a stored model never holds a private key and never depends on where the operator's files were.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A certificate chain and the key that belongs to its first certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// A file in PEM form, relative to the file that names it, or the PEM text itself.
    pub chain: String,
    /// A file in PEM form, the PEM text itself, or `stored:FINGERPRINT` once it has been applied.
    pub key: CertificateKey,
}

/// Where the private key of a certificate is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CertificateKey(pub String);

/// What a stored key begins with.
pub const STORED: &str = "stored:";

/// What PEM text begins with.
pub const PEM: &str = "-----BEGIN";

impl CertificateKey {
    /// The fingerprint of a key that is in the state directory.
    pub fn stored(&self) -> Option<&str> {
        self.0.strip_prefix(STORED)
    }
}

impl std::fmt::Debug for CertificateKey {
    /// Never prints a private key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stored() {
            Some(fingerprint) => write!(f, "stored:{fingerprint}"),
            None if self.0.trim_start().starts_with(PEM) => f.write_str("(private key)"),
            None => write!(f, "{}", self.0),
        }
    }
}
