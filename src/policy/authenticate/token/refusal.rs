// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a token does not count: a sentence for the client that made it, which says nothing of keys or settings.

/// A token that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the token is too large")]
    TooLarge,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is signed with an algorithm that is not accepted here")]
    Algorithm,
    #[error("the token has a critical extension that is not understood")]
    Critical,
    #[error("the token names a key that is not known")]
    Key,
    #[error("the signature of the token does not hold")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token lacks the claim {0}")]
    Missing(Box<str>),
    #[error("the token lives too long")]
    Lifetime,
    #[error("the issuer says that the token is not active")]
    Inactive,
    #[error("the token is nobody's who is known here")]
    Consumer,
}

impl Refusal {
    /// The `WWW-Authenticate` value (RFC 6750 section 3).
    pub fn challenge(&self, realm: &str) -> String {
        // A quoted string cannot hold quotes and backslashes; names of claims are the operator's and may.
        let clean: String =
            self.to_string().chars().filter(|c| matches!(c, ' '..='~') && !"\"\\".contains(*c)).collect();
        format!("Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{clean}\"")
    }
}
