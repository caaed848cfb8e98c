// SPDX-License-Identifier: MIT OR Apache-2.0
//! A set of keys as an issuer publishes it (RFC 7517): what is understood becomes keys, what is not is passed over.
//!
//! Other kinds of keys, keys for encryption and shared secrets are no mistake of the issuer and are skipped with a reason;
//! only a document that is no key set at all is refused. Names must be usable, numbers in their one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;
use super::key::{Key, NoKey, Public};

/// Keys of one set; what comes after them is not looked at.
pub const KEYS_MAX: usize = 64;

/// Bytes of the name of a key.
pub const KID_BYTES_MAX: usize = 256;

/// What was read of a set.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub keys: Vec<Key>,
    /// Why each of the others was passed over.
    pub skipped: Vec<String>,
}

/// Reads a key set.
///
/// # Errors
/// A sentence, if it is none.
pub fn read(text: &[u8]) -> Result<Read, String> {
    let document = json::object(text).ok_or("it is no JSON object, or has a member twice")?;
    let Some(Value::Array(list)) = document.get("keys") else { return Err("it has no list \"keys\"".to_owned()) };
    let mut read = Read::default();
    for (at, entry) in list.iter().take(KEYS_MAX).enumerate() {
        let kid = entry.get("kid").and_then(Value::as_str);
        match entry.as_object().ok_or_else(|| "it is no object".to_owned()).and_then(|members| one(members, kid)) {
            Ok(key) => read.keys.push(key),
            Err(why) => {
                let name = kid.map_or_else(|| format!("number {}", at + 1), shown);
                read.skipped.push(format!("key {name}: {why}"));
            }
        }
    }
    if list.len() > KEYS_MAX {
        read.skipped.push(format!("{} keys after the first {KEYS_MAX}", list.len() - KEYS_MAX));
    }
    Ok(read)
}

/// The name of a key as it may stand in a log or a list.
pub fn shown(kid: &str) -> String {
    kid.chars().take(40).flat_map(char::escape_debug).collect()
}

fn one(members: &Map<String, Value>, kid: Option<&str>) -> Result<Key, String> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if kid.is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
        return Err(format!("its name has more than {KID_BYTES_MAX} bytes"));
    }
    if text("use").is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures".to_owned());
    }
    let operations = members.get("key_ops").and_then(Value::as_array);
    if operations.is_some_and(|all| !all.iter().any(|one| one.as_str() == Some("verify"))) {
        return Err("it is not for verifying".to_owned());
    }
    let number = |name: &str| {
        text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(|| format!("{name} is no number"))
    };
    let only = text("alg");
    let key = match text("kty") {
        Some("RSA") => {
            let (n, e) = (number("n")?, number("e")?);
            let n = strip_zeros(&n);
            Key::public("RSA", Public::Components { n, e: strip_zeros(&e) }, only)
        }
        Some("EC") => {
            let point = [&[4], &number("x")?[..], &number("y")?[..]].concat();
            Key::public(text("crv").unwrap_or_default(), Public::Plain(&point), only)
        }
        Some("OKP") => Key::public(text("crv").unwrap_or_default(), Public::Plain(&number("x")?), only),
        Some(other) => Err(NoKey::Kind(shown(other))),
        None => Err(NoKey::Malformed("it has no kty")),
    };
    key.map(|key| key.named(kid)).map_err(|why| why.to_string())
}

/// Some issuers write a zero in front of a number, which RFC 7518 section 6.3.1.1 forbids and everybody accepts.
fn strip_zeros(mut number: &[u8]) -> &[u8] {
    while let Some((0, rest)) = number.split_first() {
        number = rest;
    }
    number
}
