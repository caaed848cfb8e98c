// SPDX-License-Identifier: MIT OR Apache-2.0
//! A signed token in its compact form (RFC 7515 section 7.1), as far as its header: what is to be verified, and how it says.
//!
//! Nothing of it is believed here. A header that asks for anything we do not understand is refused (`crit`), one that brings
//! its own key (`jwk`, `jku`, `x5c`, `x5u`) is read as if it did not, and base64 has one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use weirgate_store::model::JwtAlgorithm as Algorithm;

use super::json;
use super::jwks::KID_BYTES_MAX;
use super::refusal::Refusal;

/// Bytes of a token; longer ones are refused before anything looks at them.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A token that has not been verified.
#[derive(Debug)]
pub struct Unverified<'t> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    /// What the signature is about.
    pub signed: &'t [u8],
    pub signature: Vec<u8>,
    payload: &'t [u8],
}

/// Takes a token apart.
///
/// # Errors
/// It is no token, or one that cannot count whatever its key.
pub fn read(token: &[u8]) -> Result<Unverified<'_>, Refusal> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Refusal::Malformed)?;
    let header = members(header)?;
    if header.contains_key("crit") {
        return Err(Refusal::Critical);
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Malformed)?;
    let algorithm = Algorithm::of(name).ok_or(Refusal::Algorithm)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
        Some(_) => return Err(Refusal::Malformed),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
    Ok(Unverified { algorithm, kid, signed, signature, payload })
}

impl Unverified<'_> {
    /// The claims. Ask only after the signature was found to hold.
    pub fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        members(self.payload)
    }
}

fn members(part: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    json::object(&text).ok_or(Refusal::Malformed)
}
