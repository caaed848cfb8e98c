// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims that the endpoint is told in header fields, in place of whatever the client sent under those names.
//!
//! Text goes as it is where a field can hold it; a per cent sign and what cannot stand in a field are percent-encoded, so
//! that it can be read back. A list is joined by commas, and its elements have theirs encoded. An absent claim is an absent
//! field: what the client sent is removed all the same, also in the spellings that endpoints take for the same name.

use serde_json::{Map, Value};

use super::claims::find;
use crate::exchange::Fields;

/// Fields of one policy.
pub const FIELDS_MAX: usize = 32;

/// A claim that becomes a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub field: Box<[u8]>,
    /// A name, or a JSON Pointer.
    pub claim: Box<str>,
}

/// The value of each field, in the order of the policy.
pub type Values = Box<[Option<Box<[u8]>>]>;

/// Makes the values once, when a token is verified.
pub fn values(told: &[Told], claims: &Map<String, Value>) -> Values {
    told.iter().map(|one| find(claims, &one.claim).and_then(value)).collect()
}

/// Removes what was sent under these names.
pub fn cleanse(told: &[Told], fields: &mut Fields) {
    if !told.is_empty() {
        fields.retain(|field| !told.iter().any(|one| is_same(&one.field, field.name)));
    }
}

/// Tells the endpoint.
pub fn tell(told: &[Told], values: &Values, fields: &mut Fields) {
    cleanse(told, fields);
    for (one, value) in told.iter().zip(values) {
        if let Some(value) = value {
            fields.push(&one.field, value);
        }
    }
}

/// Names that many endpoints make the same variable of: without case, and an underscore is a hyphen.
fn is_same(ours: &[u8], theirs: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    ours.len() == theirs.len() && ours.iter().map(plain).eq(theirs.iter().map(plain))
}

fn value(claim: &Value) -> Option<Box<[u8]>> {
    let mut out = Vec::new();
    match claim {
        Value::Null => return None,
        Value::Array(list) => {
            for (at, one) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                encode(&mut out, &plain(one), b",");
            }
        }
        other => encode(&mut out, &plain(other), b""),
    }
    // A field loses the spaces around its value.
    let is_whole = !out.is_empty() && out.trim_ascii().len() == out.len();
    is_whole.then(|| out.into())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn encode(out: &mut Vec<u8>, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' && !also.contains(&byte) => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Told, tell, values};
    use crate::exchange::Fields;
    use serde_json::{Value, json};

    /// Rows: a claim, and the value of its field.
    #[test]
    fn a_claim_becomes_a_field_that_can_be_read_back() {
        let rows = [
            (json!("ana"), "ana"),
            (json!("Ana María, 100%"), "Ana Mar%C3%ADa, 100%25"),
            (json!("a\r\nX-Admin: 1"), "a%0D%0AX-Admin: 1"),
            (json!(["a", "b,c", 3]), "a,b%2Cc,3"),
            (json!(12_345_678_901_234_567_u64), "12345678901234567"),
            (json!(true), "true"),
            (json!(null), "-"),
            (json!(""), "-"),
            (json!(" padded"), "-"),
            (json!({"a": "é"}), "{\"a\":\"%C3%A9\"}"),
        ];
        for (claim, want) in rows {
            let told = [Told { field: b"X-User".as_slice().into(), claim: "c".into() }];
            let Value::Object(claims) = json!({ "c": claim }) else { panic!("it is an object") };
            let mut fields = Fields::new();
            for name in ["X-User", "x_user", "X-Users"] {
                fields.push(name.as_bytes(), b"root");
            }
            tell(&told, &values(&told, &claims), &mut fields);
            let got = fields.named(b"X-User").next().map_or("-".into(), String::from_utf8_lossy);
            assert_eq!(got, want, "row {claim}");
            assert_eq!(fields.named(b"x_user").count(), 0, "row {claim}: the other spelling is gone");
            assert_eq!(fields.named(b"X-Users").count(), 1, "row {claim}: another name stays");
        }
    }
}
