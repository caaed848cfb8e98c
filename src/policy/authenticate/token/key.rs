// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key that tokens are verified with: a shared secret or a public key, parsed once.
//!
//! A key carries the algorithms it may be used with, made from what it is (RFC 8725 section 3.1): whatever the header of a
//! token says, an RSA key never becomes an HMAC secret. There is no way to say `none`.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use weirgate_store::model::JwtAlgorithm as Algorithm;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

/// Bytes of the shortest RSA modulus: 2048 bits.
const RSA_BYTES_MIN: usize = 256;

/// Bytes of a shared secret below which no algorithm takes it (RFC 7518 section 3.2: the size of the hash).
pub const SECRET_BYTES_MIN: usize = 32;

/// Why something cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    #[error("a secret has at least {SECRET_BYTES_MIN} bytes")]
    ShortSecret,
    #[error("an RSA key has at least 2048 bits")]
    ShortRsa,
    #[error("{0} is no kind of key that verifies tokens")]
    Kind(String),
    #[error("it is no public key: {0}")]
    Malformed(&'static str),
}

/// A key with the algorithms that it verifies.
#[derive(Clone, Debug)]
pub struct Key {
    /// What tokens call it, if its owner named it.
    pub kid: Option<Box<str>>,
    verifiers: Box<[(Algorithm, Verifier)]>,
    /// Of what it is, to tell whether it is another one.
    pub fingerprint: [u8; 32],
}

#[derive(Clone)]
enum Verifier {
    /// Boxed: it is several times as large as a public key.
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl std::fmt::Debug for Verifier {
    /// Never prints a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Public(_) => "Public",
        })
    }
}

/// What a public key is, as its owner published it.
#[derive(Clone, Copy, Debug)]
pub enum Public<'a> {
    /// Modulus and exponent, big-endian.
    Components { n: &'a [u8], e: &'a [u8] },
    /// The bytes that the algorithm takes: an `RSAPublicKey`, an uncompressed point, or 32 bytes of Ed25519.
    Plain(&'a [u8]),
}

const RSA: [Algorithm; 6] =
    [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];

/// Kinds of public keys, by what they are called in a JWK: `RSA`, or the name of a curve.
pub fn algorithms_of(kind: &str) -> &'static [Algorithm] {
    match kind {
        "RSA" => &RSA,
        "P-256" => &[Algorithm::Es256],
        "P-384" => &[Algorithm::Es384],
        "Ed25519" => &[Algorithm::EdDsa],
        _ => &[],
    }
}

impl Key {
    /// A shared secret. Of the HMAC algorithms it takes those whose hash is no longer than it is.
    pub fn secret(secret: &[u8]) -> Result<Self, NoKey> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(NoKey::ShortSecret);
        }
        let all = [
            (Algorithm::Hs256, hmac::HMAC_SHA256, 32),
            (Algorithm::Hs384, hmac::HMAC_SHA384, 48),
            (Algorithm::Hs512, hmac::HMAC_SHA512, 64),
        ];
        let fit = all.into_iter().filter(|(.., bytes)| secret.len() >= *bytes);
        let verifiers = fit
            .map(|(algorithm, hash, _)| (algorithm, Verifier::Secret(Box::new(hmac::Key::new(hash, secret)))))
            .collect();
        Ok(Self { kid: None, verifiers, fingerprint: *blake3::hash(secret).as_bytes() })
    }

    /// A public key of this kind (see [`algorithms_of`]), for the one algorithm that its owner pins it to, if any.
    pub fn public(kind: &str, public: Public<'_>, only: Option<&str>) -> Result<Self, NoKey> {
        let is_allowed = |algorithm: &Algorithm| only.is_none_or(|only| Algorithm::of(only) == Some(*algorithm));
        let takes = algorithms_of(kind).iter().copied().filter(is_allowed);
        let verifiers: Result<Box<[_]>, NoKey> =
            takes.map(|algorithm| Ok((algorithm, Verifier::Public(parse(algorithm, public)?)))).collect();
        let verifiers = verifiers?;
        if verifiers.is_empty() {
            return Err(NoKey::Kind(format!("{kind}{}", only.map(|only| format!(" for {only}")).unwrap_or_default())));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind.as_bytes()).update(only.unwrap_or_default().as_bytes());
        match public {
            Public::Components { n, e } => hasher.update(n).update(b".").update(e),
            Public::Plain(bytes) => hasher.update(bytes),
        };
        Ok(Self { kid: None, verifiers, fingerprint: *hasher.finalize().as_bytes() })
    }

    /// A public key in PEM form: `-----BEGIN PUBLIC KEY-----`.
    pub fn pem(text: &str) -> Result<Self, NoKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .map_err(|_| NoKey::Malformed("it holds no block that begins with -----BEGIN PUBLIC KEY-----"))?;
        let (_, parsed) =
            SubjectPublicKeyInfo::from_der(&der).map_err(|_| NoKey::Malformed("its DER cannot be read"))?;
        let curve =
            parsed.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
        let kind = match (parsed.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            ("1.2.840.113549.1.1.1", _) => "RSA",
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => "P-256",
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => "P-384",
            ("1.3.101.112", _) => "Ed25519",
            (other, _) => return Err(NoKey::Kind(other.to_owned())),
        };
        Self::public(kind, Public::Plain(&parsed.subject_public_key.data), None)
    }

    /// The same key under the name that its owner gave it.
    #[must_use]
    pub fn named(self, kid: Option<&str>) -> Self {
        Self { kid: kid.map(Into::into), ..self }
    }

    /// The algorithms that it verifies.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether `signed` bears this signature; false for an algorithm that is not the key's.
    pub fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self.verifiers.iter().find(|(own, _)| *own == algorithm) {
            Some((_, Verifier::Secret(key))) => hmac::verify(key, signed, signature).is_ok(),
            Some((_, Verifier::Public(key))) => key.verify_sig(signed, signature).is_ok(),
            None => false,
        }
    }
}

fn parse(algorithm: Algorithm, public: Public<'_>) -> Result<ParsedPublicKey, NoKey> {
    let rejected = |_| NoKey::Malformed("its numbers make no key");
    let rsa = rsa_parameters(algorithm);
    match (public, rsa) {
        (Public::Components { n, .. }, _) if n.len() < RSA_BYTES_MIN => Err(NoKey::ShortRsa),
        (Public::Components { n, e }, Some(parameters)) => {
            signature::RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(rejected)
        }
        (Public::Plain(bytes), Some(_)) if bytes.len() < RSA_BYTES_MIN => Err(NoKey::ShortRsa),
        (Public::Plain(bytes), Some(parameters)) => ParsedPublicKey::new(parameters, bytes).map_err(rejected),
        (Public::Plain(bytes), None) => {
            let parameters: &'static dyn VerificationAlgorithm = match algorithm {
                Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
                Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
                _ => &signature::ED25519,
            };
            ParsedPublicKey::new(parameters, bytes).map_err(rejected)
        }
        (Public::Components { .. }, None) => Err(NoKey::Malformed("only an RSA key has a modulus")),
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
