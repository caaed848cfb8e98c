// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Consumer: an API client, and the credentials written beside it.
//!
//! Keys that are issued at run time are not here: they are facts about the world and not configuration, so a
//! rollback never revives a revoked key. The engine keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Name, Quota};

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Keys written in the file. Kept only as keyed hashes; the secret is never printed again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKey>,
    /// What tokens call it, for `jwt` and `oauth2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<ConsumerJwt>,
    /// Its users with their passwords, for `basic`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub basic: Vec<BasicCredential>,
    /// What a client certificate of its shows, for `mtls`; one of them is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateMatch>,
    /// Keys that it signs requests with, for `http_signature`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<SigningKey>,
    /// How much its requests wait when an upstream has a queue: 0 goes first, 7 last; that of the route if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<u8>,
    /// What it may do, on all routes together; the plan named `default` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Name>,
    /// A quota of its own, in place of that of its plan for the same period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// How tokens name a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerJwt {
    /// What the claim holds that the policy knows consumers by.
    pub subject: String,
    /// Only in tokens of this issuer, by their claim `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A user and its password: `password` when it is first written, `hash` ever after.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicCredential {
    /// Unique over all consumers; no colon.
    pub user: String,
    /// The password itself, at least 8 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Its argon2id hash, `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl std::fmt::Debug for BasicCredential {
    /// Never prints a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BasicCredential({})", self.user)
    }
}

/// A key that requests are signed with: a shared `secret`, or the `public_key` of a pair.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SigningKey {
    /// The `keyid` of its signatures; unique over all consumers.
    pub id: String,
    pub algorithm: SignatureAlgorithm,
    /// For `hmac-sha256`: the secret itself, `base64:…`, or `stored:FINGERPRINT` once it has been applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// For all others: a public key as PEM text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// How a signature is made (RFC 9421 section 3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignatureAlgorithm {
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
}

impl std::fmt::Debug for SigningKey {
    /// Never prints a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// By what a client certificate is known to be a consumer's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateMatch {
    /// SHA-256 of the certificate, 64 hexadecimal digits; colons between them do not matter.
    Fingerprint(String),
    /// The whole subject, such as `CN=alice, O=Example`.
    Subject(String),
    /// One of its alternative names: a DNS name, an address, an e-mail address or a URI such as `spiffe://…`.
    San(String),
}

/// A key in a file: `secret` when it is first written, `hash` and `prefix` ever after.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKey {
    /// The key itself, at least 16 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Keyed BLAKE3 of the key, 64 hexadecimal digits; valid only with the state directory that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The first characters of the key, to recognise it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl std::fmt::Debug for ApiKey {
    /// Never prints a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}…)", self.prefix.as_deref().unwrap_or(""))
    }
}
