// SPDX-License-Identifier: MIT OR Apache-2.0
//! A secret that weirgate has to know as it is, such as what it shares with an issuer of tokens.
//!
//! It is written once. `apply` puts it into a file of mode 0600 in the state directory, as it does with private keys, and a
//! name of it into the model, so a stored model never holds a secret and a shown one never betrays it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::STORED;

/// The secret itself, or `stored:FINGERPRINT` once it has been applied.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    /// The fingerprint of a secret that is in the state directory.
    pub fn stored(&self) -> Option<&str> {
        self.0.strip_prefix(STORED)
    }
}

impl std::fmt::Debug for Secret {
    /// Never prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stored() {
            Some(fingerprint) => write!(f, "{STORED}{fingerprint}"),
            None => f.write_str("(secret)"),
        }
    }
}
