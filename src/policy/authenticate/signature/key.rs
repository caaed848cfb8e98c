// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key that signatures are verified with, and the algorithms of RFC 9421 section 3.3 that there are.
//!
//! The algorithm belongs to the key: what a request says of it can only agree.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What a secret begins with that is not its own text.
const BASE64: &str = "base64:";

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    EcdsaP256Sha256,
    Ed25519,
    HmacSha256,
    RsaPssSha512,
    RsaV15Sha256,
}

impl Algorithm {
    /// As the registry of RFC 9421 section 6.2.2 has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::Ed25519 => "ed25519",
            Self::HmacSha256 => "hmac-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }

    /// The verification, and the object identifier of public keys that it takes; none for a shared secret.
    fn public(self) -> Option<(&'static dyn VerificationAlgorithm, &'static [&'static str])> {
        const RSA: &[&str] = &["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"];
        match self {
            Self::EcdsaP256Sha256 => Some((&ECDSA_P256_SHA256_FIXED, &["1.2.840.10045.2.1"])),
            Self::Ed25519 => Some((&ED25519, &["1.3.101.112"])),
            Self::HmacSha256 => None,
            Self::RsaPssSha512 => Some((&RSA_PSS_2048_8192_SHA512, RSA)),
            Self::RsaV15Sha256 => Some((&RSA_PKCS1_2048_8192_SHA256, RSA)),
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    NotPublic,
    #[error("it is a public key for another algorithm than {0}")]
    Other(&'static str),
    #[error("what follows \"base64:\" is not base64")]
    NotBase64,
}

/// A key of a consumer.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Arc<hmac::Key>),
    Public(Arc<[u8]>),
}

impl fmt::Debug for SigningKey {
    /// Never prints a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm.name())
    }
}

impl SigningKey {
    /// A shared secret: its own bytes, or those that `base64:…` stands for.
    pub fn secret(text: &str) -> Result<Self, KeyError> {
        let bytes = match text.strip_prefix(BASE64) {
            Some(encoded) => STANDARD.decode(encoded.trim()).map_err(|_| KeyError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Ok(Self { algorithm: Algorithm::HmacSha256, material: Material::Secret(Arc::new(key)) })
    }

    /// A public key in PEM form.
    pub fn public(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let (_, kinds) = algorithm.public().ok_or(KeyError::NotPublic)?;
        let block = Pem::iter_from_buffer(pem.as_bytes()).next().and_then(Result::ok).ok_or(KeyError::NotPublic)?;
        let (_, key) = SubjectPublicKeyInfo::from_der(&block.contents).map_err(|_| KeyError::NotPublic)?;
        if !kinds.contains(&key.algorithm.algorithm.to_id_string().as_str()) {
            return Err(KeyError::Other(algorithm.name()));
        }
        Ok(Self { algorithm, material: Material::Public(key.subject_public_key.data.as_ref().into()) })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is the signature of `text` by this key.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            // Constant-time.
            Material::Secret(key) => hmac::verify(key, text, signature).is_ok(),
            Material::Public(bytes) => self
                .algorithm
                .public()
                .is_some_and(|(algorithm, _)| UnparsedPublicKey::new(algorithm, bytes).verify(text, signature).is_ok()),
        }
    }
}
